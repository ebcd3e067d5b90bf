"""The instant classifier of a project: fitted after each edit, applied to the tiles that are visible."""

import hashlib
import json
import threading
from collections.abc import Callable, Collection
from typing import Any

import cv2
import numpy as np

from ..annotations.annotation import is_background_class
from ..instant.features import MARGIN_PX, compute_maps
from ..instant.regression import Regression, fit
from .annotations import Annotations
from .features import SPECIAL, bounds_of, class_of
from .project import Project
from .tiles import EMPTY, TILE_PX, Cache, palette_png, read_box

MARK_UM = 1.0  # radius of the pixels around a click
SAMPLED_PIXELS = 300  # of one annotation
_TILES = 24  # tiles whose maps are kept, 29 MB each
_MODELS = 4  # fits whose tiles can still be asked for
_OPACITY = 120
_UNSURE = (255, 0, 200)
_UNSURE_STEPS = 8


class Live:
    """Fits and applies the classifier.

    Parameters
    ----------
    project : Project
    annotations : Annotations
    on_fit : callable
        Called with the number of each new fit, in a thread.
    """

    def __init__(self, project: Project, annotations: Annotations, on_fit: Callable[[int], None]) -> None:
        self._project, self._annotations, self._on_fit = project, annotations, on_fit
        self._maps = Cache(_TILES)
        self._samples = Cache(5000)
        self._models: dict[int, tuple[Regression, tuple[str, ...]]] = {}
        self._version = 0
        self._wanted = threading.Event()
        self._busy = threading.Semaphore(2)  # maps that are made at once
        self._closed = False
        self._fitted_from = ""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def version(self) -> int:
        """Number of the last fit; 0 without one."""
        return self._version

    def update(self) -> None:
        """Fit again, in a thread."""
        self._wanted.set()

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self._wanted.set()
        self._thread.join(5)

    def mpp(self) -> float:
        """Return the scale of the classifier in um/px."""
        aim = self._project.aim
        return aim.instant_mpp if aim else 1.0

    def factor(self, image: str) -> float:
        """Return the pixels of an image per pixel of the classifier."""
        return self.mpp() / (self._project.mpp(image) or self.mpp())

    def tile(
        self,
        image: str,
        version: int,
        x: int,
        y: int,
        *,
        unsure: bool = False,
        least: float = 0.0,
        hidden: Collection[int] = (),
    ) -> bytes:
        """Return a PNG of the classes of a tile, or of how unsure they are; an empty one for an old fit.

        Pixels whose class has a probability below `least`, and those of `hidden` classes, are transparent.
        """
        if version not in self._models:
            return EMPTY
        model, names = self._models[version]
        p = model.probabilities(self.maps(image, x, y))
        if unsure:
            best = p.max(axis=2)
            steps = np.rint((1 - best) / (1 - 1 / len(names)) * (_UNSURE_STEPS - 1))
            colors = [(*_UNSURE, 200 * k // (_UNSURE_STEPS - 1)) for k in range(_UNSURE_STEPS)]
            return palette_png(np.clip(steps, 0, _UNSURE_STEPS - 1).astype(np.uint8), colors)
        colors = []
        for number, kind in enumerate(self._project.study.classes):
            shown = number not in hidden and not is_background_class(kind.name)
            colors.append((*kind.color, _OPACITY if shown else 0))
        numbers = np.where(p.max(axis=2) >= least, p.argmax(axis=2), len(names))
        return palette_png(numbers.astype(np.uint8), [*colors, (0, 0, 0, 0)])

    def maps(self, image: str, x: int, y: int) -> np.ndarray:
        """Return the feature maps of a tile of the classifier's scale, float16 (512, 512, F)."""
        return self._maps.get((image, x, y, self.factor(image)), lambda: self._make_maps(image, x, y))

    def _make_maps(self, image: str, x: int, y: int) -> np.ndarray:
        factor, side = self.factor(image), TILE_PX + 2 * MARGIN_PX
        with self._busy:
            left, top = (k * TILE_PX - MARGIN_PX for k in (x, y))
            pixels = read_box(self._project.slide(image), left * factor, top * factor, side, side, factor)
            inner = slice(MARGIN_PX, MARGIN_PX + TILE_PX)
            return compute_maps(pixels)[inner, inner].astype(np.float16)

    # --- Fit ---------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            if self._closed:
                return
            self._wanted.clear()
            try:
                self._fit()
            except Exception:  # an image that cannot be read: the next edit tries again
                continue

    def _fit(self) -> None:
        names = tuple(kind.name for kind in self._project.study.classes)
        vectors, labels, _ = self.samples()
        digest = hashlib.sha256(vectors.tobytes() + labels.tobytes()).hexdigest() if len(labels) else ""
        if len(set(labels.tolist())) < 2 or digest == self._fitted_from:
            return
        model = fit(vectors, labels, len(names))
        self._fitted_from = digest
        version = self._version + 1
        self._models[version] = (model, names)
        self._version = version
        for old in [number for number in self._models if number <= version - _MODELS]:
            self._models.pop(old)
        self._on_fit(version)

    def samples(self) -> tuple[np.ndarray, np.ndarray, list[tuple[str, str]]]:
        """Return the features and classes of all annotated pixels, and the (image, id) of each."""
        names = [kind.name for kind in self._project.study.classes]
        vectors, labels, owners = [], [], []
        for image, picture in self._project.images.items():
            if picture.role != "learn":
                continue
            for feature in self._annotations.features(image):
                if class_of(feature) in SPECIAL or class_of(feature) not in names:
                    continue
                found = self._pixels(image, feature)
                vectors.append(found)
                labels += [names.index(class_of(feature))] * len(found)
                owners += [(image, feature["id"])] * len(found)
        stacked = np.concatenate(vectors) if vectors else np.zeros((0, 1), np.float16)
        return stacked, np.array(labels, int), owners

    def _pixels(self, image: str, feature: dict[str, Any]) -> np.ndarray:
        """Return the features of the pixels of an annotation, float16 (n, F)."""
        key = (image, json.dumps(feature["geometry"]), self.factor(image))
        return self._samples.get(key, lambda: self._gather(image, feature))

    def _gather(self, image: str, feature: dict[str, Any]) -> np.ndarray:
        factor = self.factor(image)
        rows, cols = draw_pixels(feature, factor, self.mpp())
        if len(rows) > SAMPLED_PIXELS:
            chosen = np.random.default_rng(0).permutation(len(rows))[:SAMPLED_PIXELS]
            rows, cols = rows[chosen], cols[chosen]
        width, height = self._project.size(image)
        inside = (rows >= 0) & (cols >= 0) & (rows < height / factor) & (cols < width / factor)
        rows, cols = rows[inside], cols[inside]
        parts = []
        for y, x in sorted(set(zip((rows // TILE_PX).tolist(), (cols // TILE_PX).tolist(), strict=True))):
            own = (rows // TILE_PX == y) & (cols // TILE_PX == x)
            parts.append(self.maps(image, x, y)[rows[own] - y * TILE_PX, cols[own] - x * TILE_PX])
        return np.concatenate(parts) if parts else self.maps(image, 0, 0)[:0, 0]


def draw_pixels(feature: dict[str, Any], factor: float, mpp: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and columns of the pixels that an annotation covers at a coarser scale.

    Parameters
    ----------
    feature : dict
        A checked feature, in pixels of level 0.
    factor : float
        Pixels of level 0 per pixel of the result.
    mpp : float
        Micrometers per pixel of the result: for the width of strokes and the size of clicks.

    Examples
    --------
    >>> click = {"geometry": {"type": "Point", "coordinates": [4.0, 2.0]}, "properties": {}}
    >>> [values.tolist() for values in draw_pixels(click, 2.0, 2.0)]
    [[1], [2]]
    """
    left, top, right, bottom = (value / factor for value in bounds_of(feature))
    kind, coordinates = feature["geometry"]["type"], feature["geometry"]["coordinates"]
    width_um = feature["properties"].get("hsn", {}).get("width_um", 2 * MARK_UM)
    thickness = max(1, round((2 * MARK_UM if kind == "Point" else width_um) / mpp))
    margin = 1 if kind == "Polygon" else thickness // 2 + 1
    x, y = int(left) - margin, int(top) - margin
    mask = np.zeros((int(bottom) - y + margin + 1, int(right) - x + margin + 1), np.uint8)
    if kind == "Polygon":
        rings = [np.floor(np.array(ring) / factor - (x, y)).astype(np.int32) for ring in coordinates]
        cv2.fillPoly(mask, rings, 1)
    else:
        line = np.array([coordinates] * 2 if kind == "Point" else coordinates) / factor - (x, y)
        cv2.polylines(mask, [np.floor(line).astype(np.int32)], False, 1, thickness)
    rows, cols = np.nonzero(mask)
    return rows + y, cols + x
