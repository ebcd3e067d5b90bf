"""Parts that builders of nets share."""

from itertools import count, repeat


def seeds_from(seed):
    """One seed after the other, for the initial weights and the dropout of layer after layer.

    Layers that are made with one and the same seed would begin with the same numbers.

    Parameters
    ----------
    seed : int or None
        The first. None leaves all of them to chance.

    Returns
    -------
    iterator of int or None
        Endless.

    Examples
    --------
    >>> seeds = seeds_from(7)
    >>> next(seeds), next(seeds), next(seeds_from(None))
    (7, 8, None)
    """
    return repeat(None) if seed is None else count(int(seed))
