// The map: tiles of the image, overlays, annotations. Only this file knows that OpenLayers counts y upwards.
import { css } from "./dom.js";

const SHAPES = [
  { points: 0 }, { points: 4, angle: Math.PI / 4 }, { points: 3 }, { points: 4 }, { points: 5 },
  { points: 5, radius2: 3 }, { points: 6 }, { points: 4, radius2: 2 }, { points: 3, angle: Math.PI },
];
const DASHES = [[], [8, 4], [2, 4], [12, 4, 2, 4], [16, 6], [4, 2], [1, 3], [10, 2, 2, 2], [6, 6]];
const SPECIAL = { "Region*": [0, 0, 0], "Ignore*": [110, 110, 110] };
const SELECTED = "#ff00c8";

export const toMap = ([x, y]) => [x, -y];
export const toImage = ([x, y]) => [x, -y];
const turn = (coordinates) => (typeof coordinates[0] === "number" ? toMap(coordinates) : coordinates.map(turn));

export class Viewer {
  constructor(element) {
    this.vectors = new ol.source.Vector();
    this.sketches = new ol.source.Vector();
    this.classes = [];
    this.selected = null;
    this.overlays = {};
    this.load = null; // in a notebook: a function that returns the tile of an address, as a Blob
    const controls = ol.control.defaults.defaults({ attribution: false, rotate: false });
    this.map = new ol.Map({ target: element, controls, interactions: ol.interaction.defaults.defaults({
      altShiftDragRotate: false, pinchRotate: false, doubleClickZoom: false, keyboard: false }) });
    this.scale = new ol.control.ScaleLine({ units: "metric", minWidth: 90 });
  }

  /** Show an image: `{id, width, height, levels, mpp}`. */
  show(image) {
    this.image = image;
    this.extent = [0, -image.height, image.width, 0];
    // One unit of the projection is a pixel; the scale line needs its length in meters.
    this.projection = new ol.proj.Projection({ code: "pixels", units: "pixels", extent: this.extent,
      metersPerUnit: (image.mpp ?? 1) * 1e-6, getPointResolution: (resolution) => resolution });
    const resolutions = Array.from({ length: image.levels }, (_, i) => 2 ** (image.levels - 1 - i));
    this.grid = new ol.tilegrid.TileGrid({ extent: this.extent, origin: [0, 0], tileSize: 512, resolutions });
    const picture = this.tiles("image", "", { interpolate: true });
    this.vectorLayer = new ol.layer.Vector({ source: this.vectors, updateWhileAnimating: true,
      updateWhileInteracting: true, style: (feature, resolution) => this.styleOf(feature, resolution) });
    const sketch = new ol.layer.Vector({ source: this.sketches, updateWhileInteracting: true,
      style: (feature, resolution) => this.styleOf(feature, resolution) });
    this.overlays = {};
    this.vectors.clear();
    this.sketches.clear();
    this.map.setLayers([picture, this.vectorLayer, sketch]);
    const largest = Math.max(image.width / 400, image.height / 300, 2 ** (image.levels - 1));
    this.view = new ol.View({ projection: this.projection, extent: this.extent, showFullExtent: true,
      constrainOnlyCenter: true, minResolution: 1 / 16, maxResolution: largest, smoothResolutionConstraint: false });
    this.map.setView(this.view);
    this.view.fit(this.extent, { padding: [10, 10, 10, 10] });
    this.#controls();
  }

  #controls() {
    if (this.overview) this.map.removeControl(this.overview);
    this.map.removeControl(this.scale);
    this.overview = new ol.control.OverviewMap({ collapsed: false, collapsible: false,
      layers: [this.tiles("image", "", { interpolate: true })],
      view: new ol.View({ projection: this.projection, extent: this.extent, showFullExtent: true,
        maxResolution: 2 ** this.image.levels, constrainOnlyCenter: true }) });
    this.map.addControl(this.overview);
    if (this.image.mpp) this.map.addControl(this.scale);
  }

  /** Return a layer of tiles of this image: `kind` and `version` are parts of the address. */
  tiles(kind, version, { interpolate = false, grid = this.grid, query = "", ...options } = {}) {
    const id = encodeURIComponent(this.image.id);
    const top = grid.getResolutions().length - 1;
    const middle = version === "" ? "" : `/${version}`;
    return new ol.layer.Tile({ ...options, extent: this.extent, source: new ol.source.TileImage({
      projection: this.projection, tileGrid: grid, interpolate, transition: interpolate ? 120 : 0, cacheSize: 256,
      tileLoadFunction: this.load ? (tile, path) => this.#fetch(tile, path) : undefined,
      tileUrlFunction: ([z, x, y]) => `tiles/${id}/${kind}${middle}/${top - z}/${x}/${y}${query}` }) });
  }

  /** Load a tile by `this.load`. */
  async #fetch(tile, path) {
    const image = tile.getImage();
    const address = URL.createObjectURL(await this.load(path));
    image.addEventListener("load", () => URL.revokeObjectURL(address), { once: true });
    image.src = address;
  }

  /** Put a layer over the image, under the annotations; the old one of this name goes when the new one is drawn. */
  setOverlay(name, layer) {
    const old = this.overlays[name];
    const layers = this.map.getLayers();
    const order = ["net", "instant", "unsure"];
    if (layer) {
      const below = order.slice(0, order.indexOf(name)).filter((other) => this.overlays[other]).length;
      layers.insertAt(old ? layers.getArray().indexOf(old) + 1 : 1 + below, layer);
      if (old) this.map.once("rendercomplete", () => layers.remove(old));
      this.overlays[name] = layer;
    } else if (old) {
      layers.remove(old);
      delete this.overlays[name];
    }
  }

  /** Draw a feature, or draw it again. */
  put(feature) {
    this.remove(feature.id);
    const kinds = { Point: ol.geom.Point, LineString: ol.geom.LineString, Polygon: ol.geom.Polygon };
    const { type, coordinates } = feature.geometry;
    const shape = new ol.Feature(new kinds[type](turn(coordinates)));
    shape.setId(feature.id);
    shape.set("json", feature);
    this.vectors.addFeature(shape);
    return shape;
  }

  remove(id) {
    const old = this.vectors.getFeatureById(id);
    if (old) this.vectors.removeFeature(old);
  }

  /** Return the coordinates of a drawn shape as they are stored. */
  static coordinatesOf(geometry) {
    const rounded = (value) => Math.round(value * 100) / 100;
    const store = (c) => (typeof c[0] === "number" ? toImage(c).map(rounded) : c.map(store));
    return store(geometry.getCoordinates());
  }

  styleOf(shape, resolution) {
    const feature = shape.get("json");
    const name = feature.properties.classification.name;
    const index = this.classes.findIndex((each) => each.name === name);
    const color = index < 0 ? SPECIAL[name] ?? [0, 0, 0] : this.classes[index].color;
    const chosen = shape.getId() !== undefined && shape.getId() === this.selected;
    const rim = chosen ? SELECTED : "#fff";
    if (feature.geometry.type === "Point") return pointStyle(Math.max(index, 0), color, rim, chosen);
    if (feature.geometry.type === "LineString") {
      const width = (feature.properties.hsn?.width_um ?? 1) / (this.image.mpp ?? 1) / resolution;
      return strokeStyle(color, Math.max(width, 2), chosen);
    }
    return polygonStyle(Math.max(index, 0), name, color, chosen);
  }

  /** Return the id of the annotation at a pixel of the map. */
  hit(pixel) {
    const found = this.map.forEachFeatureAtPixel(pixel, (shape) => shape, { hitTolerance: 4,
      layerFilter: (layer) => layer === this.vectorLayer });
    return found?.getId() ?? null;
  }

  select(id) {
    this.selected = id;
    this.vectors.changed();
  }

  inside([x, y]) {
    return x >= 0 && y >= 0 && x <= this.image.width && y <= this.image.height;
  }

  center() {
    return toImage(this.view.getCenter());
  }

  centerPixel() {
    const [width, height] = this.map.getSize();
    return [width / 2, height / 2];
  }

  /** Move to a place, so that a box of the image is visible. */
  goTo([left, top, right, bottom], { least = 1 } = {}) {
    const extent = [left, -bottom, right, -top];
    this.view.fit(extent, { padding: [60, 60, 60, 60], minResolution: least / 2 });
  }

  move(columns, rows) {
    const [x, y] = this.view.getCenter();
    const step = this.view.getResolution();
    this.view.setCenter([x + columns * step, y - rows * step]);
  }

  zoom(factor) {
    this.view.adjustResolution(factor);
  }

  /** Return the visible box of the image [left, top, right, bottom], and the resolution. */
  visible() {
    const [left, bottom, right, top] = this.view.calculateExtent(this.map.getSize());
    return { bbox: [left, -top, right, -bottom], resolution: this.view.getResolution() };
  }

  focus() {
    this.map.getTargetElement().focus();
  }
}

function pointStyle(index, color, rim, chosen) {
  const { points, ...shape } = SHAPES[index % SHAPES.length];
  const look = { fill: new ol.style.Fill({ color: css(color) }), radius: chosen ? 9 : 7,
    stroke: new ol.style.Stroke({ color: rim, width: 2 }) };
  const outer = new ol.style.Circle({ radius: look.radius + 2, stroke: new ol.style.Stroke({ color: "#000", width: 1 }) });
  const image = points ? new ol.style.RegularShape({ ...look, ...shape, points }) : new ol.style.Circle(look);
  return points ? new ol.style.Style({ image }) : [new ol.style.Style({ image: outer }), new ol.style.Style({ image })];
}

function strokeStyle(color, width, chosen) {
  const round = { lineCap: "round", lineJoin: "round" };
  const body = new ol.style.Style({ stroke: new ol.style.Stroke({ color: css(color, 0.55), width, ...round }) });
  const middle = new ol.style.Style({ stroke: new ol.style.Stroke({ color: chosen ? SELECTED : "#fff", width: 1.5, ...round }) });
  return [body, middle];
}

function polygonStyle(index, name, color, chosen) {
  const special = name in SPECIAL;
  const lineDash = special ? [6, 6] : DASHES[index % DASHES.length];
  const fill = new ol.style.Fill({ color: special ? css(color, name === "Ignore*" ? 0.35 : 0) : css(color, 0.2) });
  const under = new ol.style.Style({ fill, stroke: new ol.style.Stroke({ color: "#fff", width: 4 }) });
  const line = new ol.style.Style({ stroke: new ol.style.Stroke({ color: chosen ? SELECTED : css(color), width: 2.5, lineDash }) });
  return [under, line];
}

/** Return the shape of the marks of a class as SVG attributes, for the list of classes. */
export function symbolOf(index) {
  const { points, angle = 0, radius2 } = SHAPES[index % SHAPES.length];
  if (!points) return { circle: true };
  const corners = [];
  const count = radius2 ? 2 * points : points;
  for (let k = 0; k < count; k++) {
    const radius = radius2 && k % 2 ? radius2 : 7;
    const turned = angle + (2 * Math.PI * k) / count - Math.PI / 2;
    corners.push(`${(9 + radius * Math.cos(turned)).toFixed(1)},${(9 + radius * Math.sin(turned)).toFixed(1)}`);
  }
  return { points: corners.join(" ") };
}
