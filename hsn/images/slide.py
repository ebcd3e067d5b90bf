"""Open whole slides: one class for slide files, large TIFF files and plain images.

OpenSlide reads the formats of scanners. tifffile reads TIFF files that OpenSlide does not know. A plain image is a
slide of one level. A slide without a scale is an error: every length of this library is in micrometers.
"""

import hashlib
import math
import os
import weakref
from collections.abc import Callable
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np

from ..checks import as_mpp, positive
from ..errors import InputError
from ..files import check_file, first_line
from ..limits import SLIDE_BYTES, SLIDE_PIXELS
from ..rasters import TIFF_STARTS
from .read import read
from .scale import read_mpp
from .tiles import ArrayReader

CACHE_BYTES = 32 * 2**20  # decoded tiles that OpenSlide keeps, for each open slide
MIN_SLIDE_MPP, MAX_SLIDE_MPP = 0.05, 5.0  # um/px of level 0; 72 dots per inch would be 353
SAME_SCALE = 0.01  # relative difference of scales that is rounding
_WHITE = 255
_STRIP_ROWS = 64  # rows of a thumbnail that are made at once: bounds memory
_HASH_BYTES = 2**20  # start and end of a file, for its fingerprint


class Level(NamedTuple):
    """One resolution of a slide: width and height in pixels, and micrometers per pixel."""

    width: int
    height: int
    mpp: float


class _Source(Protocol):
    """Reader of one file format: sizes (width, height) of the levels, scale, and boxes of a level."""

    name: str
    sizes: tuple[tuple[int, int], ...]
    mpp: tuple[float, float] | None
    power: float | None
    fingerprint: str

    def read(self, level: int, row: int, col: int, height: int, width: int) -> np.ndarray: ...


class Slide:
    """A whole slide, or a plain image; open it with `open_slide`.

    Positions are in pixels of level 0, from the top left corner of the scanned area. The file stays closed until pixels
    are read, and every process opens it for itself: a slide can be sent to other processes.

    Attributes
    ----------
    path : pathlib.Path
    dimensions : (int, int)
        Width and height of level 0.
    mpp : float
        Micrometers per pixel of level 0.
    mpp_source : {"given", "metadata"}
    levels : tuple of Level
        From the finest to the coarsest.
    reader : str
        Library that decodes the file, with its version.
    fingerprint : str
        Digest of the content, to recognize the slide.
    """

    def __init__(self, path: str | os.PathLike, *, mpp: float | None = None) -> None:
        self.path = Path(path)
        self._given_mpp = None if mpp is None else as_mpp(mpp)
        self._source: _Source | None = None
        self._process = -1
        source = self._open()
        self.mpp_source = "metadata" if mpp is None else "given"
        self.mpp = _checked_mpp(self.path, source) if self._given_mpp is None else self._given_mpp
        width, height = self.dimensions = source.sizes[0]
        if width * height > SLIDE_PIXELS:
            raise InputError(
                "slide-too-large", f"{path} must have at most {SLIDE_PIXELS:,} pixels", got=f"{width} x {height}",
                hint="check the file, or export a part of it",
            )  # fmt: skip
        self.levels = tuple(
            Level(w, h, self.mpp * math.sqrt(width / w * height / h)) for w, h in source.sizes
        )
        self.reader, self.fingerprint = source.name, source.fingerprint

    def __repr__(self) -> str:
        width, height = self.dimensions
        return (
            f"Slide({self.path.name}, {width} x {height} px, {self.mpp:.4g} um/px, {len(self.levels)} levels)"
        )

    def __getstate__(self) -> dict[str, Any]:
        # Another process may have another current folder.
        return self.__dict__ | {"_source": None, "_process": -1, "path": self.path.absolute()}

    def read_level(self, row: int, col: int, height: int, width: int, level: int = 0) -> np.ndarray:
        """Read a box that lies inside a level.

        Parameters
        ----------
        row, col, height, width : int
            In pixels of the level.
        level : int
            Default: 0, the finest.

        Returns
        -------
        uint8 array, shape (height, width, 3)
            Transparent pixels, outside of the scanned area, have the background color.

        Raises
        ------
        InputError
            "slide-damaged" if the pixels cannot be decoded, even after the file was opened again.
        """
        for retry in (False, True):
            try:
                return self._open(again=retry).read(level, row, col, height, width)
            except InputError:
                raise
            except (
                Exception
            ) as error:  # libraries raise many kinds of errors; OpenSlide then needs a new handle
                failure = error
        raise InputError(
            "slide-damaged",
            f"{self.path} must be readable at row {row}, column {col} of level {level}",
            got=first_line(failure),
            hint="copy the slide again, or export it with the scanner's software",
        )

    def at(self, mpp: float) -> "ArrayReader | SlideReader":
        """Return a reader of the slide at a scale, for `hsn.prediction.tiling.predict_tiled`.

        Parameters
        ----------
        mpp : float
            Micrometers per pixel of the result.

        Returns
        -------
        reader
            With `shape`, (H, W, 3), and ``read(row, col, height, width)``. A pixel does not depend on the box that it
            is read with.
        """
        return SlideReader(self, mpp)

    def read_region(self, x: int, y: int, w: int, h: int, *, mpp: float | None = None) -> np.ndarray:
        """Read a region at a scale.

        Parameters
        ----------
        x, y : int
            Left column and top row, in pixels of level 0.
        w, h : int
            Width and height of the result, in pixels.
        mpp : float, optional
            Micrometers per pixel of the result. Default: that of level 0.

        Returns
        -------
        uint8 array, shape (h, w, 3)
            Pixels beyond the slide are white.

        Raises
        ------
        InputError
            "w-positive", "h-positive", "mpp-range" or "slide-damaged".
        """
        positive("w", w)
        positive("h", h)
        reader = SlideReader(self, self.mpp if mpp is None else mpp)
        row, col = (round(start * reader.per_level0[axis]) for axis, start in enumerate((y, x)))
        top, left = max(row, 0), max(col, 0)
        bottom, right = min(row + h, reader.shape[0]), min(col + w, reader.shape[1])
        region = np.full((h, w, 3), _WHITE, np.uint8)
        if top < bottom and left < right:
            pixels = reader.read(top, left, bottom - top, right - left)
            region[top - row : bottom - row, left - col : right - col] = pixels
        return region

    def thumbnail(self, mpp: float = 8.0) -> np.ndarray:
        """Return the whole slide at a coarse scale; pixels are averaged.

        Parameters
        ----------
        mpp : float
            Micrometers per pixel. Default: 8.

        Returns
        -------
        uint8 array, shape (H, W, 3)
        """
        positive("mpp", mpp)
        number = self.level_for(mpp)
        level = self.levels[number]
        height, width = (max(1, round(side * self.mpp / mpp)) for side in self.dimensions[::-1])
        strips = []
        for first in range(0, height, _STRIP_ROWS):
            last = min(first + _STRIP_ROWS, height)
            top, bottom = (round(edge * level.height / height) for edge in (first, last))
            bottom = max(bottom, top + 1)
            pixels = self.read_level(min(top, level.height - 1), 0, bottom - top, level.width, number)
            strips.append(cv2.resize(pixels, (width, last - first), interpolation=cv2.INTER_AREA))
        return np.concatenate(strips)

    def level_for(self, mpp: float) -> int:
        """Return the number of the coarsest level that is as fine as a scale; 0 if all are coarser."""
        fine = [k for k, level in enumerate(self.levels) if level.mpp <= mpp * (1 + SAME_SCALE)]
        return max(fine, default=0)

    def _open(self, *, again: bool = False) -> _Source:
        """Return the open file of this process."""
        if again or self._source is None or self._process != os.getpid():
            self._source, self._process = _open_source(self.path), os.getpid()
        return self._source


class SlideReader:
    """Reads boxes of a slide at one scale.

    Bilinear interpolation, as `hsn.images.read.resample` does it. The weights follow from the absolute position of a
    pixel, so that overlapping boxes agree in every bit.

    Parameters
    ----------
    slide : Slide
    mpp : float
        Micrometers per pixel of the result.

    Attributes
    ----------
    shape : (int, int, int)
        Height, width, 3.
    level : int
        Level that is read: the coarsest that is as fine as `mpp`.
    per_level0 : (float, float)
        Pixels of the result per pixel of level 0, along rows and columns.
    """

    def __init__(self, slide: Slide, mpp: float) -> None:
        self.slide, self.mpp = slide, as_mpp(mpp)
        self.level = slide.level_for(mpp)
        level, (width, height) = slide.levels[self.level], slide.dimensions
        self._source_shape = (level.height, level.width)
        self.is_copy = abs(level.mpp / mpp - 1) <= SAME_SCALE
        sides = self._source_shape
        if not self.is_copy:
            sides = (max(1, round(height * slide.mpp / mpp)), max(1, round(width * slide.mpp / mpp)))
        self.shape = (*sides, 3)
        self.per_level0 = (sides[0] / height, sides[1] / width)

    def read(self, row: int, col: int, height: int, width: int) -> np.ndarray:
        """Return a box inside the slide, uint8 (height, width, 3)."""
        if self.is_copy:
            return self.slide.read_level(row, col, height, width, self.level)
        (top, lower, down), (left, right, across) = self._taps(0, row, height), self._taps(1, col, width)
        first_row, first_col = int(top[0]), int(left[0])
        pixels = self.slide.read_level(
            first_row, first_col, int(lower[-1]) + 1 - first_row, int(right[-1]) + 1 - first_col, self.level
        ).astype(np.float32)
        near, far = pixels[:, left - first_col], pixels[:, right - first_col]
        wide = near + (far - near) * across[None, :, None]
        near, far = wide[top - first_row], wide[lower - first_row]
        return np.rint(near + (far - near) * down[:, None, None]).astype(np.uint8)

    def _taps(self, axis: int, start: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the first and second source pixel of each pixel of an axis, and the weight of the second."""
        side, size = self._source_shape[axis], self.shape[axis]
        place = (np.arange(start, start + count, dtype=np.float64) + 0.5) * (side / size) - 0.5
        first = np.floor(place).astype(np.int64)
        weight = (place - first).astype(np.float32)
        return np.clip(first, 0, side - 1), np.clip(first + 1, 0, side - 1), weight


def open_slide(path: str | os.PathLike, *, mpp: float | None = None) -> Slide:
    """Open a whole slide or a plain image.

    Parameters
    ----------
    path : path
        SVS, NDPI, MRXS, SCN, BIF, VMS, DICOM, OME-TIFF, TIFF, PNG, JPEG or BMP.
    mpp : float, optional
        Micrometers per pixel of level 0. Default: that of the file's metadata.

    Returns
    -------
    Slide

    Raises
    ------
    InputError
        "slide-mpp-missing" if neither the file nor `mpp` gives the scale; "slide-mpp-not-square"; "slide-too-large"; or
        the code of an invalid file, as for `hsn.read`.

    Notes
    -----
    Color profiles are not applied, because nets are trained on the stored values.

    Examples
    --------
    >>> import tempfile
    >>> from hsn.images.read import write
    >>> path = Path(tempfile.mkdtemp()) / "plain.png"
    >>> write(path, np.full((40, 60, 3), 200, np.uint8))
    >>> slide = open_slide(path, mpp=0.5)
    >>> slide.dimensions, slide.read_region(10, 0, 8, 4, mpp=1.0).shape, slide.thumbnail(5.0).shape
    ((60, 40), (4, 8, 3), (4, 6, 3))
    """
    return Slide(path, mpp=mpp)


def is_slide(path: str | os.PathLike) -> bool:
    """Check whether a file is in the format of a slide scanner, or too large to be read as one image.

    Examples
    --------
    >>> is_slide("missing.svs")
    False
    """
    import openslide

    path = Path(path)
    try:
        vendor = openslide.OpenSlide.detect_format(path) if path.is_file() else None
        if vendor is None:
            return False
        return vendor != "generic-tiff" or os.path.getsize(path) > _PLAIN_BYTES
    except (OSError, openslide.OpenSlideError):
        return False


_PLAIN_BYTES = 300_000_000  # a tiled TIFF without a vendor is one image up to this size


def _checked_mpp(path: Path, source: _Source) -> float:
    """Return the scale of a file's metadata; raise if it is missing or implausible."""
    guess = None if not source.power else 10 / source.power
    hint = "give it with `mpp` (--mpp)"
    hint += (
        f"; the magnification {source.power:g}x looks like {guess:g}" if guess else ", 0.25 for a 40x scan"
    )
    if source.mpp is None or not all(MIN_SLIDE_MPP <= value <= MAX_SLIDE_MPP for value in source.mpp):
        raise InputError(
            "slide-mpp-missing",
            f"{path} must have a scale of {MIN_SLIDE_MPP} to {MAX_SLIDE_MPP:g} um/px in its metadata",
            got="none" if source.mpp is None else " x ".join(f"{value:.4g}" for value in source.mpp),
            hint=hint,
        )
    x, y = source.mpp
    if abs(x - y) > SAME_SCALE * max(x, y):
        raise InputError(
            "slide-mpp-not-square",
            f"{path} must have square pixels",
            got=f"{x:.4g} x {y:.4g} um",
            hint="export it with square pixels, or give the scale with `mpp` (--mpp)",
        )
    return x


def _open_source(path: Path) -> _Source:
    """Open a file with the first library that knows it."""
    check_file(path, max_bytes=SLIDE_BYTES)
    import openslide

    try:
        vendor = openslide.OpenSlide.detect_format(path)
    except Exception:  # a damaged file; the readers below name the fault
        vendor = None
    if vendor is not None:
        try:
            return _OpenSlideSource(path)
        except openslide.OpenSlideError as error:
            if not _is_tiff(path) or vendor != "generic-tiff":
                raise InputError(
                    "slide-damaged", f"{path} must be a complete slide", got=first_line(error),
                    hint="copy the slide again, or export it with the scanner's software",
                ) from None  # fmt: skip
    if _is_tiff(path):
        source = _TiffSource.open(path)
        if source is not None:
            return source
    return _ImageSource(path)


def _is_tiff(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(4) in TIFF_STARTS


def _digest_of_ends(path: Path, *texts: object) -> str:
    """Return a digest of the size of a file, its first and last megabyte, and texts."""
    checksum = hashlib.sha256(repr((os.path.getsize(path), *texts)).encode())
    with open(path, "rb") as file:
        checksum.update(file.read(_HASH_BYTES))
        file.seek(max(0, os.path.getsize(path) - _HASH_BYTES))
        checksum.update(file.read(_HASH_BYTES))
    return checksum.hexdigest()


class _OpenSlideSource:
    """Reads slides with OpenSlide, cropped to the scanned area."""

    def __init__(self, path: Path) -> None:
        import openslide

        self._slide = openslide.OpenSlide(path)
        self._slide.set_cache(openslide.OpenSlideCache(CACHE_BYTES))
        numbers = self._slide.properties
        self.name = f"openslide {openslide.__library_version__}"
        self._x, self._y = (_whole(numbers.get(f"openslide.bounds-{axis}")) or 0 for axis in "xy")
        width, height = self._slide.dimensions
        width = _whole(numbers.get("openslide.bounds-width")) or width - self._x
        height = _whole(numbers.get("openslide.bounds-height")) or height - self._y
        # Downsampling factors are rarely whole; each axis has its own.
        self._scales = [
            (full_w / w, full_h / h)
            for (full_w, full_h), (w, h) in (
                (self._slide.dimensions, size) for size in self._slide.level_dimensions
            )
        ]
        self.sizes = tuple((max(1, round(width / x)), max(1, round(height / y))) for x, y in self._scales)
        values = [_number(numbers.get(f"openslide.mpp-{axis}")) for axis in "xy"]
        self.mpp = None if None in values else (float(values[0] or 0), float(values[1] or 0))
        self.power = _number(numbers.get("openslide.objective-power"))
        color = numbers.get("openslide.background-color", "FFFFFF")
        self._background = np.frombuffer(bytes.fromhex(color), np.uint8).astype(np.float32)
        self.fingerprint = _digest_of_ends(path, numbers.get("openslide.quickhash-1"))

    def read(self, level: int, row: int, col: int, height: int, width: int) -> np.ndarray:
        x, y = self._scales[level]
        place = (self._x + round(col * x), self._y + round(row * y))
        rgba = np.asarray(self._slide.read_region(place, level, (width, height)))
        if rgba[..., 3].min() == 255:
            return np.ascontiguousarray(rgba[..., :3])
        alpha = rgba[..., 3:].astype(np.float32) / 255
        return np.rint(rgba[..., :3] * alpha + self._background * (1 - alpha)).astype(np.uint8)


class _TiffSource:
    """Reads the levels of a TIFF file with tifffile, in windows."""

    power: float | None = None

    def __init__(self, path: Path, file: Any) -> None:
        import zarr

        self.name = f"tifffile {version('tifffile')}"
        weakref.finalize(self, file.close)
        series = file.series[0]
        self._arrays: list[Any] = [
            zarr.open_array(series.aszarr(level=level), mode="r") for level in range(len(series.levels))
        ]
        self.sizes = tuple((array.shape[1], array.shape[0]) for array in self._arrays)
        mpp = read_mpp(path)
        self.mpp = None if mpp is None else (mpp, mpp)
        self.fingerprint = _digest_of_ends(path)

    @classmethod
    def open(cls, path: Path) -> "_TiffSource | None":
        """Open a TIFF of 8-bit RGB tiles; return None for other TIFF files."""
        import tifffile

        file = None
        try:
            file = tifffile.TiffFile(path)
            series = file.series[0]
            rgb = series.dtype == np.uint8 and series.axes == "YXS" and series.shape[2] == 3
            if rgb and series.keyframe.is_tiled:
                return cls(path, file)
        except Exception:  # tifffile raises many kinds of errors; the reader of images names the fault
            pass
        if file is not None:
            file.close()
        return None

    def read(self, level: int, row: int, col: int, height: int, width: int) -> np.ndarray:
        return np.asarray(self._arrays[level][row : row + height, col : col + width])


class _ImageSource:
    """Holds a plain image in memory."""

    power: float | None = None
    sizes: tuple[tuple[int, int], ...]

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = "hsn"
        self.sizes = ((self._pixels.shape[1], self._pixels.shape[0]),)
        mpp = read_mpp(path)
        self.mpp = None if mpp is None else (mpp, mpp)
        self.fingerprint = _digest_of_ends(path)

    @cached_property
    def _pixels(self) -> np.ndarray:
        return read(self._path)

    def read(self, level: int, row: int, col: int, height: int, width: int) -> np.ndarray:
        return self._pixels[row : row + height, col : col + width]


def _convert(text: str | None, kind: Callable[[str], Any]) -> Any:
    try:
        return None if text is None else kind(text)
    except ValueError:
        return None


def _number(text: str | None) -> float | None:
    value: float | None = _convert(text, float)
    return value if value is not None and math.isfinite(value) else None


def _whole(text: str | None) -> int | None:
    value: int | None = _convert(text, int)
    return value
