"""A project of `hsn app`: a study folder, with what the app adds to it.

| file | content |
|---|---|
| `study.toml`, `images.csv`, `annotations/`, `tags.csv`, `models/` | a study, see `hsn.projects.study` |
| `project.toml` | format, id, aim, base net |
| `journal/` | all edits; the truth, from which `annotations/` and `tags.csv` are written |
| `models/0003/` | a trained folder, with `input/`, `command.txt`, `progress.jsonl`, `log.txt` |
| `predictions/`, `cache/` | may be deleted |
| `app.lock`, `server.json` | the running server |

The split of an image in `images.csv` is its role: "val" are check images, whose annotation is never learned from.
"""

import getpass
import json
import os
import secrets
import shutil
import tempfile
import threading
import tomllib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..checks import as_mpp, one_of
from ..data.image_files import distinct_names, find_images
from ..errors import InputError
from ..files import SAMPLE, atomic_write, check_writable, read_text
from ..images.slide import Slide, open_slide
from ..locks import take_lock
from ..notes import note
from ..projects.study import STUDY, Study, StudyImage, new_study, read_study, write_images

TOUR = "hsn-tour"
DEFAULT, SETTINGS, LOCK, SERVER = "hsn-project", "project.toml", "app.lock", "server.json"
FORMAT = 1
ROLES = {"": "learn", "train": "learn", "val": "check", "test": "test"}
SPLITS = {"learn": "", "check": "val", "test": "test"}
_CHECK_EVERY = 5  # one in five images is a check image
_OPEN_SLIDES = 8
# Okabe and Ito's colors, which differ for all kinds of color vision; the first ones differ from H&E, too.
COLORS = (
    (86, 180, 233),
    (230, 159, 0),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)


@dataclass(frozen=True)
class Aim:
    """Aim of a project, with the defaults that follow.

    Attributes
    ----------
    title : str
    classes : dict of str to {"object", "tissue"}
    tool : str
        First tool of the page.
    mpp : float
        Micrometers per pixel at which nets are trained.
    instant_mpp : float
        Micrometers per pixel of the instant classifier.
    base : str
        Net to start from; empty for the pretrained encoder alone.
    """

    title: str
    classes: Mapping[str, str]
    tool: str
    mpp: float
    instant_mpp: float
    base: str = ""


_NUCLEI = {"Nucleus": "object", "Background": "tissue"}
_GLANDS = {"Gland": "object", "Background": "tissue"}
_REGIONS = {"Tumor": "tissue", "Stroma": "tissue", "Background": "tissue"}
AIMS = {
    "nuclei": Aim("Nuclei: click them", _NUCLEI, "click", 0.25, 0.5, "nuclei-masks"),
    "glands": Aim("Objects: outline them", _GLANDS, "polygon", 1.0, 1.0),
    "regions": Aim("Regions: paint them", _REGIONS, "brush", 1.0, 2.0),
    "tags": Aim("Patches: tag them", _REGIONS, "brush", 1.0, 2.0),
}


@dataclass(frozen=True)
class Picture:
    """An image of a project.

    Attributes
    ----------
    id : str
    path : pathlib.Path
    mpp : float or None
        As given by the user; None: that of the file's metadata.
    role : {"learn", "check", "test"}
    """

    id: str
    path: Path
    mpp: float | None
    role: str


class Project:
    """An open project folder; open it with `open_project`.

    Attributes
    ----------
    folder : pathlib.Path
    study : Study
    settings : dict
        Content of `project.toml`.
    images : dict of str to Picture
    user : str
    """

    def __init__(self, folder: Path, *, user: str | None = None) -> None:
        self.folder = folder
        self.study: Study = read_study(folder)
        self.settings = _read_settings(folder / SETTINGS)
        self.user = user or self.study.annotator or getpass.getuser()
        self.images: dict[str, Picture] = {}
        self._slides: OrderedDict[str, Slide] = OrderedDict()
        self._lock = threading.RLock()
        self._read_images()

    @property
    def aim(self) -> Aim | None:
        """The aim; None if the user has to choose it."""
        return AIMS.get(self.settings.get("aim", ""))

    @property
    def base(self) -> str:
        """Name of the net that trainings begin with; empty for the pretrained encoder alone."""
        return str(self.settings.get("base", self.aim.base if self.aim else ""))

    def image(self, name: Any) -> Picture:
        """Return an image by its id.

        Raises
        ------
        InputError
            "image-unknown".
        """
        if not isinstance(name, str) or name not in self.images:
            raise InputError("image-unknown", "the image must be one of the project", got=repr(name)[:80],
                             hint="reload the page")  # fmt: skip
        return self.images[name]

    def slide(self, name: str) -> Slide:
        """Open an image; an image without a scale is opened as if it had 1 um/px, see `mpp`."""
        picture = self.image(name)
        with self._lock:
            if name in self._slides:
                self._slides.move_to_end(name)
                return self._slides[name]
        try:
            slide = open_slide(picture.path, mpp=picture.mpp)
        except InputError as error:
            if error.code not in ("slide-mpp-missing", "slide-mpp-not-square") or picture.mpp is not None:
                raise
            slide = open_slide(picture.path, mpp=1.0)
            slide.mpp_source = "unknown"
        with self._lock:
            self._slides[name] = slide
            while len(self._slides) > _OPEN_SLIDES:
                self._slides.popitem(last=False)
        return slide

    def size(self, name: str) -> tuple[int, int]:
        """Return width and height of an image in pixels of level 0."""
        return self.slide(name).dimensions

    def mpp(self, name: str) -> float | None:
        """Return micrometers per pixel of an image; None if neither the file nor the user gives it."""
        slide = self.slide(name)
        return None if slide.mpp_source == "unknown" else slide.mpp

    def set_mpp(self, names: Sequence[str], mpp: float) -> None:
        """Set the scale of images."""
        mpp = as_mpp(mpp)
        with self._lock:
            for name in names:
                self.images[name] = replace(self.image(name), mpp=mpp)
                self._slides.pop(name, None)
            self._write_images()

    def set_role(self, name: str, role: str) -> None:
        """Set the role of an image: "learn", "check" or "test"."""
        one_of("role", role, SPLITS)
        with self._lock:
            self.images[name] = replace(self.image(name), role=role)
            self._write_images()

    def change(self, **settings: str) -> None:
        """Change entries of `project.toml`."""
        with self._lock:
            self.settings |= settings
            _write_settings(self.folder / SETTINGS, self.settings)

    def set_classes(self, classes: Mapping[str, str]) -> None:
        """Write the classes of the study; their order gives their colors."""
        with self._lock, tempfile.TemporaryDirectory(dir=self.folder) as place:
            made = new_study(
                Path(place) / self.study.name, classes=classes, mpp=self.study.mpp, annotator=self.study.annotator,
                colors=[COLORS[k % len(COLORS)] for k in range(len(classes))],
            )  # fmt: skip
            (made.folder / STUDY).replace(self.folder / STUDY)
            self.study = read_study(self.folder)

    def add(self, places: Sequence[Path], mpp: float | None = None) -> None:
        """Add the images in folders and files; images that are listed already stay as they are."""
        found, failures = find_images(places, slides=True)
        for name, reason in failures:
            note(reason if name in reason else f"{name}: {reason}", name)
        roots = [place.resolve() for place in places]
        known = {picture.path for picture in self.images.values()}
        pictures = list(self.images.values())
        for path in (path.resolve() for path in found):
            if not any(path.is_relative_to(root) for root in roots):
                note("links that lead out of the given folders are not followed", path)
            elif path not in known and not path.is_relative_to(self.folder.resolve()):
                known.add(path)
                pictures.append(Picture("", path, mpp, "learn"))
        new = [k for k, picture in enumerate(pictures) if not picture.id]
        if len(pictures) >= _CHECK_EVERY:
            for k in new:
                role = "check" if k % _CHECK_EVERY == _CHECK_EVERY - 1 else "learn"
                pictures[k] = replace(pictures[k], role=role)
        self._name(pictures)
        if new:
            self._write_images()

    def _name(self, pictures: Sequence[Picture]) -> None:
        """Give each image its id: the name without ending, with the folder if names are equal."""
        names = distinct_names([picture.path for picture in pictures])
        self.images = {name: replace(picture, id=name) for name, picture in zip(names, pictures, strict=True)}

    def _read_images(self) -> None:
        pictures = []
        for row in self.study.images():
            path = row.path.absolute()
            if path.exists() and path.resolve() != path:
                note("images that became links are not opened", path)
                continue
            mpp = row.mpp if row.mpp != self.study.mpp else None
            pictures.append(Picture("", path, mpp or self.study.mpp, ROLES[row.split]))
        self._name(pictures)

    def _write_images(self) -> None:
        rows = [StudyImage(p.path, p.mpp, None, SPLITS[p.role]) for p in self.images.values()]
        write_images(self.study, rows)


def open_project(
    places: Sequence[Path],
    folder: Path | None = None,
    *,
    mpp: float | None = None,
    aim: str | None = None,
    user: str | None = None,
) -> Project:
    """Open a project, or make it; it is locked for this process.

    Parameters
    ----------
    places : sequence of path
        Folders, images and slides.
    folder : path, optional
        Default: ``hsn-project`` in the first folder.
    mpp : float, optional
        Micrometers per pixel of new images. Default: that of their files.
    aim : str, optional
        A key of `AIMS`. Default: the page asks.
    user : str, optional
        Name in the journal. Default: that of the system.

    Raises
    ------
    InputError
        "app-nothing" without places and folder, "folder-not-writable", "run-locked", "aim-unknown", "images-missing",
        "mpp-range", "data-missing" for a path that does not exist, or a code of `hsn.open_slide` for a given file.
    """
    if aim is not None:
        one_of("aim", aim, AIMS)
    mpp = None if mpp is None else as_mpp(mpp)
    folder = _folder_of(places, folder)
    _check_places(places, folder, mpp)
    check_writable(folder)
    if not folder.is_dir():
        folder.mkdir(parents=True)
        folder.chmod(0o700)
    take_lock(folder / LOCK)
    try:
        if not (folder / STUDY).is_file():
            chosen = AIMS[aim or "nuclei"].classes
            new_study(folder, classes=chosen, colors=COLORS[: len(chosen)], annotator=user or "")
        if not (folder / SETTINGS).is_file():
            settings = {"format": str(FORMAT), "id": secrets.token_hex(8), "aim": aim or ""}
            _write_settings(folder / SETTINGS, settings)
        project = Project(folder, user=user)
        if places:
            project.add(places, mpp)
        if not project.images:
            raise _no_images(folder, "none that exists")
    except BaseException:
        (folder / LOCK).unlink(missing_ok=True)
        raise
    return project


def _check_places(places: Sequence[Path], folder: Path, mpp: float | None) -> None:
    """Raise if places hold no image, or a given file cannot be read; before a project is made."""
    for place in places:
        if not place.exists():
            raise InputError("data-missing", f"{place} must be an image, a slide or a folder of these",
                             got="a path that does not exist", hint="correct the path")  # fmt: skip
        if place.is_file():
            open_slide(place, mpp=mpp or 1.0)
    if (folder / STUDY).is_file():
        return
    found, failures = find_images(places, slides=True)
    if not found:
        raise _no_images(folder, "; ".join(reason for _, reason in failures) or "no project and no images")


def _no_images(folder: Path, got: str) -> InputError:
    return InputError("images-missing", f"{folder} must be a project of one image or more", got=got,
                      hint="give images, slides or folders of them")  # fmt: skip


def open_tour(folder: Path = Path(TOUR), *, user: str | None = None) -> Project:
    """Open a project for the first steps: a copy of the shipped slide region (CC0).

    Parameters
    ----------
    folder : path
        Default: ``hsn-tour`` in the current folder.
    user : str, optional

    Raises
    ------
    InputError
        "app-nothing" without the sample slide, or a code of `open_project`.
    """
    if not SAMPLE.is_file():
        raise InputError("app-nothing", "images or a project must be given", got="neither",
                         hint="give a folder of images: hsn app slides/")  # fmt: skip
    check_writable(folder)
    folder.mkdir(parents=True, exist_ok=True)
    slide = folder / SAMPLE.name
    if not slide.is_file():
        with atomic_write(slide) as temporary:
            shutil.copyfile(SAMPLE, temporary)
    project = open_project([folder], aim="nuclei", user=user)
    project.change(tour="yes")
    return project


def close_project(project: Project) -> None:
    """Release the lock."""
    (project.folder / LOCK).unlink(missing_ok=True)


def read_server(folder: Path) -> dict[str, Any]:
    """Return port and token of the last server of a project; empty if there was none."""
    try:
        data = json.loads((folder / SERVER).read_text(encoding="utf-8"))
        return data if isinstance(data["port"], int) and isinstance(data["token"], str) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write_server(folder: Path, port: int, token: str) -> None:
    """Keep port and token for the next start; only the owner can read the file."""
    path = folder / SERVER
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump({"port": port, "token": token}, file)


def _folder_of(places: Sequence[Path], folder: Path | None) -> Path:
    """Return the project folder: the given one, or the default one."""
    if folder is not None:
        return Path(folder)
    if not places:
        raise InputError("app-nothing", "images or a project must be given", got="neither",
                         hint="give a folder of images: hsn app slides/")  # fmt: skip
    first = Path(places[0])
    if (first / STUDY).is_file():
        return first
    return (first if first.is_dir() else first.parent) / DEFAULT


def _read_settings(path: Path) -> dict[str, str]:
    try:
        settings = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise InputError(
            "project-invalid", f"{path} must be TOML", got=error, hint="correct the file"
        ) from None
    if settings.get("format") != str(FORMAT):
        raise InputError("project-invalid", f"{path} must have the format {FORMAT}", got=settings.get("format"),
                         hint="install a newer hsn")  # fmt: skip
    return settings


def _write_settings(path: Path, settings: Mapping[str, str]) -> None:
    with atomic_write(path) as temporary:
        text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
        temporary.write_text(text, encoding="utf-8")
