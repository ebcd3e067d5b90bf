// Starts the page, and holds its state: the project, the shown image, the chosen class and tool.
import { byId, make, openDialog } from "./dom.js";
import { showClasses, showTags, showTools } from "./classes.js";
import { Editor } from "./editor.js";
import { Exchange } from "./exchange.js";
import { Help } from "./help.js";
import { KEYS, listenToKeys } from "./keyboard.js";
import { Nets } from "./nets.js";
import { Overlays } from "./overlays.js";
import { askAim, askScale } from "./start.js";
import { Strip, imageButtons } from "./strip.js";
import { ERASE, Tools } from "./tools.js";
import { Sender, get, listen, post } from "./transport.js";
import { Tour } from "./tour.js";
import { Training } from "./training.js";
import { Viewer } from "./viewer.js";

class App {
  async start() {
    this.project = await get("api/project");
    if (!this.project.aim) {
      await askAim(this.project.aims);
      this.project = await get("api/project");
    }
    this.image = null;
    this.modules = [];
    this.viewer = new Viewer(byId("map"));
    this.viewer.classes = this.project.classes;
    this.sender = new Sender(this.project.id, this.project.seq, {
      saving: () => this.#status("saving…"),
      saved: (answer) => this.saved(answer),
      failed: (reason) => this.alarm(`NOT SAVED: ${reason}. Your edits are kept in this page and are sent again.`),
      newer: (edits) => this.editor.accept(edits),
      refused: (edits, error) => this.#refused(error),
    });
    this.editor = new Editor(this.viewer, this.sender, () => this.#edited());
    this.state = { name: this.project.classes[0].name, width_um: 6, origin: () => this.origin ?? "free" };
    this.tools = new Tools(this.viewer, this.editor, this.state);
    this.tool = this.project.tool;
    this.strip = new Strip();
    this.strip.add("images", "Images", () => imageButtons(this.project.images, this.image?.id, (id) => this.open(id)));
    this.#buttons();
    new Tour(this);
    byId("project-name").textContent = this.project.name;
    listenToKeys(this.#keys(), this.viewer);
    this.overlays = new Overlays(this);
    this.nets = new Nets(this);
    this.modules = [this.overlays, new Training(this), this.nets, new Help(this), new Exchange(this)];
    this.viewer.map.on("pointermove", (event) => this.#position(event.coordinate));
    this.source = listen(this.sender.session, (message) => this.#heard(message), () => this.#lost());
    for (const { id } of this.project.images) if (await this.open(id)) break;
    if (!this.sender.waiting.length) this.#status("all saved");
    this.#drawKept();
  }

  /** Draw the edits that an earlier page could not send, once they are saved. */
  #drawKept() {
    if (!this.sender.hadKept || !this.image || this.sender.waiting.length) return;
    this.sender.hadKept = false;
    this.reload();
  }

  /** Show an image; returns whether it could be read. */
  async open(id) {
    const alarm = byId("alarm");
    if (this.failed) alarm.hidden = true;
    this.failed = false;
    try {
      await this.#open(id);
      return true;
    } catch (error) {
      this.failed = Boolean(this.image); // at the start, the reason stays until something is saved
      alarm.textContent = `${id}: ${error.message}`;
      alarm.hidden = false;
      return false;
    }
  }

  async #open(id) {
    let image = await get(`api/images/${encodeURIComponent(id)}`);
    if (image.mpp === null && await askScale(image)) image = await get(`api/images/${encodeURIComponent(id)}`);
    const { features } = await get(`api/images/${encodeURIComponent(id)}/features`);
    this.image = image;
    this.viewer.show(image);
    this.editor.load(image, features);
    this.use(this.tool);
    this.#facts();
    this.strip.refresh("images");
    for (const module of this.modules) module.opened?.(image);
    this.viewer.focus();
  }

  /** Open the next or the previous image. */
  turn(step) {
    const ids = this.project.images.map((image) => image.id);
    const next = ids[ids.indexOf(this.image.id) + step];
    if (next) this.open(next);
  }

  choose(name) {
    if (name && this.tools.renameSelected(name)) return;
    this.state.name = name;
    if (this.tool === "select" || (this.tool === "polygon" && this.tools.tool !== this.wanted)) this.tool = this.wanted;
    this.use(this.tool);
  }

  use(tool) {
    this.wanted = tool === "select" ? this.wanted ?? "click" : tool;
    this.tool = this.tools.use(tool);
    this.#panel();
  }

  setWidth(width_um) {
    this.state.width_um = Math.min(Math.max(width_um, 1), 1000);
    this.#panel();
  }

  saved(answer) {
    byId("alarm").hidden = !this.editor.readOnly;
    this.#status(`saved ${new Date().toTimeString().slice(0, 5)}`);
    if (answer.counts) this.#counts(answer.counts);
    this.#drawKept();
    for (const module of this.modules) module.saved?.(answer);
  }

  alarm(text) {
    const alarm = byId("alarm");
    alarm.hidden = !text;
    alarm.textContent = text;
    if (text) this.#status("NOT SAVED");
  }

  #status(text) {
    byId("saved").textContent = text;
  }

  async #refused(error) {
    this.alarm(`NOT SAVED: ${error.message}`);
    await this.reload();
  }

  /** Ask the server for the annotations of the shown image again. */
  async reload() {
    const { features, seq } = await get(`api/images/${encodeURIComponent(this.image.id)}/features`);
    this.sender.seq = seq;
    this.viewer.vectors.clear();
    this.editor.load({ ...this.image, tags: this.editor.tags }, features);
  }

  #heard(message) {
    if (message.type === "hello" || message.type === "writer") this.#writer(message.writer);
    if (message.type === "saved") this.#counts(message.counts);
    for (const module of this.modules) module.heard?.(message);
  }

  #lost() {
    if (this.sender.waiting.length === 0) this.#status("the server does not answer");
  }

  /** React to who may edit: the page that was opened first. */
  #writer(session) {
    const other = session !== null && session !== this.sender.session;
    if (this.editor.readOnly && !other) this.reload();
    this.editor.readOnly = other;
    const alarm = byId("alarm");
    if (other) {
      alarm.textContent = "Another page edits this project; this one only shows it.";
      alarm.hidden = false;
    } else if (!this.sender.waiting.length) {
      alarm.hidden = true;
    }
    this.#status(other ? "read only" : "all saved");
    this.#panel();
  }

  #counts(counts) {
    for (const image of this.project.images) image.counts = counts[image.id] ?? {};
    this.#panel();
    this.strip.refresh("images");
  }

  /** Return the number of annotations of each class in all images. */
  totals() {
    const totals = {};
    for (const { counts } of this.project.images) {
      for (const [name, n] of Object.entries(counts)) totals[name] = (totals[name] ?? 0) + n;
    }
    return totals;
  }

  #edited() {
    showTags(this.project.classes, this.editor.tags, (name, value) => this.editor.tag(name, value));
    byId("undo").disabled = !this.editor.done.length;
    byId("redo").disabled = !this.editor.undone.length;
    for (const module of this.modules) module.edited?.();
  }

  #panel() {
    if (!this.image) return;
    showClasses(this.project.classes, this.totals(), this.state.name, (name) => this.choose(name));
    showTools(this.tool, this.state.width_um, (tool) => this.use(tool), (width) => this.setWidth(width));
  }

  #facts() {
    const { name, mpp, mpp_source, width, height, role } = this.image;
    const index = this.project.images.findIndex((image) => image.id === this.image.id) + 1;
    const source = mpp_source === "metadata" ? "from the file" : "as given";
    const scale = mpp === null ? "scale unknown" : `${Number(mpp.toPrecision(4))} µm/px (${source})`;
    byId("image-facts").textContent = `${name} · ${index} of ${this.project.images.length} · ${scale} · ${width} × ${height} px`;
    const button = byId("role");
    button.textContent = role === "check" ? "check image" : "learned from";
    button.setAttribute("aria-pressed", String(role === "check"));
    button.title = "Check images are never learned from; scores come from them.";
  }

  async #changeRole() {
    const role = this.image.role === "check" ? "learn" : "check";
    await post(`api/images/${encodeURIComponent(this.image.id)}`, { role });
    this.image.role = role;
    this.project.images.find((image) => image.id === this.image.id).role = role;
    this.#facts();
    this.strip.refresh("images");
  }

  #position([x, y]) {
    this.pointer = [x, -y];
    byId("position").textContent = `x ${Math.floor(x)}  y ${Math.floor(-y)}`;
  }

  #buttons() {
    byId("undo").addEventListener("click", () => this.editor.undo());
    byId("redo").addEventListener("click", () => this.editor.redo());
    byId("role").addEventListener("click", () => this.#changeRole());
    byId("help-open").addEventListener("click", () => this.showKeys());
  }

  showKeys() {
    const rows = KEYS.map(([keys, does]) => make("tr", {}, make("td", {}, make("kbd", {}, keys)), make("td", {}, does)));
    const close = openDialog("Keys", make("table", {}, ...rows),
      make("p", { class: "note" }, "Everything works without a mouse: Tab to the image, arrows, Enter."),
      make("button", { type: "button", class: "primary", click: () => close() }, "Close"));
  }

  #keys() {
    addEventListener("keydown", (event) => { if (event.key.startsWith("Arrow")) this.pointer = null; }, true);
    const keys = {
      0: () => this.choose(ERASE), R: () => this.choose("Region*"), I: () => this.choose("Ignore*"),
      C: () => this.use("click"), B: () => this.use("brush"), G: () => this.use("polygon"), V: () => this.use("select"),
      ",": () => this.setWidth(this.state.width_um / 1.3), ".": () => this.setWidth(this.state.width_um * 1.3),
      Z: () => this.editor.undo(), "Shift-Z": () => this.editor.redo(), Y: () => this.editor.redo(),
      Delete: () => this.tools.removeSelected(), Backspace: () => this.tools.removeSelected(),
      Escape: () => this.tools.cancel(), PageUp: () => this.turn(-1), PageDown: () => this.turn(1), "?": () => this.showKeys(),
      "Shift-Enter": () => this.tools.finish(), Enter: () => this.tools.enter(), spaceReleased: () => {},
    };
    this.project.classes.forEach(({ name }, k) => { keys[k + 1] = () => this.choose(name); });
    this.keys = keys;
    return keys;
  }
}

const app = new App();
globalThis.hsn = app; // for the tests of the browser
app.start().catch((error) => app.alarm(error.message));
