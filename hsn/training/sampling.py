"""Order: which examples a step learns from, as nothing but a function of seed, epoch and step.

So a run that was killed goes on as if it had not been.
"""

import numpy as np


def batch_of(count, size, *, seed, epoch, step):
    """Draw a batch: in each epoch every example comes once, in a new order, before any comes again.

    Parameters
    ----------
    count : int
        How many examples there are.
    size : int
        How many a batch has. The last batch of an epoch is filled up from its beginning: every batch has one shape.
    seed, epoch, step : int
        Not negative.

    Returns
    -------
    chosen : int64 array, shape (size,)
        Indices 0..count - 1.
    rng : numpy.random.Generator
        For what else is drawn in this step.

    Examples
    --------
    >>> [batch_of(5, 2, seed=0, epoch=1, step=step)[0].tolist() for step in range(3)]
    [[1, 4], [3, 0], [2, 1]]
    """
    order = np.random.default_rng((seed, epoch)).permutation(count)
    chosen = order[(step * size + np.arange(size)) % count]
    return chosen, np.random.default_rng((seed, epoch, step))


def batch_by_share(often, size, *, steps, seed, epoch, step):
    """Draw a batch in which some examples come more often than others.

    Parameters
    ----------
    often : sequence of float
        How often each example is drawn, in relation to the others. Over an epoch it is drawn so often, up to one draw
        more or less.
    size, steps : int
        How many a batch has, and how many batches an epoch.
    seed, epoch, step : int
        Not negative.

    Returns
    -------
    chosen, rng
        As of `batch_of`.

    Examples
    --------
    >>> batches = [batch_by_share([1, 2, 1], 2, steps=2, seed=0, epoch=0, step=step)[0].tolist() for step in (0, 1)]
    >>> sorted(batches[0] + batches[1])
    [0, 1, 1, 2]
    """
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(len(often))
    # Equal steps along a line on which each example is as long as it is drawn often: no share is left to luck.
    ends = np.cumsum(np.asarray(often, np.float64)[order])
    places = (rng.random() + np.arange(steps * size)) / (steps * size) * ends[-1]
    found = np.minimum(np.searchsorted(ends, places, side="right"), len(order) - 1)
    chosen = rng.permutation(order[found])[step * size + np.arange(size)]
    return chosen, np.random.default_rng((seed, epoch, step))
