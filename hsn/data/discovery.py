"""Find annotations and their images in folders, and detect the kind of annotation."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..annotations import mask_files, point_files, qupath, tag_files
from ..checks import same_length
from ..errors import InputError
from ..limits import TABLE_GUESS_BYTES
from ..notes import note
from .image_files import as_paths, find_images
from .mixture import GEOJSON, pair_files, pairs_or_none

KINDS = ("masks", "points", "tags", "selected", "mixed")
CHOICE_TABLE = "choice.csv"  # the table that `hsn.select_patches` writes
EMBEDDING, CONTACT_SHEET, PLACES = "embedding", "contact_sheet.png", "places"
ALL_PLACES = "places.geojson"
# Files of `hsn.select_patches` beside the patches.
NOT_PATCHES = (EMBEDDING, CONTACT_SHEET, PLACES, ALL_PLACES)
_TABLES = (".csv", ".tsv", ".txt")
_MAX_STRAY_FRACTION = 0.2  # of the images; more of them mean that the folders are not classes
_GENERIC_FOLDERS = ("image", "images", "img", "imgs", "patches", "tiles", "train", "val", "test")


@dataclass(frozen=True)
class Found:
    """Images and their annotations of one kind.

    Attributes
    ----------
    kind : {"masks", "points", "tags", "selected", "mixed"}
    images : sequence of paths, or of uint8 arrays (H, W, 3)
    annotations : sequence
        One per image: a path, an array, a row of tags, or None for an image without annotation ("selected" only).
    left_out : tuple of (str, str)
        Unused files and the reasons.
    classes : tuple of str
        Names of the columns of the tags.
    spare : tuple of path
        Annotations that are not used, because their image has another one.
    """

    kind: str
    images: Sequence
    annotations: Sequence
    left_out: tuple[tuple[str, str], ...] = ()
    classes: tuple[str, ...] = ()
    spare: tuple[Path, ...] = ()

    def __str__(self):
        if self.kind == "mixed":
            return self._describe_mixture()
        annotated = sum(annotation is not None for annotation in self.annotations)
        unlabeled = len(self.annotations) - annotated
        also = f" and {unlabeled} images without annotation" if unlabeled else ""
        skipped = f"; left out {len(self.left_out)}" if self.left_out else ""
        return f"found {annotated} images with {self.kind}{also}{skipped}"

    def _describe_mixture(self):
        empty = sum(getattr(files, "empty", files is None) for files in self.annotations)
        skipped = f"; left out {len(self.left_out)}" if self.left_out else ""
        return f"found {len(self.images)} images, {empty} of them without annotation{skipped}"


def discover(places, *, kind=None, classes=None, tags=None):
    """Find images and their annotations in folders, and detect the kind of annotation.

    Kinds are "masks" (label images, Aperio XML, ImageJ zips), "points" (CSV, GeoJSON, point images), "tags" (a table,
    tags in file names, a folder per class), "selected" (the folder of `hsn.select_patches`) and "mixed" (several of
    masks, points and a table of tags, or GeoJSON with more than points).

    Parameters
    ----------
    places : path or sequence of path
        One folder. For tags also several folders and files.
    kind : {"masks", "points", "tags", "selected", "mixed"}, optional
        Kind of annotation to use. Default: the only kind found, or "mixed".
    classes : sequence of str, optional
        For tags in file names: classes in the order of the digits.
    tags : path or {"names", "folders"}, optional
        Source of the tags. Default: detect it.

    Returns
    -------
    Found

    Raises
    ------
    InputError
        "kind-ambiguous" for selected patches beside another kind, "annotations-missing" without annotation.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("a.png", "a.csv", "b.png"):
    ...     (folder / name).touch()
    >>> print(discover(folder))
    found 1 images with points; left out 1
    """
    places = as_paths(places)
    if tags is not None:
        return find_tags(places, tags, classes=classes)
    kind = kind or _only_kind(places)
    if kind == "tags":
        return find_tags(places, _source_of_tags(places) or "names", classes=classes)
    if len(places) > 1:
        raise InputError(
            "folder-expected",
            f"{kind} must lie in one folder with their images",
            got=f"{len(places)} paths",
            hint="give their common folder",
        )
    if kind == "mixed":
        return find_mixture(places[0])
    return find_pairs(places[0], kind)


def find_mixture(folder):
    """Find the images of a folder with annotation of any kind, and those without.

    Returns
    -------
    Found
        Its annotations are `hsn.data.mixture.AnnotationFiles`.
    """
    source = _source_of_tags([folder])
    table = source if isinstance(source, Path) else None
    images, failures = find_images([folder], deep=True)
    found, files, left_out = pair_files(folder, images, table)
    return Found("mixed", found, files, (*failures, *left_out))


def find_pairs(folder, kind):
    """Pair the images of a folder with their masks, points, or masks of selected patches.

    Parameters
    ----------
    folder : path
    kind : {"masks", "points", "selected"}

    Returns
    -------
    Found
    """
    if kind == "points":
        pairs = point_files.pair(folder)
    elif kind == "masks":
        pairs = mask_files.pair(folder)
    else:
        pairs = mask_files.pair(folder, besides=NOT_PATCHES, least=0)
    left_out = tuple((str(path), reason) for path, reason in pairs.alone)
    if pairs.spare:
        note("annotation files beside others of their image are not used", pairs.spare[0], len(pairs.spare))
    return Found(kind, pairs.images, pairs.annotations, left_out, spare=pairs.spare)


def find_tags(places, tags, *, classes=None):
    """Find images and their tags in folders and subfolders.

    Parameters
    ----------
    places : sequence of path
        Files and folders.
    tags : path or {"names", "folders"}
        Source of the tags: a table, the file names, or one folder per class.
    classes : sequence of str, optional
        For "names": classes in the order of the digits.

    Returns
    -------
    Found

    Raises
    ------
    InputError
        "classes-missing" if tags are in names and `classes` is None.
    """
    images, left_out = find_images(places, deep=True)
    if tags == "folders":
        tagged = tag_files.from_folders(images)
    elif tags == "names":
        if classes is None:
            raise InputError(
                "classes-missing",
                "`classes` must name the classes of the digits in the file names",
                got="neither classes nor a taxonomy",
                hint="give classes in the order of the digits, as TE,NEC,LYM,TAS",
            )
        tagged = tag_files.from_names(images, classes)
    else:
        tagged = tag_files.from_table(images, tags)
    return Found("tags", tagged.paths, tagged.tags, tuple(left_out), classes=tagged.classes)


def from_lists(kind, images, annotations, *, classes=None):
    """Pair lists of images and annotations.

    Parameters
    ----------
    kind : {"masks", "points", "tags", "selected", "mixed"}
    images : sequence of paths, or of uint8 arrays (H, W, 3)
    annotations : sequence
        One per image. Tags: numbers 1, 0, NaN per class, or names of the present classes.
    classes : sequence of str, optional
        For tags as numbers: names of the columns.

    Returns
    -------
    Found

    Raises
    ------
    InputError
        "length-mismatch" if the lists differ in length.

    Examples
    --------
    >>> found = from_lists("tags", ["a.png", "b.png"], [["gland"], ["gland", "fat"]])
    >>> found.classes, found.annotations.tolist()
    (('fat', 'gland'), [[0.0, 1.0], [1.0, 1.0]])
    """
    images = [image if isinstance(image, np.ndarray) else Path(image) for image in images]
    same_length("images", images, kind, annotations)
    if kind != "tags":
        return Found(kind, images, list(annotations), classes=())
    names, values = _tags_of(annotations, classes)
    return Found(kind, images, values, classes=names)


def _tags_of(annotations, classes):
    """Return class names and tags as numbers, float32 (N, C)."""
    rows = list(annotations)
    by_name = rows and not isinstance(annotations, np.ndarray) and _names_only(rows)
    if by_name:
        present = [{row} if isinstance(row, str) else set(row) for row in rows]
        names = tuple(classes) if classes is not None else tuple(sorted(set().union(*present)))
        return names, np.array([[float(name in row) for name in names] for row in present], np.float32)
    if classes is None:
        raise InputError(
            "classes-missing",
            "`classes` must name the columns of the tags",
            got="None",
            hint="give classes=(...), or tags as names of classes",
        )
    return tuple(classes), np.asarray(rows, np.float32)


def _names_only(rows):
    """Check whether every row is the name of a class, or a collection of names."""
    return all(
        isinstance(row, str) or (isinstance(row, Collection) and all(isinstance(name, str) for name in row))
        for row in rows
    )


# --- Detect the kind of annotation -------------------------------------------------------------------------------


def _only_kind(places):
    """Return the only kind of annotation in these folders; raise if there are several or none."""
    for place in places:
        if not place.exists():
            raise InputError(
                "data-missing",
                f"{place} must be a folder of images",
                got="a path that does not exist",
                hint="correct the path",
            )
    counts = {kind: count for kind, count in count_kinds(places).items() if count}
    if len(counts) == 1:
        only = next(iter(counts))
        return "mixed" if only == "points" and _drawn(places[0]) else only
    if len(counts) > 1 and "selected" not in counts:
        return "mixed"
    where = ", ".join(map(str, places[:3]))
    if counts:
        raise InputError(
            "kind-ambiguous",
            f"{where} must hold one kind of annotation",
            got=" and ".join(f"{count} images with {kind}" for kind, count in counts.items()),
            hint=f"choose one with kind: --kind {' or --kind '.join(counts)}",
        )
    raise InputError(
        "annotations-missing",
        f"{where} must hold images and their annotations",
        got=f"{len(find_images(places, deep=True)[0])} images and no annotation",
        hint="give annotations the name of their image (a.png: a_mask.png, a.xml, a.geojson or a.csv), or put the "
        "images into one folder per class",
    )


def count_kinds(places):
    """Count the images that have annotations of each kind.

    Parameters
    ----------
    places : sequence of path

    Returns
    -------
    dict of str to int
        Keys as in `KINDS`.
    """
    places = as_paths(places)
    counts = dict.fromkeys(KINDS[:-1], 0)
    if len(places) == 1 and places[0].is_dir():
        (folder,) = places
        chosen = (folder / CHOICE_TABLE).is_file()
        points = pairs_or_none(point_files.pair, folder)
        masks = pairs_or_none(mask_files.pair, folder, besides=NOT_PATCHES if chosen else ())
        point_files_used = set(points.annotations)
        counts["points"] = sum(path.name != CHOICE_TABLE for path in points.annotations)
        outlined = sum(path not in point_files_used for path in masks.annotations)
        counts["selected" if chosen else "masks"] = outlined
    source = _source_of_tags(places)
    if source == "folders" and any(counts.values()):
        source = None  # folders of images and of masks, not of classes
    counts["tags"] = 0 if source is None else _count_tags(places, source)
    return counts


def _drawn(folder):
    """Return whether a GeoJSON file of a folder holds more than points and regions."""
    for path in pairs_or_none(point_files.pair, folder).annotations:
        if path.suffix.lower() in GEOJSON:
            try:
                drawn = qupath.read(path)
            except InputError:
                continue
            if drawn.objects or drawn.scribbles or drawn.boxes or drawn.tags or drawn.ignore:
                return True
    return False


def _source_of_tags(places):
    """Return the source of tags: the path of a table, "names" or "folders"; None without tags."""
    images, _ = find_images(places, deep=True)
    stems = {path.stem for path in images}
    for place in places:
        tables = sorted(place.glob("*")) if place.is_dir() else []
        for table in tables:
            if (
                table.suffix.lower() in _TABLES
                and table.stem not in stems
                and _rows_with_images(table, images)
            ):
                return table
    if images and any(tag_files.has_tags(path) for path in images):
        return "names"
    stray = [path for path in images if path.parent in places]  # beside the folders of classes
    folders = {path.parent for path in images} - set(places)
    classes = [folder for folder in folders if _may_be_class(folder.name)]
    few = len(stray) <= _MAX_STRAY_FRACTION * len(images)
    return "folders" if len(classes) == len(folders) > 1 and few else None


def _may_be_class(name):
    return name.lower() not in _GENERIC_FOLDERS and not mask_files.is_annotation_folder(name)


def _rows_with_images(table, images):
    """Count the images in the first column of a table of tags; 0 if the file is not such a table."""
    if table.name == CHOICE_TABLE or table.stat().st_size > TABLE_GUESS_BYTES:
        return 0
    try:
        _, rows = tag_files.read_table(table)
    except InputError:
        return 0
    return sum(tag_files.row_of(path, rows) is not None for path in images)


def _count_tags(places, source):
    images, _ = find_images(places, deep=True)
    if source == "names":
        return sum(tag_files.has_tags(path) for path in images)
    return len(images) if source == "folders" else _rows_with_images(Path(source), images)
