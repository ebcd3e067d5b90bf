"""Inference of tags: all stages and taxonomies, symmetries, windows, and invalid images."""

from dataclasses import replace

import numpy as np
import pytest

from hsn.nets import histonet
from hsn.supervision import tags
from hsn.supervision.tags import inference
from hsn.taxonomies import ADP_FUNC, ADP_MORPH, ADP_OUTPUTS, GLAS


@pytest.fixture(scope="module")
def adp():
    net = histonet.x1_7(51, width=0.1, input_px=None, seed=0)
    config = tags.Config(
        classes=ADP_OUTPUTS, thresholds=(0.5,) * 51, taxonomies=(ADP_MORPH, ADP_FUNC, GLAS), window_px=64
    )
    return net, config


@pytest.mark.parametrize("windows", ["cover", "overlapped"])
@pytest.mark.parametrize("subtraction", ["order_free", "sequential"])
def test_stages_of_a_taxonomy_do_not_depend_on_the_other_taxonomies(adp, ihc, windows, subtraction):
    net, config = adp
    config = config.replace(windows=windows, subtraction=subtraction)
    image = ihc[:100, :130]
    results = list(tags.all_stages(net, image, config))
    assert [result.taxonomy.name for result in results] == ["adp-morph", "adp-func", "glas"]
    for one in results:
        assert one.refined.shape == (100, 130, len(one.taxonomy))
        for stage in (one.cam, one.adjusted):
            assert 0 <= stage.min() <= stage.max() <= 1 + 1e-6
        for stage in ("cam", "adjusted", "refined"):
            assert one.labels(stage).dtype == np.int32
            assert one.labels(stage).max() < len(one.taxonomy)
        alone = tags.stages(net, image, config, taxonomy=one.taxonomy.name)
        np.testing.assert_allclose(alone.refined, one.refined, atol=2e-3)


def test_inferred_classes_do_not_compete_before_adjustment(adp, ihc):
    net, config = adp
    morph, func, glas = tags.all_stages(net, ihc[:80, :80], config)
    assert (morph.labels("cam") != 0).all()
    assert (func.labels("cam") > 1).all()
    assert set(np.unique(glas.labels("cam"))) <= {0, 1}


def test_large_images_are_mapped_at_the_scale_of_the_net(adp, ihc, monkeypatch):
    net, config = adp
    options = {"taxonomy": "glas", "mpp": config.mpp / 2}
    whole = tags.segment(net, ihc[:160, :140], config, **options)
    monkeypatch.setattr(inference, "WHOLE_PIXELS", 1000)
    assert tags.stages(net, ihc[:160, :140], config, **options).image.shape == (80, 70, 3)
    large = tags.segment(net, ihc[:160, :140], config, **options)
    assert large.labels.shape == whole.labels.shape == (160, 140)
    assert np.abs(large.probabilities - whole.probabilities).mean() < 0.05


def test_the_result_has_the_size_of_the_image_whatever_the_scale(adp, ihc):
    net, config = adp
    tuned = config.replace(crf={"adp-morph": tags.CRFConfig((1, 20), (10, 40, 50), 5, mpp=1.2142857)})
    assert tags.stages(net, ihc[:90, :70], tuned, mpp=0.5).image.shape[:2] == (37, 29)
    result = tags.segment(net, ihc[:90, :70], tuned, mpp=0.5)
    assert result.labels.shape == (90, 70)
    assert result.probabilities.shape == (90, 70, 29)
    assert result.probabilities.dtype == np.float32
    assert result.scores.shape == (29,)
    assert result.instances is None
    assert "90 x 70" in repr(result)


def test_maps_of_eight_symmetries_turn_with_the_image(adp, ihc):
    net, config = adp
    config = config.replace(tta=8)
    upright, turned = (
        tags.stages(net, np.ascontiguousarray(i), config, taxonomy="glas").cam
        for i in (ihc[:70, :64], np.rot90(ihc[:70, :64])[:, ::-1])
    )
    np.testing.assert_allclose(np.rot90(upright)[:, ::-1], turned, atol=1e-4)
    once = tags.stages(net, ihc[:70, :64], config.replace(tta=1), taxonomy="glas").cam
    assert np.abs(once - upright).max() > 0.01


def test_a_single_overlapped_window_equals_a_stitched_one(adp, ihc):
    net, config = adp
    image = ihc[:64, :64]
    one, other = (
        tags.stages(net, image, config.replace(windows=w), taxonomy="adp-func")
        for w in ("cover", "overlapped")
    )
    np.testing.assert_allclose(one.adjusted, other.adjusted, atol=1e-5)
    assert (one.labels() == other.labels()).mean() > 0.999


def test_without_inferred_classes_nothing_is_adjusted(ihc):
    net = histonet.m4(2, width=0.1, input_px=None, seed=0)
    all_predicted = replace(GLAS, other=None, forced=())
    config = tags.Config(
        classes=GLAS.names,
        thresholds=(0, 0),
        taxonomies=(all_predicted,),
        window_px=32,
        cam_layers=("activation_4", "dense_1"),
    )
    result = tags.stages(net, ihc[:48, :48], config)
    np.testing.assert_array_equal(result.adjusted, result.cam)


def test_a_dense_crf_without_iterations_is_not_computed(adp, ihc, monkeypatch):
    from hsn.supervision.tags import stage_maps

    net, config = adp
    off = config.replace(crf={"glas": tags.CRFConfig(iterations=0)})
    labels = tags.stages(net, ihc[:70, :64], off, taxonomy="glas").labels()
    monkeypatch.setattr(stage_maps, "refine", None)
    result = tags.stages(net, ihc[:70, :64], off, taxonomy="glas")
    np.testing.assert_array_equal(result.refined, result.adjusted)
    np.testing.assert_array_equal(result.labels(), labels)


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (np.zeros((1, 1, 3), np.uint8), "image-too-small"),
        (np.zeros((40, 40), np.uint8), "image-dtype"),
        (np.zeros((40, 40, 4), np.uint8), "image-dtype"),
        (np.zeros((40, 40, 3), np.uint16), "image-dtype"),
        (np.zeros((0, 40, 3), np.uint8), "image-dtype"),
        (np.broadcast_to(np.zeros(3, np.uint8), (20000, 20000, 3)), "image-too-large"),
    ],
)
def test_images_that_cannot_be_segmented_are_an_error(adp, image, code, raises_code):
    with raises_code(code):
        tags.segment(*_net_and(image, adp))


def _net_and(image, adp):
    net, config = adp
    return net, image, config


def test_a_negative_scale_is_an_error(adp, ihc, raises_code):
    net, config = adp
    with raises_code("mpp-range"):
        tags.segment(net, ihc, config, mpp=-1)
