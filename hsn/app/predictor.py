"""The child process that runs nets for the page: it reads one JSON request a line, and answers one line.

A request names a net, an image and a block of it. The result is the label image of the block and its objects. An object
belongs to the block that holds its center, so that each object is written once.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

RIM = 128  # added to the number of a class at the border of an object


def main() -> None:
    """Answer requests until the input ends."""
    out = sys.stdout
    sys.stdout = sys.stderr  # whatever a library prints must not be taken for an answer
    from ..keras_start import start_keras

    start_keras(only_hsn=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            predict(request)
            answer: dict[str, Any] = {"id": request["id"]}
        except Exception as error:
            answer = {"id": request["id"], "error": str(error) or type(error).__name__}
        print(json.dumps(answer), file=out, flush=True)


def predict(request: dict[str, Any]) -> None:
    """Segment a block and write ``OUT.png``, ``OUT-sure.png``, ``OUT-unsure.png`` and ``OUT.json``.

    Parameters
    ----------
    request : dict
        `model`, `path`, `mpp`; `factor`: pixels of level 0 per pixel of the result; `read` and `core`: left, top, right
        and bottom of what is segmented and of the block, in pixels of level 0; `out`: path without ending.
    """
    from ..files import atomic_write, write_json
    from ..images.slide import open_slide
    from ..supervision import open_model
    from .tiles import encode, read_box

    model, factor = open_model(request["model"]), request["factor"]
    slide = open_slide(request["path"], mpp=request["mpp"])
    left, top, right, bottom = request["read"]
    shape = (round((right - left) / factor), round((bottom - top) / factor))
    pixels = read_box(slide, left, top, *shape, factor)
    core = [round((v - origin) / factor) for v, origin in zip(request["core"], (left, top) * 2, strict=True)]
    codes, sure, unsure, names, colors, objects = segment_block(model, pixels, request["mpp"] * factor, core)
    out = Path(request["out"])
    for suffix, array in ((".png", codes), ("-sure.png", sure), ("-unsure.png", unsure)):
        with atomic_write(out.with_name(out.name + suffix)) as temporary:
            temporary.write_bytes(encode(Image.fromarray(array), "PNG", compress_level=1))
    for feature in objects:
        feature["geometry"] = _move(feature["geometry"], (left, top), factor)
    about = {
        "read": request["read"],
        "factor": factor,
        "classes": names,
        "colors": colors,
        "objects": objects,
    }
    write_json(out.with_name(out.name + ".json"), about)


def segment_block(model: Any, pixels: np.ndarray, mpp: float, core: Sequence[int]) -> tuple[Any, ...]:
    """Segment an image with a net, and keep the objects whose center lies in a box.

    Parameters
    ----------
    model : hsn.models.Model
    pixels : uint8 array, shape (H, W, 3)
    mpp : float
        Micrometers per pixel.
    core : sequence of int
        Left, top, right and bottom of the box.

    Returns
    -------
    codes : uint8 (H, W)
        Number of the class, from 1; `RIM` is added at the border of an object. 0: nothing.
    sure, unsure : uint8 (H, W)
        Score of the object or of the pixel, and small difference of the two best classes, from 0 to 255.
    names, colors : list
        Of the classes.
    objects : list of dict
        GeoJSON features in pixels of the image.
    """
    from ..exports.geojson import features
    from ..supervision import segment

    codes = np.zeros(pixels.shape[:2], np.uint8)
    sure, unsure = np.zeros_like(codes), np.zeros_like(codes)
    names: list[str] = []
    colors: list[Any] = []
    objects: list[dict[str, Any]] = []
    left, top, right, bottom = core
    for number, space in enumerate(model.card.taxonomies):
        result = segment(pixels, model, taxonomy=space, mpp=mpp)
        labels = result.labels
        if result.instances is not None:
            table = result.objects.named(request_name(pixels))
            x, y = table["centroid_x_px"], table["centroid_y_px"]
            score = np.append(0.0, table["score"])[result.instances]  # the mean probability of an object
            kept = table[(x >= left) & (x < right) & (y >= top) & (y < bottom)]
            objects += features(kept, object_type="detection")
            own = np.isin(result.instances, kept["id"])
            labels = np.where(own, labels, 0)
            rim = _rims(result.instances) & own
        else:
            inside = np.zeros(codes.shape, bool)
            inside[top:bottom, left:right] = True
            labels = np.where(inside, labels, 0)
            rim = _rims(labels) & (labels > 0)
            score = result.probabilities.max(axis=2)
        drawn = (labels > 0) & (codes == 0)
        values = labels + len(names) + np.where(rim, RIM, 0)
        codes = np.where(drawn, values, codes).astype(np.uint8)
        sure[drawn] = np.rint(255 * np.clip(score[drawn], 0, 1))
        names += result.taxonomy.names[1:]
        colors += result.taxonomy.colors[1:]
        if number == 0:
            best = np.sort(result.probabilities, axis=2)
            margin = best[..., -1] - best[..., -2] if best.shape[2] > 1 else best[..., -1]
            unsure = np.rint(255 * (1 - np.clip(margin, 0, 1))).astype(np.uint8)
    return codes, sure, unsure, names, colors, objects


def request_name(pixels: np.ndarray) -> str:
    """Return a name for the objects of a block, made from its pixels: their ids differ between blocks."""
    import hashlib

    return hashlib.sha256(pixels[::16, ::16].tobytes()).hexdigest()


def _rims(numbers: np.ndarray) -> np.ndarray:
    """Return the pixels whose right or lower neighbor, or left or upper one, has another number."""
    rims = np.zeros(numbers.shape, bool)
    right, down = numbers[:, 1:] != numbers[:, :-1], numbers[1:] != numbers[:-1]
    rims[:, 1:] |= right
    rims[:, :-1] |= right
    rims[1:] |= down
    rims[:-1] |= down
    return rims


def _move(geometry: dict[str, Any], origin: tuple[float, float], factor: float) -> dict[str, Any]:
    """Return a geometry in pixels of level 0."""

    def moved(value: Any) -> Any:
        if isinstance(value[0], list | tuple):
            return [moved(inner) for inner in value]
        return [round(value[0] * factor + origin[0], 2), round(value[1] * factor + origin[1], 2)]

    return {**geometry, "coordinates": moved(geometry["coordinates"])}


if __name__ == "__main__":
    main()
