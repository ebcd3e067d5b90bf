"""Find and read mask files: label images, arrays, Aperio XML (MoNuSeg), ImageJ regions (CryoNuSeg), GeoJSON, COCO.

Label images have a name ending such as `_anno` (`train_1_anno.bmp` of GlaS), or are in a folder such as `labels`.
"""

import re
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from scipy.ndimage import generate_binary_structure
from scipy.ndimage import label as components
from skimage import measure

from ..errors import InputError
from ..files import ZARR, read_text
from ..limits import OUTLINE_TEXT_BYTES, READ_PIXELS
from ..notes import note
from ..rasters import decode_pages
from . import aperio_xml, coco, geojson, imagej, instance_arrays
from .instances import label_components
from .label_files import check_size, labels_of_raster
from .pairing import NamePattern, Pairs, Words, pair_by_name
from .polygons import fill_outlines


def _read_json(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Read the outlines of GeoJSON or the masks of COCO."""
    if path.suffix.lower() != _PACKED and coco.is_coco(path):
        return coco.read_instances(path, shape)
    text = read_text(path, max_bytes=OUTLINE_TEXT_BYTES)
    return fill_outlines(geojson.parse_outlines(text, path), shape, where=path)


_JSON, _PACKED = (".json", ".geojson"), ".gz"
OUTLINES = {
    ".xml": aperio_xml.read_instances,
    ".zip": imagej.read_instances,
    ".roi": imagej.read_instances,
    ".geojson": _read_json,
    ".json": _read_json,
    _PACKED: _read_json,  # GeoJSON
}
ARRAYS = {
    ".npy": instance_arrays.read_npy,
    ".mat": instance_arrays.read_mat,
    ".dcm": instance_arrays.read_dicom,
    ZARR: instance_arrays.read_ome_zarr,
}
_PATTERN = NamePattern(
    "cp[ _-]masks?|object[ _-]identities|roi[ _-]?sets?|"
    "simple[ _-]segmentations?|(label|instance)[ _-]?(masks?|images?|maps?)|ground[ _-]?truth|"
    "objects|anno|annotations?|labels?|labell?ed|lbl|masks?|instances?|inst|segmentations?|segm?|gt|truth|rois?|binary|xml"
)
_SEARCHED_BYTES = 2**20
_JSON_WORDS = (b"Polygon", b"MultiPolygon", b"segmentation", b"Point", b"MultiPoint")
_BINARY = re.compile(r"binary", re.IGNORECASE)
_FOREGROUND = (255, 65535)  # in a mask, the number of one object is less likely
_CLASS_PARTS = 5  # separate parts per number from which the numbers may be classes
_INVERTED_BORDER, _INVERTED_HOLES = 0.5, 2  # fraction of the border in the object, and number of its holes
# A binary mask with soft edges has at least so many pixels that are not of its common value, and either a value that
# covers such a fraction of the foreground or so many fragments per value.
_MIN_FRAGMENT_PX, _COMMON, _MIN_FRAGMENTS = 16, 0.3, 2
_WORDS = Words(
    "mask", "masks", "masks", "label images, XML, ROI zips, GeoJSON, COCO, .npy or .mat", "a_mask.png"
)


def pair(folder: Path | str, *, besides: Collection[str] = (), least: int = 1) -> Pairs:
    """Find images and their masks in a folder and its subfolders.

    A mask is an `.xml`, `.zip`, `.roi`, `.npy`, `.mat` or `.dcm` file, GeoJSON or COCO JSON with outlines, OME-Zarr
    with labels, or an image with an ending such as `_anno`, `_label` or `_mask`, or in a folder of such a name. It
    belongs to the image with the same name without the ending. If an image has a label image and outlines, the label
    image is used.

    Parameters
    ----------
    folder : path
    besides : collection of str
        Files and folders directly in the folder to ignore.
    least : int
        Minimum number of pairs. Default: 1.

    Returns
    -------
    Pairs
        In natural order of names.

    Raises
    ------
    InputError
        "folder-missing" or "pairs-missing".

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("a.png", "a_anno.png", "b.png"):
    ...     (folder / name).touch()
    >>> pairs = pair(folder)
    >>> pairs.images[0].name, pairs.annotations[0].name, pairs.alone[0][0].name
    ('a.png', 'a_anno.png', 'b.png')
    """

    def annotated(inner: Path) -> str | None:
        return _image_name(inner) if is_mask_file(Path(folder) / inner) else None

    return pair_by_name(
        folder, annotated, _WORDS, preferred=preferred, pattern=_PATTERN, besides=besides, least=least
    )


def preferred(annotations: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Split the annotations of one image into used and spare: label images, then outlines, then binary masks.

    Examples
    --------
    >>> preferred([Path("a.xml"), Path("a_mask.png")])
    ([PosixPath('a_mask.png')], [PosixPath('a.xml')])
    """
    ranks = [_rank(path) for path in annotations]
    best = min(ranks, default=0)
    used = [path for path, rank in zip(annotations, ranks, strict=True) if rank == best]
    return used, [path for path, rank in zip(annotations, ranks, strict=True) if rank > best]


def _rank(path: Path) -> int:
    if not is_raster(path) or path.suffix.lower() in ARRAYS:
        return 1
    return 2 if _BINARY.search(f"{path.parent.name}/{path.stem}") else 0


def read(path: Path | str, shape: tuple[int, int] | None) -> np.ndarray:
    """Read the instances of one image from a mask file.

    Parameters
    ----------
    path : path
        A label image, Aperio XML, ImageJ regions, GeoJSON (also `.geojson.gz`), COCO JSON, `.npy`, `.mat`,
        DICOM Segmentation (`.dcm`),
        or a folder of OME-Zarr.
    shape : (int, int) or None
        Height and width of the image. None: use the size of the label image.

    Returns
    -------
    int32 array, shape (H, W)
        0 background; ids as stored. A binary mask, with one value besides 0, is split into connected components. A
        file with one object on each of several pages gives the number of the page.

    Raises
    ------
    InputError
        "shape-mismatch", "shape-missing" for outlines without `shape`, "labels-blurred" for a mask with soft edges,
        "labels-pages", or an error of the file's reader.

    Examples
    --------
    >>> import tempfile
    >>> from hsn.annotations.label_files import write_labels
    >>> path = Path(tempfile.mkdtemp()) / "mask.png"
    >>> write_labels(path, np.array([[255, 0, 255]]))
    >>> read(path, (1, 3)).tolist()
    [[1, 0, 2]]
    """
    path = Path(path)
    if path.suffix.lower() in OUTLINES:
        if shape is None:
            raise InputError(
                "shape-missing",
                f"`shape` must be the height and width of the image of {path}",
                got=None,
                hint="outlines do not store the size of their image",
            )
        return OUTLINES[path.suffix.lower()](path, shape)
    if path.suffix.lower() in ARRAYS or path.is_dir():
        stored = ARRAYS[ZARR if path.is_dir() else path.suffix.lower()](path)
        check_size(path, stored.shape, shape)
        return as_instances(stored, path)
    limit = READ_PIXELS if shape is None else min(READ_PIXELS, shape[0] * shape[1])
    try:
        rasters = decode_pages(path, page_pixels=limit)
    except InputError as error:
        if shape is None or error.code != "image-too-large":
            raise
        raise InputError(  # found in the header: a larger mask is not decoded
            "shape-mismatch",
            f"{path} must have the size of its image, {tuple(shape)}",
            got="a larger image",
            hint="export it again at the size of the image",
        ) from None
    pages = [labels_of_raster(raster, path) for raster in rasters]
    check_size(path, pages[0].shape, shape)
    return as_instances(pages[0], path) if len(pages) == 1 else _instances_of_pages(pages, path)


def as_instances(stored: np.ndarray, where: Path | str) -> np.ndarray:
    """Return the instances of a label image: ids as stored, or the connected components of a binary mask.

    Parameters
    ----------
    stored : int or bool array, shape (H, W)
    where : path or str
        Name of the image, for messages and notes.

    Raises
    ------
    InputError
        "labels-blurred" for a mask with soft edges.

    Examples
    --------
    >>> as_instances(np.array([[1, 0, 1]]), "a").tolist(), as_instances(np.array([[1, 0, 2]]), "a").tolist()
    ([[1, 0, 2]], [[1, 0, 2]])
    """
    values = np.unique(stored)
    values = values[values > 0]
    if len(values) > 1:
        _check_sharp(stored, where)
        parts = measure.label(stored, background=0, connectivity=1).max()
        if parts >= _CLASS_PARTS * len(values):
            note("label images have several separate parts of each number, which may be classes", where)
        return stored
    parts = label_components(stored > 0)
    _note_inverted(parts, where)
    if parts.max(initial=0) > 1:
        note("masks have one value besides 0, and their connected components are the objects", where)
    elif len(values) and values[0] not in _FOREGROUND:
        return stored
    return parts


def _note_inverted(parts: np.ndarray, where: Path | str) -> None:
    """Note a mask that may have black objects on white: one part from border to border, with holes."""
    if parts.max(initial=0) != 1 or 2 * np.count_nonzero(parts) <= parts.size:
        return
    holes = np.unique(measure.label(parts == 0, connectivity=2))
    border = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    if (border > 0).mean() > _INVERTED_BORDER and len(holes) > _INVERTED_HOLES:
        note("masks have one object from border to border with holes, and may be inverted", where)


def _check_sharp(stored: np.ndarray, where: Path | str) -> None:
    """Raise for a binary mask with soft edges or noise: most of its values are fragments beside one common value."""
    values, counts = np.unique(stored[stored > 0], return_counts=True)
    others = (stored > 0) & (stored != values[counts.argmax()])
    pixels = np.count_nonzero(others)
    if pixels < _MIN_FRAGMENT_PX:
        return
    same = (stored[1:, 1:] == stored[:-1, 1:]) & (stored[1:, 1:] == stored[1:, :-1])
    same &= stored[1:, 1:] == stored[:-1, :-1]
    block = np.zeros(stored.shape, bool)  # pixels in a square of 2 x 2 equal ones
    for rows, cols in ((0, 0), (0, 1), (1, 0), (1, 1)):
        block[rows : rows + same.shape[0], cols : cols + same.shape[1]] |= same
    common = counts.max() / counts.sum() >= _COMMON
    if np.count_nonzero(block & others) < pixels / 2 and (
        common or _is_scattered(stored, others, len(values))
    ):
        raise InputError(
            "labels-blurred",
            f"{where} must be sharp: one number per object",
            got=f"{len(values)} values, most of them in fragments of a pixel",
            hint="export the mask without smoothing, compression or resizing, or apply a threshold",
        )


def _is_scattered(stored: np.ndarray, where: np.ndarray, values: int) -> bool:
    """Return whether the equal numbers of a label image form many more components than there are numbers."""
    across = where[:, 1:] & (stored[:, 1:] != stored[:, :-1])
    down = where[1:] & (stored[1:] != stored[:-1])
    starts = where.copy()  # pixels whose left and upper neighbors are different: about one per component
    starts[:, 1:] &= across
    starts[1:] &= down
    return bool(np.count_nonzero(starts) >= _MIN_FRAGMENTS * values)


def _instances_of_pages(pages: list[np.ndarray], path: Path) -> np.ndarray:
    """Return the instances of a file with one object on each page."""
    instances = np.zeros(pages[0].shape, np.int32)
    for number, page in enumerate(pages, 1):
        marked = page > 0
        parts = components(marked, generate_binary_structure(2, 2))[1]
        if len(np.unique(page[marked])) > 1 or parts > 1 or instances[marked].any():
            raise InputError(
                "labels-pages",
                f"{path} must have one page, or one object on each page without overlap",
                got=f"{len(pages)} pages; page {number} has several objects, or overlaps another page",
                hint="save one label image per image",
            )
        instances[marked] = number
    note("label images have several pages, and each page is one object", path)
    return instances


def is_mask_file(path: Path | str) -> bool:
    """Return whether a file can hold masks: JSON must have outlines and no points, a Zarr store must have labels.

    Only the first megabyte of a JSON file is searched.

    Examples
    --------
    >>> is_mask_file("a.png"), is_mask_file("missing.geojson")
    (True, False)
    """
    path = Path(path)
    if path.suffix.lower() == _PACKED:
        return path.with_suffix("").suffix.lower() in _JSON
    if path.suffix.lower() == ZARR:
        return instance_arrays.is_ome_zarr(path)
    if path.suffix.lower() not in _JSON:
        return True
    try:
        with path.open("rb") as file:
            start = file.read(_SEARCHED_BYTES)
    except OSError:
        return False
    words = {word for word in _JSON_WORDS if re.search(rb'"' + word + rb'"', start)}
    return bool(words & {b"Polygon", b"MultiPolygon", b"segmentation"}) and not words & {
        b"Point",
        b"MultiPoint",
    }


def is_raster(path: Path | str) -> bool:
    """Return whether a mask file is a label image, and not a list of outlines.

    Examples
    --------
    >>> is_raster("a.png"), is_raster("a.xml")
    (True, False)
    """
    return Path(path).suffix.lower() not in OUTLINES


def strip_ending(stem: str) -> str:
    """Return the name of the image that a label image of this name annotates.

    Examples
    --------
    >>> strip_ending("a_mask"), strip_ending("a")
    ('a', 'a')
    """
    return _PATTERN.strip(stem)


def is_annotation_folder(name: str) -> bool:
    """Return whether a folder of this name contains label images.

    Examples
    --------
    >>> is_annotation_folder("labels"), is_annotation_folder("tumor")
    (True, False)
    """
    return _PATTERN.is_folder(name)


def _image_name(path: Path) -> str | None:
    return _PATTERN.image_name(path, (*OUTLINES, *ARRAYS))
