"""Config of learning from clicks on some nuclei: all parameters of the published system, with units and sources.

Lengths are micrometers, so that a config does not depend on the scale; in the paper they are pixels at 0.25 um/px.

Source: Qu et al., Weakly supervised deep nuclei segmentation using partial points annotation, IEEE TMI 2020, and its
released code; parameters for many organs.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...checks import one_of
from ...config import (
    NUCLEI_AUGMENTATION,
    PRETRAINED,
    Augmentation,
    BaseConfig,
    Normalization,
    ObjectTargets,
    PostProcess,
    Tiling,
    TrainConfig,
    preset_of,
)
from ...errors import InputError
from ...instances import renumber
from ...losses.objects import TERNARY
from ...nets import fullnet as fullnet_net
from ...records import Count, NonNegative, Positive, PositiveInt, Share
from ...taxonomies import NUCLEI, Taxonomy

SEGMENTED = ("background", "nucleus")
GRAY = 255.0  # the paper normalizes pixels over 255
PUBLISHED_RADIUS_UM = 2.75  # mean nuclear radius of many organs: 11 px at 0.25 um/px


@dataclass(frozen=True)
class Config(BaseConfig):
    """Parameters of training from clicks, and of segmentation of nuclei.

    Attributes
    ----------
    classes : tuple of str
        The outputs of the trained net: background and nucleus; with `object_epochs` above 0, `TERNARY`.
    taxonomies : tuple of Taxonomy
        Label spaces of two classes, the second being the nuclei. The first is the default.
    mpp, image_mpp : float
        Micrometers per pixel of the nets' input, and the default for images.
    normalization : Normalization
        Without a stain.
    radius_um : float
        Mean radius of a nucleus, r1: largest distance of a hit, and smallest distance between two nuclei.
    background_radii : float
        Around a click, up to this many radii, the pixels beyond the Gaussian are background.
    radii_per_sigma : float
        Radii over the sigma of the Gaussian on a click.
    min_gaussian : float
        Smaller values of the Gaussian are set to 0.
    click_weight : float
        Weight of a pixel on a Gaussian; background has weight 1.
    detection_threshold : float or None
        Probability above which a pixel belongs to a detected nucleus. None: each round tunes it on the clicks.
    detection_peaks : {"components", "maxima"}
        A point is the centroid of a connected component above the threshold, or a local maximum of the probability,
        which separates nuclei with touching Gaussians.
    min_peak_area_um2, max_peak_area_um2 : float
        Components with another area are ignored.
    background_threshold, bright_threshold : float
        Background of the next round: pixels with a probability below `background_threshold`, and components above
        `bright_threshold` that are too large for a nucleus.
    crf_weight : float
        Factor of the CRF loss.
    crf_sigma_um, crf_sigma_rgb : float
        Standard deviations of the CRF loss, in space and in colors 0..1.
    crf_gradient : {"exact", "released"}
        See `hsn.losses.crf`; the released one is about twice as steep.
    postprocess : PostProcess
        As published, `h_um` is 0: touching nuclei are not separated.
    targets : ObjectTargets
        Of the training on objects.
    tiling : Tiling
    rounds : int or None
        Number of self-training rounds after the first detection. None: no detection, because every nucleus is clicked.
    start : {"initial", "previous"}
        Starting weights of a round: those of the given net, as published, or those of the previous round. With
        "previous" the segmenter starts with the weights of the last detector, and the net that is trained on objects
        with those of the segmenter.
    detection_epochs, refinement_epochs : int
        Epochs of each round of detection, and of segmentation with the CRF loss.
    detection_batch_size : int
    refinement_rate : float
        Factor of the constant learning rate of refinement.
    object_epochs : int
        Epochs of the last stage: a net is trained on the objects that a watershed from the detected points finds in
        the probabilities of the segmenter. 0: the segmenter is the result, as published.
    object_rate : float
        Factor of the learning rate of that stage.
    object_threshold : float
        Probability of the segmenter above which a pixel belongs to an object.
    outside : {"unknown", "background"}
        Pixels of a crop beyond the image: unknown, or, as in the released code, black background in segmentation.
    complete_validation : bool
        Whether every nucleus of the validation images is clicked. Then the epoch of detection with the best F1 is
        kept, as published; otherwise that with the lowest loss.
    train : TrainConfig
        `epochs` and `batch_size` hold for segmentation with the coarse labels. Elastic deformation is used in
        segmentation only. With 0 `steps` the crops of an epoch have as many pixels as the images. With fewer than 4
        images, `validation` is a share of grid cells.

    Examples
    --------
    >>> config = preset("qu2020")
    >>> Config.from_dict(config.to_dict()) == config, config.radius_px
    (True, 11.0)
    """

    METHOD = "points"
    LENGTHS = ("detection_epochs", "train.epochs", "refinement_epochs", "object_epochs")
    FIXED = {
        "normalization.stain": None,
        "postprocess.overlap": "nearest",
        "postprocess.fill_holes": True,
        "train.accumulate_batches": 1,
        "train.monitor": "loss",
        "train.augmentation.shear_deg": 0.0,
        "train.augmentation.noise_elastic_px": (0.0, 0.0),
        "train.augmentation.contrast": (),
    }
    FIXED_OF_SEGMENTERS = {
        "postprocess.foreground_threshold": None,
        "postprocess.separation": "distance_watershed",
        "postprocess.grow_um": 0.0,
    }
    FORMAT0 = {
        "ring": "background_radii",
        "sharpness": "radii_per_sigma",
        "cut": "min_gaussian",
        "likely": "detection_threshold",
        "peaks": ("detection_peaks", {"parts": "components", "maxima": "maxima"}.get),
        "least_peak_um2": "min_peak_area_um2",
        "most_peak_um2": "max_peak_area_um2",
        "bright": "bright_threshold",
        "empty": "background_threshold",
        "crf": "crf_weight",
        "crf_um": "crf_sigma_um",
        "crf_rgb": "crf_sigma_rgb",
        "learning.rounds": "rounds",
        "learning.start": ("start", {"anew": "initial", "onward": "previous"}.get),
        "learning.segmentation_epochs": "train.epochs",
        "learning.segmentation_batch": "train.batch_size",
        "learning.detection_epochs": "detection_epochs",
        "learning.detection_batch": "detection_batch_size",
        "learning.refinement_epochs": "refinement_epochs",
        "learning.refinement_rate": "refinement_rate",
        "learning.rim": "outside",
        "learning.complete_validation": "complete_validation",
    }

    classes: tuple[str, ...] = SEGMENTED
    taxonomies: tuple[Taxonomy, ...] = (NUCLEI,)
    mpp: Positive = 0.25
    image_mpp: Positive = 0.25
    normalization: Normalization = Normalization(
        mean=tuple(GRAY * m for m in fullnet_net.NUCLEI_MEAN),
        std=tuple(GRAY * s for s in fullnet_net.NUCLEI_STD),
    )
    radius_um: Positive = PUBLISHED_RADIUS_UM
    background_radii: Positive = 2.0
    radii_per_sigma: Positive = 4.0
    min_gaussian: NonNegative = 0.05
    click_weight: NonNegative = 10.0
    detection_threshold: Share | None = 0.35
    detection_peaks: Literal["components", "maxima"] = "components"
    min_peak_area_um2: NonNegative = 12 * 0.25**2
    max_peak_area_um2: NonNegative = 200 * 0.25**2
    bright_threshold: Share = 0.7
    background_threshold: Share = 0.1
    crf_weight: NonNegative = 0.005
    crf_sigma_um: Positive = 9 * 0.25
    crf_sigma_rgb: Positive = 0.1
    crf_gradient: Literal["exact", "released"] = "released"
    postprocess: PostProcess = PostProcess(
        separation="distance_watershed", min_area_um2=20 * 0.25**2, fill_holes=True
    )
    targets: ObjectTargets = ObjectTargets(contour_px=2, border_weight=5.0)
    tiling: Tiling = Tiling(tile_px=224, halo_px=64)
    rounds: Count | None = 3
    start: Literal["initial", "previous"] = "initial"
    detection_epochs: Count = 80
    refinement_epochs: Count = 20
    detection_batch_size: PositiveInt = 16
    refinement_rate: Positive = 0.1
    object_epochs: Count = 0
    object_rate: Positive = 0.5
    object_threshold: Share = 0.35
    outside: Literal["unknown", "background"] = "unknown"
    complete_validation: bool = False
    train: TrainConfig = TrainConfig(
        epochs=100,
        batch_size=8,
        crop_px=224,
        learning_rate=1e-4,
        min_learning_rate=1e-4,
        betas=(0.9, 0.99),
        weight_decay=1e-4,
        augmentation=Augmentation(
            zoom=(0.8, 1.25),
            flips=(True, True),
            rotation_deg=90.0,
            affine_jitter=0.3,
            elastic_px=15.0,
            elastic_spacing_px=250 / 6,  # a mesh of 6 x 6 over a patch of 250 px
        ),
    )

    def check(self):
        """Raise if the outputs, the stages and the post-processing do not fit each other."""
        super().check()
        self.check_two_classes()
        outputs = TERNARY if self.object_epochs else SEGMENTED
        if len(self.classes) != len(outputs):
            raise InputError(
                "config-classes",
                f"`classes` must be {outputs} with `object_epochs` {self.object_epochs}",
                got=self.classes,
                hint="correct the config",
            )
        if self.object_epochs:
            one_of("separation", self.postprocess.separation, ("components", "marker_watershed"))
        else:
            self.check_unused(self.FIXED_OF_SEGMENTERS)

    @property
    def radius_px(self):
        """The mean radius of a nucleus in pixels of the nets."""
        return self.radius_um / self.mpp

    def for_radius(self, radius_um):
        """Return a copy for nuclei of another size; areas change with the square of the radius.

        Examples
        --------
        >>> preset("qu2020").for_radius(5.5).max_peak_area_um2
        50.0
        """
        square = (radius_um / self.radius_um) ** 2
        return self.replace(
            **{
                "radius_um": radius_um,
                "min_peak_area_um2": self.min_peak_area_um2 * square,
                "max_peak_area_um2": self.max_peak_area_um2 * square,
                "postprocess.min_area_um2": self.postprocess.min_area_um2 * square,
            }
        )

    def for_mpp(self, mpp):
        """Return a copy for nets at another scale.

        The CRF loss sums over neighbors, so its weight changes with the number of pixels in an area.

        Examples
        --------
        >>> preset("qu2020").for_mpp(0.5).crf_weight
        0.02
        """
        return self.replace(mpp=mpp, crf_weight=self.crf_weight * (mpp / self.mpp) ** 2)


def qu2020():
    """Return the published parameters for nuclei of many organs at 0.25 um/px.

    Use them with a ResUNet-34 with an encoder trained on ImageNet, and a GPU.

    Examples
    --------
    >>> qu2020().rounds, qu2020().train.crop_px
    (3, 224)
    """
    return Config()


def cpu():
    """Return a config for two processor cores, for `encoder-unet` at 0.25 um/px: this project's numbers.

    The nets start from ImageNet weights. A detector, a segmenter and a net for objects are trained, each from the
    weights of the one before; the last one is the result (docs/results/points.md has measurements).

    Examples
    --------
    >>> cpu().classes, cpu().rounds
    (('background', 'inside', 'contour'), 1)
    """
    return Config().replace(
        classes=TERNARY,
        detection_threshold=None,
        crf_weight=0.0,
        postprocess={
            "foreground_threshold": 0.3,
            "separation": "marker_watershed",
            "grow_um": 0.5,
            "h_um": 0.3,
            "min_area_um2": 2.0,
        },
        tiling={"tile_px": 1024, "halo_px": 64},
        rounds=1,
        start="previous",
        detection_epochs=5,
        refinement_epochs=0,
        object_epochs=7,
        detection_batch_size=4,
        train=PRETRAINED
        | {
            "epochs": 6,
            "steps": 50,
            "batch_size": 4,
            "crop_px": 256,
            "learning_rate": 2e-3,
            "min_learning_rate": 2e-5,
            "warmup_steps": 40,
            "ema_momentum": 0.985,
            "augmentation": NUCLEI_AUGMENTATION.replace(elastic_px=0.0),
        },
    )


def resunet18():
    """Return a config for two processor cores: half the resolution, a higher rate, fewer epochs and rounds.

    Use it with a ResUNet-18 of width 16 with random weights. A round starts with the weights of the previous one,
    because training is short. Thresholds are tuned, and touching nuclei are separated (docs/results/points.md has
    measurements).

    Examples
    --------
    >>> resunet18().radius_px
    5.5
    """
    return (
        Config()
        .for_mpp(0.5)
        .replace(
            detection_threshold=None,
            postprocess={"h_um": 0.3},
            tiling={"tile_px": 512, "halo_px": 32},
            rounds=2,
            start="previous",
            detection_epochs=30,
            refinement_epochs=8,
            detection_batch_size=8,
            train={
                "epochs": 50,
                "steps": 24,
                "crop_px": 192,
                "learning_rate": 2e-3,
                "min_learning_rate": 2e-5,
                "betas": (0.9, 0.999),
                "weight_decay": 1e-5,
                "augmentation": NUCLEI_AUGMENTATION,
            },
        )
    )


PRESETS = {"cpu": cpu, "resunet18": resunet18, "qu2020": qu2020}


def preset(name):
    """Return the config with this name: "cpu", "resunet18" or "qu2020".

    Examples
    --------
    >>> preset("resunet18").crf_weight
    0.02
    """
    return preset_of(PRESETS, name)


def quick(mpp=0.5):
    """Return the preset "resunet18" for a scale. Deprecated: use `preset("resunet18").for_mpp(mpp)`."""
    return resunet18().for_mpp(mpp)


def radius_of(instances, *, mpp):
    """Return the mean radius of the objects of label images in um: the radius of a disk with their mean area.

    Parameters
    ----------
    instances : int array (H, W), or a sequence of them
        0 background; any positive ids.
    mpp : float
        Micrometers per pixel.

    Examples
    --------
    >>> round(radius_of(np.ones((10, 10), int), mpp=0.5), 2)
    2.82
    """
    label_images = [instances] if np.ndim(instances[0]) == 1 else instances
    label_images = [renumber(labels)[0] for labels in label_images]
    count = sum(int(labels.max(initial=0)) for labels in label_images)
    if not count:
        raise InputError(
            "no-objects",
            "label images must have at least one object to measure a radius",
            got="none",
            hint="give the radius in micrometers",
        )
    return float(mpp * np.sqrt(sum((labels > 0).sum() for labels in label_images) / count / np.pi))
