"""Config of learning from mixed annotation: every number with its unit.

The numbers of outlines are those of `masks`, those of clicks of `points` (Qu et al., IEEE TMI 2020); the others are
this project's, stated in the documentation of mixed annotation.
"""

from dataclasses import dataclass
from typing import NamedTuple

from ...config import (
    NUCLEI_AUGMENTATION,
    PRETRAINED,
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
from ...nets import segmenters
from ...records import NonNegative, Positive, Share
from ...taxonomies import NUCLEI, Taxonomy

BACKGROUND, INSIDE, CONTOUR = range(3)  # classes of the head of objects
OTHER = "Other"  # first class of the head of tissues
MAX_TISSUES = 20  # sets of classes are bits, and crops of labels are exact up to 2^24
_NUCLEI_MPP = 0.25
# Factors of the loss of absent and of present tags. With 1 and 0.2, tags beside masks of glands made the net worse
# (docs/results/mixed.md).
TAG_WEIGHTS = {"tags": 0.2, "present": 0.05}
MONITORS = {
    "pq": "-validation_pq",
    "f1": "-validation_f1",
    "iou": "-validation_iou",
    "auc": "-validation_auc",
    "loss": "validation_loss",
    "last": "-epoch",
}


class HeadSpec(NamedTuple):
    """A head of the net: its name, and its first and last + 1 channel of the output."""

    name: str
    start: int
    stop: int

    @property
    def channels(self):
        """Number of classes."""
        return self.stop - self.start


@dataclass(frozen=True)
class Config(BaseConfig):
    """Parameters of training from mixed annotation, and of segmentation.

    Attributes
    ----------
    classes : tuple of str
        The net's outputs: background, inside and contour of objects, if there are objects; then "Other" and the
        tissues, if there are tissues.
    taxonomies : tuple of Taxonomy
        Of the objects (two classes), if there are objects; then of the tissues.
    mpp, image_mpp : float
        Micrometers per pixel of the net's input, and the default for images.
    normalization : Normalization
    targets : ObjectTargets
        Contours and border weights of outlined objects.
    postprocess : PostProcess
    tiling : Tiling
    train : TrainConfig
        Its `monitor` is "auto", or one of "pq", "f1", "iou", "auc", "loss" and "last". "auto": the most precise measure
        that the validation images allow.
    tune_postprocess : bool
        Whether post-processing is tuned on completely outlined validation images.
    radius_um : float
        Mean radius of an object.
    mark_um : float
        Around a click, up to this distance, pixels are inside of the object.
    core_radii, click_radii : float
        Where not all objects are clicked, a click knows its object up to the first number of radii, and background up
        to the second.
    ring_um : float
        Width of the background around an outlined object outside of complete regions.
    stroke_um : float
        Width of strokes.
    absent_weight : float
        Weight of background in images without objects.
    weights : dict of str to float
        Factor of the loss of each kind of annotation; "present" is the pooled loss of tags.
    pool_rate : float
        Rate r of the pooling of tags, ``log(mean(exp(r p))) / r``.
    min_known_px : float
        The loss of a kind is divided by at least this number of known pixels of a batch.
    click_epochs : int
        Where not all objects of an image are clicked, a first stage of so many epochs, at most `train.epochs`, looks
        for the others; see `hsn.supervision.mixed.others`. Default: 0, no first stage, which was better on validation
        images in short trainings (docs/results/mixed.md).
    pseudo_start, pseudo_ramp : float
        Shares of the epochs before pseudo-labels of unknown pixels begin, and until they have their full weight.
    pseudo_threshold : float
        Smallest probability of a pseudo-label.

    Examples
    --------
    >>> config = preset("cpu")
    >>> Config.from_dict(config.to_dict()) == config
    True
    """

    METHOD = "mixed"

    classes: tuple[str, ...] = TERNARY
    taxonomies: tuple[Taxonomy, ...] = (NUCLEI,)
    mpp: Positive = _NUCLEI_MPP
    image_mpp: Positive = _NUCLEI_MPP
    normalization: Normalization = Normalization(**segmenters.pretrained_normalization("encoder-unet"))
    targets: ObjectTargets = ObjectTargets(border_weight=5.0, border_sigma_um=5 * _NUCLEI_MPP, contour_px=2)
    postprocess: PostProcess = PostProcess(
        separation="marker_watershed", grow_um=3 * _NUCLEI_MPP, min_area_um2=2.0, fill_holes=True
    )
    tiling: Tiling = Tiling(tile_px=1024, halo_px=64)
    train: TrainConfig = TrainConfig(
        epochs=40,
        batch_size=4,
        crop_px=256,
        learning_rate=2e-3,
        min_learning_rate=2e-5,
        monitor="auto",
        augmentation=NUCLEI_AUGMENTATION.replace(elastic_px=0.0),
    ).replace(**PRETRAINED)
    tune_postprocess: bool = True
    radius_um: Positive = 2.75
    mark_um: Positive = 0.5
    core_radii: Positive = 0.5
    click_radii: Positive = 2.0
    ring_um: Positive = 2.0
    stroke_um: Positive = 1.0
    absent_weight: NonNegative = 0.5
    weights: dict[str, float] | None = None
    pool_rate: Positive = 5.0
    min_known_px: Positive = 256.0
    click_epochs: int = 0
    pseudo_start: Share = 0.2
    pseudo_ramp: Share = 0.2
    pseudo_threshold: Share = 0.9

    def check(self):
        """Raise if outputs and taxonomies do not fit each other."""
        super().check()
        expected = [2] * self.has_objects + [len(self.tissues)] * bool(self.tissues)
        if not self.heads or [len(taxonomy) for taxonomy in self.taxonomies] != expected:
            raise InputError(
                "config-classes",
                "`taxonomies` must have two classes for objects, then the classes of the tissues",
                got=f"{self.classes} and {[taxonomy.names for taxonomy in self.taxonomies]}",
                hint="correct the config",
            )
        if len(self.tissues) > MAX_TISSUES:
            raise InputError("config-classes", f"`classes` must have at most {MAX_TISSUES} tissues",
                             got=len(self.tissues), hint="join some of them")  # fmt: skip
        if self.train.monitor not in ("auto", *MONITORS):
            raise InputError("monitor-unknown", f"`monitor` must be auto or one of {', '.join(MONITORS)}",
                             got=self.train.monitor, hint="leave it out")  # fmt: skip

    @property
    def has_objects(self):
        """Return whether the net has a head of objects."""
        return tuple(self.classes[:3]) == TERNARY

    @property
    def tissues(self):
        """Classes of the head of tissues; empty without one."""
        return tuple(self.classes[3:] if self.has_objects else self.classes)

    @property
    def heads(self):
        """The heads of the net, tuple of HeadSpec."""
        objects = (HeadSpec("objects", 0, len(TERNARY)),) if self.has_objects else ()
        start = len(TERNARY) if objects else 0
        tissue = (HeadSpec("tissue", start, len(self.classes)),) if self.tissues else ()
        return objects + tissue

    def head_of(self, taxonomy):
        """Return the head of a taxonomy, a HeadSpec."""
        return self.heads[0 if taxonomy.name == self.taxonomies[0].name else -1]

    @property
    def radius_px(self):
        """The mean radius of an object in pixels of the net."""
        return self.radius_um / self.mpp

    @property
    def object_class(self):
        """Name of the class of objects, or None."""
        return self.taxonomies[0].names[1] if self.has_objects else None

    def weight_of(self, kind):
        """Factor of the loss of a kind. Default: 1, for absent tags 0.2, for present ones 0.05: see `TAG_WEIGHTS`."""
        return (self.weights or {}).get(kind, TAG_WEIGHTS.get(kind, 1.0))


def cpu():
    """Return what a laptop can train: the numbers of `masks` and `points` for `encoder-unet`.

    Examples
    --------
    >>> [head.name for head in cpu().heads]
    ['objects']
    """
    return Config()


PRESETS = {"cpu": cpu}


def preset(name):
    """Return the config with this name: "cpu".

    Examples
    --------
    >>> preset("cpu").pseudo_threshold
    0.9
    """
    return preset_of(PRESETS, name)
