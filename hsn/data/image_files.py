"""Find images in files and folders, and name their results."""

import csv
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ..annotations.label_files import RASTERS
from ..annotations.pairing import image_name
from ..errors import InputError
from ..files import from_csv_text, walk_files
from ..images.read import SUFFIXES, list_images
from ..limits import TABLE_GUESS_BYTES
from ..notes import note

Places = str | os.PathLike | Sequence[str | os.PathLike]
# Images that are named, because they are not read.
SLIDES = (".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".dcm")  # that OpenSlide reads
_OTHER_FORMATS = (*SLIDES, ".czi", ".qptiff", ".jp2", ".j2k", ".gif", ".webp", ".heic")


def find_images(
    places: Places, *, deep: bool = False, slides: bool = False
) -> tuple[list[Path], list[tuple[str, str]]]:
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
    found: dict[Path, None] = {}
    failures: list[tuple[str, str]] = []
    for place in as_paths(places):
        try:
            found |= dict.fromkeys(
                list_images(place) if place.is_file() else _in_folder(place, deep, slides, failures)
            )
        except InputError as error:
            failures.append((str(place), str(error)))
    return list(found), failures


def _in_folder(place: Path, deep: bool, slides: bool, failures: list[tuple[str, str]]) -> list[Path]:
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


def distinct_names(images: Sequence[Path]) -> list[str]:
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


def images_of_table(path: Path) -> tuple[list[Path], int, list[tuple[str, str]]]:
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


def as_paths(places: Places) -> list[Path]:
    """Return a list of paths from one path or several."""
    return [Path(places)] if isinstance(places, str | os.PathLike) else [Path(place) for place in places]


def _is_image(path: Path) -> bool:
    try:
        return path.suffix.lower() in SUFFIXES and path.is_file()
    except OSError:  # an invalid file name
        return False


def same_stem(folder: str | os.PathLike | None, image: str | os.PathLike) -> Path | None:
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
