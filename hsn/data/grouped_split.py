"""Divide images into two sides by group (patient or slide), so that each kind of annotation is on both."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from ..annotations.annotation import KINDS


class Split(NamedTuple):
    """Images that train and images that validate; `blocks` if blocks of the same images validate."""

    learned: np.ndarray
    held_out: np.ndarray
    blocks: bool = False


def split_by_group(
    kinds: Sequence[tuple[str, ...]], groups: Sequence[Hashable], share: float, *, seed: int
) -> Split:
    """Hold out images; groups are never divided, and each kind keeps an image on both sides if it has two groups.

    Parameters
    ----------
    kinds : sequence of tuple of str
        Kinds of annotation of each image, see `hsn.annotations.annotation.KINDS`.
    groups : sequence of str or None
        None: a group of its own.
    share : float
        Share of the annotated images to hold out.
    seed : int

    Returns
    -------
    Split
        Blocks, if the most precise kind is in one group only.

    Examples
    --------
    >>> [part.tolist() for part in split_by_group([("masks",)] * 4 + [()], list("aabbb"), 0.25, seed=0)[:2]]
    [[2, 3, 4], [0, 1]]
    """
    count = len(kinds)
    units: dict[Hashable, list[int]] = {}
    for k, group in enumerate(groups):
        units.setdefault(k if group is None else group, []).append(k)
    annotated = [unit for unit in units.values() if any(kinds[k] for k in unit)]
    order = [annotated[k] for k in np.random.default_rng(seed).permutation(len(annotated))]
    has = {kind: [n for n, unit in enumerate(order) if any(kind in kinds[k] for k in unit)] for kind in KINDS}
    present = [kind for kind in KINDS if has[kind]]
    if not present or len(has[present[0]]) < 2:
        return Split(np.arange(count), np.array([k for unit in order for k in unit], int), True)
    chosen: list[int] = []

    def spares(n: int) -> bool:
        """Return whether each kind of a group keeps another group for training."""
        return n not in chosen and not any(set(has[k]) <= {*chosen, n} for k in present if n in has[k])

    for kind in present:
        if not set(has[kind]) & set(chosen):
            chosen += next(([n] for n in has[kind] if spares(n)), [])
    wanted = max(1, round(share * sum(map(bool, kinds))))
    for n in range(len(order)):
        if spares(n) and sum(len(order[m]) for m in (*chosen, n)) <= wanted:
            chosen.append(n)
    held_out = np.array(sorted(k for n in chosen for k in order[n]), int)
    return Split(np.setdiff1d(np.arange(count), held_out), held_out)
