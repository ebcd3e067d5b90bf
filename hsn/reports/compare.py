"""Compare prediction files with truth files, and pair images with truth files."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from ..annotations.colors import as_labels, from_colors
from ..annotations.label_files import read_color_mask, read_labels
from ..data.sample import Sample
from ..errors import InputError, collect_failures
from ..rasters import decode
from ..taxonomies import Taxonomy
from .confusion import ConfusionCounts


@dataclass(frozen=True)
class TruthFormat:
    """Format of truth files.

    Attributes
    ----------
    taxonomy : Taxonomy
    kind : {"colors", "labels", "objects"}
        A color for each class, a class index for each pixel, or numbered objects.
    objects : str or None
        Class of the numbered objects. All other pixels belong to the other class of the taxonomy.

    Raises
    ------
    InputError
        "truth-objects-taxonomy" if objects are given and the taxonomy does not have two classes.
    """

    taxonomy: Taxonomy
    kind: str
    objects: str | None = None

    def __post_init__(self) -> None:
        names = self.taxonomy.names
        if self.kind == "objects" and (len(names) != 2 or self.objects not in names):
            raise InputError(
                "truth-objects-taxonomy",
                "numbered objects must be one class of a taxonomy with two classes",
                got=f"{self.objects!r} in taxonomy '{self.taxonomy.name}' of {', '.join(names)}",
                hint="name such a taxonomy, or give color masks",
            )

    def read(self, path: str | PathLike) -> tuple[np.ndarray, np.ndarray]:
        """Return the labels of a file, int32 (H, W), and a mask of its valid pixels, bool (H, W)."""
        if self.kind == "colors":
            labels, valid_mask = from_colors(read_color_mask(path), self.taxonomy)
            if not valid_mask.any():
                raise InputError(
                    "mask-without-classes",
                    f"{path} must have colors of taxonomy '{self.taxonomy.name}'",
                    got="other colors only",
                    hint="give the taxonomy of the mask",
                )
            return labels, valid_mask
        stored = read_labels(path)
        if self.objects is not None:
            index = self.taxonomy.index(self.objects)
            return np.where(stored > 0, index, 1 - index).astype(np.int32), np.ones(stored.shape, bool)
        return as_labels(stored, len(self.taxonomy), name=str(path)), np.ones(stored.shape, bool)


def detect_kind(files: Iterable[str | PathLike], taxonomy: Taxonomy) -> str:
    """Return whether files hold colors or class indices.

    One colored pixel in any file means colors. Gray files hold class indices if all values are classes of the taxonomy.
    Palette images hold class indices unless all their colors are colors of the taxonomy.

    Parameters
    ----------
    files : sequence of path
    taxonomy : Taxonomy

    Returns
    -------
    {"colors", "labels"}

    Examples
    --------
    >>> import tempfile
    >>> from hsn.annotations.label_files import write_labels
    >>> from hsn.taxonomies import GLAS
    >>> path = Path(tempfile.mkdtemp()) / "a.png"
    >>> write_labels(path, np.array([[0, 1]]))
    >>> detect_kind([path], GLAS)
    'labels'
    """
    largest = 0
    for path in files:
        try:
            stored = read_color_mask(path)[..., :3]
        except InputError:  # 16-bit files hold indices; unreadable files raise when they are used
            continue
        if decode(Path(path)).model == "palette" and not from_colors(stored, taxonomy)[1].all():
            stored = read_labels(path)
        elif (stored != stored[..., :1]).any():
            return "colors"
        largest = max(largest, int(stored.max()))
    return "labels" if largest < len(taxonomy) else "colors"


def numbers_objects(files: Iterable[str | PathLike], taxonomy: Taxonomy) -> bool:
    """Return whether a file numbers objects: gray values beyond the classes and the colors of the taxonomy.

    Parameters
    ----------
    files : sequence of path
    taxonomy : Taxonomy

    Examples
    --------
    >>> import tempfile
    >>> from hsn.annotations.label_files import write_labels
    >>> from hsn.taxonomies import NUCLEI
    >>> path = Path(tempfile.mkdtemp()) / "a.png"
    >>> write_labels(path, np.array([[0, 1, 2, 3]]))
    >>> numbers_objects([path], NUCLEI)
    True
    """
    known = {*range(len(taxonomy)), *(color[0] for color in taxonomy.colors if len(set(color)) == 1)}
    for path in files:
        try:
            values = set(np.unique(read_labels(path)).tolist())
        except InputError:  # colors; unreadable files raise when they are used
            continue
        if len(values) > 2 and not values <= known:  # two values are a mask
            return True
    return False


@dataclass(frozen=True, kw_only=True)
class LabeledSample(Sample):
    """An image with one truth file."""

    truth_path: Path
    truth_format: TruthFormat

    def has_truth(self, taxonomy: Taxonomy | str) -> bool:
        """Return whether the truth file is in this taxonomy."""
        return getattr(taxonomy, "name", taxonomy) == self.truth_format.taxonomy.name

    def truth(self, taxonomy: Taxonomy | str) -> tuple[np.ndarray, np.ndarray]:
        """Return the labels and a mask of valid pixels; see `Sample.truth`."""
        return self.truth_format.read(self.truth_path)


def make_samples(
    pairs: Iterable[tuple[Path, Path]], truth: TruthFormat, *, mpps: Iterable[float | None]
) -> list[LabeledSample]:
    """Make samples of images and their truth files.

    Parameters
    ----------
    pairs : sequence of (path, path)
        Image and truth.
    truth : TruthFormat
    mpps : iterable of float or None
        Micrometers per pixel of each image. None: that of the net's training images.

    Returns
    -------
    list of LabeledSample
    """
    return [
        LabeledSample(
            image.name,
            image,
            instances_path=path if truth.kind == "objects" else None,
            instances_of=truth.objects,
            mpp=mpp,
            truth_path=path,
            truth_format=truth,
        )
        for (image, path), mpp in zip(pairs, mpps, strict=True)
    ]


def compare_files(
    pairs: Iterable[tuple[Path, Path]],
    predicted: TruthFormat,
    truth: TruthFormat,
    *,
    size: str = "image",
    unlisted: str = "ignore",
) -> tuple[ConfusionCounts, Sequence[tuple[str, str]]]:
    """Count the confusion of label images or color masks with the truth.

    Parameters
    ----------
    pairs : iterable of (path, path)
        Prediction and truth.
    predicted, truth : TruthFormat
        Format of the predictions and of the truth.
    size, unlisted : str
        See `ConfusionCounts`.

    Returns
    -------
    counts : ConfusionCounts
        With one stage, "prediction".
    failures : list of (str, str)
        Files that could not be scored, and the reasons.
    """
    counts = ConfusionCounts(truth.taxonomy, size, unlisted)
    failures: list[tuple[str, str]] = []
    for prediction, path in pairs:
        with collect_failures(failures, prediction):
            labels, predicted_mask = predicted.read(prediction)
            if not predicted_mask.all():
                raise InputError(
                    "prediction-incomplete",
                    f"{prediction} must have a color of the taxonomy in every pixel",
                    got=f"{(~predicted_mask).sum()} pixels of other colors",
                    hint="export it without blending or smoothing",
                )
            true, valid_mask = truth.read(path)
            counts.add(true, {"prediction": labels}, valid_mask=valid_mask)
    return counts, failures
