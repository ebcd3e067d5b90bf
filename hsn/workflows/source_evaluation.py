"""Evaluate a net from mixed annotation by the source of its training pixels."""

import re
from collections import Counter
from pathlib import Path

import numpy as np

from ..annotations.colors import resize_labels
from ..annotations.label_files import read_labels
from ..annotations.mask_files import read as read_masks
from ..errors import InputError, collect_failures
from ..models import find
from ..notes import note
from ..progress import track
from ..reports.compare import TruthFormat, detect_kind
from ..reports.source_errors import SourceErrors
from ..supervision import method_of, open_model, segment
from ..supervision.mixed.sources import NAMES
from ..supervision.mixed.training import TARGETS
from .scale_check import ScaleCheck

NUMBER = re.compile(r"^\d+-")  # in the names of training images


def score_sources(pairs, model, *, taxonomy=None, mpp=None, progress=None):
    """Count the errors of a net on its training images by source.

    Parameters
    ----------
    pairs : sequence of (path, path)
        Image and truth. Images that were not trained on are left out, with a note.
    model : str or path
        A folder that `hsn fit` trained on mixed annotation.
    taxonomy : str, optional
        Label space of the net. Default: its first. In a space of objects, truth files hold numbered objects, and an
        error is a pixel of an object that the net calls background, or the reverse.
    mpp, progress : see `hsn.segment`

    Returns
    -------
    errors : SourceErrors
    failures : list of (str, str)

    Raises
    ------
    InputError
        "sources-missing" if the folder has no source maps, or none of these images.
    """
    folder = _folder_of(model)
    space, head = _head_of(model, taxonomy)
    maps = _maps_of(folder / TARGETS / head)
    used = [(image, path) for image, path in pairs if image.stem in maps]
    if not used:
        raise InputError("sources-missing", f"{folder / TARGETS / head} must hold a source map of an image", got="none",
                         hint="give the training images of a net from mixed annotation")  # fmt: skip
    if len(used) < len(pairs):
        others = [image for image, _ in pairs if image.stem not in maps]
        note("images were not trained on, so they are not scored", others[0], len(others))
    truth = None if head == "objects" else TruthFormat(space, detect_kind([path for _, path in used], space))
    errors, failures = SourceErrors(NAMES), []
    scales = ScaleCheck(open_model(model))
    for image, path in track(used, progress, "scoring"):
        with collect_failures(failures, image):
            found = segment(image, model, taxonomy=space.name, mpp=scales.of(image, mpp).mpp).labels
            true, valid = _truth(path, found.shape, truth)
            source = resize_labels(read_labels(maps[image.stem]), found.shape).astype(np.uint8)
            errors.add(source, found != true, valid)
    return errors, failures


def _maps_of(folder):
    """Return the source maps of a folder by the stem of their image; none for stems of several images."""
    found = [(NUMBER.sub("", path.stem), path) for path in sorted(folder.glob("*.png"))]
    counts = Counter(stem for stem, _ in found)
    return {stem: path for stem, path in found if counts[stem] == 1}


def _folder_of(model):
    if not isinstance(model, str | Path):
        raise InputError("sources-missing", "`model` must be the path of a trained folder, which holds source maps",
                         got="a loaded model", hint="give the path")  # fmt: skip
    return find(model)


def _head_of(model, taxonomy):
    """Return the taxonomy and the name of its head."""
    model = open_model(model)
    _, config = method_of(model)
    space = config.taxonomy(taxonomy)
    if model.card.method != "mixed":
        raise InputError("sources-missing", "errors by source must be of a net from mixed annotation",
                         got=f"a net from {model.card.method}", hint="leave `by` out")  # fmt: skip
    return space, config.heads[0 if space.name == config.taxonomies[0].name else -1].name


def _truth(path, shape, truth):
    """Return the true labels and where they are known; without a format, numbered objects are class 1."""
    if truth is not None:
        return truth.read(path)
    objects = read_masks(path, shape)
    return (np.ma.filled(objects, 0) > 0).astype(np.int32), ~np.ma.getmaskarray(objects)
