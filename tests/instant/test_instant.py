"""The instant classifier: maps of a tile are those of the image, the regression is the optimum."""

import json

import numpy as np
import pytest
from scipy.optimize import minimize

from hsn.instant.features import COUNT, MARGIN_PX, compute_maps
from hsn.instant.regression import L2, Regression, fit


def test_maps_of_a_tile_with_its_margin_are_those_of_the_image(ihc):
    whole = compute_maps(ihc)
    top, left, side = 150, 120, 100
    part = compute_maps(
        ihc[top - MARGIN_PX : top + side + MARGIN_PX, left - MARGIN_PX : left + side + MARGIN_PX]
    )
    inner = part[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    expected = whole[top : top + side, left : left + side]
    assert whole.shape == (512, 512, COUNT)
    np.testing.assert_allclose(inner, expected, atol=2e-3 * np.abs(expected).max())
    narrow = compute_maps(ihc[top : top + side, left : left + side])
    assert np.abs(narrow - expected).max() > 1e-2 * np.abs(expected).max()  # without a margin they differ


@pytest.mark.parametrize("classes", [2, 3])
def test_the_regression_is_the_optimum_of_its_loss(rng, classes):
    labels = np.arange(90) % classes
    features = rng.normal(size=(90, 4)) + labels[:, None] * rng.normal(size=4)
    model = fit(features, labels, classes)
    inputs = np.c_[(features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6), np.ones(90)]

    def loss(flat):
        weights = flat.reshape(5, classes)
        scores = inputs @ weights
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        penalty = np.full((5, 1), L2 * 90)
        penalty[-1] = 1e-6 * 90
        return -np.log(p[np.arange(90), labels]).sum() + (penalty * weights**2).sum() / 2

    best = minimize(loss, np.zeros(5 * classes), method="BFGS", options={"gtol": 1e-6}).x.reshape(5, classes)
    scores = inputs @ best
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.probabilities(features), expected, atol=1e-3)


def test_rare_classes_count_as_much_as_frequent_ones(rng):
    labels = np.r_[np.zeros(300, int), np.ones(6, int)]
    features = rng.normal(size=(306, 1)) + 3.0 * labels[:, None]
    found = fit(features, labels, 2).probabilities(np.array([[1.5]]))[0]
    np.testing.assert_allclose(found, [0.5, 0.5], atol=0.25)  # halfway between the two


def test_a_class_without_samples_is_never_predicted(rng):
    labels = np.array([0, 2] * 20)
    model = fit(rng.normal(size=(40, 3)) + labels[:, None], labels, 3)
    assert model.probabilities(rng.normal(size=(50, 3)))[:, 1].max() == 0


def test_one_class_is_an_error(raises_code):
    with raises_code("instant-classes"):
        fit(np.zeros((3, 2)), np.zeros(3, int), 2)


def test_a_model_is_json(rng):
    model = fit(rng.normal(size=(20, 3)), np.arange(20) % 2, 2)
    again = Regression.from_dict(json.loads(json.dumps(model.to_dict())))
    features = rng.normal(size=(5, 3))
    np.testing.assert_array_equal(model.probabilities(features), again.probabilities(features))
