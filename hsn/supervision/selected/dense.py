"""Nets with the outputs background, inside and contour, as systems that separate objects.

They replace Mask R-CNN of Lou et al.: objects and their scores are computed from the probabilities.
"""

from dataclasses import replace

import numpy as np

from ...checks import as_image
from ...errors import InputError
from ...extras.maskrcnn import MaskRCNN
from ...extras.maskrcnn.tiles import DetectionReport
from ...images.scaling import normalize
from ...objects.labeling import label_instances, object_probability
from ...objects.overlaps import score_objects
from ...prediction.tiling import predict_tiled
from .losses import make_loss
from .target_maps import encode


class Dense:
    """Wraps a net with the outputs background, inside and contour for `hsn.training.object_training`.

    Parameters
    ----------
    net : keras.Model
        (N, H, W, 3) normalized pixels -> (N, H, W, 3) probabilities, for instance of `hsn.nets.unet`.
    config : Config

    Attributes
    ----------
    net, training_model : keras.Model
        The net; both are the same.
    """

    def __init__(self, net, config):
        outputs = net.output_shape[-1] if len(net.outputs) == 1 else f"{len(net.outputs)} maps"
        if outputs != len(config.classes):
            raise InputError(
                "net-outputs",
                f"the net must have the outputs {', '.join(config.classes)}",
                got=outputs,
                hint="build it with 3 outputs, or give the config a `detector`",
            )
        self.net = self.training_model = net
        self.config, self._loss = config, make_loss(config)

    def loss(self, target, prediction, weight, image):
        """Return the loss of a batch; see `hsn.supervision.selected.losses`."""
        return self._loss(target, prediction, weight, image)

    def examples(self, images, instances, known, rng):
        """Return normalized pixels, targets and weights of a step; unknown pixels have weight 0.

        Parameters
        ----------
        images : array, shape (N, px, px, 3)
            RGB, 0..255.
        instances : int array, shape (N, px, px)
        known : bool array, shape (N, px, px)
        rng : numpy.random.Generator
            Not used.

        Returns
        -------
        float32 arrays, shapes (N, px, px, 3), (N, px, px, 4), (N, px, px)
        """
        pairs = [encode(*crop, self.config) for crop in zip(instances, known, strict=True)]
        target, weight = (np.stack(part) for part in zip(*pairs, strict=True))
        normalization = self.config.normalization
        return normalize(images, normalization.mean, normalization.std), target, weight

    def predict(self, image):
        """Return the probabilities over an image at the net's scale, float32 (H, W, 3)."""
        return predict_tiled(self.net, as_image(image), self.config.normalization, self.config.tiling)

    def segment(self, image):
        """Segment an image of any size at the net's scale; the score of an object is its mean probability.

        Returns
        -------
        DetectionReport
            `scored.instances` and `scored.scores`; `warnings` is empty.
        """
        probabilities = self.predict(image)
        instances = label_instances(probabilities, self.config.postprocess, mpp=self.config.mpp)
        return DetectionReport(score_objects(instances, object_probability(probabilities)), ())


def system_of(net, config):
    """Return the system of a config's net: Mask R-CNN if the config has a detector, otherwise `Dense`."""
    if config.detector is None:
        return Dense(net, config)
    normalization = config.normalization
    return MaskRCNN(net, replace(config.detector, mean=normalization.mean, std=normalization.std))
