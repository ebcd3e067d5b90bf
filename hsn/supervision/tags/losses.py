"""Loss of learning from tags: binary cross-entropy for each class."""

from ...losses.cross_entropy import binary_cross_entropy


def make_loss(config):
    """Return the binary cross-entropy over the classes with a known tag.

    Parameters
    ----------
    config : Config
        Not used: the loss has no parameters.

    Returns
    -------
    callable
        ``(target (N, C), prediction (N, C), weight (N, C), image) -> scalar``, on the backend's tensors.

    Examples
    --------
    >>> round(float(make_loss(None)([[1.0, 0.0]], [[0.5, 0.9]], [[1.0, 0.0]], None)), 4)
    0.6931
    """

    def loss(target, prediction, weight, image):
        return binary_cross_entropy(target, prediction, weight)

    return loss
