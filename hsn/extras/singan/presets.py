"""How large a synthesis is: the published sizes, and those that two processor cores can do.

Source: Lou et al., IEEE TMI 2022, "Which pixel to annotate", and its released code.
"""

from dataclasses import asdict, dataclass

from ...errors import refuse
from ...images import pyramid
from . import nets as singan


@dataclass(frozen=True)
class Preset:
    """How large a synthesis is. What is not said otherwise is as published.

    Attributes
    ----------
    smallest_px : int
        Shorter side of the coarsest scale.
    filters : tuple of int
        Channels of the nets, coarsest scale first; as many as there are scales.
    critic_norm : bool
        Whether critics normalize batches. Then they cannot see how bright or strong what they judge is.
    steps, critic_steps : int
        Steps of a generator at each scale, and of its critics before each of them.
    layouts : int
        How many layouts are learned from.
    crop_px, batch : int
        Side of the squares that a step sees, and how many; 0 for whole images.
    rate, betas, epsilon : floats
        Of Adam; epsilon is torch's default.
    penalty, reconstruction : float
        Weights of the gradient penalty and of the error of the patch itself.
    noise : float
        Noise of the finer scales for a unit of their reconstruction's error.
    """

    smallest_px: int = pyramid.SMALLEST_PX
    filters: tuple[int, ...] = (32, 32, 32, 32, 64)
    critic_norm: bool = True
    steps: int = 500 * 50  # epochs, of 50 layouts each
    critic_steps: int = 3
    layouts: int = 50
    crop_px: int = 0
    batch: int = 1
    rate: float = 5e-4
    betas: tuple[float, float] = (0.5, 0.999)
    epsilon: float = 1e-8
    penalty: float = 0.1
    reconstruction: float = 10.0
    noise: float = 0.1

    def __post_init__(self):
        seen_px = 2 * singan.MARGIN_PX + 1  # one score looks at so much
        if (
            min(self.smallest_px, self.crop_px or seen_px) < seen_px
            or min(self.steps, self.batch, *self.filters) < 1
        ):
            refuse("a synthesis cannot be so small", expected=f"sides from {seen_px} px, and 1 or more of all else",
                   received=asdict(self), remedy="change a preset's numbers one by one")  # fmt: skip


def paper():
    """The published sizes: some 290 hours on two processor cores, for each patch."""
    return Preset()


def quick():
    """Three scales of half the channels, on crops: minutes on two idle processor cores."""
    return Preset(smallest_px=64, filters=(16, 16, 16), critic_norm=False, steps=400, critic_steps=1, layouts=20,
                  crop_px=64, batch=2, rate=1e-3)  # fmt: skip


PRESETS = {"quick": quick, "paper": paper}
