"""The permutohedral filter: against sums over all pairs, its algebra, and the kernel against SciPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsn import _native
from hsn.crf.engines import make_lattice
from hsn.crf.lattice import Lattice, corners, gain, radix

NATIVE = pytest.param("native", marks=pytest.mark.skipif(not _native.kernel, reason="not compiled"))
needs_kernel = pytest.mark.skipif(not _native.kernel, reason="not compiled")


def exact(features, values):
    """The Gaussian filter by definition: every pair of points."""
    apart = ((features[:, None] - features[None]) ** 2).sum(-1)
    return np.exp(-apart / 2) @ values


def lattice_by_hand(features, values):
    """The lattice as its authors describe it, one point and one corner at a time: float64, dictionaries."""
    order = features.shape[1] + 1
    rows, placed = {}, []
    for feature, value in zip(features.astype(float), values, strict=True):
        scaled = feature * np.sqrt(2 / 3) * order / np.sqrt(np.arange(1, order) * np.arange(2, order + 1))
        point = np.array([scaled[i:].sum() - (i * scaled[i - 1] if i else 0) for i in range(order)])
        nearest = order * np.rint(point / order)
        rank = np.argsort(np.argsort(nearest - point, kind="stable"), kind="stable")
        rank += int(nearest.sum()) // order
        nearest += order * ((rank < 0).astype(int) - (rank >= order))
        rank %= order
        falling = np.sort(point - nearest)[::-1] / order
        weights = [1 + falling[-1] - falling[0], *(falling[:-1] - falling[1:])[::-1]]
        names = [tuple((nearest + r - order * (rank > order - 1 - r)).astype(int)) for r in range(order)]
        placed.append((names, weights))
        for name, weight in zip(names, weights, strict=True):
            rows[name] = rows.get(name, 0) + weight * value
    for axis in range(order):
        step = 1 - order * (np.arange(order) == axis)
        beside = {name: [tuple(name + step), tuple(name - step)] for name in rows}
        rows = {name: row + sum(rows.get(n, 0) for n in beside[name]) / 2 for name, row in rows.items()}
    sums = [sum(w * rows[n] for n, w in zip(names, weights, strict=True)) for names, weights in placed]
    return np.array(sums) / (1 + 2.0 ** (1 - order))


@pytest.mark.parametrize("engine", ["scipy", NATIVE])
@pytest.mark.parametrize("dimension", [1, 2, 3, 5, 7])
def test_it_equals_the_lattice_of_its_authors(engine, dimension, rng):
    features = rng.normal(scale=1.5, size=(8, 8, dimension)).astype(np.float32)
    values = rng.normal(size=(64, 3)).astype(np.float32)
    expected = lattice_by_hand(features.reshape(64, -1), values)
    assert make_lattice(features, engine).filter(values) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("engine", ["scipy", NATIVE])
def test_it_approximates_the_gaussian_of_all_pairs(engine):
    # Position only, on a full grid without missing neighbors: the error of the lattice itself is 3 %.
    y, x = np.mgrid[:40, :40].astype(np.float32)
    features = np.stack([x, y], axis=-1) / 3
    values = np.sin(x / 4 + y / 7).reshape(-1, 1) + 2
    flat = features.reshape(-1, 2)
    weight = make_lattice(features, engine).filter(np.ones_like(values))
    mean = make_lattice(features, engine).filter(values) / weight
    inner = np.s_[10:30, 10:30]
    expected = (exact(flat, values) / exact(flat, np.ones_like(values))).reshape(40, 40)[inner]
    assert np.abs(mean.reshape(40, 40)[inner] - expected).max() < 0.04


@pytest.mark.parametrize("engine", ["scipy", NATIVE])
@pytest.mark.parametrize(
    ("spread_px", "srgb", "error"), [(1, None, 0.05), (3, None, 0.05), (3, 13, 0.12), (10, 20, 0.12)]
)
def test_on_8_by_8_pixels_its_error_is_the_documented_one(engine, spread_px, srgb, error, ihc, rng):
    y, x = np.mgrid[:8, :8]
    features = np.stack([x, y], axis=-1) / spread_px
    if srgb:
        features = np.concatenate([features, ihc[100:108, 100:108] / srgb], axis=-1)
    values, ones, flat = rng.random((64, 20)), np.ones((64, 1)), features.reshape(64, -1)
    lattice = make_lattice(features, engine)
    mean = lattice.filter(values) / lattice.filter(ones)
    assert np.abs(mean - exact(flat, values) / exact(flat, ones)).max() < error


@needs_kernel
@pytest.mark.parametrize("shape", [(1, 1), (1, 40_000), (40_000, 1), (3, 9_000), (150, 140)])
@pytest.mark.parametrize("color", ["constant", "any"])
def test_the_kernel_equals_scipy_on_flat_images_and_on_one_color(shape, color, rng):
    y, x = np.mgrid[: shape[0], : shape[1]]
    rgb = rng.integers(0, 256, (*shape, 3)) if color == "any" else np.full((*shape, 3), 200)
    features = np.concatenate([np.stack([x, y], axis=-1) / 10, rgb / 20], axis=-1)
    values = rng.random((shape[0] * shape[1], 2))
    ours, theirs = (make_lattice(features, engine).filter(values) for engine in ("native", "scipy"))
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-5)


@needs_kernel
@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 30),
    st.integers(1, 30),
    st.integers(1, 6),
    st.integers(1, 40),
    st.floats(0.01, 15),
    st.integers(0),
)
def test_the_kernel_equals_scipy(height, width, dimension, channels, scale, seed):
    rng = np.random.default_rng(seed)
    features = (scale * rng.normal(size=(height, width, dimension))).astype(np.float32)
    values = rng.random((height * width, channels)).astype(np.float32)
    kernel, scipy = make_lattice(features, "native"), make_lattice(features, "scipy")
    for transposed in (False, True):
        ours, theirs = (each.filter(values, transposed=transposed) for each in (kernel, scipy))
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@needs_kernel
def test_the_kernel_equals_scipy_over_many_parts_of_an_image(ihc):
    y, x = np.mgrid[:300, :290].astype(np.float32)
    features = np.concatenate([np.stack([x, y], -1) / 10, ihc[:300, :290] / np.float32(8)], axis=-1)
    values = ihc[:300, :290].reshape(-1, 3) / np.float32(255)
    ours, theirs = (make_lattice(features, engine).filter(values) for engine in ("native", "scipy"))
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-5)


@needs_kernel
@pytest.mark.parametrize("level", ["portable", "avx2", "avx512"])
def test_every_build_equals_scipy(level, ihc):
    if not _native.kernel.supports(level) and level != "portable":
        pytest.skip(f"this processor has no {level}")
    build = pytest.importorskip(f"hsn._native.{level}")
    features = ihc[:90, :70] / np.float32(12)
    values = ihc[:90, :70].reshape(-1, 3) / np.float32(255)
    flat = features.reshape(-1, 3)
    digits, lowest = radix(flat.min(0), flat.max(0))
    ours = build.PointFilter(features=features, digits=digits, lowest=lowest, threads=1).filter(
        values, transposed=False
    )
    np.testing.assert_allclose(ours, Lattice(flat).filter(values), rtol=2e-5, atol=1e-5)


@needs_kernel
def test_any_number_of_threads_gives_the_same_bits(ihc):
    features = ihc[:260, :270] / np.float32(8)
    values = ihc[:260, :270].reshape(-1, 3) / np.float32(255)
    one, *others = (make_lattice(features, "native", threads).filter(values) for threads in (1, 2, 3, 2))
    assert all((one == other).all() for other in others)


@pytest.mark.parametrize("engine", ["scipy", NATIVE])
def test_the_transposed_filter_is_the_transpose(engine, rng):
    features = rng.normal(scale=2, size=(9, 9, 5)).astype(np.float32)
    lattice = make_lattice(features, engine)
    forward = lattice.filter(np.eye(81, dtype=np.float32))
    backward = lattice.filter(np.eye(81, dtype=np.float32), transposed=True)
    np.testing.assert_allclose(forward, backward.T, atol=1e-6)
    assert np.abs(forward - forward.T).max() > 1e-3  # it is not symmetric


@given(st.integers(1, 6), st.integers(0), st.floats(0.01, 20))
def test_weights_sum_to_one_and_are_not_negative(dimension, seed, scale):
    features = (scale * np.random.default_rng(seed).normal(size=(20, dimension))).astype(np.float32)
    _, _, weights = corners(features)
    assert weights.sum(axis=0) == pytest.approx(1, abs=1e-4)
    assert weights.min() >= -1e-4


@pytest.mark.parametrize("engine", ["scipy", NATIVE])
def test_distant_points_do_not_mix(engine):
    features = np.array([[[0.0, 0.0], [100.0, 0.0]]], np.float32)
    assert make_lattice(features, engine).filter([[1.0], [0.0]])[1, 0] == 0


def test_a_full_lattice_keeps_a_constant_up_to_a_factor():
    y, x = np.mgrid[:60, :60]
    smooth = Lattice(np.stack([x, y], -1).reshape(-1, 2) / 2).filter(np.ones((3600, 1)))
    inner = smooth.reshape(60, 60)[15:45, 15:45]
    assert inner.std() < 0.01 * inner.mean()
    # The Gaussian of spread 2 px sums to 2 pi 2^2 over the grid; the lattice gives 0.88 of it.
    assert inner.mean() == pytest.approx(0.88 * 2 * np.pi * 4, rel=0.01)
    assert gain(2) == pytest.approx(0.8)


@pytest.mark.parametrize("engine", ["scipy", NATIVE])
@pytest.mark.parametrize(
    ("features", "code"),
    [
        (np.full((2, 2, 1), np.nan), "features-range"),
        (np.full((2, 2, 1), np.inf), "features-range"),
        (np.full((1, 1, 5), 1e6), "features-range"),
        (np.zeros((0, 3, 2)), "features-shape"),
        (1e4 * np.eye(9)[None], "features-span"),
    ],
)
def test_invalid_features_raise_input_errors(engine, features, code, raises_code):
    with raises_code(code):
        make_lattice(features, engine)


def test_keys_can_use_most_of_63_bits():
    digits, _ = radix(np.zeros(5), np.full(5, 850.0))
    assert 2**50 < digits[4] < 2**63


@needs_kernel
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"features": np.zeros((4, 2), np.float32)}, "must be .height, width, dimensions"),
        ({"features": np.full((4, 2, 1), np.nan, np.float32)}, "finite"),
        ({"digits": [1]}, "belong together"),
        ({"digits": [1, 0, 0], "lowest": [0, 0, 0]}, "one digit more"),
        ({"features": np.zeros((0, 2, 1), np.float32)}, "at least one pixel"),
        ({"features": np.zeros((2, 2, 40), np.float32), "digits": [0] * 41, "lowest": [0] * 41}, "31"),
    ],
)
def test_the_kernel_validates_its_arguments(arguments, words):
    right = {"features": np.zeros((4, 2, 1), np.float32), "digits": [1, 0], "lowest": [-6, -6], "threads": 1}
    with pytest.raises(ValueError, match=words):
        _native.kernel.PointFilter(**{**right, **arguments})


@needs_kernel
def test_the_kernel_does_not_crash_on_wrong_digits(rng):
    features = rng.normal(size=(9, 9, 2)).astype(np.float32)
    nonsense = _native.kernel.PointFilter(
        features=features, digits=[2**62, -5, 3], lowest=[7, 2**31 - 1, -9], threads=2
    )
    assert nonsense.filter(np.ones((81, 1), np.float32), transposed=False).shape == (81, 1)
