"""Read, write, list and resize image files.

Nets need 8-bit RGB. A color palette, an opaque alpha channel and an EXIF orientation are converted without loss.
Gray, 16-bit, CMYK and transparent images are rejected, because a silent conversion would change the stain colors.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ..checks import as_image
from ..errors import InputError
from ..files import ZARR, atomic_write
from ..limits import READ_PIXELS as MAX_PIXELS
from ..notes import note
from ..rasters import decode, shown_rgb

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".svs")

# Color models that cannot be converted to RGB without a guess: description and hint.
_NOT_RGB = {
    "gray": ("gray", "export the image in color"),
    "cmyk": ("CMYK (printing inks)", "convert it to sRGB in an image editor"),
    "lab": ("L*a*b*", "convert it to sRGB in an image editor"),
}


def read(path: Path | str, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read an image file as 8-bit RGB.

    Parameters
    ----------
    path : path
        A PNG, JPEG, TIFF or BMP file; the suffix does not matter.
    max_pixels : int
        Largest height times width to decode, checked on the header. Default: 100 million.

    Returns
    -------
    uint8 array, shape (H, W, 3)
        The EXIF orientation is applied. Only the first page of a file is read; further pages are noted.

    Raises
    ------
    InputError
        "file-unreadable", "file-empty", "image-format", "image-damaged", "image-too-large", "image-not-rgb",
        "image-bit-depth" or "image-transparent".

    Notes
    -----
    Color profiles are not applied, because nets are usually trained on the stored values.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "pixel.png"
    >>> write(path, np.array([[[200, 100, 150]]], np.uint8))
    >>> read(path).tolist()
    [[[200, 100, 150]]]
    """
    path = Path(path)
    raster = decode(path, max_pixels=max_pixels)
    if raster.model not in ("rgb", "palette"):
        kind, hint = _NOT_RGB.get(raster.model, (raster.model, "convert it to sRGB in an image editor"))
        raise InputError("image-not-rgb", f"{path} must be 8-bit RGB", got=kind, hint=hint)
    if raster.bits > 8:
        raise InputError(
            "image-bit-depth",
            f"{path} must have 8 bits per channel",
            got=f"{raster.bits} bits",
            hint="export it with 8 bits and choose the brightness range",
        )
    rgb = shown_rgb(raster)
    if raster.alpha is not None and (raster.alpha < 255).any():
        raise InputError(
            "image-transparent",
            f"{path} must be opaque",
            got="alpha below 255",
            hint="flatten it onto a background color",
        )
    if raster.model == "palette" and (rgb == rgb[..., :1]).all():
        raise InputError(
            "image-not-rgb", f"{path} must be 8-bit RGB", got="a palette of grays", hint=_NOT_RGB["gray"][1]
        )
    if raster.pages > 1:
        note("images have several pages, and the first is read", path)
    return rgb


def write(path: Path | str, image: npt.ArrayLike) -> None:
    """Write an image without loss, atomically.

    Parameters
    ----------
    path : path
        File to write; it ends in `.png` or `.bmp`. Missing folders are created.
    image : uint8 array, shape (H, W, 3)
        RGB.

    Raises
    ------
    InputError
        "file-suffix", "image-dtype" or "file-not-writable".

    Examples
    --------
    >>> write("a.jpg", np.zeros((1, 1, 3), np.uint8))
    Traceback (most recent call last):
        ...
    hsn.errors.InputError: a.jpg must end in .png or .bmp, which are lossless; got '.jpg'; write a .png file.
    """
    path, image = Path(path), as_image(image)
    suffix = path.suffix.lower()
    if suffix not in (".png", ".bmp"):
        raise InputError(
            "file-suffix",
            f"{path} must end in .png or .bmp, which are lossless",
            got=repr(path.suffix),
            hint="write a .png file",
        )
    with atomic_write(path) as temporary:
        encoded = cv2.imencode(suffix, image[..., ::-1])[1]  # OpenCV stores BGR
        temporary.write_bytes(encoded.tobytes())


def list_images(folder: Path | str, *, suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """List the image files of a folder, sorted by name.

    Parameters
    ----------
    folder : path
        A folder (not searched recursively) or one file.
    suffixes : sequence of str
        Accepted file name suffixes, lower case. `.zarr` is that of a folder. Default: those of PNG, JPEG, TIFF and BMP.

    Returns
    -------
    list of pathlib.Path
        Files with an image suffix that are not hidden. A single file is returned whatever its name.

    Raises
    ------
    InputError
        "folder-missing" or "folder-without-images".

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("b.png", "a.JPG", "notes.txt"):
    ...     (folder / name).touch()
    >>> [path.name for path in list_images(folder)]
    ['a.JPG', 'b.png']
    """
    folder = Path(folder)
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise InputError(
            "folder-missing",
            f"{folder} must be a folder of images or one image",
            got="no such path",
            hint="check the path",
        )
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes
        and not path.name.startswith(".")
        and (path.is_dir() if path.suffix.lower() == ZARR else path.is_file())
    )
    if not found:
        raise InputError(
            "folder-without-images",
            f"{folder} must contain images that end in {', '.join(suffixes)}",
            got=f"{len(list(folder.iterdir()))} other entries",
            hint="give the folder that contains the images",
        )
    return found


def resample(image: npt.ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    """Resize by bilinear interpolation without antialiasing.

    Pixel centers are at half integers and edge pixels are repeated. The HistoSegNet release resizes the same way
    (OpenCV's `INTER_LINEAR`). Keras' ``image.resize(..., antialias=False)`` gives the same result. Factors far below
    0.5 skip pixels.

    Parameters
    ----------
    image : uint8, float32 or float64 array, shape (H, W) or (H, W, C)
        At most 512 channels.
    shape : (int, int)
        New height and width.

    Returns
    -------
    array of the same dtype, shape `shape` or `shape` + (C,)
        uint8 values are rounded to nearest.

    Raises
    ------
    InputError
        "image-not-resizable" or "shape-positive".

    Examples
    --------
    >>> resample(np.array([[0.0, 4.0]]), (1, 4)).tolist()
    [[0.0, 1.0, 3.0, 4.0]]
    """
    image, (height, width) = np.asarray(image), shape
    if image.ndim not in (2, 3) or image.size == 0 or image.dtype not in (np.uint8, np.float32, np.float64):
        raise InputError(
            "image-not-resizable",
            "`image` must be uint8, float32 or float64 (H, W) or (H, W, C), not empty",
            got=f"{image.dtype} {image.shape}",
            hint="convert it to float32 first",
        )
    if min(height, width) < 1:
        raise InputError(
            "shape-positive",
            "`shape` must be a height and width of at least 1",
            got=tuple(shape),
            hint="ask for a larger image",
        )
    resized = cv2.resize(image, (int(width), int(height)), interpolation=cv2.INTER_LINEAR)
    return resized.reshape(height, width, *image.shape[2:])  # OpenCV drops a channel axis of length 1
