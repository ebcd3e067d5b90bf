"""Results as files: label images, overlays and areas of one segmented image."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from ..annotations.label_files import MAX_PNG_LABEL, write_labels
from ..checks import one_of
from ..errors import InputError
from ..files import plain, write_json
from ..images.read import write
from ..types import Segmentation
from .overlay import overlay_picture

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
        classes as JSON. Default: all available formats; "instances" needs objects, "overlay" the image.
    mpp : float, optional
        Micrometers per pixel, for areas in square millimeters.
    mpp_source : {"given", "metadata", "assumed"}, optional
        Origin of `mpp`. "assumed" leaves out areas in square millimeters. Default: "given".
    about : dict, optional
        Further entries at the start of the JSON file.

    Returns
    -------
    dict
        Content of the JSON file.

    Raises
    ------
    InputError
        "formats-unknown"; "format-unavailable" if the result lacks objects or its image.

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
    files = {kind: Path(folder) / kind / f"{name}{FORMATS[kind]}" for kind in _chosen(result, formats)}
    objects = {} if result.instances is None else {"objects": int(result.instances.max(initial=0))}
    if "instances" in files and objects["objects"] > MAX_PNG_LABEL:
        files["instances"] = files["instances"].with_suffix(".tif")
    height, width = result.labels.shape
    summary = plain({
        **(about or {}),
        "taxonomy": result.taxonomy.name,
        "height": height,
        "width": width,
        "mpp": mpp,
        "mpp_source": mpp_source or (None if mpp is None else "given"),
        "classes": _classes(result, None if mpp_source == "assumed" else mpp),
        **objects,
        "files": files,
    })  # fmt: skip
    if "instances" in files and result.instances is not None:
        write_labels(files["instances"], result.instances)
    if "labels" in files:
        write_labels(files["labels"], result.labels)
    if "overlay" in files and result.image is not None:
        known = None if mpp_source == "assumed" else mpp
        write(
            files["overlay"],
            overlay_picture(result.image, result.labels, result.taxonomy, result.instances, mpp=known),
        )
    if "areas" in files:
        write_json(files["areas"], summary)
    return summary


def _chosen(result: Segmentation, formats: Sequence[str] | None) -> Sequence[str]:
    """Return the formats to write."""
    lacking = {"instances": result.instances is None, "overlay": result.image is None}
    if formats is None:
        return [kind for kind in FORMATS if not lacking.get(kind)]
    for kind in formats:
        one_of("formats", kind, FORMATS)
        if lacking.get(kind):
            raise InputError(
                "format-unavailable",
                f"the result must have {'objects' if kind == 'instances' else 'its image'} for the format {kind!r}",
                got="a result without",
                hint="leave this format out",
            )
    return formats


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
