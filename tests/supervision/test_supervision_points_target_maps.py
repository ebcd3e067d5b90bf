"""Targets, losses and config of points."""

import json

import numpy as np
import pytest

from hsn.annotations.sampling import points_from_instances
from hsn.data import synthetic
from hsn.losses.crf import energies
from hsn.supervision.points import Config, make_loss, make_targets, preset, radius_of
from hsn.supervision.points.crops import BLACK_BACKGROUND
from hsn.supervision.points.target_maps import decode, encode
from hsn.taxonomies import ADP_FUNC
from hsn.types import Targets


def test_clicks_are_nuclei_and_borders_between_them_are_background():
    drawn = synthetic.draw_tissue(1, (96, 96), mpp=0.5)
    points = points_from_instances(drawn.instances, place="inside")
    target, weight = make_targets(drawn.image, points, preset("cpu"))
    assert target.shape == weight.shape == (96, 96, 2)
    assert {x.dtype for x in (target, weight)} == {np.dtype(np.float32)}
    rows, columns = points.astype(int).T
    assert (target[rows, columns, 0] == 1).all()
    assert (weight[rows, columns, 0] == 1).all()
    assert ((target == 0) & (weight == 1)).any(axis=(0, 1)).all()
    assert 0 < weight[..., 1].mean() < 1
    assert not target[weight == 0].any()


def test_without_clicks_nothing_is_known():
    target, weight = make_targets(np.zeros((20, 30, 3), np.uint8), np.zeros((0, 2)), preset("cpu"))
    assert target.shape == (20, 30, 2)
    assert not weight.any()


def test_decoding_reverses_encoding(rng):
    weight = rng.integers(0, 2, (7, 9, 2)).astype(np.float32)
    target = rng.integers(0, 2, (7, 9, 2)).astype(np.float32) * weight
    for before, after in zip((target, weight), decode(encode(Targets(target, weight))), strict=True):
        np.testing.assert_array_equal(before, after)
    background = decode(np.array([[BLACK_BACKGROUND]]))
    assert (background.target.tolist(), background.weight.tolist()) == ([[[0, 0]]], [[[1, 1]]])


def test_the_loss_is_the_mean_of_both_labels_over_known_pixels(rng):
    nucleus = rng.uniform(0.05, 0.95, (2, 5, 6))
    target, weight = rng.integers(0, 2, (2, 2, 5, 6, 2)).astype(float)
    cross = -(target * np.log(nucleus[..., None]) + (1 - target) * np.log(1 - nucleus[..., None]))
    expected = sum((cross * weight)[..., k].sum() / weight[..., k].sum() for k in (0, 1)) / 2
    prediction = np.stack([1 - nucleus, nucleus], axis=-1)
    loss = make_loss(preset("qu2020").replace(crf_weight=0.0))
    assert float(loss(target, prediction, weight, None)) == pytest.approx(expected, rel=1e-4)
    assert float(loss(target, prediction, 0 * weight, None)) == 0


def test_the_crf_term_uses_colors_before_normalization(rng):
    colors = rng.random((1, 12, 12, 3))
    nucleus = rng.random((1, 12, 12))
    config = preset("qu2020")
    image = (255 * colors - config.normalization.mean) / config.normalization.std
    energy = energies(nucleus, colors, sxy_px=9, srgb=0.1)[0].mean()
    prediction, nothing = np.stack([1 - nucleus, nucleus], axis=-1), np.zeros((1, 12, 12, 2))
    value = float(make_loss(config)(nothing, prediction, nothing, image))
    assert value == pytest.approx(0.005 * energy, rel=1e-3)
    half = config.replace(mpp=0.5)
    energy = energies(nucleus, colors, sxy_px=4.5, srgb=0.1)[0].mean()
    assert float(make_loss(half)(nothing, prediction, nothing, image)) == pytest.approx(
        0.005 * energy, rel=1e-3
    )


def test_the_radius_of_masks_is_that_of_their_mean_area(raises_code):
    rows, columns = np.indices((60, 60))
    disk = ((rows - 30) ** 2 + (columns - 30) ** 2 <= 11**2).astype(int)
    assert radius_of(disk, mpp=0.25) == pytest.approx(2.75, abs=0.02)
    assert radius_of([disk, np.kron(disk, np.ones((2, 2), int))], mpp=0.25) > 2.75
    with raises_code("no-objects"):
        radius_of(0 * disk, mpp=0.25)


def test_areas_change_with_the_square_of_the_radius():
    larger = preset("qu2020").for_radius(5.5)
    assert (larger.radius_px, larger.postprocess.min_area_um2, larger.min_peak_area_um2) == (22, 5.0, 3.0)
    assert larger.crf_weight == preset("qu2020").crf_weight


@pytest.mark.parametrize(
    "config", [preset("qu2020"), preset("cpu"), Config(rounds=None, train={"validation": (1, 3)})]
)
def test_a_config_survives_its_file(config):
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_the_preset_has_the_published_parameters():
    config = preset("qu2020")
    assert (
        config.radius_px,
        config.radius_px * config.background_radii,
        config.radius_px / config.radii_per_sigma,
    ) == (
        11,
        22,
        2.75,
    )
    areas = [
        a / 0.25**2
        for a in (config.min_peak_area_um2, config.max_peak_area_um2, config.postprocess.min_area_um2)
    ]
    assert areas == [12, 200, 20]
    assert (config.crf_sigma_um / 0.25, config.crf_weight, config.crf_sigma_rgb) == (9, 0.005, 0.1)
    assert config.train.learning_rate * config.refinement_rate == pytest.approx(1e-5)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"radius_um": 0}, "config-range"),
        ({"detection_peaks": "magic"}, "detection-peaks-unknown"),
        ({"crf_gradient": "steep"}, "crf-gradient-unknown"),
        ({"start": "over"}, "start-unknown"),
        ({"outside": "white"}, "outside-unknown"),
        ({"classes": ("a", "b", "c")}, "config-classes"),
        ({"taxonomies": (ADP_FUNC,)}, "taxonomy-classes"),
        ({"postprocess.grow_um": 1.0}, "config-unused"),
    ],
)
def test_invalid_configs_are_errors(changes, code, raises_code):
    with raises_code(code):
        Config().replace(**changes)


def test_labels_without_two_channels_are_an_error(raises_code):
    with raises_code("labels-shape"):
        encode(Targets(np.zeros((3, 3)), np.zeros((3, 3))))


def test_a_click_outside_the_image_is_an_error(raises_code):
    with raises_code("points-outside"):
        make_targets(np.zeros((20, 30, 3), np.uint8), [[25, 5]], preset("cpu"))
