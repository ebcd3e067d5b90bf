"""Config of learning from tags: every number, with its unit and source.

Presets: "cpu" is the default of `hsn fit`, a segmentation net with a pretrained encoder that learns the share of each
class. "cam" is a classifier with Grad-CAM, and "histosegnet" the same with the parameters of the release (Chan et al.,
ICCV 2019). Classes, thresholds and taxonomies depend on your tags.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from ...checks import same_length
from ...config import Augmentation, BaseConfig, Normalization, TrainConfig, preset_of
from ...errors import InputError
from ...records import Count, Positive, PositiveInt, Record, Share, SidePx
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
class SecondStage(Record):
    """Parameters of the second stage, which learns the pseudo-masks of the first one; others are those of `train`.

    Attributes
    ----------
    min_confidence : float
        Pixels of a pseudo-mask whose highest probability is lower have weight 0.
    steps : int
        Batches per epoch; 0 shows as many pixels per epoch as the patches have.
    crop_px : int
        Side of the training crops; smaller patches are used whole.
    ema_momentum : float
        Momentum of the moving average of the weights, which is kept.
    augmentation : Augmentation
    """

    min_confidence: Share = 0.7
    steps: Count = 0
    crop_px: SidePx = 256
    ema_momentum: Share = 0.98
    augmentation: Augmentation = Augmentation(
        zoom=(0.7, 1.4),
        flips=(True, True),
        rotation_deg=180.0,
        affine_jitter=0.1,
        elastic_px=6.0,
        color_gain=0.2,
        color_offset=20.0,
        stain_gain=0.4,
        stain_offset=0.05,
    )


@dataclass(frozen=True)
class ShareConfig(Record):
    """Parameters of a segmentation net that learns the share of each class in a patch.

    Attributes
    ----------
    min_share : float
        Definition of a tag: the share of a patch from which a class counts as present. Default: 0.25, as in the GlaS
        benchmark. Use a smaller number if annotators tag everything that they see.
    slope : float
        Sharpness of the comparison: the probability of a tag is ``sigmoid(slope * (share - min_share))``. Default: 12.
        `hsn.fit` takes 3 / min_share.
    cell : float
        Side of a cell as a share of the side of the patch, if each patch has a grid of tags. Cells are evenly spaced
        from border to border. Default: 1, tags of whole patches.
    second : SecondStage or None
        None keeps the first stage.
    """

    min_share: Share = 0.25
    slope: Positive = 12.0
    cell: Share = 1.0
    second: SecondStage | None = SecondStage()


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
        Symmetries of the square that are averaged.
    crf : dict of str to CRFConfig
        Parameters of the dense CRF by name of the taxonomy; no iterations switch it off.
    shares : ShareConfig or None
        Training of a segmentation net. None trains a classifier, and the next fields are for a classifier only.
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
        For a classifier, `learning_rate` and `min_learning_rate` are the bounds of the cyclical rate. `crop_px` is the
        side that patches are resized to. None: `window_px`.

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
        "train.monitor": "loss",
        "train.augmentation.zoom": (1.0, 1.0),
        "train.augmentation.rotation_deg": 0.0,
        "train.augmentation.shear_deg": 0.0,
        "train.augmentation.affine_jitter": 0.0,
        "train.augmentation.elastic_px": 0.0,
        "train.augmentation.noise_elastic_px": (0.0, 0.0),
        "train.augmentation.contrast": (),
    }
    FIXED_OF_CLASSIFIER: ClassVar[dict[str, Any]] = {
        "train.warmup_steps": 0,
        "train.encoder_rate_factor": 1.0,
        "train.optimizer": "adam",
        "train.ema_momentum": 0.0,
        "train.betas": (0.9, 0.999),
        "train.weight_decay": 0.0,
        "train.accumulate_batches": 1,
        "train.precision": "float32",
        "train.augmentation.stain_gain": 0.0,
        "train.augmentation.stain_offset": 0.0,
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
    shares: ShareConfig | None = None
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
        if self.shares is None:
            self.check_unused(self.FIXED_OF_CLASSIFIER)
        same_length("classes", self.classes, "thresholds", self.thresholds)
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
    """Return the default of `hsn fit` for tags, for two processor cores: this project's numbers, tuned on GlaS.

    For a segmentation net on a pretrained encoder, whose learning rate is half of the decoder's. Its output is the
    segmentation: the dense CRF is off, because it did not improve validation scores.

    Examples
    --------
    >>> config = cpu()
    >>> config.shares.min_share, config.train.epochs
    (0.25, 10)
    """
    return Config(
        windows="overlapped",
        shares=ShareConfig(),
        train=TrainConfig(
            epochs=10,
            batch_size=8,
            learning_rate=1e-3,
            min_learning_rate=2e-5,
            warmup_steps=30,
            encoder_rate_factor=0.5,
            optimizer="adamw",
            weight_decay=1e-3,
            augmentation=Augmentation(
                flips=(False, True), color_gain=0.15, color_offset=15.0, stain_gain=0.3, stain_offset=0.05
            ),
        ),
    )


def cam():
    """Return the config of a classifier with Grad-CAM, the default of the first edition, with overlapped windows.

    Examples
    --------
    >>> cam().train.batch_size, cam().subtraction
    (16, 'order_free')
    """
    return Config(windows="overlapped")


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


PRESETS = {"cpu": cpu, "cam": cam, "histosegnet": histosegnet}


def preset(name):
    """Return the config with this name: "cpu", "cam" or "histosegnet".

    Examples
    --------
    >>> preset("cpu").windows
    'overlapped'
    """
    return preset_of(PRESETS, name)
