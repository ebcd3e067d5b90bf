"""Pair images and their annotation files by name."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError
from ..files import walk_files
from ..notes import note
from .label_files import LOSSY, RASTERS

PICTURES = (*RASTERS, *LOSSY, ".svs")
_OTHERS = (
    ".xml",
    ".zip",
    ".roi",
    ".csv",
    ".tsv",
    ".txt",
    ".geojson",
    ".json",
    ".mat",
    ".npy",
    ".npz",
    ".svg",
    ".qpdata",
)
_IMAGE_SUFFIX = re.compile(r"\.(ome\.)?(png|bmp|tiff?|jpe?g|svs)$", re.IGNORECASE)
_INNER_SUFFIX = re.compile(r"\.(ome|geojson|json)$", re.IGNORECASE)
_IMAGE_FOLDER = re.compile(r"(^|[ _-])(images?|imgs?|pictures?|patches|tiles|tissue)([ _-]|$)", re.IGNORECASE)
_IMAGES = re.compile(r"(^|[ _-])(images?|imgs?|pictures?)([ _-]|$)", re.IGNORECASE)
CASE_NOTE = "files are paired by names that differ in upper and lower case"
_REGIONS = re.compile(r"rois?$", re.IGNORECASE)


class Pairs(NamedTuple):
    """Images with their annotations.

    Attributes
    ----------
    images, annotations : tuple of pathlib.Path
        Same length and order.
    alone : tuple of (pathlib.Path, str)
        Files without a partner, and the reason.
    spare : tuple of pathlib.Path
        Annotations that are not used, because their image has a preferred one.
    """

    images: tuple[Path, ...]
    annotations: tuple[Path, ...]
    alone: tuple[tuple[Path, str], ...]
    spare: tuple[Path, ...] = ()


class Words(NamedTuple):
    """Words for a kind of annotation in messages.

    Attributes
    ----------
    singular, plural : str
        "mask", "masks".
    files : str
        Name of its files: "files of points".
    formats, example : str
        File formats, and the file name for an image `a.png`.
    """

    singular: str
    plural: str
    files: str
    formats: str
    example: str


class NamePattern:
    """Rule for annotation file names: suffix, ending or start of the name, or name of the folder.

    Parameters
    ----------
    words : str
        Alternatives of a regular expression, for endings of file names and for folder names.
    separators : str
        Characters between the name of the image and the ending. Default: space, hyphen, underscore.
    """

    def __init__(self, words: str, separators: str = " _-") -> None:
        self._ending = re.compile(rf"[{separators}]({words})$", re.IGNORECASE)
        self._start = re.compile(rf"^({words})[{separators}]", re.IGNORECASE)
        self._folder = re.compile(rf"(^|[ _-])({words})([ _-]|$)", re.IGNORECASE)

    def is_folder(self, name: str) -> bool:
        """Return whether a folder of this name contains annotations."""
        return self._folder.search(name) is not None

    def strip_folder(self, name: str) -> str:
        """Remove the words that mark annotations from the name of a folder."""
        return self._folder.sub("", name)

    def image_name(self, path: Path, suffixes: Collection[str]) -> str | None:
        """Return the name of the image that a file annotates, None if it is not an annotation.

        Files with one of `suffixes` always are annotations; label images need the ending or the folder name.
        """
        suffix = path.suffix.lower()
        raster = suffix in RASTERS or suffix in LOSSY
        marked = self._ending.search(image_name(path.stem)) or self._in_folder(path.parts[:-1])
        return self.strip(path.stem) if suffix in suffixes or (raster and marked) else None

    def _in_folder(self, folders: Sequence[str]) -> bool:
        """Return whether the innermost folder that separates images and annotations is one of annotations."""
        for name in reversed(folders):
            if self.is_folder(name):
                return True
            if _IMAGES.search(name):
                return False
        return False

    def strip(self, stem: str) -> str:
        """Remove the ending, and the suffix of the image, from the file name of an annotation without its suffix."""
        return image_name(self._ending.sub("", image_name(_IMAGE_SUFFIX.sub("", stem))))

    def strip_start(self, name: str) -> str | None:
        """Return a name without a start like "mask_", None if it has none."""
        rest = self._start.sub("", name)
        return rest if rest and rest != name else None


def image_name(name: str) -> str:
    """Return the name by which an image and its annotation are paired, from a file name without suffix.

    OME-TIFF and packed GeoJSON have two suffixes. macOS stores accents as characters of their own.

    Examples
    --------
    >>> image_name("slide.ome"), image_name("Gro\u0308sse") == image_name("Gr\xf6sse")
    ('slide', True)
    """
    return unicodedata.normalize("NFC", _INNER_SUFFIX.sub("", name))


def pair_but_case(names: Collection[str], others: Collection[str]) -> dict[str, str]:
    """Pair names that differ in upper and lower case only; a name that fits several others has no partner.

    Examples
    --------
    >>> pair_but_case(["A1", "b", "C"], ["a1", "B", "c", "c "])
    {'A1': 'a1', 'b': 'B', 'C': 'c'}
    >>> pair_but_case(["a"], ["A", "a"])
    {}
    """
    sides: list[dict[str, list[str]]] = []
    for side in (names, others):
        sides.append(defaultdict(list))
        for name in side:
            sides[-1][name.casefold()].append(name)
    first, second = sides
    return {
        found[0]: second[key][0]
        for key, found in first.items()
        if len(found) == len(second.get(key, ())) == 1
    }


def pair_by_name(
    folder: Path | str,
    annotated: Callable[[Path], str | None],
    words: Words,
    *,
    preferred: Callable[[list[Path]], tuple[list[Path], list[Path]]] = lambda annotations: (annotations, []),
    pattern: NamePattern | None = None,
    besides: Collection[str] = (),
    least: int = 1,
) -> Pairs:
    """Find images and their annotations in a folder and its subfolders. Linked folders are followed.

    Parameters
    ----------
    folder : path
    annotated : callable
        ``path -> str or None``: returns the name of the image that a file annotates, None if it is not an annotation.
        The path is relative to the folder.
    words : Words
        Words for messages.
    preferred : callable, optional
        ``annotations -> (used, spare)``: chooses among several annotations of one image. Default: use all.
    pattern : NamePattern, optional
        Names of annotations, to decide about files that could be an image or an annotation.
    besides : collection of str
        Files and folders directly in the folder to ignore.
    least : int
        Minimum number of pairs. Default: 1.

    Returns
    -------
    Pairs
        In natural order of names: 2 comes before 10. Hidden files are ignored. Where several images have a name, an
        annotation belongs to the image in the corresponding folder: `train/labels/1.png` to `train/images/1.png`.

    Raises
    ------
    InputError
        "folder-missing", or "pairs-missing" if there are too few pairs.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("a.png", "a.txt", "b.png"):
    ...     (folder / name).touch()
    >>> words = Words("note", "notes", "notes", "text", "a.txt")
    >>> pairs = pair_by_name(folder, lambda path: path.stem if path.suffix == ".txt" else None, words)
    >>> pairs.images[0].name, pairs.annotations[0].name, pairs.alone[0][0].name
    ('a.png', 'a.txt', 'b.png')
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(
            "folder-missing",
            f"{folder} must be a folder of images and their {words.plural}",
            got="no folder",
            hint="check the path",
        )
    files = _Files(folder, annotated, besides)
    if pattern is not None:
        files.resolve(pattern)
    files.ignore_case()
    pairs: list[tuple[Path, Path]] = []
    alone: list[tuple[Path, str]] = []
    spare: list[Path] = []
    for name in sorted(files.images.keys() | files.annotations.keys(), key=natural_key):
        for images, annotations in files.partners(name, pattern):
            used, unused = preferred(annotations)
            spare += unused
            if len(images) == len(used) == 1:
                pairs.append((images[0], used[0]))
            else:
                alone += [(path, _reason(len(images), len(used), words)) for path in (*images, *used)]
        spare += files.others.get(name, []) if files.images.get(name) else []
    if len(pairs) < least:
        raise InputError(
            "pairs-missing",
            f"{folder} must contain images, and {words.formats} with the same names",
            got="; ".join(f"{path.name} {reason}" for path, reason in alone[:5]) or "no images",
            hint=f"name {words.plural} like their images, as a.png and {words.example}",
        )
    return Pairs(
        tuple(image for image, _ in pairs),
        tuple(annotation for _, annotation in pairs),
        tuple(alone + files.broken),
        tuple(spare),
    )


def _reason(images: int, annotations: int, words: Words) -> str:
    """Return why images and annotations of one name are not a pair."""
    if images and annotations:
        many = f"{images} images" if images > 1 else "1 image"
        return f"is ambiguous: {many} and {annotations} {words.files} have this name"
    return f"has no {words.singular} of its name" if images else "has no image of its name"


class _Files:
    """The files of a folder, grouped by the name that an image and its annotations share."""

    def __init__(
        self, folder: Path, annotated: Callable[[Path], str | None], besides: Collection[str]
    ) -> None:
        self.folder = folder
        self.images: dict[str, list[Path]] = defaultdict(list)
        self.annotations: dict[str, list[Path]] = defaultdict(list)
        self.others: dict[str, list[Path]] = defaultdict(
            list
        )  # files that may be annotations of another kind
        self.broken: list[tuple[Path, str]] = []
        for path in walk_files(folder):
            inner = path.relative_to(folder)
            if inner.parts[0] in besides:
                continue
            name, suffix = annotated(inner), path.suffix.lower()
            if (name is not None or suffix in PICTURES) and not path.exists():
                if path.is_symlink():
                    self.broken.append((path, "is a link to a file that does not exist"))
            elif name is not None:
                self.annotations[unicodedata.normalize("NFC", name)].append(path)
            elif suffix in PICTURES:
                self.images[image_name(path.stem)].append(path)
            elif suffix in _OTHERS:
                self.others[image_name(_IMAGE_SUFFIX.sub("", path.stem))].append(path)

    def resolve(self, pattern: NamePattern) -> None:
        """Decide about label images without an image, and about images without annotation, by the other names."""
        for name, paths in list(self.annotations.items()):
            if name not in self.images:
                rasters = [path for path in paths if path.suffix.lower() in PICTURES]
                named = [
                    path for path in rasters if self.annotations.get(image_name(path.stem), [path]) != paths
                ]
                weak = [path for path in rasters if _is_weak(path.relative_to(self.folder))]
                self._move_to_images(name, named or (weak if 0 < len(weak) < len(paths) else []))
        for side in (self.images, self.annotations):
            for name in list(side):
                rest = pattern.strip_start(name)
                if rest in self.images and not (name in self.images and name in self.annotations):
                    self.annotations[rest] += side.pop(name)

    def ignore_case(self) -> None:
        """Give annotations whose image has no annotation, and a name of another case, the name of the image."""
        alone = [name for name, paths in self.annotations.items() if paths and not self.images.get(name)]
        free = [name for name, paths in self.images.items() if paths and not self.annotations.get(name)]
        for name, image in pair_but_case(alone, free).items():
            note(CASE_NOTE, self.annotations[name][0])
            self.annotations[image] = self.annotations.pop(name)

    def _move_to_images(self, name: str, paths: list[Path]) -> None:
        for path in paths:
            self.annotations[name].remove(path)
            self.images[image_name(path.stem)].append(path)
        if not self.annotations[name]:
            del self.annotations[name]

    def partners(self, name: str, pattern: NamePattern | None) -> list[tuple[list[Path], list[Path]]]:
        """Return the images and annotations of a name that belong together, one entry per folder if that helps."""
        images, annotations = self.images.get(name, []), self.annotations.get(name, [])
        if len(images) < 2 or not annotations:
            return [(images, annotations)]
        for words in (False, True):
            by_place: dict[tuple[str, ...], tuple[list[Path], list[Path]]] = defaultdict(lambda: ([], []))
            for side, paths in enumerate((images, annotations)):
                for path in paths:
                    by_place[_place(path.relative_to(self.folder), pattern, words=words)][side].append(path)
            if all(len(found) == 1 for found, _ in by_place.values()):
                return list(by_place.values())
        return [(images, annotations)]


def _is_weak(inner: Path) -> bool:
    """Return whether only the folder `rois` makes a picture an annotation; regions are often cut out as images."""
    return any(_REGIONS.match(part) for part in inner.parts[:-1])


def _place(inner: Path, pattern: NamePattern | None, *, words: bool) -> tuple[str, ...]:
    """Return the folders of a path, without folders, or with `words` without words, that mark images or annotations."""
    places = []
    for part in inner.parts[:-1]:
        rest = _IMAGE_FOLDER.sub("", part)
        rest = rest if pattern is None else pattern.strip_folder(rest)
        if rest == part or (words and rest):
            places.append(rest)
    return tuple(places)


def natural_key(name: str) -> list[tuple[int, str]]:
    """Return a sort key for natural order.

    Examples
    --------
    >>> sorted(["train_10.png", "train_2.png"], key=natural_key)
    ['train_2.png', 'train_10.png']
    """
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
