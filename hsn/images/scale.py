"""Find the scale of an image: given, in the file's metadata, or assumed."""

import math
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import TiffImagePlugin

from ..checks import as_mpp
from ..limits import DESCRIPTION_CHARS, MAX_MPP, MIN_MPP
from ..rasters import TIFF_STARTS

_DESCRIPTION, _X, _Y, _UNIT = 270, 282, 283, 296  # TIFF tags
_UM_PER_UNIT = {2: 25_400.0, 3: 10_000.0}  # of the TIFF tag ResolutionUnit: inch, centimeter
_UM = {"nm": 1e-3, "um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "mm": 1e3, "cm": 1e4}
_SAME = 0.01  # relative difference of the two axes that is rounding


@dataclass(frozen=True)
class Scale:
    """Micrometers per pixel of an image, and where the number comes from.

    Attributes
    ----------
    mpp : float
    source : {"given", "metadata", "assumed"}
        By the user, from the file, or the net's default.

    Examples
    --------
    >>> str(Scale(0.25, "metadata"))
    '0.25 um/px, from the metadata'
    """

    mpp: float
    source: str

    def __str__(self) -> str:
        words = {"given": "as given", "metadata": "from the metadata", "assumed": "assumed"}
        return f"{self.mpp:.4g} um/px, {words[self.source]}"


def find_scale(image: object, mpp: float | None, *, default: float) -> Scale:
    """Return the scale of an image.

    Parameters
    ----------
    image : path or array
    mpp : float or None
        Micrometers per pixel that the user gave.
    default : float
        What is assumed if neither the user nor the file gives it.

    Raises
    ------
    InputError
        "mpp-range".

    Examples
    --------
    >>> find_scale(None, None, default=0.5).source
    'assumed'
    """
    if mpp is not None:
        return Scale(as_mpp(mpp), "given")
    found = read_mpp(image) if isinstance(image, str | Path) else None
    return Scale(default, "assumed") if found is None else Scale(found, "metadata")


def read_mpp(path: str | Path) -> float | None:
    """Read micrometers per pixel from the metadata of a TIFF, SVS or OME-TIFF file.

    Parameters
    ----------
    path : path

    Returns
    -------
    float or None
        None if the file has no scale of 0.05 to 10 um/px, is not square-pixeled or is not a TIFF. The resolution of
        PNG and JPEG files is not used: it is that of a screen or printer.

    Examples
    --------
    >>> read_mpp("missing.png") is None
    True
    """
    try:
        with open(path, "rb") as file:
            if file.read(4) not in TIFF_STARTS:
                return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of damaged tags
            with TiffImagePlugin.TiffImageFile(path) as picture:
                tags = picture.tag_v2
                text = tags.get(_DESCRIPTION) or ""
                text = text[:DESCRIPTION_CHARS] if isinstance(text, str) else ""
                found = _of_ome(text) or _of_aperio(text) or _of_tags(tags, text)
    # Decoders raise many kinds of errors for damaged bytes; reading the image names the fault.
    except Exception:
        return None
    if not found or not all(map(math.isfinite, found)):
        return None
    x, y = found
    square = abs(x - y) <= _SAME * max(x, y)
    return x if square and MIN_MPP <= x <= MAX_MPP else None


def _of_aperio(text: str) -> tuple[float, float] | None:
    """Return the scale of an Aperio description: "...|MPP = 0.4990|..."."""
    found = re.search(r"\|\s*MPP\s*=\s*([0-9.eE+-]+)", text)
    return None if found is None else (float(found[1]),) * 2


def _of_ome(text: str) -> tuple[float, float] | None:
    """Return the scale of OME-XML, without parsing XML: of the first element `Pixels`."""
    element = re.search(r"<(?:\w+:)?Pixels\b[^>]*>", text)
    if element is None:
        return None
    sizes = []
    for axis in "XY":
        size = re.search(rf'\bPhysicalSize{axis}\s*=\s*["\']([0-9.eE+-]+)["\']', element[0])
        unit = re.search(rf'\bPhysicalSize{axis}Unit\s*=\s*["\']([^"\']+)["\']', element[0])
        if size is None or (unit is not None and unit[1] not in _UM):
            return None
        sizes.append(float(size[1]) * (_UM[unit[1]] if unit else 1.0))  # OME's default is um
    return sizes[0], sizes[1]


def _of_tags(tags: TiffImagePlugin.ImageFileDirectory_v2, text: str) -> tuple[float, float] | None:
    """Return the scale of the TIFF tags; ImageJ writes its unit into the description."""
    if _X not in tags or _Y not in tags:
        return None
    unit = re.search(r"^unit=(\S+)", text, re.MULTILINE) if text.startswith("ImageJ=") else None
    if unit is not None:
        name = unit[1].replace("\\u00B5", "µ")
        um = _UM.get(name)
    else:
        um = _UM_PER_UNIT.get(int(tags.get(_UNIT, 2)))
    x, y = float(tags[_X]), float(tags[_Y])
    return None if um is None or min(x, y) <= 0 else (um / x, um / y)
