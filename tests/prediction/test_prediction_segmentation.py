"""Segmentation of objects: shared by all methods, at the size of the image, errors with codes."""

import keras
import numpy as np
import pytest
from keras import layers

from hsn.nets import fullnet, resunet, unet
from hsn.prediction import segmentation
from hsn.prediction.segmentation import preprocess, segment_objects
from hsn.stains.normalizers import fit_normalizer
from hsn.supervision import masks, points, selected

CONFIG = masks.preset("cpu").replace(
    normalization={"mean": (127.5,) * 3, "std": (127.5,) * 3},
    tiling={"halo_px": 0},
    postprocess={"min_area_um2": 0.0, "fill_holes": False},
)


def net_of_colors():
    """A net whose classes background, inside and contour are red, green and blue."""
    x = inputs = layers.Input((None, None, 3))
    return keras.Model(inputs, layers.Softmax()(layers.Rescaling(3.0)(x)))


def two_nuclei(scale=1):
    """Two nuclei of 7 and 5 px that touch by their contours."""
    classes = np.zeros((20, 24), int)
    classes[4:13, 3:12], classes[5:12, 12:19] = 2, 2
    classes[5:12, 4:11], classes[6:11, 13:18] = 1, 1
    return (np.eye(3, dtype=np.uint8) * 255)[np.kron(classes, np.ones((scale, scale), int))]


def test_objects_are_insides_grown_into_their_contours():
    result = segment_objects(net_of_colors(), two_nuclei(), CONFIG)
    assert result.instances.dtype == np.int32
    assert result.instances[8].tolist() == [0] * 3 + [1] * 9 + [2] * 7 + [0] * 5
    np.testing.assert_array_equal(result.labels, result.instances > 0)
    assert result.probabilities[8, 7, 1] > 0.95
    assert result.probabilities[0, 0, 1] < 0.05
    np.testing.assert_allclose(result.probabilities.sum(axis=2), 1, atol=1e-6)
    assert result.taxonomy.name == "nuclei"


def test_a_large_image_has_the_objects_of_a_small_one(monkeypatch):
    config = CONFIG.replace(postprocess={"h_um": 0.3})
    image = np.tile(two_nuclei(), (3, 4, 1))
    whole = segment_objects(net_of_colors(), image, config)
    monkeypatch.setattr(segmentation, "WHOLE_PIXELS", 100)
    large = segment_objects(net_of_colors(), image, config)
    pairs = np.unique(np.stack([whole.instances.ravel(), large.instances.ravel()]), axis=1)
    assert pairs.shape[1] == whole.instances.max() + 1 == large.instances.max() + 1 > 20
    np.testing.assert_array_equal(large.probabilities, whole.probabilities)


def test_a_finer_image_is_segmented_at_the_scale_of_the_net():
    fine = segment_objects(net_of_colors(), two_nuclei(2), CONFIG, mpp=0.125)
    assert fine.instances.shape == (40, 48)
    assert fine.instances.max() == 2
    assert abs(int((fine.instances == 1).sum()) - 4 * 81) < 60


@pytest.mark.parametrize("method", [masks, selected], ids=["masks", "selected"])
def test_methods_share_one_path(method):
    same = method.preset("cpu").replace(
        normalization=CONFIG.normalization, tiling=CONFIG.tiling, postprocess=CONFIG.postprocess
    )
    expected = segment_objects(net_of_colors(), two_nuclei(), CONFIG)
    result = method.segment(net_of_colors(), two_nuclei(), same)
    np.testing.assert_array_equal(result.instances, expected.instances)
    np.testing.assert_array_equal(result.probabilities, expected.probabilities)


@pytest.mark.parametrize("shape", [(70, 90), (40, 100)])
@pytest.mark.parametrize("tta", [1, 8])
def test_any_size_is_segmented_at_its_own_scale(rng, shape, tta):
    net = resunet.build(2, depth=18, width=2, seed=1)
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    config = points.preset("qu2020").replace(tiling={"tile_px": 64, "halo_px": 32, "tta": tta})
    result = points.segment(net, image, config, mpp=0.5)
    assert result.instances.shape == result.labels.shape == shape
    assert result.probabilities.shape == (*shape, 2)
    np.testing.assert_allclose(result.probabilities.sum(axis=2), 1, atol=1e-5)


def test_stains_are_normalized_at_the_scale_of_the_net(ihc):
    stain = fit_normalizer("reinhard", [ihc[:40, :40]])
    config = CONFIG.replace(normalization={"stain": stain})
    small = preprocess(ihc[:64, :64], config, config.mpp / 2)
    np.testing.assert_array_equal(small, stain.normalize(preprocess(ihc[:64, :64], CONFIG, CONFIG.mpp / 2)))


@pytest.mark.parametrize(
    ("shape", "options", "code"),
    [
        ((15, 40), {}, "image-too-small"),
        ((40, 40), {"mpp": 0}, "mpp-range"),
        ((40, 40), {"taxonomy": "glas"}, "taxonomy-unknown"),
    ],
)
@pytest.mark.parametrize("method", [masks, points, selected], ids=["masks", "points", "selected"])
def test_bad_input_is_an_error(rng, shape, options, code, method, raises_code):
    with raises_code(code):
        method.segment(
            None, rng.integers(0, 256, (*shape, 3), dtype=np.uint8), method.preset("cpu"), **options
        )


def test_a_huge_image_is_an_error_before_the_net_runs(monkeypatch, raises_code):
    monkeypatch.setattr(segmentation, "SEGMENT_PIXELS", 100)
    with raises_code("image-too-large"):
        masks.segment(None, np.zeros((20, 20, 3), np.uint8), CONFIG)


def test_a_net_without_a_bounded_receptive_field_needs_a_halo(rng, raises_code):
    net, image = fullnet.build(growth=2, layers_per_block=4, pooled=True), np.zeros((40, 40, 3), np.uint8)
    config = CONFIG.replace(tiling={"halo_px": None})
    with raises_code("receptive-field-unbounded"):
        masks.segment(net, image, config)
    assert masks.segment(net, image, config.replace(tiling={"halo_px": 16})).labels.shape == (40, 40)


def test_progress_reaches_the_callback_of_a_method():
    events = []
    image = np.zeros((40, 40, 3), np.uint8)
    masks.segment(
        unet.build(3, depth=1, width=2), image, CONFIG.replace(tiling={"tile_px": 20}), progress=events.append
    )
    assert [event.done for event in events][-1] == events[-1].total == 4
