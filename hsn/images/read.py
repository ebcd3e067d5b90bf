"""Read, write, list and resize image files.

Nets need 8-bit RGB. A color palette, an opaque alpha channel and an EXIF orientation are converted without loss.
Gray, 16-bit, CMYK and transparent images are rejected, because a silent conversion would change the stain colors.

Files are untrusted: the decoder is chosen by the first bytes, not by the file name. The size is read from the header
before any pixel is decoded.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import BmpImagePlugin, ImageFile, ImageOps, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from ..checks import as_image
from ..errors import InputError
from ..files import atomic_write

# A 100-megapixel image needs 300 MB as RGB; larger images are slides, which are read in windows.
MAX_PIXELS = 100_000_000

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")

# `Image.open` would try about forty decoders and has a global size limit; these four are called directly.
_DECODERS: dict[bytes, type[ImageFile.ImageFile]] = {
    b"\x89PNG\r\n\x1a\n": PngImagePlugin.PngImageFile,
    b"\xff\xd8\xff": JpegImagePlugin.JpegImageFile,
    b"II*\0": TiffImagePlugin.TiffImageFile,
    b"MM\0*": TiffImagePlugin.TiffImageFile,
    b"II+\0": TiffImagePlugin.TiffImageFile,  # BigTIFF
    b"MM\0+": TiffImagePlugin.TiffImageFile,
    b"BM": BmpImagePlugin.BmpImageFile,
}

# Pillow modes that cannot be converted to RGB without a guess: description and hint.
_GRAY = ("gray", "export the image in color")
_NOT_RGB = {
    **dict.fromkeys(("1", "L", "LA", "La"), _GRAY),
    **dict.fromkeys(("I", "I;16", "I;16B", "I;16L", "F"), ("gray with more than 8 bits", _GRAY[1])),
    "CMYK": ("CMYK (printing inks)", "convert it to sRGB in an image editor"),
    "LAB": ("L*a*b*", "convert it to sRGB in an image editor"),
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
        The EXIF orientation is applied. Only the first page of a file is read.

    Raises
    ------
    InputError
        "file-not-readable", "file-empty", "image-format", "image-damaged", "image-too-large", "image-not-rgb",
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
    decoder = _find_decoder(path)
    try:
        with decoder(path) as picture:
            _check_header(picture, path, max_pixels)
            rgb, opaque = _decode_rgb(picture)
    except InputError:
        raise
    except Exception as error:  # decoders raise many kinds of errors for damaged bytes
        raise InputError(
            "image-damaged",
            f"{path} must be a complete image file",
            got=f"a damaged, truncated or unusually compressed file ({str(error).rstrip('.')})",
            hint="copy or export it again",
        ) from None
    if not opaque:
        raise InputError(
            "image-transparent",
            f"{path} must be opaque",
            got="alpha below 255",
            hint="flatten it onto a background color",
        )
    if picture.mode == "P" and (rgb == rgb[..., :1]).all():
        raise InputError(
            "image-not-rgb", f"{path} must be 8-bit RGB", got="a palette of grays", hint=_GRAY[1]
        )
    return rgb


def _find_decoder(path: Path) -> type[ImageFile.ImageFile]:
    """Return the decoder that matches the first bytes of the file."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        folder = path.is_dir()
        raise InputError(
            "file-not-readable",
            f"{path} must be an image file",
            got="a folder" if folder else error.strerror,
            hint="list its images with hsn.images.read.list_images" if folder else "check the path",
        ) from None
    if not start:
        raise InputError(
            "file-empty", f"{path} must be an image file", got="0 bytes", hint="copy or export it again"
        )
    for magic, decoder in _DECODERS.items():
        if start.startswith(magic):
            return decoder
    raise InputError(
        "image-format",
        f"{path} must be a PNG, JPEG, TIFF or BMP image",
        got=f"a file that starts with {start!r}",
        hint="export it as PNG",
    )


def _check_header(picture: ImageFile.ImageFile, path: Path, max_pixels: int) -> None:
    """Raise, without decoding pixels, if the image is too large or not 8-bit color."""
    size = picture.width * picture.height
    if size > max_pixels:
        raise InputError(
            "image-too-large",
            f"{path} must have at most {max_pixels:,} pixels",
            got=f"{picture.width} x {picture.height} = {size:,}",
            hint="cut it into parts, or raise `max_pixels` if there is enough memory",
        )
    if picture.mode in _NOT_RGB:
        kind, hint = _NOT_RGB[picture.mode]
        raise InputError("image-not-rgb", f"{path} must be 8-bit RGB", got=kind, hint=hint)
    depth = _bits_per_channel(picture, path)
    if depth > 8:
        raise InputError(
            "image-bit-depth",
            f"{path} must have 8 bits per channel",
            got=f"{depth} bits",
            hint="export it with 8 bits and choose the brightness range",
        )


def _bits_per_channel(picture: ImageFile.ImageFile, path: Path) -> int:
    """Return the stored bits per channel; Pillow silently reduces 16-bit RGB to 8."""
    if picture.format == "PNG":
        with path.open("rb") as file:
            return file.read(25)[24]  # 8 bytes magic, 8 chunk head, 8 width and height, then the depth
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        return max(picture.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (8,)))
    return 8


def _decode_rgb(picture: ImageFile.ImageFile) -> tuple[np.ndarray, bool]:
    """Decode to upright RGB (H, W, 3); also return whether every pixel is opaque."""
    has_alpha = picture.mode in ("RGBA", "RGBa", "PA") or "transparency" in picture.info
    picture.load()
    upright = ImageOps.exif_transpose(picture).convert("RGBA" if has_alpha else "RGB")
    pixels = np.array(upright)
    return np.ascontiguousarray(pixels[..., :3]), not has_alpha or bool((pixels[..., 3] == 255).all())


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
        Accepted file name suffixes, lower case. Default: those of PNG, JPEG, TIFF and BMP.

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
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
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
