// The viewer as a widget of a notebook: tiles and annotations travel as messages of the kernel, see hsn/app/notebook.py.
import { make } from "./dom.js";
import { Editor } from "./editor.js";
import { listenToKeys } from "./keyboard.js";
import { TOOLS, Tools } from "./tools.js";
import { Viewer } from "./viewer.js";

/** Return a function that asks the kernel for the tile of an address. */
function loaderOf(model) {
  const waiting = new Map();
  let last = 0;
  model.on("msg:custom", ({ number }, buffers) => {
    const data = buffers[0] instanceof DataView ? buffers[0].buffer.slice(buffers[0].byteOffset, buffers[0].byteOffset + buffers[0].byteLength) : buffers[0];
    waiting.get(number)?.(new Blob([data]));
    waiting.delete(number);
  });
  return (path) => new Promise((resolve) => {
    last += 1;
    waiting.set(last, resolve);
    model.send({ number: last, path });
  });
}

class Widget {
  constructor(model, element) {
    this.model = model;
    this.classes = model.get("classes");
    this.map = make("div", { class: "hsn-map", tabindex: "0", role: "application",
      "aria-label": "The image. Arrow keys move, plus and minus zoom, Enter clicks at the crosshair." });
    this.cross = make("div", { class: "hsn-cross", "aria-hidden": "true" });
    this.bar = make("div", { class: "hsn-bar", role: "toolbar", "aria-label": "Tools" });
    this.status = make("span", { role: "status", "aria-live": "polite" });
    // JupyterLab must not take the keys of the widget for its own.
    this.root = make("div", { class: "hsn-widget", "data-lm-suppress-shortcuts": "true" }, this.bar,
      make("div", { class: "hsn-main" }, this.map, this.cross));
    element.append(this.root);
    this.viewer = new Viewer(this.map);
    this.viewer.load = loaderOf(model);
    this.viewer.classes = this.classes;
    this.editor = new Editor(this.viewer, { send: () => queueMicrotask(() => this.#store()) }, () => this.#count());
    this.state = { name: this.classes[0].name, width_um: 6, origin: () => "free" };
    this.tools = new Tools(this.viewer, this.editor, this.state);
    this.viewer.show(model.get("image"));
    this.editor.load(model.get("image"), model.get("features"));
    this.#net();
    this.#buttons();
    this.use("click");
    listenToKeys(this.#keys(), this.viewer, this.root);
    this.root.addEventListener("keydown", (event) => event.stopPropagation());
    model.on("change:features", () => this.#read());
  }

  /** Draw what the net finds, if there is one. */
  #net() {
    if (!this.model.get("net")) return;
    const draw = () => this.viewer.setOverlay("net", this.viewer.tiles("net", "0", { opacity: 0.8, visible: !this.hidden,
      query: `?least=${this.least ?? 0}` }));
    const least = make("input", { type: "range", min: 0, max: 95, step: 5, value: 0,
      "aria-label": "Threshold: the smallest probability that is shown", change: () => { this.least = least.value / 100; draw(); } });
    const shown = make("input", { type: "checkbox", checked: true, change: () => { this.hidden = !shown.checked; draw(); } });
    this.bar.append(make("label", {}, shown, ` ${this.model.get("net")}`), make("label", {}, "Threshold ", least));
    draw();
  }

  #buttons() {
    this.choices = this.classes.map(({ name }, k) => make("button", { type: "button", "data-class": name,
      click: () => this.choose(name) }, `${k + 1} ${name}`));
    this.kinds = Object.entries(TOOLS).map(([name, { title, key }]) => make("button", { type: "button", "data-tool": name,
      click: () => this.use(name) }, `${title} ${key}`));
    this.bar.prepend(...this.choices, ...this.kinds, make("button", { type: "button", click: () => this.editor.undo() }, "Undo Z"));
    this.bar.append(this.status);
  }

  choose(name) {
    if (!this.tools.renameSelected(name)) this.state.name = name;
    this.use(this.tool);
  }

  use(tool) {
    this.tool = this.tools.use(tool);
    for (const each of this.kinds) each.setAttribute("aria-pressed", String(each.dataset.tool === this.tool));
    for (const each of this.choices) each.setAttribute("aria-pressed", String(each.dataset.class === this.state.name));
  }

  #keys() {
    const keys = {
      C: () => this.use("click"), B: () => this.use("brush"), G: () => this.use("polygon"), V: () => this.use("select"),
      Z: () => this.editor.undo(), Y: () => this.editor.redo(), Enter: () => this.tools.enter(),
      "Shift-Enter": () => this.tools.finish(), Escape: () => this.tools.cancel(), Delete: () => this.tools.removeSelected(),
    };
    this.classes.forEach(({ name }, k) => { keys[k + 1] = () => this.choose(name); });
    return keys;
  }

  /** Give the kernel the annotations. */
  #store() {
    this.stored = [...this.editor.features.values()];
    this.model.set("features", this.stored);
    this.model.save_changes();
  }

  /** Draw the annotations that Python code has set. */
  #read() {
    const features = this.model.get("features");
    if (features === this.stored) return;
    this.viewer.vectors.clear();
    this.editor.load(this.model.get("image"), features);
  }

  #count() {
    const count = this.editor.features.size;
    this.status.textContent = `${count} mark${count === 1 ? "" : "s"}`;
  }
}

function render({ model, el }) {
  const widget = new Widget(model, el);
  return () => widget.viewer.map.setTarget(null);
}

export default { render };
