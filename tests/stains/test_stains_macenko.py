"""Macenko normalization: stain estimates, replacement, and images without two stains."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import hed2rgb, rgb2hed, rgb_from_hed

from hsn.stains.density import HEMATOXYLIN_EOSIN, optical_density
from hsn.stains.macenko import Macenko, combine_stains, estimate_stains, separate_stains

LAB_A = np.array([[0.65, 0.70, 0.29], [0.15, 0.85, 0.50]])
LAB_B = np.array([[0.50, 0.76, 0.42], [0.05, 0.83, 0.55]])
TARGET = Macenko((0.55, 0.74, 0.39), (0.14, 0.81, 0.56), (2.9, 1.2))


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def tissue(rng, side=80):
    """Amounts of two stains: glass, either, or both."""
    shares = rng.dirichlet((0.3, 0.3, 0.2), (side, side))
    return np.concatenate([shares[..., :2], np.zeros((side, side, 1))], axis=2)


def test_separation_equals_scikit_image(ihc):
    bright = np.maximum(ihc, 1)
    # Its logarithm is to a base of one millionth, to have amounts about 1.
    theirs = rgb2hed(bright) * -np.log(1e-6)
    ours = separate_stains(bright, rgb_from_hed)
    np.testing.assert_allclose(np.maximum(ours, 0), theirs, atol=1e-4)


def test_combination_equals_scikit_image(rng):
    amounts = rng.uniform(0, 0.6, (20, 20, 3))
    theirs = np.rint(255 * hed2rgb(amounts / -np.log(1e-6)))
    assert np.abs(combine_stains(amounts, rgb_from_hed) - theirs).max() <= 1


@given(st.integers(0, 2**32 - 1))
def test_combination_inverts_separation(seed):
    image = np.random.default_rng(seed).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(combine_stains(separate_stains(image, LAB_A), LAB_A), image)


@pytest.mark.parametrize("vectors", [LAB_A, LAB_B, HEMATOXYLIN_EOSIN])
def test_stains_are_found_where_they_are(rng, vectors):
    amounts = tissue(rng) * rng.uniform(0.3, 1, (80, 80, 1))
    image = combine_stains(amounts, unit(vectors))
    found = estimate_stains(image)
    apart = np.degrees(np.arccos((found.vectors * unit(vectors)).sum(axis=1)))
    assert apart.max() < 1.5
    shown = optical_density(image).mean(axis=2) >= 0.15
    np.testing.assert_allclose(found.max_amounts, np.percentile(amounts[shown][:, :2], 99, axis=0), rtol=0.03)


def test_two_laboratories_agree_after_normalization(rng):
    amounts = tissue(rng)
    one, other = combine_stains(amounts, unit(LAB_A)), combine_stains(0.6 * amounts, unit(LAB_B))
    before = np.abs(one.astype(float) - other).mean()
    after = np.abs(TARGET.normalize(one).astype(float) - TARGET.normalize(other)).mean()
    assert before > 15
    assert after < 1.5


def test_a_normalized_image_has_the_stains_of_the_target(rng):
    made = estimate_stains(TARGET.normalize(combine_stains(tissue(rng), unit(LAB_B))))
    np.testing.assert_allclose(made.vectors, unit(np.array([TARGET.hematoxylin, TARGET.eosin])), atol=0.03)
    np.testing.assert_allclose(made.max_amounts, TARGET.max_amounts, rtol=0.05)


def test_an_image_normalized_to_itself_is_unchanged(ihc):
    np.testing.assert_allclose(Macenko.fit([ihc]).normalize(ihc).astype(int), ihc, atol=1)


@pytest.mark.parametrize("level", [255, 240, 250])
def test_glass_stays_as_it_is(level, rng):
    glass = (level - rng.integers(0, 3, (64, 64, 3))).astype(np.uint8)
    np.testing.assert_array_equal(TARGET.normalize(glass), glass)
    glass[:10, :10] = (90, 40, 120)  # a crumb of tissue
    np.testing.assert_array_equal(TARGET.normalize(glass), glass)


@pytest.mark.parametrize("kept", [0, 1])
def test_one_stain_alone_keeps_its_hue(rng, kept):
    amounts = tissue(rng)
    amounts[..., 1 - kept] = 0
    image = combine_stains(amounts, unit(LAB_A))
    assert estimate_stains(image) is None
    made = TARGET.normalize(image)
    stained = amounts[..., kept] > 0.3
    hues = [np.log(255 / np.maximum(x[stained], 1)).mean(axis=0) for x in (image, made)]
    apart = np.degrees(np.arccos(np.prod([h / np.linalg.norm(h) for h in hues], axis=0).sum()))
    assert apart < 1
    found = separate_stains(made, np.array([TARGET.hematoxylin, TARGET.eosin]))[..., kept]
    assert np.percentile(found[image.mean(axis=2) < 215], 99) == pytest.approx(
        TARGET.max_amounts[kept], rel=0.1
    )


def test_a_black_or_tiny_image_is_accepted():
    for image in (np.zeros((30, 30, 3), np.uint8), np.zeros((1, 1, 3), np.uint8)):
        assert TARGET.normalize(image).shape == image.shape


def test_an_outlier_does_not_change_the_reference(rng):
    good = [combine_stains(tissue(rng), unit(LAB_A)) for _ in range(3)]
    strange = combine_stains(tissue(rng), unit(np.array([[0.2, 0.3, 0.9], [0.1, 0.9, 0.1]])))
    glass = np.full((64, 64, 3), 250, np.uint8)
    target = Macenko.fit([*good, strange, glass])
    np.testing.assert_allclose([target.hematoxylin, target.eosin], unit(LAB_A), atol=0.03)


@pytest.mark.slow
def test_the_stains_of_thirty_slides_are_found(data):
    from hsn.data import multiorgan

    for sample in multiorgan.list_samples(data / "multiorgan", "testA"):
        found = estimate_stains(sample.image())
        assert found is not None
        angle = np.degrees(np.arccos(found.vectors.prod(axis=0).sum()))
        assert 12 < angle < 40


def test_images_without_stains_are_errors(raises_code):
    with raises_code("stains-not-found"):
        Macenko.fit([np.full((64, 64, 3), 250, np.uint8)])


@pytest.mark.parametrize("highest", [(1.0,), (1.0, 0.0), (np.inf, 1.0)])
def test_invalid_targets_are_errors(highest, raises_code):
    with raises_code("stain-amounts"):
        Macenko(TARGET.hematoxylin, TARGET.eosin, highest)
    with raises_code("stains-parallel"):
        Macenko(TARGET.eosin, TARGET.eosin, (1.0, 1.0))
