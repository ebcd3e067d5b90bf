"""Moments and Reinhard normalization: moments match the target, CIELAB agrees with scikit-image."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from skimage.color import lab2rgb, rgb2lab

from hsn.stains.normalizers import fit_normalizer, parse_normalizer
from hsn.stains.reinhard import Reinhard, compute_moments, from_lab, to_lab


def test_cielab_is_that_of_scikit_image(ihc):
    np.testing.assert_allclose(to_lab(ihc), rgb2lab(ihc), atol=0.5)  # OpenCV interpolates roots
    lab = to_lab(ihc)
    theirs = np.rint(255 * np.clip(lab2rgb(lab), 0, 1))
    assert np.abs(from_lab(lab) - theirs).max() <= 1


def test_cielab_gives_the_image_back(rng):
    image = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert np.abs(from_lab(to_lab(image)).astype(int) - image).max() <= 1


@pytest.mark.parametrize("space", ["rgb", "lab", "density"])
def test_moments_are_means_and_deviations(ihc, space):
    spaces = {"rgb": ihc, "lab": to_lab(ihc).astype(float), "density": -np.log(np.maximum(ihc, 0.4) / 255)}
    found = compute_moments(ihc, space=space)
    np.testing.assert_allclose(found.mean, spaces[space].mean(axis=(0, 1)), rtol=1e-4)
    np.testing.assert_allclose(found.std, spaces[space].std(axis=(0, 1)), rtol=1e-4)


def test_a_normalized_image_has_the_moments_of_the_target(ihc):
    target = Reinhard((70.0, 8.0, 2.0), (8.0, 3.0, 4.0))
    made = compute_moments(target.normalize(ihc))
    np.testing.assert_allclose(made.mean, target.mean, atol=0.3)
    np.testing.assert_allclose(made.std, target.std, atol=0.3)


def test_an_image_normalized_to_itself_is_unchanged(ihc):
    assert np.abs(Reinhard.fit([ihc]).normalize(ihc).astype(int) - ihc).max() <= 1


def test_a_flat_image_is_shifted_and_not_scaled():
    flat = np.full((5, 5, 3), 90, np.uint8)
    made = Reinhard((70.0, 8.0, 2.0), (8.0, 3.0, 4.0)).normalize(flat)
    assert len(np.unique(made.reshape(-1, 3), axis=0)) == 1
    np.testing.assert_allclose(compute_moments(made).mean, (70, 8, 2), atol=0.4)


def test_several_images_are_averaged(ihc):
    both = Reinhard.fit([ihc, ihc // 2])
    each = [compute_moments(image) for image in (ihc, ihc // 2)]
    np.testing.assert_allclose(both.mean, np.mean([m.mean for m in each], axis=0))
    np.testing.assert_allclose(both.std, np.mean([m.std for m in each], axis=0))


@pytest.mark.parametrize("method", ["reinhard", "macenko"])
def test_a_reference_survives_its_file(ihc, method):
    target = fit_normalizer(method, [ihc])
    assert parse_normalizer(json.loads(json.dumps(asdict(target)))) == target


def test_an_unknown_space_is_an_error(ihc, raises_code):
    with raises_code("space-unknown"):
        compute_moments(ihc, space="hsv")


def test_no_images_are_errors(raises_code):
    with raises_code("images-empty"):
        Reinhard.fit([])


@pytest.mark.parametrize(
    ("mean", "std"), [((1, 2), (1, 1, 1)), ((1, 2, 3), (1, -1, 1)), ((1, 2, np.nan), (1, 1, 1))]
)
def test_invalid_targets_are_errors(mean, std, raises_code):
    with raises_code("stain-moments"):
        Reinhard(mean, std)


@pytest.mark.parametrize("data", [{}, {"method": "reinhard"}, "reinhard", {"method": "reinhard", "mean": "abc"},
                                  {"method": "reinhard", "mean": [1, 2, 3], "std": [1, 1, 1], "g": [1]}])  # fmt: skip
def test_invalid_files_are_errors(data, raises_code):
    with raises_code("stain-fields"):
        parse_normalizer(data)


def test_an_unknown_method_is_an_error(ihc, raises_code):
    with raises_code("stain-unknown"):
        fit_normalizer("vahadane", [ihc])
    with raises_code("stain-unknown"):
        parse_normalizer({"method": "vahadane"})
