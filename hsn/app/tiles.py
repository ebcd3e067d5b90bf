"""Images as JPEG tiles of 512 px: z = 0 has full size, each further z half of it."""

import io
import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from PIL import Image

from ..images.slide import Slide

TILE_PX = 512
_QUALITY = 85
_CACHED = 512  # tiles
_MAX_SOURCE_PX = 8192  # side of the box that is read for one tile: bounds the memory
_SAME = 0.01  # relative difference of scales that is rounding: a scanner writes 63.98 for 64
_WHITE = 255


class Cache:
    """Keeps the last results of a function, for several threads.

    Examples
    --------
    >>> cache = Cache(2)
    >>> cache.get("a", lambda: 1), cache.get("a", lambda: 2)
    (1, 1)
    """

    def __init__(self, size: int) -> None:
        self._size, self._lock = size, threading.Lock()
        self._kept: OrderedDict[Any, Any] = OrderedDict()

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return the result for a key; make it if it is not kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        value = make()
        with self._lock:
            self._kept[key] = value
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return value

    def drop(self, where: Callable[[Any], bool]) -> None:
        """Forget the results whose key meets a condition."""
        with self._lock:
            for key in [key for key in self._kept if where(key)]:
                del self._kept[key]


def levels_of(slide: Slide) -> int:
    """Return the number of zoom levels: until one tile shows everything, or one tile would read too much."""
    width, height = slide.dimensions
    wanted = max(0, math.ceil(math.log2(max(width, height) / TILE_PX))) + 1
    coarsest = slide.levels[-1].width / width
    limit = math.floor(math.log2(_MAX_SOURCE_PX / TILE_PX / coarsest)) + 1
    return max(1, min(wanted, limit))


def read_box(slide: Slide, left: float, top: float, width: int, height: int, factor: float) -> np.ndarray:
    """Read a box at a coarser scale; pixels are averaged.

    Parameters
    ----------
    slide : Slide
    left, top : float
        First corner in pixels of level 0.
    width, height : int
        Size of the result in pixels.
    factor : float
        Pixels of level 0 per pixel of the result, along each axis; 1 or more is averaged, less is interpolated.

    Returns
    -------
    uint8 array, shape (height, width, 3)
        White outside of the slide.
    """
    full_width, full_height = slide.dimensions
    number = max((k for k, level in enumerate(slide.levels) if full_width / level.width <= factor * (1 + _SAME)),
                 default=0)  # fmt: skip
    level = slide.levels[number]
    across, down = level.width / full_width, level.height / full_height
    x, y = round(left * across), round(top * down)
    w, h = (max(1, round(size * factor * shrink)) for size, shrink in ((width, across), (height, down)))
    box = np.full((h, w, 3), _WHITE, np.uint8)
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + w, level.width), min(y + h, level.height)
    if x0 < x1 and y0 < y1:
        box[y0 - y : y1 - y, x0 - x : x1 - x] = slide.read_level(y0, x0, y1 - y0, x1 - x0, number)
    if (w, h) == (width, height):
        return box
    how = cv2.INTER_AREA if w >= width else cv2.INTER_LINEAR
    return cv2.resize(box, (width, height), interpolation=how)


def tile_box(slide: Slide, z: int, x: int, y: int, size: int = TILE_PX) -> tuple[int, int, int, int] | None:
    """Return left, top, width and height of a tile in pixels of its level; None outside of the image.

    Examples
    --------
    >>> import tempfile
    >>> from hsn.images.read import write
    >>> path = tempfile.mkdtemp() + "/a.png"
    >>> write(path, np.zeros((600, 700, 3), np.uint8))
    >>> slide = Slide(path, mpp=1.0)
    >>> tile_box(slide, 0, 1, 1), tile_box(slide, 0, 2, 0)
    ((512, 512, 188, 88), None)
    """
    width, height = (-(-side // 2**z) for side in slide.dimensions)
    left, top = x * size, y * size
    if not (0 <= z < levels_of(slide) and 0 <= left < width and 0 <= top < height):
        return None
    return left, top, min(size, width - left), min(size, height - top)


class ImageTiles:
    """Makes and keeps the JPEG tiles of the images of a project."""

    def __init__(self, open_image: Callable[[str], Slide]) -> None:
        self._open, self._cache = open_image, Cache(_CACHED)

    def jpeg(self, image: str, z: int, x: int, y: int) -> bytes | None:
        """Return a tile, filled up at the right and lower end; None outside of the image."""
        return self._cache.get((image, z, x, y), lambda: self._make(image, z, x, y))

    def _make(self, image: str, z: int, x: int, y: int) -> bytes | None:
        slide = self._open(image)
        box = tile_box(slide, z, x, y)
        if box is None:
            return None
        left, top, width, height = box
        pixels = read_box(slide, left * 2**z, top * 2**z, width, height, 2.0**z)
        # OpenLayers stretches smaller tiles.
        pixels = cv2.copyMakeBorder(pixels, 0, TILE_PX - height, 0, TILE_PX - width, cv2.BORDER_REPLICATE)
        return encode(Image.fromarray(pixels), "JPEG", quality=_QUALITY)

    def thumbnail(self, image: str, side: int = 160) -> bytes:
        """Return a small JPEG of a whole image."""

        def make() -> bytes:
            slide = self._open(image)
            factor = max(slide.dimensions) / side
            width, height = (max(1, round(length / factor)) for length in slide.dimensions)
            pixels = cv2.resize(slide.thumbnail(slide.mpp * factor), (width, height))
            return encode(Image.fromarray(pixels), "JPEG", quality=_QUALITY)

        return self._cache.get((image, "thumbnail"), make)


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return an image as the bytes of a file."""
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def palette_png(indices: np.ndarray, colors: list[tuple[int, int, int, int]]) -> bytes:
    """Return a PNG of color numbers.

    Parameters
    ----------
    indices : uint8 array, shape (H, W)
    colors : list of (int, int, int, int)
        Red, green, blue and opacity of each number.
    """
    image = Image.fromarray(indices, "P")
    image.putpalette([value for color in colors for value in color[:3]])
    return encode(image, "PNG", transparency=bytes(color[3] for color in colors), compress_level=1)


EMPTY = palette_png(np.zeros((1, 1), np.uint8), [(0, 0, 0, 0)])  # one transparent pixel: not ready
