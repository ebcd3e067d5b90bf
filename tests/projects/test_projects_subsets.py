"""Parts of an annotation: nested, never empty, and without false background."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsn.annotations.annotation import Annotation, Point, Shape, Tag, kinds_of
from hsn.projects.subsets import part_of

AREA = Shape((np.array([[0.0, 0.0], [0.0, 9.0], [9.0, 9.0]]),), "Region*")


def study():
    """Six images: clicks in two, one of them in a complete region; masks in three; tags in all."""
    clicks = tuple(Point(k, k) for k in range(16))
    tags = (Tag("Tumor", True),)
    return [
        Annotation(points=clicks, tags=tags),
        Annotation(points=clicks, tags=tags, complete_region=(AREA,)),
        *(Annotation(objects=np.full((4, 4), k), tags=tags) for k in (1, 2, 3)),
        Annotation(tags=tags),
    ]


@given(st.floats(0.01, 1), st.floats(0.01, 1), st.integers(0, 100))
@pytest.mark.parametrize("kind", ["points", "masks", "tags"])
def test_smaller_parts_lie_in_larger_ones(kind, one, other, seed):
    less, more = (part_of(study(), kind, share, seed=seed) for share in sorted((one, other)))
    for a, b in zip(less, more, strict=True):
        assert set(a.points) <= set(b.points)
        assert set(kinds_of(a)) <= set(kinds_of(b))
    assert any(kind in kinds_of(annotation) for annotation in less)


def test_the_whole_is_unchanged_and_other_kinds_stay():
    whole = study()
    for part, annotation in zip(part_of(whole, "points", 1.0, seed=0), whole, strict=True):
        assert part.points == annotation.points
        assert part.complete_region == annotation.complete_region
    part = part_of(whole, "masks", 0.01, seed=0)
    assert sum("masks" in kinds_of(annotation) for annotation in part) == 1
    assert all("tags" in kinds_of(annotation) for annotation in part)


def test_a_part_of_the_clicks_of_a_region_is_not_complete():
    part = part_of(study(), "points", 0.5, seed=0)
    assert len(part[1].points) == 8
    assert part[1].complete_region == ()
