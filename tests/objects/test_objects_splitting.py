import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.io import imread
from skimage.segmentation import watershed

from hsn.objects.cleaning import number_parts
from hsn.objects.splitting import flood, split


def discs(*circles, shape=(40, 60)):
    r, c = np.indices(shape)
    return np.any([np.hypot(r - y, c - x) <= radius for y, x, radius in circles], axis=0)


@pytest.mark.parametrize("turns", range(4))
def test_two_discs_that_overlap_are_parted_at_the_waist(turns):
    mask = np.rot90(discs((20, 18, 10), (20, 35, 10)), turns)
    found = np.rot90(split(mask), -turns)
    assert found.max() == 2
    left, right = found[20, 18], found[20, 35]
    assert left != right
    assert (found[:, :26][found[:, :26] > 0] == left).all()
    assert (found[:, 28:][found[:, 28:] > 0] == right).all()


@pytest.mark.parametrize("tilt", np.linspace(0, np.pi, 7))
def test_one_ellipse_stays_one(tilt):
    r, c = np.indices((60, 60)) - 30.0
    along, across = r * np.cos(tilt) + c * np.sin(tilt), c * np.cos(tilt) - r * np.sin(tilt)
    assert split((along / 22) ** 2 + (across / 9) ** 2 <= 1).max() == 1


def test_a_wider_waist_parts_less():
    mask = discs((20, 18, 10), (20, 30, 10))
    assert split(mask, waist_px=0.2).max() == 2
    assert split(mask, waist_px=8).max() == 1


def test_a_disc_cut_by_the_end_of_the_image_stays_one():
    assert split(discs((0, 20, 9), (39, 59, 9))).max() == 2


@given(arrays(bool, (9, 10)), st.sampled_from([0.3, 0.5, 3]), st.sampled_from([0, 1]))
def test_every_pixel_of_the_mask_gets_an_object_and_no_part_is_lost(mask, waist, sigma):
    found = split(mask, waist_px=waist, sigma_px=sigma)
    np.testing.assert_array_equal(found > 0, mask)
    parts = number_parts(mask)
    assert np.unique(np.append(0, found)).tolist() == list(range(found.max() + 1))
    for k in range(1, found.max() + 1):
        assert len(np.unique(parts[found == k])) == 1
        assert number_parts(found == k).max() == 1


def test_markers_meet_halfway_and_parts_without_one_stay_background():
    mask = discs((20, 18, 10), (20, 35, 10)) | discs((5, 55, 3))
    markers = np.zeros(mask.shape, int)
    markers[20, 18], markers[20, 35] = 70_000, 4
    found = flood(markers, mask)
    assert set(np.unique(found)) == {0, 1, 2}
    assert found[20, 35] == 1
    assert not found[5, 55]
    np.testing.assert_array_equal(found > 0, discs((20, 18, 10), (20, 35, 10)))


def test_depth_decides_where_markers_meet():
    markers, mask = np.array([[1, 0, 0, 0, 0, 2]]), np.ones((1, 6), bool)
    depth = np.array([[5, 1, 4, 4, 4, 5.0]])
    found = flood(markers, mask, depth=depth)
    assert found.tolist() == [[1, 1, 2, 2, 2, 2]]
    np.testing.assert_array_equal(found, watershed(-depth, markers, connectivity=2, mask=mask))


def test_an_object_may_touch_itself_by_corners_only():
    assert split(np.eye(5, dtype=bool)).tolist() == np.eye(5, dtype=int).tolist()


def test_a_mask_without_background_is_one_object():
    assert (split(np.ones((9, 12), bool)) == 1).all()
    halves = flood(np.array([[1, 0, 0, 0, 0, 2]]), np.ones((1, 6), bool))
    assert halves.tolist() == [[1, 1, 1, 2, 2, 2]]


def test_nothing_gives_nothing():
    assert not split(np.zeros((5, 6), bool)).any()
    assert not flood(np.zeros((5, 6), int), np.ones((5, 6), bool)).any()


def test_touching_nuclei_of_real_tissue_are_counted_better(data):
    folder = data / "multiorgan" / "labels_instance"
    for name in ("TCGA-18-5592-01Z-00-DX1", "TCGA-HE-7129-01Z-00-DX1"):
        truth = imread(folder / f"{name}.png")
        count = len(np.unique(truth)) - 1
        start = time.process_time()
        found = split(truth > 0).max()
        assert time.process_time() - start < 2
        assert abs(number_parts(truth > 0).max() - count) > 0.25 * count
        assert abs(found - count) < 0.08 * count


def test_refusals():
    mask = np.eye(3, dtype=bool)
    for options in ({"waist_px": 0}, {"sigma_px": -1}):
        with pytest.raises(ValueError, match=r"Waists have some width.*leave them out"):
            split(mask, **options)
    with pytest.raises(ValueError, match="must be a mask"):
        split(mask.astype(int))
    with pytest.raises(ValueError, match=r"of one image; expected three arrays of shape \(3, 3\)"):
        flood(np.zeros((2, 3), int), mask)
