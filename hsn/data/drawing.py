"""Drawing functions for synthetic tissue: smooth noise, random points, fibers, ellipses, stain.

All lengths are in pixels. Staining follows the Beer-Lambert law. The stain directions are between those of Ruifrok &
Johnston (2001) and Macenko et al. (2009).
"""

from collections.abc import Sequence

import cv2
import numpy as np

# Optical density of red, green, blue for one unit of stain.
HEMATOXYLIN = (0.61, 0.71, 0.35)
EOSIN = (0.14, 0.93, 0.30)


def noise(rng: np.random.Generator, shape: Sequence[int], scale_px: float) -> np.ndarray:
    """Draw smooth noise with structures of about `scale_px`: float32 (H, W), mean near 0, standard deviation near 1.

    Examples
    --------
    >>> noise(np.random.default_rng(0), (4, 6), 3).shape
    (4, 6)
    """
    taps = [_spline_taps(side, scale_px) for side in shape]
    knots = rng.standard_normal([first[-1] + 4 for first, _ in taps]).astype(np.float32)
    (row, row_weight), (column, column_weight) = taps
    tall = sum(row_weight[:, k, None] * knots[row + k] for k in range(4))  # (H, knots)
    hills = sum(column_weight[:, k] * tall[:, column + k] for k in range(4))  # (H, W)
    return hills / np.float32(151 / 315)  # mean sum of squared weights of a cubic B-spline, in two directions


def _spline_taps(side: int, scale_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Return each pixel's first of four knots, int (n,), and the weights of the knots, float32 (n, 4)."""
    place = np.arange(side) / scale_px
    first = place.astype(int)
    t = place - first
    weights = (1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, 3 * (t + t**2 - t**3) + 1, t**3
    return first, (np.stack(weights, axis=1) / 6).astype(np.float32)


def scatter(
    rng: np.random.Generator, shape: Sequence[int], spacing_px: float, *, margin_px: float = 0.0
) -> np.ndarray:
    """Draw points on a jittered grid, at least a third of `spacing_px` apart: float64 (N, 2), row, col.

    Examples
    --------
    >>> scatter(np.random.default_rng(0), (10, 20), 5).shape
    (8, 2)
    """
    axes = [np.arange(-margin_px, side + margin_px, spacing_px) + spacing_px / 2 for side in shape]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)  # (N, 2)
    return grid + rng.uniform(-1 / 3, 1 / 3, grid.shape) * spacing_px


def values_at(field: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the values of a map (H, W, ...) at points (N, 2); points outside are clipped to the map.

    Examples
    --------
    >>> values_at(np.array([[1, 2], [3, 4]]), np.array([[0.2, 1.7], [9.0, -3.0]])).tolist()
    [2, 3]
    """
    place = np.clip(points.astype(int), 0, np.array(field.shape[:2]) - 1)  # (N, 2)
    return field[place[:, 0], place[:, 1]]


def streaks(rng: np.random.Generator, angle: np.ndarray, length_px: float) -> np.ndarray:
    """Draw streaks along a direction field: float32 (H, W), mean 0, standard deviation 1.

    Uses line integral convolution of white noise (Cabral & Leedom 1993).

    Parameters
    ----------
    rng : numpy.random.Generator
    angle : float32 (H, W)
        Direction in radians, from the column axis towards the row axis.
    length_px : float
        Length of averaging in each direction.

    Examples
    --------
    >>> lines = streaks(np.random.default_rng(0), np.zeros((8, 64), np.float32), 6)
    >>> bool(abs(np.diff(lines, axis=1)).mean() < abs(np.diff(lines, axis=0)).mean())
    True
    """
    height, width = angle.shape
    grain = rng.standard_normal(angle.shape).astype(np.float32)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    steps = int(np.clip(round(length_px), 2, 12))  # long streaks use longer steps, not more steps
    step = length_px / steps * np.dstack([np.sin(angle), np.cos(angle)])  # (H, W, 2)
    total = grain.copy()
    for sign in (-1, 1):
        row, column = rows.copy(), columns.copy()
        for _ in range(steps):
            move = cv2.remap(step, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
            row += sign * move[..., 0]
            column += sign * move[..., 1]
            total += cv2.remap(grain, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return (total - total.mean()) / max(float(total.std()), 1e-6)


def ellipses(shape: Sequence[int], points: np.ndarray, semi_px: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Draw one filled ellipse per point; later ellipses overwrite earlier ones.

    Parameters
    ----------
    shape : (int, int)
    points : float (N, 2)
        Centers.
    semi_px : float (N, 2)
        Long and short semi-axis.
    angle : float (N,)
        Direction of the long axis in radians, from the column axis towards the row axis.

    Returns
    -------
    int32 (H, W)
        0 background, otherwise 1 + the index of the point.

    Examples
    --------
    >>> ellipses((3, 5), np.array([[1.0, 2.0]]), np.array([[2.5, 0.5]]), np.zeros(1)).tolist()
    [[0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]]
    """
    canvas = np.zeros(shape, np.int32)
    fine = 16  # OpenCV's fixed-point unit is 1/16 pixel
    centers = np.rint(points[:, ::-1] * fine).astype(int)
    # OpenCV also fills the pixels of the outline, which makes every axis half a pixel longer.
    axes = np.maximum(np.rint((semi_px - 0.5) * fine).astype(int), 0)
    for number, (center, axis, turn) in enumerate(
        zip(centers, axes, np.degrees(angle), strict=True), start=1
    ):
        cv2.ellipse(canvas, center.tolist(), axis.tolist(), float(turn), 0, 360, number, -1, cv2.LINE_8, 4)
    return canvas


def stained(
    rng: np.random.Generator, hematoxylin: np.ndarray, eosin: np.ndarray, *, blur_px: float
) -> np.ndarray:
    """Render stain amounts as an RGB image, as from a slide scanner.

    Each call draws stain directions, section thickness, lamp brightness and sensor noise, because laboratories differ.

    Parameters
    ----------
    rng : numpy.random.Generator
    hematoxylin, eosin : float32 (H, W)
        Stain amounts; 1 is a dark nucleus, or a red blood cell.
    blur_px : float
        Sigma of the optical blur.

    Returns
    -------
    uint8 (H, W, 3)

    Examples
    --------
    >>> nothing = np.zeros((4, 4), np.float32)
    >>> int(stained(np.random.default_rng(0), nothing, nothing, blur_px=0.5).min()) > 220
    True
    """
    stains = np.array([HEMATOXYLIN, EOSIN]) + rng.normal(0, 0.035, (2, 3))
    stains = np.clip(stains, 0.02, None)
    stains *= rng.uniform((0.95, 0.65), (1.35, 1.05))[:, None] / np.linalg.norm(stains, axis=1, keepdims=True)
    amounts = cv2.GaussianBlur(np.dstack([hematoxylin, eosin]), (0, 0), max(blur_px, 0.3))  # (H, W, 2)
    thickness = 1 + 0.06 * noise(rng, hematoxylin.shape, max(hematoxylin.shape) / 3)
    density = amounts @ stains.astype(np.float32) * thickness[..., None]  # (H, W, 3)
    lamp = 244 + rng.uniform(-5, 5, 3)
    light = lamp.astype(np.float32) * np.exp(-density)
    grain = rng.standard_normal(light.shape, dtype=np.float32) * rng.uniform(1.5, 3.5)
    return np.clip(light + grain, 0, 255).astype(np.uint8)
