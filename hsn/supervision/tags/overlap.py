"""The overlapped-window mode: windows of a slide are adjusted each by itself, and agree where two look.

The image is covered by windows at a fixed stride. Every window is explained and adjusted alone, its maps are averaged
with those of its neighbours where they overlap, and the dense CRF runs window by window, so that memory is bounded by
three rows of windows. Each pixel takes its result from the window in whose middle it lies.

Source: HistoSegNet (Chan et al., ICCV 2019), whole-slide mode of the release: windows of 1088 px at stride 816, which
are 224 and 168 at the net's scale.
"""

import numpy as np

from ...images import tiles
from .stages_of_view import Seen, Stages, always, refined, seer_of, wanted_outputs, with_inferred

OVERLAP = 0.25  # of a window's side


def overlapped(net, image, config, taxonomies, *, scale=1):
    """Stages of an image at the net's scale, from overlapping windows.

    Parameters
    ----------
    net : keras.Model
    image : uint8 array, shape (h, w, 3)
        At the net's scale; any size, mirrored up to whole windows.
    config : Config
    taxonomies : sequence of Taxonomy
    scale : float
        Must be 1 (within a hundredth): who calls has brought the image to the net's scale.

    Yields
    ------
    Stages
        One per taxonomy.
    """
    window = config.window_px
    stride = round(window * (1 - OVERLAP))
    starts = [tiles.grid(side, window, stride) for side in image.shape[:2]]
    short = [s[-1] + window - side for s, side in zip(starts, image.shape[:2], strict=True)]
    padded = tiles.mirror_pad(image, [(0, rest) for rest in short])
    for taxonomy in taxonomies:
        look = _Rows(net, padded, config, taxonomy, starts[1])
        cam, adjusted, marginals = (
            np.zeros((*padded.shape[:2], len(taxonomy)), np.float32) for _ in range(3)
        )
        scores = np.zeros(len(taxonomy), np.float32)
        rows = [look.row(starts[0][0])]
        for r, start in enumerate(starts[0]):
            if r + 1 < len(starts[0]):
                rows.append(look.row(starts[0][r + 1]))
            blended = tiles.blend_neighbours(
                np.stack([row.adjusted for row in rows]),
                np.stack([row.present for row in rows]),
                stride=stride,
            )[min(r, 1)]
            own = rows[min(r, 1)]
            scores = np.maximum(scores, own.scores)
            for c, left in enumerate(starts[1]):
                piece = padded[start : start + window, left : left + window]
                core = _core((start, left), (r, c), starts, window, stride)
                inside = (slice(core[0].start - start, core[0].stop - start),
                          slice(core[1].start - left, core[1].stop - left))  # fmt: skip
                cam[core] = own.cam[c][inside]
                adjusted[core] = blended[c][inside]
                marginals[core] = refined(blended[c], piece, config, taxonomy)[inside]
            rows = rows[-2:]
        h, w = image.shape[:2]
        yield Stages(image, cam[:h, :w], adjusted[:h, :w], marginals[:h, :w],
                     with_inferred(scores, adjusted, taxonomy), taxonomy)  # fmt: skip


def _core(start, place, starts, window, stride):
    """Where a window has the last word: up to the middle of each overlap, and to the border at the ends."""
    half = (window - stride) // 2

    def along(axis):
        first, last = place[axis] == 0, place[axis] == len(starts[axis]) - 1
        return slice(start[axis] + (0 if first else half), start[axis] + (window if last else stride + half))

    return along(0), along(1)


class _Row:
    """One row of windows: maps (S, h, h, C) before and after adjustment, what is present, best scores."""

    def __init__(self, cam, adjusted, scores):
        self.cam, self.adjusted = np.stack(cam), np.stack(adjusted)
        self.present = self.adjusted.any(axis=(1, 2))  # (S, C)
        self.scores = np.max(scores, axis=0)


class _Rows:
    """Rows of windows of one image, made when they are asked for."""

    def __init__(self, net, image, config, taxonomy, columns):
        self._seer = seer_of(net, config)
        self._image, self._config, self._taxonomy, self._columns = image, config, taxonomy, columns
        self._keep = wanted_outputs(config, [taxonomy])
        self._always = always(config, [taxonomy])

    def row(self, start):
        """The row of windows that begins at `start`."""
        windows = tiles.cut(self._image, [start], self._columns, self._config.window_px)
        maps, scores = self._seer.look(windows, always=self._always)
        cams, adjusted, in_order = [], [], []
        for one, score, window in zip(maps, scores, windows, strict=True):
            seen = Seen(one[..., self._keep], score, self._keep, window, self._config)
            cam, ordered = seen.in_order(self._taxonomy)
            cams.append(cam)
            adjusted.append(seen.adjusted(self._taxonomy).clip(0, 1))
            in_order.append(ordered)
        return _Row(cams, adjusted, in_order)
