"""Layout of synthetic tissue: material of each pixel, position within glands, fiber directions.

Lengths in micrometers are typical of human colon: crypts 60 to 140 across, epithelium 16 to 28 high, fat cells about
60, small vessels 20 to 60.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from .drawing import noise, scatter, values_at

MATERIALS = (
    "glass", "dense", "loose", "lymphoid", "fat", "fat wall", "epithelium", "lumen", "vessel wall", "blood",
)  # fmt: skip
CODE = {name: code for code, name in enumerate(MATERIALS)}


@dataclass(frozen=True)
class TissueLayout:
    """Maps that describe synthetic tissue.

    Attributes
    ----------
    material : uint8 (H, W)
        Index into `MATERIALS`.
    glands : int32 (H, W)
        0 outside, otherwise the number of the gland; gaps are possible.
    height : float32 (H, W)
        Relative position in the epithelium, from its base (0) to the lumen (1); 0 elsewhere.
    inward : float32 (H, W)
        Direction into the nearest gland in radians, from the column axis towards the row axis.
    fibers : float32 (H, W)
        Direction of the fibers in radians; parallel to the outlines of glands and vessels near them.
    """

    material: np.ndarray
    glands: np.ndarray
    height: np.ndarray
    inward: np.ndarray
    fibers: np.ndarray


def draw_layout(rng: np.random.Generator, shape: tuple[int, int], mpp: float) -> TissueLayout:
    """Draw the layout of a field of tissue.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : (int, int)
        Height and width in pixels.
    mpp : float
        Micrometers per pixel.

    Returns
    -------
    TissueLayout

    Examples
    --------
    >>> layout = draw_layout(np.random.default_rng(0), (40, 60), 1.0)
    >>> layout.material.shape, bool(layout.material.max() < len(MATERIALS))
    ((40, 60), True)
    """
    material = np.full(shape, CODE["dense"], np.uint8)
    material[noise(rng, shape, 70 / mpp) > 0.1] = CODE["loose"]
    material[_top(noise(rng, shape, 45 / mpp), rng.uniform(0.0, 0.08))] = CODE["lymphoid"]
    fat = _top(noise(rng, shape, 200 / mpp), rng.choice([0, 0.2], p=[0.5, 0.5]) * rng.random())
    glass = _top(noise(rng, shape, 260 / mpp), rng.choice([0, 0.3], p=[0.4, 0.6]) * rng.random())

    glands = _blobs(rng, shape, ~(fat | glass), mpp, spacing_um=rng.uniform(95, 135),
                    radius_um=(26, 58), wobble_um=rng.uniform(5, 16))  # fmt: skip
    depth = _depth(glands > 0, mpp)  # (H, W), um, positive inside
    material[fat & (depth < -6)] = CODE["fat"]
    material[fat & (depth < -6) & _fat_walls(rng, shape, mpp)] = CODE["fat wall"]
    material[glass & (depth < -6)] = CODE["glass"]

    thickness = rng.uniform(16, 28, glands.max() + 1).astype(np.float32)[glands]
    thickness *= 1 + 0.12 * noise(rng, shape, 14 / mpp)
    height = np.where(depth > 0, np.clip(depth / thickness, 0, 1), 0).astype(np.float32)
    material[depth > 0] = CODE["epithelium"]
    material[(depth > 0) & (height >= 1)] = CODE["lumen"]

    open_stroma = (depth < -14) & np.isin(material, (CODE["dense"], CODE["loose"]))
    vessels = _blobs(rng, shape, open_stroma, mpp, spacing_um=150, radius_um=(11, 26), wobble_um=4) > 0
    vessels &= depth < -4
    inside = _depth(vessels, mpp)
    material[inside > 0] = CODE["vessel wall"]
    material[inside > rng.uniform(4, 8)] = CODE["blood"]

    inward = _gradient_angle(depth, 5 / mpp)
    return TissueLayout(material, glands, height, inward, _fibers(rng, np.maximum(depth, inside), mpp))


def _top(values: np.ndarray, fraction: float) -> np.ndarray:
    """Return a mask of the highest `fraction` of the values."""
    return values > np.quantile(values, 1 - fraction) if fraction > 0 else np.zeros(values.shape, bool)


def _blobs(
    rng: np.random.Generator,
    shape: tuple[int, int],
    allowed: np.ndarray,
    mpp: float,
    *,
    spacing_um: float,
    radius_um: tuple[float, float],
    wobble_um: float,
) -> np.ndarray:
    """Draw separate, numbered, irregular ellipses with centers in `allowed`."""
    centers = scatter(rng, shape, spacing_um / mpp, margin_px=spacing_um / mpp / 2)
    centers = centers[values_at(allowed, centers)]
    ids = np.zeros(shape, np.int32)
    best = np.zeros(shape, np.float32)
    wobble = [wobble_um / mpp * noise(rng, shape, scale / mpp) for scale in (40, 40)]
    for number, center in enumerate(centers, start=1):
        short = rng.uniform(*radius_um) / mpp
        long = short * rng.uniform(1, 2.2)
        turn = rng.uniform(0, np.pi)
        reach = long + 3 * wobble_um / mpp
        low = np.clip(np.floor(center - reach).astype(int), 0, shape)
        high = np.clip(np.ceil(center + reach).astype(int), 0, shape)
        if (low >= high).any():
            continue
        window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        row, column = np.ogrid[window]
        row, column = row - center[0] + wobble[0][window], column - center[1] + wobble[1][window]
        u = (column * np.cos(turn) + row * np.sin(turn)) / long
        v = (row * np.cos(turn) - column * np.sin(turn)) / short
        inside = (1 - np.hypot(u, v)).astype(np.float32)  # (h, w), 1 in the center, 0 on the outline
        wins = inside > best[window]
        best[window][wins] = inside[wins]
        ids[window][wins] = number
    return _remove_small(_separate(ids, round(5 / mpp)), min_area_px=400 / mpp**2)


def _separate(ids: np.ndarray, gap_px: int) -> np.ndarray:
    """Clear pixels within about half of `gap_px` of another instance."""
    kernel = np.ones((max(3, gap_px), max(3, gap_px)), np.uint8)
    numbers = ids.astype(np.float32)
    highest = cv2.dilate(numbers, kernel)
    lowest = cv2.erode(np.where(ids > 0, numbers, np.float32(1e9)), kernel)
    return np.where(highest == lowest, ids, 0).astype(np.int32)


def _remove_small(ids: np.ndarray, min_area_px: float) -> np.ndarray:
    """Clear connected components with fewer pixels than `min_area_px`."""
    _, pieces, stats, _ = cv2.connectedComponentsWithStats((ids > 0).astype(np.uint8), connectivity=4)
    return np.where(stats[pieces, cv2.CC_STAT_AREA] >= min_area_px, ids, 0).astype(np.int32)


def _depth(mask: np.ndarray, mpp: float) -> np.ndarray:
    """Return the signed distance to the outline in um, positive inside; +-1000 without an outline."""
    if mask.all() or not mask.any():
        return np.full(mask.shape, 1000.0 if mask.any() else -1000.0, np.float32)
    inside, outside = (cv2.distanceTransform(m.astype(np.uint8), cv2.DIST_L2, 5) for m in (mask, ~mask))
    return (inside - outside) * np.float32(mpp)


def _gradient_angle(field: np.ndarray, blur_px: float) -> np.ndarray:
    """Return the direction of the gradient of a smoothed field, in radians."""
    smooth = cv2.GaussianBlur(field, (0, 0), blur_px)
    return np.arctan2(cv2.Sobel(smooth, cv2.CV_32F, 0, 1), cv2.Sobel(smooth, cv2.CV_32F, 1, 0))


def _fibers(rng: np.random.Generator, depth: np.ndarray, mpp: float) -> np.ndarray:
    """Draw fiber directions: parallel to near outlines, random farther away."""
    around = _gradient_angle(depth, 8 / mpp) + np.pi / 2
    drift = rng.uniform(0, np.pi) + 0.9 * noise(rng, depth.shape, 160 / mpp)
    near = np.exp(-np.maximum(-depth, 0) / 25)  # um
    # Fibers have no orientation, so doubled angles are averaged.
    both = [near * trig(2 * around) + (1 - near) * trig(2 * drift) for trig in (np.sin, np.cos)]
    both = [cv2.GaussianBlur(part.astype(np.float32), (0, 0), 4 / mpp) for part in both]
    return (np.arctan2(*both) / 2).astype(np.float32)


def _fat_walls(rng: np.random.Generator, shape: tuple[int, int], mpp: float) -> np.ndarray:
    """Draw thin walls between round cells of about 60 um."""
    seeds = scatter(rng, shape, 58 / mpp, margin_px=58 / mpp)
    seeds = seeds[((seeds >= 0) & (seeds < shape)).all(axis=1)].astype(int)
    free = np.ones(shape, np.uint8)
    free[tuple(seeds.T)] = 0
    if not len(seeds):
        return np.zeros(shape, bool)
    nearest = cv2.distanceTransformWithLabels(free, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)[1]
    numbers = nearest.astype(np.float32)
    width = max(2, round(2 / mpp))  # walls of about 2 um
    walls = cv2.dilate(numbers, np.ones((width, width))) > numbers
    # Blur to fill the corners where three cells meet.
    return walls | (cv2.GaussianBlur(walls.astype(np.float32), (0, 0), 4 / mpp) > 0.33)
