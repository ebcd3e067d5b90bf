"""Decode image files: the one decoder of images, label images and color masks.

Pillow decodes PNG, JPEG, BMP and most TIFF files. tifffile decodes the TIFF files that Pillow cannot store unchanged:
64 bits, several channels of 16 bits, big-endian BigTIFF. The pixels are the stored numbers; nothing is scaled,
inverted or looked up.

Files are untrusted: the format follows from the first bytes, not from the file name, and the size is read from the
header before any pixel is decoded.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import BmpImagePlugin, ImageFile, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from .errors import InputError
from .files import check_file
from .limits import IMAGE_BYTES, PAGES, READ_PIXELS

# A 100-megapixel image needs 300 MB as RGB; larger images are slides, which are read in windows.

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
TIFF_STARTS = tuple(start for start, kind in _DECODERS.items() if kind is TiffImagePlugin.TiffImageFile)
_SUBFILE, _BITS, _COMPRESSION, _PHOTOMETRIC, _DESCRIPTION = 254, 258, 259, 262, 270
_ORIENTATION, _SAMPLES, _SAMPLE_FORMAT = 274, 277, 339
_REDUCED_OR_MASK = 0b101  # bits of `_SUBFILE`: a smaller copy, or a transparency mask
_WHITE_IS_ZERO, _PALETTE, _RGB = 0, 3, 2
_SIGNED = 2
_LOSSY = (6, 7, 34712, 33003, 33005, 34892, 34933, 50001)  # JPEG, JPEG 2000, WebP
_GRAY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F")
_MODELS = {"P": "palette", "PA": "palette", "RGBA": "rgb", "RGBX": "rgb", "RGBa": "rgb"}
_NATIVE = {"I;16BS": "I;16NS", "I;32BS": "I;32NS", "F;32BF": "F;32NF"}  # raw modes of Pillow
# EXIF orientation to the operation that makes an image upright.
_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: np.rot90,
}


class _ReducedError(ValueError):
    """Pillow would reduce the numbers of a file to 8 bits, or drop channels."""


@dataclass(frozen=True)
class Raster:
    """Stored numbers of one page of an image file, upright.

    Attributes
    ----------
    pixels : array, shape (H, W) or (H, W, C)
        Gray levels, palette indices or channels without alpha. Files of 1 bit have 0 and 255.
    model : str
        "gray", "palette", "rgb", or another color model: "cmyk", "lab", "ycbcr", "channels".
    bits : int
        Stored bits per channel.
    palette : uint8 array, shape (N, 3), or None
    alpha : array, shape (H, W), or None
    white_is_zero : bool
        Whether 0 is shown white (TIFF).
    lossy : bool
        Whether the compression changes pixels.
    pages : int
        Number of pages of the file, without smaller copies.
    """

    pixels: np.ndarray
    model: str
    bits: int
    palette: np.ndarray | None = None
    alpha: np.ndarray | None = None
    white_is_zero: bool = False
    lossy: bool = False
    pages: int = 1


def decode(path: Path | str, *, max_pixels: int = READ_PIXELS) -> Raster:
    """Decode the first page of an image file.

    Parameters
    ----------
    path : path
        PNG, JPEG, TIFF or BMP.
    max_pixels : int
        Largest height times width, checked before pixels are decoded. Default: 100 million.

    Returns
    -------
    Raster

    Raises
    ------
    InputError
        "file-unreadable", "file-empty", "image-format", "image-damaged", "image-pages" or "image-too-large".

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> path = Path(tempfile.mkdtemp()) / "a.png"
    >>> Image.fromarray(np.array([[0, 9]], np.uint8)).save(path)
    >>> raster = decode(path)
    >>> raster.pixels.tolist(), raster.model, raster.bits
    ([[0, 9]], 'gray', 8)
    """
    return next(_pages(Path(path), max_pixels))


def decode_pages(
    path: Path | str, *, max_pixels: int = READ_PIXELS, page_pixels: int = READ_PIXELS
) -> list[Raster]:
    """Decode all pages of an image file, without smaller copies and transparency masks.

    Parameters
    ----------
    path : path
    max_pixels : int
        Largest number of pixels of all pages together. Default: 100 million.
    page_pixels : int
        Largest number of pixels of a page. Default: 100 million.

    Returns
    -------
    list of Raster

    Raises
    ------
    InputError
        See `decode`.
    """
    rasters: list[Raster] = []
    for raster in _pages(Path(path), min(max_pixels, page_pixels)):
        rasters.append(raster)
        total = raster.pages * max(page.pixels[..., :1].size for page in rasters)
        if total > max_pixels:
            raise _too_large(Path(path), f"{raster.pages} pages with {total:,} pixels", max_pixels)
    return rasters


def _pages(path: Path, max_pixels: int) -> Iterator[Raster]:
    """Yield the pages of a file."""
    decoder = _find_decoder(path)
    try:
        pages = _with_pillow(decoder, path, max_pixels)
        first = next(pages)
    except InputError:
        raise
    except Exception as error:  # decoders raise many kinds of errors for damaged bytes
        if decoder is not TiffImagePlugin.TiffImageFile:
            raise _damaged(path, error) from None
        pages = _with_tifffile(path, max_pixels, error)
        page = next(pages, None)
        if page is None:
            raise _damaged(path, error) from None
        first = page
    yield first
    try:
        yield from pages
    except InputError:
        raise
    except Exception as error:
        raise _damaged(path, error) from None


def _find_decoder(path: Path) -> type[ImageFile.ImageFile]:
    """Return the decoder that matches the first bytes of the file."""
    try:
        if not path.is_dir():
            check_file(path, max_bytes=IMAGE_BYTES)  # opening a pipe would wait for ever
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        folder = path.is_dir()
        raise InputError(
            "file-unreadable",
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


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        "image-damaged",
        f"{path} must be a complete image file",
        got=f"a damaged, truncated or unusually compressed file ({str(error).rstrip('.')[:200]})",
        hint="copy or export it again",
    )


def _too_large(path: Path, got: str, max_pixels: int) -> InputError:
    return InputError(
        "image-too-large",
        f"{path} must have at most {max_pixels:,} pixels",
        got=got,
        hint="cut it into parts, or raise `max_pixels` if there is enough memory",
    )


def _check_size(path: Path, height: int, width: int, max_pixels: int) -> None:
    if height * width > max_pixels:
        raise _too_large(path, f"{width} x {height} = {height * width:,}", max_pixels)


def _check_pages(path: Path, count: int) -> None:
    if count > PAGES:
        raise InputError(
            "image-pages", f"{path} must have at most {PAGES} pages", got=count, hint="split the file"
        )


# --- Pillow --------------------------------------------------------------------------------------------------------


def _with_pillow(decoder: type[ImageFile.ImageFile], path: Path, max_pixels: int) -> Iterator[Raster]:
    """Yield the pages of a file, decoded by Pillow; raise _ReducedError if Pillow would change the numbers."""
    with decoder(path) as picture:
        _check_size(path, picture.height, picture.width, max_pixels)
        numbers = _page_numbers(picture, path)
        for number in numbers:
            picture.seek(number)
            _check_size(path, picture.height, picture.width, max_pixels)
            yield _raster_of_picture(picture, path, len(numbers))


def _page_numbers(picture: Any, path: Path) -> list[int]:
    """Return the numbers of the pages that are not smaller copies or masks; the first page always counts."""
    frames = getattr(picture, "n_frames", 1)
    _check_pages(path, frames)
    if not isinstance(picture, TiffImagePlugin.TiffImageFile):
        return list(range(frames))
    size, numbers = picture.size, [0]
    for number in range(1, frames):
        picture.seek(number)
        if not picture.tag_v2.get(_SUBFILE, 0) & _REDUCED_OR_MASK and picture.size == size:
            numbers.append(number)
    picture.seek(0)
    return numbers


def _raster_of_picture(picture: Any, path: Path, pages: int) -> Raster:
    """Return the stored numbers of the current page."""
    tags = picture.tag_v2 if isinstance(picture, TiffImagePlugin.TiffImageFile) else {}
    bits = _bits(picture, path, tags)
    if bits > 8 and picture.mode not in _GRAY_MODES[4:]:
        if not tags:  # PNG of 16 bits: Pillow keeps the upper 8; callers check `bits`
            return Raster(np.zeros((picture.height, picture.width, 3), np.uint8), "rgb", bits, pages=pages)
        raise _ReducedError(f"{bits} bits")
    if picture.mode in _GRAY_MODES and tags.get(_SAMPLES, 1) > len(picture.getbands()):
        raise _ReducedError(f"{tags[_SAMPLES]} channels")
    keyed = "transparency" in picture.info and picture.mode in ("RGB", "P")
    picture.tile = [_native(tile) for tile in picture.tile]
    picture.load()
    orientation = picture.getexif().get(_ORIENTATION, 1)  # Pillow turns TIFF files while it loads them
    pixels, alpha = np.asarray(picture), None
    if picture.mode == "1":
        pixels = pixels.astype(np.uint8) * 255
    if keyed:
        alpha = np.asarray(picture.convert("RGBA"))[..., 3]
    elif picture.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        pixels, alpha = pixels[..., :-1], pixels[..., -1]
        pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    elif picture.mode == "RGBX":
        pixels = pixels[..., :3]
    gray = picture.mode in _GRAY_MODES
    white_is_zero = gray and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    if gray and pixels.dtype == np.uint8:
        pixels = _stored(pixels, bits, inverted=white_is_zero, signed=_SIGNED in tags.get(_SAMPLE_FORMAT, ()))
    elif picture.mode == "I" and bits == 32 and tags and _SIGNED not in tags.get(_SAMPLE_FORMAT, ()):
        pixels = pixels.view(np.uint32)
    palette = picture.getpalette("RGB") if picture.mode in ("P", "PA") else None
    return Raster(
        _upright(pixels, orientation),
        "gray" if gray else _MODELS.get(picture.mode, picture.mode.lower()),
        bits,
        None if palette is None else np.array(palette, np.uint8).reshape(-1, 3),
        None if alpha is None else _upright(alpha, orientation),
        white_is_zero,
        picture.format == "JPEG" or tags.get(_COMPRESSION, 1) in _LOSSY,
        pages,
    )


def _native(tile: Any) -> Any:
    """Return a tile in the byte order that libtiff gives; Pillow would swap signed and float numbers again."""
    if tile[0] != "libtiff" or tile[3][0] not in _NATIVE:
        return tile
    return (*tile[:3], (_NATIVE[tile[3][0]], *tile[3][1:]))


def _bits(picture: Any, path: Path, tags: Any) -> int:
    """Return the stored bits per channel; Pillow reduces 16-bit RGB to 8."""
    if picture.format == "PNG":
        with path.open("rb") as file:
            return file.read(25)[24]  # 8 bytes magic, 8 chunk head, 8 width and height, then the depth
    if tags:
        return max(tags.get(_BITS, (1,)))
    return 1 if picture.mode == "1" else 8


def _stored(levels: np.ndarray, bits: int, *, inverted: bool, signed: bool) -> np.ndarray:
    """Undo what Pillow does to gray levels: inversion, scaling of 2 and 4 bits, the lost sign of 8."""
    if inverted:
        levels = 255 - levels
    if bits in (2, 4):
        return levels // (255 // (2**bits - 1))
    return levels.view(np.int8) if signed and bits == 8 else levels


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    return np.ascontiguousarray(_UPRIGHT.get(orientation, lambda a: a)(pixels))


# --- tifffile ------------------------------------------------------------------------------------------------------


def _with_tifffile(path: Path, max_pixels: int, first_error: Exception) -> Iterator[Raster]:
    """Yield the pages of a TIFF that Pillow cannot decode; `first_error` is Pillow's."""
    import tifffile

    logger = logging.getLogger("tifffile")
    silenced, logger.disabled = logger.disabled, True
    try:
        with tifffile.TiffFile(path) as file:
            _check_pages(path, len(file.pages))
            pages = [page.aspage() for page in file.pages]
            pages = pages[:1] + [
                page
                for page in pages[1:]
                if not int(page.subfiletype) & _REDUCED_OR_MASK and page.shape == pages[0].shape
            ]
            for page in pages:
                _check_size(path, page.imagelength * page.imagedepth, page.imagewidth, max_pixels)
                yield _raster_of_page(page, len(pages))
    except InputError:
        raise
    except Exception as error:
        if isinstance(first_error, _ReducedError):
            raise InputError(
                "image-bit-depth",
                f"{path} must be 8-bit gray or RGB, or have a compression that keeps all numbers",
                got=first_error,
                hint="export it with 8 bits and choose the brightness range",
            ) from None
        why = first_error if isinstance(error, tifffile.TiffFileError) else error
        raise _damaged(path, why) from None
    finally:
        logger.disabled = silenced


def _raster_of_page(page: Any, pages: int) -> Raster:
    """Return the stored numbers of a page of tifffile."""
    if int(page.compression) in _LOSSY and page.dtype != np.uint8:
        raise ValueError("lossy compression of more than 8 bits")
    pixels = page.asarray()
    if page.samplesperpixel > 1 and page.planarconfig == 2:
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim not in (2, 3) or pixels.shape[:2] != (page.imagelength, page.imagewidth):
        raise ValueError(f"pixels of shape {pixels.shape}")
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * 255
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    photometric, alpha = int(page.photometric), None
    colors = 3 if photometric == _RGB else 1
    if pixels.ndim == 3 and pixels.shape[2] == colors + 1 and set(page.extrasamples) & {1, 2}:
        pixels, alpha = pixels[..., :colors], pixels[..., colors]
        pixels = pixels[..., 0] if colors == 1 else pixels
    gray = "gray" if pixels.ndim == 2 else "channels"
    rgb = "rgb" if pixels.shape[2:] == (3,) else "channels"
    model = {_WHITE_IS_ZERO: gray, 1: gray, _PALETTE: "palette", _RGB: rgb}.get(photometric, "channels")
    palette = None if page.colormap is None else (page.colormap.T >> 8).astype(np.uint8)
    orientation = int(page.tags.valueof(_ORIENTATION, 1))
    return Raster(
        _upright(pixels, orientation),
        model,
        int(np.max(page.bitspersample)),
        palette if model == "palette" else None,
        None if alpha is None else _upright(alpha, orientation),
        photometric == _WHITE_IS_ZERO,
        int(page.compression) in _LOSSY,
        pages,
    )


# --- Colors --------------------------------------------------------------------------------------------------------


def shown_rgb(raster: Raster) -> np.ndarray:
    """Return the colors that a viewer shows, uint8 (H, W, 3), of a gray, palette or RGB raster of up to 8 bits.

    Examples
    --------
    >>> shown_rgb(Raster(np.array([[0, 3]], np.uint8), "gray", 2)).tolist()
    [[[0, 0, 0], [255, 255, 255]]]
    """
    pixels = raster.pixels
    if raster.palette is not None:
        colors = np.zeros((256, 3), np.uint8)
        colors[: len(raster.palette)] = raster.palette[:256]
        return colors[pixels]
    if pixels.ndim == 2:
        levels = pixels * np.uint8(255 // (2**raster.bits - 1)) if raster.bits in (2, 4) else pixels
        levels = 255 - levels if raster.white_is_zero else levels
        return np.repeat(levels[..., None], 3, axis=2)
    return pixels
