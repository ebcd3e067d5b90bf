"""Set-up of a training: options of all methods, a summary of the images, and the result.

The module `setup` of each method in `hsn.supervision` has:

- `Options`: dataclass of the options of `hsn.fit` for this method.
- ``check(request, options)``: raises InputError for invalid options, before any image is read.
- ``prepare(found, request, options, *, progress=None)``: reads the images and returns a `FitSetup`. `found` is a
  `hsn.data.discovery.Found`, `request` a `FitRequest`, `progress` a callback of `hsn.progress`.
"""

import colorsys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..annotations.mask_files import as_instances
from ..annotations.mask_files import read as read_masks
from ..checks import as_image, same_shape
from ..errors import InputError, collect_failures
from ..images.read import read
from ..notes import note
from ..progress import track
from ..taxonomies import Taxonomy, TissueClass

_MIN_STD = 1.0  # gray levels; avoids a division by zero for flat images


@dataclass(frozen=True)
class FitRequest:
    """Options of `hsn.fit` common to all methods.

    Attributes
    ----------
    mpp : float
        Micrometers per pixel of the images.
    name : str
        Name of the net.
    preset, net : str or None
        Name of the config and of the architecture. None: the default of the method.
    width : float or None
        Number of channels; for tags a factor on the number. None: the default of the net.
    epochs, batch_size : int or None
        None: the default of the preset.
    validation : float or tuple of int
        Fraction of the images, or indices of images.
    seed : int
    taxonomies : tuple of Taxonomy
        Empty: the default of the method.
    """

    mpp: float
    name: str = "net"
    preset: str | None = None
    net: str | None = None
    width: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    validation: float | tuple[int, ...] = 0.2
    seed: int = 0
    taxonomies: tuple[Taxonomy, ...] = ()


@dataclass(frozen=True)
class FitSetup:
    """Arguments of a method's `fit`, and a report for the user.

    Attributes
    ----------
    net : keras.Model
    images, annotations : sequence
    config : Config
    left_out : list of (str, str)
        Unused files and the reasons.
    notes : list of str
        Sentences for the user.
    counts : dict of str to int
        Numbers for the result of the command line.
    """

    net: Any
    images: Any
    annotations: Any
    config: Any
    left_out: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


class DataSummary:
    """Collects usable images, and computes their smallest side, mean and standard deviation.

    Parameters
    ----------
    square : bool
        Whether all images must be squares of one size. Default: False.

    Attributes
    ----------
    images, annotations : list
        Usable images and their annotations.
    kept : list of int
        Indices of these images in the input.
    left_out : list of (str, str)
        Unusable images and the reasons.
    pixels : int
        Number of pixels of all images.
    min_side_px : int or None
        Smallest height or width.

    Examples
    --------
    >>> summary = DataSummary()
    >>> summary.add(0, "a.png", None, np.full((4, 6, 3), 9, np.uint8))
    >>> summary.mean, summary.std, summary.min_side_px
    ((9.0, 9.0, 9.0), (1.0, 1.0, 1.0), 4)
    """

    def __init__(self, *, square=False):
        self.images, self.annotations, self.kept, self.left_out = [], [], [], []
        self.pixels, self.min_side_px = 0, None
        self._square = square
        self._sums = np.zeros((3, 2))  # per channel: sum of the levels, sum of their squares

    def add(self, number, image, annotation, pixels):
        """Add one image.

        Parameters
        ----------
        number : int
            Index of the image in the input.
        image : path or array
            The image, appended to `images`.
        annotation : object
            Its annotation, appended to `annotations`.
        pixels : uint8 array, shape (H, W, 3)
            The decoded image.

        Raises
        ------
        InputError
            "patch-size" if images must be squares of one size and this image is not.
        """
        height, width = pixels.shape[:2]
        side = self.min_side_px or height
        if self._square and (height, width) != (side, side):
            raise InputError(
                "patch-size",
                f"{name_of(image, number)} must be a square of {side} px, like the first patch",
                got=f"{height} x {width}",
                hint="cut patches of one size and scale",
            )
        self.images.append(image)
        self.annotations.append(annotation)
        self.kept.append(number)
        self.pixels += height * width
        self.min_side_px = min(height, width, self.min_side_px or max(height, width))
        levels = np.stack([np.bincount(pixels[..., c].ravel(), minlength=256) for c in range(3)])  # (3, 256)
        self._sums += levels @ np.stack([np.arange(256.0), np.arange(256.0) ** 2], axis=1)

    @property
    def mean(self):
        """Mean of each channel, in gray levels."""
        return tuple((self._sums[:, 0] / self.pixels).tolist())

    @property
    def std(self):
        """Standard deviation of each channel, in gray levels; at least 1."""
        variance = self._sums[:, 1] / self.pixels - np.square(self.mean)
        return tuple(np.sqrt(np.maximum(variance, _MIN_STD**2)).tolist())

    @property
    def gray_mean(self):
        """Mean of all channels together, in gray levels."""
        return float(self._sums[:, 0].sum() / (3 * self.pixels))

    @property
    def gray_std(self):
        """Standard deviation of all channels together, in gray levels; at least 1."""
        variance = self._sums[:, 1].sum() / (3 * self.pixels) - self.gray_mean**2
        return float(max(_MIN_STD, np.sqrt(variance)))


def summarize(found, check, *, square=False, progress=None):
    """Read every image once before the training, and leave out invalid files.

    Parameters
    ----------
    found : hsn.data.discovery.Found
    check : callable
        ``(image, annotation, pixels) -> annotation``: checks an annotation and converts it for the training.
    square : bool
        Whether images must be squares of one size. Default: False.
    progress : callable, optional
        See `hsn.progress`.

    Returns
    -------
    DataSummary

    Raises
    ------
    InputError
        "no-images-left" if all images are invalid.
    """
    summary = DataSummary(square=square)
    pairs = list(zip(found.images, found.annotations, strict=True))
    for number, (image, annotation) in enumerate(track(pairs, progress, "reading images")):
        with collect_failures(summary.left_out, name_of(image, number)):
            pixels = as_image(image) if isinstance(image, np.ndarray) else read(image)
            summary.add(number, image, check(image, annotation, pixels), pixels)
    if not summary.images:
        raise InputError(
            "no-images-left",
            f"{found.kind} must have at least one valid image",
            got="none",
            hint="correct these files: "
            + "; ".join(reason.rstrip(".") for _, reason in summary.left_out[:3]),
        )
    summary.left_out[:0] = found.left_out
    return summary


class MaskCheck:
    """Checks the masks of images, and counts the images whose masks hold no object.

    Attributes
    ----------
    images, empty : int
        Numbers of images with masks, and of those without an object.
    """

    def __init__(self):
        self.images = self.empty = 0

    def __call__(self, image, annotation, pixels):
        """Check the masks of an image; return the file, or the instances of an array (see `as_instances`).

        Parameters
        ----------
        image : path or array
        annotation : path, or int array (H, W)
        pixels : uint8 array, shape (H, W, 3)

        Raises
        ------
        InputError
            "shape-mismatch" for a size other than that of the image, or an error of the reader.
        """
        where = image if isinstance(image, str | Path) else "an array"
        if isinstance(annotation, np.ndarray):
            same_shape("image", pixels.shape, "masks", annotation.shape)
            if not np.ma.isMaskedArray(annotation) and annotation.dtype.kind in "biu":
                annotation = as_instances(annotation, where)
            objects = annotation
        else:
            objects = read_masks(annotation, pixels.shape[:2])
        self.images += 1
        if not np.any(np.ma.filled(objects, 0) > 0):
            self.empty += 1
            note("masks without an object: the whole image is background", where)
        return annotation

    def require_objects(self):
        """Raise "nothing-to-learn" if no mask holds an object."""
        if self.empty == self.images:
            raise InputError(
                "nothing-to-learn",
                "the masks must hold at least one object",
                got=f"background only in {self.images} masks",
                hint="give masks with outlined objects",
            )


def crop_px(side_px, largest_px, step_px):
    """Return the side of training crops: the largest multiple of `step_px` up to both limits, at least `step_px`.

    Examples
    --------
    >>> crop_px(100, 192, 32), crop_px(10, 192, 32)
    (96, 32)
    """
    return min(largest_px, max(1, side_px // step_px) * step_px)


def name_of(image, number):
    """Return the name of an image for messages: its path, or its index.

    Examples
    --------
    >>> name_of("a.png", 3), name_of(np.zeros((2, 2, 3)), 3)
    ('a.png', 'image 3')
    """
    return str(image) if isinstance(image, str | Path) else f"image {number}"


def taxonomy_of(classes, name):
    """Make a taxonomy from class names, with evenly spaced hues.

    Examples
    --------
    >>> taxonomy_of(["tumor", "stroma"], "mine").colors
    ((217, 65, 65), (44, 145, 145))
    """
    hues = [(k / len(classes), (0.85, 0.57)[k % 2]) for k in range(len(classes))]
    colors = [colorsys.hsv_to_rgb(hue, 0.7, value) for hue, value in hues]
    tissue = (
        TissueClass(c, tuple(round(255 * v) for v in color)) for c, color in zip(classes, colors, strict=True)
    )
    return Taxonomy(name, tuple(tissue))
