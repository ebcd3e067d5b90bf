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
from ...nets import reach
from ...objects import labeling as told
from ...objects.overlaps import score_objects
from ...prediction import tiling as tiled
from ...training.augment import SYMMETRIES
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
        return tiled.normalize(images, normalization.mean, normalization.std), target, weight

    def maps(self, image):
        """Probabilities over an image at the net's scale, float32 (H, W, 3)."""
        config = self.config
        margin_px, step_px = reach.reach_of(self.net, config.tiling.halo_px)
        return tiled.maps_of(
            self.net,
            as_image(image),
            mean=config.normalization.mean,
            std=config.normalization.std,
            tile_px=config.tiling.tile_px,
            margin_px=margin_px,
            step_px=step_px,
            views=SYMMETRIES if config.tiling.tta == 8 else (),
        )

    def segment(self, image):
        """Find the objects of an image of any size, at the net's scale; each scores the mean evidence inside.

        Returns
        -------
        Report
            `scored.instances` and `scored.scores`; `said` is empty, there is no limit to reach.
        """
        maps = self.maps(image)
        instances = objects(maps, self.config, mpp=self.config.mpp)
        return DetectionReport(score_objects(instances, told.object_evidence(maps)), ())


def objects(maps, config, *, mpp):
    """Tell objects in the probabilities of a dense net.

    Parameters
    ----------
    maps : float array, shape (H, W, 3)
    config : Config
    mpp : float
        Micrometres per pixel of `maps`.

    Returns
    -------
    int32 array, shape (H, W)
        0 background, 1..n.

    Examples
    --------
    >>> from hsn.supervision.selected.config import preset
    >>> maps = np.eye(3)[[[0, 2, 1, 1, 2, 0]]]
    >>> objects(maps, preset("cpu").replace(postprocess={"min_area_um2": 0.0}), mpp=0.25).tolist()
    [[0, 1, 1, 1, 1, 0]]
    """
    return told.objects(
        maps,
        inside=config.postprocess.foreground_threshold,
        separate=config.postprocess.separation,
        grow_px=round(config.postprocess.grow_um / mpp, 3),  # a rest of rounding would cost a whole pixel
        meet=config.postprocess.overlap,
        waist_px=config.postprocess.h_um / mpp,
        least_px=config.postprocess.min_area_um2 / mpp**2,
        fill=config.postprocess.fill_holes,
    )


def system_of(net, config):
    """The system that a config's net learns and finds in: `Dense`, or Mask R-CNN where the config has a detector."""
    if config.detector is None:
        return Dense(net, config)
    return MaskRCNN(
        net, replace(config.detector, mean=config.normalization.mean, std=config.normalization.std)
    )
