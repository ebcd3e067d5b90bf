// Questions at the start: what is it for, and how large is a pixel.
import { make, openDialog } from "./dom.js";
import { post } from "./transport.js";

/** Ask for the aim of a new project; resolves when it is stored. */
export function askAim(aims) {
  return new Promise((resolve) => {
    const dialog = document.getElementById("dialog");
    const stay = (event) => event.preventDefault(); // Escape does not answer the question
    const names = make("input", { type: "text", "aria-label": "Classes", placeholder: "Tumor, Stroma, Background" });
    const error = make("p", { role: "alert" });
    const choose = async (aim) => {
      const classes = classesOf(names.value, aims[aim].classes);
      try {
        await post("api/project", classes ? { aim, classes } : { aim });
        dialog.removeEventListener("cancel", stay);
        close();
        resolve();
      } catch (failure) {
        error.textContent = failure.message;
      }
    };
    const buttons = Object.entries(aims).map(([aim, { title, classes }], k) => make("button", { type: "button",
      class: k ? "" : "primary", "data-aim": aim, click: () => choose(aim) }, `${title} (${Object.keys(classes).join(", ")})`));
    const close = openDialog("What do you want to find?", make("div", { class: "choices" }, ...buttons),
      make("label", {}, "Own classes instead, separated by commas (leave empty for those in brackets):", names), error);
    dialog.addEventListener("cancel", stay);
  });
}

/** Return the classes that were typed; the kind follows the aim. */
function classesOf(text, standard) {
  const names = text.split(",").map((name) => name.trim()).filter(Boolean);
  if (!names.length) return null;
  const kind = Object.values(standard)[0];
  const entries = names.map((name) => [name, name.toLowerCase() === "background" ? "tissue" : kind]);
  if (!names.some((name) => name.toLowerCase() === "background")) entries.push(["Background", "tissue"]);
  return Object.fromEntries(entries);
}

/** Ask for the scale of an image that does not tell it. */
export function askScale(image) {
  return new Promise((resolve) => {
    const field = make("input", { type: "number", min: 0.05, max: 5, step: "any", required: true, "aria-label": "Micrometers per pixel" });
    const all = make("input", { type: "checkbox", checked: true });
    const error = make("p", { role: "alert" });
    const store = async (event) => {
      event.preventDefault();
      try {
        await post(`api/images/${encodeURIComponent(image.id)}`, { mpp: Number(field.value), all: all.checked });
        close();
        resolve(true);
      } catch (failure) {
        error.textContent = failure.message;
      }
    };
    const guesses = [["40x: 0.25", 0.25], ["20x: 0.5", 0.5], ["10x: 1", 1]].map(([title, value]) =>
      make("button", { type: "button", click: () => { field.value = value; } }, title));
    const form = make("form", { submit: store },
      make("p", {}, `The file ${image.name} does not say how large a pixel is. Scanners write it into slides; PNG and JPEG do not hold it.`),
      make("label", {}, "Micrometers per pixel ", field), make("div", { class: "row" }, ...guesses),
      make("label", {}, all, " also for all other images without a scale"), error,
      make("button", { type: "submit", class: "primary" }, "Use this scale"));
    const close = openDialog("How large is a pixel?", form);
    document.getElementById("dialog").addEventListener("close", () => resolve(false), { once: true });
    field.focus();
  });
}
