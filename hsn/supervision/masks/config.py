"""The config of learning from full masks: every number of the two published systems, with its unit and source.

One record serves both. `fullnet` gives the numbers of FullNet + varCE: three classes (background, inside, contour),
border weights, the variance term, parts grown back by what the contour took. `unet` gives those of the two U-Nets on
CryoNuSeg: one class, plain cross-entropy, a threshold. `small` is what this project trains on two processor cores.

Sources: Qu et al., MICCAI 2019, and its released code; C. Eichner, Histology-NucleiSeg, 2022.
"""

from dataclasses import dataclass, field

from ...config import BaseConfig
from ...errors import refuse
from ...losses.objects import TERNARY
from ...nets import fullnet as fullnet_net
from ...nets import unet as unet_net
from ...objects.labeling import SEPARATIONS
from ...stains.macenko import Macenko
from ...stains.normalizers import parse_normalizer
from ...stains.reinhard import Reinhard
from ...taxonomies import NUCLEI, Taxonomy
from .train_config import MONITORS, TrainConfig

GREY = 255.0  # the papers' normalization is of pixels over 255

# FullNet's numbers for nuclei are pixels at this scale; here they are micrometres.
_NUCLEI_MPP = 0.25


@dataclass(frozen=True)
class Config(BaseConfig):
    """What turns an image into objects, and how the net for it learns.

    Attributes
    ----------
    classes : tuple of str
        The net's outputs, in order: `TERNARY`, or one name for a net with one output.
    taxonomies : tuple of Taxonomy
        What can be segmented; of two classes, the second being the objects. The first is the default.
    mpp, image_mpp : float
        Micrometres per pixel of the net's input, and of images that come without their own.
    mean, std : tuple of 3 float
        Normalization of red, green and blue, for pixels 0..255.
    stain : Reinhard, Macenko or None
        The colours that whole images are brought to, at the net's scale, before it learns from them or sees them.
    shrink_px : int
        What every object loses all around before its contour is drawn, at the net's scale; FullNet's label files have
        lost it already, and `grow_um` gives it back.
    contour_px : int
        How far the contour reaches into what is left, at the net's scale; it reaches 1 px outside of it.
    border_weight, border_sigma_um : float
        Weight where the outlines of two objects meet, and width of the bump; a weight of 0 means none.
    variance : float
        Factor of the variance term; 0 means none.
    inside : float or None
        From which probability on a pixel is inside; None: where that is the likeliest class.
    separate : {"parts", "flood", "waists"}
        How touching objects are told apart. "parts": connected parts of the inside, grown. "flood": these are the
        markers of a watershed on the evidence, which stops where objects end or `grow_um` away. "waists": a
        watershed of the distance to the background, for a net with one output.
    grow_um : float
        How far parts are grown.
    meet : {"nearest", "larger"}
        Who has the pixels that two grown parts can reach; see `hsn.objects.contours.grow_objects`.
    waist_um : float
        Depth of a waist from which it parts what is connected, the inside where there is one; 0 leaves it whole.
    least_um2 : float
        Smaller objects are dropped; inside only, where it is grown afterwards.
    fill : bool
        Whether holes are closed.
    tile_px : int
        Side of what one forward pass decides, at the net's scale.
    margin_px : int or None
        What a tile sees around that; None is as far as the net looks, so that tiles cannot be told in the result.
    views : {1, 8}
        Symmetries of the square that are averaged.
    learning : TrainConfig

    Examples
    --------
    >>> config = fullnet()
    >>> Config.from_dict(config.as_dict()) == config
    True
    """

    KIND = "masks"
    LEARNING = TrainConfig

    classes: tuple[str, ...] = TERNARY
    taxonomies: tuple[Taxonomy, ...] = (NUCLEI,)
    mpp: float = _NUCLEI_MPP
    image_mpp: float = _NUCLEI_MPP
    mean: tuple[float, float, float] = tuple(GREY * m for m in fullnet_net.NUCLEI_MEAN)
    std: tuple[float, float, float] = tuple(GREY * s for s in fullnet_net.NUCLEI_STD)
    stain: Reinhard | Macenko | None = None
    shrink_px: int = 0
    contour_px: int = 1
    border_weight: float = 10.0
    border_sigma_um: float = 5 * _NUCLEI_MPP
    variance: float = 1.0
    inside: float | None = None
    separate: str = "parts"
    grow_um: float = 2 * _NUCLEI_MPP
    meet: str = "nearest"
    waist_um: float = 0.0
    least_um2: float = 20 * _NUCLEI_MPP**2
    fill: bool = False
    tile_px: int = 512
    margin_px: int | None = None
    views: int = 8
    learning: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self):
        ternary = tuple(self.classes) == TERNARY
        self._check_positive("mpp", "image_mpp", "tile_px", "border_sigma_um")
        self._check_normalization()
        if not ternary and len(self.classes) != 1:
            refuse("a net that learned from masks has outputs of one kind", expected=f"{TERNARY}, or one class",
                   received=self.classes, remedy="mend the config's `classes`")  # fmt: skip
        if self.separate not in SEPARATIONS or ternary == (self.separate == "waists"):
            refuse("objects cannot be told apart so", received=repr(self.separate),
                   expected="'parts' or 'flood' for a net that sees contours, 'waists' for one that does not",
                   remedy="mend the config's `separate`")  # fmt: skip
        self._check_choices(views=(self.views, (1, 8)), monitor=(self.learning.monitor, tuple(MONITORS)))
        if self.learning.choose and not ternary:
            refuse("there is nothing to choose for a net that does not see contours", expected="`choose` False",
                   received=True, remedy="mend the config's `learning`")  # fmt: skip
        if not isinstance(self.stain, Reinhard | Macenko | None):
            refuse("a config's `stain` is the colours that images are brought to", received=repr(self.stain),
                   expected="a record of hsn.stains, or None",
                   remedy="measure it with hsn.stains.normalizers.fit_normalizer")  # fmt: skip
        self._check_one_kind()

    @classmethod
    def _parsed(cls, data):
        return {"stain": parse_normalizer(data.get("stain"))}

    @property
    def ternary(self):
        """Whether the net sees contours."""
        return tuple(self.classes) == TERNARY


def fullnet():
    """FullNet + varCE on nuclei at 0.25 um/px, as published.

    For glands change `mpp`, `shrink_px` (2 at full size), `contour_px` (2), `border_sigma_um` (20 px at full size),
    `grow_um` (4 px), `least_um2` (100 px of the net), and take a constant rate of 5e-4 over 1000 epochs.

    Examples
    --------
    >>> fullnet().classes, fullnet().learning.crop_px
    (('background', 'inside', 'contour'), 208)
    """
    return Config(shrink_px=1, meet="larger")


def unet():
    """The U-Nets on CryoNuSeg at 0.25 um/px, as published: whole images of 512 x 512, a threshold, connected parts.

    Examples
    --------
    >>> unet().classes, unet().learning.epochs
    (('nucleus',), 75)
    """
    return Config(
        classes=("nucleus",),
        mean=tuple(GREY * m for m in unet_net.MEAN),
        std=tuple(GREY * s for s in unet_net.STD),
        border_weight=0.0,
        variance=0.0,
        inside=0.5,
        separate="waists",
        grow_um=0.0,
        least_um2=0.0,
        views=1,
        learning=TrainConfig(
            epochs=75,
            crop_px=512,
            rate=1e-4,
            lowest_rate=1e-4,
            momenta=(0.9, 0.999),
            weight_decay=0.0,
            zoom=(0.9, 1.1),
            flips=(True, True),
            turn_deg=45.0,
            shear_deg=15.0,
            skew=0.0,
            bend_px=0.0,
            ripple_px=(0.0, 40.0),
            contrasts=(0.5, 0.5),
            apart=0.2,
            monitor="loss",
        ),
    )


def small():
    """FullNet's targets and loss for a small U-Net, objects parted by a watershed, a short and steep training.

    These numbers are this project's: two processor cores train them in an hour or two. Take the scale, the channels'
    moments and the lengths of your own images.

    Examples
    --------
    >>> small().classes, small().learning.crop_px
    (('background', 'inside', 'contour'), 192)
    """
    return Config(
        border_weight=5.0,
        separate="flood",
        fill=True,
        margin_px=64,
        views=1,
        learning=TrainConfig(
            epochs=40,
            batch=4,
            crop_px=192,
            rate=2e-3,
            lowest_rate=2e-5,
            momenta=(0.9, 0.999),
            weight_decay=1e-5,
            flips=(True, True),
            turn_deg=180.0,
            skew=0.1,
            bend_px=4.0,
            bend_every_px=42.0,
            gain=0.15,
            offset=15.0,
            stain_gain=0.3,
            stain_offset=0.05,
            monitor="pq",
            choose=True,
        ),
    )
