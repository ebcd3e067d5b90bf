"""Segmenting by points: sizes are micrometres, nuclei that touch are one unless waists part them."""

import numpy as np
import pytest

from hsn import InputError
from hsn.nets import resunet
from hsn.supervision.points import objects, preset, segment
from hsn.supervision.points.inference import maps_of


def maps(mask):
    nucleus = np.asarray(mask, np.float32)
    return np.stack([1 - nucleus, nucleus], axis=2)


def test_parts_are_nuclei_and_small_ones_are_dropped():
    mask = np.zeros((20, 30))
    mask[2:6, 2:7], mask[10:14, 10:14], mask[14:18, 14:18] = 1, 1, 1
    mask[0, 20:29], mask[1, 20:29] = 1, 1  # 18 px
    told = objects(maps(mask), preset("qu2020"), mpp=0.25)
    assert told.max() == 2
    assert told[12, 12] == told[16, 16] != told[3, 3]  # corners connect
    assert objects(maps(mask), preset("qu2020"), mpp=0.5).max() == 3  # 18 px are 4.5 um2 there


def test_holes_are_filled():
    ring = np.zeros((12, 12))
    ring[2:10, 2:10] = 1
    ring[5, 5] = 0
    assert objects(maps(ring), preset("qu2020"), mpp=0.25)[5, 5] == 1


def test_a_waist_parts_what_touches():
    rows, columns = np.indices((21, 41))
    mask = np.maximum(9 - np.hypot(rows - 10, columns - 10), 9 - np.hypot(rows - 10, columns - 26)) > 0
    assert objects(maps(mask), preset("qu2020"), mpp=0.25).max() == 1
    parted = objects(maps(mask), preset("qu2020").replace(postprocess={"h_um": 0.25}), mpp=0.25)
    assert parted.max() == 2
    np.testing.assert_array_equal(parted > 0, mask)


def test_nothing_is_found_in_nothing():
    for waist_um in (0.0, 1.0):
        assert (
            objects(
                maps(np.zeros((6, 7))), preset("qu2020").replace(postprocess={"h_um": waist_um}), mpp=0.25
            ).max()
            == 0
        )


@pytest.mark.parametrize("shape", [(70, 90), (40, 100)])
def test_any_size_is_segmented_at_its_own_scale(rng, shape):
    net = resunet.build(2, depth=18, width=2, seed=1)
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    config = preset("qu2020").replace(tiling={"tile_px": 64, "halo_px": 32})
    result = segment(net, image, config, mpp=0.5)
    assert result.instances.shape == result.labels.shape == shape
    assert result.evidence.shape == (*shape, 2)
    np.testing.assert_allclose(result.evidence.sum(axis=2), 1, atol=1e-5)
    assert maps_of(net, image, config.replace(tiling={"tta": 8})).shape == (*shape, 2)


@pytest.mark.parametrize(
    ("shape", "options", "words"),
    [
        ((15, 40), {}, "too small to tell anything"),
        ((40, 40), {"mpp": 0}, "`mpp` must be positive"),
        ((40, 40), {"taxonomy": "glas"}, "this net does not segment this taxonomy; expected one of nuclei"),
    ],
)
def test_what_cannot_be_segmented_is_refused(rng, shape, options, words):
    with pytest.raises(InputError, match=words):
        segment(
            resunet.build(2, depth=18, width=2),
            rng.integers(0, 256, (*shape, 3), dtype=np.uint8),
            preset("qu2020"),
            **options,
        )
