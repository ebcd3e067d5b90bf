"""Training of the detector and of the segmenter with the numbers of a config."""

from ...training.loop import LoopSpec, fit_net


def train(net, loss, crops, validate, config, *, epochs, monitor, out, factor=None, stage, progress=None):
    """Train a net on crops; afterwards it has the weights of the best epoch.

    Parameters
    ----------
    net : keras.Model
    loss : callable
    crops : PointCrops
    validate : callable
        ``() -> dict`` of scores after an epoch.
    config : Config
    epochs : int
    monitor : str
        See `hsn.training.loop.LoopSpec`.
    out : path
    factor : float, optional
        Constant learning rate, as a share of the highest. Default: a cosine.
    stage : str
        Name of the work in progress events.
    progress : callable, optional

    Returns
    -------
    History
    """
    spec = LoopSpec.of(
        config.train,
        epochs=epochs,
        factor=factor,
        steps=crops.steps,
        batch=crops.batch,
        validate=validate,
        monitor=monitor,
        stage=stage,
    )
    return fit_net(net, loss, spec, out=out, train=config.train, progress=progress)
