"""How a net is trained on masks: the numbers, with their units; the published ones are the defaults.

Sources: Qu et al., MICCAI 2019, and its released code; C. Eichner, Histology-NucleiSeg, 2022; Tellez et al., IEEE TMI
2018, for stains.
"""

from dataclasses import dataclass

MONITORS = {"iou": "-validation_iou", "pq": "-validation_pq", "loss": "validation_loss"}


@dataclass(frozen=True)
class TrainConfig:
    """How a net is trained on masks; the defaults are FullNet's for nuclei.

    Attributes
    ----------
    epochs, steps, batch : int
        An epoch is `steps` batches of random crops; 0 steps means as many as there are images over `batch`.
    crop_px : int
        Side of the crops, at the net's scale.
    rate, lowest_rate : float
        Adam's learning rate, from the one down to the other along a cosine; equal, it is constant.
    momenta : (float, float)
        Adam's two.
    weight_decay : float
        Half the squares of all weights times this are added to the loss (not decoupled).
    accumulate : int
        Batches whose gradients are averaged before the weights change.
    precision : {"float32", "mixed_float16", "mixed_bfloat16"}
        What the net computes in while it learns.
    zoom : (float, float)
        Range of the factor by which tissue is enlarged.
    flips : (bool, bool)
        Whether crops may be flipped top to bottom, and left to right.
    turn_deg, shear_deg : float
        Largest rotation and shear to either side.
    skew : float
        Every entry of an affine matrix moves by up to this.
    bend_px, bend_every_px : float
        Elastic by B-splines: spread of the control points, and from one to the next.
    ripple_px, ripple_sigma_px : (float, float)
        Elastic by smoothed noise: ranges of its height and of its smoothing.
    gain, offset : float
        Colour: each channel is multiplied by 1 +- gain and shifted by +- offset grey levels.
    stain_gain, stain_offset : float
        Colour: the amounts of haematoxylin and eosin are multiplied by 1 +- stain_gain and +- stain_offset is added.
    contrasts : tuple of float
        Colour: normalize pixels are multiplied by 1 +- each.
    apart : float
        How often the last of `contrasts` is drawn for each channel anew.
    validation : float or tuple of int
        Share of the images to validate on, drawn by the seed, or their indices.
    monitor : {"iou", "pq", "loss"}
        Which validation score decides the epoch that is kept.
    choose : bool
        Whether the config's `inside` and `waist_um` are chosen on the validation images when the net has learned.
    seed : int
    """

    epochs: int = 300
    steps: int = 0
    batch: int = 8
    crop_px: int = 208
    rate: float = 1e-3
    lowest_rate: float = 1e-3
    momenta: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 1e-4
    accumulate: int = 1
    precision: str = "float32"
    zoom: tuple[float, float] = (0.8, 1.25)
    flips: tuple[bool, bool] = (False, True)
    turn_deg: float = 90.0
    shear_deg: float = 0.0
    skew: float = 0.3
    bend_px: float = 15.0
    bend_every_px: float = 250 / 6  # a mesh of 6 x 6 over a patch of 250 px
    ripple_px: tuple[float, float] = (0.0, 0.0)
    ripple_sigma_px: tuple[float, float] = (4.0, 8.0)
    gain: float = 0.0
    offset: float = 0.0
    stain_gain: float = 0.0
    stain_offset: float = 0.0
    contrasts: tuple[float, ...] = ()
    apart: float = 0.0
    validation: float | tuple[int, ...] = 0.2
    monitor: str = "iou"
    choose: bool = False
    seed: int = 0
