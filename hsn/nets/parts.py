"""Helpers of the net builders."""

from collections.abc import Iterator
from itertools import count, repeat


def seed_stream(seed: int | None) -> Iterator[int | None]:
    """Return an endless iterator of seeds, one for each layer.

    Layers with the same seed would start from the same weights.

    Parameters
    ----------
    seed : int or None
        First seed. None gives random weights.

    Returns
    -------
    iterator of int or None

    Examples
    --------
    >>> seeds = seed_stream(7)
    >>> next(seeds), next(seeds), next(seed_stream(None))
    (7, 8, None)
    """
    return repeat(None) if seed is None else count(int(seed))
