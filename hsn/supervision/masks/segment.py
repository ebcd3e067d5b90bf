"""Segment with a net that learned from masks: maps by overlapping tiles, then objects.

Each tile is decided by what lies in it and a margin around it; the image is mirrored at its ends first. With a margin
as wide as the net looks (`Recipe.margin_px` None) and tiles that start on multiples of what the net pools together, no
pixel can tell which tile it was in: the result does not depend on the size of tiles, but for rounding. A narrower
margin is cheaper, as FullNet's 40 px are, and then borders of tiles differ a little.

Objects: after FullNet (Qu et al., MICCAI 2019), parts of the inside class that are grown by what the contour took; or
a watershed from the same markers; or, after the U-Nets on CryoNuSeg, a threshold, and a watershed at waists.
"""

import keras
import numpy as np
from scipy.ndimage import distance_transform_edt

from ..._refuse import as_scale, as_segmentable
from ...images.read import resample
from ...images.tiles import enlarge, mirror_pad
from ...labels.contours import CONTOUR, INSIDE, grow
from ...nets import fullnet, unet
from ...refinement.clean import drop_small, drop_small_parts, fill_holes, number_parts
from ...refinement.split import flood, split
from ...training.augment import SYMMETRIES
from ...types import Segmentation

SAME_SCALE = 0.01  # scales that differ by less need no resampling
MAX_PIXELS = 400_000_000  # 5 GB of maps; larger ones are slides, which are read in windows


def segment(net, image, recipe, *, taxonomy=None, mpp=None):
    """Segment an image of any size with a net that learned from masks.

    Parameters
    ----------
    net : keras.Model
    image : uint8 array, shape (H, W, 3)
    recipe : Recipe
    taxonomy : str, optional
        Which of the recipe's taxonomies; the first by default.
    mpp : float, optional
        Micrometres per pixel of the image; by default that of the images which the net was made for.

    Returns
    -------
    Segmentation
        `instances` and `labels` at the size of the image; `evidence` is how surely a pixel belongs to an object,
        contour included, beside the rest.

    Raises
    ------
    Refusal
        If the image is none, or too small or too large, or `mpp` is no scale.

    References
    ----------
    .. [1] Qu et al., FullNet + varCE, MICCAI 2019.
    """
    wanted, image = recipe.taxonomy(taxonomy), as_segmentable(image, most_pixels=MAX_PIXELS)
    image_mpp = as_scale(recipe.image_mpp if mpp is None else mpp)
    # Maps are enlarged before the classes are compared, so that borders stay smooth.
    maps = enlarge(maps_of(net, at_scale(image, recipe, image_mpp), recipe), image.shape[:2])
    instances = objects(maps, recipe, mpp=image_mpp)
    sure = object_evidence(maps, recipe)
    evidence = np.stack([1 - sure, sure], axis=2)
    return Segmentation(
        (instances > 0).astype(np.int32), instances, evidence, evidence.max(axis=(0, 1)), wanted
    )


def at_scale(image, recipe, image_mpp):
    """The image at the net's scale, uint8 (h, w, 3)."""
    factor = image_mpp / recipe.mpp
    if abs(factor - 1) <= SAME_SCALE:
        return image
    return resample(image, tuple(max(1, round(side * factor)) for side in image.shape[:2]))


def maps_of(net, image, recipe):
    """The net's probabilities over an image at its scale, float32 (h, w, C); mean over `recipe.views` symmetries."""
    views = SYMMETRIES if recipe.views == 8 else SYMMETRIES[:1]
    return sum(view.back(_tiled(net, view.move(image), recipe)) for view in views) / np.float32(len(views))


def _tiled(net, image, recipe):
    reach, step = reach_of(net, recipe)
    margin = -(-reach // step) * step
    height, width = image.shape[:2]
    # Starts on multiples of `step` lie alike under the poolings; small images are one tile.
    core = [step * -(-min(recipe.tile_px, side) // step) for side in (height, width)]
    ends = [c * -(-side // c) for c, side in zip(core, (height, width), strict=True)]
    padded = mirror_pad(
        image, [(margin, margin + end - s) for end, s in zip(ends, (height, width), strict=True)]
    )
    maps = np.empty((*ends, len(recipe.classes)), np.float32)
    for row in range(0, ends[0], core[0]):
        for column in range(0, ends[1], core[1]):
            window = padded[row : row + core[0] + 2 * margin, column : column + core[1] + 2 * margin]
            seen = keras.ops.convert_to_numpy(net(normalised(window, recipe)[None], training=False))[0]
            kept = seen[margin : margin + core[0], margin : margin + core[1]]
            maps[row : row + core[0], column : column + core[1]] = kept
    return maps[:height, :width]


def normalised(pixels, recipe):
    """Pixels 0..255 as the net wants them, float32."""
    return (np.asarray(pixels, np.float32) - np.float32(recipe.mean)) / np.float32(recipe.std)


def reach_of(net, recipe):
    """The margin of tiles, and what their starts must be multiples of, both in pixels of the net."""
    poolings = sum(isinstance(layer, keras.layers.MaxPooling2D) for layer in net.layers)
    if recipe.margin_px is not None:
        return recipe.margin_px, 2**poolings
    enlarged = sum(isinstance(layer, keras.layers.UpSampling2D) for layer in net.layers)
    return (unet.reach_px(poolings), 2**poolings) if enlarged else (fullnet.reach_px(net), 1)


def object_evidence(maps, recipe):
    """How surely a pixel belongs to an object, inside or contour: float32 (H, W)."""
    return maps[..., INSIDE] + maps[..., CONTOUR] if recipe.ternary else maps[..., 0]


def objects(maps, recipe, *, mpp):
    """Tell objects in the net's probabilities.

    Parameters
    ----------
    maps : float array, shape (H, W, C)
    recipe : Recipe
    mpp : float
        Micrometres per pixel of `maps`.

    Returns
    -------
    int32 array, shape (H, W)
        0 background, 1..n.

    Examples
    --------
    >>> from hsn.supervision.masks.recipe import unet
    >>> maps = np.array([[0.9, 0.9, 0.1, 0.7]])[..., None]
    >>> objects(maps, unet(), mpp=0.25).tolist()
    [[1, 1, 0, 2]]
    """
    least_px = recipe.least_um2 / mpp**2
    if not recipe.ternary:
        mask = _filled(drop_small_parts(maps[..., 0] > recipe.inside, min_area_px=least_px), recipe)
        return drop_small(_parted(mask, recipe, mpp, connectivity=4), min_area_px=least_px)
    likely = maps.argmax(axis=2) == INSIDE if recipe.inside is None else maps[..., INSIDE] > recipe.inside
    mask = _filled(drop_small_parts(likely, min_area_px=least_px), recipe)
    parts = _parted(mask, recipe, mpp, connectivity=8)
    grow_px = round(recipe.grow_um / mpp, 3)  # a rest of rounding would cost a whole pixel
    if recipe.separate == "parts":
        return grow(parts, radius_px=grow_px, meet=recipe.meet)
    near = distance_transform_edt(parts == 0) <= grow_px if parts.any() else parts > 0
    bounds = (parts > 0) | (near & (maps.argmax(axis=2) != 0))
    return flood(parts, bounds, depth=object_evidence(maps, recipe))


def _parted(mask, recipe, mpp, *, connectivity):
    if not recipe.waist_um:
        return number_parts(mask, connectivity=connectivity)
    return split(mask, waist_px=recipe.waist_um / mpp)


def _filled(mask, recipe):
    return fill_holes(mask) if recipe.fill else mask
