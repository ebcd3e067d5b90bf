// The overlays: the instant classifier and the net, their opacity, and what is shown of them.
import { byId, make } from "./dom.js";
import { post } from "./transport.js";

const REST_MS = 150;
const COARSEST = 3; // coarser views of the instant classifier would need too many tiles

export class Overlays {
  constructor(app) {
    this.app = app;
    this.live = true;
    this.unsure = false;
    this.hidden = false;
    this.instantVersion = 0;
    this.opacity = 0.8;
    this.least = 0; // smallest probability that is shown
    this.hiddenClasses = new Set();
    this.#panel();
    Object.assign(app.keys, {
      L: () => this.updateOnce(), U: () => this.showUnsure(!this.unsure), O: () => this.hide(!this.hidden),
      " ": () => this.#visible(false), spaceReleased: () => this.#visible(!this.hidden),
    });
    app.viewer.map.on("moveend", () => this.#tellTooCoarse());
  }

  #panel() {
    this.liveBox = make("input", { type: "checkbox", checked: true, change: () => this.setLive(this.liveBox.checked) });
    this.unsureBox = make("input", { type: "checkbox", change: () => this.showUnsure(this.unsureBox.checked) });
    this.showBox = make("input", { type: "checkbox", checked: true, change: () => this.hide(!this.showBox.checked) });
    this.note = make("p", { class: "note", role: "status" });
    const opacity = make("input", { type: "range", min: 0, max: 100, value: 80, "aria-label": "Opacity of the overlay",
      input: (event) => this.setOpacity(event.target.value / 100) });
    this.thresholdText = make("output", {}, "all");
    this.threshold = make("input", { type: "range", min: 0, max: 95, step: 5, value: 0, id: "threshold",
      "aria-label": "Threshold: the smallest probability that is shown", "aria-valuetext": "all",
      title: "Hides what the overlay and the net are less sure of. Exports hold everything.",
      input: () => this.setLeast(this.threshold.value / 100) });
    byId("panels").append(make("section", { "aria-labelledby": "overlay-title" },
      make("h2", { id: "overlay-title" }, "Overlay"),
      make("div", { class: "row" },
        make("label", {}, this.liveBox, " Live"),
        make("button", { type: "button", click: () => this.updateOnce() }, "Update once ", make("kbd", {}, "L"))),
      make("div", { class: "row" },
        make("label", {}, this.showBox, " show ", make("kbd", {}, "O")),
        make("label", {}, this.unsureBox, " unsure ", make("kbd", {}, "U"))),
      make("label", { class: "row" }, "Opacity ", opacity),
      make("label", { class: "row" }, "Threshold ", this.threshold, this.thresholdText),
      make("div", { class: "row", role: "group", "aria-label": "Shown classes" }, ...this.#classBoxes()), this.note));
  }

  /** Return a switch for each class that overlays show. */
  #classBoxes() {
    const classes = this.app.project.classes.map((each, k) => [each.name, k]).filter(([name]) => name.toLowerCase() !== "background");
    if (classes.length < 2) return [];
    return classes.map(([name, k]) => make("label", {}, make("input", { type: "checkbox", checked: true, "data-shown": name,
      change: (event) => this.showClass(k, event.target.checked) }), ` ${name}`));
  }

  opened() {
    this.#draw();
    if (this.live) this.#ask();
  }

  saved() {
    if (this.live) this.#ask();
  }

  heard(message) {
    if (message.type !== "fitted") return;
    this.instantVersion = message.version;
    if (this.live || this.once) this.#draw();
    this.once = false;
  }

  setLive(on) {
    this.live = on;
    this.liveBox.checked = on;
    if (on) this.#ask();
    this.#draw();
  }

  /** Fit and draw once, while the switch is off. */
  updateOnce() {
    this.once = true;
    this.#ask();
  }

  showUnsure(on) {
    this.unsure = on;
    this.unsureBox.checked = on;
    this.#draw();
  }

  hide(on) {
    this.hidden = on;
    this.showBox.checked = !on;
    this.#visible(!on);
  }

  setOpacity(opacity) {
    this.opacity = opacity;
    for (const layer of Object.values(this.app.viewer.overlays)) layer.setOpacity(opacity);
  }

  /** Show only what has this probability or more, in both overlays. */
  setLeast(least) {
    this.least = least;
    const text = least ? `${Math.round(100 * least)} %` : "all";
    this.thresholdText.textContent = text;
    this.threshold.setAttribute("aria-valuetext", text);
    this.#redraw();
  }

  showClass(index, on) {
    if (on) this.hiddenClasses.delete(index);
    else this.hiddenClasses.add(index);
    this.#redraw();
  }

  /** Draw both overlays again, once the hand rests. */
  #redraw() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { this.#draw(); this.app.nets.draw(); }, REST_MS);
  }

  /** Return the part of the address of a tile that states what is shown. */
  query() {
    return `least=${this.least}&hide=${[...this.hiddenClasses].join(",")}`;
  }

  async #ask() {
    const { version } = await post("api/live", {});
    if (version > this.instantVersion) this.heard({ type: "fitted", version });
  }

  /** Return the tile grid of the instant classifier: one resolution, that of its scale. */
  #grid() {
    const { extent, image } = this.app.viewer;
    return new ol.tilegrid.TileGrid({ extent, origin: [0, 0], tileSize: 512, resolutions: [image.instant_factor] });
  }

  #draw() {
    const { viewer } = this.app;
    if (!viewer.image) return;
    const shown = this.instantVersion > 0 && (this.live || this.once);
    const options = { grid: this.#grid(), opacity: this.opacity, visible: !this.hidden, query: `?${this.query()}`,
      maxResolution: COARSEST * viewer.image.instant_factor };
    viewer.setOverlay("instant", shown && !this.unsure ? viewer.tiles("instant", this.instantVersion, options) : null);
    viewer.setOverlay("unsure", shown && this.unsure ? viewer.tiles("instant-unsure", this.instantVersion, options) : null);
    this.#tellTooCoarse();
  }

  #visible(on) {
    for (const layer of Object.values(this.app.viewer.overlays)) layer.setVisible(on);
  }

  #tellTooCoarse() {
    const { viewer } = this.app;
    const coarse = viewer.image && viewer.view.getResolution() > COARSEST * viewer.image.instant_factor;
    this.note.textContent = this.live && this.instantVersion && coarse ? "Zoom in to see the live overlay." : "";
  }
}
