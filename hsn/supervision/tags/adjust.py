"""Inter-class adjustment: from what the net saw to maps in which every pixel has an owner.

A classifier knows nothing of bare glass or of "everything else": nobody tags a patch with them. Their maps are
inferred, glass from brightness and "other" from the silence of the remaining classes, by rules that the taxonomy
declares. Then each class gives way to its strongest competitor,

    v_k := max(v_k - max_{j != k} v_j, 0),

so that only the winner of a pixel keeps evidence, as much as it is ahead.

The release subtracts in place, so that later classes compete with values already lowered and a weaker class of higher
index can win (whenever 3 B > 2 A for A > B). ``subtraction="sequential"`` repeats that; ``"order_free"`` is the
formula above.

Source: HistoSegNet (Chan et al., ICCV 2019), "inter-HTT adjustments", and its release.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from ...checks import as_image
from ...errors import refuse

TRUNCATE = 4.0  # standard deviations; at sigma 2 the radius of 8 px that SciPy's default gives


def glass(image, rule):
    """How much each pixel looks like bare glass, before other bright classes are subtracted.

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
    >>> [round(float(glass(i, ADP_MORPH.background)[0, 0]), 3) for i in (white, pink)]
    [0.75, 0.0]
    """
    brightness = as_image(image).mean(axis=2)  # (H, W), 0..255
    steep = np.clip(rule.slope * (brightness - rule.level), -50, 50)  # keeps exp finite
    bright = rule.peak / (1 + np.exp(-steep))
    return gaussian_filter(bright, rule.blur_px, mode="reflect", truncate=TRUNCATE).astype(np.float32)


def infer(evidence, image, taxonomy, *, also=None):
    """Fill in the classes that the taxonomy's rules make: background and other.

    Parameters
    ----------
    evidence : float array, shape (H, W, C)
        In the taxonomy's order; channels of inferred classes are ignored.
    image : uint8 array, shape (H, W, 3)
    taxonomy : Taxonomy
    also : float array, shape (H, W), optional
        Evidence of classes outside the taxonomy that count as other; may be negative.

    Returns
    -------
    float32 array, shape (H, W, C), in [0, 1]

    Raises
    ------
    InputError
        If the shapes do not belong together.

    Examples
    --------
    >>> from hsn.taxonomies import GLAS
    >>> infer(np.array([[[0, 0.6]]]), np.zeros((1, 1, 3), np.uint8), GLAS).round(3).tolist()
    [[[0.019999999552965164, 0.6000000238418579]]]
    """
    evidence = np.asarray(evidence)
    if evidence.shape != (*as_image(image).shape[:2], len(taxonomy)):
        refuse("`evidence` must belong to the image and the taxonomy",
               expected=f"shape {(*image.shape[:2], len(taxonomy))}", received=evidence.shape,
               remedy="give one map per class, at the size of the image")  # fmt: skip
    values = evidence.astype(np.float32)
    values[..., [taxonomy.index(name) for name in taxonomy.inferred]] = 0
    if rule := taxonomy.background:
        bright = glass(image, rule)
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
    """Let each class give way to its strongest competitor; may leave negative values.

    Parameters
    ----------
    values : float array, shape (..., C)
    how : {"order_free", "sequential"}
        Compete with the values as given, or, as the release, with values already lowered in index order.
    keep : sequence of int
        Classes that compete but are not lowered themselves.

    Returns
    -------
    float array, shape (..., C)

    Raises
    ------
    InputError
        If `how` is none of these.

    Examples
    --------
    >>> subtract(np.array([0.1, 0.5, 0.6, 0.0])).clip(0).round(3).tolist()
    [0.0, 0.0, 0.1, 0.0]
    >>> subtract(np.array([0.1, 0.5, 0.6, 0.0]), how="sequential").clip(0).round(3).tolist()
    [0.0, 0.0, 0.6, 0.0]
    """
    if how not in ("order_free", "sequential"):
        refuse("this way to subtract does not exist", expected="'order_free' or 'sequential'",
               received=repr(how), remedy="choose one of the two")  # fmt: skip
    result = np.array(values)
    if result.shape[-1] == 1:
        return result
    competing = result if how == "sequential" else np.array(values)
    for k in range(result.shape[-1]):
        if k not in keep:
            # In sequence, `competing` is `result`: lower indices are already lowered.
            result[..., k] -= np.delete(competing, k, axis=-1).max(axis=-1)
    return result


def adjust(evidence, image, taxonomy, *, subtraction="order_free", also=None):
    """Infer background and other, then let classes compete: the third stage of HistoSegNet.

    Parameters
    ----------
    evidence : float array, shape (H, W, C), in [0, 1]
    image : uint8 array, shape (H, W, 3)
    taxonomy : Taxonomy
    subtraction : {"order_free", "sequential"}
    also : float array, shape (H, W), optional
        See `infer`.

    Returns
    -------
    float32 array, shape (H, W, C)
        Not clipped: values below 0 are how far a class is behind. Clip to [0, 1] for evidence.

    Examples
    --------
    >>> from hsn.taxonomies import GLAS
    >>> adjust(np.array([[[0, 0.6]]]), np.zeros((1, 1, 3), np.uint8), GLAS).round(2).tolist()
    [[[0.019999999552965164, 0.5799999833106995]]]
    """
    values = infer(evidence, image, taxonomy, also=also)
    keep = [taxonomy.index(taxonomy.other.name)] if taxonomy.other else []
    return subtract(values, how=subtraction, keep=keep)
