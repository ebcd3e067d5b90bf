"""Config of learning from full masks of a few chosen patches: every number, with its unit and source.

Presets: "lou2022" has the numbers of the published system, as far as they belong to a net. "cpu" is what two processor
cores can train, with a small U-Net in the place of Mask R-CNN.

Source: Lou et al., IEEE TMI 2022, "Which pixel to annotate: a label-efficient nuclei segmentation framework", and its
released code.
"""

from dataclasses import dataclass
from typing import Literal

from ...checks import one_of
from ...config import (
    Augmentation,
    BaseConfig,
    Count,
    NonNegative,
    Normalization,
    ObjectTargets,
    Positive,
    PostProcess,
    Share,
    Tiling,
    TrainConfig,
    preset_of,
)
from ...errors import InputError
from ...extras.maskrcnn import PAPER, MaskRCNNConfig
from ...extras.singan import presets as synthesis_presets
from ...losses.objects import TERNARY
from ...nets import fullnet as fullnet_net
from ...taxonomies import NUCLEI, Taxonomy

GRAY = 255.0  # FullNet normalizes pixels over 255
MONITORS = {"pq": "-validation_pq", "aji": "-validation_aji"}


@dataclass(frozen=True)
class Config(BaseConfig):
    """What turns a few annotated patches, and images without annotation, into a net.

    Attributes
    ----------
    classes : tuple of str
        The net's classes, in order: background, inside, contour; with a `detector`, background and its objects.
    taxonomies : tuple of Taxonomy
        Label spaces of two classes, the second being the objects. The first is the default.
    mpp, image_mpp : float
        Micrometers per pixel of the net's input, and of images that come without their own.
    normalization : Normalization
        Without a stain.
    detector : hsn.extras.maskrcnn.MaskRCNNConfig or None
        Of a Mask R-CNN, except for its normalization; None for a net with the outputs inside and contour. Only such a
        net uses `targets`, `postprocess` (except for `min_area_um2`) and `tiling`.
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
        Rounds of pseudo-labels: a net also learns from what the net before found in images without annotation.
    start : {"initial", "previous"}
        Weights that a round begins with: those of the given net, as published, or those of the round before.
    min_score : float
        Score from which an object becomes a pseudo-label: a detector's own, of other nets the mean probability.
    min_pseudo_area_um2, max_pseudo_area_um2 : float, float or None
        Area of a pseudo-label; None is no limit.
    real_share : float or None
        Share of the crops that show annotated patches; synthetic pairs and pseudo-labeled images share the rest. None
        draws each image equally often.
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
        """Raise if the classes are not those of the net, or a choice does not exist."""
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
    """Return the published numbers: Mask R-CNN, 50 synthetic pairs a patch by the full CSinGAN; for a GPU, and days.

    Two numbers differ from the paper: Adam is used at 1e-4, where the paper has SGD at 0.005; and annotated patches
    are validated on as well.

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
    """Return what two processor cores can train: a small U-Net, a quick synthesis, one round of pseudo-labels.

    The numbers are those of the preset "cpu" of masks, where both have them. Take the scale, the normalization and the
    lengths of your own images, and crops no larger than your patches.

    Examples
    --------
    >>> cpu().rounds, cpu().train.crop_px
    (1, 192)
    """
    return Config().replace(
        train={
            "epochs": 30,
            "steps": 50,
            "crop_px": 192,
            "learning_rate": 2e-3,
            "min_learning_rate": 2e-5,
            "augmentation": {
                "affine_jitter": 0.1,
                "elastic_px": 4.0,
                "stain_gain": 0.3,
                "stain_offset": 0.05,
            },
        }
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
