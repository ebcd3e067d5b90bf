"""Settings that the configs of several methods share, and the reader of older configs.

Each method has one `Config`, a `hsn.records.Record`. It nests the records of this file: `Normalization`, `TrainConfig`
with `Augmentation`, `PostProcess`, `Tiling`, `ObjectTargets`.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from . import limits, taxonomies
from .checks import one_of
from .errors import InputError
from .records import (
    Bounds,
    Count,
    LengthUm,
    Mean,
    NonNegative,
    Positive,
    PositiveInt,
    Range,
    Record,
    Seed,
    Share,
    SidePx,
    Std,
    parse,
)
from .taxonomies import Taxonomy

FORMAT = 1  # of config.json; format 0 is the flat `recipe.json`


@dataclasses.dataclass(frozen=True)
class Normalization(Record):
    """Normalization of the input of a net.

    Attributes
    ----------
    mean, std : tuple of 3 float
        Red, green and blue, for pixels 0..255. The input of the net is ``(x - mean) / std``.
    stain : hsn.stains.reinhard.Reinhard, hsn.stains.macenko.Macenko or None
        Reference of stain normalization, which is applied to whole images first. Default: None.
    """

    mean: tuple[Mean, Mean, Mean]
    std: tuple[Std, Std, Std]
    stain: Any = None


@dataclasses.dataclass(frozen=True)
class Augmentation(Record):
    """Random changes of training crops. The defaults change nothing.

    Attributes
    ----------
    zoom : (float, float)
        Range of the magnification.
    flips : (bool, bool)
        Whether crops may be flipped top to bottom, and left to right.
    rotation_deg, shear_deg : float
        Largest rotation and shear, in both directions.
    affine_jitter : float
        Largest change of each entry of the affine matrix.
    elastic_px, elastic_spacing_px : float
        Elastic deformation by B-splines: standard deviation and spacing of the control points.
    noise_elastic_px, noise_elastic_sigma_px : (float, float)
        Elastic deformation by smoothed noise: ranges of its amplitude and of the sigma of the smoothing.
    color_gain, color_offset : float
        Each channel is multiplied by 1 +- gain, and +- offset gray levels are added.
    stain_gain, stain_offset : float
        The amounts of hematoxylin and eosin are multiplied by 1 +- gain, and +- offset is added.
    contrast : tuple of float
        Normalized pixels are multiplied by 1 +- c for every value c.
    channelwise_contrast : float
        Probability of drawing the last value of `contrast` for each channel separately.
    """

    zoom: tuple[Positive, Positive] = (1.0, 1.0)
    flips: tuple[bool, bool] = (False, False)
    rotation_deg: NonNegative = 0.0
    shear_deg: NonNegative = 0.0
    affine_jitter: NonNegative = 0.0
    elastic_px: NonNegative = 0.0
    elastic_spacing_px: Positive = 42.0
    noise_elastic_px: Range = (0.0, 0.0)
    noise_elastic_sigma_px: Range = (4.0, 8.0)
    color_gain: NonNegative = 0.0
    color_offset: NonNegative = 0.0
    stain_gain: NonNegative = 0.0
    stain_offset: NonNegative = 0.0
    contrast: tuple[NonNegative, ...] = ()
    channelwise_contrast: Share = 0.0


# Augmentation of the presets "cpu" of nets that segment nuclei.
NUCLEI_AUGMENTATION = Augmentation(
    zoom=(0.8, 1.25),
    flips=(True, True),
    rotation_deg=180.0,
    affine_jitter=0.1,
    elastic_px=4.0,
    color_gain=0.15,
    color_offset=15.0,
    stain_gain=0.3,
    stain_offset=0.05,
)


@dataclasses.dataclass(frozen=True)
class TrainConfig(Record):
    """Settings of the training of a net.

    Attributes
    ----------
    epochs : int
        Number of epochs.
    steps : int
        Batches per epoch; 0 derives the number from the images.
    batch_size : int
        Crops or patches per batch.
    crop_px : int or None
        Side of the training crops in pixels, at the net's scale; None uses whole patches.
    learning_rate, min_learning_rate : float
        Bounds of the schedule. Equal bounds give a constant learning rate.
    warmup_steps : int
        Steps over which the learning rate rises from 0. Default: 0.
    encoder_rate_factor : float
        With "adamw": learning rate of the pretrained encoder, as a share of that of the other layers. Default: 1.
    optimizer : {"adam", "adamw"}
        Default: "adam".
    betas : (float, float)
        Decay rates of Adam.
    weight_decay : float
        With "adam", factor of the L2 penalty, half of the sum of the squared weights. With "adamw", decoupled decay.
    ema_momentum : float
        Momentum of the moving average of the weights; validation and the kept net use the average. Default: 0, no
        average.
    accumulate_batches : int
        Number of batches over which gradients are averaged.
    precision : {"float32", "mixed_float16", "mixed_bfloat16"}
        Compute precision during training.
    validation : float or tuple of int
        Fraction of the images for validation, drawn at random; or indices of images.
    monitor : str
        Validation score that selects the best epoch.
    seed : int
        Seed of order, crops, augmentation and dropout.
    augmentation : Augmentation
    """

    epochs: PositiveInt = 40
    steps: Count = 0
    batch_size: PositiveInt = 4
    crop_px: SidePx | None = None
    learning_rate: Positive = 1e-3
    min_learning_rate: NonNegative = 1e-3
    warmup_steps: Count = 0
    encoder_rate_factor: Positive = 1.0
    optimizer: Literal["adam", "adamw"] = "adam"
    betas: tuple[Share, Share] = (0.9, 0.999)
    weight_decay: NonNegative = 0.0
    ema_momentum: Share = 0.0
    accumulate_batches: PositiveInt = 1
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    validation: float | tuple[int, ...] = 0.2
    monitor: str = "loss"
    seed: Seed = 0
    augmentation: Augmentation = Augmentation()


# Changes of a `TrainConfig` for a net whose encoder was pretrained: this project's numbers.
PRETRAINED = {
    "warmup_steps": 100,
    "encoder_rate_factor": 0.5,
    "optimizer": "adamw",
    "betas": (0.9, 0.999),
    "weight_decay": 1e-4,
    "ema_momentum": 0.995,
}


@dataclasses.dataclass(frozen=True)
class PostProcess(Record):
    """Post-processing: from probabilities to objects.

    Attributes
    ----------
    foreground_threshold : float or None
        A pixel is foreground above this probability. None uses the most probable class.
    separation : {"components", "marker_watershed", "distance_watershed"}
        Method that separates touching objects. "components": connected components, grown by `grow_um`.
        "marker_watershed": a watershed on the probabilities with components as markers, limited to `grow_um`.
        "distance_watershed": a watershed on the distance to the background.
    grow_um : float
        Growth of components in micrometers.
    overlap : {"nearest", "larger"}
        Owner of pixels that two growing components reach; see `hsn.objects.contours.grow_objects`.
    h_um : float
        Height of the h-maxima of the distance transform, in micrometers; 0 does not split objects.
    min_area_um2 : float
        Smallest area of an object before it grows, in square micrometers.
    fill_holes : bool
        Whether to fill holes of objects.
    """

    foreground_threshold: Share | None = None
    separation: Literal["components", "marker_watershed", "distance_watershed"] = "components"
    grow_um: LengthUm = 0.0
    overlap: Literal["nearest", "larger"] = "nearest"
    h_um: LengthUm = 0.0
    min_area_um2: NonNegative = 0.0
    fill_holes: bool = False


@dataclasses.dataclass(frozen=True)
class Tiling(Record):
    """Tiling of an image for prediction.

    Attributes
    ----------
    tile_px : int
        Side of a tile in pixels, at the net's scale.
    halo_px : int or None
        Width of the margin around a tile. None derives it from the net's receptive field: the result then does not
        depend on the tiling.
    tta : {1, 8}
        Test-time augmentation: number of symmetries of the square to average.
    """

    tile_px: SidePx = 512
    halo_px: Annotated[int, Bounds(0, limits.HALO_PX)] | None = None
    tta: Literal[1, 8] = 1


@dataclasses.dataclass(frozen=True)
class ObjectTargets(Record):
    """Training targets and weights made from outlined objects.

    Attributes
    ----------
    shrink_px : int
        Width by which objects shrink before their contour is drawn, in pixels at the net's scale.
    contour_px : int
        Width of the contour inside of objects, in pixels at the net's scale. Its outer width is 1.
    border_weight, border_sigma_um : float
        Height and width of the additional weight between close objects.
    variance_weight : float
        Factor of the variance term of the loss.
    """

    shrink_px: Count = 0
    contour_px: Count = 1
    border_weight: NonNegative = 10.0
    border_sigma_um: Positive = 1.25
    variance_weight: NonNegative = 1.0


class BaseConfig(Record):
    """Base class of the configs of all methods.

    Class attributes: `METHOD` is the name of the method. `LENGTHS` names the fields that extend a run. `FIXED` gives
    the required value of fields that the method does not use. `FORMAT0` is a table for `migrate`.
    """

    METHOD: ClassVar[str]
    LENGTHS: ClassVar[tuple[str, ...]] = ("train.epochs",)
    FIXED: ClassVar[dict[str, Any]] = {}
    FORMAT0: ClassVar[dict[str, Any]] = {}

    taxonomies: tuple[Taxonomy, ...]

    def check(self) -> None:
        """Raise if a field that the method does not use has another value than in `FIXED`."""
        self.check_unused(self.FIXED)

    def check_unused(self, table: Mapping[str, Any]) -> None:
        """Raise unless each field has the value that the table requires."""
        for path, required in table.items():
            value: Any = self
            for name in path.split("."):
                value = getattr(value, name)
            if value != required:
                raise InputError(
                    "config-unused",
                    f"`{path}` must be {required!r}, because {self.METHOD} does not use it",
                    got=repr(value),
                    hint="leave it out",
                )

    def taxonomy(self, name: str | Taxonomy | None = None) -> Taxonomy:
        """Return the taxonomy with this name, or one of a file if the net has an output for each of its classes.

        Default: the first.
        """
        if isinstance(name, Taxonomy) or (name is not None and taxonomies.is_file_name(name)):
            return self.replace(taxonomies=(taxonomies.get(name),)).taxonomies[0]
        for taxonomy in self.taxonomies:
            if name in (None, taxonomy.name):
                return taxonomy
        one_of("taxonomy", name, [taxonomy.name for taxonomy in self.taxonomies])
        raise AssertionError

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `config.json`."""
        return {"format": FORMAT, "method": self.METHOD, **super().to_dict()}

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Build a config from the content of a `config.json` of this or an older format.

        Raises
        ------
        InputError
            "config-format" for a newer format, "config-method" for another method, or the code of a failed check.
        """
        if not isinstance(data, Mapping) or "taxonomies" not in data:
            raise InputError(
                "config-type",
                f"a config of {cls.METHOD} must be a table with `taxonomies`",
                got=f"{type(data).__name__} {list(data) if isinstance(data, Mapping) else ''}".strip(),
                hint="take config.json from a trained folder, unchanged",
            )
        version = data.get("format", 0)
        if version not in (0, FORMAT) or isinstance(version, bool):
            raise InputError(
                "config-format", f"`format` must be at most {FORMAT}", got=version, hint="install a newer hsn"
            )
        if version == 0:
            data = cls.upgrade(data)
        if data.get("method", cls.METHOD) != cls.METHOD:
            raise InputError(
                "config-method",
                f"`method` must be {cls.METHOD!r}",
                got=data["method"],
                hint="use that method",
            )
        return parse(cls, cls.prepare({k: v for k, v in data.items() if k not in ("format", "method")}))

    @classmethod
    def upgrade(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """Convert data of format 0 to the current fields."""
        return migrate(data, cls.FORMAT0)

    @classmethod
    def prepare(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Parse the values that need code of the method; return the data."""
        return data

    def check_two_classes(self) -> None:
        """Raise unless each taxonomy has two classes: background and one kind of object."""
        for taxonomy in self.taxonomies:
            if len(taxonomy) != 2:
                raise InputError(
                    "taxonomy-classes",
                    f"a taxonomy of {self.METHOD} must have two classes",
                    got=f"{len(taxonomy)} in {taxonomy.name}",
                    hint="train one net for each kind of object",
                )


def preset_of(presets: Mapping[str, Callable[[], Any]], name: str) -> Any:
    """Return the preset with this name.

    Raises
    ------
    InputError
        "preset-unknown".
    """
    one_of("preset", name, presets)
    return presets[name]()


# Format 0: old name -> new name. Other names are unchanged; `learning` is now `train`.
_AUGMENT0 = {
    "zoom": "zoom",
    "flips": "flips",
    "turn_deg": "rotation_deg",
    "shear_deg": "shear_deg",
    "skew": "affine_jitter",
    "bend_px": "elastic_px",
    "bend_every_px": "elastic_spacing_px",
    "ripple_px": "noise_elastic_px",
    "ripple_sigma_px": "noise_elastic_sigma_px",
    "gain": "color_gain",
    "offset": "color_offset",
    "stain_gain": "stain_gain",
    "stain_offset": "stain_offset",
    "contrasts": "contrast",
    "apart": "channelwise_contrast",
}
_FORMAT0 = {
    "mean": "normalization.mean",
    "std": "normalization.std",
    "stain": "normalization.stain",
    "shrink_px": "targets.shrink_px",
    "contour_px": "targets.contour_px",
    "border_weight": "targets.border_weight",
    "border_sigma_um": "targets.border_sigma_um",
    "variance": "targets.variance_weight",
    "inside": "postprocess.foreground_threshold",
    "separate": "postprocess.separation",
    "grow_um": "postprocess.grow_um",
    "meet": "postprocess.overlap",
    "waist_um": "postprocess.h_um",
    "least_um2": "postprocess.min_area_um2",
    "fill": "postprocess.fill_holes",
    "tile_px": "tiling.tile_px",
    "margin_px": "tiling.halo_px",
    "views": "tiling.tta",
    "learning.batch": "train.batch_size",
    "learning.rate": "train.learning_rate",
    "learning.lowest_rate": "train.min_learning_rate",
    "learning.momenta": "train.betas",
    "learning.accumulate": "train.accumulate_batches",
    **{f"learning.{old}": f"train.augmentation.{new}" for old, new in _AUGMENT0.items()},
}
_VALUES0 = {
    "postprocess.separation": {
        "parts": "components",
        "flood": "marker_watershed",
        "waists": "distance_watershed",
    },
}


def migrate(data: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """Rename and nest the fields of format 0; values are unchanged.

    Parameters
    ----------
    data : dict
        Content of a `recipe.json`.
    table : dict
        Fields of one method: old name -> new name, or -> (new name, function of the value).

    Examples
    --------
    >>> migrate({"mpp": 0.5, "inside": 0.3, "learning": {"rate": 1e-3, "seed": 2}}, {})
    {'mpp': 0.5, 'postprocess': {'foreground_threshold': 0.3}, 'train': {'learning_rate': 0.001, 'seed': 2}}
    """
    learning = data.get("learning", {})
    if not isinstance(learning, Mapping):
        raise InputError(
            "config-type", "`learning` must be a table", got=repr(learning), hint="correct the config"
        )
    flat = {name: value for name, value in data.items() if name != "learning"}
    flat |= {f"learning.{name}": value for name, value in learning.items()}
    nested: dict[str, Any] = {}
    for old, value in flat.items():
        target = {**_FORMAT0, **table}.get(old, old.replace("learning.", "train."))
        path, convert = target if isinstance(target, tuple) else (target, None)
        value = convert(value) if convert else value
        values = _VALUES0.get(path, {})
        *parents, name = path.split(".")
        inner = nested
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[name] = values.get(value, value) if isinstance(value, str) else value
    return nested
