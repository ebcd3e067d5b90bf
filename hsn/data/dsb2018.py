"""Stained tissue of the 2018 Data Science Bowl (BBBC038, Caicedo et al., Nature Methods 2019): nuclei, CC0.

Images of 320 x 256 px with numbered nuclei, in several magnifications; no scale is published. The scale of an image is
estimated from its nuclei. The six test images are those in `img/03_nuclei_cc0`; the other images may come from the same
slides.
"""

import math
from pathlib import Path

import numpy as np

from ..annotations.label_files import read_labels
from ..checks import one_of
from ..errors import InputError
from ..instances import object_areas
from .sample import Sample, image_paths, nuclei_sample

MEDIAN_AREA_UM2 = 24.4  # of the nuclei in the training images of MultiOrgan, a disk of 5.6 um
MIN_MPP, MAX_MPP = 0.1875, 0.45  # of estimates: large nuclei stay larger than others
MIN_NUCLEI = 6  # fewer give no estimate; such images are left out
EACH = 6  # each sixth image validates

TEST = (
    "0121d6759c5adb290c8e828fc882f37dfaf3663ec885c663859948c154a443ed",
    "2246874c8b5ba218d01ad8153a201ad4660195f3e4c65da6b9d4ccaf82cb7edf",
    "5d75a63972ef643efd7c42f20668b167f2af43635d6263962d84e62e7609ab51",
    "65c8527c16a016191118e8adc3d307fe3a73d37cbe05597a95aebd75daf8d051",
    "ad473063dab4bf4f2461d9a99a9c0166d4871f156516d9e0a523484e7cf2258d",
    "cbca32daaae36a872a11da4eaff65d1068ff3f154eedc9d3fc0c214a4e5d32bd",
)
SPLITS = ("train", "validation", "test")


def list_samples(folder: Path | str, split: str = "train") -> list[Sample]:
    """List the images of one split.

    Parameters
    ----------
    folder : path
        With `images` and `labels_instance`.
    split : {"train", "validation", "test"}
        Default: "train".

    Returns
    -------
    list of Sample
        `mpp` is the estimate of `estimate_mpp`.

    Raises
    ------
    InputError
        "split-unknown" or "samples-missing".

    Examples
    --------
    >>> list_samples("nowhere")
    Traceback (most recent call last):
        ...
    hsn.errors.InputError: nowhere must contain images and label images of the 2018 Data Science Bowl; got none; \
give the folder that contains images and labels_instance.
    """
    folder = Path(folder)
    one_of("split", split, SPLITS)
    others, chosen = [], []
    for path in image_paths(folder / "images"):
        (chosen if path.stem in TEST else others).append(path)
    if split != "test":
        chosen = [path for k, path in enumerate(sorted(others)) if (k % EACH == 0) == (split == "validation")]
    samples = [sample for sample in (_sample(path, folder) for path in chosen) if sample]
    if not samples:
        raise InputError(
            "samples-missing",
            f"{folder} must contain images and label images of the 2018 Data Science Bowl",
            got="none",
            hint="give the folder that contains images and labels_instance",
        )
    return samples


def estimate_mpp(instances: np.ndarray) -> float:
    """Estimate micrometers per pixel from the median area of the nuclei, int (H, W), within 0.1875 to 0.45.

    Examples
    --------
    >>> round(estimate_mpp(np.repeat(np.arange(10), 244).reshape(10, 244)), 3)
    0.316
    """
    return float(np.clip(math.sqrt(MEDIAN_AREA_UM2 / np.median(object_areas(instances))), MIN_MPP, MAX_MPP))


def _sample(path: Path, folder: Path) -> Sample | None:
    """Return the sample of an image; None with too few nuclei."""
    labels = folder / "labels_instance" / path.name
    instances = read_labels(labels)
    if len(object_areas(instances)) < MIN_NUCLEI:
        return None
    return nuclei_sample(path, [labels], organ="unknown", mpp=estimate_mpp(instances))
