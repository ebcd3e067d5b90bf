"""Find images and their annotations in folders, by name, folder and content."""

import csv
import os
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..annotations import mask_files, point_files, qupath, tag_files
from ..annotations.label_files import RASTERS
from ..annotations.pairing import CASE_NOTE, image_name, pair_but_case
from ..checks import same_length
from ..errors import InputError
from ..files import from_csv_text, walk_files
from ..images.read import SUFFIXES, list_images
from ..limits import TABLE_GUESS_BYTES
from ..notes import note
from .mixture import GEOJSON, pair_files, pairs_or_none

KINDS = ("masks", "points", "tags", "selected", "mixed")
CHOICE_TABLE = "choice.csv"  # the table that `hsn.select_patches` writes
EMBEDDING, CONTACT_SHEET, PLACES = "embedding", "contact_sheet.png", "places"
NOT_PATCHES = (EMBEDDING, CONTACT_SHEET, PLACES)  # files of `hsn.select_patches` beside the patches
_TABLES = (".csv", ".tsv", ".txt")
# Images that are named, because they are not read.
SLIDES = (".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".dcm")  # that OpenSlide reads
_OTHER_FORMATS = (*SLIDES, ".czi", ".qptiff", ".jp2", ".j2k", ".gif", ".webp", ".heic")
_MAX_STRAY_FRACTION = 0.2  # of the images; more of them mean that the folders are not classes
NO_PARTNER = "has no partner of its name in the other folder"
_AMBIGUOUS = "has an ambiguous partner: files of its name in the two folders are"
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
    places = _as_list(places)
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


def find_images(places, *, deep=False, slides=False):
    """Find the images in files and folders, without duplicates. Linked folders are followed.

    Parameters
    ----------
    places : path or sequence of path
        Files and folders.
    deep : bool
        Whether to search the folders below. Default: False; then a note counts the images in them.
    slides : bool
        Whether slides of all scanners count as images. Default: False; then only SVS and TIFF files do.

    Returns
    -------
    found : list of pathlib.Path
        By folder, then by name.
    failures : list of (str, str)
        Paths that do not exist or hold no image, broken links and slides of other formats, and why.
    """
    found, failures = {}, []
    for place in _as_list(places):
        try:
            found |= dict.fromkeys(
                list_images(place) if place.is_file() else _in_folder(place, deep, slides, failures)
            )
        except InputError as error:
            failures.append((str(place), str(error)))
    return list(found), failures


def _in_folder(place, deep, slides, failures):
    """Return the images in a folder, and below if `deep`; append files that cannot be used to `failures`."""
    if not place.is_dir():
        return list_images(place)  # raises
    files = sorted(walk_files(place), key=lambda path: (path.parent, path.name))
    images, below = [], []
    known = (*SUFFIXES, *SLIDES) if slides else SUFFIXES
    for path in files:
        suffix = path.suffix.lower()
        if suffix not in (*known, *_OTHER_FORMATS):
            continue
        if not deep and path.parent != place:
            below += [path] if suffix in known else []
        elif not _is_image(path) and path.is_symlink():
            failures.append((str(path), "is a link to a file that does not exist"))
        elif suffix not in known:
            failures.append(
                (str(path), f"has the format {suffix}, which is not read; export it as PNG or TIFF")
            )
        elif path.is_file():
            images.append(path)
    if below and not images:
        raise InputError(
            "folder-without-images",
            f"{place} must contain images",
            got=f"{len(below)} images in folders below, as {below[0]}",
            hint="give these folders",
        )
    if below:
        note("images in folders below are not used; give these folders too", below[0], len(below))
    return images if images or failures else list_images(place)  # which raises


def distinct_names(images):
    """Make distinct names for the results of images: the stem, with the folder if stems are equal.

    Examples
    --------
    >>> distinct_names([Path("a/x.png"), Path("b/x.png"), Path("b/y.png")])
    ['a_x', 'b_x', 'y']
    """
    options = [
        (path.stem, f"{path.parent.name}_{path.stem}", f"{path.parent.name}_{path.stem}_{path.suffix[1:]}")
        for path in images
    ]
    counts = [Counter(level) for level in zip(*options, strict=True)]
    names = {}
    for number, levels in enumerate(options, start=1):
        unique = (name for name, count in zip(levels, counts, strict=True) if count[name] == 1)
        name = next((name for name in unique if name not in names), f"{levels[0]}_{number}")
        while name in names:
            name += "_"
        names[name] = number
    return list(names)


def pair_folders(first, second, *, suffix="", outlines=False):
    """Pair the files of two folders by their stems.

    Parameters
    ----------
    first, second : path
        Two folders; equal with a suffix.
    suffix : str
        What names in `second` add. Default: a usual ending of label images, or nothing. With "_anno", `a.png` and
        `a_anno.bmp` are a pair.
    outlines : bool
        Whether to include XML and ImageJ zips; a label image of the same name takes precedence. Default: False.

    Returns
    -------
    pairs : list of (pathlib.Path, pathlib.Path)
    first_alone, second_alone : lists of (pathlib.Path, str)
        Files without a partner, or with an ambiguous one, and why.
    """
    sides = [_with_outlines(folder) if outlines else list_images(folder) for folder in (first, second)]
    if Path(first) == Path(second) and suffix:  # the suffix separates the files of one folder
        sides = [
            [p for p in sides[0] if not p.stem.endswith(suffix)],
            [p for p in sides[1] if p.stem.endswith(suffix)],
        ]
    keys = [
        [image_name(path.stem) for path in sides[0]],
        [image_name(path.stem.removesuffix(suffix)) for path in sides[1]],
    ]
    if not suffix:
        names = set(keys[0])
        keys[1] = [
            key if key in names else _without_ending(path, key, names)
            for key, path in zip(keys[1], sides[1], strict=True)
        ]
    names, others = (list(dict.fromkeys(side)) for side in keys)
    same = pair_but_case(
        [name for name in others if name not in names], [n for n in names if n not in others]
    )
    for name, path in zip(keys[1], sides[1], strict=True):
        if name in same:
            note(CASE_NOTE, path)
    keys[1] = [same.get(name, name) for name in keys[1]]
    counts = [Counter(side) for side in keys]
    partner = dict(zip(keys[1], sides[1], strict=True))
    both = {key for key in counts[0] if counts[0][key] == counts[1][key] == 1}
    pairs = [(path, partner[key]) for key, path in zip(keys[0], sides[0], strict=True) if key in both]
    first_alone, second_alone = (
        [
            (path, _why_alone(counts[0][name], counts[1][name]))
            for name, path in zip(keys[k], sides[k], strict=True)
            if name not in both
        ]
        for k in (0, 1)
    )
    return pairs, first_alone, second_alone


def _why_alone(first, second):
    """Return why a file has no single partner, from the numbers of files of its name in both folders."""
    return f"{_AMBIGUOUS} {first} and {second}" if first and second else NO_PARTNER


def _without_ending(path, key, names):
    """Return the name of a truth file without an ending like "_mask", if that is one of `names`."""
    stripped = mask_files.strip_ending(path.stem)
    if stripped not in names:
        return key
    note("truth files are paired without the ending of their name", path)
    return stripped


def images_of_table(path):
    """Read the paths of images from the table of `hsn.select_patches`, without duplicates.

    Parameters
    ----------
    path : path
        The table. It is checked, because users may edit it.

    Returns
    -------
    found : list of pathlib.Path
        Existing images.
    gone : int
        Number of missing images.
    failures : list of (str, str)
        The table and the reason, if it cannot be read.
    """
    try:
        if path.stat().st_size > TABLE_GUESS_BYTES:
            raise ValueError(f"more than {TABLE_GUESS_BYTES} bytes")
        with open(path, newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            named = list(dict.fromkeys(Path(from_csv_text(row["image"])) for row in rows if row.get("image")))
    except (OSError, ValueError, csv.Error) as error:
        return [], 0, [(str(path), f"cannot be read as a table of patches: {error}")]
    found = [image for image in named if _is_image(image)]
    return found, len(named) - len(found), []


def _as_list(places):
    return [Path(places)] if isinstance(places, str | os.PathLike) else [Path(place) for place in places]


def _is_image(path):
    try:
        return path.suffix.lower() in SUFFIXES and path.is_file()
    except OSError:  # an invalid file name
        return False


def _with_outlines(folder):
    """Return label images and outlines; a label image takes precedence over outlines of the same name."""
    by_name = defaultdict(list)
    suffixes = (*SUFFIXES, *mask_files.OUTLINES, *mask_files.ARRAYS)
    for path in filter(mask_files.is_mask_file, list_images(folder, suffixes=suffixes)):
        by_name[image_name(path.stem)].append(path)
    return [path for files in by_name.values() for path in mask_files.preferred(files)[0]]


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
    places = _as_list(places)
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


def same_stem(folder, image):
    """Return the label image in `folder` with the stem of `image`; None if it does not exist.

    Examples
    --------
    >>> same_stem(None, Path("a.png")) is None
    True
    """
    stem = Path(image).stem
    stems = dict.fromkeys((stem, image_name(stem)))
    options = (
        [] if folder is None else [Path(folder) / f"{stem}{suffix}" for stem in stems for suffix in RASTERS]
    )
    return next((option for option in options if option.is_file()), None)
