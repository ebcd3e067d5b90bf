"""Annotated regions of slides become images with the same pixels, and annotation at the same places."""

import json

import numpy as np
import pytest

import hsn
from hsn.annotations import qupath
from hsn.annotations.annotation import Annotation, Point, Shape
from hsn.data.synthetic_slide import draw_slide
from hsn.images.read import read
from hsn.workflows import slide_regions
from hsn.workflows.slide_regions import cut_regions, find_annotated_slides


def rectangle(top, left, height, width, label=None):
    corners = [[top, left], [top, left + width], [top + height, left + width], [top + height, left]]
    return Shape((np.array(corners, float) - 0.5,), label)


@pytest.fixture(scope="module")
def annotated(tmp_path_factory):
    """A drawn slide with two regions, the outlines of their nuclei, and clicks."""
    import cv2

    drawn = draw_slide(tmp_path_factory.mktemp("slides") / "drawn.svs", (1200, 1600), side=512, seed=3)
    regions = [(400, 500, 256, 256), (500, 900, 200, 300)]
    outlines = []
    for top, left, height, width in regions:
        numbers = drawn.truth(drawn.nuclei, top, left, height, width)
        for number in np.unique(numbers)[1:]:
            contours, _ = cv2.findContours(
                (numbers == number).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
            )
            corners = max(contours, key=len)[:, 0, ::-1] + np.array([top, left])
            if len(corners) >= 8:
                outlines.append(Shape((corners.astype(float),), "Nucleus"))
    annotation = Annotation(
        objects=tuple(outlines),
        points=(Point(410.0, 520.0, "Nucleus"), Point(10.0, 10.0, "Nucleus")),
        complete_region=tuple(rectangle(*region, "Region*") for region in regions),
    )
    qupath.write(drawn.path.with_suffix(".geojson"), annotation)
    return drawn


def test_regions_have_the_pixels_of_the_slide_and_the_annotation_inside(annotated, tmp_path):
    assert find_annotated_slides(annotated.path.parent) == [annotated.path]
    images = cut_regions([annotated.path], tmp_path, mpp=0.25)
    assert [image.name for image in images] == ["drawn_region1.png", "drawn_region2.png"]
    slide = hsn.open_slide(annotated.path)
    np.testing.assert_array_equal(read(images[0]), slide.read_level(400, 500, 256, 256))
    first = qupath.read(images[0].with_suffix(".geojson"))
    assert [(point.row, point.col) for point in first.points] == [(10.0, 20.0)]
    assert len(first.objects) > 10
    corners = np.concatenate([shape.rings[0] for shape in first.objects])
    assert corners.min() >= -0.5
    assert corners.max() <= 255.5


def test_another_scale_moves_pixels_and_annotation_together(annotated, tmp_path):
    (image, _) = cut_regions([annotated.path], tmp_path, mpp=0.5)
    assert read(image).shape == (128, 128, 3)
    (point,) = qupath.read(image.with_suffix(".geojson")).points
    assert (point.row, point.col) == pytest.approx(((10 + 0.5) / 2 - 0.5, (20 + 0.5) / 2 - 0.5))


def test_a_large_region_becomes_several_images_without_gaps(annotated, tmp_path, monkeypatch):
    monkeypatch.setattr(slide_regions, "_SIDE_PX", 100)
    images = cut_regions([annotated.path], tmp_path, mpp=0.25)
    shapes = [read(image).shape[:2] for image in images]
    assert sum(height * width for height, width in shapes) == 256 * 256 + 200 * 300
    assert max(max(shape) for shape in shapes) <= 100


def test_a_slide_without_a_region_is_an_error(annotated, tmp_path, raises_code):
    path = tmp_path / "bare.svs"
    path.write_bytes(annotated.path.read_bytes())
    path.with_suffix(".geojson").write_text(json.dumps({"type": "FeatureCollection", "features": []}))
    with raises_code("regions-missing"):
        cut_regions([path], tmp_path, mpp=0.25)


def test_a_training_on_slides_uses_their_regions(annotated, tmp_path):
    from hsn.workflows.fitting import prepare

    ready = prepare(annotated.path.parent, {}, {}, mpp=0.25, out=tmp_path / "mine", validation=0.5)
    assert ready.kind == "mixed"
    assert len(ready.setup.images) == 2
    assert any("annotated regions of slides" in sentence for sentence in ready.setup.notes)
    assert sorted(path.name for path in (tmp_path / "mine" / "regions").glob("*.png")) == [
        "drawn_region1.png", "drawn_region2.png"
    ]  # fmt: skip
