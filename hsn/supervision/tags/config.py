"""Config of learning from tags: all parameters of HistoSegNet, with units and sources.

Presets: "cpu" is the default of `hsn fit`; "histosegnet" has the parameters of the release (Chan et al., ICCV 2019).
Classes, thresholds and taxonomies depend on your tags.
"""

from dataclasses import dataclass, field
from typing import Literal

from ...checks import same_length
from ...config import (
    Augmentation,
    BaseConfig,
    Count,
    Normalization,
    Positive,
    PositiveInt,
    Record,
    Share,
    TrainConfig,
    preset_of,
)
from ...errors import InputError
from ...taxonomies import Taxonomy

ADP_MPP = 0.25 * 1088 / 224  # ADP patches of 1088 px at 0.25 um/px, shrunk to 224 px
ADP_MEAN, ADP_STD = 193.09203, 56.450138 + 1e-7  # of ADP's training patches


@dataclass(frozen=True)
class CRFConfig(Record):
    """Parameters of the dense CRF. Default: those of the release for ADP's functional types and GlaS.

    Attributes
    ----------
    gaussian : (float, float)
        Sigma in pixels, and weight.
    bilateral : (float, float, float)
        Sigma in pixels, sigma in gray levels, and weight.
    iterations : int
        Steps of mean-field inference.
    mpp : float or None
        Scale of these pixels in um/px; finer images are adjusted and refined at it. None: the scale of the image.
    """

    gaussian: tuple[float, float] = (3.0, 40.0)
    bilateral: tuple[float, float, float] = (10.0, 4.0, 25.0)
    iterations: Count = 5
    mpp: Positive | None = None


@dataclass(frozen=True)
class Config(BaseConfig):
    """Parameters of segmentation and training from tags.

    Attributes
    ----------
    classes : tuple of str
        The net's outputs, in order.
    thresholds : tuple of float
        Score from which each class counts as present.
    taxonomies : tuple of Taxonomy
        Label spaces; the first is the default.
    mpp, image_mpp : float
        Micrometers per pixel of the net's input, and the default for images.
    window_px : int
        Side of the net's input.
    normalization : Normalization
        Without a stain.
    cam_layers : (str, str) or None
        Names of the layers of features and logits for Grad-CAM; None for a segmentation net.
    cam_norm : {"per_class", "per_image"}
    subtraction : {"order_free", "sequential"}
    windows : {"cover", "overlapped"}
        The fewest windows, stitched before the classes compete; or windows that overlap by a quarter, each adjusted
        separately and averaged with its neighbors.
    tta : {1, 8}
        Symmetries of the square that are averaged. Eight need ``windows="cover"``.
    crf : dict of str to CRFConfig
        Parameters of the dense CRF by name of the taxonomy.
    cell_px, cell_stride_px : int or None
        Side and distance of the cells, if each patch has a grid of tags.
    half_cycle_epochs : int
        Epochs from the lowest learning rate to the highest.
    halve_every_epochs : int
        Epochs after which both bounds of the learning rate are halved.
    momentum : float
        Of stochastic gradient descent with Nesterov momentum.
    quarter_turns : bool
        Whether patches are rotated by quarter turns.
    shift_px : int
        Largest shift of patches, the border mirrored.
    train : TrainConfig
        `learning_rate` and `min_learning_rate` are the bounds of the cyclical rate. `crop_px` is the side that patches
        are resized to. None: `window_px`.

    Examples
    --------
    >>> from hsn.taxonomies import GLAS
    >>> config = Config(classes=("G.O",), thresholds=(0.5,), taxonomies=(GLAS,))
    >>> Config.from_dict(config.to_dict()) == config
    True
    """

    METHOD = "tags"
    FIXED = {
        "normalization.stain": None,
        "train.steps": 0,
        "train.warmup_steps": 0,
        "train.encoder_rate_factor": 1.0,
        "train.optimizer": "adam",
        "train.ema_momentum": 0.0,
        "train.betas": (0.9, 0.999),
        "train.weight_decay": 0.0,
        "train.accumulate_batches": 1,
        "train.precision": "float32",
        "train.monitor": "loss",
        "train.augmentation.zoom": (1.0, 1.0),
        "train.augmentation.rotation_deg": 0.0,
        "train.augmentation.shear_deg": 0.0,
        "train.augmentation.affine_jitter": 0.0,
        "train.augmentation.elastic_px": 0.0,
        "train.augmentation.noise_elastic_px": (0.0, 0.0),
        "train.augmentation.stain_gain": 0.0,
        "train.augmentation.stain_offset": 0.0,
        "train.augmentation.contrast": (),
    }
    FORMAT0 = {
        "mean": ("normalization.mean", lambda mean: (mean,) * 3),
        "std": ("normalization.std", lambda std: (std,) * 3),
        "views": "tta",
        "refinement": "crf",
        "learning.highest_rate": "train.learning_rate",
        "learning.half_cycle": "half_cycle_epochs",
        "learning.halve_every": "halve_every_epochs",
        "learning.momentum": "momentum",
        "learning.flips": ("train.augmentation.flips", lambda flips: (False, flips)),
        "learning.quarter_turns": "quarter_turns",
        "learning.shift_px": "shift_px",
        "learning.patch_px": "train.crop_px",
        "learning.cell_px": "cell_px",
        "learning.cell_stride_px": "cell_stride_px",
    }

    classes: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = ()
    taxonomies: tuple[Taxonomy, ...] = ()
    mpp: Positive = ADP_MPP
    image_mpp: Positive = ADP_MPP
    window_px: PositiveInt = 224
    normalization: Normalization = Normalization(mean=(ADP_MEAN,) * 3, std=(ADP_STD,) * 3)
    cam_layers: tuple[str, str] | None = ("activation_7", "dense_1")
    cam_norm: Literal["per_class", "per_image"] = "per_class"
    subtraction: Literal["order_free", "sequential"] = "order_free"
    windows: Literal["cover", "overlapped"] = "cover"
    tta: Literal[1, 8] = 1
    crf: dict[str, CRFConfig] = field(default_factory=dict)
    cell_px: PositiveInt | None = None
    cell_stride_px: PositiveInt | None = None
    half_cycle_epochs: PositiveInt = 5
    halve_every_epochs: PositiveInt = 20
    momentum: Share = 0.9
    quarter_turns: bool = True
    shift_px: Count = 0
    train: TrainConfig = TrainConfig(
        epochs=80,
        batch_size=16,
        learning_rate=2e-2,
        min_learning_rate=1e-3,
        augmentation=Augmentation(flips=(False, True), color_gain=0.1, color_offset=15.0),
    )

    def check(self):
        """Raise if thresholds, windows or taxonomies do not fit the net."""
        super().check()
        same_length("classes", self.classes, "thresholds", self.thresholds)
        if self.tta == 8 and self.windows != "cover":
            raise InputError(
                "config-unused", "`tta` must be 1 with overlapped windows", got=8, hint="use windows 'cover'"
            )
        for taxonomy in self.taxonomies:
            missing = [n for n in taxonomy.names if n not in self.classes and n not in taxonomy.inferred]
            if missing:
                raise InputError(
                    "taxonomy-classes",
                    f"the net must have an output for each class of taxonomy {taxonomy.name}",
                    got=f"none for {', '.join(missing)}",
                    hint="use a taxonomy of the net's classes, or train a net for it",
                )

    @classmethod
    def upgrade(cls, data):
        """Return the fields of an older recipe under their present names; two layer names become a pair."""
        data = super().upgrade(data)
        if "features" in data:
            features, logits = data.pop("features"), data.pop("logits", "dense_1")
            data["cam_layers"] = None if features is None else (features, logits)
        return data


def cpu():
    """Return the default of `hsn fit` for tags, for two processor cores.

    Examples
    --------
    >>> cpu().train.batch_size
    16
    """
    return Config()


def histosegnet():
    """Return the parameters of the HistoSegNet release: sequential subtraction.

    Examples
    --------
    >>> histosegnet().crf["adp-morph"].gaussian
    (1.0, 20.0)
    """
    return Config(
        subtraction="sequential",
        crf={
            "adp-morph": CRFConfig((1, 20), (10, 40, 50), mpp=ADP_MPP),
            "adp-func": CRFConfig(mpp=ADP_MPP),
            "glas": CRFConfig(),
        },
    )


PRESETS = {"cpu": cpu, "histosegnet": histosegnet}


def preset(name):
    """Return the config with this name: "cpu" or "histosegnet".

    Examples
    --------
    >>> preset("cpu").windows
    'cover'
    """
    return preset_of(PRESETS, name)
