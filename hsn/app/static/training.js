// Trainings: start, progress, cancel, resume, and the curves.
import { byId, duration, fill, make } from "./dom.js";
import { curvesOf, scoreOf } from "./curves.js";
import { del, get, post } from "./transport.js";

const STATES = { running: "training", done: "done", cancelled: "cancelled", failed: "failed", interrupted: "interrupted" };

export class Training {
  constructor(app) {
    this.app = app;
    this.jobs = [];
    this.last = null;
    this.box = make("div", {});
    this.status = make("p", { role: "status", "aria-live": "polite", id: "training-status" });
    this.button = make("button", { type: "button", class: "primary", id: "train", click: () => this.train() }, "Train ", make("kbd", {}, "T"));
    this.long = make("input", { type: "checkbox" });
    this.base = make("select", { id: "base", "aria-label": "Net that the training begins with", change: () => this.#chooseBase() });
    this.baseNote = make("p", { class: "note", role: "status", id: "base-note" });
    byId("panels").append(make("section", { "aria-labelledby": "training-title" }, make("h2", { id: "training-title" }, "Training"),
      make("div", { class: "row" }, this.button, make("label", {}, this.long, " long")),
      make("label", { class: "row" }, "Begin with ", this.base), this.baseNote, this.status, this.box));
    app.keys.T = () => this.train();
    app.netsChanged = (models) => this.#showBases(models);
    this.refresh();
  }

  async refresh() {
    this.jobs = await get("api/jobs");
    this.#draw();
  }

  /** List the nets that a training can begin with. */
  #showBases(models) {
    this.bases = models.filter(({ base }) => base);
    const { base } = this.app.project;
    fill(this.base, ...this.bases.map(({ name }) => make("option", { value: name }, /^\d+$/.test(name) ? `${name} (trained here)` : name)),
      make("option", { value: "" }, "pretrained encoder only"));
    this.base.value = base;
    this.#describeBase();
  }

  /** Store the chosen net; one request at a time, so that the last choice wins. */
  #chooseBase() {
    this.#describeBase();
    this.stored = (this.stored ?? Promise.resolve()).then(() => this.#storeBase());
  }

  async #storeBase() {
    const base = this.base.value;
    if (base === this.app.project.base) return;
    try {
      await post("api/project", { base });
      this.app.project.base = base;
    } catch (error) {
      this.base.value = this.app.project.base;
      this.status.textContent = error.message;
      this.#describeBase();
    }
  }

  #describeBase() {
    const chosen = this.bases.find(({ name }) => name === this.base.value);
    const own = chosen && /^\d+$/.test(chosen.name);
    this.baseNote.textContent = own ? "A net that was trained again and again forgets; a shipped net and all marks are safer."
      : chosen ? `Learned from ${chosen.notes}.` : "The net knows textures of natural images only: it needs many more marks.";
  }

  async train() {
    if (this.button.disabled) return;
    this.button.disabled = true;
    try {
      await post("api/train", { long: this.long.checked });
      await this.refresh();
    } catch (error) {
      this.status.textContent = error.message;
      this.button.disabled = false;
    }
  }

  heard(message) {
    if (message.type === "job") {
      this.last = null;
      this.refresh().then(() => { if (message.state === "done") this.app.netTrained?.(message.name); });
    }
    if (message.type === "progress") this.#progress(message);
  }

  #progress(message) {
    this.last = message;
    const job = this.jobs.find((each) => each.name === message.name);
    if (job && message.epoch !== undefined && message.stage === "training") {
      const row = job.rows.find((each) => each.epoch === message.epoch);
      if (row) Object.assign(row, message);
      else job.rows.push({ ...message });
    }
    this.#draw();
  }

  #draw() {
    const [job, previous] = this.jobs;
    const running = job?.state === "running";
    this.button.disabled = running;
    if (!job) {
      this.status.textContent = "Nothing trained yet.";
      fill(this.box);
      return;
    }
    this.status.textContent = this.#sentence(job);
    const action = running
      ? make("button", { type: "button", id: "cancel", click: () => del(`api/jobs/${job.name}`) }, "Cancel")
      : ["cancelled", "failed", "interrupted"].includes(job.state)
        ? make("button", { type: "button", id: "resume", click: () => post(`api/jobs/${job.name}/resume`, {}) }, "Resume") : null;
    fill(this.box, action, ...curvesOf(job, previous?.rows.length ? previous : null), commandOf(job));
  }

  #sentence(job) {
    const { state, name, reason } = job;
    if (state === "running" && this.last) {
      const { stage, eta_s: left } = this.last;
      return `${name}: ${stage}${left ? `, ${duration(left)} left` : ""}`;
    }
    const score = scoreOf(job.rows);
    const best = score ? Math.max(...job.rows.map((row) => row[score] ?? 0)).toFixed(3) : null;
    const from = job.checked ? `on ${job.checked} check image${job.checked > 1 ? "s" : ""}` : "on held-out parts of the training images";
    const known = state === "done" ? (best ? `, best score ${best} ${from}` : ", score unknown: mark check images too") : "";
    return `${name}: ${STATES[state] ?? "?"}${state === "running" ? ", starting" : ""}${reason ? `: ${reason}` : ""}${known}`;
  }
}

/** Return the command line of a training, and a button that copies it. */
export function commandOf(job) {
  const button = make("button", { type: "button", click: async () => {
    await navigator.clipboard.writeText(job.command);
    button.textContent = "Copied";
  } }, "Copy");
  return make("details", {}, make("summary", {}, "Command that repeats this"), make("pre", { class: "command" }, job.command), button);
}
