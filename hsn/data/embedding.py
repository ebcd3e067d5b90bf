"""Embedding: compute vectors of all patches of many images and store them in a folder.

Images are read one at a time, slides window by window, and vectors are appended to a file. Memory holds one image and
one batch. A killed run continues with its next patch. A later call embeds only new and changed images.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, collect_failures
from ..files import atomic_write
from ..selection.choice import QUARTERS
from ..selection.encoder import Encoder
from ..selection.patches import grid_corners, split_quarters
from .patch_source import PatchSource, open_source

SETTINGS, IMAGES, VECTORS = "settings.json", "images.jsonl", "vectors.f32"
_BATCH = 32  # patches per call of the encoder and per report of progress
_VIEWS = 1 + QUARTERS  # vectors per patch: the patch and its quarters


@dataclass(frozen=True)
class Embedding:
    """Vectors of patches, in a file.

    Attributes
    ----------
    paths : list of path
        Embedded images.
    images : int64 (n,)
        Index into `paths` for each patch.
    corners : int64 (n, 2)
        Row and column of the upper left pixel of each patch.
    features : float32 (n, d)
        Vectors of patches.
    quarters : float32 (n, 4, d)
        Vectors of the quarters of patches. Rows are read from the file when they are indexed.
    failures : list of (str, str)
        Images that could not be read or are too small, each with the reason.
    """

    paths: list[Path]
    images: np.ndarray
    corners: np.ndarray
    features: np.ndarray
    quarters: Any
    failures: list[tuple[str, str]]


def embed(
    paths: Sequence[Path],
    encoder: Encoder,
    folder: Path | str,
    *,
    side_px: int = 256,
    stride_px: int = 128,
    min_tissue: float = 0.1,
    mpp: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> Embedding:
    """Embed the patches of images, and their quarters.

    Parameters
    ----------
    paths : sequence of path
        Images and slides with sides of at least `side_px`.
    encoder : Encoder
        `hsn.selection.encoder.texture_encoder()`, or `hsn.prediction.patch_encoders.net_encoder`.
    folder : path
        Folder of the vectors: 20 d bytes per patch.
    side_px, stride_px : int
        Side and stride of patches in pixels; see `hsn.selection.patches.grid_corners`. Default: 256 and 128.
    min_tissue : float
        Lowest fraction of tissue in a patch, 0..1. Default: 0.1.
    mpp : float, optional
        Micrometers per pixel of slides whose files have no scale.
    progress : callable, optional
        Called with the number of images done, which may be fractional.

    Returns
    -------
    Embedding

    Raises
    ------
    InputError
        "embedding-settings" or "embedding-damaged" for an unusable `folder`, "no-patches" if no image has a patch.

    Examples
    --------
    >>> import tempfile
    >>> from hsn.images.read import write
    >>> from hsn.selection.encoder import texture_encoder
    >>> folder = Path(tempfile.mkdtemp())
    >>> write(folder / "a.png", np.full((64, 96, 3), 120, np.uint8))
    >>> embed([folder / "a.png"], texture_encoder(), folder / "e", side_px=64, stride_px=32).corners.tolist()
    [[0, 0], [0, 32]]
    """
    settings = {
        "encoder": encoder.name,
        "side_px": side_px,
        "stride_px": stride_px,
        "least_tissue": min_tissue,  # the name in older folders
    }
    store = _Store(Path(folder), settings)
    failures: list[tuple[str, str]] = []
    path_of_key: dict[str, Path] = {}
    for number, path in enumerate(paths):
        with collect_failures(failures, path):
            key = _key(path)
            if not store.has(key):
                source = open_source(path, mpp=mpp)
                corners = grid_corners(source.shape, side_px=side_px, stride_px=stride_px)
                corners = corners[source.tissue_fraction(corners, side_px) >= min_tissue]
                for done in _fill(store, key, source, corners, encoder, side_px):
                    if progress:
                        progress(number + done / len(corners))
            path_of_key[key] = path
        if progress:
            progress(number + 1)
    return store.result(path_of_key, failures)


def _fill(
    store: "_Store", key: str, source: PatchSource, corners: np.ndarray, encoder: Encoder, side_px: int
) -> Iterator[int]:
    """Append the missing vectors of an image; yield the number of its patches done."""
    start = store.begin(key, corners)
    for first in range(start, len(corners), _BATCH):
        patches = source.cut(corners[first : first + _BATCH], side_px)
        whole = encoder.embed(patches)  # (b, d)
        parts = encoder.embed(split_quarters(patches).reshape(-1, side_px // 2, side_px // 2, 3))
        store.append(np.concatenate([whole[:, None], parts.reshape(len(whole), QUARTERS, -1)], axis=1))
        yield min(first + _BATCH, len(corners))


def _key(path: Path) -> str:
    """Return a key that changes when the image file changes. The file is not decoded."""
    try:
        status = Path(path).stat()
    except OSError as error:
        raise InputError(
            "image-unreadable", f"{path} must be an image file", got=error.strerror, hint="correct the path"
        ) from error
    return f"{Path(path).resolve()} {status.st_size} {status.st_mtime_ns}"


class _Rows:
    """Some rows of an array in a file, read when they are indexed."""

    def __init__(self, values: np.ndarray, rows: np.ndarray) -> None:
        self._values, self._rows = values, rows
        self.shape = (len(rows), *values.shape[1:])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        return self._values[self._rows[index]]


class _Store:
    """The folder of vectors: settings, one line per image with its corners, and vectors in the same order."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self._folder, self._settings, self._length = folder, settings, None
        self._images: dict[str, tuple[int, np.ndarray]] = {}  # key -> (first row, corners)
        self._end = 0  # the row after the last
        self._whole = True  # whether the file of images ends with a complete line
        try:
            if (folder / SETTINGS).exists():
                found = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
                self._length = int(found.pop("length"))
                self._check(found)
            if (folder / IMAGES).exists():
                self._load_images((folder / IMAGES).read_text(encoding="utf-8"))
        except InputError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                "embedding-damaged",
                f"{folder} must hold vectors that hsn wrote",
                got=error,
                hint="delete it; the vectors are computed again",
            ) from error

    def _check(self, found: dict[str, Any]) -> None:
        if found != self._settings:
            names = [name for name in self._settings if found.get(name) != self._settings[name]]
            stored = ", ".join(f"{name} {found.get(name)}" for name in names)
            raise InputError(
                "embedding-settings",
                f"the settings must be those of the vectors in {self._folder}: {stored}",
                got=", ".join(f"{name} {self._settings[name]}" for name in names),
                hint="give another folder, or delete this one",
            )

    def _load_images(self, lines: str) -> None:
        for line in lines.splitlines(keepends=True):
            self._whole = line.endswith("\n")  # a killed run may leave half a line
            if self._whole:
                entry = json.loads(line)
                corners = np.array(entry["corners"], np.int64).reshape(-1, 2)
                self._images[entry["key"]] = self._end, corners
                self._end += len(corners)

    def _rows(self) -> int:
        """Return the number of complete rows in the file of vectors."""
        path = self._folder / VECTORS
        return path.stat().st_size // (4 * self._length) if self._length and path.exists() else 0

    def has(self, key: str) -> bool:
        """Check whether all patches of an image are embedded."""
        if key not in self._images:
            return False
        first, corners = self._images[key]
        return self._rows() >= first + len(corners)

    def begin(self, key: str, corners: np.ndarray) -> int:
        """Prepare the files for the vectors of an image; return the number of vectors already there."""
        self._folder.mkdir(parents=True, exist_ok=True)
        rows = min(self._rows(), self._end)
        if key not in self._images:
            if self._images and self._end > rows:
                # A killed run left an incomplete image that is not part of this run.
                self._end, _ = self._images.popitem()[1]
                self._whole, rows = False, self._end
            self._images[key] = self._end, corners
            self._end += len(corners)
            self._write_images(key)
        with open(self._folder / VECTORS, "ab") as file:
            file.truncate(rows * 4 * (self._length or 0))
        return rows - self._images[key][0]

    def _write_images(self, added: str) -> None:
        """Append one line, or write all lines again if the last one is incomplete."""
        lines = [self._line(key) for key in ([added] if self._whole else self._images)]
        if self._whole:
            with open(self._folder / IMAGES, "a", encoding="utf-8") as file:
                file.write(lines[0])
        else:
            with atomic_write(self._folder / IMAGES) as temporary:
                temporary.write_text("".join(lines), encoding="utf-8")
        self._whole = True

    def _line(self, key: str) -> str:
        return json.dumps({"key": key, "corners": self._images[key][1].tolist()}) + "\n"

    def append(self, vectors: np.ndarray) -> None:
        """Append vectors (b, 5, d) to the file."""
        if self._length is None:
            self._length = int(np.prod(vectors.shape[1:]))
            settings = json.dumps(self._settings | {"length": self._length}, indent=2)
            with atomic_write(self._folder / SETTINGS) as temporary:
                temporary.write_text(settings, encoding="utf-8")
        with open(self._folder / VECTORS, "ab") as file:
            file.write(np.ascontiguousarray(vectors, "<f4").tobytes())

    def result(self, path_of_key: dict[str, Path], failures: list[tuple[str, str]]) -> Embedding:
        """Return the vectors of the given images; raise if there are none."""
        rows = [self._images[key][0] + np.arange(len(self._images[key][1])) for key in path_of_key]
        if not sum(map(len, rows)):
            raise InputError(
                "no-patches",
                "the images must hold tissue and be at least as large as a patch",
                got="; ".join(reason.rstrip(".") for _, reason in failures[:3]) or "only glass",
                hint="give other images, or smaller patches",
            )
        length = self._length or 0
        stored = np.memmap(self._folder / VECTORS, "<f4", mode="r")
        vectors = stored[: self._rows() * length].reshape(-1, _VIEWS, length // _VIEWS)
        all_rows = np.concatenate(rows)
        return Embedding(
            paths=list(path_of_key.values()),
            images=np.repeat(np.arange(len(path_of_key)), [len(r) for r in rows]),
            corners=np.concatenate([self._images[key][1] for key in path_of_key]),
            features=np.array(vectors[all_rows, 0]),
            quarters=_Rows(vectors[:, 1:], all_rows),
            failures=failures,
        )
