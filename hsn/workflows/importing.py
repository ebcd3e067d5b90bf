"""Convert annotations of other programs to label images, or to GeoJSON."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from ..annotations import mask_files
from ..annotations.label_files import MAX_PNG_LABEL, write_labels
from ..checks import one_of
from ..exports.geojson import write_geojson
from ..exports.measure import measure_objects
from ..images.read import read
from ..notes import collect_notes

FORMS = ("masks", "geojson")


@dataclass(frozen=True)
class Imported:
    """Result of `import_annotation`.

    Attributes
    ----------
    path : pathlib.Path
        The written file.
    objects : int
        Number of objects.
    notes : list of str
        What was assumed about the file.
    """

    path: Path
    objects: int
    notes: tuple[str, ...] = ()


def import_annotation(
    path: str | os.PathLike,
    like: str | os.PathLike,
    out: str | os.PathLike,
    *,
    form: str = "masks",
) -> Imported:
    """Convert an annotation to a label image, or to GeoJSON for QuPath.

    Parameters
    ----------
    path : path
        GeoJSON of QuPath, COCO JSON, Aperio XML, ImageJ or StarDist regions, `.npy`, `.mat`, label image, OME-Zarr.
    like : path
        The annotated image; the result has its size and its name.
    out : path
        Folder for the result.
    form : {"masks", "geojson"}
        "masks": ``NAME_mask.png`` (or `.tif` above 65,535 objects), which `hsn fit` and `hsn evaluate` take.
        "geojson": ``NAME.geojson``. Default: "masks".

    Returns
    -------
    Imported

    Raises
    ------
    InputError
        "form-unknown", or an error of the reader of the file or of the image.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from hsn.images.read import write
    >>> folder = Path(tempfile.mkdtemp())
    >>> write(folder / "a.png", np.zeros((2, 3, 3), np.uint8))
    >>> np.save(folder / "x.npy", np.array([[0, 1, 1], [2, 0, 0]]))
    >>> done = import_annotation(folder / "x.npy", folder / "a.png", folder / "masks")
    >>> done.path.name, done.objects
    ('a_mask.png', 2)
    """
    one_of("form", form, FORMS)
    like, out = Path(like), Path(out)
    with collect_notes() as notes:
        instances = mask_files.read(Path(path), read(like).shape[:2])
    table = measure_objects(instances, outlines=form == "geojson")
    if form == "geojson":
        done = Imported(out / f"{like.stem}.geojson", len(table))
        write_geojson(done.path, [table.named(like.stem)])
    else:
        suffix = ".png" if instances.max(initial=0) <= MAX_PNG_LABEL else ".tif"
        done = Imported(out / f"{like.stem}_mask{suffix}", len(table))
        write_labels(done.path, instances)
    return replace(done, notes=tuple(notes.sentences()))
