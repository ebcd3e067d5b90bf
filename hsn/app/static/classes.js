// The list of classes with their counts, the tools, and the tags of the image.
import { byId, css, drawn, fill, make } from "./dom.js";
import { symbolOf } from "./viewer.js";
import { ERASE, TOOLS } from "./tools.js";

const SPECIAL = { "Region*": ["R", "Complete region"], "Ignore*": ["I", "Ignored region"] };

/** Draw the buttons of the classes; `choose(name)` is called by them. */
export function showClasses(classes, counts, chosen, choose) {
  const rows = classes.map((each, k) => classButton(each.name, symbol(k, each.color), `${k + 1}`, each.name, counts, chosen, choose));
  for (const [name, [key, title]] of Object.entries(SPECIAL)) {
    rows.push(classButton(name, frame(name), key, title, counts, chosen, choose));
  }
  rows.push(classButton(ERASE, cross(), "0", "Erase", {}, chosen, choose));
  fill(byId("classes"), ...rows);
}

function classButton(name, mark, key, title, counts, chosen, choose) {
  return make("button", { type: "button", class: "class", "aria-pressed": String(name === chosen), "data-class": name,
    click: () => choose(name) }, make("kbd", {}, key), mark, title,
  counts[name] ? make("span", { class: "count" }, String(counts[name])) : null);
}

function symbol(index, color) {
  const shape = symbolOf(index);
  const look = { fill: css(color), stroke: "#000", "stroke-width": 1 };
  const mark = shape.circle ? drawn("circle", { cx: 9, cy: 9, r: 7, ...look }) : drawn("polygon", { points: shape.points, ...look });
  return drawn("svg", { width: 18, height: 18, "aria-hidden": "true" }, mark);
}

function frame(name) {
  const look = { x: 2, y: 3, width: 14, height: 12, stroke: "#000", "stroke-dasharray": "3 2", fill: name === "Ignore*" ? "#6e6e6e88" : "none" };
  return drawn("svg", { width: 18, height: 18, "aria-hidden": "true" }, drawn("rect", look));
}

function cross() {
  return drawn("svg", { width: 18, height: 18, "aria-hidden": "true" },
    drawn("path", { d: "M4 4L14 14M14 4L4 14", stroke: "#000", "stroke-width": 2 }));
}

/** Draw the buttons of the tools, and the width of the brush. */
export function showTools(tool, width_um, use, setWidth) {
  const buttons = Object.entries(TOOLS).map(([name, { title, key }]) => make("button", { type: "button",
    "aria-pressed": String(name === tool), "data-tool": name, click: () => use(name) }, `${title} `, make("kbd", {}, key)));
  const width = make("label", { class: "row" }, `Brush ${width_um.toPrecision(2)} µm `,
    make("input", { type: "range", min: 0, max: 40, step: 1, value: Math.round(10 * Math.log2(width_um)) / 10 * 4,
      "aria-label": "Width of the brush", input: (event) => setWidth(2 ** (event.target.value / 4)) }));
  fill(byId("tools"), ...buttons);
  byId("tool-hint").replaceChildren(TOOLS[tool].hint, ...(tool === "brush" ? [width] : []));
}

/** Draw the tags of the image: for each class present, absent or unknown. */
export function showTags(classes, tags, set) {
  const choices = [["yes", 1], ["no", 0], ["?", null]];
  fill(byId("tag-list"), ...classes.map(({ name }) => make("div", { class: "row", role: "group", "aria-label": name },
    ...choices.map(([title, value]) => make("button", { type: "button", "aria-pressed": String((tags[name] ?? null) === value),
      "aria-label": `${name}: ${title === "?" ? "unknown" : title}`, click: () => set(name, value) }, title)), ` ${name}`)));
}
