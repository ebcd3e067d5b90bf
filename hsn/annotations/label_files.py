"""Files of truth: label images, instance images and colour masks, as annotation tools store them."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ..errors import refuse
from ..files import atomic_write

RASTERS = (".png", ".bmp", ".tif", ".tiff")  # what label images are stored as: nothing that changes numbers
MOST_IN_PNG = 65535  # PNG has 16 bits a number at most
_MOST = 2**31 - 1  # of int32, in which labels are held


def read_labels(path):
    """Read a label or instance image: one whole number a pixel.

    A colour file with three equal channels counts as one channel, because HistoSegNet stores gland ids so.

    Parameters
    ----------
    path : path
        An 8- or 16-bit PNG, BMP or TIFF, or a 32-bit TIFF.

    Returns
    -------
    int32 array, shape (H, W)
        The stored numbers. A 1-bit file gives 0 and 255.

    Raises
    ------
    InputError
        If the file is missing, is no image, holds colours, numbers with a fraction, or numbers from 2^31 on.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "glands.png"
    >>> write_labels(path, np.array([[0, 1], [2, 300]]))
    >>> read_labels(path).tolist()
    [[0, 1], [2, 300]]
    """
    stored = _decoded(path)
    if stored.ndim == 3:
        stored = stored[..., :3]
        if (stored != stored[..., :1]).any():
            refuse(f"{path} holds colours, not labels", expected="one number a pixel",
                   received="channels that differ",
                   remedy="read it with read_color_mask and name its taxonomy in from_colors")  # fmt: skip
        stored = stored[..., 0]
    if stored.dtype.kind not in "iu":
        refuse(f"{path} holds no labels", expected="whole numbers", received=str(stored.dtype),
               remedy="store labels as 8- or 16-bit PNG, or as TIFF")  # fmt: skip
    if stored.dtype.itemsize > 2 and stored.max() > _MOST:
        refuse(f"{path} holds larger numbers than labels have", expected=f"at most {_MOST}", received=stored.max(),
               remedy="number objects from 1 without gaps")  # fmt: skip
    return stored.astype(np.int32)


def read_color_mask(path):
    """Read a colour mask as it is stored; the colours are matched by `hsn.annotations.colors.from_colors`.

    Parameters
    ----------
    path : path
        A PNG, BMP or TIFF. JPEG is refused: it smears colours, so that none would match.

    Returns
    -------
    uint8 array, shape (H, W, 3), or (H, W, 4) where the file has transparency

    Raises
    ------
    InputError
        If the file is missing, is no image, is a JPEG, or is not 8-bit.

    Examples
    --------
    >>> import tempfile
    >>> from hsn.images.read import write
    >>> path = Path(tempfile.mkdtemp()) / "mask.png"
    >>> write(path, np.array([[[0, 0, 128]]], np.uint8))
    >>> read_color_mask(path).tolist()
    [[[0, 0, 128]]]
    """
    stored = _decoded(path)
    if stored.dtype != np.uint8:
        refuse(f"{path} is no colour mask", expected="8 bits a channel", received=str(stored.dtype),
               remedy="read instances and 16-bit labels with read_labels")  # fmt: skip
    if Path(path).read_bytes()[:3] == b"\xff\xd8\xff":
        refuse(f"{path} is no colour mask", expected="a format that keeps colours exactly",
               received="JPEG", remedy="export the mask as PNG")  # fmt: skip
    if stored.ndim == 2:
        stored = np.repeat(stored[..., None], 3, axis=2)  # (H, W, 3)
    order = [2, 1, 0, 3][: stored.shape[2]]  # OpenCV keeps blue first
    return np.ascontiguousarray(stored[..., order])


def write_labels(path, labels):
    """Write labels or instances with no loss: 8-bit where the numbers fit, 16-bit PNG or TIFF, or 32-bit TIFF.

    Parameters
    ----------
    path : path
        `.png`, `.tif`, `.tiff`, or, up to 255, `.bmp`.
    labels : int or bool array, shape (H, W)
        Numbers from 0: to 65535 in a PNG, to 2^31 - 1 in a TIFF.

    Raises
    ------
    InputError
        If the numbers do not fit into the format, rather than being cut off.

    Examples
    --------
    >>> write_labels("a.bmp", np.array([[300]]))
    Traceback (most recent call last):
        ...
    hsn.errors.InputError: a.bmp cannot hold these labels; expected 0 to 255, received 0 to 300; write a .png.
    """
    path, labels = Path(path), np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "biu" or labels.size == 0:
        refuse("only a label image can be written as labels", expected="whole numbers (height, width)",
               received=f"{labels.dtype} {labels.shape}", remedy="write pictures as images")  # fmt: skip
    suffix = path.suffix.lower()
    if suffix not in (".png", ".tif", ".tiff", ".bmp"):
        refuse(f"{path} names no format that keeps labels", expected=".png, .tif, .tiff or .bmp",
               received=suffix or "no suffix", remedy="write a .png")  # fmt: skip
    largest, smallest = int(labels.max()), min(0, int(labels.min()))
    limit = {".bmp": 255, ".png": MOST_IN_PNG}.get(suffix, _MOST)
    if smallest < 0 or largest > limit:
        remedy = "write a .png" if largest <= MOST_IN_PNG else "write a .tif"
        remedy = "number objects from 1 without gaps" if smallest < 0 or largest > _MOST else remedy
        refuse(f"{path} cannot hold these labels", expected=f"0 to {limit}",
               received=f"{smallest} to {largest}", remedy=remedy)  # fmt: skip
    with atomic_write(path) as temporary:
        if largest > MOST_IN_PNG:
            # Deflate: readers of TIFF have it everywhere, OpenCV's LZW with its predictor they do not.
            Image.fromarray(labels.astype(np.int32)).save(temporary, "TIFF", compression="tiff_adobe_deflate")
            return
        written, content = cv2.imencode(suffix, labels.astype(np.uint8 if largest <= 255 else np.uint16))
        if not written:
            raise OSError(f"OpenCV could not encode {suffix}")
        temporary.write_bytes(content.tobytes())


def _decoded(path):
    """Whatever numbers the file stores, in OpenCV's order of channels."""
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        refuse(f"{path} cannot be read", expected="an image file", received=error.strerror,
               remedy="check the path and its permissions")  # fmt: skip
    try:
        stored = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if content else None
    except cv2.error:  # OpenCV's own guard against images too large to hold
        stored = None
    if stored is None:
        refuse(f"{path} cannot be read as an image", expected="a whole PNG, BMP or TIFF of moderate size",
               received=f"{len(content)} bytes that do not decode",
               remedy="export it again as PNG")  # fmt: skip
    return stored
