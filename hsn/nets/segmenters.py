"""Nets for label images, by name and width."""

from ..checks import one_of
from ..errors import InputError
from . import fullnet, unet

NETS = ("unet", "fullnet")
UNET_DEPTH, UNET_WIDTH, FULLNET_GROWTH = 4, 16, 24
UNET_STEP_PX = 2**UNET_DEPTH  # size divisor of the U-Net


def build(name, outputs, *, width=None, seed=None):
    """Build a net that maps pixels to the probabilities of classes.

    Parameters
    ----------
    name : {"unet", "fullnet"}
    outputs : int
        Number of classes.
    width : int, optional
        Channels of the first level (unet, default 16) or growth rate (fullnet, default 24).
    seed : int, optional

    Returns
    -------
    keras.Model

    Examples
    --------
    >>> build("unet", 3, width=2, seed=0).output_shape
    (None, None, None, 3)
    """
    one_of("net", name, NETS)
    if name == "fullnet":
        return fullnet.build(outputs, growth=int(width or FULLNET_GROWTH), seed=seed)
    return unet.build(outputs, depth=UNET_DEPTH, width=int(width or UNET_WIDTH), batch_norm=True, seed=seed)


def check_width(width, *, multiple=1):
    """Raise unless `width` is None or a positive multiple of `multiple`.

    Raises
    ------
    InputError
        "width-channels".

    Examples
    --------
    >>> check_width(16)
    """
    if width is not None and (width < multiple or width % multiple):
        raise InputError(
            "width-channels",
            f"`width` must be a number of channels, a multiple of {multiple}",
            got=width,
            hint="leave it out for the default",
        )
