"""Write DICOM: class maps as Segmentation, outlines as Microscopy Bulk Simple Annotations. Slim and OHIF show them.

Both refer to the slide that they describe: its study, specimen and frame of reference. They are copied from the
slide's DICOM series, so a result of a file that is not DICOM needs a converted series (wsidicomizer makes one).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..annotations.instance_arrays import read_dicom_header
from ..checks import require
from ..errors import InputError
from ..files import atomic_write, first_line
from ..objects.outlines import signed_areas
from ..objects.table import ObjectTable, concatenate
from . import pyramid
from .source import ExportSource

_MAKER = {"manufacturer": "hsn", "manufacturer_model_name": "hsn", "device_serial_number": "none"}
_SEG_UM = 2.0  # um/px of the class map: highdicom holds it in memory as a whole
_SEG_PIXELS = 400_000_000
_WSI = "1.2.840.10008.5.1.4.1.1.77.1.6"
_LABEL_CHARS = 64
_CATEGORY = ("91723000", "SCT", "Anatomical structure")
_NUCLEUS, _TISSUE = ("84640000", "SCT", "Nucleus"), ("85756007", "SCT", "Tissue")
_ROOT = "2.25."


def write_dicom(
    path: str | Path, source: ExportSource, *, dicom_source: str | Path | None = None
) -> list[Path]:
    """Write a result as DICOM Segmentation and Microscopy Bulk Simple Annotations.

    Parameters
    ----------
    path : path
        ``NAME.dcm``. The files are ``NAME_seg.dcm`` (classes) and ``NAME_ann.dcm`` (outlines of objects).
    source : ExportSource
    dicom_source : path
        DICOM file of the slide, or the folder of its series. Its largest image must have the size of the result.

    Returns
    -------
    list of pathlib.Path
        The files. A result without classes or without objects has no such file.

    Raises
    ------
    InputError
        "highdicom-missing", "dicom-source-missing", "dicom-source-invalid" or "dicom-source-size".

    Notes
    -----
    The class map is written for the level of the series that is nearest to 2 um/px. Annotations are outer outlines:
    DICOM has no polygons with holes, and of an object of several parts the largest is written. Its area is that of all
    pixels.
    """
    highdicom = require("highdicom", extra="dicom")
    levels = _read_levels(dicom_source, source)
    path = Path(path)
    written = []
    for kind, make in (("seg", _segmentation), ("ann", _annotations)):
        dataset = make(highdicom, source, levels)
        if dataset is not None:
            written.append(path.with_name(f"{path.stem}_{kind}.dcm"))
            with atomic_write(written[-1]) as temporary:
                dataset.save_as(temporary, enforce_file_format=True)
    return written


def _read_levels(dicom_source: str | Path | None, source: ExportSource) -> list[Any]:
    """Return the images of the slide, the largest first, without pixels."""
    if dicom_source is None:
        raise InputError(
            "dicom-source-missing",
            "`dicom_source` must name the DICOM series of the slide, which DICOM results refer to",
            got=None,
            hint="convert the slide with wsidicomizer, or choose another format",
        )
    place = Path(dicom_source)
    files = sorted(place.rglob("*.dcm")) if place.is_dir() else [place]
    levels, problem = [], "no whole slide image"
    for file in files:
        try:
            image = read_dicom_header(file)
            if image.SOPClassUID == _WSI and image.ImageType[2] in ("VOLUME", "THUMBNAIL"):
                levels.append(image)
        except Exception as error:  # pydicom raises many kinds of errors for damaged files
            problem = first_line(error)
    if not levels:
        raise InputError(
            "dicom-source-invalid",
            f"{place} must be a DICOM whole slide image or the folder of its series",
            got=problem,
            hint="give the folder with the .dcm files of one slide",
        )
    levels.sort(key=lambda image: -image.TotalPixelMatrixRows)
    size = (levels[0].TotalPixelMatrixRows, levels[0].TotalPixelMatrixColumns)
    if size != tuple(source.shape):
        raise InputError(
            "dicom-source-size",
            f"the largest image of {place} must have the size of the result, {tuple(source.shape)}",
            got=size,
            hint="give the series of this slide",
        )
    return levels


def _common(source: ExportSource, kind: str, number: int) -> dict[str, Any]:
    """Return the attributes of a new instance; equal results have equal identifiers."""
    uid = require("pydicom.uid", extra="dicom").generate_uid
    return _MAKER | {
        "series_instance_uid": uid(_ROOT, [source.name, kind, "series"]),
        "sop_instance_uid": uid(_ROOT, [source.name, kind, "instance"]),
        "series_number": number,
        "instance_number": 1,
        "software_versions": __version__,
    }


def _algorithm(highdicom: Any) -> Any:
    family = require("pydicom.sr.codedict", extra="dicom").codes.cid7162.ArtificialIntelligence
    return highdicom.AlgorithmIdentificationSequence(name="hsn", family=family, version=__version__)


def _code(highdicom: Any, name: str) -> Any:
    """Return the SNOMED CT code of a class."""
    code = _NUCLEUS if "nucle" in name.lower() else _TISSUE
    return highdicom.sr.CodedConcept(*code)


def _segmentation(highdicom: Any, source: ExportSource, levels: list[Any]) -> Any:
    """Return the class map as a Segmentation; None without classes."""
    image, level = _seg_level(source, levels)
    shape = pyramid.level_shape(source.shape, level)
    labels = pyramid.read_block(source.labels, slice(0, shape[0]), slice(0, shape[1]), level, mean=False)
    hidden = {
        *source.taxonomy.inferred,
        *([source.taxonomy.names[0]] if source.instances is not None else []),
    }
    kept = [k for k in np.unique(labels).tolist() if source.taxonomy.names[k] not in hidden]
    if not kept:
        return None
    numbers = np.zeros(len(source.taxonomy), np.uint8)
    numbers[kept] = np.arange(1, len(kept) + 1)
    segments = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=source.taxonomy.names[k][:_LABEL_CHARS],
            segmented_property_category=highdicom.sr.CodedConcept(*_CATEGORY),
            segmented_property_type=_code(highdicom, source.taxonomy.names[k]),
            algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=_algorithm(highdicom),
        )
        for number, k in enumerate(kept, 1)
    ]
    return highdicom.seg.Segmentation(
        source_images=[image],
        pixel_array=numbers[labels][None],
        segmentation_type="BINARY",
        segment_descriptions=segments,
        tile_pixel_array=True,
        dimension_organization_type="TILED_SPARSE",
        omit_empty_frames=True,
        **_common(source, "seg", 20),
    )


def _seg_level(source: ExportSource, levels: list[Any]) -> tuple[Any, int]:
    """Return the image whose scale is nearest to 2 um/px, and its level: halvings of the result."""
    options = []
    for image in levels:
        size = (image.TotalPixelMatrixRows, image.TotalPixelMatrixColumns)
        level = round(np.log2(source.shape[0] / size[0]))
        if pyramid.level_shape(source.shape, level) == size and size[0] * size[1] <= _SEG_PIXELS:
            scale = (source.mpp or _SEG_UM) * 2**level
            options.append((abs(np.log2(scale / _SEG_UM)), level, image))
    if not options:
        raise InputError(
            "dicom-source-size",
            "the series must have a level of half, a quarter, ... of the result, with at most 400 million pixels",
            got=[(image.TotalPixelMatrixRows, image.TotalPixelMatrixColumns) for image in levels],
            hint="convert the slide with levels that halve the size",
        )
    _, level, image = min(options, key=lambda option: option[:2])
    return image, level


def _annotations(highdicom: Any, source: ExportSource, levels: list[Any]) -> Any:
    """Return the outlines as Microscopy Bulk Simple Annotations; None without objects."""
    groups = [
        _group(highdicom, source, name, table, number)
        for number, (name, table) in enumerate(_by_class(source.tables()), 1)
    ]
    if not groups:
        return None
    kinds = highdicom.ann.AnnotationCoordinateTypeValues
    return highdicom.ann.MicroscopyBulkSimpleAnnotations(
        source_images=levels[:1],
        annotation_coordinate_type=kinds.SCOORD,
        annotation_groups=groups,
        **_common(source, "ann", 21),
    )


def _by_class(tables: Iterable[ObjectTable]) -> list[tuple[str, ObjectTable]]:
    """Return the objects of each class."""
    found = [table for table in tables if len(table)]
    if not found:
        return []
    table = concatenate(found)
    classes = table.columns["class"]
    return [(name, table[classes == name]) for name in sorted(set(classes.tolist()))]


def _group(highdicom: Any, source: ExportSource, name: str, table: ObjectTable, number: int) -> Any:
    """Return the annotations of one class."""
    codes = require("pydicom.sr.codedict", extra="dicom").codes
    uid = require("pydicom.uid", extra="dicom").generate_uid
    measurements = []
    if "area_um2" in table.columns:
        measurements.append(
            highdicom.ann.Measurements(
                name=codes.SCT.Area,
                values=table.columns["area_um2"].astype(np.float32),
                unit=codes.UCUM.SquareMicrometer,
            )
        )
    return highdicom.ann.AnnotationGroup(
        number=number,
        uid=uid(_ROOT, [source.name, "group", name]),
        label=name[:_LABEL_CHARS],
        annotated_property_category=highdicom.sr.CodedConcept(*_CATEGORY),
        annotated_property_type=_code(highdicom, name),
        graphic_type=highdicom.ann.GraphicTypeValues.POLYGON,
        graphic_data=outer_rings(table),
        algorithm_type=highdicom.ann.AnnotationGroupGenerationTypeValues.AUTOMATIC,
        algorithm_identification=_algorithm(highdicom),
        measurements=measurements,
    )


def outer_rings(table: ObjectTable) -> list[np.ndarray]:
    """Return the outer ring of the largest part of each object, float32 (n, 2) of (x, y).

    Examples
    --------
    >>> from .measure import measure_objects
    >>> outer_rings(measure_objects(np.array([[1, 0, 1, 1]])))[0].tolist()
    [[2.0, 0.0], [4.0, 0.0], [4.0, 1.0], [2.0, 1.0]]
    """
    outlines = table.checked_outlines()
    first = outlines.polygons[:-1]
    area = signed_areas(outlines.points, outlines.rings)[first]
    rings = []
    for start, stop in zip(outlines.objects[:-1], outlines.objects[1:], strict=True):
        ring = first[start + int(area[start:stop].argmax())]
        rings.append(outlines.points[outlines.rings[ring] : outlines.rings[ring + 1]].astype(np.float32))
    return rings
