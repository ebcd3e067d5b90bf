"""Segmenting by masks: no tile can be told in the result, symmetries average out, objects are those of the systems."""

import sys

import numpy as np
import pytest

from hsn import InputError
from hsn.images.tiles import mirror_pad
from hsn.nets import fullnet, reach, unet
from hsn.prediction.tiling import normalize
from hsn.supervision.masks import Config, objects, preset, segment
from hsn.supervision.masks.inference import maps_of, reach_of

PUBLISHED = preset("fullnet").replace(tiling={"tta": 1}, postprocess={"min_area_um2": 0.0})


def image(rng, shape):
    return rng.integers(0, 256, (*shape, 3), dtype=np.uint8)


def shaky(net, rng):
    """Weights large enough that the far end of what the net sees matters."""
    net.set_weights([w + rng.normal(0, 0.2, w.shape) if w.ndim == 4 else w for w in net.get_weights()])
    return net


@pytest.mark.parametrize("shape", [(70, 90), (64, 64), (33, 100)])
def test_the_result_does_not_depend_on_the_size_of_tiles(rng, shape):
    net, pixels = shaky(unet.build(3, depth=2, width=4, seed=1), rng), image(rng, shape)
    whole = maps_of(net, pixels, PUBLISHED.replace(tiling={"tile_px": 512}))
    for tile_px in (20, 32, 50):
        tiled = maps_of(net, pixels, PUBLISHED.replace(tiling={"tile_px": tile_px}))
        np.testing.assert_allclose(tiled, whole, atol=2e-5)
    assert (
        np.abs(maps_of(net, pixels, PUBLISHED.replace(tiling={"tile_px": 20, "halo_px": 4})) - whole).max()
        > 1e-3
    )


def test_without_pooling_tiles_start_anywhere(rng):
    net, pixels = (
        fullnet.build(growth=2, layers_per_block=1, hybrid=False, dilations=(1, 2), seed=0),
        image(rng, (40, 45)),
    )
    assert reach_of(net, PUBLISHED) == (reach.halo_px(net), 1)
    whole, tiled = (maps_of(net, pixels, PUBLISHED.replace(tiling={"tile_px": t})) for t in (100, 17))
    np.testing.assert_allclose(tiled, whole, atol=2e-5)


def test_inside_the_reach_a_tile_is_the_net_itself(rng):
    net, pixels = unet.build(3, depth=2, width=4, seed=1), image(rng, (48, 48))
    margin = -(-reach.halo_px(net) // 4) * 4
    padded = mirror_pad(pixels, [(margin, margin)] * 2)
    seen = np.asarray(net(normalize(padded, PUBLISHED.mean, PUBLISHED.std)[None]))
    expected = seen[0, margin:-margin, margin:-margin]
    np.testing.assert_allclose(maps_of(net, pixels, PUBLISHED), expected, atol=2e-5)


def test_eight_views_make_a_result_that_turns_with_the_image(rng):
    net, config = shaky(unet.build(3, depth=1, width=4, seed=1), rng), PUBLISHED.replace(tiling={"tta": 8})
    pixels = image(rng, (24, 32))
    straight = maps_of(net, pixels, config)
    np.testing.assert_allclose(np.rot90(straight), maps_of(net, np.rot90(pixels), config), atol=1e-5)
    np.testing.assert_allclose(straight[:, ::-1], maps_of(net, pixels[:, ::-1], config), atol=1e-5)
    one = PUBLISHED.replace(tiling={"tta": 1})
    assert np.abs(maps_of(net, pixels, one)[:, ::-1] - maps_of(net, pixels[:, ::-1], one)).max() > 1e-3


def hot(classes):
    return np.eye(3, dtype=np.float32)[np.asarray(classes)]


def test_parts_of_the_inside_grow_back():
    inside = np.zeros((11, 20), int)
    inside[4:7, 4:7], inside[4:7, 12:15], inside[0, 0] = 1, 1, 1
    told = objects(hot(inside), PUBLISHED.replace(postprocess={"min_area_um2": 4 * 0.25**2}), mpp=0.25)
    assert told.max() == 2  # the lone pixel is too small
    assert told[5].tolist() == [0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0]
    assert told[1:3, 5].tolist() == [0, 1]
    assert told[2, 3] == 0  # by a disk: its corners are cut


def test_a_flood_stops_where_objects_end_or_where_it_may_grow_no_further():
    classes = np.array([[0, 2, 1, 1, 2, 2, 1, 1, 2, 2, 2, 2, 0]])
    config = Config(postprocess={"separation": "marker_watershed", "grow_um": 0.5, "min_area_um2": 0})
    assert objects(hot(classes), config, mpp=0.25).tolist() == [[0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 0, 0, 0]]


def test_where_two_floods_meet_evidence_decides():
    maps = hot([[1, 1, 2, 2, 2, 1, 1]])
    maps[0, 4] = (0.49, 0, 0.51)  # a notch, nearer to the second
    told = objects(
        maps,
        Config(postprocess={"separation": "marker_watershed", "grow_um": 2, "min_area_um2": 0}),
        mpp=0.25,
    )
    assert told.tolist() == [[1, 1, 1, 1, 2, 2, 2]]


def test_holes_close_where_the_recipe_says():
    ring = np.ones((5, 5), int)
    ring[2, 2] = 0
    open_, closed = (
        objects(hot(ring), PUBLISHED.replace(postprocess={"fill_holes": fill, "grow_um": 0.0}), mpp=0.25)
        for fill in (False, True)
    )
    assert (open_[2, 2], closed[2, 2]) == (0, 1)


def test_a_waist_parts_what_touches():
    rows, columns = np.indices((21, 41))
    mask = np.maximum(9 - np.hypot(rows - 10, columns - 10), 9 - np.hypot(rows - 10, columns - 26)) > 0
    maps = mask[..., None].astype(np.float32)
    assert objects(maps, preset("unet-cryonuseg"), mpp=0.25).max() == 1
    parted = objects(maps, preset("unet-cryonuseg").replace(postprocess={"h_um": 0.25}), mpp=0.25)
    assert parted.max() == 2
    assert parted[10, 10] != parted[10, 26]
    np.testing.assert_array_equal(parted > 0, mask)


def test_nothing_is_found_in_nothing():
    nothing = np.zeros((6, 7), int)
    for separate in ("components", "marker_watershed"):
        assert objects(hot(nothing), Config(postprocess={"separation": separate}), mpp=0.25).max() == 0
    assert (
        objects(
            np.zeros((6, 7, 1)), preset("unet-cryonuseg").replace(postprocess={"h_um": 1.0}), mpp=0.25
        ).max()
        == 0
    )


def test_sizes_are_micrometres_whatever_the_scale(rng):
    net, pixels = unet.build(3, depth=1, width=4, seed=1), image(rng, (40, 40))
    twice = segment(net, pixels, PUBLISHED, mpp=0.5)
    assert twice.instances.shape == (40, 40)
    block = np.zeros((40, 40), int)
    block[10:30, 10:30] = 1
    fine, coarse = objects(hot(block), PUBLISHED, mpp=0.25), objects(hot(block), PUBLISHED, mpp=0.5)
    assert (fine > 0).any(axis=0).sum() == 24
    assert (coarse > 0).any(axis=0).sum() == 22


@pytest.mark.parametrize(
    ("shape", "options", "words"),
    [
        ((15, 40), {}, "too small to tell anything; expected 16 x 16 pixels or more, received 15 x 40"),
        ((40, 40), {"mpp": 0}, "`mpp` must be positive"),
        ((40, 40), {"taxonomy": "glas"}, "this net does not segment this taxonomy; expected one of nuclei"),
    ],
)
def test_what_cannot_be_segmented_is_refused(rng, shape, options, words):
    with pytest.raises(InputError, match=words):
        segment(unet.build(3, depth=1, width=2), image(rng, shape), PUBLISHED, **options)


def test_a_giant_is_refused_before_it_is_looked_at(monkeypatch, rng):
    monkeypatch.setattr(sys.modules["hsn.supervision.masks.inference"], "MAX_PIXELS", 100)
    with pytest.raises(InputError, match="too large to be segmented at once"):
        segment(None, image(rng, (20, 20)), PUBLISHED)


def test_a_net_that_pools_and_has_no_reach_needs_a_margin(raises_code):
    net = fullnet.build(growth=2, layers_per_block=4, pooled=True)
    with raises_code("receptive-field-unbounded"):
        reach_of(net, PUBLISHED)
    assert reach_of(net, PUBLISHED.replace(tiling={"halo_px": 40})) == (40, 16)
