"""Texture: each feature measures what its name states, and does not change with rotation."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.color import rgb_from_hed

from hsn.selection.texture import NAMES, describe


def stained(hematoxylin, eosin=0.1):
    """A patch of given stain densities."""
    amounts = np.stack(np.broadcast_arrays(hematoxylin, eosin, 0.0), axis=-1)
    return (255 * 10 ** -np.maximum(amounts @ rgb_from_hed, 0)).round().astype(np.uint8)


def features_of(patch):
    return dict(zip(NAMES, describe(patch[None])[0], strict=True))


def dots(side, step, radius, depth):
    grid = np.zeros((side, side))
    grid[step // 2 :: step, step // 2 :: step] = 1
    blurred = gaussian_filter(grid, radius)
    return depth * blurred / blurred.max()


def test_names_are_distinct_and_as_many_as_numbers():
    assert len(set(NAMES)) == len(NAMES) == 43


def test_stain_features_measure_density():
    pale, dark = features_of(stained(np.full((64, 64), 0.1))), features_of(stained(np.full((64, 64), 0.4)))
    assert dark["hematoxylin at 50%"] == pytest.approx(0.4, abs=0.02)
    assert pale["eosin at 50%"] == pytest.approx(dark["eosin at 50%"], abs=0.02)
    assert dark["mean density of red"] > pale["mean density of red"]
    assert pale["spread of density of red"] < 0.01


def test_spots_are_counted_per_area():
    few, many = features_of(stained(dots(256, 64, 5, 0.5))), features_of(stained(dots(256, 32, 5, 0.5)))
    assert many["spots"] == pytest.approx(64 * 10_000 / 256**2)
    assert few["spots"] == pytest.approx(16 * 10_000 / 256**2)
    quarter = features_of(stained(dots(128, 32, 5, 0.5)))
    assert quarter["spots"] == pytest.approx(many["spots"])


def test_bands_measure_the_scale_of_variation(rng):
    noise = rng.normal(size=(128, 128))
    fine, coarse = (features_of(stained(0.5 + x / x.std() / 10)) for x in (noise, gaussian_filter(noise, 6)))
    ratio = [patch["hematoxylin, band 8 px"] / patch["hematoxylin, band 1 px"] for patch in (fine, coarse)]
    assert ratio[1] > 10 * ratio[0]


def test_direction_separates_stripes_from_noise(rng):
    stripes = np.tile(0.3 + 0.2 * np.sin(np.arange(128) / 3), (128, 1))
    noise = 0.3 + gaussian_filter(rng.normal(size=(128, 128)), 2)
    assert features_of(stained(stripes))["direction over 8 px"] > 0.95
    assert features_of(stained(noise))["direction over 8 px"] < 0.5


def test_patterns_are_fractions():
    patch = stained(dots(64, 16, 3, 0.5))
    of_one = [
        value for name, value in features_of(patch).items() if name.startswith("pattern") and "1 px" in name
    ]
    assert sum(of_one) == pytest.approx(1, abs=1e-5)


def test_rotating_and_mirroring_do_not_change_features(ihc):
    patch = ihc[100:228, 200:328]
    plain = describe(patch[None])
    for moved in (np.rot90(patch), patch[::-1], patch[:, ::-1]):
        np.testing.assert_allclose(describe(np.ascontiguousarray(moved)[None]), plain, rtol=0.02, atol=0.02)


def test_no_patches_give_no_rows_and_black_is_finite():
    assert describe(np.empty((0, 32, 32, 3), np.uint8)).shape == (0, len(NAMES))
    assert np.isfinite(describe(np.zeros((1, 32, 32, 3), np.uint8))).all()


@pytest.mark.parametrize(
    "patches", [np.zeros((1, 31, 32, 3), np.uint8), np.zeros((1, 32, 32, 3)), np.zeros((32, 32, 3), np.uint8)]
)
def test_other_arrays_raise(patches, raises_code):
    with raises_code("patches-dtype"):
        describe(patches)
