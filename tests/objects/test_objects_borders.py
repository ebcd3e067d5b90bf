import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.io import imread

from hsn.objects.borders import background_weights, outline_weights

maps = arrays(np.int32, (9, 10), elements=st.sampled_from([0, 0, 0, 4, 5, 9]))


@pytest.fixture
def two():
    """Published golden: two blocks in 24 x 24."""
    instances = np.zeros((24, 24), np.int32)
    instances[4:10, 3:9] = 1
    instances[6:14, 14:20] = 2
    return instances


@pytest.mark.parametrize(
    ("sigma", "places", "total"), [(5, (117, 47, 20, 20), 22_422), (20, (211, 196, 140, 102), 96_634)]
)
def test_weights_of_two_blocks_equal_the_published_ones(two, sigma, places, total):
    stored = np.rint(20 * (outline_weights(two, sigma_px=sigma) + 1)).astype(int)
    assert (stored[8, 11], stored[7, 6], stored[0, 0], stored[20, 23]) == places
    assert stored.sum() == total


def far(points, shape):
    """Distance of every pixel to the nearest of some points, from all differences."""
    r, c = np.indices(shape)
    return np.min([np.hypot(r - p, c - q) for p, q in points], axis=0)


def outline(mask):
    """Pixels with a 4-neighbor in the outer background, which is flood-filled from a margin."""
    flooded = {(-1, -1)}
    edge = [(-1, -1)]
    while edge:
        r, c = edge.pop()
        for p in ((r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)):
            inside = -1 <= p[0] <= mask.shape[0] and -1 <= p[1] <= mask.shape[1]
            on = 0 <= p[0] < mask.shape[0] and 0 <= p[1] < mask.shape[1] and mask[p]
            if inside and not on and p not in flooded:
                flooded.add(p)
                edge.append(p)
    steps = ((1, 0), (-1, 0), (0, 1), (0, -1))
    return [(r, c) for r, c in np.argwhere(mask) if any((r + a, c + b) in flooded for a, b in steps)]


def border_term(distances, sigma):
    if len(distances) < 2:
        return 0
    d1, d2 = np.sort(distances, axis=0)[:2]
    return 10 * np.exp(-((d1 + d2) ** 2) / (2 * sigma**2))


@given(maps, st.sampled_from([0.8, 2.0, 5.0]))
def test_outline_weights_equal_a_brute_force_computation(instances, sigma):
    from skimage.measure import label

    shapes = []
    for k in np.unique(instances[instances > 0]):
        parts = label(instances == k, connectivity=2)
        shapes.append(parts == parts.T[parts.T > 0][0])
    expected = border_term([far(outline(mask), instances.shape) for mask in shapes], sigma)
    np.testing.assert_allclose(outline_weights(instances, sigma_px=sigma), expected, rtol=1e-6, atol=1.1e-5)


@given(maps, st.sampled_from([0.8, 2.0, 5.0]))
def test_background_weights_equal_a_brute_force_computation(instances, sigma):
    ids = np.unique(instances[instances > 0])
    distances = [far(np.argwhere(instances == k), instances.shape) for k in ids]
    inside, outside = (instances > 0).sum(), (instances == 0).sum()
    balance = np.where(instances > 0, 1 / max(inside, 1), 1 / max(outside, 1))
    balance /= max(1 / n for n in (inside, outside) if n)
    expected = balance + border_term(distances, sigma) * (instances == 0)
    found = background_weights(instances, variance_px2=sigma**2)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1.1e-5)


@given(maps)
def test_sigma_and_variance_give_the_same_weights(instances):
    for weights in (outline_weights, background_weights):
        np.testing.assert_array_equal(weights(instances, sigma_px=5), weights(instances, variance_px2=25))


def test_fewer_than_two_objects_have_no_border_weight():
    one = np.zeros((5, 6), int)
    assert not outline_weights(one, sigma_px=5).any()
    assert (background_weights(one, sigma_px=5) == 1).all()
    one[1:3, 1:3] = 70_000
    assert not outline_weights(one, sigma_px=5).any()
    assert set(background_weights(one, sigma_px=5).ravel().tolist()) == {1.0, np.float32(4 / 26)}


@pytest.mark.parametrize(
    "width", [{}, {"sigma_px": 5, "variance_px2": 25}, {"sigma_px": 0}, {"variance_px2": -1}]
)
def test_exactly_one_width_must_be_given(two, width, raises_code):
    for weights in (outline_weights, background_weights):
        with raises_code("border-width-invalid"):
            weights(two, **width)


def test_an_array_of_floats_is_not_a_label_image(raises_code):
    with raises_code("label-image-invalid"):
        outline_weights(np.zeros((3, 3)), sigma_px=5)


def test_whole_images_of_1500_nuclei_take_about_a_second(data):
    file = data / "multiorgan" / "labels_instance" / "TCGA-HE-7129-01Z-00-DX1.png"
    instances = imread(file).astype(np.int32)
    assert instances.max() > 1500
    for weights in (outline_weights, background_weights):
        start = time.process_time()
        found = weights(instances, sigma_px=5)
        assert time.process_time() - start < 1.5
        assert 5 < found.max() <= 11
