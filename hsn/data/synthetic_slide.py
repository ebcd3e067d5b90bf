"""Draw a large synthetic slide with known truth, quickly.

A torus of tissue is drawn once: it has no seams when it is repeated. Its JPEG tiles are encoded once, and their bytes
are written again and again. Only tiles at the outline of the tissue are encoded anew. The truth of pixel (r, c) of the
slide is the truth of pixel (r modulo side, c modulo side) of the torus, where there is tissue.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image

from ..files import atomic_write

_GLASS = np.array([243, 241, 244], np.uint8)
_STROMA, _GLAND, _NUCLEUS = (232, 190, 214), (214, 150, 196), (92, 62, 140)
_TILE_PX = 256
_LEVELS = (1, 4, 16)
_QUALITY = 80


@dataclass(frozen=True)
class SyntheticSlide:
    """A synthetic slide and its truth.

    Attributes
    ----------
    path : pathlib.Path
        An SVS file with three levels.
    shape : (int, int)
        Height and width of level 0.
    mpp : float
        Micrometers per pixel.
    nuclei, glands : int32 arrays, shape (side, side)
        Numbered objects of the torus; glands may contain nuclei.
    """

    path: Path
    shape: tuple[int, int]
    mpp: float
    nuclei: np.ndarray
    glands: np.ndarray

    def tissue(self, row: int, col: int, height: int, width: int, *, step: int = 1) -> np.ndarray:
        """Return the mask of the tissue in a box of level 0, bool; `step` gives every n-th pixel."""
        rows, columns = (
            np.arange(start, start + side, step) for start, side in ((row, height), (col, width))
        )
        return _is_tissue(self.shape, rows + 0.5, columns + 0.5)

    def truth(self, torus: np.ndarray, row: int, col: int, height: int, width: int) -> np.ndarray:
        """Return the numbers of `nuclei` or `glands` in a box of level 0, int32 (height, width); 0 on glass."""
        side = len(torus)
        rows, columns = (np.arange(start, start + n) % side for start, n in ((row, height), (col, width)))
        return np.where(self.tissue(row, col, height, width), torus[np.ix_(rows, columns)], 0)


def draw_slide(
    path: Path | str, shape: tuple[int, int], *, seed: int = 0, side: int = 1024, mpp: float = 0.25
) -> SyntheticSlide:
    """Draw a synthetic slide and write it as an SVS file.

    Parameters
    ----------
    path : path
        Ends in `.svs`.
    shape : (int, int)
        Height and width of level 0.
    seed : int
    side : int
        Side of the torus in pixels, a multiple of 4096 / 16 = 256. Default: 1024.
    mpp : float
        Micrometers per pixel. Default: 0.25.

    Returns
    -------
    SyntheticSlide

    Examples
    --------
    >>> import tempfile
    >>> slide = draw_slide(Path(tempfile.mkdtemp()) / "a.svs", (600, 800), side=256)
    >>> bool(slide.tissue(0, 0, 600, 800)[300, 400]), bool(slide.tissue(0, 0, 600, 800)[0, 0])
    (True, False)
    """
    path = Path(path)
    image, nuclei, glands = _draw_torus(np.random.default_rng(seed), side)
    height, width = shape
    about = f"Aperio Image Library v12.0.15 (synthetic by hsn)\n{width}x{height} [0,0 {width}x{height}] "
    about += f"({_TILE_PX}x{_TILE_PX}) JPEG/RGB Q={_QUALITY}|AppMag = {10 / mpp:g}|MPP = {mpp}"
    with (
        atomic_write(path) as temporary,
        tifffile.TiffWriter(temporary, bigtiff=height * width > 2e9) as writer,
    ):
        for factor in _LEVELS:
            writer.write(
                _tiles(image, shape, factor),
                shape=(-(-height // factor), -(-width // factor), 3),
                dtype="uint8",
                photometric="ycbcr",
                compression="jpeg",
                subsampling=(2, 2),
                tile=(_TILE_PX, _TILE_PX),
                metadata=None,
                software=False,
                description=about if factor == 1 else about.splitlines()[0],
            )
            if factor == 1:  # the second directory of an SVS file is a thumbnail in strips
                small = cv2.resize(image, (256, 192), interpolation=cv2.INTER_AREA)
                writer.write(small, photometric="rgb", rowsperstrip=16, metadata=None, software=False)
    return SyntheticSlide(path, shape, mpp, nuclei, glands)


def _is_tissue(shape: tuple[int, int], rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return whether points at rows and columns lie in the tissue, bool (rows, columns)."""
    down = (rows - shape[0] / 2)[:, None] / (0.46 * shape[0])
    right = (columns - shape[1] / 2)[None] / (0.46 * shape[1])
    angle = np.arctan2(down, right)
    inside: np.ndarray = np.hypot(down, right) < 1 + 0.06 * np.cos(5 * angle) + 0.04 * np.cos(11 * angle)
    return inside


def _tiles(image: np.ndarray, shape: tuple[int, int], factor: int) -> Iterator[bytes]:
    """Yield the JPEG tiles of the level that is `factor` times smaller, row by row."""
    side = len(image) // factor
    small = image if factor == 1 else cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    known: dict[tuple[int, int] | None, bytes] = {}
    for top in range(0, -(-shape[0] // factor), _TILE_PX):
        for left in range(0, -(-shape[1] // factor), _TILE_PX):
            rows, columns = (np.arange(start, start + _TILE_PX) for start in (top, left))
            tissue = _is_tissue(shape, (rows + 0.5) * factor, (columns + 0.5) * factor)
            key = None if not tissue.any() else (top % side, left % side)
            if tissue.all() != tissue.any() or key not in known:
                pixels = np.where(tissue[..., None], small[np.ix_(rows % side, columns % side)], _GLASS)
                tile = _jpeg(pixels)
                if tissue.all() == tissue.any():
                    known[key] = tile
            else:
                tile = known[key]
            yield tile


def _jpeg(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=_QUALITY, subsampling=2)
    return file.getvalue()


def _draw_torus(rng: np.random.Generator, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the image uint8 (side, side, 3), nuclei and glands int32 (side, side), all periodic."""
    image = np.empty((side, side, 3), np.float32)
    image[:] = _STROMA
    for sigma, colors in ((6, (6, 9, 6)), (40, (5, 8, 5))):
        image += _noise(rng, side, sigma)[..., None] * np.array(colors, np.float32)
    glands, nuclei = np.zeros((side, side), np.int32), np.zeros((side, side), np.int32)
    largest = side * np.array([0.22, 0.14])  # radii of two large glands
    for radius in (*largest, *rng.uniform(side * 0.02, side * 0.08, 26)):
        _stamp(rng, image, glands, radius, 0.10, (0.8, 1.25), _GLAND, tries=40)
    for radius in rng.uniform(8, 15, side**2 // 1900):
        _stamp(rng, image, nuclei, radius, 0.12, (0.8, 1.35), rng.normal(_NUCLEUS, 10), tries=1)
    framed = np.pad(image, ((8, 8), (8, 8), (0, 0)), mode="wrap")
    blurred: np.ndarray = cv2.GaussianBlur(framed, (0, 0), 1.2)[8:-8, 8:-8]
    blurred = blurred + rng.normal(0, 2.5, image.shape).astype(np.float32)
    return np.clip(blurred, 0, 255).astype(np.uint8), nuclei, glands


def _noise(rng: np.random.Generator, side: int, sigma: float) -> np.ndarray:
    """Draw periodic smooth noise with standard deviation 1, float32 (side, side)."""
    spectrum = np.fft.rfft2(rng.standard_normal((side, side)))
    down, right = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    field = np.fft.irfft2(spectrum * np.exp(-2 * (np.pi * sigma) ** 2 * (down**2 + right**2)), s=(side, side))
    return (field / field.std()).astype(np.float32)


def _stamp(
    rng: np.random.Generator,
    image: np.ndarray,
    numbers: np.ndarray,
    radius: float,
    wobble: float,
    stretch: tuple[float, float],
    color: tuple[float, ...] | np.ndarray,
    *,
    tries: int,
) -> None:
    """Draw an object with the next number at a random free place; two pixels around it stay free."""
    side = len(numbers)
    for _ in range(tries):
        angle = np.linspace(0, 2 * np.pi, max(24, int(radius)), endpoint=False)
        waves = sum(rng.normal() / (k + 1) * np.cos(k * angle + rng.uniform(0, 6.28)) for k in (2, 3, 4))
        far, long, turn = radius * (1 + wobble * waves), rng.uniform(*stretch), rng.uniform(0, 3)
        points = np.stack([far * np.cos(angle) * long, far * np.sin(angle) / long], axis=1)
        points = points @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        points += rng.uniform(0, side, 2)
        low = np.floor(points.min(axis=0)) - 4
        width, height = (np.ceil(points.max(axis=0)) + 5 - low).astype(int)
        mask = np.zeros((height, width), np.uint8)
        cv2.fillPoly(mask, [np.round(points - low).astype(np.int32)], 1)
        place = np.ix_((np.arange(height) + int(low[1])) % side, (np.arange(width) + int(low[0])) % side)
        if max(width, height) > side or numbers[place][cv2.dilate(mask, np.ones((5, 5), np.uint8)) > 0].any():
            continue
        inside = mask > 0
        part, pixels = numbers[place], image[place]
        part[inside] = numbers.max() + 1
        pixels[inside] = 0.25 * pixels[inside] + 0.75 * np.asarray(color, np.float32)
        numbers[place], image[place] = part, pixels
        return
