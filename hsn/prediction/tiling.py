"""Tiled: what a segmentation net says of an image of any size, tile by tile, without seams.

Each tile is decided by what lies in it and a margin around it; the image is mirrored at its ends first. With a margin
as wide as the net looks, and tiles that start on multiples of what the net pools together, no pixel can tell which tile
it was in: the result does not depend on the size of tiles, but for rounding. A narrower margin is cheaper, and then
borders of tiles differ a little.
"""

import keras
import numpy as np

from ..images.read import resample
from ..images.tiles import mirror_pad

SAME_SCALE = 0.01  # scales that differ by less need no resampling


def rescale(image, image_mpp, mpp):
    """An image of `image_mpp` um/px at a net's scale of `mpp` um/px, uint8 (h, w, 3).

    Examples
    --------
    >>> rescale(np.zeros((10, 20, 3), np.uint8), 0.25, 0.5).shape
    (5, 10, 3)
    """
    factor = image_mpp / mpp
    if abs(factor - 1) <= SAME_SCALE:
        return image
    return resample(image, tuple(max(1, round(side * factor)) for side in image.shape[:2]))


def normalize(pixels, mean, std):
    """Pixels 0..255 as a net wants them, float32: ``(x - mean) / std``.

    Examples
    --------
    >>> normalize([[0, 100, 250]], (100, 100, 100), (50, 50, 50)).tolist()
    [[-2.0, 0.0, 3.0]]
    """
    return (np.asarray(pixels, np.float32) - np.float32(mean)) / np.float32(std)


def maps_of(net, image, *, mean, std, tile_px, margin_px, step_px=1, views=()):
    """A net's probabilities over an image at its scale.

    Parameters
    ----------
    net : keras.Model
        (N, h, w, 3) normalize pixels -> (N, h, w, C).
    image : uint8 array, shape (H, W, 3)
    mean, std : float or three floats
        The net's normalization, for pixels 0..255.
    tile_px : int
        Side of what one forward pass decides.
    margin_px : int
        What a tile sees around that, rounded up to a multiple of `step_px`.
    step_px : int
        What the sides of a tile must be multiples of: 2 to the power of how often the net halves them.
    views : sequence of hsn.training.augment.Draw
        Ways to hold the image, over which the mean is taken; as it is, where there are none.

    Returns
    -------
    float32 array, shape (H, W, C)

    Examples
    --------
    >>> net = keras.Sequential([keras.layers.Input((None, None, 3)), keras.layers.Rescaling(0.5)])
    >>> maps = maps_of(net, np.full((5, 7, 3), 9, np.uint8), mean=1, std=2, tile_px=4, margin_px=2)
    >>> maps.shape, float(maps.min()), float(maps.max())
    ((5, 7, 3), 2.0, 2.0)
    """

    def tiled(pixels):
        return _tiled(net, normalize(pixels, mean, std), tile_px, margin_px, step_px)

    if not views:
        return tiled(image)
    return sum(view.back(tiled(view.move(image))) for view in views) / np.float32(len(views))


def _tiled(net, pixels, tile_px, margin_px, step):
    margin = -(-margin_px // step) * step
    height, width = pixels.shape[:2]
    # Starts on multiples of `step` lie alike under the poolings; small images are one tile.
    core = [step * -(-min(tile_px, side) // step) for side in (height, width)]
    ends = [c * -(-side // c) for c, side in zip(core, (height, width), strict=True)]
    padded = mirror_pad(
        pixels, [(margin, margin + end - s) for end, s in zip(ends, (height, width), strict=True)]
    )
    maps = np.empty((*ends, net.output_shape[-1]), np.float32)
    for row in range(0, ends[0], core[0]):
        for column in range(0, ends[1], core[1]):
            window = padded[row : row + core[0] + 2 * margin, column : column + core[1] + 2 * margin]
            seen = keras.ops.convert_to_numpy(net(window[None], training=False))[0]
            kept = seen[margin : margin + core[0], margin : margin + core[1]]
            maps[row : row + core[0], column : column + core[1]] = kept
    return maps[:height, :width]
