"""Loss of learning from tags: each class is a yes-or-no question of its own."""

from ...losses.cross_entropy import binary_cross_entropy


def make_loss(config):
    """Binary cross-entropy over the classes whose tag is known.

    Parameters
    ----------
    config : Config
        Not consulted: this loss has no numbers of its own. The argument keeps the methods alike.

    Returns
    -------
    callable
        ``(target (N, C), prediction (N, C), weight (N, C), image) -> scalar``, on the backend's tensors.

    Examples
    --------
    >>> round(float(make_loss(None)([[1.0, 0.0]], [[0.5, 0.9]], [[1.0, 0.0]], None)), 4)
    0.6931
    """

    def of(target, prediction, weight, image):
        return binary_cross_entropy(target, prediction, weight)

    return of
