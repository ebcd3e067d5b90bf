"""Read and write label images, and read color masks. docs/reference/formats.md has the rules as a table."""

from os import PathLike
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import InputError
from ..files import atomic_write
from ..notes import note
from ..rasters import Raster, decode, shown_rgb

RASTERS = (".png", ".bmp", ".tif", ".tiff")  # lossless formats of label images
LOSSY = (".jpg", ".jpeg")
MAX_PNG_LABEL = 65535  # PNG stores at most 16 bits per value
_MAX_LABEL = 2**31 - 1  # int32
_OPAQUE = 255


def read_labels(path: str | PathLike[str]) -> np.ndarray:
    """Read a label image: one integer per pixel.

    A color file with three equal channels is read as one channel, because HistoSegNet stores gland ids this way.

    Parameters
    ----------
    path : path
        PNG, BMP or TIFF of one page.

    Returns
    -------
    int32 array, shape (H, W)
        Stored numbers, even where the file shows 0 as white. Palette images give the indices. A 1-bit file gives 0 and
        255, and so does an image of one color with an alpha channel.

    Raises
    ------
    InputError
        "labels-pages", "labels-lossy", "labels-in-color", "labels-transparent", "labels-dtype", "labels-negative",
        "labels-too-large", or an error of `hsn.rasters.decode`.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "glands.png"
    >>> write_labels(path, np.array([[0, 1], [2, 300]]))
    >>> read_labels(path).tolist()
    [[0, 1], [2, 300]]
    """
    return labels_of_raster(_decode_one_page(path, "labels-pages"), path)


def _decode_one_page(path: str | PathLike[str], code: str) -> Raster:
    """Decode a file; raise the error `code` if it has several pages."""
    raster = decode(Path(path))
    if raster.pages > 1:
        raise InputError(
            code,
            f"{path} must have one page",
            got=f"{raster.pages} pages",
            hint="save the page of this image as a file",
        )
    return raster


def labels_of_raster(raster: Raster, path: str | PathLike[str]) -> np.ndarray:
    """Return the labels of a decoded page, int32 (H, W); `path` is for messages. See `read_labels`."""
    if raster.lossy:
        raise InputError(
            "labels-lossy",
            f"{path} must be in a lossless format, because lossy compression changes labels",
            got="JPEG or another lossy compression",
            hint="export the labels as PNG or TIFF",
        )
    if raster.model == "palette":
        note("label images have a palette, and the palette index is the label", path)
        return _as_int32(raster.pixels, path)
    if raster.white_is_zero:
        note("label images show 0 as white, and the stored numbers count", path)
    marked = _alpha_mask(raster, path)
    return _as_int32(_one_channel(raster, path), path) if marked is None else marked


def _alpha_mask(raster: Raster, path: str | PathLike[str]) -> np.ndarray | None:
    """Return the mask that an alpha channel holds, 0 and 255; None if the alpha channel has no meaning."""
    pixels, alpha = raster.pixels, raster.alpha
    if alpha is None or (alpha == _OPAQUE).all():
        return None
    hidden = alpha == 0
    if (hidden | (alpha == _OPAQUE)).all():
        if (pixels == pixels[:1, :1]).all():
            note("label images have one color, and the alpha channel is the mask", path)
            return np.where(hidden, 0, 255).astype(np.int32)
        if not pixels[hidden].any():
            return None
    raise InputError(
        "labels-transparent",
        f"{path} must be opaque",
        got="an alpha channel beside labels",
        hint="flatten it, or remove the alpha channel",
    )


def _one_channel(raster: Raster, path: str | PathLike[str]) -> np.ndarray:
    """Return the channel that holds the labels."""
    pixels = raster.pixels
    if raster.model == "gray":
        return pixels
    if (
        raster.model != "rgb"
        or (raster.bits > 8 and pixels.dtype == np.uint8)
        or (pixels != pixels[..., :1]).any()
    ):
        raise InputError(
            "labels-in-color",
            f"{path} must store one number per pixel",
            got=f"colors ({raster.model}, {raster.bits} bits)",
            hint="read color masks with read_color_mask and from_colors",
        )
    return pixels[..., 0]


def _as_int32(stored: np.ndarray, path: str | PathLike[str]) -> np.ndarray:
    """Return whole numbers from 0 as int32; raise for all others."""
    if stored.dtype.kind == "f":
        # The comparison is False for NaN and for infinite values.
        if not (np.abs(stored) <= 2.0**53).all() or (stored != np.floor(stored)).any():
            raise InputError(
                "labels-dtype",
                f"{path} must store integers",
                got=f"{stored.dtype} with fractions",
                hint="number the objects from 1",
            )
        stored = stored.astype(np.int64)
    if stored.size and stored.dtype.kind == "i" and stored.min() < 0:
        raise InputError(
            "labels-negative",
            f"labels in {path} must be 0 or above",
            got=stored.min(),
            hint="use 0 for the background",
        )
    if stored.dtype.itemsize > 2 and stored.max() > _MAX_LABEL:
        raise InputError(
            "labels-too-large",
            f"labels in {path} must be at most {_MAX_LABEL}",
            got=stored.max(),
            hint="number instances from 1 without gaps",
        )
    return stored.astype(np.int32)


def check_size(path: Path | str, found: tuple[int, ...], shape: tuple[int, ...] | None) -> None:
    """Raise InputError "shape-mismatch" unless a label image has the size of its image; None accepts every size."""
    if shape is not None and found != tuple(shape[:2]):
        raise InputError(
            "shape-mismatch",
            f"{path} must have the size of its image, {tuple(shape[:2])}",
            got=found,
            hint="export it again at full size",
        )


def read_color_mask(path: str | PathLike[str]) -> np.ndarray:
    """Read a color mask; `hsn.annotations.colors.from_colors` converts it to labels.

    Parameters
    ----------
    path : path
        PNG, BMP or TIFF. JPEG is rejected, because its compression changes colors.

    Returns
    -------
    uint8 array, shape (H, W, 3), or (H, W, 4) if the file has an alpha channel

    Raises
    ------
    InputError
        "color-mask-pages", "color-mask-dtype", "color-mask-jpeg", or an error of `hsn.rasters.decode`.

    Examples
    --------
    >>> import tempfile
    >>> from hsn.images.read import write
    >>> path = Path(tempfile.mkdtemp()) / "mask.png"
    >>> write(path, np.array([[[0, 0, 128]]], np.uint8))
    >>> read_color_mask(path).tolist()
    [[[0, 0, 128]]]
    """
    raster = _decode_one_page(path, "color-mask-pages")
    if raster.bits > 8 or raster.pixels.dtype != np.uint8 or raster.model not in ("gray", "palette", "rgb"):
        raise InputError(
            "color-mask-dtype",
            f"{path} must have 8 bits per channel, gray or RGB",
            got=f"{raster.model}, {raster.bits} bits, {raster.pixels.dtype}",
            hint="read instances and 16-bit labels with read_labels",
        )
    if raster.lossy:
        raise InputError(
            "color-mask-jpeg",
            f"{path} must be in a lossless format",
            got="JPEG",
            hint="export the mask as PNG",
        )
    rgb = shown_rgb(raster)
    return rgb if raster.alpha is None else np.dstack([rgb, raster.alpha])


def write_labels(path: str | PathLike[str], labels: npt.ArrayLike) -> None:
    """Write labels or instances without loss: 8 bits if the values fit, else 16-bit PNG or TIFF, or 32-bit TIFF.

    Parameters
    ----------
    path : path
        `.png` (up to 65535), `.tif` or `.tiff` (up to 2^31 - 1), or `.bmp` (up to 255).
    labels : int or bool array, shape (H, W)
        Values from 0.

    Raises
    ------
    InputError
        "labels-dtype", "file-suffix", or "labels-too-large" if the values do not fit the format.

    Examples
    --------
    >>> write_labels("a.bmp", np.array([[300]]))
    Traceback (most recent call last):
        ...
    hsn.errors.InputError: labels in a.bmp must be 0 to 255; got 0 to 300; write a .png file.
    """
    path, labels = Path(path), np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "biu" or labels.size == 0:
        raise InputError(
            "labels-dtype",
            "`labels` must be integers or bool (height, width), not empty",
            got=f"{labels.dtype} {labels.shape}",
            hint="write images with hsn.images.read.write",
        )
    suffix = path.suffix.lower()
    if suffix not in RASTERS:
        raise InputError(
            "file-suffix",
            f"{path} must end in .png, .tif, .tiff or .bmp",
            got=suffix or "no suffix",
            hint="write a .png file",
        )
    largest, smallest = int(labels.max()), min(0, int(labels.min()))
    limit = {".bmp": 255, ".png": MAX_PNG_LABEL}.get(suffix, _MAX_LABEL)
    if smallest < 0 or largest > limit:
        hint = "write a .png file" if largest <= MAX_PNG_LABEL else "write a .tif file"
        hint = "number instances from 1 without gaps" if smallest < 0 or largest > _MAX_LABEL else hint
        raise InputError(
            "labels-too-large",
            f"labels in {path} must be 0 to {limit}",
            got=f"{smallest} to {largest}",
            hint=hint,
        )
    with atomic_write(path) as temporary:
        if largest > MAX_PNG_LABEL:
            # All TIFF readers support deflate; not all support OpenCV's LZW with predictor.
            Image.fromarray(labels.astype(np.int32)).save(temporary, "TIFF", compression="tiff_adobe_deflate")
            return
        written, content = cv2.imencode(suffix, labels.astype(np.uint8 if largest <= 255 else np.uint16))
        if not written:
            raise OSError(f"OpenCV could not encode {suffix}")
        temporary.write_bytes(content.tobytes())
