"""Train: the loop of both nets, with this config's numbers."""

import keras

from ...training.loop import Plan, learn
from ...training.schedules import cosine

ADAM_EPSILON = 1e-8  # torch's, with which the method was published; Keras has 1e-7


def train(net, loss, crops, validate, config, *, epochs, monitor, out, factor=None):
    """Train a net on crops; afterwards it holds the weights of the best epoch.

    Parameters
    ----------
    net : keras.Model
    loss : callable
    crops : Crops
    validate : callable
        ``() -> dict`` of numbers after an epoch.
    config : Config
    epochs : int
    monitor : str
        As `hsn.training.loop.Plan` has it.
    out : path
    factor : float, optional
        A constant rate instead, as a share of the highest.

    Returns
    -------
    History
    """
    train = config.train

    def rate(epoch):
        if factor is not None:
            return train.learning_rate * factor
        return cosine(epoch / epochs, lowest=train.min_learning_rate, highest=train.learning_rate)

    beta_1, beta_2 = train.betas
    return learn(
        net,
        loss,
        Plan(epochs, crops.steps, crops.batch, rate, validate, monitor),
        optimizer=keras.optimizers.Adam(beta_1=beta_1, beta_2=beta_2, epsilon=ADAM_EPSILON),
        out=out,
        weight_decay=train.weight_decay,
        precision=train.precision,
        # XLA takes a minute to compile a net with skips, and its convolutions on CPUs are slower.
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
