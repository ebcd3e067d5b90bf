"""Compare: folders of label images or colour masks, or the images themselves, with truth files of the same names."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..annotations.colors import as_labels, from_colors
from ..annotations.label_files import read_color_mask, read_labels
from ..data.sample import Sample
from ..errors import InputError, refuse
from ..taxonomies import Taxonomy
from .tally import Tally


@dataclass(frozen=True)
class Truth:
    """How truth files are to be read.

    Attributes
    ----------
    taxonomy : Taxonomy
    kind : {"colors", "labels", "objects"}
        One colour a class, one class index a pixel, or one number an object.
    objects : str or None
        The class of the objects; the rest is the taxonomy's one other class.
    """

    taxonomy: Taxonomy
    kind: str
    objects: str | None = None

    def __post_init__(self):
        names = self.taxonomy.names
        if self.kind == "objects" and (len(names) != 2 or self.objects not in names):
            refuse("numbered objects are a whole truth only beside one other class",
                   expected="a taxonomy of two classes, one of them the objects'",
                   received=f"{self.objects!r} in taxonomy '{self.taxonomy.name}' of {', '.join(names)}",
                   remedy="name such a taxonomy, or give colour masks")  # fmt: skip

    def read(self, path):
        """Labels int32 (H, W) of a file, and where they are known, bool (H, W)."""
        if self.kind == "colors":
            labels, known = from_colors(read_color_mask(path), self.taxonomy)
            if not known.any():
                refuse(f"{path} shows no class", expected=f"colours of taxonomy '{self.taxonomy.name}'",
                       received="other colours only", remedy="name the taxonomy that it is painted in")  # fmt: skip
            return labels, known
        stored = read_labels(path)
        if self.kind == "objects":
            one = self.taxonomy.index(self.objects)
            return np.where(stored > 0, one, 1 - one).astype(np.int32), np.ones(stored.shape, bool)
        return as_labels(stored, len(self.taxonomy), name=str(path)), np.ones(stored.shape, bool)


def kind_of(files, taxonomy):
    """Whether files hold colours or class indices: one coloured pixel in one of them decides for all.

    A file of greys alone may be either; it is taken for class indices if these are classes of the taxonomy.

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
    >>> kind_of([path], GLAS)
    'labels'
    """
    largest = 0
    for path in files:
        try:
            stored = read_color_mask(path)[..., :3]
        except InputError:  # 16 bits hold indices; what cannot be read at all is refused when it is its turn
            continue
        if (stored != stored[..., :1]).any():
            return "colors"
        largest = max(largest, int(stored.max()))
    return "labels" if largest < len(taxonomy) else "colors"


@dataclass(frozen=True)
class Labelled(Sample):
    """An image with one truth file of a lab's own."""

    truth_path: Path | None = None
    truth_as: Truth | None = None

    def has_truth(self, taxonomy):
        """Whether that file is in this taxonomy."""
        return getattr(taxonomy, "name", taxonomy) == self.truth_as.taxonomy.name

    def truth(self, taxonomy):
        """Labels, and where they are known; see `Sample.truth`."""
        return self.truth_as.read(self.truth_path)


def samples(pairs, truth, *, mpp=None):
    """Images with truth files, as samples.

    Parameters
    ----------
    pairs : sequence of (path, path)
        Image and truth.
    truth : Truth
    mpp : float, optional
        Micrometres per pixel of the images.

    Returns
    -------
    list of Labelled
    """
    return [
        Labelled(
            image.name,
            image,
            instances_path=path if truth.kind == "objects" else None,
            instances_of=truth.objects,
            mpp=mpp,
            truth_path=path,
            truth_as=truth,
        )
        for image, path in pairs
    ]


def compare(pairs, predicted, truth, *, size="image", unlisted="ignore"):
    """Score label images or colour masks against truth.

    Parameters
    ----------
    pairs : iterable of (path, path)
        Prediction and truth.
    predicted, truth : Truth
        How each side is read.
    size, unlisted : str
        See `Tally`.

    Returns
    -------
    tally : Tally
        With one stage, "prediction".
    failures : list of (str, str)
        Files that could not be scored, and why.
    """
    tally, failures = Tally(truth.taxonomy, size, unlisted), []
    for prediction, path in pairs:
        try:
            labels, said = predicted.read(prediction)
            if not said.all():
                refuse(f"{prediction} must say a class everywhere", expected="colours of the taxonomy only",
                       received=f"{(~said).sum()} pixels of other colours",
                       remedy="export it without blending or smoothing")  # fmt: skip
            true, known = truth.read(path)
            tally.add(true, {"prediction": labels}, known=known)
        except InputError as error:
            failures.append((str(prediction), str(error)))
    return tally, failures
