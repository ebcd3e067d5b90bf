// What nets find: choose a net, compare two, show fill, rims or both; accept a found object as an annotation.
import { byId, fill, make } from "./dom.js";
import { get, post } from "./transport.js";

export class Nets {
  constructor(app) {
    this.app = app;
    this.models = [];
    this.chosen = "";
    this.show = "both";
    this.shown = true;
    this.epoch = Date.now();
    this.count = 0;
    this.select = make("select", { id: "net", "aria-label": "Net", change: () => this.choose(this.select.value) });
    this.modes = make("select", { "aria-label": "How the net's result is drawn", change: () => { this.show = this.modes.value; this.draw(); } },
      ...["both", "fill", "rims"].map((mode) => make("option", { value: mode }, mode)));
    this.box = make("input", { type: "checkbox", checked: true, change: () => { this.shown = this.box.checked; this.draw(); this.#ask(); } });
    this.note = make("p", { class: "note", role: "status", id: "net-status" });
    byId("panels").append(make("section", { "aria-labelledby": "net-title" }, make("h2", { id: "net-title" }, "Net ", make("kbd", {}, "["), make("kbd", {}, "]")),
      make("div", { class: "row" }, make("label", {}, this.box, " show"), this.select, this.modes), this.note,
      make("button", { type: "button", id: "accept", click: () => this.accept() }, "Keep the object at the crosshair ", make("kbd", {}, "K"))));
    Object.assign(app.keys, { "[": () => this.step(-1), "]": () => this.step(1), K: () => this.accept() });
    app.netTrained = async (name) => { await this.refresh(); this.choose(name); };
    app.viewer.map.on("moveend", () => this.#ask());
    this.refresh();
  }

  async refresh() {
    this.models = await get("api/models");
    const names = this.models.map(({ name }) => name);
    if (!names.includes(this.chosen)) {
      const own = names.find((name) => /^\d+$/.test(name));
      this.chosen = own ?? (names.includes(this.app.project.base) ? this.app.project.base : "");
    }
    fill(this.select, make("option", { value: "" }, "none"), ...names.map((name) => make("option", { value: name, selected: name === this.chosen }, name)));
    this.select.value = this.chosen;
    this.draw();
    this.#ask();
    this.app.netsChanged?.(this.models);
  }

  opened() {
    this.draw();
    this.#ask();
  }

  choose(name) {
    this.chosen = name;
    this.select.value = name;
    this.draw();
    this.#ask();
  }

  step(by) {
    const names = this.models.map(({ name }) => name);
    if (names.length) this.choose(names[(names.indexOf(this.chosen) + by + names.length) % names.length]);
  }

  heard(message) {
    if (message.type === "tiles" && message.model === this.chosen && message.image === this.app.image?.id) {
      this.count += 1;
      this.layer?.getSource().setTileUrlFunction(this.#url(), `${this.count}`);
      this.#say(message.missing);
    }
    if (message.type === "warning") this.note.textContent = message.message;
    if (message.type === "job" && message.state !== "running") this.#ask();
  }

  async #ask() {
    const { viewer, image } = this.app;
    if (!this.chosen || !this.shown || !image || !viewer.view) return;
    const { bbox } = viewer.visible();
    this.epoch += 1;
    const epoch = this.epoch;
    try {
      const answer = await post("api/view", { image: image.id, bbox, model: this.chosen, epoch });
      if (epoch === this.epoch) this.#say(answer.missing, answer);
    } catch (error) {
      this.note.textContent = error.message;
    }
  }

  #say(missing, { far = false, waits = false } = {}) {
    const model = this.models.find(({ name }) => name === this.chosen);
    const license = model?.license ? `License of ${model.name}: ${model.license}. ` : "";
    const state = far ? "Zoom in to see what it finds." : waits ? "It waits for the training." : missing ? `Looking, ${missing} part${missing > 1 ? "s" : ""} left…` : "";
    this.note.textContent = license + state;
  }

  #url() {
    const id = encodeURIComponent(this.app.viewer.image.id);
    const top = this.app.viewer.image.levels - 1;
    const { chosen, show, count } = this;
    return ([z, x, y]) => `tiles/${id}/net/${chosen}/${top - z}/${x}/${y}?show=${show}&${this.app.overlays.query()}&n=${count}`;
  }

  draw() {
    const { viewer } = this.app;
    if (!viewer.image) return;
    if (!this.chosen || !this.shown) {
      this.layer = null;
      viewer.setOverlay("net", null);
      return;
    }
    this.count += 1;
    const { opacity, hidden } = this.app.overlays;
    this.layer = viewer.tiles("net", this.chosen, { opacity, visible: !hidden });
    this.layer.getSource().setTileUrlFunction(this.#url(), `${this.count}`);
    viewer.setOverlay("net", this.layer);
  }

  /** Keep the found object at the crosshair, or under the pointer, as an annotation. */
  async accept() {
    const { app } = this;
    if (!this.chosen) return;
    const [x, y] = app.pointer ?? app.viewer.center();
    const query = `bbox=${x - 1},${y - 1},${x + 1},${y + 1}&model=${encodeURIComponent(this.chosen)}&limit=5&${app.overlays.query()}`;
    const found = await get(`api/images/${encodeURIComponent(app.image.id)}/objects?${query}`);
    const object = found.find(({ geometry }) => geometry.type === "Polygon");
    if (!object) {
      this.note.textContent = "There is no found object here.";
      return;
    }
    const name = app.project.classes.some((each) => each.name === object.properties.classification?.name)
      ? object.properties.classification.name : app.project.classes[0].name;
    app.editor.add([{ geometry: object.geometry, name }], "accepted");
  }
}
