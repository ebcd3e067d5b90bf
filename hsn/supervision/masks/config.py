"""Config of learning from full masks: every number of two published systems, with its unit and source.

Presets: "fullnet" has the numbers of FullNet + varCE (three classes: background, inside, contour; border weights; the
variance term; objects grown back by what the contour took). "unet-cryonuseg" has those of the two U-Nets on CryoNuSeg
(one class, plain cross-entropy, a threshold). "cpu" is what a laptop can train, from a pretrained encoder; "unet" the
same from random weights.

Sources: Qu et al., MICCAI 2019, and its released code; C. Eichner, Histology-NucleiSeg, 2022; Tellez et al., IEEE TMI
2018, for stains.
"""

from dataclasses import dataclass

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
from ...losses.objects import TERNARY
from ...nets import fullnet as fullnet_net
from ...nets import unet as unet_net
from ...records import Positive
from ...stains.macenko import Macenko
from ...stains.normalizers import parse_normalizer
from ...stains.reinhard import Reinhard
from ...taxonomies import NUCLEI, Taxonomy

GRAY = 255.0  # the papers normalize pixels over 255
MONITORS = {"iou": "-validation_iou", "pq": "-validation_pq", "loss": "validation_loss"}

# FullNet's numbers for nuclei are pixels at this scale; here they are micrometers.
_NUCLEI_MPP = 0.25


@dataclass(frozen=True)
class Config(BaseConfig):
    """Parameters of training from masks, and of segmentation of objects.

    Attributes
    ----------
    classes : tuple of str
        The net's outputs, in order: `TERNARY`, or one name for a net with one output.
    taxonomies : tuple of Taxonomy
        Label spaces of two classes, the second being the objects. The first is the default.
    mpp, image_mpp : float
        Micrometers per pixel of the net's input, and the default for images.
    normalization : Normalization
    targets : ObjectTargets
        FullNet's label files have lost `shrink_px` already, and `postprocess.grow_um` gives it back.
    postprocess : PostProcess
        "distance_watershed" is for a net with one output, the other two for a net with three.
    tiling : Tiling
    train : TrainConfig
        Its `monitor` is "iou" (of the inside), "pq" or "loss".
    tune_postprocess : bool
        Whether `foreground_threshold` and `h_um` are tuned on the validation images after training. Default: False.

    Examples
    --------
    >>> config = preset("fullnet")
    >>> Config.from_dict(config.to_dict()) == config
    True
    """

    METHOD = "masks"
    FORMAT0 = {"learning.choose": "tune_postprocess"}

    classes: tuple[str, ...] = TERNARY
    taxonomies: tuple[Taxonomy, ...] = (NUCLEI,)
    mpp: Positive = _NUCLEI_MPP
    image_mpp: Positive = _NUCLEI_MPP
    normalization: Normalization = Normalization(
        mean=tuple(GRAY * m for m in fullnet_net.NUCLEI_MEAN),
        std=tuple(GRAY * s for s in fullnet_net.NUCLEI_STD),
    )
    targets: ObjectTargets = ObjectTargets(border_sigma_um=5 * _NUCLEI_MPP)
    postprocess: PostProcess = PostProcess(grow_um=2 * _NUCLEI_MPP, min_area_um2=20 * _NUCLEI_MPP**2)
    tiling: Tiling = Tiling(tta=8)
    train: TrainConfig = TrainConfig(
        epochs=300,
        batch_size=8,
        crop_px=208,
        betas=(0.9, 0.99),
        weight_decay=1e-4,
        monitor="iou",
        augmentation=Augmentation(
            zoom=(0.8, 1.25),
            flips=(False, True),
            rotation_deg=90.0,
            affine_jitter=0.3,
            elastic_px=15.0,
            elastic_spacing_px=250 / 6,  # a mesh of 6 x 6 over a patch of 250 px
        ),
    )
    tune_postprocess: bool = False

    def check(self):
        """Raise if the outputs, the separation and the tuning do not fit each other."""
        super().check()
        self.check_two_classes()
        if not self.ternary and len(self.classes) != 1:
            raise InputError(
                "config-classes",
                f"`classes` must be {TERNARY}, or one class",
                got=self.classes,
                hint="correct the config",
            )
        allowed = ("components", "marker_watershed") if self.ternary else ("distance_watershed",)
        one_of("separation", self.postprocess.separation, allowed, hint="it must fit the net's outputs")
        one_of("monitor", self.train.monitor, MONITORS)
        if self.train.crop_px is None:
            raise InputError("config-range", "`train.crop_px` must be above 0", got=None, hint="give a side")
        if self.tune_postprocess and not self.ternary:
            raise InputError(
                "config-unused",
                "`tune_postprocess` must be False for a net with one output",
                got=True,
                hint="leave it out",
            )
        if not isinstance(self.normalization.stain, Reinhard | Macenko | None):
            raise InputError(
                "config-type",
                "`normalization.stain` must be a record of hsn.stains, or None",
                got=repr(self.normalization.stain),
                hint="measure it with hsn.stains.normalizers.fit_normalizer",
            )

    @classmethod
    def prepare(cls, data):
        """Parse the record of the stain."""
        normalization = data.get("normalization")
        if isinstance(normalization, dict) and isinstance(normalization.get("stain"), dict):
            stain = parse_normalizer(normalization["stain"])
            data = data | {"normalization": normalization | {"stain": stain}}
        return data

    @property
    def ternary(self):
        """Return whether the net has the outputs background, inside and contour."""
        return tuple(self.classes) == TERNARY


def fullnet():
    """Return the numbers of FullNet + varCE on nuclei at 0.25 um/px, as published.

    For glands change `mpp`, `targets.shrink_px` (2 at full size), `contour_px` (2), `border_sigma_um` (20 px at full
    size), `postprocess.grow_um` (4 px), `min_area_um2` (100 px of the net), and take a constant rate of 5e-4 over
    1000 epochs.

    Examples
    --------
    >>> fullnet().classes, fullnet().train.crop_px
    (('background', 'inside', 'contour'), 208)
    """
    return Config().replace(**{"targets.shrink_px": 1, "postprocess.overlap": "larger"})


def unet_cryonuseg():
    """Return the numbers of the U-Nets on CryoNuSeg at 0.25 um/px, as published: whole images of 512 x 512.

    Examples
    --------
    >>> unet_cryonuseg().classes, unet_cryonuseg().train.epochs
    (('nucleus',), 75)
    """
    return Config(
        classes=("nucleus",),
        normalization=Normalization(
            mean=tuple(GRAY * m for m in unet_net.MEAN), std=tuple(GRAY * s for s in unet_net.STD)
        ),
        targets=ObjectTargets(border_weight=0.0, variance_weight=0.0),
        postprocess=PostProcess(foreground_threshold=0.5, separation="distance_watershed"),
        tiling=Tiling(),
        train=TrainConfig(
            epochs=75,
            batch_size=8,
            crop_px=512,
            learning_rate=1e-4,
            min_learning_rate=1e-4,
            augmentation=Augmentation(
                zoom=(0.9, 1.1),
                flips=(True, True),
                rotation_deg=45.0,
                shear_deg=15.0,
                elastic_spacing_px=250 / 6,
                noise_elastic_px=(0.0, 40.0),
                contrast=(0.5, 0.5),
                channelwise_contrast=0.2,
            ),
        ),
    )


def cpu():
    """Return what a laptop can train in half an hour, for `encoder-unet` at 0.25 um/px: this project's numbers.

    The net starts from ImageNet weights, so the encoder's learning rate is half of the decoder's. The moving average
    of the weights is kept.

    Examples
    --------
    >>> cpu().train.crop_px, cpu().train.ema_momentum
    (256, 0.995)
    """
    return unet().replace(
        targets={"contour_px": 2},
        postprocess={"grow_um": 3 * _NUCLEI_MPP, "min_area_um2": 2.0},
        tiling=Tiling(tile_px=1024, halo_px=64),
        train=PRETRAINED | {"crop_px": 256, "augmentation": {"elastic_px": 0.0}},
    )


def unet():
    """Return what two processor cores can train in an hour or two: FullNet's targets and loss for a small U-Net.

    These numbers are this project's. The net starts from random weights.

    Examples
    --------
    >>> unet().classes, unet().train.crop_px
    (('background', 'inside', 'contour'), 192)
    """
    return Config(
        targets=ObjectTargets(border_weight=5.0),
        postprocess=Config.postprocess.replace(separation="marker_watershed", fill_holes=True),
        tiling=Tiling(halo_px=64),
        train=TrainConfig(
            epochs=40,
            batch_size=4,
            crop_px=192,
            learning_rate=2e-3,
            min_learning_rate=2e-5,
            weight_decay=1e-5,
            monitor="pq",
            augmentation=NUCLEI_AUGMENTATION,
        ),
        tune_postprocess=True,
    )


PRESETS = {"cpu": cpu, "unet": unet, "fullnet": fullnet, "unet-cryonuseg": unet_cryonuseg}


def preset(name):
    """Return the config with this name: "cpu", "unet", "fullnet" or "unet-cryonuseg".

    Examples
    --------
    >>> preset("unet").tiling.halo_px
    64
    """
    return preset_of(PRESETS, name)
