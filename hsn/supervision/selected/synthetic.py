"""Synthetic pairs of all annotated patches, at the net's scale."""

import warnings
from functools import partial

from ...annotations.label_files import read_labels
from ...errors import InputError
from ...extras.singan.folder import PAIRS
from ...extras.singan.synthesis import check, synthesize
from ...objects.layouts import extract_nuclei
from ...training.images import training_images
from .patches import outlined, prepare


def synthesize_pairs(patches, config, folder, *, progress=None):
    """Synthesize `config.synthetic` pairs of each patch; existing pairs are kept.

    Parameters
    ----------
    patches : sequence of TrainingImage
        Annotated. A patch without a whole nucleus is left out, with a warning.
    config : Config
    folder : path
        Gets one folder for each patch; see `hsn.extras.singan.synthesis`.
    progress : callable, optional

    Returns
    -------
    list of TrainingImage

    Raises
    ------
    InputError
        If a patch does not have the size that a synthesis needs, before the first is made.
    """
    if not config.synthetic:
        return []
    usable = [patch for patch in patches if _has_nuclei(patch)]
    for patch in usable:
        check(*_original(patch), config.synthesis)
    files = [pair for patch in usable for pair in _pairs(patch, config, folder / patch.name, progress)]
    images, labels = zip(*files, strict=True) if files else ((), ())
    return training_images(images, labels, partial(_prepare, config=config), progress=progress)


def _prepare(name, image, labels, *, config):
    return prepare(name, image, read_labels(labels), config=config)


def _original(patch):
    """Return an annotated patch as it came, its objects numbered."""
    image = patch.original()
    return image, outlined(patch.name, image, patch.annotation)[0]


def _has_nuclei(patch):
    try:
        extract_nuclei(_original(patch)[1])
    except InputError as error:
        warnings.warn(f"no synthetic pairs of patch {patch.name}: {error}", stacklevel=3)
        return False
    return True


def _pairs(patch, config, folder, progress):
    """Return the files of the pairs of a patch: (image, labels)."""
    names = [f"{number:03d}.png" for number in range(config.synthetic)]
    files = [(folder / PAIRS / "images" / name, folder / PAIRS / "labels" / name) for name in names]
    if not all(path.exists() for pair in files for path in pair):
        synthesize(
            *_original(patch),
            out=folder,
            preset=config.synthesis,
            count=config.synthetic,
            seed=config.train.seed,
            max_overlap=config.max_overlap,
            progress=progress,
        )
    return files
