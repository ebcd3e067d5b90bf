"""Tools for drawing tissue: smooth noise, scattered points, streaks along a direction, ellipses, stain.

All lengths are in pixels. The stain follows Beer and Lambert: light falls exponentially with the amount of each
dye. How haematoxylin and eosin absorb red, green and blue lies between the two measurements most used, those of
Ruifrok & Johnston (2001) and of Macenko et al. (2009).
"""

import cv2
import numpy as np

# Optical density of red, green, blue for one unit of dye.
HAEMATOXYLIN = (0.61, 0.71, 0.35)
EOSIN = (0.14, 0.93, 0.30)


def noise(rng, shape, scale_px):
    """Smooth random hills of about `scale_px` across: float32 (H, W), mean near 0, spread near 1.

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


def _spline_taps(side, scale_px):
    """For each pixel along a side the first of its four knots, int (n,), and their weights, float32 (n, 4)."""
    place = np.arange(side) / scale_px
    first = place.astype(int)
    t = place - first
    weights = (1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, 3 * (t + t**2 - t**3) + 1, t**3
    return first, (np.stack(weights, axis=1) / 6).astype(np.float32)


def scatter(rng, shape, spacing_px, *, margin_px=0.0):
    """Points about `spacing_px` apart, none closer than a third of it: a shaken grid. Float64 (N, 2), row, col.

    Examples
    --------
    >>> scatter(np.random.default_rng(0), (10, 20), 5).shape
    (8, 2)
    """
    axes = [np.arange(-margin_px, side + margin_px, spacing_px) + spacing_px / 2 for side in shape]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)  # (N, 2)
    return grid + rng.uniform(-1 / 3, 1 / 3, grid.shape) * spacing_px


def at(field, points):
    """Values of a map (H, W, ...) at points (N, 2); points outside take the nearest edge's value.

    Examples
    --------
    >>> at(np.array([[1, 2], [3, 4]]), np.array([[0.2, 1.7], [9.0, -3.0]])).tolist()
    [2, 3]
    """
    place = np.clip(points.astype(int), 0, np.array(field.shape[:2]) - 1)  # (N, 2)
    return field[place[:, 0], place[:, 1]]


def streaks(rng, angle, length_px):
    """Random streaks along a field of directions: float32 (H, W), mean 0, spread 1.

    White noise, averaged along the line through each pixel (line integral convolution, Cabral & Leedom 1993).

    Parameters
    ----------
    rng : numpy.random.Generator
    angle : float32 (H, W)
        Direction in radians, from the column axis towards the row axis.
    length_px : float
        How far to average on either side.

    Examples
    --------
    >>> lines = streaks(np.random.default_rng(0), np.zeros((8, 64), np.float32), 6)
    >>> bool(abs(np.diff(lines, axis=1)).mean() < abs(np.diff(lines, axis=0)).mean())
    True
    """
    height, width = angle.shape
    grain = rng.standard_normal(angle.shape).astype(np.float32)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    steps = int(np.clip(round(length_px), 2, 12))  # long streaks take longer steps, not more of them
    step = length_px / steps * np.dstack([np.sin(angle), np.cos(angle)])  # (H, W, 2)
    total = grain.copy()
    for sign in (-1, 1):
        row, column = rows.copy(), columns.copy()
        for _ in range(steps):
            way = cv2.remap(step, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
            row += sign * way[..., 0]
            column += sign * way[..., 1]
            total += cv2.remap(grain, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return (total - total.mean()) / max(float(total.std()), 1e-6)


def ellipses(shape, points, semi_px, angle):
    """Draw one filled ellipse a point, later ones over earlier ones.

    Parameters
    ----------
    shape : (int, int)
    points : float (N, 2)
        Centres.
    semi_px : float (N, 2)
        Long and short half axis.
    angle : float (N,)
        Of the long axis, in radians, from the column axis towards the row axis.

    Returns
    -------
    int32 (H, W)
        0 where none is, otherwise 1 + the index of the point.

    Examples
    --------
    >>> ellipses((3, 5), np.array([[1.0, 2.0]]), np.array([[2.5, 0.5]]), np.zeros(1)).tolist()
    [[0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]]
    """
    canvas = np.zeros(shape, np.int32)
    fine = 16  # OpenCV takes sixteenths of a pixel
    centres = np.rint(points[:, ::-1] * fine).astype(int)
    # It fills the outline's pixels too, which makes every axis half a pixel longer.
    axes = np.maximum(np.rint((semi_px - 0.5) * fine).astype(int), 0)
    for number, (centre, axis, turn) in enumerate(
        zip(centres, axes, np.degrees(angle), strict=True), start=1
    ):
        cv2.ellipse(canvas, centre.tolist(), axis.tolist(), float(turn), 0, 360, number, -1, cv2.LINE_8, 4)
    return canvas


def stained(rng, haematoxylin, eosin, *, blur_px):
    """Turn amounts of dye into a picture: 8-bit RGB as a scanner would give it.

    Every call draws its own dyes, section thickness, lamp and sensor noise, as laboratories differ in them.

    Parameters
    ----------
    rng : numpy.random.Generator
    haematoxylin, eosin : float32 (H, W)
        Amounts; 1 is a dark nucleus, or a red cell.
    blur_px : float
        Sigma of the optics.

    Returns
    -------
    uint8 (H, W, 3)

    Examples
    --------
    >>> nothing = np.zeros((4, 4), np.float32)
    >>> int(stained(np.random.default_rng(0), nothing, nothing, blur_px=0.5).min()) > 220
    True
    """
    dyes = np.array([HAEMATOXYLIN, EOSIN]) + rng.normal(0, 0.035, (2, 3))
    dyes = np.clip(dyes, 0.02, None)
    dyes *= rng.uniform((0.95, 0.65), (1.35, 1.05))[:, None] / np.linalg.norm(dyes, axis=1, keepdims=True)
    amounts = cv2.GaussianBlur(np.dstack([haematoxylin, eosin]), (0, 0), max(blur_px, 0.3))  # (H, W, 2)
    thickness = 1 + 0.06 * noise(rng, haematoxylin.shape, max(haematoxylin.shape) / 3)
    density = amounts @ dyes.astype(np.float32) * thickness[..., None]  # (H, W, 3)
    lamp = 244 + rng.uniform(-5, 5, 3)
    light = lamp.astype(np.float32) * np.exp(-density)
    grain = rng.standard_normal(light.shape, dtype=np.float32) * rng.uniform(1.5, 3.5)
    return np.clip(light + grain, 0, 255).astype(np.uint8)
