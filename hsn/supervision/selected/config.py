"""The config of learning from full masks of a few chosen patches: every number, with its unit and source.

`published` gives the numbers of the system as its authors ran it, as far as they are a net's; `quick` is what this
project trains on two processor cores, with a small U-Net in the place of Mask R-CNN.

Source: Lou et al., IEEE TMI 2022, "Which pixel to annotate: a label-efficient nuclei segmentation framework", and its
released code.
"""

from dataclasses import dataclass, field

from ...config import BaseConfig
from ...errors import refuse
from ...extras.maskrcnn import PAPER, Numbers
from ...extras.singan.presets import PRESETS, Preset
from ...losses.objects import TERNARY
from ...nets import fullnet as fullnet_net
from ...objects.labeling import SEPARATIONS
from ...taxonomies import NUCLEI, Taxonomy
from ...training.object_training import MONITORS, TrainConfig

GREY = 255.0  # FullNet's normalization is of pixels over 255
STARTS = ("anew", "onward")


@dataclass(frozen=True)
class Config(BaseConfig):
    """What turns a few annotated patches, and images that nobody annotated, into a net.

    Attributes
    ----------
    classes : tuple of str
        The net's classes, in order: background, inside, contour; with a `detector`, background and its objects.
    taxonomies : tuple of Taxonomy
        What can be segmented; of two classes, the second being the objects. The first is the default.
    mpp, image_mpp : float
        Micrometres per pixel of the net's input, and of images that come without their own.
    mean, std : tuple of 3 float
        Normalization of red, green and blue, for pixels 0..255.
    detector : hsn.extras.maskrcnn.Numbers or None
        Of a Mask R-CNN, but for its normalization; None for a net that sees insides and contours. Then what follows,
        to `views`, says what it learns and how its objects are told; see `hsn.supervision.masks.Config`.
    contour_px, border_weight, border_sigma_um, variance
        Of its targets and its loss.
    inside, separate, grow_um, waist_um, least_um2, fill
        Of how its objects are told.
    tile_px, margin_px, views
        Of how it looks at an image.
    synthetic : int
        Pairs that are painted of each annotated patch; 0 paints none.
    preset : {"quick", "paper"} or Preset
        How large a synthesis is; see `hsn.extras.singan.presets`.
    max_overlap : float
        Part of a painted nucleus that may lie under others.
    rounds : int
        How often a net learns also from what the one before saw in images that nobody annotated.
    start : {"anew", "onward"}
        Where a round begins: at the weights of the net that was given, as published, or where the one before ended.
    least_score : float
        Score from which an object is believed: of a detector its own, of other nets the mean of their evidence inside.
    least_believed_um2, most_believed_um2 : float, float or None
        Area of a believed object; None is no limit.
    real_share : float or None
        Share of the crops that show annotated patches; synthetic pairs and pseudo-labelled images share the rest. None
        draws each image as often as any other.
    learning : hsn.training.object_training.TrainConfig
        Of each round; its `validation` is a share of the annotated images, or indices of some.

    Examples
    --------
    >>> config = quick()
    >>> Config.from_dict(config.as_dict()) == config
    True
    """

    KIND = "selected"
    LEARNING = TrainConfig

    classes: tuple[str, ...] = TERNARY
    taxonomies: tuple[Taxonomy, ...] = (NUCLEI,)
    mpp: float = 0.25
    image_mpp: float = 0.25
    mean: tuple[float, float, float] = tuple(GREY * m for m in fullnet_net.NUCLEI_MEAN)
    std: tuple[float, float, float] = tuple(GREY * s for s in fullnet_net.NUCLEI_STD)
    detector: Numbers | None = None
    contour_px: int = 1
    border_weight: float = 5.0
    border_sigma_um: float = 5 * 0.25
    variance: float = 1.0
    inside: float | None = None
    separate: str = "flood"
    grow_um: float = 2 * 0.25
    waist_um: float = 0.0
    least_um2: float = 20 * 0.25**2
    fill: bool = True
    tile_px: int = 512
    margin_px: int | None = 64
    views: int = 1
    synthetic: int = 50
    preset: str | Preset = "quick"
    max_overlap: float = 0.1
    rounds: int = 1
    start: str = "anew"
    least_score: float = 0.65
    least_believed_um2: float = 10.0
    most_believed_um2: float | None = 400.0
    real_share: float | None = 0.5
    learning: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self):
        self._check_positive("mpp", "image_mpp", "tile_px", "border_sigma_um")
        self._check_normalization()
        wanted = len(TERNARY) if self.detector is None else self.detector.classes
        if len(self.classes) != wanted or not isinstance(self.detector, Numbers | None):
            refuse("a config's classes are those of its net", received=f"{self.classes}",
                   expected=f"{wanted} names", remedy="mend the config's `classes`")  # fmt: skip
        self._check_choices(
            separate=(self.separate, SEPARATIONS[:2]),
            views=(self.views, (1, 8)),
            preset=("a Preset" if isinstance(self.preset, Preset) else self.preset, ("a Preset", *PRESETS)),
            start=(self.start, STARTS),
            monitor=(self.learning.monitor, tuple(MONITORS)),
        )
        self._check_one_kind()
        self._check_shares()

    def _check_shares(self):
        shares = (self.least_score, self.max_overlap, 1.0 if self.real_share is None else self.real_share)
        if min(self.synthetic, self.rounds) < 0 or min(shares) < 0 or max(shares) > 1 or self.real_share == 0:
            refuse("a config's counts and shares are out of range", remedy="mend the config",
                   expected="`synthetic` and `rounds` from 0, `real_share` above 0, shares and scores up to 1",
                   received=f"{self.synthetic}, {self.rounds}, {shares}")  # fmt: skip

    @classmethod
    def _parsed(cls, data):
        detector, preset = data.get("detector"), data.get("preset", "quick")
        return {
            "detector": None if detector is None else Numbers(**_in_tuples(detector)),
            "preset": preset if isinstance(preset, str) else Preset(**_in_tuples(preset)),
        }


def _in_tuples(data):
    """JSON has lists where these records have tuples, some of tuples."""

    def of(value):
        return tuple(map(of, value)) if isinstance(value, list | tuple) else value

    return {name: of(value) for name, value in data.items()}


def published():
    """Mask R-CNN as published, 50 synthetic pairs a patch by the full CSinGAN, one round; for a GPU, and days.

    Not as published: Adam learns, not plain SGD at 0.005, and at a rate that is used with it; what annotators gave is
    validated on as well.

    Examples
    --------
    >>> published().detector.detections, published().learning.crop_px
    (1000, 256)
    """
    return Config(
        classes=("background", "nucleus"),
        mean=PAPER.mean,
        std=PAPER.std,
        detector=PAPER,
        preset="paper",
        least_score=0.5,
        least_believed_um2=0.0,
        most_believed_um2=None,
        real_share=None,
        learning=TrainConfig(
            epochs=250,
            steps=20,
            batch=6,
            crop_px=256,
            rate=1e-4,
            lowest_rate=1e-4,
            weight_decay=0.0,
            zoom=(1.0, 1.0),
            flips=(False, False),
            turn_deg=0.0,
            gain=0.0,
            offset=0.0,
        ),
    )


def quick():
    """What two processor cores can train: a small U-Net, a quick synthesis, one round of pseudo-labels.

    The numbers are those of `hsn.supervision.masks.small`, where both have them. Take the scale, the channels' moments
    and the lengths of your own images, and crops no larger than your patches.

    Examples
    --------
    >>> quick().rounds, quick().learning.crop_px
    (1, 192)
    """
    return Config(
        learning=TrainConfig(
            epochs=30,
            steps=50,
            batch=4,
            crop_px=192,
            rate=2e-3,
            lowest_rate=2e-5,
            skew=0.1,
            bend_px=4.0,
            bend_every_px=42.0,
            stain_gain=0.3,
            stain_offset=0.05,
        ),
    )
