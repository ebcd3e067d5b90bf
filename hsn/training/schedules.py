"""Schedules: learning rates, and warm-up and moving average of short trainings."""

import math

SPANS_OF_AVERAGE = 4.8  # of the moving average in a training
LEAST_MOMENTUM = 0.1


def triangular(epoch, *, lowest, highest, half_cycle, halve_every):
    """Compute a triangular cyclical learning rate; both bounds are halved every `halve_every` epochs.

    Parameters
    ----------
    epoch : float
        Time in epochs; 2.5 is the middle of the third epoch.
    lowest, highest : float
        Bounds before the first halving.
    half_cycle : float
        Epochs from one bound to the other.
    halve_every : int
        Epochs between two halvings. A halving starts a new cycle.

    References
    ----------
    .. [1] Smith, "Cyclical learning rates for training neural networks", WACV 2017.
    .. [2] Chan et al., IJCV 2021: 1e-3..2e-2, half a cycle 5 epochs, halved every 20.

    Examples
    --------
    >>> [triangular(e, lowest=1, highest=3, half_cycle=5, halve_every=20) for e in (0, 2.5, 5, 10, 20)]
    [1.0, 2.0, 3.0, 1.0, 0.5]
    """
    session, within = divmod(epoch, halve_every)
    phase = (within / half_cycle) % 2  # 0..2: up, then down
    height = phase if phase <= 1 else 2 - phase
    return (lowest + (highest - lowest) * height) * 0.5**session


def cosine(part, *, lowest, highest):
    """Compute a cosine learning rate: `highest` at the start of the run, `lowest` at its end.

    Parameters
    ----------
    part : float
        Time as a fraction of the run, 0 to 1.
    lowest, highest : float
        Bounds of the learning rate.

    References
    ----------
    .. [1] Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.

    Examples
    --------
    >>> [round(cosine(p, lowest=1, highest=3), 6) for p in (0, 0.5, 1)]
    [3.0, 2.0, 1.0]
    """
    return lowest + (highest - lowest) * 0.5 * (1 + math.cos(math.pi * part))


def warmup(step, steps):
    """Return the share of the learning rate at a step: it rises in a straight line over the first `steps`.

    Examples
    --------
    >>> [warmup(step, 4) for step in (0, 1, 3, 10)], warmup(0, 0)
    ([0.25, 0.5, 1.0, 1.0], 1.0)
    """
    return min(1.0, (step + 1) / steps) if steps else 1.0


def shorten(train, batches):
    """Return a `TrainConfig` whose warm-up and moving average of the weights fit a short training.

    The warm-up takes an eighth of the batches at most. The average spans about a fifth of them, so that kept weights
    do not lag behind (docs/results/mixed.md). With 1000 batches or more nothing changes at a momentum of 0.995.

    Parameters
    ----------
    train : hsn.config.TrainConfig
    batches : int
        Number of batches of the whole training.

    Examples
    --------
    >>> from hsn.config import TrainConfig
    >>> long = TrainConfig(warmup_steps=100, ema_momentum=0.995)
    >>> [(t.warmup_steps, t.ema_momentum) for t in (shorten(long, 240), shorten(long, 1000))]
    [(30, 0.98), (100, 0.995)]
    """
    momentum = min(train.ema_momentum, max(1 - SPANS_OF_AVERAGE / batches, LEAST_MOMENTUM))
    return train.replace(warmup_steps=min(train.warmup_steps, batches // 8), ema_momentum=momentum)
