// Help: places to look at next, marks that look wrong, the history, and warnings.
import { byId, fill, make } from "./dom.js";
import { get } from "./transport.js";

const OFTEN = 5; // corrections in a row after which a random place is proposed

export class Help {
  constructor(app) {
    this.app = app;
    this.seed = Math.floor(Math.random() * 1e6);
    this.places = [];
    this.at = -1;
    this.kept = new Set();
    this.corrections = 0;
    app.strip.add("suggested", "Suggested (N, P)", () => this.#suggested());
    app.strip.add("worst", "Doubtful marks", () => this.#worst());
    app.strip.add("history", "History", () => this.#history());
    app.keys.N = () => this.step(1);
    app.keys.P = () => this.step(-1);
    app.origin = "free";
    this.#warn();
  }

  saved() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#warn(), 400);
    this.app.strip.refresh("history");
  }

  async #warn() {
    const warnings = await get("api/warnings");
    fill(byId("warnings"), ...warnings.map((text) => make("li", {}, text)));
  }

  async #suggested() {
    if (!this.places.length) this.places = await get(`api/suggest?seed=${this.seed}`);
    const more = make("button", { type: "button", click: () => this.#more() }, "Other places");
    if (!this.places.length) return [make("p", { class: "note" }, "There is no place without annotation left."), more];
    return [...this.places.map((place, k) => this.#button(place, `${k + 1}: ${place.image}`, place.why === "random" ? "random" : "unlike the rest", () => this.#go(k), k === this.at)), more];
  }

  async #more() {
    this.seed += 1;
    this.places = [];
    this.at = -1;
    await this.app.strip.refresh("suggested");
  }

  /** Go to the next or the previous place. */
  async step(by) {
    if (this.app.strip.current !== "suggested") this.app.strip.open("suggested");
    if (!this.places.length) this.places = await get(`api/suggest?seed=${this.seed}`);
    if (this.at + by >= this.places.length) await this.#more();
    if (!this.places.length) this.places = await get(`api/suggest?seed=${this.seed}`);
    if (this.places.length) await this.#go(Math.max(0, this.at + by));
  }

  async #go(k) {
    this.at = k;
    const place = this.places[k];
    await this.#show(place);
    this.app.origin = place.why === "random" ? "random" : "suggested";
    this.app.strip.refresh("suggested");
  }

  async #show({ image, bbox, id }) {
    if (image !== this.app.image.id) await this.app.open(image);
    if (bbox) this.app.viewer.goTo(bbox);
    if (id) this.app.viewer.select(id);
    this.app.viewer.focus();
  }

  async #worst() {
    const worst = (await get("api/worst")).filter(({ id }) => !this.kept.has(id));
    if (!worst.length) return [make("p", { class: "note" }, "No mark is contradicted by the others.")];
    return worst.flatMap((place) => [
      this.#button(place, place.image, place.why, async () => { await this.#show(place); this.app.use("select"); this.app.viewer.select(place.id); }),
      make("button", { type: "button", "aria-label": `Keep the mark in ${place.image}`, click: () => { this.kept.add(place.id); this.app.strip.refresh("worst"); } }, "Keep")]);
  }

  async #history() {
    const records = (await get("api/history")).slice(0, 60);
    const table = make("table", {}, ...records.map((r) => make("tr", {}, make("td", {}, new Date(r.at).toLocaleTimeString()), make("td", {}, r.user ?? ""),
      make("td", {}, `${r.op} ${r.class || r.id?.slice(0, 8) || r.model || ""}`), make("td", {}, r.image ?? ""), make("td", {}, r.origin ?? ""))));
    return [make("div", { style: "overflow-y:auto", tabindex: "0", role: "region", "aria-label": "History" }, table)];
  }

  #button(place, title, why, click, chosen = false) {
    return make("button", { type: "button", class: "place", "aria-pressed": String(chosen), click }, make("strong", {}, title), make("br"), why);
  }
}
