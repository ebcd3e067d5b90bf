"""Inter-class adjustment: infer background and "other", and let the classes compete.

A classifier has no output for bare glass or for "other", because patches are not tagged with them. Their maps are
inferred: glass from brightness, "other" where all classes are weak, by the rules of the taxonomy. Then each class loses
what its strongest competitor has,

    v_k := max(v_k - max_{j != k} v_j, 0),

so that each pixel keeps one class, with its lead over the second.

The release subtracts in place: later classes compete with values that were lowered already, so that a weaker class with
a higher index can win (whenever 3 B > 2 A for A > B). ``subtraction="sequential"`` repeats that; ``"order_free"`` is
the formula above.

Source: HistoSegNet (Chan et al., ICCV 2019), "inter-HTT adjustments", and its release.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from ...checks import as_image, one_of
from ...errors import InputError

TRUNCATE = 4.0  # standard deviations: a radius of 8 px at sigma 2


def compute_glass(image, rule):
    """Return the map of bare glass, from brightness, before other bright classes are subtracted.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    rule : BackgroundRule

    Returns
    -------
    float32 array, shape (H, W), in [0, rule.peak]

    Examples
    --------
    >>> from hsn.taxonomies import ADP_MORPH
    >>> white, pink = np.full((2, 2, 3), 255, np.uint8), np.full((2, 2, 3), 180, np.uint8)
    >>> [round(float(compute_glass(i, ADP_MORPH.background)[0, 0]), 3) for i in (white, pink)]
    [0.75, 0.0]
    """
    brightness = as_image(image).mean(axis=2)  # (H, W), 0..255
    steep = np.clip(rule.slope * (brightness - rule.level), -50, 50)  # keeps exp finite
    bright = rule.peak / (1 + np.exp(-steep))
    return gaussian_filter(bright, rule.blur_px, mode="reflect", truncate=TRUNCATE).astype(np.float32)


def infer(heatmaps, image, taxonomy, *, also=None):
    """Fill in the maps of the inferred classes of a taxonomy: background and other.

    Parameters
    ----------
    heatmaps : float array, shape (H, W, C)
        In the taxonomy's order; channels of inferred classes are ignored.
    image : uint8 array, shape (H, W, 3)
    taxonomy : Taxonomy
    also : float array, shape (H, W), optional
        Map of classes outside the taxonomy that count as other; may be negative.

    Returns
    -------
    float32 array, shape (H, W, C), in [0, 1]

    Raises
    ------
    InputError
        "heatmaps-shape" or "image-dtype".

    Examples
    --------
    >>> from hsn.taxonomies import GLAS
    >>> infer(np.array([[[0, 0.6]]]), np.zeros((1, 1, 3), np.uint8), GLAS).round(3).tolist()
    [[[0.019999999552965164, 0.6000000238418579]]]
    """
    heatmaps, shape = np.asarray(heatmaps), (*as_image(image).shape[:2], len(taxonomy))
    if heatmaps.shape != shape:
        raise InputError(
            "heatmaps-shape",
            f"`heatmaps` must have the shape {shape}",
            got=heatmaps.shape,
            hint="give one map for each class, at the size of the image",
        )
    values = heatmaps.astype(np.float32)
    values[..., [taxonomy.index(name) for name in taxonomy.inferred]] = 0
    if rule := taxonomy.background:
        bright = compute_glass(image, rule)
        if rule.exceptions:
            bright = bright - values[..., [taxonomy.index(n) for n in rule.exceptions]].max(axis=2)
        values[..., taxonomy.index(rule.name)] = np.clip(bright, 0, 1)
    if rule := taxonomy.other:
        rest = rule.scale * (1 - values.max(axis=2))
        if also is not None:
            rest = np.maximum(rest, also)
        values[..., taxonomy.index(rule.name)] = np.clip(rest, 0, 1)
    return values


def subtract(values, *, how="order_free", keep=()):
    """Subtract from each class its strongest competitor; values may become negative.

    Parameters
    ----------
    values : float array, shape (..., C)
    how : {"order_free", "sequential"}
        Competitors have their given values, or, as in the release, values lowered already in index order.
    keep : sequence of int
        Classes that compete but are not lowered.

    Returns
    -------
    float array, shape (..., C)

    Raises
    ------
    InputError
        "how-unknown".

    Examples
    --------
    >>> subtract(np.array([0.1, 0.5, 0.6, 0.0])).clip(0).round(3).tolist()
    [0.0, 0.0, 0.1, 0.0]
    >>> subtract(np.array([0.1, 0.5, 0.6, 0.0]), how="sequential").clip(0).round(3).tolist()
    [0.0, 0.0, 0.6, 0.0]
    """
    one_of("how", how, ("order_free", "sequential"))
    result = np.array(values)
    if result.shape[-1] == 1:
        return result
    competing = result if how == "sequential" else np.array(values)
    for k in range(result.shape[-1]):
        if k not in keep:
            # With "sequential", `competing` is `result`: lower indices are lowered already.
            result[..., k] -= np.delete(competing, k, axis=-1).max(axis=-1)
    return result


def adjust(heatmaps, image, taxonomy, *, subtraction="order_free", also=None):
    """Infer background and other, then subtract competitors: the third stage of HistoSegNet.

    Parameters
    ----------
    heatmaps : float array, shape (H, W, C), in [0, 1]
    image : uint8 array, shape (H, W, 3)
    taxonomy : Taxonomy
    subtraction : {"order_free", "sequential"}
    also : float array, shape (H, W), optional
        See `infer`.

    Returns
    -------
    float32 array, shape (H, W, C)
        Not clipped: a value below 0 is the distance of a class to the strongest one.

    Examples
    --------
    >>> from hsn.taxonomies import GLAS
    >>> adjust(np.array([[[0, 0.6]]]), np.zeros((1, 1, 3), np.uint8), GLAS).round(2).tolist()
    [[[0.019999999552965164, 0.5799999833106995]]]
    """
    values = infer(heatmaps, image, taxonomy, also=also)
    keep = [taxonomy.index(taxonomy.other.name)] if taxonomy.other else []
    return subtract(values, how=subtraction, keep=keep)
