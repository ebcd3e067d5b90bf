"""The config of learning from clicks on some nuclei: every number of the published system, with its unit and source.

Lengths are micrometres, so that one config serves every scale; the paper's are pixels at 0.25 um/px.

Source: Qu et al., Weakly supervised deep nuclei segmentation using partial points annotation, IEEE TMI 2020, and its
released code; the numbers are those for many organs.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from ...config import BaseConfig
from ...errors import refuse
from ...instances import renumber
from ...nets import fullnet as fullnet_net
from ...taxonomies import NUCLEI, Taxonomy
from .train_config import RIMS, STARTS, TrainConfig

GREY = 255.0  # the paper's normalization is of pixels over 255
PUBLISHED_RADIUS_UM = 2.75  # mean nuclear radius of many organs: 11 px at 0.25 um/px
PEAKS = ("parts", "maxima")
GRADIENTS = ("exact", "released")


@dataclass(frozen=True)
class Config(BaseConfig):
    """What turns clicks into nets, and an image into nuclei.

    Attributes
    ----------
    classes : (str, str)
        The two outputs of the segmenter.
    taxonomies : tuple of Taxonomy
        What can be segmented; of two classes, the second being the nuclei. The first is the default.
    mpp, image_mpp : float
        Micrometres per pixel of the nets' input, and of images that come without their own.
    mean, std : tuple of 3 float
        Normalization of red, green and blue, for pixels 0..255.
    radius_um : float
        r1, the mean radius of a nucleus: of how far away a found point is a hit, and two points are one nucleus.
    ring : float
        Around a click, up to this many radii, no other nucleus is expected: background, beyond the bump.
    sharpness : float
        Radii over the sigma of the bump on a click.
    cut : float
        Where the bump is lower than this it is 0.
    click_weight : float
        Weight of a pixel on a bump; of background it is 1.
    likely : float or None
        From which probability on a pixel belongs to a detected nucleus. None: each round chooses what answers best to
        clicks; a net that learned for a short time is less sure than the published one, and each round is less sure
        than the one before.
    peaks : {"parts", "maxima"}
        What a found point is: the middle of a connected part of what is likely; or each local maximum of it, which
        tells nuclei apart whose bumps touch.
    least_peak_um2, most_peak_um2 : float
        Parts of another area are no nuclei.
    bright, empty : float
        Background of the next round is where the probability is below `empty`, and in parts above `bright` that are
        too large for a nucleus.
    crf : float
        Factor of the CRF loss.
    crf_um, crf_rgb : float
        Its spreads, in place and in colours 0..1.
    crf_gradient : {"exact", "released"}
        See `hsn.losses.crf`; the released one is about twice as steep.
    waist_um : float
        Depth of a waist from which it parts what is connected; 0 leaves it whole, as published.
    least_um2 : float
        Smaller objects are dropped.
    tile_px, margin_px : int
        Side of what one forward pass decides, and what it sees around that, at the nets' scale.
    views : {1, 8}
        Symmetries of the square that are averaged.
    learning : TrainConfig

    Examples
    --------
    >>> config = published()
    >>> Config.from_dict(config.as_dict()) == config, config.radius_px
    (True, 11.0)
    """

    KIND = "points"
    LEARNING = TrainConfig

    classes: tuple[str, str] = ("background", "nucleus")
    taxonomies: tuple[Taxonomy, ...] = (NUCLEI,)
    mpp: float = 0.25
    image_mpp: float = 0.25
    mean: tuple[float, float, float] = tuple(GREY * m for m in fullnet_net.NUCLEI_MEAN)
    std: tuple[float, float, float] = tuple(GREY * s for s in fullnet_net.NUCLEI_STD)
    radius_um: float = PUBLISHED_RADIUS_UM
    ring: float = 2.0
    sharpness: float = 4.0
    cut: float = 0.05
    click_weight: float = 10.0
    likely: float | None = 0.35
    peaks: str = "parts"
    least_peak_um2: float = 12 * 0.25**2
    most_peak_um2: float = 200 * 0.25**2
    bright: float = 0.7
    empty: float = 0.1
    crf: float = 0.005
    crf_um: float = 9 * 0.25
    crf_rgb: float = 0.1
    crf_gradient: str = "released"
    waist_um: float = 0.0
    least_um2: float = 20 * 0.25**2
    tile_px: int = 224
    margin_px: int = 64
    views: int = 1
    learning: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self):
        self._check_positive(
            "mpp", "image_mpp", "radius_um", "ring", "sharpness", "tile_px", "crf_um", "crf_rgb"
        )
        self._check_normalization()
        self._check_choices(
            peaks=(self.peaks, PEAKS),
            views=(self.views, (1, 8)),
            crf_gradient=(self.crf_gradient, GRADIENTS),
            start=(self.learning.start, STARTS),
            rim=(self.learning.rim, RIMS),
        )
        if len(self.classes) != 2 or any(len(taxonomy) != 2 for taxonomy in self.taxonomies):
            refuse("clicks are on one kind of object, beside everything else", expected="two classes",
                   received=f"{len(self.classes)} outputs, {', '.join(t.name for t in self.taxonomies)}",
                   remedy="train a net per kind of object")  # fmt: skip

    @property
    def radius_px(self):
        """The mean radius of a nucleus in pixels of the nets."""
        return self.radius_um / self.mpp

    def for_radius(self, radius_um):
        """A copy for nuclei of another size: lengths change alike, areas with their square.

        Examples
        --------
        >>> published().for_radius(5.5).most_peak_um2
        50.0
        """
        factor = radius_um / self.radius_um
        areas = {name: getattr(self, name) * factor**2
                 for name in ("least_peak_um2", "most_peak_um2", "least_um2")}  # fmt: skip
        return self.changed(radius_um=radius_um, **areas)


def published():
    """Nuclei of many organs at 0.25 um/px, as published; for a ResUNet-34 whose encoder knows ImageNet, and a GPU.

    Examples
    --------
    >>> published().learning.rounds, published().learning.crop_px
    (3, 224)
    """
    return Config()


def quick(mpp=0.5):
    """What two processor cores can train: half the resolution, a higher rate, fewer epochs and rounds.

    Made for a ResUNet-18 of width 16, from random weights. So that little training is not lost, rounds go on where the
    last one ended; each chooses its threshold, and nuclei are parted at waists (docs/points.md has what was measured).

    Parameters
    ----------
    mpp : float
        Micrometres per pixel of the nets.

    Examples
    --------
    >>> quick().radius_px
    5.5
    """
    # A pixel has fewer neighbours within the same micrometres, and the CRF's loss sums over them.
    config = Config(
        mpp=mpp, likely=None, crf=0.005 * (mpp / 0.25) ** 2, waist_um=0.3, tile_px=512, margin_px=32
    )
    learning = replace(
        config.learning,
        rounds=2,
        start="onward",
        detection_epochs=30,
        segmentation_epochs=50,
        refinement_epochs=8,
        detection_batch=8,
        steps=24,
        crop_px=192,
        rate=2e-3,
        lowest_rate=2e-5,
        momenta=(0.9, 0.999),
        weight_decay=1e-5,
        turn_deg=180.0,
        skew=0.1,
        bend_px=4.0,
        bend_every_px=42.0,
        gain=0.15,
        offset=15.0,
        stain_gain=0.3,
        stain_offset=0.05,
    )
    return config.changed(learning=learning)


def radius_of(instances, *, mpp):
    """The mean radius of the objects of label images, in um: that of the disk of their mean area.

    Parameters
    ----------
    instances : int array (H, W), or a sequence of them
        0 background; any positive ids.
    mpp : float
        Micrometres per pixel.

    Examples
    --------
    >>> round(radius_of(np.ones((10, 10), int), mpp=0.5), 2)
    2.82
    """
    several = [instances] if np.ndim(instances[0]) == 1 else instances
    numbered = [renumber(each)[0] for each in several]
    count = sum(int(each.max(initial=0)) for each in numbered)
    if not count:
        refuse("no radius can be taken from no objects", expected="label images with objects", received="none",
               remedy="give the radius in micrometres")  # fmt: skip
    return float(mpp * np.sqrt(sum((each > 0).sum() for each in numbered) / count / np.pi))
