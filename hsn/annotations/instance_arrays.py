"""Read label images from NumPy (`.npy`), MATLAB (`.mat`), OME-Zarr and DICOM Segmentation; nothing is unpickled."""

import itertools
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from .. import matlab
from ..checks import require
from ..errors import InputError
from ..files import check_file, first_line, read_bytes
from ..limits import ARRAY_BYTES, READ_PIXELS
from .cellpose import read_masks
from .zarr_chunks import check_chunks

_MATLAB_NAMES = ("inst_map", "instance_map", "instances", "label_map", "labels")
_SEARCHED_BYTES = 2**20  # of the metadata of a Zarr store
_ZARR_LABELS = ("objects", "instances", "nuclei", "cells", "labels", "classes")


def read_npy(path: Path | str) -> np.ndarray:
    """Read a label image from a `.npy` file, also the masks in `_seg.npy` of Cellpose.

    Returns
    -------
    int array (H, W)

    Raises
    ------
    InputError
        "array-pickled" for other Python objects, which are not loaded; "array-damaged"; "label-image-invalid" for other
        shapes and types; "image-too-large".

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.npy"
    >>> np.save(path, np.array([[0, 2]]))
    >>> read_npy(path).tolist()
    [[0, 2]]
    """
    check_file(path, max_bytes=ARRAY_BYTES)
    try:
        stored = np.lib.format.open_memmap(path, mode="r")  # checks that the file holds what its header says
    except ValueError as error:
        if "dtype('O')" in str(error) or "objects" in str(error).lower():
            return _as_labels(_read_pickled(path), path)
        raise _damaged(path, error) from None
    except (OSError, EOFError, SyntaxError, MemoryError, OverflowError, TypeError) as error:
        raise _damaged(path, error) from None
    return _as_labels(stored, path)


def _read_pickled(path: Path | str) -> np.ndarray:
    """Return the masks of Cellpose."""
    with open(path, "rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            read_header = {(1, 0): np.lib.format.read_array_header_1_0}.get(
                version, np.lib.format.read_array_header_2_0
            )
            read_header(file)
            return read_masks(file.read())
        except ValueError as error:
            raise InputError(
                "array-pickled",
                f"{path} must hold numbers; Python objects are not loaded, because they can run programs",
                got=first_line(error),
                hint="save the masks as PNG or TIFF (Cellpose: File > Save masks as PNG/tif), and remove this file",
            ) from None


def read_mat(path: Path | str) -> np.ndarray:
    """Read a label image from a MATLAB 5 file, as of HoVer-Net and CoNSeP: the variable `inst_map`.

    Returns
    -------
    int array (H, W)

    Raises
    ------
    InputError
        "array-damaged", also for files of MATLAB 7.3; "label-image-invalid"; "image-too-large".

    Examples
    --------
    >>> import tempfile
    >>> import scipy.io
    >>> path = Path(tempfile.mkdtemp()) / "a.mat"
    >>> scipy.io.savemat(path, {"inst_map": np.array([[0.0, 2.0]])})
    >>> read_mat(path).tolist()
    [[0, 2]]
    """
    content = read_bytes(path, max_bytes=ARRAY_BYTES)
    try:
        stored = matlab.table(content, *_MATLAB_NAMES, max_bytes=8 * READ_PIXELS)
    except (ValueError, struct.error, zlib.error) as error:
        raise _damaged(path, error) from None
    return _as_labels(stored, path)


def is_ome_zarr(path: Path | str) -> bool:
    """Return whether a folder is OME-Zarr: of labels, or of an image with labels.

    Examples
    --------
    >>> is_ome_zarr("missing.zarr")
    False
    """
    for file in (Path(path, *names) for names in itertools.product(("", "labels"), ("zarr.json", ".zattrs"))):
        if file.is_file():
            with file.open("rb") as opened:
                start = opened.read(_SEARCHED_BYTES)
            if b'"image-label"' in start or b'"labels"' in start:
                return True
    return False


def read_ome_zarr(path: Path | str) -> np.ndarray:
    """Read a label image from OME-Zarr: the labels "objects", "instances", "nuclei" or "cells", or the only ones.

    Parameters
    ----------
    path : path
        Folder with `zarr.json` or `.zattrs`, of an image with labels or of the labels themselves.

    Returns
    -------
    int array (H, W)

    Raises
    ------
    InputError
        "zarr-labels", "array-damaged", "label-image-invalid", "image-too-large" or "zarr-missing".
    """
    zarr = require("zarr")
    try:
        group = zarr.open_group(path, mode="r")
        attributes = _ome(group)
        if "image-label" not in attributes:
            group = group[f"labels/{_choose_labels(_ome(group['labels']).get('labels'), path)}"]
            attributes = _ome(group)
        array = group[attributes["multiscales"][0]["datasets"][0]["path"]]
        if int(np.prod(array.chunks)) > READ_PIXELS:
            raise ValueError(f"chunks of {array.chunks} pixels")
        squeezed = [size for size in array.shape if size != 1]
        if len(squeezed) > 2:
            raise ValueError(f"an array of {array.shape}")
        if int(np.prod(array.shape)) > READ_PIXELS:
            raise _too_large(path, array.shape)
        check_chunks(Path(path) / array.path, array)
        stored = np.asarray(array[:])
    except InputError:
        raise
    except Exception as error:  # zarr and its codecs raise many kinds of errors
        raise _damaged(path, error) from None
    return _as_labels(stored.reshape(stored.shape[-2:]), path)


def read_dicom(path: Path | str) -> np.ndarray:
    """Read the segments of a DICOM Segmentation of a slide: the number of the segment of each pixel.

    Returns
    -------
    int array (H, W)

    Raises
    ------
    InputError
        "highdicom-missing", "dicom-segmentation", "image-too-large" or "array-damaged".
    """
    check_file(path, max_bytes=ARRAY_BYTES)
    highdicom = require("highdicom", extra="dicom")
    try:
        header = read_dicom_header(path)
        if header.get("Modality") != "SEG" or "TotalPixelMatrixRows" not in header:
            raise InputError(
                "dicom-segmentation",
                f"{path} must be a DICOM Segmentation of a slide",
                got=f"modality {header.get('Modality')}",
                hint="export the annotation as Segmentation",
            )
        shape = (header.TotalPixelMatrixRows, header.TotalPixelMatrixColumns)
        for height, width in (shape, (header.Rows, header.Columns)):
            if height * width > READ_PIXELS:
                raise _too_large(path, (height, width))
        stored = highdicom.seg.segread(path).get_total_pixel_matrix(combine_segments=True)
    except InputError:
        raise
    except Exception as error:  # pydicom and highdicom raise many kinds of errors
        raise _damaged(path, error) from None
    return _as_labels(np.asarray(stored), path)


def read_dicom_header(path: Path | str) -> Any:
    """Return a DICOM file without its pixels, a `pydicom.Dataset`.

    Raises
    ------
    ValueError
        For a file that is compressed as a whole: its unpacked size is not known before it is in memory.
    """
    pydicom = require("pydicom", extra="dicom")
    uid = require("pydicom.uid", extra="dicom").DeflatedExplicitVRLittleEndian
    meta = require("pydicom.filereader", extra="dicom").read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") == uid:
        raise ValueError("a deflated file; save it with another transfer syntax")
    return pydicom.dcmread(path, stop_before_pixels=True)


def _ome(group: Any) -> dict[str, Any]:
    attributes = dict(group.attrs)
    inner = attributes.get("ome", attributes)
    if not isinstance(inner, dict):
        raise ValueError("attributes that are not of OME-Zarr")
    return inner


def _choose_labels(names: Any, path: Path | str) -> str:
    """Return the name of the labels to read."""
    names = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    chosen = next((name for name in _ZARR_LABELS if name in names), names[0] if len(names) == 1 else None)
    if chosen is None:
        raise InputError(
            "zarr-labels",
            f"{path} must have labels named {', '.join(_ZARR_LABELS[:4])}, or one label image",
            got=", ".join(names) or "none",
            hint="give the folder of one label image: NAME.zarr/labels/NAME",
        )
    return chosen


def _as_labels(stored: np.ndarray, path: Path | str) -> np.ndarray:
    """Return whole numbers (H, W) in memory; floats must be whole."""
    if stored.ndim == 2 and stored.size > READ_PIXELS:
        raise _too_large(path, stored.shape)
    whole = stored.ndim == 2 and stored.dtype.kind in "biuf"
    if whole and stored.dtype.kind == "f":
        values = np.asarray(stored)
        whole = bool((np.abs(values) <= 2**31).all() and (values == np.floor(values)).all())
    if whole:
        labels = np.asarray(stored).astype(np.int64)
        whole = bool(labels.min(initial=0) >= 0 and labels.max(initial=0) < 2**31)
    if not whole:
        raise InputError(
            "label-image-invalid",
            f"{path} must hold whole numbers (height, width), 0 for background and ids above 0",
            got=f"{stored.dtype} {stored.shape}",
            hint="save the label image of one picture",
        )
    return labels.astype(np.int32)


def _too_large(path: Path | str, shape: tuple[int, ...]) -> InputError:
    return InputError(
        "image-too-large",
        f"{path} must have at most {READ_PIXELS:,} pixels",
        got=" x ".join(map(str, shape)),
        hint="cut it into parts",
    )


def _damaged(path: Path | str, error: Exception) -> InputError:
    return InputError(
        "array-damaged",
        f"{path} must be a complete array of numbers",
        got=first_line(error),
        hint="save it again (MATLAB: with the option -v7)",
    )
