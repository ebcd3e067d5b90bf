"""Results as files: label images, overlays and areas of one segmented image."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from ..annotations.label_files import MAX_PNG_LABEL, write_labels
from ..errors import InputError
from ..exports.formats import EXPORTS, check_formats, write_export
from ..exports.measure import mean_scores
from ..exports.source import source_of
from ..files import plain, write_json
from ..images.read import write
from ..instances import renumber
from ..strips import strips
from ..types import Segmentation
from .html import write_cohort, write_page
from .overlay import overlay_picture

REPORT = "report"  # an HTML page
FORMATS = {"labels": ".png", "instances": ".png", "overlay": ".png", "areas": ".json"}  # and their suffixes


def save_segmentation(
    result: Segmentation,
    folder: str | PathLike,
    *,
    name: str,
    formats: Sequence[str] | None = None,
    mpp: float | None = None,
    mpp_source: str | None = None,
    about: Mapping[str, Any] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Write a segmentation as files, ``folder/FORMAT/NAME.png``.

    Parameters
    ----------
    result : Segmentation
    folder : path
    name : str
        Name of the files without suffix.
    formats : sequence of str, optional
        "labels": class indices. "instances": numbered objects as PNG, or as a 32-bit TIFF from 65,536 objects on.
        "overlay": classes or outlines of objects over the image, with a legend below. "areas": areas and scores of the
        classes as JSON. Default: all available ones of these; "instances" needs objects, "overlay" the image. Also the
        names in `hsn.exports.formats.EXPORTS`: "geojson", "csv", "ome-tiff", ..., and "report", an HTML page.
    mpp : float, optional
        Micrometers per pixel, for areas in square millimeters.
    mpp_source : {"given", "metadata", "assumed"}, optional
        Origin of `mpp`. "assumed" leaves out areas in square millimeters. Default: "given".
    about : dict, optional
        Further entries at the start of the JSON file.
    **options
        Options of exports: `simplify_px`, `dicom_source`.

    Returns
    -------
    dict
        Content of the JSON file.

    Raises
    ------
    InputError
        "formats-unknown"; "format-unavailable" if the result lacks objects or its image; "<package>-missing".

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from hsn.taxonomies import GLAS
    >>> from hsn.types import Segmentation
    >>> result = Segmentation(np.array([[0, 1, 1]]), None, np.ones((1, 3, 2)), np.ones(2), GLAS)
    >>> summary = save_segmentation(result, tempfile.mkdtemp(), name="a", mpp=500)
    >>> [(row["name"], row["pixels"], row["area_mm2"]) for row in summary["classes"]]
    [('Other', 1, 0.25), ('G.O', 2, 0.5)]
    """
    kinds = _chosen(result, formats)
    known_mpp = None if mpp_source == "assumed" else mpp
    files = {kind: Path(folder) / kind / f"{name}{FORMATS[kind]}" for kind in kinds if kind in FORMATS}
    objects = {} if result.instances is None else {"objects": int(result.instances.max(initial=0))}
    if "instances" in files and objects["objects"] > MAX_PNG_LABEL:
        files["instances"] = files["instances"].with_suffix(".tif")
    if "instances" in files and result.instances is not None:
        write_labels(files["instances"], result.instances)
    if "labels" in files:
        write_labels(files["labels"], result.labels)
    if "overlay" in files and result.image is not None:
        picture = overlay_picture(
            result.image, result.labels, result.taxonomy, result.instances, mpp=known_mpp
        )
        write(files["overlay"], picture)
    source = source_of(replace(result, name=name, mpp=known_mpp))
    if REPORT in kinds:
        files[REPORT] = page_of(Path(folder), name)
    for kind in kinds:
        if kind in EXPORTS:
            files[kind] = write_export(source, Path(folder), kind, **options)
    height, width = result.labels.shape
    summary: dict[str, Any] = plain({
        **(about or {}),
        "taxonomy": result.taxonomy.name,
        "height": height,
        "width": width,
        "mpp": mpp,
        "mpp_source": mpp_source or (None if mpp is None else "given"),
        "classes": _classes(result, known_mpp),
        **objects,
        "files": files,
    })  # fmt: skip
    if REPORT in kinds:
        summary["numbers"] = plain(write_page(files[REPORT], source, summary))
    if "areas" in files:
        write_json(files["areas"], summary | _object_scores(result))
    return summary


def page_of(folder: Path, name: str) -> Path:
    """Return the path of the report of an image."""
    return folder / REPORT / f"{name}.html"


def write_summary_page(folder: Path, rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Path:
    """Write `report.html`, the page of all images of a folder; return its path.

    Parameters
    ----------
    folder : path
    rows : sequence of dict
        From `hsn.reports.html.write_page`.
    names : sequence of str
        Names of the images' pages.
    """
    path = folder / f"{REPORT}.html"
    write_cohort(path, rows, links=[quote(page_of(Path(), name).as_posix()) for name in names])
    return path


def _object_scores(result: Segmentation) -> dict[str, list[float]]:
    """Return the score of each object for a later export, which has no probabilities."""
    if result.instances is None:
        return {}
    numbers, ids = renumber(result.instances)
    classes = np.zeros(len(ids) + 1, np.int64)
    for rows in strips(numbers.shape):
        classes[numbers[rows]] = result.labels[rows]
    return {"object_scores": mean_scores(numbers, classes[1:], result.probabilities).tolist()}


def available_formats(result: Segmentation) -> list[str]:
    """Return the formats that are written by default.

    Examples
    --------
    >>> import numpy as np
    >>> from hsn.taxonomies import GLAS
    >>> available_formats(Segmentation(np.array([[0, 1]]), None, np.ones((1, 2, 2)), np.ones(2), GLAS))
    ['labels', 'areas']
    """
    lacking = _lacking(result)
    return [kind for kind in FORMATS if not lacking.get(kind)]


def _lacking(result: Segmentation) -> dict[str, bool]:
    return {"instances": result.instances is None, "overlay": result.image is None}


def _chosen(result: Segmentation, formats: Sequence[str] | None) -> Sequence[str]:
    """Return the formats to write."""
    if formats is None:
        return available_formats(result)
    kinds = check_formats(formats, others=(*FORMATS, REPORT))
    for kind in kinds:
        if _lacking(result).get(kind):
            raise InputError(
                "format-unavailable",
                f"the result must have {'objects' if kind == 'instances' else 'its image'} for the format {kind!r}",
                got="a result without",
                hint="leave this format out",
            )
    return kinds


def _classes(result: Segmentation, mpp: float | None) -> list[dict[str, Any]]:
    """Return area and score of each class; square millimeters only where the scale is given."""
    rows = []
    for tissue, count, score in zip(
        result.taxonomy.classes, result.areas_px.values(), result.scores.tolist(), strict=True
    ):
        area = {} if mpp is None else {"area_mm2": count * (mpp / 1000) ** 2}
        share = {"pixels": count, "fraction": count / result.labels.size}
        rows.append({"name": tissue.name, "color": tissue.color, "score": score} | share | area)
    return rows
