"""The config of learning from tags: every number of HistoSegNet's pipeline, with its unit and source.

A config is a value. It travels with the weights as `config.json`, and whoever has both can repeat what was done.
"""

from dataclasses import dataclass, field

from ... import taxonomies
from ...config import BaseConfig
from ...errors import refuse


@dataclass(frozen=True)
class Refinement:
    """Dense-CRF numbers: (sigma px, weight), (sigma px, sigma grey levels, weight), mean-field steps.

    `mpp` is the scale at which the pixels are meant, in um/px: finer images are adjusted and refined at it. None
    means the image's own scale. The defaults are the release's for ADP's functional types and GlaS.
    """

    gaussian: tuple[float, float] = (3, 40)
    bilateral: tuple[float, float, float] = (10, 4, 25)
    iterations: int = 5
    mpp: float | None = None


@dataclass(frozen=True)
class TrainConfig:
    """How a patch classifier is trained; HistoSegNet's successor study and the classifier code of ADP.

    Attributes
    ----------
    epochs, batch : int
    lowest_rate, highest_rate : float
        Bounds of the triangular cyclical learning rate.
    half_cycle : int
        Epochs from the lowest rate to the highest.
    halve_every : int
        Epochs after which both bounds are halved.
    momentum : float
        Of stochastic gradient descent, Nesterov's.
    flips, quarter_turns : bool
        Augmentation: tissue has no upright.
    gain, offset : float
        Augmentation of colour: each channel is multiplied by 1 +- gain and shifted by +- offset grey levels.
    shift_px : int
        Augmentation: shift, the border mirrored.
    patch_px : int or None
        Side that patches are resized to; None is the config's `window_px`.
    cell_px, cell_stride_px : int or None
        Side of the cells where each patch comes with a grid of tags, and from one cell to the next.
    validation : float or tuple of int
        Share of the patches to validate on, drawn by the seed, or their indices.
    seed : int
    """

    epochs: int = 80
    batch: int = 16
    lowest_rate: float = 1e-3
    highest_rate: float = 2e-2
    half_cycle: int = 5
    halve_every: int = 20
    momentum: float = 0.9
    flips: bool = True
    quarter_turns: bool = True
    gain: float = 0.1
    offset: float = 15.0
    shift_px: int = 0
    patch_px: int | None = None
    cell_px: int | None = None
    cell_stride_px: int | None = None
    validation: float | tuple[int, ...] = 0.2
    seed: int = 0


@dataclass(frozen=True)
class Config(BaseConfig):
    """What turns an image into a segmentation, and how the net for it learns.

    Attributes
    ----------
    classes : tuple of str
        The net's outputs, in order.
    thresholds : tuple of float
        From which score each class counts as present.
    taxonomies : tuple of Taxonomy
        What can be segmented; the first is the default.
    mpp, image_mpp : float
        Micrometres per pixel of the net's input, and of images that come without their own.
    window_px : int
        Side of the net's input.
    mean, std : float
        Normalization, for pixels 0..255.
    features, logits : str or None
        Layers for Grad-CAM; None for a segmentation net.
    cam_norm : {"per_class", "per_image"}
    subtraction : {"order_free", "sequential"}
    windows : {"cover", "overlapped"}
        The fewest windows, stitched before the classes compete; or windows overlapping by a quarter, each
        adjusted alone and averaged with its neighbours.
    views : {1, 8}
        How many symmetries of the square the net looks at an image in; evidence is their mean. Eight need
        ``windows="cover"``.
    refinement : dict
        Dense-CRF numbers per taxonomy name.
    learning : TrainConfig

    Examples
    --------
    >>> config = Config(classes=("G.O",), thresholds=(0.5,), taxonomies=(taxonomies.GLAS,))
    >>> Config.from_dict(config.as_dict()) == config
    True
    """

    KIND = "tags"
    LEARNING = TrainConfig

    classes: tuple[str, ...]
    thresholds: tuple[float, ...]
    taxonomies: tuple[taxonomies.Taxonomy, ...]
    mpp: float = 0.25 * 1088 / 224  # um/px: ADP patches of 1088 px at 0.25 um/px, shrunk to 224 px
    image_mpp: float = 0.25 * 1088 / 224
    window_px: int = 224
    mean: float = 193.09203  # of ADP's training patches
    std: float = 56.450138 + 1e-7
    features: str | None = "activation_7"
    logits: str | None = "dense_1"
    cam_norm: str = "per_class"
    subtraction: str = "order_free"
    windows: str = "cover"
    views: int = 1
    refinement: dict[str, Refinement] = field(default_factory=dict)
    learning: TrainConfig = TrainConfig()

    def __post_init__(self):
        if len(self.classes) != len(self.thresholds):
            refuse("a config needs a threshold per class", expected=f"{len(self.classes)} thresholds",
                   received=len(self.thresholds), remedy="give one per output of the net")  # fmt: skip
        refined = {f"refinement of {n} mpp": r.mpp for n, r in self.refinement.items() if r.mpp is not None}
        self._check_positive("mpp", "image_mpp", "window_px", "std", **refined)
        if self.windows not in ("cover", "overlapped"):
            refuse("this way to lay windows does not exist", expected="'cover' or 'overlapped'",
                   received=repr(self.windows), remedy="mend config.json")  # fmt: skip
        if self.views not in (1, 8) or (self.views == 8 and self.windows != "cover"):
            refuse("this number of views does not exist", expected="1, or 8 with windows 'cover'",
                   received=f"{self.views!r} with windows {self.windows!r}", remedy="mend config.json")  # fmt: skip
        for taxonomy in self.taxonomies:
            unseen = [n for n in taxonomy.names if n not in self.classes and n not in taxonomy.inferred]
            if unseen:
                refuse(f"the net has no output for some classes of taxonomy '{taxonomy.name}'",
                       expected=f"an output or a rule for {', '.join(taxonomy.names)}", received=f"none for {unseen}",
                       remedy="use a taxonomy of the net's classes, or train a net for it")  # fmt: skip

    @classmethod
    def _parsed(cls, data):
        return {
            "refinement": {
                name: Refinement(tuple(r["gaussian"]), tuple(r["bilateral"]), r["iterations"], r.get("mpp"))
                for name, r in data.get("refinement", {}).items()
            }
        }
