"""Config of learning from full masks of a few chosen patches: all parameters, with units and sources.

Presets: "lou2022" has the published parameters of the net. "cpu" is for two processor cores, with a net of
three classes instead of Mask R-CNN.

Source: Lou et al., IEEE TMI 2022, "Which pixel to annotate: a label-efficient nuclei segmentation framework", and its
released code.
"""

from dataclasses import dataclass
from typing import Literal

from ...checks import one_of
from ...config import (
    NUCLEI_AUGMENTATION,
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
from ...extras.maskrcnn import PAPER, MaskRCNNConfig
from ...extras.singan import presets as synthesis_presets
from ...losses.objects import TERNARY
from ...nets import fullnet as fullnet_net
from ...records import Count, NonNegative, Positive, Share
from ...taxonomies import NUCLEI, Taxonomy

GRAY = 255.0  # FullNet normalizes pixels over 255
MONITORS = {"pq": "-validation_pq", "aji": "-validation_aji"}


@dataclass(frozen=True)
class Config(BaseConfig):
    """Parameters of training from a few annotated patches and from unlabeled images.

    Attributes
    ----------
    classes : tuple of str
        The net's classes, in order: background, inside, contour; with a `detector`, background and its objects.
    taxonomies : tuple of Taxonomy
        Label spaces of two classes, the second being the objects. The first is the default.
    mpp, image_mpp : float
        Micrometers per pixel of the net's input, and the default for images.
    normalization : Normalization
        Without a stain.
    detector : hsn.extras.maskrcnn.MaskRCNNConfig or None
        Parameters of a Mask R-CNN, except for its normalization. None: a net with the outputs background, inside and
        contour; only this net uses `targets`, `postprocess` (except for `min_area_um2`) and `tiling`.
    targets : ObjectTargets
    postprocess : PostProcess
    tiling : Tiling
    synthetic : int
        Synthetic pairs for each annotated patch; 0 makes none.
    synthesis : {"quick", "paper"} or Preset
        Size of a synthesis; see `hsn.extras.singan.presets`.
    max_overlap : float
        Largest share of a synthetic nucleus that may be covered by others.
    rounds : int
        Number of rounds with pseudo-labels: objects that the previous net found in unlabeled images.
    start : {"initial", "previous"}
        Starting weights of a round: those of the given net, as published, or those of the previous round.
    min_score : float
        Score from which an object becomes a pseudo-label: a detector's own, of other nets the mean probability.
    min_pseudo_area_um2, max_pseudo_area_um2 : float, float or None
        Area of a pseudo-label. None: not limited.
    real_share : float or None
        Share of the crops from annotated patches; synthetic pairs and pseudo-labeled images share the rest. None: all
        images are drawn equally often.
    clip_norm : float
        Largest norm of each variable's gradient.
    min_object_px : int
        Objects with fewer pixels in a crop are left out.
    train : TrainConfig
        Of each round. `validation` is a share of the annotated images, or indices of some; `monitor` "pq" or "aji".

    Examples
    --------
    >>> config = preset("cpu")
    >>> Config.from_dict(config.to_dict()) == config
    True
    """

    METHOD = "selected"
    FIXED = {
        "normalization.stain": None,
        "train.precision": "float32",
        "train.augmentation.contrast": (),
    }
    FORMAT0 = {
        "preset": "synthesis",
        "start": ("start", {"anew": "initial", "onward": "previous"}.get),
        "least_score": "min_score",
        "least_believed_um2": "min_pseudo_area_um2",
        "most_believed_um2": "max_pseudo_area_um2",
        "learning.clip_norm": "clip_norm",
        "learning.least_px": "min_object_px",
    }

    classes: tuple[str, ...] = TERNARY
    taxonomies: tuple[Taxonomy, ...] = (NUCLEI,)
    mpp: Positive = 0.25
    image_mpp: Positive = 0.25
    normalization: Normalization = Normalization(
        mean=tuple(GRAY * m for m in fullnet_net.NUCLEI_MEAN),
        std=tuple(GRAY * s for s in fullnet_net.NUCLEI_STD),
    )
    detector: MaskRCNNConfig | None = None
    targets: ObjectTargets = ObjectTargets(border_weight=5.0, border_sigma_um=5 * 0.25)
    postprocess: PostProcess = PostProcess(
        separation="marker_watershed", grow_um=2 * 0.25, min_area_um2=20 * 0.25**2, fill_holes=True
    )
    tiling: Tiling = Tiling(halo_px=64)
    synthetic: Count = 50
    synthesis: str | synthesis_presets.Preset = "quick"
    max_overlap: Share = 0.1
    rounds: Count = 1
    start: Literal["initial", "previous"] = "initial"
    min_score: Share = 0.65
    min_pseudo_area_um2: NonNegative = 10.0
    max_pseudo_area_um2: NonNegative | None = 400.0
    real_share: Share | None = 0.5
    clip_norm: Positive = 5.0
    min_object_px: Count = 4
    train: TrainConfig = TrainConfig(
        epochs=20,
        steps=100,
        batch_size=4,
        crop_px=128,
        learning_rate=1e-3,
        min_learning_rate=1e-5,
        weight_decay=1e-5,
        monitor="pq",
        augmentation=Augmentation(
            zoom=(0.8, 1.25), flips=(True, True), rotation_deg=180.0, color_gain=0.15, color_offset=15.0
        ),
    )

    def check(self):
        """Raise if the classes do not match the outputs of the net, or a value is not allowed."""
        super().check()
        self.check_two_classes()
        count = len(TERNARY) if self.detector is None else self.detector.classes
        if len(self.classes) != count:
            raise InputError(
                "config-classes",
                f"`classes` must have {count} names, one for each output of the net",
                got=self.classes,
                hint="correct the config",
            )
        one_of("separation", self.postprocess.separation, ("components", "marker_watershed"))
        one_of("monitor", self.train.monitor, MONITORS)
        if isinstance(self.synthesis, str):
            one_of("synthesis", self.synthesis, synthesis_presets.PRESETS)
        if self.real_share == 0:
            raise InputError(
                "config-range", "`real_share` must be above 0", got=0, hint="give None to weigh equally"
            )


def lou2022():
    """Return the published parameters: Mask R-CNN, 50 synthetic pairs per patch by the full CSinGAN.

    Training takes days on a GPU. Differences from the paper: Adam at 1e-4 instead of SGD at 0.005, and some annotated
    patches validate.

    Examples
    --------
    >>> lou2022().detector.detections, lou2022().train.crop_px
    (1000, 256)
    """
    return Config(
        classes=("background", "nucleus"),
        normalization=Normalization(mean=PAPER.mean, std=PAPER.std),
        detector=PAPER,
        synthesis="paper",
        min_score=0.5,
        min_pseudo_area_um2=0.0,
        max_pseudo_area_um2=None,
        real_share=None,
        train=Config.train.replace(
            epochs=250,
            steps=20,
            batch_size=6,
            crop_px=256,
            learning_rate=1e-4,
            min_learning_rate=1e-4,
            weight_decay=0.0,
            augmentation=Augmentation(),
        ),
    )


def cpu():
    """Return a config for two processor cores: no synthetic pairs, one round of pseudo-labels.

    Synthetic pairs made nets of three patches worse (docs/results/selected.md).

    Adapt the scale, the normalization and the lengths to your images, and the crops to the size of your patches.

    Examples
    --------
    >>> cpu().rounds, cpu().train.crop_px
    (1, 192)
    """
    return Config().replace(
        synthetic=0,
        train={
            "epochs": 30,
            "steps": 50,
            "crop_px": 192,
            "learning_rate": 2e-3,
            "min_learning_rate": 2e-5,
            "augmentation": NUCLEI_AUGMENTATION,
        },
    )


PRESETS = {"cpu": cpu, "lou2022": lou2022}


def preset(name):
    """Return the config with this name: "cpu" or "lou2022".

    Examples
    --------
    >>> preset("cpu").start
    'initial'
    """
    return preset_of(PRESETS, name)
