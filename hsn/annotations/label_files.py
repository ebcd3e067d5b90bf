"""Read and write label images, and read color masks."""

from os import PathLike
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import InputError
from ..files import atomic_write

RASTERS = (".png", ".bmp", ".tif", ".tiff")  # lossless formats of label images
MAX_PNG_LABEL = 65535  # PNG stores at most 16 bits per value
_MAX_LABEL = 2**31 - 1  # int32


def read_labels(path: str | PathLike[str]) -> np.ndarray:
    """Read a label image: one integer per pixel.

    A color file with three equal channels is read as one channel, because HistoSegNet stores gland ids this way.

    Parameters
    ----------
    path : path
        8- or 16-bit PNG, BMP or TIFF, or 32-bit TIFF.

    Returns
    -------
    int32 array, shape (H, W)
        Stored values. A 1-bit file gives 0 and 255.

    Raises
    ------
    InputError
        "file-unreadable", "image-damaged", "labels-in-color", "labels-dtype" or "labels-too-large".

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "glands.png"
    >>> write_labels(path, np.array([[0, 1], [2, 300]]))
    >>> read_labels(path).tolist()
    [[0, 1], [2, 300]]
    """
    stored = _decode(path)
    if stored.ndim == 3:
        stored = stored[..., :3]
        if (stored != stored[..., :1]).any():
            raise InputError(
                "labels-in-color",
                f"{path} must store one number per pixel",
                got="channels that differ",
                hint="read color masks with read_color_mask and from_colors",
            )
        stored = stored[..., 0]
    if stored.dtype.kind not in "iu":
        raise InputError(
            "labels-dtype",
            f"{path} must store integers",
            got=stored.dtype,
            hint="store labels as 8- or 16-bit PNG, or as TIFF",
        )
    if stored.dtype.itemsize > 2 and stored.max() > _MAX_LABEL:
        raise InputError(
            "labels-too-large",
            f"labels in {path} must be at most {_MAX_LABEL}",
            got=stored.max(),
            hint="number instances from 1 without gaps",
        )
    return stored.astype(np.int32)


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
        "file-unreadable", "image-damaged", "color-mask-dtype" or "color-mask-jpeg".

    Examples
    --------
    >>> import tempfile
    >>> from hsn.images.read import write
    >>> path = Path(tempfile.mkdtemp()) / "mask.png"
    >>> write(path, np.array([[[0, 0, 128]]], np.uint8))
    >>> read_color_mask(path).tolist()
    [[[0, 0, 128]]]
    """
    stored = _decode(path)
    if stored.dtype != np.uint8:
        raise InputError(
            "color-mask-dtype",
            f"{path} must have 8 bits per channel",
            got=stored.dtype,
            hint="read instances and 16-bit labels with read_labels",
        )
    if Path(path).read_bytes()[:3] == b"\xff\xd8\xff":
        raise InputError(
            "color-mask-jpeg",
            f"{path} must be in a lossless format",
            got="JPEG",
            hint="export the mask as PNG",
        )
    if stored.ndim == 2:
        stored = np.repeat(stored[..., None], 3, axis=2)  # (H, W, 3)
    order = [2, 1, 0, 3][: stored.shape[2]]  # OpenCV stores BGR
    return np.ascontiguousarray(stored[..., order])


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


def _decode(path: str | PathLike[str]) -> np.ndarray:
    """Decode an image file unchanged; channels in OpenCV's order."""
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            "file-unreadable",
            f"{path} must be an image file",
            got=error.strerror,
            hint="check the path and its permissions",
        ) from None
    try:
        stored = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if content else None
    except cv2.error:  # raised by OpenCV for images that are too large
        stored = None
    if stored is None:
        raise InputError(
            "image-damaged",
            f"{path} must be a complete PNG, BMP or TIFF of moderate size",
            got=f"{len(content)} bytes that cannot be decoded",
            hint="export it again as PNG",
        )
    return stored
