"""Propagate: what a detector is sure to be no nucleus teaches the next round.

Clicks on some nuclei say little of the background far from them; the self-training of Qu et al. (IEEE TMI 2020) takes
it from the net. Only background spreads: no nucleus is added that nobody clicked.
"""

import numpy as np

from .detection import GREYS, parts_of


def background_of(probability, config):
    """Where a detector is sure that there is no nucleus.

    Parameters
    ----------
    probability : float array, shape (H, W)
        In [0, 1], at the net's scale; it counts in steps of 1 / 255, as the released code's files.
    config : Config

    Returns
    -------
    bool array, shape (H, W)
        What is below `config.background_threshold`, and what is bright over more than any nucleus' bump.

    Examples
    --------
    >>> from hsn.supervision.points.config import preset
    >>> probability = np.full((40, 40), 0.5)
    >>> probability[:20, :20], probability[30:35, 30:35], probability[0, 30:] = 0.8, 0.8, 0.05
    >>> background = background_of(probability, preset("qu2020"))
    >>> int(background.sum()), bool(background[32, 32])
    (410, False)
    """
    seen = np.floor(GREYS * np.asarray(probability)) / GREYS
    parts, areas = parts_of(seen > config.bright_threshold, config)
    too_large = np.append(False, areas >= config.max_peak_area_um2)
    return (seen < config.background_threshold) | too_large[parts]
