"""Presets of the synthesis: the published one, and one for two CPU cores.

Source: Lou et al., IEEE TMI 2022, "Which pixel to annotate", and its released code.
"""

from dataclasses import asdict, dataclass

from ...errors import InputError
from ...images import pyramid
from . import nets as singan


@dataclass(frozen=True)
class Preset:
    """Settings of a synthesis. The defaults are the published values.

    Attributes
    ----------
    smallest_px : int
        Shorter side of the coarsest scale.
    filters : tuple of int
        Channels of the nets at each scale, coarsest first. Its length is the number of scales.
    critic_norm : bool
        Use batch normalization in the critics; see `nets.build_critic`.
    steps, critic_steps : int
        Generator steps at each scale, and critic steps before each of them.
    layouts : int
        Number of training layouts.
    crop_px, batch : int
        Side of the crops of a step (0: whole images), and their number.
    rate, betas, epsilon : floats
        Settings of Adam: learning rate, betas, epsilon (torch's default).
    penalty, reconstruction : float
        Weights of the gradient penalty and of the reconstruction error.
    noise : float
        Noise amplitude at finer scales, relative to their reconstruction error.
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
        field_px = 2 * singan.MARGIN_PX + 1  # receptive field of a score
        too_small = min(self.smallest_px, self.crop_px or field_px) < field_px
        if too_small or min(self.steps, self.batch, *self.filters) < 1:
            raise InputError(
                "singan-preset-invalid",
                f"sides must be {field_px} px or more, and all other numbers 1 or more",
                got=asdict(self),
                hint="start from a preset and change single numbers",
            )


def paper():
    """Return the published preset: about 290 hours per patch on two CPU cores."""
    return Preset()


def quick():
    """Return the preset for CPUs: three scales with half the channels, on crops; minutes on two cores."""
    return Preset(smallest_px=64, filters=(16, 16, 16), critic_norm=False, steps=400, critic_steps=1, layouts=20,
                  crop_px=64, batch=2, rate=1e-3)  # fmt: skip


PRESETS = {"quick": quick, "paper": paper}
