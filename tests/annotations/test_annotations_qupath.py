"""QuPath GeoJSON of everything that an annotator drew: a round trip, meanings of classes, errors."""

import json

import numpy as np
import pytest

from hsn.annotations import qupath
from hsn.annotations.annotation import Annotation, Point, Shape, Tag, fill, kinds_of, number_objects

SQUARE = np.array([[0.0, 0.0], [0.0, 6.0], [4.0, 5.0], [4.0, 0.0]])
BOX = np.array([[0.0, 0.0], [0.0, 6.0], [4.0, 6.0], [4.0, 0.0]])


def polygon(label, name=None, corners=SQUARE, kind="Polygon"):
    ring = [[x + 0.5, y + 0.5] for y, x in corners.tolist()]
    ring.append(ring[0])
    coordinates = [ring] if kind == "Polygon" else [[ring], [[[x + 9, y] for x, y in ring]]]
    properties = {"objectType": "annotation"} | ({"classification": {"name": label}} if label else {})
    return {"type": "Feature", "id": f"id-{label}", "geometry": {"type": kind, "coordinates": coordinates},
            "properties": properties | ({"name": name} if name else {})}  # fmt: skip


def parse(*features):
    return qupath.parse(json.dumps({"type": "FeatureCollection", "features": list(features)}), "here")


def test_what_is_written_is_read_again():
    given = Annotation(
        tags=(Tag("tumor", True, (0, 0, 9, 9)), Tag("fat", False, (0, 0, 9, 9))),
        points=(Point(1, 2, "Nucleus"), Point(3.5, 4, None)),
        objects=(Shape((SQUARE, SQUARE[:3] / 2), "Nucleus"),),
        scribbles=(Shape((SQUARE,), "Stroma"), Shape((SQUARE[:2],), "Stroma", closed=False)),
        boxes=(Shape((BOX,), "Nucleus"),),
        complete_region=(Shape((SQUARE,), "Region*"),),
        ignore=(Shape((SQUARE,), "Ignore*"),),
    )
    read = qupath.parse(qupath.compose(given), "here")
    assert read.tags == given.tags
    assert read.points == given.points
    for name in ("objects", "scribbles", "boxes", "complete_region", "ignore"):
        for one, other in zip(getattr(read, name), getattr(given, name), strict=True):
            assert (one.label, one.closed) == (other.label, other.closed)
            np.testing.assert_array_equal(fill((one,), (9, 9)), fill((other,), (9, 9)))


@pytest.mark.parametrize(
    ("label", "field"),
    [("Nucleus", "objects"), (None, "objects"), ("Stroma", "scribbles"), ("Background", "scribbles"),
     ("Region*", "complete_region"), ("Ignore*", "ignore")],
)  # fmt: skip
def test_the_class_of_a_polygon_is_its_meaning(label, field):
    read = parse(polygon(label))
    assert len(getattr(read, field)) == 1
    assert getattr(read, field)[0].feature == f"id-{label}"
    others = {"objects", "scribbles", "complete_region", "ignore", "boxes", "tags"} - {field}
    assert not any(getattr(read, other) for other in others)


def test_a_rectangle_of_objects_is_a_box_and_one_of_a_tissue_is_not():
    read = parse(polygon("Nucleus", corners=BOX), polygon("Stroma", corners=BOX))
    assert (len(read.boxes), len(read.objects), len(read.scribbles)) == (1, 0, 1)


def test_a_rectangle_with_a_name_has_tags():
    tags = parse(polygon(None, name="tags: Tumor, not Fat", corners=BOX)).tags
    assert [(tag.name, tag.present, tag.box) for tag in tags] == [
        ("Tumor", True, (0, 0, 4, 6)), ("Fat", False, (0, 0, 4, 6)),
    ]  # fmt: skip


def test_a_multipolygon_is_several_objects():
    assert len(parse(polygon("Nucleus", kind="MultiPolygon")).objects) == 2


def test_the_caller_decides_what_is_an_object():
    text = json.dumps(polygon("Blob"))
    assert qupath.parse(text, "here").scribbles
    assert qupath.parse(text, "here", is_object=lambda name: True).objects


@pytest.mark.parametrize(
    ("text", "code"),
    [("{", "geojson-malformed"), ('{"type": "Circle"}', "geojson-geometry"),
     ('{"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}', "outline-coordinates"),
     ('{"type": "Point", "coordinates": [true, 1]}', "outline-coordinates"),
     ('{"type": "Polygon", "coordinates": 3}', "geojson-malformed"),
     ('{"type": "Polygon", "coordinates": []}', "outline-coordinates")],
)  # fmt: skip
def test_invalid_text_is_an_error(text, code, raises_code):
    with raises_code(code):
        qupath.parse(text, "here")


def test_kinds_are_listed_from_the_most_precise():
    whole = Annotation(tags=(Tag("a", True),), objects=np.ones((2, 2), int), points=(Point(0, 0),))
    assert kinds_of(whole) == ("masks", "points", "tags")
    assert kinds_of(Annotation()) == ()


def test_a_hole_is_not_part_of_its_object_and_later_objects_are_above():
    outer, inner = BOX, np.array([[1.0, 1.0], [1.0, 3.0], [3.0, 3.0], [3.0, 1.0]])
    holed = fill((Shape((outer, inner)),), (6, 8))
    assert holed[0, 0]
    assert not holed[2, 2]
    numbers = number_objects((Shape((outer,)), Shape((inner,))), (6, 8))
    assert (numbers[0, 0], numbers[2, 2], numbers[5, 7]) == (1, 2, 0)


def test_shapes_scale_with_the_image():
    large = fill((Shape((BOX,)),), (12, 16), factor=(2, 2))
    assert large[1:9, 1:13].all()
    assert not large[11].any()
    assert not large[:, 15].any()


def test_a_stroke_has_its_width():
    stroke = Shape((np.array([[4.0, 2.0], [4.0, 9.0]]),), closed=False)
    assert fill((stroke,), (9, 12), width_px=1).sum() == 8
    assert fill((stroke,), (9, 12), width_px=4)[[2, 3, 4, 5, 6], 5].all()
    assert not fill((stroke,), (9, 12), width_px=4)[[1, 7], 5].any()
