// Import of QuPath's GeoJSON, and export of annotations and results.
import { byId, make, openDialog } from "./dom.js";
import { commandOf } from "./training.js";
import { post } from "./transport.js";

const FORMATS = ["geojson", "csv", "label-images", "imagej", "coco", "ome-tiff", "parquet"];

export class Exchange {
  constructor(app) {
    this.app = app;
    this.status = make("p", { class: "note", role: "status", id: "export-status" });
    byId("panels").append(make("section", { "aria-labelledby": "exchange-title" }, make("h2", { id: "exchange-title" }, "Files"),
      make("div", { class: "row" }, make("button", { type: "button", id: "import", click: () => this.importFile() }, "Import GeoJSON"),
        make("button", { type: "button", id: "export", click: () => this.exportDialog() }, "Export ", make("kbd", {}, "E"))), this.status));
    app.keys.E = () => this.exportDialog();
  }

  heard(message) {
    if (message.type !== "export") return;
    this.status.replaceChildren(message.state === "done"
      ? make("a", { href: `api/exports/${message.name}.zip`, download: "" }, `Export ${message.name} is ready: download`)
      : `Export ${message.name} failed: ${message.reason}`);
  }

  /** Ask for a file, compare it with the annotations of this image, and ask what to do. */
  importFile() {
    const input = make("input", { type: "file", accept: ".geojson,.json,.gz", "aria-label": "GeoJSON file" });
    const error = make("p", { role: "alert" });
    const close = openDialog("Import annotations of this image", make("p", {}, "QuPath: File, Export objects as GeoJSON."), input, error,
      make("button", { type: "button", click: () => close() }, "Cancel"));
    input.addEventListener("change", async () => {
      try {
        const geojson = JSON.parse(await textOf(input.files[0]));
        const found = await post(`api/images/${encodeURIComponent(this.app.image.id)}/import`, { geojson });
        this.#confirm(found);
      } catch (failure) {
        error.textContent = failure.message;
      }
    });
  }

  #confirm({ new: added, changed, missing, same, left_out: leftOut, skipped, unknown }) {
    const remove = make("input", { type: "checkbox" });
    const names = Object.keys(unknown);
    const apply = () => {
      this.app.editor.applyImport([...added, ...changed, ...(remove.checked ? missing : [])]);
      close();
    };
    const close = openDialog("Import", make("p", {}, `${added.length} new, ${changed.length} changed, ${same} equal.`),
      missing.length ? make("label", {}, remove, ` remove the ${missing.length} annotations that the file does not hold`) : null,
      leftOut ? make("p", { class: "note" }, `${leftOut} left out: ${skipped[0]}`) : null,
      names.length ? make("p", { class: "note" }, `Classes that this project does not have are left out: ${names.join(", ")}.`) : null,
      make("div", { class: "row" }, make("button", { type: "button", class: "primary", id: "import-apply", click: apply }, "Import"),
        make("button", { type: "button", click: () => close() }, "Cancel")));
  }

  exportDialog() {
    const { app } = this;
    const nets = app.nets.models.map(({ name }) => make("option", { value: name, selected: name === app.nets.chosen }, name));
    const net = make("select", { "aria-label": "Net of the results" }, ...nets);
    const all = make("input", { type: "checkbox" });
    const boxes = FORMATS.map((name) => make("input", { type: "checkbox", value: name, checked: name === "geojson" }));
    const error = make("p", { role: "alert" });
    const start = async () => {
      const images = all.checked ? app.project.images.map(({ id }) => id) : [app.image.id];
      const formats = boxes.filter((box) => box.checked).map((box) => box.value);
      try {
        const { name, commands } = await post("api/export", { images, formats, model: net.value });
        this.status.textContent = `Export ${name} is being made…`;
        close();
        openDialog(`Export ${name}`, make("p", {}, "It runs in the background; a link appears under Files when it is done."), commandOf(commands.join("\n"), { open: true }),
          make("button", { type: "button", class: "primary", click: () => byId("dialog").close() }, "Close"));
      } catch (failure) {
        error.textContent = failure.message;
      }
    };
    const close = openDialog("Export",
      make("h3", {}, "Annotations"), make("p", {}, make("a", { href: "api/annotations.zip", download: "", id: "annotations-zip" }, "Download all annotations"), " as GeoJSON for QuPath."),
      make("h3", {}, "Results of a net"), make("label", {}, "Net ", net), make("label", {}, all, " all images (otherwise this one)"),
      make("div", { class: "row" }, ...boxes.map((box, k) => make("label", {}, box, ` ${FORMATS[k]}`))), error,
      make("div", { class: "row" }, make("button", { type: "button", class: "primary", id: "export-start", click: start }, "Export"),
        make("button", { type: "button", click: () => close() }, "Close")));
  }
}

/** Return the text of a file, which may be compressed. */
async function textOf(file) {
  if (!file.name.endsWith(".gz")) return file.text();
  return new Response(file.stream().pipeThrough(new DecompressionStream("gzip"))).text();
}
