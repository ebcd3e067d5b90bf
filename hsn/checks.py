"""Validators of arguments, with the same messages everywhere."""

import importlib
from collections.abc import Collection, Sized
from types import ModuleType
from typing import Any

import numpy as np

from .errors import InputError
from .limits import MAX_SEED

MIN_MPP, MAX_MPP = 0.05, 10.0  # um/px; 100x objectives have about 0.1, overviews of slides up to 8
MIN_SIDE_PX = 16  # smallest side of an image that can be segmented


def as_image(image: Any, name: str = "image") -> np.ndarray:
    """Return `image` unchanged if it is uint8 (H, W, 3) with at least one pixel.

    Raises
    ------
    InputError
        "image-dtype" otherwise.

    Examples
    --------
    >>> as_image(np.zeros((2, 3, 3), np.uint8)).shape
    (2, 3, 3)
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise InputError(
            "image-dtype",
            f"`{name}` must be an 8-bit RGB image, uint8 (height, width, 3), with at least one pixel",
            got=f"{image.dtype} {image.shape}",
            hint="read files with hsn.read, which converts other formats",
        )
    return image


def as_mask(mask: Any, name: str = "mask") -> np.ndarray:
    """Return `mask` unchanged if it is bool (H, W).

    Raises
    ------
    InputError
        "mask-dtype" otherwise.

    Examples
    --------
    >>> as_mask(np.zeros((2, 3), bool)).shape
    (2, 3)
    """
    mask = np.asarray(mask)
    if mask.ndim != 2 or mask.dtype != bool:
        raise InputError(
            "mask-dtype",
            f"`{name}` must be bool (height, width)",
            got=f"{mask.dtype} {mask.shape}",
            hint="compare probabilities with a threshold, or labels with a class",
        )
    return mask


def as_segmentable(image: Any, *, max_pixels: int) -> np.ndarray:
    """Return `image` unchanged if its size can be segmented at once.

    Raises
    ------
    InputError
        "image-dtype", "image-too-small" or "image-too-large".

    Examples
    --------
    >>> as_segmentable(np.zeros((16, 20, 3), np.uint8), max_pixels=1000).shape
    (16, 20, 3)
    """
    image = as_image(image)
    height, width = image.shape[:2]
    if min(height, width) < MIN_SIDE_PX:
        raise InputError(
            "image-too-small",
            f"the image must be at least {MIN_SIDE_PX} x {MIN_SIDE_PX} pixels",
            got=f"{height} x {width}",
            hint="give a larger piece of the slide",
        )
    if height * width > max_pixels:
        raise InputError(
            "image-too-large",
            f"the image must have at most {max_pixels:,} pixels for this net",
            got=f"{height} x {width}",
            hint="cut it into pieces, or shrink it and give its new `mpp`",
        )
    return image


def as_mpp(mpp: float) -> float:
    """Return `mpp`, micrometers per pixel, if it is the scale of a microscope's image.

    Raises
    ------
    InputError
        "mpp-range" unless it is a number from 0.05 to 10.

    Examples
    --------
    >>> as_mpp(0.25)
    0.25
    """
    if not MIN_MPP <= mpp <= MAX_MPP:
        raise InputError(
            "mpp-range",
            f"`mpp` must be {MIN_MPP} to {MAX_MPP:g} micrometers per pixel",
            got=mpp,
            hint="a magnification of 40x is about 0.25 um/px, 20x about 0.5",
        )
    return mpp


def as_seed(seed: Any) -> int:
    """Return `seed` if it is a whole number from 0 to 4,294,967,295.

    Raises
    ------
    InputError
        "seed-range" otherwise.

    Examples
    --------
    >>> as_seed(7)
    7
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed <= MAX_SEED:
        raise InputError(
            "seed-range",
            f"`seed` must be a whole number from 0 to {MAX_SEED:,}",
            got=seed,
            hint="give another seed",
        )
    return int(seed)


def positive(name: str, value: Any, *, hint: str = "give a number above 0") -> Any:
    """Return `value` if it is a finite number above 0.

    Raises
    ------
    InputError
        "<name>-positive", with hyphens for underscores.

    Examples
    --------
    >>> positive("sigma_px", 2)
    2
    """
    if not (value > 0 and np.isfinite(value)):
        raise InputError(
            f"{name.replace('_', '-')}-positive", f"`{name}` must be above 0", got=value, hint=hint
        )
    return value


def one_of(name: str, value: Any, allowed: Collection, *, hint: str | None = None) -> Any:
    """Return `value` if it is one of `allowed`.

    Raises
    ------
    InputError
        "<name>-unknown", with hyphens for underscores.

    Examples
    --------
    >>> one_of("subtraction", "order_free", ("order_free", "sequential"))
    'order_free'
    """
    if value not in allowed:
        names = ", ".join(map(str, allowed))
        raise InputError(
            f"{name.replace('_', '-')}-unknown",
            f"`{name}` must be one of {names}",
            got=repr(value),
            hint=hint or "choose one of these",
        )
    return value


def same_length(name: str, values: Sized, other_name: str, others: Sized) -> None:
    """Raise unless two sequences have the same length.

    Raises
    ------
    InputError
        "length-mismatch".

    Examples
    --------
    >>> same_length("images", [1, 2], "masks", [3, 4])
    """
    if len(values) != len(others):
        raise InputError(
            "length-mismatch",
            f"`{other_name}` must have one entry for each of the {len(values)} `{name}`",
            got=len(others),
            hint=f"give the {other_name} in the order of the {name}",
        )


def same_shape(
    name: str, shape: tuple[int, ...], other_name: str, other: tuple[int, ...], *, hint: str | None = None
) -> None:
    """Raise unless two arrays have the same height and width.

    Raises
    ------
    InputError
        "shape-mismatch".

    Examples
    --------
    >>> same_shape("image", (2, 3), "mask", (2, 3))
    """
    if tuple(shape[:2]) != tuple(other[:2]):
        raise InputError(
            "shape-mismatch",
            f"`{other_name}` must have the height and width of `{name}`, {tuple(shape[:2])}",
            got=tuple(other[:2]),
            hint=hint or "check that the files are paired correctly",
        )


def require(package: str, *, extra: str | None = None) -> ModuleType:
    """Import a package that is loaded only when it is used.

    Parameters
    ----------
    package : str
        Name of the module.
    extra : str, optional
        Extra of hsn that installs it. Default: the package is installed by its own name.

    Raises
    ------
    InputError
        "<package>-missing".

    Examples
    --------
    >>> require("json").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        command = f'pip install "hsn[{extra}]"' if extra else f"pip install {package}"
        raise InputError(
            f"{package}-missing",
            f"the package {package} must be installed",
            got=f"no {error.name or package}",
            hint=f"run `{command}`",
        ) from None
