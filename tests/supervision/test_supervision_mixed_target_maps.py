"""What each kind of annotation says about the pixels of an image, and which kind overrides which."""

import numpy as np
import pytest

from hsn.annotations.annotation import Annotation, Point, Shape, Tag
from hsn.annotations.sampling import points_from_instances
from hsn.data import synthetic
from hsn.data.setup import taxonomy_of
from hsn.supervision.mixed import make_targets, preset
from hsn.supervision.mixed.config import TERNARY
from hsn.supervision.mixed.sources import (
    ABSENT_TAG,
    BOX,
    CLUSTER,
    MASK,
    POINT,
    SCRIBBLE,
    UNUSED,
    VORONOI,
    count_known,
)
from hsn.supervision.mixed.target_maps import know
from hsn.taxonomies import NUCLEI

MPP = 0.5
SIDE = 64
OBJECT = np.array([[20.0, 20.0], [20.0, 31.0], [31.0, 31.0], [31.0, 20.5]])
REGION = np.array([[10.0, 10.0], [10.0, 49.0], [49.0, 49.0], [49.0, 10.0]])
BACKGROUND_SET, OBJECT_SET, INSIDE_SET = 1, 6, 2


@pytest.fixture
def image():
    pixels = np.full((SIDE, SIDE, 3), 230, np.uint8)
    pixels[20:32, 20:32] = (90, 60, 130)
    pixels[40:48, 40:48] = (90, 60, 130)
    return pixels


@pytest.fixture(scope="module")
def tissue():
    return synthetic.draw_tissue(4, (96, 96), mpp=MPP)


def config_of(*tissues):
    spaces = (NUCLEI, *([taxonomy_of(("Other", *tissues), "tissues")] if tissues else []))
    classes = (*TERNARY, *(("Other", *tissues) if tissues else ()))
    return preset("cpu").replace(mpp=MPP, image_mpp=MPP, classes=classes, taxonomies=spaces)


def heads_of(image, config=None, **fields):
    config = config or config_of()
    return know(image, Annotation(**fields), image.shape[:2], config).heads


def test_nothing_is_known_without_annotation(image):
    target, weight = make_targets(image, Annotation(), config_of("Fat"))
    assert target.shape == (SIDE, SIDE, 5)
    assert weight.shape == (SIDE, SIDE, 2)
    assert not weight.any()


def test_a_label_image_is_known_everywhere(image):
    labels = np.zeros((SIDE, SIDE), int)
    labels[20:32, 20:32] = 7
    objects = heads_of(image, objects=labels)["objects"]
    assert (objects.source == MASK).all()
    assert (objects.weight >= 1).all()
    np.testing.assert_array_equal(objects.possible, np.where(labels > 0, OBJECT_SET, BACKGROUND_SET))


def test_outlines_outside_of_regions_know_only_a_ring_of_two_micrometers(image):
    objects = heads_of(image, objects=(Shape((OBJECT,), "Nucleus"),))["objects"]
    assert objects.possible[25, 25] == OBJECT_SET
    assert objects.possible[25, 32 + 3] == BACKGROUND_SET  # 4 px are 2 um
    assert objects.weight[25, 32 + 5] == 0


def test_within_a_region_all_else_is_background(image):
    region = Shape((REGION,), "Region*")
    objects = heads_of(image, objects=(Shape((OBJECT,), "Nucleus"),), complete_region=(region,))["objects"]
    assert objects.possible[45, 45] == BACKGROUND_SET
    assert objects.source[5, 5] == 0


def test_a_region_with_more_clicks_than_outlines_is_clicked(tissue):
    clicks = tuple(
        Point(*click) for click in points_from_instances(tissue.instances, place="inside").tolist()
    )
    region = (Shape((REGION,), "Region*"),)
    known = know(tissue.image, Annotation(points=clicks, complete_region=region), (96, 96), config_of())
    objects = known.heads["objects"]
    assert {POINT, CLUSTER, VORONOI} <= set(np.unique(objects.source))
    assert not known.complete.any()
    assert error_of(objects, tissue) < 0.2


def test_a_click_knows_its_object_and_little_else(tissue):
    row, col = click = points_from_instances(tissue.instances, place="inside")[3]
    objects = heads_of(tissue.image, points=(Point(*click.tolist()),))["objects"]
    assert objects.possible[round(row), round(col)] == INSIDE_SET
    distance = np.hypot(*(np.indices((96, 96)) - click[:, None, None]))
    assert not objects.weight[distance > 2 * 2.75 / MPP + 1].any()
    radius = 2.75 / MPP
    assert (objects.weight[distance < 0.5 * radius] == 1).mean() > 0.8
    assert set(objects.possible[(distance > radius + 1) & (objects.weight > 0)]) == {BACKGROUND_SET}
    assert set(objects.weight[distance > radius + 1]) == {0, 0.5}
    assert VORONOI not in objects.source
    assert error_of(objects, tissue) < 0.2


def error_of(objects, tissue):
    """Share of the known pixels that are wrong."""
    known = objects.weight > 0
    return ((objects.possible[known] != BACKGROUND_SET) != (tissue.instances[known] > 0)).mean()


def test_a_click_on_an_outlined_object_adds_nothing(image):
    outline = (Shape((OBJECT,), "Nucleus"),)
    one = heads_of(image, objects=outline)["objects"]
    other = heads_of(image, objects=outline, points=(Point(25.0, 25.0),))["objects"]
    np.testing.assert_array_equal(one.possible, other.possible)
    np.testing.assert_array_equal(one.source, other.source)


def test_boxes_know_their_middle_and_the_outside_if_complete(image):
    corners = np.array([[17.0, 17.0], [17.0, 34.0], [34.0, 34.0], [34.0, 17.0]])
    box = (Shape((corners,), "Nucleus"),)
    objects = heads_of(image, boxes=box)["objects"]
    assert objects.possible[25, 25] == OBJECT_SET
    assert objects.source[25, 25] == BOX
    assert objects.weight[44, 44] == 0
    whole = Shape((np.array([[0.0, 0.0], [0.0, 63.0], [63.0, 63.0], [63.0, 0.0]]),), "Region*")
    complete = heads_of(image, boxes=box, complete_region=(whole,))["objects"]
    assert complete.possible[50, 50] == BACKGROUND_SET
    assert complete.weight[17, 17] == 0
    assert complete.possible[25, 25] == OBJECT_SET


def test_scribbles_are_classes_of_their_heads(image):
    scribbles = (Shape((OBJECT,), "Fat"), Shape((REGION[:2],), "Background", closed=False))
    heads = heads_of(image, config_of("Fat"), scribbles=scribbles)
    assert heads["tissue"].possible[25, 25] == 2
    assert heads["objects"].weight[25, 25] == 0
    assert heads["tissue"].possible[10, 20] == 1
    assert heads["objects"].possible[10, 20] == BACKGROUND_SET
    assert heads["objects"].source[10, 20] == SCRIBBLE


def test_absent_tags_exclude_their_classes(image):
    tags = (Tag("Nucleus", False), Tag("Fat", False, (0, 0, 9, 63)), Tag("Stroma", False))
    heads = heads_of(image, config_of("Fat", "Stroma"), tags=tags)
    assert (heads["objects"].possible == BACKGROUND_SET).all()
    assert (heads["objects"].weight == np.float32(0.5)).all()
    assert set(np.unique(heads["tissue"].possible[:10])) == {0b001}
    assert set(np.unique(heads["tissue"].possible[10:])) == {0b011}
    assert (heads["tissue"].source == ABSENT_TAG).all()


def test_present_tags_say_nothing_about_a_pixel(image):
    known = know(image, Annotation(tags=(Tag("Nucleus", True),)), (SIDE, SIDE), config_of())
    assert not known.heads["objects"].source.any()
    assert [(tag.channel, tag.present) for tag in known.tags] == [(0, True)]


def test_more_precise_kinds_override_and_ignored_pixels_are_unused(image):
    inner = Shape((OBJECT,), "Nucleus")
    ignored = Shape((np.array([[0.0, 0.0], [0.0, 9.0], [9.0, 9.0], [9.0, 0.0]]),), "Ignore*")
    objects = heads_of(
        image, objects=(inner,), scribbles=(Shape((REGION,), "Background"),), points=(Point(44, 44),),
        tags=(Tag("Nucleus", False),), ignore=(ignored,),
    )["objects"]  # fmt: skip
    assert objects.source[25, 25] == MASK
    assert objects.source[44, 44] == SCRIBBLE
    assert objects.source[60, 60] == ABSENT_TAG
    assert (objects.source[:10, :10] == UNUSED).all()
    assert not objects.weight[:10, :10].any()
    assert count_known(objects.source)["masks"] > 100


def test_annotations_follow_an_image_to_the_scale_of_the_net():
    drawn = synthetic.draw_tissue(0, (96, 96), mpp=0.25)
    annotation = Annotation(objects=(Shape((2 * OBJECT,), "Nucleus"),), points=(Point(88.0, 88.0),))
    known = know(drawn.image[::2, ::2], annotation, (96, 96), config_of())
    assert known.instances[25, 25] == 1
    np.testing.assert_allclose(known.points, [[43.75, 43.75]])


def test_points_outside_are_an_error(image, raises_code):
    with raises_code("points-outside"):
        heads_of(image, points=(Point(64.0, 2.0),))
