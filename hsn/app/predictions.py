"""Results of nets: blocks around the view first, kept as files, shown as tiles.

A block is as large as 1024 px of the net. A small image is one block: its result is that of `hsn segment`. In larger
ones, objects at the borders of blocks are segmented with their surroundings, and belong to the block of their center.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import InputError
from ..exports.geojson import measurement_name
from ..models import keras_file
from ..models.card import Card
from ..models.folders import CARD, NET, available
from ..projects.study import MODELS
from .project import Project
from .tiles import EMPTY, Cache, palette_png, tile_box

FOLDER = "predictions"
BLOCK_PX = 1024  # of the net
MARGIN_PX = 96  # of the net: larger than half of an object, and than what a net sees
_WHOLE_PX = 4_000_000  # a smaller image is one block
_MAX_BLOCKS = 48  # of one view
_KEPT = 64  # decoded blocks
_FILL, _LINE = 110, 255  # opacities
_RIM = 128  # see `hsn.app.predictor`
_UNSURE = (255, 0, 200)
_SCORE = measurement_name("score")
SHOW = ("fill", "rims", "both")
_ARCHITECTURE = "encoder_unet"  # of the nets that `hsn fit` trains on a study


@dataclass(frozen=True)
class Look:
    """Describes which part of a result is shown.

    Attributes
    ----------
    least : float
        Smallest probability that is shown, 0 to 1. Default: 0, everything.
    hidden : frozenset of int
        Positions of the classes of the project that are not shown. Default: none.
    """

    least: float = 0.0
    hidden: frozenset[int] = frozenset()


class Predictions:
    """Runs nets over what is visible, in a child process.

    Parameters
    ----------
    project : Project
    publish : callable
        Called with a kind of message and its values.
    may_run : callable
        Whether the processor is free for nets.
    """

    def __init__(self, project: Project, publish: Callable[..., None], may_run: Callable[[], bool]) -> None:
        self._project, self._publish, self._may_run = project, publish, may_run
        self._blocks = Cache(_KEPT)
        self._queue: list[tuple[str, str, tuple[int, int]]] = []
        self._epoch = -1
        self._wanted = threading.Condition()
        self._child: subprocess.Popen | None = None
        self._count = 0
        self._closed = False
        self._failed: set[tuple[str, str, tuple[int, int]]] = set()
        threading.Thread(target=self._run, daemon=True).start()

    def models(self) -> list[dict[str, Any]]:
        """Return the nets that can be shown: those of the project, the newest first, then the shipped ones."""
        found = []
        for path in sorted((self._project.folder / MODELS).glob(f"[0-9]*/{CARD}"), reverse=True):
            found.append((path.parent.name, path.parent))
        found += [
            (name, folder)
            for name, folder, card in available()
            if card.method in ("masks", "points", "mixed")
        ]
        return [{"name": name, **_about(folder)} for name, folder in found if _about(folder)]

    def folder_of(self, model: str) -> Path:
        """Return the folder of a net by its name in the page.

        Raises
        ------
        InputError
            "model-unknown".
        """
        own = self._project.folder.resolve() / MODELS / model
        if model.isdigit() and (own / CARD).is_file():
            return own
        for name, folder, _ in available():
            if name == model:
                return folder
        raise InputError("model-unknown", "the net must be one of the project, or a shipped one",
                         got=repr(model)[:60], hint="reload the page")  # fmt: skip

    def view(self, model: str, image: str, bbox: list[float], epoch: int) -> dict[str, Any]:
        """Ask for what is visible; return how many blocks are missing. Older requests are dropped.

        Parameters
        ----------
        model, image : str
        bbox : list of float
            Left, top, right and bottom in pixels of level 0.
        epoch : int
            Grows with each request of a page.
        """
        if self._project.mpp(image) is None:
            return {"missing": 0, "far": False}
        side = self.block_px(model, image)
        width, height = self._project.size(image)
        left, top, right, bottom = bbox
        columns = range(max(0, int(left // side) - 1), int(min(right + side, width - 1) // side) + 1)
        rows = range(max(0, int(top // side) - 1), int(min(bottom + side, height - 1) // side) + 1)
        if len(columns) * len(rows) > _MAX_BLOCKS:
            return {"missing": 0, "far": True}
        middle = ((left + right) / 2 / side - 0.5, (top + bottom) / 2 / side - 0.5)
        blocks = [(x, y) for y in rows for x in columns if 0 <= x * side < width and 0 <= y * side < height]
        blocks.sort(key=lambda block: (block[0] - middle[0]) ** 2 + (block[1] - middle[1]) ** 2)
        missing = [
            block for block in blocks if not self._path(model, image, block).with_suffix(".json").is_file()
        ]
        with self._wanted:
            if epoch >= self._epoch:
                self._epoch = epoch
                self._queue = [(model, image, block) for block in missing]
                self._queue = [key for key in self._queue if key not in self._failed]
                self._wanted.notify()
        return {"missing": len(missing), "far": False, "waits": bool(missing) and not self._may_run()}

    def block_px(self, model: str, image: str) -> int:
        """Return the side of a block in pixels of level 0."""
        width, height = self._project.size(image)
        factor = self.factor(model, image)
        if width * height <= _WHOLE_PX * factor**2:
            return max(width, height)
        return BLOCK_PX * 2 ** max(0, int(np.log2(max(1.0, factor))))

    def factor(self, model: str, image: str) -> float:
        """Return the pixels of level 0 per pixel of a result; small images keep their scale."""
        width, height = self._project.size(image)
        if width * height <= _WHOLE_PX:
            return 1.0
        return max(1.0, Card.read(self.folder_of(model)).mpp / (self._project.mpp(image) or 1.0))

    def tile(
        self,
        model: str,
        image: str,
        z: int,
        x: int,
        y: int,
        *,
        show: str = "both",
        unsure: bool = False,
        look: Look = Look(),
    ) -> bytes:
        """Return a PNG of what is known of a tile; an empty one if nothing is."""
        box = tile_box(self._project.slide(image), z, x, y)
        if box is None:
            return EMPTY
        left, top, width, height = box
        codes = np.zeros((512, 512), np.uint8)
        step, side = 2**z, self.block_px(model, image)
        first, last = (left * step, top * step), ((left + width) * step, (top + height) * step)
        about: dict[str, Any] = {}
        for row in range(max(0, int(first[1] // side) - 1), int(last[1] // side) + 2):
            for col in range(max(0, int(first[0] // side) - 1), int(last[0] // side) + 2):
                block = self._block(model, image, (col, row), "-unsure.png" if unsure else ".png")
                if block is not None:
                    about = block[1]
                    if look.least and not unsure:
                        sure = self._block(model, image, (col, row), "-sure.png")[0]
                        block = (np.where(sure >= 255 * look.least, block[0], 0), about)
                    paste_block(codes, block, first, step, (width, height))
        if not about:
            return EMPTY
        if unsure:
            return palette_png(codes, [(*_UNSURE, round(k * 0.8)) for k in range(256)])
        own = {kind.name: kind.color for kind in self._project.study.classes}
        return palette_png(codes, palette_of(about, own, show=show, hidden=self._hidden(look)))

    def objects(
        self, model: str, image: str, bbox: list[float], limit: int, look: Look = Look()
    ) -> list[dict[str, Any]]:
        """Return the shown objects whose outline touches a box, as features; at most `limit`."""
        hidden = self._hidden(look)
        side = self.block_px(model, image)
        left, top, right, bottom = bbox
        found: list[dict[str, Any]] = []
        for row in range(max(0, int(top // side) - 1), int(bottom // side) + 2):
            for col in range(max(0, int(left // side) - 1), int(right // side) + 2):
                block = self._block(model, image, (col, row), ".png")
                for feature in block[1]["objects"] if block is not None else ():
                    properties = feature["properties"]
                    if properties["classification"]["name"] in hidden:
                        continue
                    if round(255 * properties["measurements"][_SCORE]) < 255 * look.least:  # as pixels are
                        continue
                    corners = np.array(_outer(feature["geometry"]))
                    (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
                    if x1 >= left and x0 <= right and y1 >= top and y0 <= bottom:
                        found.append(feature)
                        if len(found) >= limit:
                            return found
        return found

    def close(self) -> None:
        """End the child process."""
        with self._wanted:
            self._closed = True
            self._wanted.notify()
        if self._child is not None:
            self._child.kill()

    def _hidden(self, look: Look) -> set[str]:
        """Return the names of the classes that are not shown."""
        return {kind.name for k, kind in enumerate(self._project.study.classes) if k in look.hidden}

    def _path(self, model: str, image: str, block: tuple[int, int]) -> Path:
        return self._project.folder / FOLDER / model / image / f"{block[0]}_{block[1]}"

    def _block(self, model: str, image: str, block: tuple[int, int], suffix: str) -> Any:
        """Return an array and the description of a block; None if it is not ready."""
        path = self._path(model, image, block)
        try:
            changed = path.with_suffix(".json").stat().st_mtime_ns
        except OSError:
            return None

        def read() -> Any:
            about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            return np.asarray(Image.open(path.with_name(path.name + suffix))), about

        return self._blocks.get((model, image, block, suffix, changed), read)

    # --- The child process -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._wanted:
                while not self._closed and not (self._queue and self._may_run()):
                    self._wanted.wait(1.0)
                if self._closed:
                    return
                key = self._queue.pop(0)
            model, image, block = key
            reason = self._ask(model, image, block)
            if self._closed:
                return
            if reason:
                self._failed.add(key)
                self._publish("warning", message=f"{model} could not segment {image}: {reason}")
            with self._wanted:
                left = len(self._queue)
            self._publish("tiles", model=model, image=image, missing=left)

    def _ask(self, model: str, image: str, block: tuple[int, int]) -> str:
        """Let the child segment a block; return the reason of a failure, or an empty text."""
        side, factor = self.block_px(model, image), self.factor(model, image)
        width, height = self._project.size(image)
        x, y = block[0] * side, block[1] * side
        margin = round(MARGIN_PX * factor)
        core = [x, y, min(x + side, width), min(y + side, height)]
        read = [
            max(0, x - margin),
            max(0, y - margin),
            min(core[2] + margin, width),
            min(core[3] + margin, height),
        ]
        path = self._path(model, image, block)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._count += 1
        request = {
            "id": self._count, "model": str(self.folder_of(model)), "path": str(self._project.image(image).path),
            "mpp": self._project.mpp(image), "factor": factor, "read": read, "core": core, "out": str(path.resolve()),
        }  # fmt: skip
        try:
            child = self._running_child()
            child.stdin.write(json.dumps(request) + "\n")  # type: ignore[union-attr]
            child.stdin.flush()  # type: ignore[union-attr]
            answer = json.loads(child.stdout.readline())  # type: ignore[union-attr]
        except (OSError, ValueError):  # the child was killed, for example for its memory
            return "the process that runs nets ended"
        return str(answer.get("error", ""))

    def _running_child(self) -> subprocess.Popen:
        if self._child is None or self._child.poll() is not None:
            log = (self._project.folder / FOLDER / "log.txt").open("ab")
            with log:
                self._child = subprocess.Popen(
                    [sys.executable, "-m", "hsn.app.predictor"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    stderr=log, text=True, env=os.environ | {"HSN_TRACEBACK": ""},
                )  # fmt: skip
        return self._child


def palette_of(
    about: dict[str, Any],
    own: Mapping[str, tuple[int, int, int]],
    *,
    show: str = "both",
    hidden: Collection[str] = (),
) -> list[tuple[int, int, int, int]]:
    """Return the color and opacity of each code of a block, see `hsn.app.predictor.segment_block`.

    Parameters
    ----------
    about : dict
        With names of `classes` and their `colors`.
    own : dict of str to (int, int, int)
        Colors that are used instead for the classes with these names.
    show : {"fill", "rims", "both"}
    hidden : collection of str
        Classes that are transparent.

    Examples
    --------
    >>> palette = palette_of({"classes": ["A"], "colors": [(1, 2, 3)]}, {}, show="rims")
    >>> palette[1], palette[129]
    ((1, 2, 3, 0), (1, 2, 3, 255))
    """
    fill, line = (_FILL if show != "rims" else 0), (_LINE if show != "fill" else _FILL)
    palette = [(0, 0, 0, 0)] * 256
    for number, (name, color) in enumerate(zip(about["classes"], about["colors"], strict=True), 1):
        if name not in hidden:
            r, g, b = own.get(name, tuple(color))
            palette[number], palette[number + _RIM] = (r, g, b, fill), (r, g, b, line)
    return palette


def paste_block(
    codes: np.ndarray,
    block: tuple[np.ndarray, dict],
    first: tuple[int, int],
    step: int,
    size: tuple[int, int],
) -> None:
    """Write the pixels of a block that a tile shows, by their centers; objects of other blocks stay."""
    array, about = block
    (left, top), factor = about["read"][:2], about["factor"]
    cols = np.floor((first[0] + (np.arange(size[0]) + 0.5) * step - left) / factor).astype(int)
    rows = np.floor((first[1] + (np.arange(size[1]) + 0.5) * step - top) / factor).astype(int)
    across = (cols >= 0) & (cols < array.shape[1])
    down = (rows >= 0) & (rows < array.shape[0])
    if across.any() and down.any():
        part = array[np.ix_(rows[down], cols[across])]
        target = codes[np.ix_(np.flatnonzero(down), np.flatnonzero(across))]
        codes[np.ix_(np.flatnonzero(down), np.flatnonzero(across))] = np.where(part > 0, part, target)


def _outer(geometry: dict[str, Any]) -> list:
    """Return the corners of the first outline of a polygon or multipolygon."""
    coordinates = geometry["coordinates"]
    return coordinates[0] if geometry["type"] == "Polygon" else coordinates[0][0]


def _about(folder: Path) -> dict[str, Any]:
    """Return what the page tells of a net; empty for a folder without a valid card."""
    try:
        card = Card.read(folder)
    except InputError:
        return {}
    return {
        "license": card.license or "",
        "mpp": card.mpp,
        "scores": dict(card.scores or {}),
        "notes": card.data or "",
        "base": keras_file.architecture(folder / NET) == _ARCHITECTURE,
    }
