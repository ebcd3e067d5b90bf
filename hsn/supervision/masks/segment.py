"""Segment with a net that learned from masks: maps by overlapping tiles, then objects.

With margins as wide as the net looks (`Recipe.margin_px` None) tiles cannot be told in the maps; a narrower margin is
cheaper, as FullNet's 40 px are.

Objects: after FullNet (Qu et al., MICCAI 2019), parts of the inside class that are grown by what the contour took; or
a watershed from the same markers; or, after the U-Nets on CryoNuSeg, a threshold, and a watershed at waists.
"""

import keras
import numpy as np
from scipy.ndimage import distance_transform_edt

from ..._refuse import as_scale, as_segmentable
from ...evidence import tiled
from ...evidence.tiled import at_scale
from ...images.tiles import enlarge
from ...labels.contours import CONTOUR, INSIDE, grow
from ...nets import fullnet, resunet, unet
from ...refinement.clean import drop_small, drop_small_parts, fill_holes, number_parts
from ...refinement.split import flood, split
from ...training.augment import SYMMETRIES
from ...types import Segmentation

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
    maps = enlarge(maps_of(net, as_seen(image, recipe, image_mpp), recipe), image.shape[:2])
    instances = objects(maps, recipe, mpp=image_mpp)
    sure = object_evidence(maps, recipe)
    evidence = np.stack([1 - sure, sure], axis=2)
    return Segmentation(
        (instances > 0).astype(np.int32), instances, evidence, evidence.max(axis=(0, 1)), wanted
    )


def as_seen(image, recipe, image_mpp):
    """A whole image at the net's scale and in the recipe's stains, uint8 (h, w, 3)."""
    small = at_scale(image, image_mpp, recipe.mpp)
    return recipe.stain.normalise(small) if recipe.stain else small


def maps_of(net, image, recipe):
    """The net's probabilities over an image as it sees it, float32 (h, w, C); mean over `recipe.views` symmetries."""
    margin_px, step_px = reach_of(net, recipe)
    return tiled.maps_of(
        net,
        image,
        mean=recipe.mean,
        std=recipe.std,
        tile_px=recipe.tile_px,
        margin_px=margin_px,
        step_px=step_px,
        views=SYMMETRIES if recipe.views == 8 else (),
    )


def reach_of(net, recipe):
    """The margin of tiles, and what their starts must be multiples of, both in pixels of the net."""
    kinds = [type(layer) for layer in net.layers]
    poolings = kinds.count(keras.layers.MaxPooling2D)
    # A ResUNet halves by strides, and makes up for each by a transposed convolution.
    halvings = max(poolings, kinds.count(keras.layers.Conv2DTranspose))
    if recipe.margin_px is not None:
        return recipe.margin_px, 2**halvings
    if halvings > poolings:
        return resunet.reach_px(net), 2**halvings
    enlarged = keras.layers.UpSampling2D in kinds
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
