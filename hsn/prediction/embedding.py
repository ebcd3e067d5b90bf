"""Embed: vectors of all patches of many images, in a folder, one batch after another.

Images are read one at a time and vectors are appended to a file, so memory holds one image and one batch, whatever
there is in all. A run that was killed goes on with the patch that it had come to; images that are added later are
embedded then, and those that changed are embedded anew.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError, refuse
from ..files import atomic_write
from ..images.read import read
from ..selection import texture
from ..selection.choice import QUARTERS
from ..selection.patches import cut_patches, grid_corners, split_quarters, tissue_fraction

SETTINGS, IMAGES, VECTORS = "settings.json", "images.jsonl", "vectors.f32"
_BATCH = 32  # patches between two looks at the clock
_VIEWS = 1 + QUARTERS  # a patch, and its quarters


@dataclass(frozen=True)
class Encoder:
    """How patches become vectors.

    Attributes
    ----------
    name : str
        What it is; with the weights' fingerprint, so that vectors of two encoders are never mixed.
    describe : callable
        uint8 (n, px, px, 3) -> float32 (n, d), for any n and px.
    standardize : bool
        Whether its numbers are of different kinds, each to be compared in units of its own spread.
    """

    name: str
    describe: Callable
    standardize: bool


def of_texture():
    """The encoder that needs no weights: `hsn.selection.texture`.

    Examples
    --------
    >>> of_texture().describe(np.zeros((2, 64, 64, 3), np.uint8)).shape
    (2, 43)
    """
    return Encoder("texture", texture.describe, standardize=True)


@dataclass(frozen=True)
class Embedding:
    """Vectors of patches, in a file.

    Attributes
    ----------
    paths : list of path
        Images that could be embedded.
    images : int64 (n,)
        Which of these a patch is of.
    corners : int64 (n, 2)
        Row and column of its upper left pixel.
    features : float32 (n, d)
        Of patches.
    quarters : float32 (n, 4, d)
        Of their quarters; still in the file.
    failures : list of (str, str)
        Images that could not be read or are too small, and why.
    """

    paths: list
    images: np.ndarray
    corners: np.ndarray
    features: np.ndarray
    quarters: np.ndarray
    failures: list


def embed(paths, encoder, folder, *, side_px=256, stride_px=128, least_tissue=0.1, progress=None):
    """Embed the patches of images, and their quarters.

    Parameters
    ----------
    paths : sequence of path
        Images, of any size from `side_px` on.
    encoder : Encoder
        `of_texture()`, or of a net (`hsn.prediction.patch_encoders`).
    folder : path
        For the vectors: 5 d numbers of 4 bytes a patch.
    side_px, stride_px : int
        Of patches; see `hsn.selection.patches.places`.
    least_tissue : float
        Patches with a smaller share of tissue are left out.
    progress : callable, optional
        Called with how many images are done, parts of them too.

    Returns
    -------
    Embedding

    Raises
    ------
    InputError
        If `folder` holds vectors of other settings, or no image has a patch.

    Examples
    --------
    >>> import tempfile
    >>> from hsn.images.read import write
    >>> folder = Path(tempfile.mkdtemp())
    >>> write(folder / "a.png", np.full((64, 96, 3), 120, np.uint8))
    >>> embed([folder / "a.png"], of_texture(), folder / "e", side_px=64, stride_px=32).corners.tolist()
    [[0, 0], [0, 32]]
    """
    settings = {
        "encoder": encoder.name,
        "side_px": side_px,
        "stride_px": stride_px,
        "least_tissue": least_tissue,
    }
    store = _Store(Path(folder), settings)
    failures, wanted = [], {}
    for number, path in enumerate(paths):
        try:
            key = _key(path)
            if not store.has(key):
                image = read(path)
                corners = grid_corners(image.shape, side_px=side_px, stride_px=stride_px)
                corners = corners[tissue_fraction(image, corners, side_px) >= least_tissue]
                for done in _fill(store, key, image, corners, encoder, side_px):
                    if progress:
                        progress(number + done / len(corners))
            wanted[key] = path
        except InputError as error:
            failures.append((str(path), str(error)))
        if progress:
            progress(number + 1)
    return store.result(wanted, failures)


def _fill(store, key, image, corners, encoder, side_px):
    """Append what is missing of an image; yields how many of its patches are done."""
    start = store.begin(key, corners)
    for first in range(start, len(corners), _BATCH):
        patches = cut_patches(image, corners[first : first + _BATCH], side_px)
        whole = encoder.describe(patches)  # (b, d)
        parts = encoder.describe(split_quarters(patches).reshape(-1, side_px // 2, side_px // 2, 3))
        store.append(np.concatenate([whole[:, None], parts.reshape(len(whole), QUARTERS, -1)], axis=1))
        yield min(first + _BATCH, len(corners))


def _key(path):
    """What tells an image, and that it was not changed since; nothing of it is decoded."""
    try:
        facts = Path(path).stat()
    except OSError as error:
        refuse(f"{path} cannot be opened", expected="an image file", received=error.strerror,
               remedy="mend the path")  # fmt: skip
    return f"{Path(path).resolve()} {facts.st_size} {facts.st_mtime_ns}"


class _Rows:
    """Some rows of an array in a file, read when they are asked for."""

    def __init__(self, values, rows):
        self._values, self._rows = values, rows
        self.shape = (len(rows), *values.shape[1:])

    def __len__(self):
        return len(self._rows)

    def __getitem__(self, chosen):
        return self._values[self._rows[chosen]]


class _Store:
    """The folder: settings; a line per image begun, with its patches; and their vectors in the same order."""

    def __init__(self, folder, settings):
        self._folder, self._settings, self._length = folder, settings, None
        self._images, self._end = {}, 0  # key -> first row, corners; and the row after the last
        self._whole = True  # whether the file of images ends with a whole line
        try:
            if (folder / SETTINGS).exists():
                found = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
                self._length = int(found.pop("length"))
                self._check(found)
            if (folder / IMAGES).exists():
                self._take_up((folder / IMAGES).read_text(encoding="utf-8"))
        except InputError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            refuse(f"{folder} is damaged", expected="vectors that this program left there", received=error,
                   remedy="delete it; the vectors are computed anew")  # fmt: skip

    def _check(self, found):
        if found != self._settings:
            names = [name for name in self._settings if found.get(name) != self._settings[name]]
            refuse(f"{self._folder} holds vectors of other settings",
                   expected=", ".join(f"{name} {found.get(name)}" for name in names),
                   received=", ".join(f"{name} {self._settings[name]}" for name in names),
                   remedy="name another folder, or delete this one")  # fmt: skip

    def _take_up(self, lines):
        for line in lines.splitlines(keepends=True):
            self._whole = line.endswith("\n")  # a killed run may leave half a line
            if self._whole:
                entry = json.loads(line)
                corners = np.array(entry["corners"], np.int64).reshape(-1, 2)
                self._images[entry["key"]] = self._end, corners
                self._end += len(corners)

    def _rows(self):
        """Whole vectors that are there."""
        path = self._folder / VECTORS
        return path.stat().st_size // (4 * self._length) if self._length and path.exists() else 0

    def has(self, key):
        """Whether all patches of an image are embedded."""
        if key not in self._images:
            return False
        first, corners = self._images[key]
        return self._rows() >= first + len(corners)

    def begin(self, key, corners):
        """Make ready for the vectors of an image; returns how many of them are there."""
        self._folder.mkdir(parents=True, exist_ok=True)
        rows = min(self._rows(), self._end)
        if key not in self._images:
            if (
                self._images and self._end > rows
            ):  # a killed run left an image half done that nobody wants now
                self._end, _ = self._images.popitem()[1]
                self._whole, rows = False, self._end
            self._images[key] = self._end, corners
            self._end += len(corners)
            self._write_images(key)
        with open(self._folder / VECTORS, "ab") as file:
            file.truncate(rows * 4 * (self._length or 0))
        return rows - self._images[key][0]

    def _write_images(self, added):
        """One more line; or all of them, where the last is not right."""
        lines = [self._line(key) for key in ([added] if self._whole else self._images)]
        if self._whole:
            with open(self._folder / IMAGES, "a", encoding="utf-8") as file:
                file.write(lines[0])
        else:
            with atomic_write(self._folder / IMAGES) as temporary:
                temporary.write_text("".join(lines), encoding="utf-8")
        self._whole = True

    def _line(self, key):
        return json.dumps({"key": key, "corners": self._images[key][1].tolist()}) + "\n"

    def append(self, vectors):
        """Write vectors (b, 5, d) after those that are there."""
        if self._length is None:
            self._length = int(np.prod(vectors.shape[1:]))
            settings = json.dumps(self._settings | {"length": self._length}, indent=2)
            with atomic_write(self._folder / SETTINGS) as temporary:
                temporary.write_text(settings, encoding="utf-8")
        with open(self._folder / VECTORS, "ab") as file:
            file.write(np.ascontiguousarray(vectors, "<f4").tobytes())

    def result(self, wanted, failures):
        """The vectors of the wanted images, key -> path; refuses if there is none."""
        rows = [self._images[key][0] + np.arange(len(self._images[key][1])) for key in wanted]
        if not sum(map(len, rows)):
            refuse("there is no patch to choose from", expected="images with tissue, not smaller than a patch",
                   received="; ".join(why for _, why in failures[:3]) or "glass",
                   remedy="give other images, or smaller patches")  # fmt: skip
        vectors = np.memmap(self._folder / VECTORS, "<f4", mode="r")
        vectors = vectors[: self._rows() * self._length].reshape(-1, _VIEWS, self._length // _VIEWS)
        every = np.concatenate(rows)
        return Embedding(
            paths=list(wanted.values()),
            images=np.repeat(np.arange(len(wanted)), [len(r) for r in rows]),
            corners=np.concatenate([self._images[key][1] for key in wanted]),
            features=np.array(vectors[every, 0]),
            quarters=_Rows(vectors[:, 1:], every),
            failures=failures,
        )
