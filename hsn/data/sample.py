"""A sample: one image of a data set with whatever truth comes with it. Paths first, arrays on demand."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .. import taxonomies
from ..annotations import mask_files
from ..annotations.colors import from_colors
from ..annotations.label_files import read_color_mask
from ..errors import refuse
from ..images.read import SUFFIXES, read


@dataclass(frozen=True)
class Sample:
    """One image and where its truth lies.

    Attributes
    ----------
    name : str
        File name without folder, as the data set's own tables call it.
    image_path : Path
    mask_paths : mapping of str to Path
        Colour masks, by name of the taxonomy they are painted in.
    instances_path : Path or None
        A file with one number an object.
    instances_of : str or None
        The class whose objects those are, as in "G.O".
    tags : tuple of str
        Classes that the data set says are present.
    group : str or None
        Slide or patient. Samples of one group belong on the same side of a split.
    grade : str or None
        Diagnosis, where the data set tells it.
    mpp : float or None
        Micrometres per pixel of the image.
    """

    name: str
    image_path: Path
    mask_paths: Mapping[str, Path] = field(default_factory=dict)
    instances_path: Path | None = None
    instances_of: str | None = None
    tags: tuple[str, ...] = ()
    group: str | None = None
    grade: str | None = None
    mpp: float | None = None

    def image(self):
        """The image, uint8 (H, W, 3)."""
        return read(self.image_path)

    def instances(self):
        """Objects, int32 (H, W), 0 background; refused where the data set tells none apart."""
        if self.instances_path is None:
            refuse(f"{self.name} tells no objects apart", expected="an instance image", received="none",
                   remedy="check the folder, or use truth()")  # fmt: skip
        outlines = not mask_files.is_raster(self.instances_path)
        return mask_files.read(self.instances_path, self.image().shape[:2] if outlines else None)

    def has_truth(self, taxonomy):
        """Whether there is truth in a taxonomy (by name or as it is); its files are not looked at."""
        taxonomy = taxonomies.get(taxonomy)
        # Objects of one class are a whole truth only where there is but one other class: everything else.
        by_objects = (
            self.instances_path is not None and len(taxonomy) == 2 and self.instances_of in taxonomy.names
        )
        return taxonomy.name in self.mask_paths or by_objects

    def truth(self, taxonomy):
        """Labels in a taxonomy, and where they are known.

        Parameters
        ----------
        taxonomy : Taxonomy or str

        Returns
        -------
        labels : int32 array, shape (h, w)
            At the truth's own resolution, which may differ from the image's.
        known : bool array, shape (h, w)

        Raises
        ------
        InputError
            If the data set has no truth in this taxonomy.
        """
        taxonomy = taxonomies.get(taxonomy)
        if taxonomy.name in self.mask_paths:
            return from_colors(read_color_mask(self.mask_paths[taxonomy.name]), taxonomy)
        if self.has_truth(taxonomy):
            object_label = taxonomy.index(self.instances_of)
            labels = np.where(self.instances() > 0, object_label, 1 - object_label).astype(np.int32)
            return labels, np.ones(labels.shape, bool)
        refuse(f"{self.name} has no truth in taxonomy '{taxonomy.name}'",
               expected=", ".join(self.mask_paths) or "a mask", received="none",
               remedy="check that the truth's folder is complete")  # fmt: skip


def image_paths(folder):
    """Image files directly in `folder`, in natural order (2 before 10); none if the folder is absent."""
    folder = Path(folder)
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted((p for p in found if p.suffix.lower() in SUFFIXES and p.name[0] != "."), key=natural)


def natural(path):
    """Sort key that puts `train_2` before `train_10`.

    Examples
    --------
    >>> sorted([Path("train_10.png"), Path("train_2.png")], key=natural)[0].name
    'train_2.png'
    """
    digits = "".join(c if c.isdigit() else " " for c in path.name).split()
    letters = "".join("#" if c.isdigit() else c for c in path.name)
    while "##" in letters:
        letters = letters.replace("##", "#")
    return letters, [int(d) for d in digits], path.name


def table_rows(path):
    """Rows of a CSV file as lists of stripped cells, its heading first; none if the file is absent."""

    path = Path(path)
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            return [[cell.strip() for cell in row] for row in csv.reader(lines) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        refuse(f"{path} cannot be read as a table", expected="a CSV file in UTF-8", received=str(error),
               remedy="export it again")  # fmt: skip
