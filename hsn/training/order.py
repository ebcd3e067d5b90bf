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
    [[0, 4], [3, 2], [1, 0]]
    """
    order = np.random.default_rng((seed, epoch)).permutation(count)
    chosen = order[(step * size + np.arange(size)) % count]
    return chosen, np.random.default_rng((seed, epoch, step))
