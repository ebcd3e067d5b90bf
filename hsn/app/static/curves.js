// Learning curves as SVG: the score of this training and of the last one, and the loss; a table says the same.
import { drawn, make } from "./dom.js";

const WIDTH = 260;
const HEIGHT = 100;
const NAMES = { validation_pq: "panoptic quality", validation_f1: "F1 of clicks", validation_iou: "mean IoU",
  validation_auc: "AUC", validation_loss: "validation loss", loss: "loss" };
export const SCORES = ["validation_pq", "validation_f1", "validation_iou", "validation_auc"];

/** Return the name of the best score that rows of a training have, or null. */
export const scoreOf = (rows) => SCORES.find((name) => rows.some((row) => typeof row[name] === "number")) ?? null;

/** Return the elements that show a training, beside the previous one. */
export function curvesOf(job, previous) {
  const rows = job.rows.filter((row) => typeof row.loss === "number");
  if (!rows.length) return [];
  const score = scoreOf(rows);
  const svg = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "curve", role: "img",
    "aria-label": `Curves of training ${job.name}; the table below has the numbers` });
  const losses = rows.map((row) => row.loss);
  const epochs = Math.max(job.epochs ?? 0, previous?.epochs ?? 0, rows[rows.length - 1].epoch ?? rows.length);
  line(svg, rows.map((row) => [row.epoch, row.loss]), epochs, Math.max(...losses, 1e-6), "#555", "4 3");
  if (score) {
    if (previous) line(svg, previous.rows.map((row) => [row.epoch, row[score]]), epochs, 1, "#7fa8d1", "2 3");
    line(svg, rows.map((row) => [row.epoch, row[score]]), epochs, 1, "#0b5cad", "");
  }
  const shown = [...(score ? [score] : []), "loss"];
  const legend = make("p", { class: "note" }, score ? `Solid: ${NAMES[score]}, 0 to 1${previous ? " (dotted: the training before)" : ""}. ` : "", "Dashed: loss.");
  return [svg, legend, tableOf(rows, shown)];
}

function line(svg, pairs, epochs, top, color, dash) {
  const points = pairs.filter(([, y]) => typeof y === "number").map(([x, y]) =>
    `${(8 + ((WIDTH - 16) * x) / Math.max(epochs, 1)).toFixed(1)},${(HEIGHT - 6 - ((HEIGHT - 12) * y) / top).toFixed(1)}`);
  svg.append(drawn("polyline", { points: points.join(" "), fill: "none", stroke: color, "stroke-width": 2, "stroke-dasharray": dash }));
}

function tableOf(rows, names) {
  const head = make("tr", {}, make("th", { scope: "col" }, "epoch"), ...names.map((name) => make("th", { scope: "col" }, NAMES[name])));
  const body = rows.slice(-8).map((row) => make("tr", {}, make("td", {}, String(row.epoch)),
    ...names.map((name) => make("td", {}, typeof row[name] === "number" ? row[name].toFixed(3) : ""))));
  return make("details", {}, make("summary", {}, "Numbers"), make("table", {}, head, ...body));
}
