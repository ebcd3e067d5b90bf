"""How nets are trained on points: the numbers, with their units; the published ones are the defaults.

Source: Qu et al., Weakly supervised deep nuclei segmentation using partial points annotation, IEEE TMI 2020, and its
released code.
"""

from dataclasses import dataclass

STARTS = ("anew", "onward")
RIMS = ("unknown", "background")


@dataclass(frozen=True)
class TrainConfig:
    """How the nets are trained; the defaults are the published ones.

    Attributes
    ----------
    rounds : int or None
        How often detection is trained again with the background that the round before was sure of. 0 trains it once;
        None not at all: every nucleus was clicked.
    start : {"anew", "onward"}
        Where a round begins: at the weights of the net that was given, as published, or at those that the round
        before has learned; "onward" also starts segmentation from the last detector.
    detection_epochs, segmentation_epochs, refinement_epochs : int
        Epochs of each round; of segmentation by the coarse labels; and of segmentation with the CRF loss as well.
    detection_batch, segmentation_batch : int
        Crops a step.
    steps : int
        Batches an epoch; 0 means as many as show all pixels of the images once.
    crop_px : int
        Side of the crops, at the net's scale.
    rate, lowest_rate : float
        Adam's learning rate, from the one down to the other along a cosine; equal, it is constant.
    refinement_rate : float
        Factor on `rate` while the CRF loss counts; it stays constant then.
    momenta : (float, float)
        Adam's two.
    weight_decay : float
        Half the squares of all weights times this are added to the loss (not decoupled).
    precision : {"float32", "mixed_float16", "mixed_bfloat16"}
        What the nets compute in while they learn.
    zoom, flips, turn_deg, skew
        How crops are moved; see `hsn.training.augment.draw_warp`.
    bend_px, bend_every_px : float
        Elastic deformation, while segmentation is learned only.
    gain, offset, stain_gain, stain_offset : float
        Colour: each channel is multiplied by 1 +- gain and shifted by +- offset grey levels; the amounts of
        haematoxylin and eosin are multiplied by 1 +- stain_gain, and +- stain_offset is added.
    rim : {"unknown", "background"}
        What a crop says where it shows more than the image: nothing; or, as the released code, background on black,
        while segmentation is learned.
    validation : float or tuple of int
        Share of the images to validate on, drawn by the seed, or their indices. Of fewer than 4 images this is a share
        of patches.
    complete_validation : bool
        Whether every nucleus of the validation images is clicked. Then the F1 of what is found decides which epoch of
        detection is kept, as published; otherwise the loss does.
    seed : int
    """

    rounds: int | None = 3
    start: str = "anew"
    detection_epochs: int = 80
    segmentation_epochs: int = 100
    refinement_epochs: int = 20
    detection_batch: int = 16
    segmentation_batch: int = 8
    steps: int = 0
    crop_px: int = 224
    rate: float = 1e-4
    lowest_rate: float = 1e-4
    refinement_rate: float = 0.1
    momenta: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 1e-4
    precision: str = "float32"
    zoom: tuple[float, float] = (0.8, 1.25)
    flips: tuple[bool, bool] = (True, True)
    turn_deg: float = 90.0
    skew: float = 0.3
    bend_px: float = 15.0
    bend_every_px: float = 250 / 6  # a mesh of 6 x 6 over a patch of 250 px
    gain: float = 0.0
    offset: float = 0.0
    stain_gain: float = 0.0
    stain_offset: float = 0.0
    rim: str = "unknown"
    validation: float | tuple[int, ...] = 0.2
    complete_validation: bool = False
    seed: int = 0
