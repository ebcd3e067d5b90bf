// Click, brush, polygon and select: what the pointer does on the map, and what Enter does at the crosshair.
import { Viewer, toImage, toMap } from "./viewer.js";

export const TOOLS = {
  click: { title: "Click", key: "C", hint: "Click the middle of each object. Alt+click removes a mark." },
  brush: { title: "Brush", key: "B", hint: "Drag to paint; , and . change the width. The arrow keys or the middle button move the image." },
  polygon: { title: "Polygon", key: "G", hint: "Click corners; a double-click or Shift+Enter closes. Shift+drag draws freely, Esc stops." },
  select: { title: "Select", key: "V", hint: "Click an annotation, drag its corners; Del removes it, 1 to 9 change its class." },
};
export const ERASE = "erase";
const ONLY_POLYGONS = ["Region*", "Ignore*"];

export class Tools {
  /** `state` has the chosen class `name` (or ERASE), `width_um` and `origin()`. */
  constructor(viewer, editor, state) {
    Object.assign(this, { viewer, editor, state });
    this.tool = "click";
    this.added = [];
    viewer.map.on("click", (event) => this.#clicked(event));
  }

  /** Choose a tool; the class decides if it must be a polygon. */
  use(tool) {
    this.tool = ONLY_POLYGONS.includes(this.state.name) && tool !== "select" ? "polygon" : tool;
    for (const interaction of this.added) this.viewer.map.removeInteraction(interaction);
    this.added = [];
    if (this.tool !== "select") this.viewer.select(null);
    if (this.tool === "brush") this.#add(this.#brush(), middleButtonPan());
    if (this.tool === "polygon" && this.state.name !== ERASE) this.#add(this.#polygon());
    if (this.tool === "select") this.#editSelected();
    return this.tool;
  }

  #add(...interactions) {
    for (const interaction of interactions) {
      this.viewer.map.addInteraction(interaction);
      this.added.push(interaction);
    }
  }

  #clicked(event) {
    const place = toImage(event.coordinate);
    if (event.originalEvent.altKey || (this.state.name === ERASE && this.tool !== "brush")) this.#removeAt(event.pixel);
    else if (this.tool === "click") this.#point(place);
    else if (this.tool === "select") this.#choose(this.viewer.hit(event.pixel));
  }

  /** Do at the crosshair what a click does under the pointer. */
  enter() {
    const place = this.viewer.center();
    const pixel = this.viewer.centerPixel();
    if (this.state.name === ERASE) this.#removeAt(pixel);
    else if (this.tool === "click") this.#point(place);
    else if (this.tool === "brush") this.#stroke([place]);
    else if (this.tool === "select") this.#choose(this.viewer.hit(pixel));
    else this.#corner(place);
  }

  /** Add a corner of a polygon at the crosshair; a corner near the first one closes it. */
  #corner(place) {
    const draw = this.added[0];
    const near = 8 * this.viewer.view.getResolution();
    if (this.corners?.length >= 3 && Math.hypot(place[0] - this.corners[0][0], place[1] - this.corners[0][1]) < near) {
      this.finish();
      return;
    }
    this.corners = [...(this.corners ?? []), place];
    draw.appendCoordinates([toMap(place)]);
  }

  /** Close the polygon that is being drawn. */
  finish() {
    if (this.tool === "polygon") this.added[0]?.finishDrawing();
    this.corners = null;
  }

  /** Give up what is being drawn, or the selection. */
  cancel() {
    this.corners = null;
    if (this.tool === "polygon") this.added[0]?.abortDrawing?.();
    if (this.tool === "select") this.#choose(null);
  }

  removeSelected() {
    const id = this.viewer.selected;
    if (id === null) return false;
    this.#choose(null);
    this.editor.remove([id]);
    return true;
  }

  /** Give the selected annotation another class; returns whether there is a selection. */
  renameSelected(name) {
    const feature = this.editor.features.get(this.viewer.selected);
    if (this.tool !== "select" || !feature || name === ERASE) return false;
    const properties = { ...feature.properties, classification: { name } };
    this.editor.change([{ ...feature, properties }]);
    this.viewer.select(feature.id);
    return true;
  }

  #removeAt(pixel) {
    const id = this.viewer.hit(pixel);
    if (id !== null) this.editor.remove([id]);
  }

  #point(place) {
    if (!this.viewer.inside(place) || ONLY_POLYGONS.includes(this.state.name)) return;
    const coordinates = place.map((value) => Math.round(value * 100) / 100);
    this.editor.add([{ geometry: { type: "Point", coordinates }, name: this.state.name }], this.state.origin());
  }

  #stroke(places) {
    const inside = places.filter((place) => this.viewer.inside(place));
    if (!inside.length) return;
    const coordinates = thin(inside, this.viewer.view.getResolution());
    const geometry = { type: "LineString", coordinates: coordinates.length > 1 ? coordinates : [coordinates[0], coordinates[0]] };
    this.editor.add([{ geometry, name: this.state.name, width_um: this.state.width_um }], this.state.origin());
  }

  /** Return an interaction that paints a stroke, or erases what the pointer touches. */
  #brush() {
    let places = null;
    let sketch = null;
    const start = (event) => {
      if (event.originalEvent.button !== 0 || event.originalEvent.altKey || this.editor.readOnly) return false;
      places = [toImage(event.coordinate)];
      if (this.state.name !== ERASE) sketch = this.#sketch(places);
      return true;
    };
    const drag = (event) => {
      places.push(toImage(event.coordinate));
      if (this.state.name === ERASE) this.#removeAt(event.pixel);
      else sketch.getGeometry().setCoordinates(places.map(toMap));
    };
    const end = (event) => {
      if (this.state.name === ERASE) this.#removeAt(event.pixel);
      else this.#stroke(places);
      this.viewer.sketches.clear();
      places = null;
      return false;
    };
    return new ol.interaction.Pointer({ handleDownEvent: start, handleDragEvent: drag, handleUpEvent: end });
  }

  /** Draw a stroke that is not stored yet. */
  #sketch(places) {
    const shape = new ol.Feature(new ol.geom.LineString([places[0], places[0]].map(toMap)));
    shape.set("json", { geometry: { type: "LineString" }, properties: {
      classification: { name: this.state.name }, hsn: { width_um: this.state.width_um } } });
    this.viewer.sketches.addFeature(shape);
    return shape;
  }

  #polygon() {
    const draw = new ol.interaction.Draw({ type: "Polygon", freehandCondition: ol.events.condition.shiftKeyOnly,
      condition: (event) => event.originalEvent.button === 0 && !event.originalEvent.altKey && !this.editor.readOnly });
    draw.on("drawend", (event) => {
      this.corners = null;
      const geometry = { type: "Polygon", coordinates: Viewer.coordinatesOf(event.feature.getGeometry()) };
      this.editor.add([{ geometry, name: this.state.name }], this.state.origin());
    });
    draw.on("drawabort", () => { this.corners = null; });
    return draw;
  }

  #choose(id) {
    this.viewer.select(id);
    this.use("select");
  }

  /** Let the corners of the selected annotation be dragged, or the whole of it. */
  #editSelected() {
    const shape = this.viewer.selected === null ? null : this.viewer.vectors.getFeatureById(this.viewer.selected);
    if (!shape || this.editor.readOnly) return;
    const features = new ol.Collection([shape]);
    const store = () => {
      const feature = this.editor.features.get(shape.getId());
      const geometry = { ...feature.geometry, coordinates: Viewer.coordinatesOf(shape.getGeometry()) };
      this.editor.change([{ ...feature, geometry }]);
      this.use("select");
    };
    const translate = new ol.interaction.Translate({ features, condition: (event) => event.originalEvent.shiftKey
      || shape.getGeometry().getType() === "Point" });
    translate.on("translateend", store);
    this.#add(translate);
    if (shape.getGeometry().getType() !== "Point") {
      const modify = new ol.interaction.Modify({ features, condition: (event) => !event.originalEvent.shiftKey });
      modify.on("modifyend", store);
      this.#add(modify);
    }
  }
}

/** Return an interaction that moves the image with the middle button, while the left one paints. */
function middleButtonPan() {
  return new ol.interaction.DragPan({ condition: (event) => event.originalEvent.button === 1 });
}

/** Leave out places that are nearer to the last kept one than a pixel of the screen. */
function thin(places, step) {
  const kept = [places[0]];
  for (const place of places.slice(1, -1)) {
    const [x, y] = kept[kept.length - 1];
    if (Math.hypot(place[0] - x, place[1] - y) >= step) kept.push(place);
  }
  if (places.length > 1) kept.push(places[places.length - 1]);
  return kept.map((place) => place.map((value) => Math.round(value * 100) / 100));
}
