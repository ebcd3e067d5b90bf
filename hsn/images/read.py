"""Image files to arrays and back, and arrays to another size.

What a net sees is 8-bit RGB. A file that says the same in another form (a colour palette, an opaque alpha
channel, a turned camera) is converted; one that says something else (grey, 16 bits, printing inks,
transparency) is refused, because every silent conversion of it would be a guess about colour, and stain is
colour.

Files come from outside: the format is told by the first bytes, never by the name, and the size is read from
the header before any pixel is decoded.
"""

from pathlib import Path

import cv2
import numpy as np
from PIL import BmpImagePlugin, ImageOps, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from ..checks import as_image
from ..errors import InputError, refuse
from ..files import atomic_write

# A 100-megapixel image is 300 MB of RGB; larger ones are slides, which are read in windows.
MAX_PIXELS = 100_000_000

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")

# `Image.open` would try some forty decoders and judge size by a global; these four are asked by name.
_DECODERS = {
    b"\x89PNG\r\n\x1a\n": PngImagePlugin.PngImageFile,
    b"\xff\xd8\xff": JpegImagePlugin.JpegImageFile,
    b"II*\0": TiffImagePlugin.TiffImageFile,
    b"MM\0*": TiffImagePlugin.TiffImageFile,
    b"II+\0": TiffImagePlugin.TiffImageFile,  # BigTIFF
    b"MM\0+": TiffImagePlugin.TiffImageFile,
    b"BM": BmpImagePlugin.BmpImageFile,
}

# Pillow's mode of what cannot become RGB without a guess, what it is, and what to do about it.
_GREY = ("grey", "export the image in colour")
_NOT_RGB = {
    **dict.fromkeys(("1", "L", "LA", "La"), _GREY),
    **dict.fromkeys(("I", "I;16", "I;16B", "I;16L", "F"), ("grey with more than 8 bits", _GREY[1])),
    "CMYK": ("CMYK (printing inks)", "convert it to sRGB in an image editor"),
    "LAB": ("L*a*b*", "convert it to sRGB in an image editor"),
}


def read(path, *, max_pixels=MAX_PIXELS):
    """Read an image file as 8-bit RGB.

    Parameters
    ----------
    path : path
        A PNG, JPEG, TIFF or BMP, whatever its name ends in.
    max_pixels : int
        Largest height times width to decode. The header is asked first, so a file that unpacks to more than
        the machine holds costs nothing.

    Returns
    -------
    uint8 array, shape (H, W, 3)
        Upright (the EXIF orientation is applied). Of a file with several pages, the first.

    Raises
    ------
    InputError
        If the file is missing, a folder, empty, damaged, no image, too large, grey, transparent, not 8-bit,
        or not RGB; the message says which and what to do.

    Notes
    -----
    Colour profiles are not applied: nets of this field are trained on the stored numbers.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "pixel.png"
    >>> write(path, np.array([[[200, 100, 150]]], np.uint8))
    >>> read(path).tolist()
    [[[200, 100, 150]]]
    """
    path = Path(path)
    decoder = _decoder(path)
    try:
        with decoder(path) as picture:
            _check(picture, path, max_pixels)
            rgb, opaque = _rgb(picture)
    except InputError:
        raise
    except Exception as error:  # a decoder given damaged bytes may raise anything
        refuse(f"{path} cannot be decoded", expected="a whole image file",
               received=f"one that is damaged, cut off or oddly compressed ({str(error).rstrip('.')})",
               remedy="copy or export it again")  # fmt: skip
    if not opaque:
        refuse(f"{path} is partly transparent", expected="an opaque image", received="alpha below 255",
               remedy="flatten it onto the background that you mean")  # fmt: skip
    if picture.mode == "P" and (rgb == rgb[..., :1]).all():
        refuse(f"{path} is not an RGB image", expected="8-bit RGB", received="a palette of greys",
               remedy=_GREY[1])  # fmt: skip
    return rgb


def _decoder(path):
    """The decoder for the file's first bytes; refuses what has none."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        what = "is a folder" if path.is_dir() else "is missing" if not path.exists() else "cannot be opened"
        received = "a folder" if path.is_dir() else error.strerror
        remedy = "list its images with hsn.images.read.paths" if path.is_dir() else "mend the path"
        refuse(f"{path} {what}", expected="an image file", received=received, remedy=remedy)
    if not start:
        refuse(f"{path} is empty", expected="an image file", received="0 bytes",
               remedy="copy or export it again")  # fmt: skip
    for magic, decoder in _DECODERS.items():
        if start.startswith(magic):
            return decoder
    refuse(f"{path} is not an image that can be read", expected="a PNG, JPEG, TIFF or BMP",
           received=f"a file that starts with {start!r}", remedy="export it as PNG")  # fmt: skip


def _check(picture, path, max_pixels):
    """Refuse, by its header alone, a picture that is too large or not 8-bit colour."""
    size = picture.width * picture.height
    if size > max_pixels:
        refuse(f"{path} is too large to read at once", expected=f"at most {max_pixels:,} pixels",
               received=f"{picture.width} x {picture.height} = {size:,}",
               remedy="cut it into parts, or raise `max_pixels` if the memory is there")  # fmt: skip
    if picture.mode in _NOT_RGB:
        kind, remedy = _NOT_RGB[picture.mode]
        refuse(f"{path} is not an RGB image", expected="8-bit RGB", received=kind, remedy=remedy)
    depth = _bits(picture, path)
    if depth > 8:
        refuse(f"{path} is not an 8-bit image", expected="8 bits a channel", received=f"{depth} bits",
               remedy="export it with 8 bits, choosing the brightness range yourself")  # fmt: skip


def _bits(picture, path):
    """Bits a channel as stored: Pillow itself cuts 16-bit RGB to 8 without a word."""
    if picture.format == "PNG":
        with path.open("rb") as file:
            return file.read(25)[24]  # 8 magic, 8 chunk head, width, height, then the depth
    if picture.format == "TIFF":
        return max(picture.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (8,)))
    return 8


def _rgb(picture):
    """Decode to upright RGB (H, W, 3), and whether nothing in it is transparent."""
    may_hide = picture.mode in ("RGBA", "RGBa", "PA") or "transparency" in picture.info
    picture.load()
    upright = ImageOps.exif_transpose(picture).convert("RGBA" if may_hide else "RGB")
    pixels = np.array(upright)
    return np.ascontiguousarray(pixels[..., :3]), not may_hide or bool((pixels[..., 3] == 255).all())


def write(path, image):
    """Write an image without loss; a crash leaves the old file or the new one.

    Parameters
    ----------
    path : path
        Where to; it ends in `.png` or `.bmp`. Missing folders are made.
    image : uint8 array, shape (H, W, 3)
        RGB.

    Raises
    ------
    InputError
        If the suffix is another, the image is not 8-bit RGB, or the place cannot be written to.

    Examples
    --------
    >>> write("a.jpg", np.zeros((1, 1, 3), np.uint8))
    Traceback (most recent call last):
        ...
    hsn.errors.InputError: a.jpg names no lossless format; expected .png or .bmp, received '.jpg'; write a .png.
    """
    path, image = Path(path), as_image(image)
    suffix = path.suffix.lower()
    if suffix not in (".png", ".bmp"):
        refuse(f"{path} names no lossless format", expected=".png or .bmp", received=repr(path.suffix),
               remedy="write a .png")  # fmt: skip
    with atomic_write(path) as temporary:
        encoded = cv2.imencode(suffix, image[..., ::-1])[1]  # OpenCV keeps blue first
        temporary.write_bytes(encoded.tobytes())


def paths(folder, *, suffixes=SUFFIXES):
    """Image files of a folder, sorted by name; of a file, itself.

    Parameters
    ----------
    folder : path
        A folder (its subfolders are left alone) or one file.
    suffixes : sequence of str
        What names of such files end in, as ".png".

    Returns
    -------
    list of pathlib.Path
        Files that end like images and are not hidden. A single file is returned whatever its name.

    Raises
    ------
    InputError
        If there is no such folder or it holds no image.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("b.png", "a.JPG", "notes.txt"):
    ...     (folder / name).touch()
    >>> [path.name for path in paths(folder)]
    ['a.JPG', 'b.png']
    """
    folder = Path(folder)
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        refuse(f"{folder} is missing", expected="a folder of images or one image", received="nothing there",
               remedy="mend the path")  # fmt: skip
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
    )
    if not found:
        refuse(f"{folder} holds no image", expected=f"files that end in {', '.join(suffixes)}",
               received=f"{len(list(folder.iterdir()))} other entries",
               remedy="give the folder that the images lie in")  # fmt: skip
    return found


def resample(image, shape):
    """Resize by bilinear interpolation: half-pixel centres, edges repeated, no smoothing before shrinking.

    This is the resampling of the HistoSegNet release (OpenCV's `INTER_LINEAR`), on which its numbers rest;
    Keras' ``image.resize(..., antialias=False)`` agrees. Shrinking far below one half skips pixels.

    Parameters
    ----------
    image : uint8 or float array, shape (H, W) or (H, W, C)
        At most 512 channels.
    shape : (int, int)
        Wanted height and width.

    Returns
    -------
    array of the same dtype, shape `shape` or `shape` + (C,)
        uint8 is rounded to nearest.

    Raises
    ------
    InputError
        If the array is no image, of another dtype, or a wanted side is below 1.

    Examples
    --------
    >>> resample(np.array([[0.0, 4.0]]), (1, 4)).tolist()
    [[0.0, 1.0, 3.0, 4.0]]
    """
    image, (height, width) = np.asarray(image), shape
    if image.ndim not in (2, 3) or image.size == 0 or image.dtype not in (np.uint8, np.float32, np.float64):
        refuse("`image` cannot be resampled", expected="uint8, float32 or float64 (H, W) or (H, W, C)",
               received=f"{image.dtype} {image.shape}", remedy="convert it to float32 first")  # fmt: skip
    if min(height, width) < 1:
        refuse("`shape` must be an image's", expected="height and width of at least 1", received=tuple(shape),
               remedy="ask for a larger image")  # fmt: skip
    resized = cv2.resize(image, (int(width), int(height)), interpolation=cv2.INTER_LINEAR)
    return resized.reshape(height, width, *image.shape[2:])  # OpenCV drops a single channel
