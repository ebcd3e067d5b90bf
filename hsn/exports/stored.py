"""Read the results in a folder that `hsn segment` wrote, to export them later."""

import json
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..annotations.label_files import check_size, read_labels
from ..checks import same_length
from ..errors import InputError
from ..files import read_text
from ..images.read import read
from ..notes import note
from ..taxonomies import Taxonomy, TissueClass
from ..types import Segmentation
from .measure import objects_of
from .source import ExportSource

AREAS = "areas"  # folder of the JSON files, one per image


def list_results(folder: str | PathLike) -> list[Path]:
    """Return the areas files of a folder of results, sorted.

    Raises
    ------
    InputError
        "results-missing".

    Examples
    --------
    >>> list_results("out")
    Traceback (most recent call last):
        ...
    hsn.errors.InputError: out must be a folder that `hsn segment` wrote; got no areas/*.json; give its --out folder.
    """
    folder = Path(folder)
    files = sorted((folder / AREAS).glob("[!.]*.json"))
    if not files:
        raise InputError(
            "results-missing",
            f"{folder} must be a folder that `hsn segment` wrote",
            got="no areas/*.json",
            hint="give its --out folder",
        )
    return files


def read_result(areas: Path) -> ExportSource:
    """Read the stored result of one image.

    Parameters
    ----------
    areas : path
        ``OUT/areas/NAME.json``.

    Returns
    -------
    ExportSource
        Without probabilities, which are not stored. Without the image, if its file is gone or has another size: then
        the objects have no optical densities, which is noted.

    Raises
    ------
    InputError
        "result-damaged", or an error of the label image.
    """
    about = read_about(areas)
    name, folder = areas.stem, areas.parent.parent
    taxonomy = _taxonomy(about, areas)
    labels = read_labels(folder / "labels" / f"{name}.png")
    stored = next((path for path in (folder / "instances").glob(f"{name}.*") if path.stem == name), None)
    instances = None if stored is None else read_labels(stored)
    if instances is not None and stored is not None:
        check_size(stored, instances.shape, labels.shape)
    if labels.max(initial=0) >= len(taxonomy):
        raise _damaged(areas, f"label {labels.max()} of {len(taxonomy)} classes")
    scores = np.array([row.get("score", np.nan) for row in about["classes"]], float)
    mpp = about.get("mpp") if about.get("mpp_source") != "assumed" else None
    result = Segmentation(
        labels, instances, None, scores, taxonomy, _read_image(about, labels.shape, areas), mpp, name
    )
    object_scores = None
    stored_scores = about.get("object_scores")
    if instances is not None and isinstance(stored_scores, list):
        object_scores = np.array(stored_scores, float)
        same_length("objects", np.unique(instances[instances > 0]), "object_scores", object_scores)

    def tables() -> list[Any]:
        return [objects_of(result, scores=object_scores)]

    return ExportSource(name, taxonomy, tables, labels, instances, None, result.image, mpp, about=about)


def read_about(areas: Path) -> dict[str, Any]:
    """Return the content of an areas file; raise InputError "result-damaged" for another file."""
    """Return the content of an areas file; raise InputError "result-damaged" for another file."""
    try:
        about = json.loads(read_text(areas))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise _damaged(areas, "other text") from None
    if not isinstance(about, dict) or not isinstance(about.get("classes"), list):
        raise _damaged(areas, "JSON without classes")
    return about


def _taxonomy(about: dict[str, Any], areas: Path) -> Taxonomy:
    """Return the taxonomy that an areas file describes; raise InputError "result-damaged" without one."""
    try:
        classes = tuple(TissueClass(row["name"], tuple(row["color"])) for row in about["classes"])
        return Taxonomy(str(about["taxonomy"]), classes)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(areas, error) from None


def _read_image(about: dict[str, Any], shape: tuple[int, ...], areas: Path) -> np.ndarray | None:
    path = Path(str(about.get("image", "")))
    try:
        image = read(path)
        check_size(path, image.shape[:2], shape)
    except InputError:
        note("images are gone or have another size, so exports have no optical densities", areas)
        return None
    return image


def _damaged(areas: Path, got: object) -> InputError:
    return InputError(
        "result-damaged",
        f"{areas} must be a file that `hsn segment` wrote",
        got=got,
        hint="segment the image again",
    )
