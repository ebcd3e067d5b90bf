"""Tiled prediction: a segmentation net over an image of any size, tile by tile and without seams.

A forward pass sees a tile and a halo around it; the image is mirrored at its ends. With a halo as wide as the net's
receptive field, and tiles that start on multiples of its size divisor, the result does not depend on the tiling, but
for rounding. A narrower halo is cheaper, and then tiles differ a little at their borders.
"""

from itertools import groupby
from typing import NamedTuple

import numpy as np

from ..images.scaling import normalize, rescale  # noqa: F401 - until its callers have moved
from ..images.symmetries import SYMMETRIES, Symmetry
from ..images.tiles import ArrayReader, read_mirrored
from ..nets import reach
from ..progress import report
from .compiled import predict_batch

BATCH_PX = 2**19  # pixels a forward pass: bounds memory


def predict_tiled(net, image, *, mean, std, tile_px=512, halo_px=None, tta=1, progress=None):
    """Return the probabilities of a net over an image at the net's scale.

    Parameters
    ----------
    net : keras.Model
        (N, h, w, 3) normalized pixels -> (N, h, w, C).
    image : uint8 array, shape (H, W, 3), or reader
        A reader has a `shape` and a method ``read(row, col, height, width)``; see `hsn.images.tiles.ArrayReader`.
    mean, std : float or three floats
        The net's normalization, for pixels 0..255.
    tile_px : int
        Side of the area that a forward pass decides. Default: 512. Smaller images are one tile of their own size.
    halo_px : int, optional
        Margin that a tile sees around that, rounded up to a multiple of the net's size divisor. Default: half the
        net's receptive field.
    tta : {1, 8}
        Symmetries of the square that are averaged. Default: 1.
    progress : callable, optional
        Called with a `hsn.progress.Event` after every batch.

    Returns
    -------
    float32 array, shape (H, W, C)

    Raises
    ------
    InputError
        "receptive-field-unbounded" if `halo_px` is not given for a net that sees the whole image.

    Examples
    --------
    >>> import keras
    >>> net = keras.Sequential([keras.layers.Input((None, None, 3)), keras.layers.Rescaling(0.5)])
    >>> maps = predict_tiled(net, np.full((5, 7, 3), 9, np.uint8), mean=1, std=2, tile_px=4, halo_px=2)
    >>> maps.shape, float(maps.min()), float(maps.max())
    ((5, 7, 3), 2.0, 2.0)
    """
    reader = ArrayReader(image) if isinstance(image, np.ndarray) else image
    step = reach.size_divisor(net)
    halo = reach.halo_px(net) if halo_px is None else halo_px
    halo = -(-halo // step) * step
    tiles = [tile for symmetry in SYMMETRIES[:tta] for tile in _tiles(reader.shape, symmetry, tile_px, step)]
    total = np.zeros((*reader.shape[:2], net.output_shape[-1]), np.float32)
    done = 0
    for batch, batch_size in _batches(tiles, halo):
        x = np.stack([_read(reader, tile, halo) for tile in batch])
        maps = predict_batch(net, normalize(x, mean, std), batch_size=batch_size)
        for tile, tile_maps in zip(batch, maps, strict=True):
            _add(total, tile, tile_maps, halo)
        done += len(batch)
        report(progress, "predicting", done, len(tiles))
    return total / np.float32(tta) if tta > 1 else total


class _Tile(NamedTuple):
    """An area that one forward pass decides, in a moved image: its first row and column, its height and width."""

    row: int
    col: int
    height: int
    width: int
    symmetry: Symmetry


def _tiles(shape, symmetry, tile_px, step):
    """The tiles of an image as a symmetry moves it; the last ones may reach beyond it."""
    sides = symmetry.shape(shape)
    # Starts on multiples of `step` lie alike under the poolings.
    height, width = (step * -(-min(tile_px, side) // step) for side in sides)
    return [
        _Tile(row, col, height, width, symmetry)
        for row in range(0, sides[0], height)
        for col in range(0, sides[1], width)
    ]


def _batches(tiles, halo):
    """Tiles of one shape, and how many tiles the batches of this shape have; memory bounds these."""

    def shape_of(tile):
        return tile.height, tile.width

    for (height, width), group in groupby(sorted(tiles, key=shape_of), key=shape_of):
        group = list(group)
        most = max(1, BATCH_PX // ((height + 2 * halo) * (width + 2 * halo)))
        size = -(-len(group) // -(-len(group) // most))  # batches of about one size
        for first in range(0, len(group), size):
            yield group[first : first + size], size


def _read(reader, tile, halo):
    """The pixels of a tile and its halo, moved."""
    box = (tile.row - halo, tile.col - halo, tile.height + 2 * halo, tile.width + 2 * halo)
    return tile.symmetry.move(read_mirrored(reader, *tile.symmetry.source(box, reader.shape)))


def _add(total, tile, maps, halo):
    """Add what a net returned for a tile to the probabilities of the image."""
    height, width = (min(start + side, end) - start for start, side, end in
                     zip(tile[:2], tile[2:4], tile.symmetry.shape(total.shape), strict=True))  # fmt: skip
    core = tile.symmetry.back(maps[halo : halo + height, halo : halo + width])
    row, col, *_ = tile.symmetry.source((tile.row, tile.col, height, width), total.shape)
    total[row : row + core.shape[0], col : col + core.shape[1]] += core


def maps_of(net, image, *, mean, std, tile_px, margin_px, step_px=1, views=()):
    """Call `predict_tiled` by its name in the first edition; to be removed."""
    tta = len(views) or 1
    return predict_tiled(net, image, mean=mean, std=std, tile_px=tile_px, halo_px=margin_px, tta=tta)
