// Trainings: start, progress, cancel, resume, and the curves.
import { byId, duration, fill, make, refill } from "./dom.js";
import { curvesOf, scoreOf } from "./curves.js";
import { del, get, post } from "./transport.js";

const STATES = { running: "training", done: "done", cancelled: "cancelled", failed: "failed", interrupted: "interrupted" };

export class Training {
  constructor(app) {
    this.app = app;
    this.jobs = [];
    this.last = null;
    this.box = make("div", {});
    this.actions = make("div", {});
    this.left = make("p", { class: "note", id: "training-left" }); // not announced: it changes each second
    this.status = make("p", { role: "status", "aria-live": "polite", id: "training-status" });
    this.button = make("button", { type: "button", class: "primary", id: "train", click: () => this.train() }, "Train ", make("kbd", {}, "T"));
    this.long = make("input", { type: "checkbox", title: "40 epochs that show every pixel, as hsn fit does; takes an hour or more" });
    this.base = make("select", { id: "base", "aria-label": "Net that the training begins with", change: () => this.#chooseBase() });
    this.baseNote = make("p", { class: "note", role: "status", id: "base-note" });
    byId("panels").append(make("section", { "aria-labelledby": "training-title" }, make("h2", { id: "training-title" }, "Training"),
      make("div", { class: "row" }, this.button, make("label", {}, this.long, " long")),
      make("label", { class: "row" }, "Begin with ", this.base), this.baseNote, this.status, this.left, this.actions, this.box));
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
    this.last = message.last;
    const job = this.jobs.find((each) => each.name === message.name);
    if (job) job.rows = message.rows;
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
    const sentence = this.#sentence(job);
    if (this.status.textContent !== sentence) this.status.textContent = sentence; // announced when it changes
    this.left.textContent = running && this.last ? this.#remaining(this.last) : "";
    this.#act(job);
    refill(this.box, ...curvesOf(job, previous?.rows.length ? previous : null), commandOf(job.command));
  }

  /** Offer to cancel or to resume; the button stays, and keeps the focus, until the state changes. */
  #act(job) {
    if (this.acted === `${job.name} ${job.state}`) return;
    this.acted = `${job.name} ${job.state}`;
    fill(this.actions, job.state === "running"
      ? make("button", { type: "button", id: "cancel", click: () => del(`api/jobs/${job.name}`) }, "Cancel")
      : ["cancelled", "failed", "interrupted"].includes(job.state)
        ? make("button", { type: "button", id: "resume", click: () => post(`api/jobs/${job.name}/resume`, {}) }, "Resume") : null);
  }

  #remaining({ stage, done, total, eta_s: left }) {
    const share = total ? ` ${Math.floor((100 * done) / total)} %` : "";
    return `${stage}${share}${left ? `, ${duration(left)} left` : ""}`;
  }

  #sentence(job) {
    const { state, name, reason } = job;
    const score = scoreOf(job.rows);
    const kept = job.rows.find(({ epoch }) => `${epoch}` === /^epoch (\d+)/.exec(job.notes)?.[1]);
    const from = job.checked ? `on ${job.checked} check image${job.checked > 1 ? "s" : ""}` : "on held-out parts of the training images";
    const known = state !== "done" ? ""
      : job.notes.includes("too few") ? ", score unknown: fewer than 20 clicks to check with"
        : typeof kept?.[score] === "number" ? `, score ${kept[score].toFixed(3)} ${from}` : ", score unknown: mark check images too";
    return `${name}: ${STATES[state] ?? "?"}${reason ? `: ${reason}` : ""}${known}`;
  }
}

/** Return the command line of a training or an export, and a button that copies it. */
export function commandOf(command, { open = false } = {}) {
  const button = make("button", { type: "button", click: async () => {
    await navigator.clipboard.writeText(command);
    button.textContent = "Copied";
  } }, "Copy");
  return make("details", { open }, make("summary", {}, "Command that repeats this"), make("pre", { class: "command" }, command), button);
}
