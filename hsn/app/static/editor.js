// Changes annotations: draws them at once, sends them to the server, and can take them back.
import { newId } from "./dom.js";

export class Editor {
  /**
   * `viewer` draws, `sender` sends; `changed()` is called after each change of the features of the shown image.
   */
  constructor(viewer, sender, changed) {
    Object.assign(this, { viewer, sender, changed });
    this.image = null;
    this.features = new Map();
    this.tags = {};
    this.done = [];
    this.undone = [];
    this.readOnly = false;
  }

  /** Show the features of an image. */
  load(image, features) {
    this.image = image;
    this.tags = { ...image.tags };
    this.features = new Map(features.map((feature) => [feature.id, feature]));
    for (const feature of features) this.viewer.put(feature);
    this.changed();
  }

  /** Draw features that other code stored on the server, for example an import. */
  accept(edits) {
    for (const edit of edits) if (edit.image === this.image?.id) this.#draw(edit);
    this.changed();
  }

  /** Add new features of this image: `[{geometry, name, width_um}]`; returns their ids. */
  add(shapes, origin = "free") {
    const edits = shapes.map(({ geometry, name, width_um }) => {
      const id = newId();
      const properties = { objectType: "annotation", classification: { name } };
      if (geometry.type === "LineString") properties.hsn = { width_um };
      return { op: "put", image: this.image.id, id, origin, feature: { type: "Feature", id, geometry, properties } };
    });
    this.#act(edits);
    return edits.map((edit) => edit.id);
  }

  /** Apply the edits of an import; they can be taken back together. */
  applyImport(edits) {
    this.#act(edits);
  }

  /** Replace features that exist. */
  change(features) {
    this.#act(features.map((feature) => ({ op: "put", image: this.image.id, id: feature.id, feature, origin: "correction" })));
  }

  remove(ids) {
    this.#act(ids.map((id) => ({ op: "remove", image: this.image.id, id })));
  }

  /** Set the tag of a class: 1 present, 0 absent, null unknown. */
  tag(name, value) {
    this.#act([{ op: "tag", image: this.image.id, id: name, value }]);
  }

  undo() {
    this.#back(this.done, this.undone);
  }

  redo() {
    this.#back(this.undone, this.done);
  }

  #back(from, to) {
    if (!from.length || this.readOnly) return;
    to.push(this.#apply(from.pop()));
  }

  #act(edits) {
    if (!edits.length || this.readOnly) return;
    this.done.push(this.#apply(edits));
    this.undone.length = 0;
  }

  /** Apply edits; return the edits that take them back. */
  #apply(edits) {
    const inverse = edits.map((edit) => this.#inverse(edit)).reverse();
    for (const edit of edits) if (edit.image === this.image.id) this.#draw(edit);
    this.sender.send(edits);
    this.changed();
    return inverse;
  }

  #inverse(edit) {
    // A step back on another image knows what was there, because it was a step forward there.
    const here = edit.image === this.image.id;
    if (edit.op === "tag") return { ...edit, value: here ? this.tags[edit.id] ?? null : edit.before, before: edit.value };
    const before = here ? this.features.get(edit.id) : edit.before;
    const common = { image: edit.image, id: edit.id, before: edit.feature ?? null };
    return before ? { ...common, op: "put", feature: before } : { ...common, op: "remove" };
  }

  #draw(edit) {
    if (edit.op === "tag") {
      if (edit.value === null) delete this.tags[edit.id];
      else this.tags[edit.id] = edit.value;
    } else if (edit.op === "put") {
      this.features.set(edit.id, edit.feature);
      this.viewer.put(edit.feature);
    } else {
      this.features.delete(edit.id);
      this.viewer.remove(edit.id);
    }
  }
}
