"""Tiled prediction: run a segmentation net over an image of any size, without seams.

The input of a forward pass is a tile and a halo around it; the image is mirrored at its borders. The halo is half the
receptive field, and tiles start on multiples of the size divisor. Then the result does not depend on the tiling,
except for rounding. A narrower halo is faster, but results differ slightly at the borders of tiles.
"""

from itertools import groupby
from typing import NamedTuple

import numpy as np

from ..config import Tiling
from ..images.scaling import normalize
from ..images.symmetries import SYMMETRIES, Symmetry
from ..images.tiles import ArrayReader, read_mirrored
from ..nets import reach
from ..progress import report
from .compiled import predict_batch

BATCH_PX = 2**19  # pixels per forward pass: bounds memory
_DEFAULT = Tiling()


def predict_tiled(net, image, normalization, tiling=_DEFAULT, *, progress=None):
    """Return the probabilities of a net over an image at the net's scale.

    Parameters
    ----------
    net : keras.Model
        (N, h, w, 3) normalized pixels -> (N, h, w, C).
    image : uint8 array, shape (H, W, 3), or reader
        A reader has a `shape` and a method ``read(row, col, height, width)``; see `hsn.images.tiles.ArrayReader`.
    normalization : Normalization
        Its `mean` and `std`, for pixels 0..255. Stains are normalized before, on whole images.
    tiling : Tiling, optional
        `tile_px`: side of a tile; a smaller image is one tile. `halo_px`: margin around a tile, rounded up to a
        multiple of the net's size divisor; None takes half the net's receptive field. `tta`: number of symmetries of
        the square to average, 1 or 8.
    progress : callable, optional
        Called with a `hsn.progress.Event` after every batch.

    Returns
    -------
    float32 array, shape (H, W, C)

    Raises
    ------
    InputError
        "receptive-field-unbounded" if `halo_px` is None for a net with an unbounded receptive field.

    Examples
    --------
    >>> import keras
    >>> from hsn.config import Normalization
    >>> net = keras.Sequential([keras.layers.Input((None, None, 3)), keras.layers.Rescaling(0.5)])
    >>> normalization = Normalization(mean=(1, 1, 1), std=(2, 2, 2))
    >>> maps = predict_tiled(net, np.full((5, 7, 3), 9, np.uint8), normalization, Tiling(tile_px=4, halo_px=2))
    >>> maps.shape, float(maps.min()), float(maps.max())
    ((5, 7, 3), 2.0, 2.0)
    """
    reader = ArrayReader(image) if isinstance(image, np.ndarray) else image
    step, halo = reach.size_divisor(net), tile_halo(net, tiling)
    tiles = [
        tile
        for symmetry in SYMMETRIES[: tiling.tta]
        for tile in _tiles(reader.shape, symmetry, tiling.tile_px, step)
    ]
    total = np.zeros((*reader.shape[:2], net.output_shape[-1]), np.float32)
    done = 0
    for batch, batch_size in _batches(tiles, halo):
        x = np.stack([_read(reader, tile, halo) for tile in batch])
        maps = predict_batch(net, normalize(x, normalization.mean, normalization.std), batch_size=batch_size)
        for tile, tile_maps in zip(batch, maps, strict=True):
            _add(total, tile, tile_maps, halo)
        done += len(batch)
        report(progress, "predicting", done, len(tiles))
    if tiling.tta > 1:
        total /= np.float32(tiling.tta)
    return total


def tile_halo(net, tiling):
    """Return the margin of the tiles of a net in pixels: a multiple of the size divisor."""
    step = reach.size_divisor(net)
    halo = reach.halo_px(net) if tiling.halo_px is None else tiling.halo_px
    return -(-halo // step) * step


def predict_tile(net, pixels, normalization, *, halo, tta=1):
    """Return the probabilities of one tile that was read with its halo.

    Parameters
    ----------
    net : keras.Model
        (N, h, w, 3) normalized pixels -> (N, h, w, C).
    pixels : uint8 array, shape (h, w, 3)
        The tile and its halo; sides are multiples of the net's size divisor.
    normalization : Normalization
    halo : int
        Width of the margin in pixels.
    tta : {1, 8}
        Number of symmetries of the square to average. Default: 1.

    Returns
    -------
    float32 array, shape (h - 2 halo, w - 2 halo, C)

    Examples
    --------
    >>> import keras
    >>> from hsn.config import Normalization
    >>> net = keras.Sequential([keras.layers.Input((None, None, 3)), keras.layers.Rescaling(0.5)])
    >>> normalization = Normalization(mean=(1, 1, 1), std=(2, 2, 2))
    >>> predict_tile(net, np.full((4, 6, 3), 9, np.uint8), normalization, halo=1, tta=8)[0, 0].tolist()
    [2.0, 2.0, 2.0]
    """
    height, width = pixels.shape[0] - 2 * halo, pixels.shape[1] - 2 * halo
    total = np.zeros((height, width, net.output_shape[-1]), np.float32)
    for symmetry in SYMMETRIES[:tta]:
        x = normalize(symmetry.move(pixels)[None], normalization.mean, normalization.std)
        maps = symmetry.back(predict_batch(net, x, batch_size=1)[0])
        total += maps[halo : halo + height, halo : halo + width]
    return total / np.float32(tta) if tta > 1 else total


class _Tile(NamedTuple):
    """A tile of a transformed image: first row and column, height and width, symmetry."""

    row: int
    col: int
    height: int
    width: int
    symmetry: Symmetry


def _tiles(shape, symmetry, tile_px, step):
    """Return the tiles of a transformed image; the last tiles may extend beyond it."""
    sides = symmetry.shape(shape)
    # Tiles that start on multiples of `step` have the same pooling grid.
    height, width = (step * -(-min(tile_px, side) // step) for side in sides)
    return [
        _Tile(row, col, height, width, symmetry)
        for row in range(0, sides[0], height)
        for col in range(0, sides[1], width)
    ]


def _batches(tiles, halo):
    """Yield batches of tiles of one shape, each with the usual batch size of that shape."""

    def shape_of(tile):
        return tile.height, tile.width

    for (height, width), group in groupby(sorted(tiles, key=shape_of), key=shape_of):
        group = list(group)
        max_size = max(1, BATCH_PX // ((height + 2 * halo) * (width + 2 * halo)))
        size = -(-len(group) // -(-len(group) // max_size))  # batches of about one size
        for first in range(0, len(group), size):
            yield group[first : first + size], size


def _read(reader, tile, halo):
    """Read the pixels of a tile and its halo, transformed by the symmetry of the tile."""
    box = (tile.row - halo, tile.col - halo, tile.height + 2 * halo, tile.width + 2 * halo)
    return tile.symmetry.move(read_mirrored(reader, *tile.symmetry.source(box, reader.shape)))


def _add(total, tile, maps, halo):
    """Add the output of a net for a tile to the sum over the image."""
    height, width = (min(start + side, end) - start for start, side, end in
                     zip(tile[:2], tile[2:4], tile.symmetry.shape(total.shape), strict=True))  # fmt: skip
    core = tile.symmetry.back(maps[halo : halo + height, halo : halo + width])
    row, col, *_ = tile.symmetry.source((tile.row, tile.col, height, width), total.shape)
    total[row : row + core.shape[0], col : col + core.shape[1]] += core
