"""Pseudo-labels: what a trained net is sure of, in images that nobody annotated, is learned from like annotation.

Objects that are seen but not believed - unsure, too small, too large - are neither objects nor background: their pixels
are unknown. The authors' code took every detection above a score of 0.5 for an object, and the rest for background.

Each image is written when it is done: a label image, a mask of what is known, and a record of counts. A run that was
killed goes on with the next image.
"""

import json
from typing import NamedTuple

import numpy as np
from rich.progress import track

from ...annotations.label_files import read_labels, write_labels
from ...files import atomic_write
from ...objects.overlaps import select_pseudo_labels

SUMMARY = "summary.json"
KNOWN = 255  # in files of what is known


class Pseudo(NamedTuple):
    """What is taken for the objects of an image.

    Attributes
    ----------
    instances : int32 (H, W)
        0 background, 1..n.
    known : bool (H, W)
        False where an object was seen but is not believed.
    """

    instances: np.ndarray
    known: np.ndarray


def label(system, patches, config, folder):
    """Take what a system finds in images for annotation, as far as it is sure.

    Parameters
    ----------
    system : object
        A system in the sense of `hsn.training.object_training`.
    patches : sequence of Patch
        Images that nobody annotated.
    config : Config
    folder : path
        For `labels/NAME.png`, `known/NAME.png`, `told/NAME.json` of each image, and `summary.json`. Images of which
        the last is there are not looked at again.

    Returns
    -------
    list of Pseudo
        At the net's scale.
    """
    made, rows = [], {}
    for patch in track(patches, description="pseudo-labels"):
        record = folder / "told" / f"{patch.name}.json"
        places = [folder / kind / f"{patch.name}.png" for kind in ("labels", "known")]
        if not record.exists():
            scored = system.segment(patch.image).scored
            pseudo = believed(scored, config)
            counts = {"seen": len(scored.scores), "believed": int(pseudo.instances.max(initial=0))}
            for path, pixels in zip(places, (pseudo.instances, KNOWN * pseudo.known), strict=True):
                write_labels(path, pixels)
            _write(record, counts | {"known": float(pseudo.known.mean()), "pixels": pseudo.known.size})
        instances, known = map(read_labels, places)
        made.append(Pseudo(instances.astype(np.int32), known == KNOWN))
        rows[patch.name] = json.loads(record.read_text(encoding="utf-8"))
    _write(folder / SUMMARY, summary(rows))
    return made


def believed(scored, config):
    """Those of some scored objects, at the net's scale, that a config believes.

    Examples
    --------
    >>> from hsn.objects.overlaps import ScoredInstances
    >>> from hsn.supervision.selected.config import preset
    >>> scored = ScoredInstances(np.array([[1, 1, 0, 2, 2, 3]]), np.array([0.9, 0.4, 0.8]))
    >>> config = preset("cpu").replace(mpp=1.0, min_score=0.5, min_pseudo_area_um2=2.0)
    >>> instances, known = believed(scored, config)
    >>> instances.tolist(), known.astype(int).tolist()
    ([[1, 1, 0, 0, 0, 0]], [[1, 1, 1, 0, 0, 0]])
    """
    most_um2 = np.inf if config.max_pseudo_area_um2 is None else config.max_pseudo_area_um2
    return Pseudo(
        *select_pseudo_labels(
            scored,
            min_score=config.min_score,
            min_area_px=config.min_pseudo_area_um2 / config.mpp**2,
            max_area_px=most_um2 / config.mpp**2,
        )
    )


def summary(rows):
    """Counts of all images together, and of each.

    Examples
    --------
    >>> rows = {"a": {"seen": 3, "believed": 2, "known": 0.5, "pixels": 10}}
    >>> {key: value for key, value in summary(rows).items() if key != "images"}
    {'seen': 3, 'believed': 2, 'doubted': 1, 'known': 0.5}
    """
    seen, sure = (sum(row[key] for row in rows.values()) for key in ("seen", "believed"))
    pixels = sum(row["pixels"] for row in rows.values())
    known = sum(row["known"] * row["pixels"] for row in rows.values()) / max(pixels, 1)
    return {"seen": seen, "believed": sure, "doubted": seen - sure, "known": known, "images": rows}


def _write(path, data):
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
