"""Detection: targets of clicks, points and background from probabilities, and crops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsn.annotations.points import merge_points
from hsn.supervision.points import preset
from hsn.supervision.points.config import Config
from hsn.supervision.points.crops import detection_crops
from hsn.supervision.points.detection import click_targets, find_background, find_points
from hsn.supervision.points.images import load_images
from hsn.supervision.points.losses import detection_loss

LUNG = Config(
    mpp=0.25, radius_um=2.0, max_peak_area_um2=150 * 0.25**2
)  # the paper's second data set: r1 is 8 px

clicks = st.lists(st.tuples(st.integers(-5, 45), st.integers(-5, 55)), max_size=5)


@pytest.mark.parametrize(
    ("config", "pixels", "farthest", "row", "known"),
    [
        (preset("qu2020"), 145, 6.71, [255, 238, 195, 140, 88, 48, 23, 0], 1517),
        (LUNG, 69, 4.47, [255, 225, 154, 82, 34, 0], 797),
    ],
)
def test_a_single_click_gives_the_published_peak(config, pixels, farthest, row, known):
    target, weight = click_targets([[40, 40]], (81, 81), config)
    assert (255 * target[40, 40 : 40 + len(row)]).round().astype(int).tolist() == row
    assert (target > 0).sum() == pixels
    rows, columns = np.nonzero(target)
    assert np.hypot(rows - 40, columns - 40).max() == pytest.approx(farthest, abs=0.005)
    assert (weight > 0).sum() == known
    assert set(np.unique(weight)) == {0, 1, 10}
    np.testing.assert_array_equal(weight == 10, target > 0)


@given(clicks, clicks)
def test_more_clicks_do_not_lower_target_or_weight(some, more):
    before, after = (click_targets(points, (40, 50), preset("qu2020")) for points in (some, some + more))
    assert (after.target >= before.target).all()
    assert (after.weight >= before.weight).all()


@given(clicks)
def test_a_click_outside_gives_the_same_targets_as_in_a_larger_image(points):
    here = click_targets(points, (40, 50), preset("qu2020"))
    wider = click_targets(np.reshape(points, (-1, 2)) + 30, (100, 110), preset("qu2020"))
    for a, b in zip(here, wider, strict=True):
        np.testing.assert_array_equal(a, b[30:70, 30:80])


def test_without_a_click_only_the_background_is_known():
    background = np.zeros((9, 9), bool)
    background[:3] = True
    target, weight = click_targets([], (9, 9), preset("qu2020"), background=background)
    assert not target.any()
    np.testing.assert_array_equal(weight, background)


def test_a_click_has_priority_over_background():
    target, weight = click_targets([[4, 4]], (9, 9), preset("qu2020"), background=np.ones((9, 9), bool))
    assert (target[4, 4], weight[4, 4]) == (1, 10)


def test_the_detection_loss_is_the_mean_over_known_pixels(rng):
    target, prediction = rng.random((2, 6, 5)), rng.random((2, 6, 5, 1))
    weight = rng.choice([0, 1, 10], (2, 6, 5))
    expected = (weight * (prediction[..., 0] - target) ** 2).sum() / (weight > 0).sum()
    assert float(detection_loss(target, prediction, weight, None)) == pytest.approx(expected, rel=1e-5)
    assert float(detection_loss(target, prediction, 0 * weight, None)) == 0


def blobs(*boxes, value=0.6):
    probability = np.zeros((60, 80))
    for top, left, height, width in boxes:
        probability[top : top + height, left : left + width] = value
    return probability


def test_components_of_a_nuclear_size_become_points():
    probability = blobs((0, 0, 3, 4), (10, 10, 3, 3), (20, 20, 10, 20), (40, 20, 10, 19))
    # 12 px are accepted, 9 are not; 190 px are accepted, 200 are not.
    assert find_points(probability, preset("qu2020")).tolist() == [[1.0, 1.5], [44.5, 29.0]]
    assert find_points(blobs((0, 0, 5, 5), value=0.35), preset("qu2020")).shape == (0, 2)


def test_components_connect_at_corners():
    probability = blobs((0, 0, 4, 4), (4, 4, 4, 4))
    assert find_points(probability, preset("qu2020")).tolist() == [[3.5, 3.5]]


def test_local_maxima_separate_touching_nuclei():
    target = click_targets([[20, 20], [20, 29]], (40, 50), preset("qu2020")).target
    touching = np.maximum(target, blobs((18, 20, 5, 10), value=0.4)[:40, :50])
    assert len(find_points(touching, preset("qu2020"))) == 1
    found = find_points(touching, preset("qu2020").replace(detection_peaks="maxima"))
    assert found.tolist() == [[20.0, 20.0], [20.0, 29.0]]
    assert find_points(np.zeros((9, 9)), preset("qu2020").replace(detection_peaks="maxima")).shape == (0, 2)


def test_found_points_within_a_radius_of_a_click_are_dropped():
    given_, found = [[30.2, 30.4]], [[30, 41], [30, 41.9], [30, 42.9]]
    assert merge_points(given_, found, radius_px=11).tolist() == [
        np.float32([30.2, 30.4]).tolist(),
        [30, 42],
    ]
    assert merge_points([], [[1.9, 2.9]], radius_px=11).tolist() == [[1, 2]]
    assert merge_points(given_, np.zeros((0, 2)), radius_px=11).shape == (1, 2)


def test_low_probabilities_and_too_large_components_are_background():
    probability = blobs((0, 0, 10, 19), (20, 0, 10, 20), value=0.9)
    probability[40:, :] = 0.5
    background = find_background(probability, preset("qu2020"))
    assert not background[:10, :19].any()  # 190 px may be a nucleus
    assert background[20:30, :20].all()  # 200 px may not
    assert background[15].all()
    assert not background[40:].any()


def test_probabilities_are_rounded_down_to_8_bits():
    # 0.1 * 255 is 25.5: 25 / 255 is below 0.1, 26 / 255 above.
    assert find_background(np.array([[25.9 / 255, 26 / 255]]), preset("qu2020")).tolist() == [[True, False]]


def test_targets_of_a_crop_move_with_the_clicks_and_are_unknown_beyond_the_image(rng):
    config = preset("qu2020").replace(
        train={"crop_px": 64, "augmentation": {"zoom": (0.8, 1.0)}, "validation": (0,)},
        detection_batch_size=6,
    )
    images = [rng.integers(0, 255, (48, 48, 3), dtype=np.uint8) for _ in range(2)]
    loaded = load_images(images, [[[24, 24]], [[24, 24]]], config)
    crops = detection_crops(loaded[1:], config)
    pixels, target, weight = crops.batch(0, 0)
    assert (pixels.shape, target.shape, weight.shape) == ((6, 64, 64, 3), (6, 64, 64), (6, 64, 64))
    assert (target == 1).any(axis=(1, 2)).all()
    assert not weight[:, [0, -1]].all(axis=2).any()
    for one, other in zip(crops.batch(3, 1), crops.batch(3, 1), strict=True):
        np.testing.assert_array_equal(one, other)
    held_out = load_images(images, [[[24, 24]], [[24, 24]]], config)[1]
    held_out.val_boxes = ((0, held_out.net_shape[0], 0, held_out.net_shape[1]),)
    assert not detection_crops([held_out], config).batch(0, 0)[2].any()
