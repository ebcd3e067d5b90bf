"""Dense: any net that sees insides and contours, as a system that tells objects apart.

It stands where Lou et al. have Mask R-CNN: what a round needs of a net is objects and how sure it is of each, and these
can be read from maps as well.
"""

from dataclasses import replace

import numpy as np

from ...checks import as_image
from ...errors import refuse
from ...extras.maskrcnn import MaskRCNN
from ...extras.maskrcnn.tiles import DetectionReport
from ...images.scaling import normalize
from ...objects.labeling import label_instances, object_probability
from ...objects.overlaps import score_objects
from ...prediction.tiling import predict_tiled
from .losses import loss
from .target_maps import taught


class Dense:
    """A net with outputs background, inside and contour that can learn and find; see `hsn.training.object_training`.

    Parameters
    ----------
    net : keras.Model
        (N, H, W, 3) normalize pixels -> (N, H, W, 3) probabilities, for instance of `hsn.nets.unet`.
    config : Config

    Attributes
    ----------
    net, training_model : keras.Model
        The net; it is what the loop trains.
    """

    def __init__(self, net, config):
        outputs = net.output_shape[-1] if len(net.outputs) == 1 else f"{len(net.outputs)} maps"
        if outputs != len(config.classes):
            refuse("the net does not see what the config says", expected=f"outputs {', '.join(config.classes)}",
                   received=outputs, remedy="build it with 3 outputs, or give the config a `detector`")  # fmt: skip
        self.net = self.training_model = net
        self.config, self._loss = config, loss(config)

    def loss(self, target, prediction, weight, image):
        """See `hsn.supervision.selected.losses`."""
        return self._loss(target, prediction, weight, image)

    def examples(self, images, instances, known, rng):
        """What a step learns from: normalize pixels, targets, and weights that are 0 where nothing is known.

        Parameters
        ----------
        images : array, shape (N, px, px, 3)
            RGB, 0..255.
        instances : int array, shape (N, px, px)
        known : bool array, shape (N, px, px)
        rng : numpy.random.Generator
            Not needed: nothing is left to be drawn.

        Returns
        -------
        float32 arrays, shapes (N, px, px, 3), (N, px, px, 4), (N, px, px)
        """
        made = [taught(*each, self.config) for each in zip(instances, known, strict=True)]
        target, weight = (np.stack(side) for side in zip(*made, strict=True))
        normalization = self.config.normalization
        return normalize(images, normalization.mean, normalization.std), target, weight

    def maps(self, image):
        """Return the probabilities over an image at the net's scale, float32 (H, W, 3)."""
        return predict_tiled(self.net, as_image(image), self.config.normalization, self.config.tiling)

    def segment(self, image):
        """Find the objects of an image of any size, at the net's scale; each scores the mean evidence inside.

        Returns
        -------
        DetectionReport
            `scored.instances` and `scored.scores`; `said` is empty, there is no limit to reach.
        """
        maps = self.maps(image)
        instances = label_instances(maps, self.config.postprocess, mpp=self.config.mpp)
        return DetectionReport(score_objects(instances, object_probability(maps)), ())


def system_of(net, config):
    """The system that a config's net learns and finds in: `Dense`, or Mask R-CNN where the config has a detector."""
    if config.detector is None:
        return Dense(net, config)
    return MaskRCNN(
        net, replace(config.detector, mean=config.normalization.mean, std=config.normalization.std)
    )
