"""Minutes of annotation: what the annotation of an image cost, by kind."""

from collections.abc import Mapping
from pathlib import Path

from ..annotations.annotation import KINDS, Annotation
from ..annotations.mask_files import read as read_masks
from ..errors import InputError
from ..instances import count_objects

# Seconds for one item; stated assumptions of this project, except for boxes: Papadopoulos et al., Extreme clicking for
# efficient object annotation, ICCV 2017. An outline is that of a nucleus; a gland takes about 60 s.
SECONDS = {"masks": 25.0, "scribbles": 5.0, "points": 1.5, "boxes": 7.0, "tags": 3.0}


def cost_card(seconds: Mapping[str, float] | None = None) -> dict[str, float]:
    """Return the seconds for one item of each kind.

    Parameters
    ----------
    seconds : dict of str to float, optional
        Values that differ from `SECONDS`.

    Raises
    ------
    InputError
        "cost-card" for an unknown kind, or a number that is not above 0.

    Examples
    --------
    >>> cost_card({"masks": 60})["masks"]
    60.0
    """
    card = dict(SECONDS)
    for kind, value in (seconds or {}).items():
        if kind not in SECONDS or not 0 < value < float("inf"):
            raise InputError("cost-card", f"`seconds` must be numbers above 0 for {', '.join(SECONDS)}",
                             got=f"{kind}={value}", hint="for example masks=60")  # fmt: skip
        card[kind] = float(value)
    return card


def count_items(annotation: Annotation, shape: tuple[int, int]) -> dict[str, int]:
    """Return the number of items of each kind: outlined objects, clicks, scribbles, boxes, tagged places.

    Parameters
    ----------
    annotation : Annotation
    shape : (int, int)
        Height and width of the image, for mask files.

    Examples
    --------
    >>> from hsn.annotations.annotation import Point, Tag
    >>> tags = (Tag("Tumor", True), Tag("Fat", False))
    >>> count_items(Annotation(points=(Point(1, 2),), tags=tags), (4, 4))
    {'masks': 0, 'scribbles': 0, 'points': 1, 'boxes': 0, 'tags': 1}
    """
    objects = annotation.objects
    if isinstance(objects, str | Path):
        objects = read_masks(objects, shape)
    outlined = len(objects) if isinstance(objects, tuple) else count_objects(objects)
    places = {tag.box for tag in annotation.tags}  # one look at a place gives all its tags
    numbers = (
        outlined,
        len(annotation.scribbles),
        len(annotation.points),
        len(annotation.boxes),
        len(places),
    )
    return dict(zip(KINDS, numbers, strict=True))
