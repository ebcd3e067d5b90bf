"""Class maps: run a net over the windows of an image of any size and stitch the results.

A classifier, output (N, C), gives Grad-CAM maps scaled by its scores. A segmentation net, output (N, h, w, C), gives
its output.
"""

from dataclasses import dataclass
from itertools import product

import keras
import numpy as np

from ..images import tiles
from ..images.read import resample
from ..images.scaling import normalize
from ..images.symmetries import SYMMETRIES
from .cam import closed_form_weights, gradient_weights, weight_features
from .cam import normalize as normalize_cams
from .compiled import predict_batch
from .scores import passing

BATCH = 8  # windows per forward pass: bounds memory


@dataclass(frozen=True)
class Windows:
    """Windows that cover an image, at the scales of the net and of the image; all numbers in pixels.

    Attributes
    ----------
    padded : uint8 (H + 2 m, W + 2 n, 3)
        The image with its mirrored margins, at the image's scale.
    margins : (int, int)
        Rows and columns added on each side.
    window_px, window_full_px : int
        Side of a window at the net's scale and at the image's.
    small : uint8 (h, w, 3)
        `padded` at the net's scale.
    starts, starts_full : (list of int, list of int)
        First rows and first columns of windows, at both scales.
    """

    padded: np.ndarray
    margins: tuple[int, int]
    window_px: int
    window_full_px: int
    small: np.ndarray
    starts: tuple[list[int], list[int]]
    starts_full: tuple[list[int], list[int]]


def cover(image, *, window_px, scale):
    """Cover an image with the fewest windows, at the scales of the net and of the image.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    window_px : int
        Side of a window at the net's scale.
    scale : float
        um/px of the net divided by um/px of the image.

    Returns
    -------
    Windows

    References
    ----------
    .. [1] HistoSegNet (Chan et al., ICCV 2019), GlaS mode of the release.

    Examples
    --------
    >>> cover(np.zeros((522, 775, 3), np.uint8), window_px=224, scale=1.2142857 / 0.62).starts
    ([0, 43], [0, 172])
    """
    height, width = image.shape[:2]
    margins = tuple(
        tiles.margin_to_length(side, window_px * scale) if round(side / scale) < window_px else 0
        for side in (height, width)
    )
    padded = tiles.mirror_pad(image, [(m, m) for m in margins])
    # Rounding may leave a padded side one pixel short.
    shape = tuple(max(window_px, round(side / scale)) for side in padded.shape[:2])
    full = min(round(window_px * scale), *padded.shape[:2])
    starts = tuple(tiles.starts(side, window_px) for side in shape)
    starts_full = tuple(
        tiles.starts(side, full, count=len(s)) for side, s in zip(padded.shape[:2], starts, strict=True)
    )
    return Windows(padded, margins, window_px, full, resample(padded, shape), starts, starts_full)


class Predictor:
    """Wraps a net: normalizes windows, returns class maps and scores.

    Parameters
    ----------
    net : keras.Model
        A classifier (N, C) or a segmentation net (N, h, w, C), with values in [0, 1].
    normalization : Normalization
        Its `mean` and `std`, for pixels 0..255.
    layers : (str, str) or None
        Names of the feature layer and the logits layer, for Grad-CAM. None for a segmentation net.
    thresholds : float array, shape (C,)
        Lowest score of a class that counts as present.
    cam_norm : {"per_class", "per_image"}
    """

    def __init__(self, net, normalization, *, layers, thresholds, cam_norm):
        self._normalization, self._thresholds, self._mode = normalization, thresholds, cam_norm
        self._dense = len(net.output_shape) == 4
        if self._dense:
            self._net = net
            return
        self._layers = tuple(map(net.get_layer, layers))
        self._net = _with_features(net, layers[0])
        self._alpha = closed_form_weights(*self._layers)

    def predict(self, windows, *, always=(), batch_size=None):
        """Return class maps and scores of windows.

        Parameters
        ----------
        windows : uint8 array, shape (N, px, px, 3)
        always : sequence of int
            Classes that count as present in every window, whatever their score.
        batch_size : int, optional
            See `hsn.prediction.compiled.predict_batch`.

        Returns
        -------
        maps : float32 array, shape (N, h, w, C)
            In [0, 1]; empty for a class that is not present.
        scores : float32 array, shape (N, C)
        """
        x = normalize(windows, self._normalization.mean, self._normalization.std)
        if self._dense:
            maps = predict_batch(self._net, x, batch_size=batch_size)  # (N, h, w, C)
            return maps, maps.max(axis=(1, 2))
        features, scores = predict_batch(self._net, x, batch_size=batch_size)
        alpha = gradient_weights(*self._layers, features) if self._alpha is None else self._alpha
        # The release enlarges a map before it sets negative values to 0.
        cams = np.stack([tiles.enlarge(cam, windows.shape[1:3]) for cam in weight_features(features, alpha)])
        strength = scores * passing(scores, self._thresholds, always=always)  # (N, C)
        return normalize_cams(cams, self._mode) * strength[:, None, None, :], scores

    def predict_symmetries(self, windows, count, *, always=()):
        """Return the mean of class maps and scores over the first `count` symmetries of the square; see `predict`."""
        maps, scores = 0, 0
        for symmetry in SYMMETRIES[:count]:
            moved = np.stack([symmetry.move(window) for window in windows])
            moved_maps, moved_scores = self.predict(moved, always=always)
            maps = maps + np.stack([symmetry.back(window) for window in moved_maps])
            scores = scores + moved_scores
        return maps / np.float32(count), scores / np.float32(count)


def _with_features(net, layer):
    """Return a net with two outputs, the layer's and its own. Cached, so that compiled functions are kept."""
    nets = net.__dict__.setdefault("_hsn_with_features", {})
    if layer not in nets:
        nets[layer] = keras.Model(net.input, [net.get_layer(layer).output, net.output])
    return nets[layer]


def predict_windows(predictor, covers, *, always=(), keep):
    """Yield class maps of whole images: the mean over the windows that cover each pixel.

    Parameters
    ----------
    predictor : Predictor
    covers : iterable of Windows
        All with windows of one size. A batch may hold windows of several images.
    always : sequence of int
        Classes that count as present in every window.
    keep : sequence of int
        Indices of the net's outputs to return.

    Yields
    ------
    maps : float32 (H, W, len(keep)), at the image's scale
    scores : float32 (n_windows, C)
    """
    pending, batch, batch_size = [], [], None

    def run():
        pixels = np.stack([image.window(start) for image, start in batch])
        maps, scores = predictor.predict(pixels, always=always, batch_size=batch_size)
        for (image, _), window_maps, score in zip(batch, maps[..., list(keep)], scores, strict=True):
            image.add(window_maps, score)
        batch.clear()

    for windows in covers:
        pending.append(_StitchedImage(windows, len(keep)))
        for start in product(*windows.starts):
            batch.append((pending[-1], start))
            if len(batch) == BATCH:
                run()
                batch_size = BATCH
        while pending and pending[0].complete:
            yield pending.pop(0).result()
    if batch:
        run()
    for image in pending:
        yield image.result()


class _StitchedImage:
    """Collects the maps and scores of one image, window by window."""

    def __init__(self, windows, channels):
        self._windows, self._scores = windows, []
        self._stitcher = tiles.Stitcher(
            windows.padded.shape[:2], channels, *windows.starts_full, windows.window_full_px
        )

    def window(self, start):
        """Return the pixels of the window that starts at (row, col)."""
        (row, col), side = start, self._windows.window_px
        return self._windows.small[row : row + side, col : col + side]

    def add(self, maps, scores):
        """Add the maps and scores of the next window."""
        self._stitcher.add(maps[None])
        self._scores.append(scores)

    @property
    def complete(self):
        """True if all windows were added."""
        return len(self._scores) == len(self._windows.starts[0]) * len(self._windows.starts[1])

    def result(self):
        """Return maps and scores; see `predict_windows`."""
        (m, n), (height, width) = self._windows.margins, self._windows.padded.shape[:2]
        return self._stitcher.result()[m : height - m, n : width - n], np.stack(self._scores)
