"""Overlapped windows: adjust and refine each window separately, and average neighbors where they overlap.

Windows at a fixed stride cover the image. Heatmaps of each window are adjusted, averaged with those of the neighbors,
and refined by the dense CRF, so that memory is bounded by three rows of windows. A pixel gets its result from the
window whose center is closest.

Source: HistoSegNet (Chan et al., ICCV 2019), whole-slide mode of the release: windows of 1088 px at stride 816, which
are 224 and 168 at the net's scale.
"""

import numpy as np

from ...images import tiles
from ...progress import report
from .stage_maps import (
    ClassMaps,
    Stages,
    add_inferred_scores,
    forced_outputs,
    make_predictor,
    needed_outputs,
    refine_maps,
)

OVERLAP = 0.25  # share of a window's side


def overlapped_stages(net, image, config, taxonomies, *, scale=1, progress=None):
    """Yield the stages of an image, from overlapping windows.

    Parameters
    ----------
    net : keras.Model
    image : uint8 array, shape (h, w, 3)
        At the net's scale; any size, mirrored up to whole windows.
    config : Config
    taxonomies : sequence of Taxonomy
    scale : float
        Not used: the image has the net's scale.
    progress : callable, optional

    Yields
    ------
    Stages
        One for each taxonomy.
    """
    window_px, stride = config.window_px, stride_px(config)
    starts = [tiles.grid(side, window_px, stride) for side in image.shape[:2]]
    missing = [s[-1] + window_px - side for s, side in zip(starts, image.shape[:2], strict=True)]
    padded = tiles.mirror_pad(image, [(0, rest) for rest in missing])
    for taxonomy in taxonomies:
        predictor = _RowPredictor(net, padded, config, taxonomy, starts[1])
        cam, adjusted, marginals = (
            np.zeros((*padded.shape[:2], len(taxonomy)), np.float32) for _ in range(3)
        )
        scores = np.zeros(len(taxonomy), np.float32)
        rows = [predictor.predict(starts[0][0])]
        for r, top in enumerate(starts[0]):
            if r + 1 < len(starts[0]):
                rows.append(predictor.predict(starts[0][r + 1]))
            blended = tiles.blend_neighbors(
                np.stack([row.adjusted for row in rows]),
                np.stack([row.present for row in rows]),
                stride=stride,
            )[min(r, 1)]
            row = rows[min(r, 1)]
            scores = np.maximum(scores, row.scores)
            for c, left in enumerate(starts[1]):
                pixels = padded[top : top + window_px, left : left + window_px]
                core, inside = core_of((r, c), starts, window_px, stride)
                cam[core] = row.cam[c][inside]
                adjusted[core] = blended[c][inside]
                marginals[core] = refine_maps(blended[c], pixels, config, taxonomy)[inside]
            rows = rows[-2:]
            report(progress, "predicting", r + 1, len(starts[0]))
        box = np.s_[: image.shape[0], : image.shape[1]]
        scores = add_inferred_scores(scores, adjusted, taxonomy)
        yield Stages(image, cam[box], adjusted[box], marginals[box], scores, taxonomy)


def stride_px(config):
    """Return the distance of the starts of windows, in pixels of the net.

    Examples
    --------
    >>> from .config import Config
    >>> stride_px(Config(window_px=224))
    168
    """
    return round(config.window_px * (1 - OVERLAP))


def core_of(position, starts, window_px, stride):
    """Return the pixels that get the result of a window, in the image and in the window, as slices.

    They reach to the middle of each overlap, and to the border of the image.

    Parameters
    ----------
    position : (int, int)
        Row and column of the window in the grid.
    starts : (list of int, list of int)
        First rows and first columns of the windows.
    window_px, stride : int
        Side and distance of windows, in pixels.

    Examples
    --------
    >>> core_of((0, 1), ([0], [0, 168]), 224, 168)
    ((slice(0, 224, None), slice(196, 392, None)), (slice(0, 224, None), slice(28, 224, None)))
    """
    half = (window_px - stride) // 2
    inside = []
    for index, axis_starts in zip(position, starts, strict=True):
        first, last = index == 0, index == len(axis_starts) - 1
        inside.append(slice(0 if first else half, window_px if last else stride + half))
    corner = [axis_starts[index] for index, axis_starts in zip(position, starts, strict=True)]
    core = [slice(at + part.start, at + part.stop) for at, part in zip(corner, inside, strict=True)]
    return tuple(core), tuple(inside)


class _Row:
    """One row of windows: maps (S, h, h, C) before and after adjustment, present classes, highest scores."""

    def __init__(self, cam, adjusted, scores):
        self.cam, self.adjusted = cam, adjusted
        self.present = self.adjusted.any(axis=(1, 2))  # (S, C)
        self.scores = scores.max(axis=0)


class WindowPredictor:
    """Predicts windows, and adjusts the maps of each by itself.

    Parameters
    ----------
    net : keras.Model
    config : Config
    taxonomy : Taxonomy
    """

    def __init__(self, net, config, taxonomy):
        self._predictor = make_predictor(net, config)
        self._config, self._taxonomy = config, taxonomy
        self._keep = needed_outputs(config, [taxonomy])
        self._forced = forced_outputs(config, [taxonomy])

    def predict(self, windows):
        """Return maps before and after adjustment, float32 (N, h, h, C), and scores, float32 (N, C).

        `windows` are uint8 (N, px, px, 3).
        """
        maps, scores = self._predictor.predict_symmetries(windows, self._config.tta, always=self._forced)
        cams, adjusted, ordered_scores = [], [], []
        for window_maps, score, window in zip(maps, scores, windows, strict=True):
            class_maps = ClassMaps(window_maps[..., self._keep], score, self._keep, window, self._config)
            cam, ordered = class_maps.by_taxonomy(self._taxonomy)
            cams.append(cam)
            adjusted.append(class_maps.adjusted(self._taxonomy).clip(0, 1))
            ordered_scores.append(ordered)
        return np.stack(cams), np.stack(adjusted), np.stack(ordered_scores)


class _RowPredictor:
    """Predicts the rows of windows of one image."""

    def __init__(self, net, image, config, taxonomy, columns):
        self._predictor = WindowPredictor(net, config, taxonomy)
        self._image, self._window_px, self._columns = image, config.window_px, columns

    def predict(self, top):
        """Return the `_Row` of windows that starts at pixel row `top`."""
        windows = tiles.cut(self._image, [top], self._columns, self._window_px)
        return _Row(*self._predictor.predict(windows))
