"""Maps: a net over the tiles of an image of any size, stitched into evidence per class.

Two kinds of head are understood. A classifier (output (N, C)) is explained by Grad-CAM, scaled by its scores; a
segmentation net (output (N, h, w, C)) already says where.
"""

from dataclasses import dataclass

import keras
import numpy as np

from ..images import tiles
from ..images.read import resample
from .cam import apply, by_gradient, normalize, weights
from .scores import passing

BATCH = 8  # windows a forward pass: bounds memory


@dataclass(frozen=True)
class Windows:
    """How an image is covered at the net's scale: everything in pixels.

    Attributes
    ----------
    padded : uint8 (H + 2 m, W + 2 n, 3)
        The image with its mirrored margins, at its own scale.
    margins : (int, int)
        Rows and columns added on each side.
    window_px, window_full_px : int
        Side of a window at the net's scale and at the image's.
    small : uint8 (h, w, 3)
        `padded` at the net's scale.
    starts, starts_full : (list of int, list of int)
        Where windows begin, at both scales.
    """

    padded: np.ndarray
    margins: tuple[int, int]
    window_px: int
    window_full_px: int
    small: np.ndarray
    starts: tuple[list[int], list[int]]
    starts_full: tuple[list[int], list[int]]


def cover(image, *, window_px, scale):
    """Cover an image with the fewest windows, at the net's scale and at the image's own.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    window_px : int
        Side of a window at the net's scale.
    scale : float
        The net's um/px over the image's: how many image pixels a pixel of the net is wide.

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
        tiles.margin_to_reach(side, window_px * scale) if round(side / scale) < window_px else 0
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


class Seer:
    """A net and how to look through it: normalize windows in, class maps and scores out.

    Parameters
    ----------
    net : keras.Model
        A classifier (N, C) or a segmentation net (N, h, w, C), with values in [0, 1].
    layers : (str, str) or None
        Names of the layers of features and logits for Grad-CAM; not needed for a segmentation net.
    thresholds : float array, shape (C,)
        From which score a class counts as present.
    mean, std : float or three floats
        The net's normalization, for pixels 0..255.
    cam_norm : {"per_class", "per_image"}
    """

    def __init__(self, net, *, layers, thresholds, mean, std, cam_norm):
        self._thresholds, self._mean, self._std, self._mode = thresholds, mean, std, cam_norm
        self._dense = len(net.output_shape) == 4
        if self._dense:
            self._net = net
            return
        self._layers = tuple(map(net.get_layer, layers))
        self._net = keras.Model(net.input, [self._layers[0].output, net.output])
        self._alpha = weights(*self._layers)

    def look(self, windows, *, always=()):
        """Class maps (N, h, w, C) in [0, 1], float32, and scores (N, C) of windows uint8 (N, px, px, 3).

        A class that does not pass its threshold has an empty map, unless its index is in `always`.
        """
        x = (np.asarray(windows, np.float32) - np.float32(self._mean)) / np.float32(self._std)
        if self._dense:
            maps = keras.ops.convert_to_numpy(self._net(x, training=False))  # (N, h, w, C)
            return maps, maps.max(axis=(1, 2))
        seen, scores = (keras.ops.convert_to_numpy(y) for y in self._net(x, training=False))
        alpha = by_gradient(*self._layers, seen) if self._alpha is None else self._alpha
        # The release enlarges a map before it rectifies it.
        cams = np.stack([tiles.enlarge(one, windows.shape[1:3]) for one in apply(seen, alpha)])
        strength = scores * passing(scores, self._thresholds, always=always)  # (N, C)
        return normalize(cams, self._mode) * strength[:, None, None, :], scores


def stitched(seer, windows, *, always=(), keep):
    """Evidence of the whole image: the mean over the windows that cover each pixel.

    Parameters
    ----------
    seer : Seer
    windows : Windows
    always : sequence of int
        Classes that count as present in every window.
    keep : sequence of int
        Outputs of the net that are wanted.

    Returns
    -------
    evidence : float32 (H, W, len(keep)), at the image's own scale
    scores : float32 (n_windows, C)
    """
    rows, columns = windows.starts
    full_rows, full_columns = windows.starts_full
    stitcher = tiles.Stitcher(
        windows.padded.shape[:2], len(keep), full_rows, full_columns, windows.window_full_px
    )
    places = [(r, c) for r in rows for c in columns]
    scores = []
    for k in range(0, len(places), BATCH):
        batch = np.stack(
            [
                windows.small[r : r + windows.window_px, c : c + windows.window_px]
                for r, c in places[k : k + BATCH]
            ]
        )
        maps, batch_scores = seer.look(batch, always=always)
        stitcher.add(maps[..., list(keep)])
        scores.append(batch_scores)
    (m, n), (height, width) = windows.margins, windows.padded.shape[:2]
    return stitcher.result()[m : height - m, n : width - n], np.concatenate(scores)
