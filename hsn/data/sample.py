"""A sample of a data set: paths of an image and its truth, decoded on demand."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .. import taxonomies
from ..annotations import mask_files
from ..annotations.colors import from_colors
from ..annotations.label_files import read_color_mask
from ..annotations.pairing import natural_key
from ..errors import InputError
from ..images.read import SUFFIXES, read
from ..taxonomies import Taxonomy


@dataclass(frozen=True)
class Sample:
    """One image and the files of its truth.

    Attributes
    ----------
    name : str
        File name without folder, as in the tables of the data set.
    image_path : Path
    mask_paths : mapping of str to Path
        Color masks by the name of their taxonomy.
    instances_path : Path or None
        File of instances: a label image or outlines.
    instances_of : str or None
        Class of the instances: "G.O".
    tags : tuple of str
        Present classes, as given by the data set.
    group : str or None
        Slide or patient. Keep samples of one group on the same side of a split.
    grade : str or None
        Diagnosis, if the data set has it.
    mpp : float or None
        Micrometers per pixel of the image.
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

    def image(self) -> np.ndarray:
        """Read the image, uint8 (H, W, 3)."""
        return read(self.image_path)

    def instances(self) -> np.ndarray:
        """Read the instances, int32 (H, W), 0 background; raise "truth-missing" without a file."""
        if self.instances_path is None:
            raise InputError(
                "truth-missing",
                f"{self.name} must have a file of instances",
                got="none",
                hint="check the folder, or use truth()",
            )
        outlines = not mask_files.is_raster(self.instances_path)
        return mask_files.read(self.instances_path, self.image().shape[:2] if outlines else None)

    def has_truth(self, taxonomy: Taxonomy | str) -> bool:
        """Check whether the sample has truth in a taxonomy, without reading files."""
        taxonomy = taxonomies.get(taxonomy)
        # Instances of one class are a complete truth only if the other class is everything else.
        by_instances = (
            self.instances_path is not None and len(taxonomy) == 2 and self.instances_of in taxonomy.names
        )
        return taxonomy.name in self.mask_paths or by_instances

    def truth(self, taxonomy: Taxonomy | str) -> tuple[np.ndarray, np.ndarray]:
        """Read the labels in a taxonomy.

        Parameters
        ----------
        taxonomy : Taxonomy or str

        Returns
        -------
        labels : int32 array, shape (h, w)
            The resolution of the truth can differ from the resolution of the image.
        valid_mask : bool array, shape (h, w)
            True where the truth is known.

        Raises
        ------
        InputError
            "truth-missing" if the sample has no truth in this taxonomy.
        """
        taxonomy = taxonomies.get(taxonomy)
        if taxonomy.name in self.mask_paths:
            return from_colors(read_color_mask(self.mask_paths[taxonomy.name]), taxonomy)
        if self.has_truth(taxonomy):
            label = taxonomy.index(str(self.instances_of))
            labels = np.where(self.instances() > 0, label, 1 - label).astype(np.int32)
            return labels, np.ones(labels.shape, bool)
        raise InputError(
            "truth-missing",
            f"{self.name} must have truth in taxonomy '{taxonomy.name}'",
            got=", ".join(self.mask_paths) or "none",
            hint="check that the folder of the truth is complete",
        )


def nuclei_sample(image_path: Path, masks: Iterable[Path], *, organ: str, mpp: float) -> Sample:
    """Make a sample of nuclei; its instances are the first existing file of `masks`, its group is the organ."""
    mask = next((path for path in masks if path.is_file() and path != image_path), None)
    return Sample(
        name=image_path.stem,
        image_path=image_path,
        instances_path=mask,
        instances_of=None if mask is None else "Nucleus",
        group=organ,
        mpp=mpp,
    )


def image_paths(folder: Path | str) -> list[Path]:
    """List the image files directly in a folder, in natural order (2 before 10); empty if the folder is missing."""
    folder = Path(folder)
    paths = folder.iterdir() if folder.is_dir() else ()
    images = (path for path in paths if path.suffix.lower() in SUFFIXES and path.name[0] != ".")
    return sorted(images, key=lambda path: natural_key(path.name))


def table_rows(path: Path | str) -> list[list[str]]:
    """Read the rows of a CSV file as lists of stripped cells, heading first; empty if the file is missing.

    Raises
    ------
    InputError
        "file-unreadable".
    """
    path = Path(path)
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            return [[cell.strip() for cell in row] for row in csv.reader(lines) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            "file-unreadable", f"{path} must be a CSV file in UTF-8", got=error, hint="export it again"
        ) from None
