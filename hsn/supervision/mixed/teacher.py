"""Pseudo-labels of unknown pixels from the moving average of the net's weights.

The average is that of the optimizer, which is saved with the state of a run: a resumed run has the same teacher.
"""

import keras
import numpy as np

from ...prediction.compiled import predict_batch
from .sources import PSEUDO, UNKNOWN


class Teacher:
    """A copy of a net with averaged weights, which labels the unknown pixels of batches.

    Parameters
    ----------
    net : keras.Model
        The net that is trained.
    optimizer : keras.optimizers.Optimizer
        With a moving average of the weights.
    config : Config

    References
    ----------
    .. [1] Tarvainen, Valpola, Mean teachers are better role models, NeurIPS 2017.
    .. [2] Sohn et al., FixMatch, NeurIPS 2020: a threshold of the probability, unchanged colors for the teacher.
    """

    def __init__(self, net, optimizer, config):
        self._net, self._optimizer, self._config = net, optimizer, config
        self._copy = None

    def complete(self, drawn):
        """Return pixels, target and weight of a batch of `MixedCrops`, with pseudo-labels where nothing is known."""
        pixels, target, weight, plain, ramp = drawn
        heads = self._config.heads
        unknown = [weight[..., len(heads) + k] == UNKNOWN for k in range(len(heads))]
        if ramp > 0 and any(mask.any() for mask in unknown):
            self._update()
            probabilities = predict_batch(self._copy, plain)
            for k, head in enumerate(heads):
                own = probabilities[..., head.start : head.stop]
                sure = unknown[k] & (own.max(axis=-1) >= self._config.pseudo_threshold)
                one_hot = np.eye(head.channels, dtype=np.float32)[own.argmax(axis=-1)]
                target[..., head.start : head.stop][sure] = one_hot[sure]
                weight[..., k][sure] = ramp * own.max(axis=-1)[sure]
                weight[..., len(heads) + k][sure] = PSEUDO
        return pixels, target, weight

    def _update(self):
        """Give the copy the average of the trained weights, and the other weights as they are."""
        if self._copy is None:
            self._copy = keras.models.clone_model(self._net)
        for own, other in zip(
            self._copy.non_trainable_variables, self._net.non_trainable_variables, strict=True
        ):
            own.assign(other)
        if self._optimizer.use_ema and int(self._optimizer.iterations) > 0:  # the average begins with a step
            self._optimizer.finalize_variable_values(self._copy.trainable_variables)
        else:
            for own, other in zip(self._copy.trainable_variables, self._net.trainable_variables, strict=True):
                own.assign(other)
