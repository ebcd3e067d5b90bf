"""Pseudo-labels: confident objects in unlabeled images become annotation for the next round.

Objects with a low score or an unusual size become unknown pixels. In the authors' code every detection with a score
above 0.5 is an object, and the rest is background.

Each image is written when it is done: a label image, a mask of known pixels, and counts. A run that was killed
continues with the next image.
"""

import json
from typing import NamedTuple

import numpy as np

from ...annotations.label_files import read_labels, write_labels
from ...files import atomic_write
from ...objects.overlaps import select_pseudo_labels
from ...progress import track
from ...training.images import ImageCache, TrainingImage
from ...training.object_training import ObjectRecord

SUMMARY = "summary.json"
KNOWN = 255  # value of known pixels in files


class PseudoLabels(NamedTuple):
    """Objects that become annotation.

    Attributes
    ----------
    instances : int32 (H, W)
        0 background, 1..n.
    known : bool (H, W)
        False where an object was detected but not accepted.
    """

    instances: np.ndarray
    known: np.ndarray


def label_images(system, images, config, folder, *, progress=None):
    """Write pseudo-labels of unlabeled images; images that are done are not segmented again.

    Parameters
    ----------
    system : object
        See `hsn.training.object_training`.
    images : sequence of TrainingImage
    config : Config
    folder : path
        Gets `labels/NAME.png`, `known/NAME.png` and `counts/NAME.json` of each image, and `summary.json`. An image is
        done when the last of the three exists.
    progress : callable, optional

    Returns
    -------
    list of TrainingImage
        With `ObjectRecord`s at the net's scale.
    """
    labeled, rows, cache = [], {}, ImageCache()
    for image in track(images, progress, "pseudo-labels"):
        counts = folder / "counts" / f"{image.name}.json"
        files = [folder / kind / f"{image.name}.png" for kind in ("labels", "known")]
        if not counts.exists():
            scored = system.segment(image.load().pixels).scored
            labels = accept(scored, config)
            for path, pixels in zip(files, (labels.instances, KNOWN * labels.known), strict=True):
                write_labels(path, pixels)
            row = {"detected": len(scored.scores), "accepted": int(labels.instances.max(initial=0))}
            _write(counts, row | {"known": float(labels.known.mean()), "pixels": labels.known.size})
        labeled.append(TrainingImage(image.name, image, files, _load, cache))
        rows[image.name] = json.loads(counts.read_text(encoding="utf-8"))
    _write(folder / SUMMARY, summarize(rows))
    return labeled


def _load(name, pixels, files):
    instances, known = map(read_labels, files)
    return ObjectRecord(pixels, instances.astype(np.int32), known == KNOWN)


def accept(scored, config):
    """Return the objects that become pseudo-labels, by their score and size.

    Parameters
    ----------
    scored : ScoredInstances
        At the net's scale.
    config : Config

    Returns
    -------
    PseudoLabels

    Examples
    --------
    >>> from hsn.objects.overlaps import ScoredInstances
    >>> from hsn.supervision.selected.config import preset
    >>> scored = ScoredInstances(np.array([[1, 1, 0, 2, 2, 3]]), np.array([0.9, 0.4, 0.8]))
    >>> config = preset("cpu").replace(mpp=1.0, min_score=0.5, min_pseudo_area_um2=2.0)
    >>> instances, known = accept(scored, config)
    >>> instances.tolist(), known.astype(int).tolist()
    ([[1, 1, 0, 0, 0, 0]], [[1, 1, 1, 0, 0, 0]])
    """
    max_um2 = np.inf if config.max_pseudo_area_um2 is None else config.max_pseudo_area_um2
    return PseudoLabels(
        *select_pseudo_labels(
            scored,
            min_score=config.min_score,
            min_area_px=config.min_pseudo_area_um2 / config.mpp**2,
            max_area_px=max_um2 / config.mpp**2,
        )
    )


def summarize(rows):
    """Return the counts of all images together, and of each.

    Examples
    --------
    >>> rows = {"a": {"detected": 3, "accepted": 2, "known": 0.5, "pixels": 10}}
    >>> {key: value for key, value in summarize(rows).items() if key != "images"}
    {'detected': 3, 'accepted': 2, 'rejected': 1, 'known': 0.5}
    """
    detected, accepted = (sum(row[key] for row in rows.values()) for key in ("detected", "accepted"))
    pixels = sum(row["pixels"] for row in rows.values())
    known = sum(row["known"] * row["pixels"] for row in rows.values()) / max(pixels, 1)
    return {
        "detected": detected,
        "accepted": accepted,
        "rejected": detected - accepted,
        "known": known,
        "images": rows,
    }


def _write(path, data):
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
