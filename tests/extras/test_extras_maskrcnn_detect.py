"""Detection: refined boxes with scores, warnings at limits, and each object once in large images."""

import numpy as np
import pytest
from scipy.ndimage import find_objects

from hsn.extras.maskrcnn import boxes, tiles
from hsn.extras.maskrcnn.detect import paste, select_detections
from hsn.metrics.objects import match
from hsn.metrics.table import overlaps
from hsn.objects.overlaps import PlacedMask

OPTIONS = {"spread": (0.1, 0.1, 0.2, 0.2), "min_score": 0.5, "overlap": 0.3, "limit": 2000}


def apart(count, side=10):
    """Boxes in rows that do not touch."""
    columns = int(np.ceil(np.sqrt(count)))
    place = np.arange(count)
    start = np.stack([place // columns, place % columns], axis=1) * (side + 4.0)
    return np.concatenate([start, start + side], axis=1).astype(np.float32)


def logits_for(scores):
    """Two logits whose softmax is the score."""
    scores = np.asarray(scores, np.float32)
    return np.stack([0 * scores, np.log(scores / (1 - scores))], axis=1)


def test_1500_objects_are_kept_and_lower_limits_warn(rng):
    truth = apart(1500)
    regions = np.concatenate([truth, truth + 0.8])
    logits = logits_for(rng.uniform(0.6, 0.99, 3000))
    found = select_detections(regions, logits, np.zeros((3000, 2, 4), np.float32), (600, 600), **OPTIONS)
    assert len(found.boxes) == 1500
    assert found.warnings == ()
    assert (np.diff(found.scores) <= 0).all()
    assert (boxes.iou(truth, found.boxes).max(axis=1) > 0.7).all()
    cut = select_detections(
        regions, logits, np.zeros((3000, 2, 4), np.float32), (600, 600), **(OPTIONS | {"limit": 400})
    )
    np.testing.assert_array_equal(cut.boxes, found.boxes[:400])
    assert cut.warnings == (
        "the limit of 400 detections dropped objects; raise `detections` or use smaller tiles",
    )
    exact = select_detections(
        regions, logits, np.zeros((3000, 2, 4), np.float32), (600, 600), **(OPTIONS | {"limit": 1500})
    )
    assert exact.warnings == ()  # reached, but nothing was dropped


def test_each_class_moves_its_own_box():
    logits = np.log(np.float32([[0.1, 0.2, 0.7], [0.7, 0.2, 0.1], [0.3, 0.4, 0.3]]))
    deltas = np.zeros((3, 3, 4), np.float32)
    deltas[0, 1], deltas[0, 2] = 99, [10, 0, 0, 0]  # the second class moves down by its own height
    found = select_detections(np.float32([[0, 0, 8, 8]] * 3), logits, deltas, (64, 64), **OPTIONS)
    assert found.classes.tolist() == [2]
    assert found.boxes.tolist() == [[8, 0, 16, 8]]
    assert found.scores.tolist() == pytest.approx([0.7])


def test_objects_below_the_background_score_are_kept_from_min_score():
    regions, deltas = np.float32([[0, 0, 8, 8], [20, 20, 28, 28]]), np.zeros((2, 2, 4), np.float32)
    logits = logits_for([0.4, 0.2])
    few, all_ = (
        select_detections(regions, logits, deltas, (64, 64), **(OPTIONS | {"min_score": s}))
        for s in (0.3, 0.1)
    )
    assert few.scores.tolist() == pytest.approx([0.4])
    assert all_.classes.tolist() == [1, 1]
    assert len(select_detections(regions, logits, deltas, (64, 64), **OPTIONS).scores) == 0


def test_boxes_are_clipped_to_the_image_and_empty_ones_dropped():
    regions = np.float32([[-3, -3, 5, 5], [70, 70, 80, 80]])
    found = select_detections(
        regions, logits_for([0.9, 0.9]), np.zeros((2, 2, 4), np.float32), (64, 64), **OPTIONS
    )
    assert found.boxes.tolist() == [[0, 0, 5, 5]]
    none = select_detections(regions[:0], np.zeros((0, 2)), np.zeros((0, 2, 4)), (64, 64), **OPTIONS)
    assert len(none.boxes) == 0


@pytest.mark.parametrize("box", [[-3, 2, 6, 9.4], [0, 0, 1, 1], [60.2, 58.7, 64, 64], [3.5, 3.5, 3.9, 9]])
def test_masks_lie_inside_the_image(box):
    top, left, piece = paste(np.ones((28, 28)), np.float32(box), (64, 64))
    assert min(top, left) >= 0
    assert top + piece.shape[0] <= 64
    assert left + piece.shape[1] <= 64
    assert piece.all()
    assert piece.size >= 1


def test_masks_are_interpolated_between_samples():
    slope = np.tile(np.linspace(0, 1, 28), (28, 1))
    _, left, piece = paste(slope, np.float32([0, 2, 4, 13]), (32, 32))
    assert left == 2
    assert piece.sum(axis=1).tolist() == [5] * 4  # of 11 pixels, the middle one has a probability of 0.5


def tissue(rng, shape, most=9):
    """Rectangles that do not touch, 1..n."""
    instances = np.zeros((shape[0] + most, shape[1] + most), np.int32)
    for top in range(0, shape[0], most + 3):
        for left in range(0, shape[1], most + 3):
            height, width = rng.integers(3, most + 1, 2)
            down, right = rng.integers(0, most + 1 - height), rng.integers(0, most + 1 - width)
            instances[top + down : top + down + height, left + right : left + right + width] = (
                instances.max() + 1
            )
    return instances[: shape[0], : shape[1]]


def seen_exactly(window):
    """Stands in for a net: whatever part of an object a window shows, it finds."""
    pieces, around, scores = [], [], []
    for number, place in enumerate(find_objects(window), 1):
        if place is not None:
            mask = window[place] == number
            pieces.append(PlacedMask(place[0].start, place[1].start, mask))
            around.append([s.start for s in place] + [s.stop for s in place])
            scores.append((mask.sum() + number % 7) / 200)
    return np.reshape(np.array(around, float), (-1, 4)), np.array(scores), pieces, ()


@pytest.mark.parametrize("shape", [(64, 64), (40, 50), (65, 64), (100, 171), (150, 90), (233, 64)])
@pytest.mark.parametrize(("tile_px", "margin_px"), [(64, 8), (64, 16), (96, 24), (256, 32)])
def test_the_result_does_not_depend_on_the_tiling(shape, tile_px, margin_px, rng):
    truth = tissue(rng, shape)
    report = tiles.segment_tiled(seen_exactly, truth, tile_px=tile_px, margin_px=margin_px)
    found = report.scored.instances
    assert len(report.scored.scores) == len(np.unique(truth)) - 1
    matching = match(overlaps(truth, found))
    assert matching.pq == 1
    assert matching.false_positives == matching.false_negatives == 0


def test_all_of_1500_objects_are_found(rng):
    truth = tissue(rng, (480, 468))
    assert truth.max() == 1560
    report = tiles.segment_tiled(seen_exactly, truth, tile_px=128, margin_px=16)
    assert len(report.scored.scores) == 1560
    assert match(overlaps(truth, report.scored.instances)).pq == 1


def test_equal_warnings_of_tiles_are_given_once():
    def full(window):
        return np.zeros((0, 4)), np.zeros(0), [], ("the limit of 3 detections left out objects",)

    report = tiles.segment_tiled(full, np.zeros((200, 200)), tile_px=64, margin_px=8)
    assert report.warnings == ("the limit of 3 detections left out objects",)
    assert report.scored.instances.shape == (200, 200)


@pytest.mark.parametrize("shift", [-1.5, 0, 1.5])
def test_an_object_between_two_tiles_is_found_once(shift):
    """Each tile places the center on its own side of the boundary, or on the other side."""

    def wobbling(window):
        box, scores, pieces, _ = seen_exactly(window)
        return box + np.array([0, 1, 0, 1]) * (shift if window[0, 0] else -shift), scores, pieces, ()

    image = np.zeros((64, 112), int)
    image[20:30, 51:61] = 1
    image[0, 0] = 2
    assert len(tiles.segment_tiled(wobbling, image, tile_px=64, margin_px=8).scored.scores) == 2


def test_small_remainders_are_dropped(rng):
    truth = tissue(rng, (64, 64))
    areas = np.bincount(truth.ravel())[1:]
    report = tiles.segment_tiled(seen_exactly, truth, tile_px=64, margin_px=16, min_area_px=30)
    assert len(report.scored.scores) == (areas >= 30).sum()
