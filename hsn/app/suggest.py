"""Help for the annotator: places to look at, marks that look wrong, and warnings.

Half of the places are chosen by texture, as different as possible from what is annotated; the other half is random.
In simulations neither uncertainty nor correcting the largest error was better than chance.
"""

import shutil
from collections import Counter
from typing import Any

import numpy as np

from ..annotations.annotation import is_background_class
from ..errors import InputError
from ..instant.regression import fit
from ..selection.texture import describe
from .annotations import Annotations
from .features import SPECIAL, bounds_of, class_of
from .live import Live
from .project import Project
from .tiles import read_box

PLACES = 6
_CANDIDATES = 36
_WINDOW_PX = 160  # at the scale of the instant classifier
_IMAGES = 12  # that are searched for one list
_GLASS = 225  # mean of the darkest channel from which a window is empty
_MIN_MARKS, _MIN_SHARE = 5, 0.1
_MAX_CHECKED = 200  # marks that are refitted without
_SHOWN = 12
_NEAR_UM = 1.0
_MIN_BYTES = 1e9


def suggest_places(
    project: Project, annotations: Annotations, live: Live, *, seed: int
) -> list[dict[str, Any]]:
    """Return places to annotate next: `image`, `bbox` in pixels of level 0, and `why` ("texture" or "random").

    Parameters
    ----------
    project, annotations, live
    seed : int
        Another number gives other places.
    """
    rng = np.random.default_rng(seed)
    learned = [p.id for p in project.images.values() if p.role == "learn" and project.mpp(p.id) is not None]
    if not learned:
        return []
    images = [learned[k] for k in rng.permutation(len(learned))[:_IMAGES]]
    places, patches = _candidates(project, annotations, live, images, rng)
    if len(places) <= PLACES:
        return [place | {"why": "random"} for place in places]
    features = describe(np.stack(patches))
    features = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
    by_texture = _farthest(features, PLACES // 2)
    others = [k for k in rng.permutation(len(places)) if k not in by_texture][: PLACES - len(by_texture)]
    chosen = [places[k] | {"why": "texture"} for k in by_texture] + [
        places[k] | {"why": "random"} for k in others
    ]
    return [chosen[k] for k in rng.permutation(len(chosen))]


def _candidates(project: Project, annotations: Annotations, live: Live, images: list[str], rng: np.random.Generator
                ) -> tuple[list[dict[str, Any]], list[np.ndarray]]:  # fmt: skip
    """Return random windows with tissue and without annotation, and their pixels."""
    places: list[dict[str, Any]] = []
    patches: list[np.ndarray] = []
    for k in range(4 * _CANDIDATES):
        image = images[k % len(images)]
        factor, (width, height) = live.factor(image), project.size(image)
        side = min(_WINDOW_PX * factor, width, height)
        if side < 32 * factor:
            continue
        left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
        box = [round(v) for v in (left, top, left + side, top + side)]
        if any(_meets(bounds_of(feature), box) for feature in annotations.features(image)):
            continue
        pixels = read_box(project.slide(image), left, top, _WINDOW_PX, _WINDOW_PX, side / _WINDOW_PX)
        if pixels.min(axis=2).mean() < _GLASS:
            places.append({"image": image, "bbox": box})
            patches.append(pixels)
        if len(places) == _CANDIDATES:
            break
    return places, patches


def _meets(first: tuple[float, ...], second: list[int]) -> bool:
    return first[0] < second[2] and first[2] > second[0] and first[1] < second[3] and first[3] > second[1]


def _farthest(features: np.ndarray, count: int) -> list[int]:
    """Return rows that are far from each other: each next one is the farthest from those before."""
    chosen = [int(np.argmin(((features - np.median(features, axis=0)) ** 2).sum(axis=1)))]
    distance = np.full(len(features), np.inf)
    while len(chosen) < min(count, len(features)):
        distance = np.minimum(distance, ((features - features[chosen[-1]]) ** 2).sum(axis=1))
        chosen.append(int(distance.argmax()))
    return chosen


def find_worst(project: Project, annotations: Annotations, live: Live) -> list[dict[str, Any]]:
    """Return the annotations that the others contradict: `image`, `id`, `bbox` and `why`, the worst first."""
    vectors, labels, owners = live.samples()
    names = [kind.name for kind in project.study.classes]
    found: list[tuple[float, dict[str, Any]]] = []
    marks = list(dict.fromkeys(owners))
    numbers = {mark: k for k, mark in enumerate(marks)}
    owner = np.array([numbers[each] for each in owners], int)
    for number in np.random.default_rng(0).permutation(len(marks))[:_MAX_CHECKED]:
        own, (image, name) = owner == number, marks[number]
        try:
            model = fit(vectors[~own], labels[~own], len(names))
        except InputError:
            continue
        belief = float(model.probabilities(vectors[own])[:, labels[own][0]].mean())
        if belief < 0.5:
            text = f"the other marks give {names[labels[own][0]]} {belief:.0%} here"
            found.append((belief, _place(annotations, image, name, text)))
    found += [(0.2, place) for place in _contradictions(project, annotations)]
    return [place for _, place in sorted(found, key=lambda pair: pair[0])[:_SHOWN]]


def _contradictions(project: Project, annotations: Annotations) -> list[dict[str, Any]]:
    """Return clicks of two classes within a micrometer."""
    places = []
    for image in project.images:
        clicks = [f for f in annotations.features(image) if f["geometry"]["type"] == "Point"]
        if len(clicks) < 2:
            continue
        xy = np.array([f["geometry"]["coordinates"] for f in clicks])
        near_px = _NEAR_UM / (project.mpp(image) or 1.0)
        order = np.argsort(xy[:, 0])
        for k, i in enumerate(order):
            for j in order[k + 1 :]:
                if xy[j, 0] - xy[i, 0] > near_px:
                    break
                if abs(xy[j, 1] - xy[i, 1]) <= near_px and class_of(clicks[i]) != class_of(clicks[j]):
                    places.append(_place(annotations, image, clicks[j]["id"], "two classes within 1 um"))
    return places


def _place(annotations: Annotations, image: str, name: str, why: str) -> dict[str, Any]:
    feature = annotations.feature(image, name)
    return {"image": image, "id": name, "why": why, "bbox": list(bounds_of(feature)) if feature else None}


def find_warnings(project: Project, annotations: Annotations) -> list[str]:
    """Return sentences about what is missing for a good training.

    Parameters
    ----------
    project, annotations
    """
    counts = annotations.counts()
    learned = {image: own for image, own in counts.items() if project.images.get(image) and
               project.images[image].role == "learn"}  # fmt: skip
    total: Counter[str] = Counter()
    for own in learned.values():
        total.update({name: n for name, n in own.items() if name not in (*SPECIAL, "tags")})
    sentences = []
    for name, count in total.items():
        if count < _MIN_MARKS or count < _MIN_SHARE * max(total.values()):
            sentences.append(f"{name} has only {count} mark{'' if count == 1 else 's'}")
    names = [kind.name for kind in project.study.classes]
    if (
        total
        and any(map(is_background_class, names))
        and not any(total[n] for n in names if is_background_class(n))
    ):
        sentences.append("nothing is marked as background")
    if len(learned) == 1 and len(project.images) > 1 and sum(total.values()) >= 2 * _MIN_MARKS:
        sentences.append("all marks are in one image")
    if sum(total.values()) >= 2 * _MIN_MARKS and not any(
        picture.role == "check" and counts.get(image) for image, picture in project.images.items()
    ):
        sentences.append("no check image has marks: the score will come from the training images")
    if shutil.disk_usage(project.folder).free < _MIN_BYTES:
        sentences.append("less than 1 GB is free on the disk")
    return sentences
