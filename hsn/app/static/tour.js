// A tour of two minutes through the first steps, as a panel above the classes.
import { byId, fill, make } from "./dom.js";

const STEPS = [
  ["Look around", "Drag the image, and zoom with the wheel. The small picture shows where you are, the bar how long 100 µm are."],
  ["Click nuclei", "Press 1, and click the middle of ten nuclei."],
  ["Paint background", "Press 2 and B, and paint three strokes where no nuclei are. After each one, color shows what your marks find so far."],
  ["Correct", "Where the color is wrong, mark one more. Z takes a mark back. Everything is saved at once: the time is at the top right."],
  ["Train", "Press T. A net learns from your marks, in some minutes; go on marking meanwhile. Its curve appears at the right."],
  ["Compare and export", "Press [ and ] to compare nets, and E to export annotations or results for QuPath. Press ? for all keys."],
];

export class Tour {
  constructor(app) {
    if (!app.project.tour) return;
    this.step = 0;
    this.box = make("section", { id: "tour", "aria-label": "Tour" });
    byId("classes").closest("aside").prepend(this.box);
    this.#draw();
  }

  #draw() {
    const [title, text] = STEPS[this.step];
    const go = (by) => make("button", { type: "button", disabled: !STEPS[this.step + by], click: () => { this.step += by; this.#draw(); } }, by > 0 ? "Next" : "Back");
    fill(this.box, make("h2", {}, `Tour ${this.step + 1} of ${STEPS.length}: ${title}`), make("p", {}, text),
      make("div", { class: "row" }, go(-1), go(1), make("button", { type: "button", click: () => this.box.remove() }, "Close")));
  }
}
