"""The dense CRF: published vectors, the released implementation as an oracle, and invalid input."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.ndimage import gaussian_filter
from scipy.special import softmax
from skimage.io import imread

from hsn import InputError, _native
from hsn.crf.dense_crf import labels_to_probabilities, refine
from hsn.crf.engines import solve
from hsn.crf.lattice import Lattice
from hsn.crf.mean_field import Problem
from hsn.crf.terms import Term, make_terms

CONFIGS = {  # gaussian (px, weight), bilateral (px, gray levels, weight): HistoSegNet's and its successor's
    "morph": ((1, 20), (10, 40, 50)),
    "func": ((3, 40), (10, 4, 25)),
    "defaults": ((3, 30), (10, 20, 50)),
    "voc": ((1.5, 3), (40, 13, 10)),
    "krähenbühl": ((3, 3), (80, 13, 10)),
}
# labels after five iterations, and mean marginals, of the three maps of `tissue`
COUNTS = {"morph": (5366, 29509, 15301), "func": (5258, 26053, 18865), "defaults": (4839, 28446, 16891)}
MEANS = {"morph": (0.10688, 0.58804, 0.30509), "func": (0.10477, 0.51928, 0.37595)}
NATIVE = pytest.param("native", marks=pytest.mark.skipif(not _native.kernel, reason="not compiled"))
ENGINES = ["scipy", NATIVE]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tissue(data):
    """A real patch and three hand-made maps: glass, red over green, dark."""
    image = imread(data / "adp_tuning" / "images_224" / "008.png_crop_3788.png")[..., :3]
    red, green = image[..., 0].astype(float), image[..., 1].astype(float)
    step = 0.75 / (1 + np.exp(-4 * (image.mean(axis=2) - 240)))
    maps = [gaussian_filter(step, 2), np.clip(0.9 * (red - green) / 255, 0, 1), 1 - red / 255]
    return image, np.stack(maps, axis=2).astype(np.float32)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", COUNTS)
def test_the_published_vectors(tissue, name, engine):
    image, maps = tissue
    gaussian, bilateral = CONFIGS[name]
    marginals = refine(maps, image, gaussian=gaussian, bilateral=bilateral, engine=engine)
    assert tuple(np.bincount(marginals.argmax(axis=2).ravel())) == COUNTS[name]
    if name in MEANS:
        assert marginals.mean(axis=(0, 1)) == pytest.approx(MEANS[name], abs=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CONFIGS)
def test_labels_agree_with_the_released_implementation(tissue, name, engine):
    pytest.importorskip("pydensecrf", reason="pydensecrf2 is not installed")
    image, maps = tissue
    gaussian, bilateral = CONFIGS[name]
    ours, theirs = (
        refine(maps, image, gaussian=gaussian, bilateral=bilateral, engine=each)
        for each in (engine, "pydensecrf")
    )
    assert (ours.argmax(axis=2) == theirs.argmax(axis=2)).mean() >= 0.999
    # A pixel between two classes turns on the order of float32 sums; all but a few agree closely.
    assert np.quantile(np.abs(ours - theirs), 0.9999) < 2e-3


def in_double_precision(maps, image, gaussian, bilateral, iterations=5):
    """The module's formula in float64, on the lattice whose places are float32."""
    kernels = []
    for term in make_terms(image, gaussian, bilateral, ()):
        lattice = Lattice(term.features())
        lattice.slice = lattice.slice.astype(np.float64)
        steps = [lattice.slice.T, *(blur.astype(np.float64) for blur in lattice.blurs), lattice.slice]
        kernels.append((term.weight, steps, 1 / np.sqrt(product(steps, np.ones((image[..., 0].size, 1))))))
    unary = -np.log(np.clip(maps, np.float32(1e-5), 1).astype(np.float64)).reshape(-1, maps.shape[2])
    marginals = softmax(-unary, axis=1)
    for _ in range(iterations):
        messages = sum(weight * d * product(steps, d * marginals) for weight, steps, d in kernels)
        marginals = softmax(messages - unary, axis=1)
    return marginals.reshape(maps.shape)


def product(steps, values):
    for step in steps:
        values = step @ values
    return values


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CONFIGS)
def test_marginals_equal_those_of_double_precision(tissue, name, engine):
    image, maps = tissue
    gaussian, bilateral = CONFIGS[name]
    marginals = refine(maps, image, gaussian=gaussian, bilateral=bilateral, engine=engine)
    assert np.abs(marginals - in_double_precision(maps, image, gaussian, bilateral)).max() < 1e-3


@pytest.fixture
def made(rng):
    """A made image of two halves, and probabilities of four classes, one of them absent."""
    image = rng.integers(60, 100, (37, 29, 3), np.uint8)
    image[:, 14:] += 90
    probabilities = rng.random((37, 29, 4)).astype(np.float32)
    probabilities[:, 14:, 1] += 1
    probabilities[..., 2] = 0
    return probabilities / probabilities.max(), image


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("normalization", ["symmetric", "before", "after", "none"])
def test_each_normalization_equals_the_released_implementation(made, normalization, engine):
    pytest.importorskip("pydensecrf", reason="pydensecrf2 is not installed")
    probabilities, image = made
    options = {"normalization": normalization, "gaussian": (2, 0.1), "bilateral": (9, 30, 0.05)}
    ours, theirs = (refine(probabilities, image, engine=each, **options) for each in (engine, "pydensecrf"))
    np.testing.assert_allclose(ours, theirs, atol=2e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_penalties_equal_the_released_implementation(made, engine):
    pytest.importorskip("pydensecrf", reason="pydensecrf2 is not installed")
    probabilities, image = made
    penalties = np.array([[0, 1, 9, 2], [1, 0, 9, 0.3], [9, 9, 0, 9], [2, 0.3, 9, -0.5]])
    options = {"penalties": penalties, "gaussian": (2, 1), "bilateral": (9, 30, 2)}
    ours, theirs = (refine(probabilities, image, engine=each, **options) for each in (engine, "pydensecrf"))
    np.testing.assert_allclose(ours, theirs, atol=2e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_potts_equals_its_matrix_of_penalties(made, engine):
    probabilities, image = made
    options = {"gaussian": (2, 1), "bilateral": (9, 30, 2), "engine": engine}
    matrix = refine(probabilities, image, penalties=1 - np.eye(4), **options)
    np.testing.assert_allclose(refine(probabilities, image, **options), matrix, atol=1e-5)


@pytest.mark.parametrize("engine", [*ENGINES, "pydensecrf"])
def test_a_further_term_over_position_equals_the_gaussian(made, engine):
    if engine == "pydensecrf":
        pytest.importorskip("pydensecrf", reason="pydensecrf2 is not installed")
    probabilities, image = made
    y, x = np.mgrid[:37, :29]
    further = [(np.stack([x, y], axis=-1) / 2, 3.0)]
    ours = refine(probabilities, image, gaussian=None, bilateral=None, further=further, engine=engine)
    usual = refine(probabilities, image, gaussian=(2, 3), bilateral=None, engine=engine)
    np.testing.assert_allclose(ours, usual, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_absent_class_changes_nothing_and_stays_0(made, engine):
    probabilities, image = made
    marginals = refine(probabilities, image, engine=engine)
    assert not marginals[..., 2].any()
    without = refine(np.delete(probabilities, 2, axis=2), image, engine=engine)
    np.testing.assert_array_equal(np.delete(marginals, 2, axis=2), without)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_tolerance_stops_early_and_converges_to_the_same_result(made, engine):
    probabilities, image = made
    gentle = {"gaussian": (2, 0.5), "bilateral": (9, 30, 0.5), "engine": engine}
    patient = refine(probabilities, image, iterations=200, **gentle)
    np.testing.assert_allclose(
        refine(probabilities, image, iterations=200, tolerance=1e-5, **gentle), patient, atol=1e-4
    )
    hasty = refine(probabilities, image, iterations=200, tolerance=0.5, **gentle)
    np.testing.assert_allclose(hasty, refine(probabilities, image, iterations=1, **gentle), atol=1e-6)


@pytest.mark.parametrize("classes", [1, 2, 3, 5, 6, 9, 10, 13, 17, 18, 33, 34, 65])
def test_every_number_of_classes_equals_scipy(classes, rng):
    image = rng.integers(0, 255, (20, 23, 3), np.uint8)
    probabilities = rng.random((20, 23, classes), np.float32)
    options = {"gaussian": (2, 1), "bilateral": (9, 60, 1)}
    for penalties in (None, rng.random((classes, classes))):
        if classes < 65 or penalties is None:
            auto, scipy = (
                refine(probabilities, image, penalties=penalties, engine=each, **options)
                for each in ("auto", "scipy")
            )
            np.testing.assert_allclose(auto, scipy, atol=1e-5)


@pytest.mark.skipif(not _native.kernel, reason="not compiled")
def test_the_result_does_not_depend_on_threads_or_repetition(ihc):
    image = ihc[:300, :310]
    probabilities = np.stack([image[..., 0], image[..., 2], 255 - image[..., 1]], axis=2) / 255
    one, *others = (
        refine(probabilities, image, engine="native", threads=threads) for threads in (1, 2, 3, 2)
    )
    assert all((one == other).all() for other in others)


@pytest.mark.skipif(not _native.kernel, reason="not compiled")
def test_the_kernel_equals_scipy_on_tissue(ihc):
    image = ihc[:200, :210]
    probabilities = np.stack([image[..., 0], 255 - image[..., 1]], axis=2) / 255
    for gaussian, bilateral in CONFIGS.values():
        ours, theirs = (
            refine(probabilities, image, gaussian=gaussian, bilateral=bilateral, engine=each)
            for each in ("native", "scipy")
        )
        assert (ours.argmax(2) == theirs.argmax(2)).mean() > 0.9999
        assert np.quantile(np.abs(ours - theirs), 0.999) < 1e-4


@pytest.mark.skipif(not _native.kernel, reason="not compiled")
def test_the_cached_lattice_is_used_only_for_equal_settings(made):
    probabilities, image = made
    usual = {"gaussian": (2, 3), "bilateral": (9, 30, 5), "engine": "native"}
    options = [usual, {**usual, "gaussian": (2, 4)}, {**usual, "gaussian": (3, 4)}]
    options += [{**usual, "normalization": kind} for kind in ("before", "after", "none")]
    sizes = [
        (probabilities, image),
        (probabilities[:29, :29], image[:29, :29]),
        (probabilities[:28], image[:28]),
    ]
    for option in [*options, usual]:
        for maps, picture in sizes:
            kept = refine(maps, picture, **option)
            _native.kernel.release()
            np.testing.assert_array_equal(kept, refine(maps, picture, **option))


@pytest.mark.skipif(not _native.kernel, reason="not compiled")
def test_concurrent_calls_give_equal_results(ihc):
    def call(side_px):
        image = ihc[:side_px, :side_px]
        return refine(image[..., :2] / np.float32(255), image, engine="native", threads=2)

    sides_px = [40, 150, 41, 150, 42, 140] * 3
    alone = [call(side_px) for side_px in sides_px]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(call, sides_px))
    assert all((a == b).all() for a, b in zip(alone, together, strict=True))


shapes = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4))


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_valid_input_gives_probabilities(engine, data):
    shape = data.draw(shapes)
    unit = st.floats(0, 1, width=32)
    probabilities = data.draw(
        arrays.arrays(data.draw(st.sampled_from([np.float32, np.float64])), shape, elements=unit)
    )
    image = data.draw(arrays.arrays(np.uint8, (*shape[:2], 3)))
    if data.draw(st.booleans()):  # neither is contiguous
        probabilities, image = probabilities.transpose(1, 0, 2)[::-1], image.transpose(1, 0, 2)[::-1]
    spread, weight = st.floats(0.5, 300), st.floats(0, 100)
    gaussian = data.draw(st.none() | st.tuples(spread, weight))
    bilateral = data.draw(st.none() | st.tuples(spread, spread, weight))
    if not probabilities.any():
        with pytest.raises(InputError) as error:
            refine(probabilities, image, gaussian=gaussian, bilateral=bilateral, engine=engine)
        assert error.value.code == "probabilities-all-zero"
        return
    marginals = refine(probabilities, image, gaussian=gaussian, bilateral=bilateral, engine=engine)
    assert marginals.dtype == np.float32
    assert marginals.shape == probabilities.shape
    assert marginals.sum(axis=2) == pytest.approx(1, abs=1e-5)
    assert marginals.min() >= 0


GOOD = {"probabilities": np.full((4, 5, 2), 0.5), "image": np.zeros((4, 5, 3), np.uint8)}


def with_one(value):
    maps = np.full((4, 5, 2), 0.5)
    maps[1, 2, 0] = value
    return maps


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"probabilities": with_one(np.nan)}, "probabilities-range"),
        ({"probabilities": with_one(-0.5)}, "probabilities-range"),
        ({"probabilities": with_one(255)}, "probabilities-range"),
        ({"probabilities": np.zeros((4, 5, 0))}, "probabilities-shape"),
        ({"probabilities": np.ones((4, 5))}, "probabilities-shape"),
        ({"probabilities": np.array([[["a"]]])}, "probabilities-shape"),
        ({"probabilities": np.zeros((4, 5, 2))}, "probabilities-all-zero"),
        ({"probabilities": np.ones((5, 4, 2))}, "shape-mismatch"),
        ({"image": np.zeros((4, 5, 3))}, "image-dtype"),
        ({"image": np.zeros((0, 5, 3), np.uint8)}, "image-dtype"),
        ({"gaussian": (0, 3)}, "crf-term-invalid"),
        ({"gaussian": 3}, "crf-term-invalid"),
        ({"bilateral": (10, -4, 25)}, "crf-term-invalid"),
        ({"bilateral": (10, 4, -1)}, "crf-term-invalid"),
        ({"bilateral": (10, 4)}, "crf-term-invalid"),
        ({"bilateral": (1e-3, 1e-3, 1)}, "features-span"),
        ({"further": [(np.zeros((4, 5)), 1)]}, "crf-features-shape"),
        ({"further": [(np.full((4, 5, 1), np.inf), 1)]}, "features-range"),
        ({"further": [(np.zeros((4, 5, 1)), None)]}, "crf-term-invalid"),
        ({"penalties": np.zeros((3, 3))}, "penalties-invalid"),
        ({"normalization": "both"}, "normalization-unknown"),
        ({"iterations": -1}, "iterations-invalid"),
        ({"iterations": 2.5}, "iterations-invalid"),
        ({"threads": 0}, "threads-invalid"),
        ({"tolerance": -1}, "tolerance-invalid"),
        ({"out": np.zeros((4, 5, 2))}, "out-invalid"),
    ],
)
def test_invalid_arguments_raise_input_errors(engine, wrong, code, raises_code):
    with raises_code(code):
        refine(**{**GOOD, "engine": engine, **wrong})


def test_an_unknown_engine_raises(raises_code):
    with raises_code("engine-unknown"):
        refine(**GOOD, engine="gpu")


@pytest.mark.skipif(not _native.kernel, reason="not compiled")
def test_more_classes_than_the_kernel_supports_raise(raises_code):
    with raises_code("crf-too-many-classes"):
        refine(np.ones((1, 1, 65)), np.zeros((1, 1, 3), np.uint8), engine="native")


def test_too_large_an_image_raises_and_hints_at_memory(raises_code):
    # A broadcast view: a huge image that takes no memory.
    huge = np.broadcast_to(np.float32(0.5), (30_000, 30_000, 2))
    with raises_code("crf-image-too-large") as error:
        solve(Problem(huge, [0, 1], [Term(1.0, (30_000, 30_000), 3.0)]))
    assert "`memory`" in error.value.hint


@pytest.mark.skipif(not _native.kernel, reason="not compiled")
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"probabilities": np.ones((4, 5), np.float32)}, "must be .height, width, classes"),
        ({"probabilities": np.ones((0, 5, 2), np.float32)}, "at least one pixel"),
        ({"present": []}, "at least one class"),
        ({"present": [0, 2]}, "must name classes"),
        ({"penalties": [0.0, 1.0]}, "one penalty a pair"),
        ({"normalization": "both"}, "unknown normalization"),
        ({"least": 0.0}, "must be a probability"),
        ({"place": [0, 0, 3]}, "`place` is top"),
        ({"place": [0, 0, -3, 1]}, "rows must be finite|spreads must be positive"),
        ({"place": [0, 0, np.nan, 1]}, "must be finite"),
        ({"place": [-1, 0, 3, 1]}, "rows must be"),
        ({"image": np.zeros((5, 4, 3), np.uint8)}, "`image` must be"),
        ({"features": np.zeros((5, 4, 2), np.float32)}, "must cover the image"),
        ({"digits": [1, 0]}, "belong together"),
        ({"weight": -1.0}, "must not be negative"),
    ],
)
def test_the_kernel_validates_its_arguments(wrong, words):
    term = {"place": [0, 0, 3, 1], "digits": [1, 9, 0], "lowest": [-9, -9, -9], "weight": 1.0}
    call = {
        "probabilities": np.ones((4, 5, 2), np.float32),
        "present": [0, 1],
        "normalization": "symmetric",
        "penalties": [],
        "least": 1e-5,
        "iterations": 1,
        "tolerance": 0.0,
        "threads": 1,
    }
    term.update({key: value for key, value in wrong.items() if key not in call})
    call.update({key: value for key, value in wrong.items() if key in call})
    with pytest.raises(ValueError, match=words):
        _native.kernel.mean_field(terms=[_native.kernel.Term(**term)], **call)


def test_half_precision_and_masks_are_accepted(made):
    probabilities, image = made
    rounded = refine(probabilities.astype(np.float16), image)
    assert (
        rounded.argmax(2).tolist()
        == refine(probabilities.astype(np.float16).astype(float), image).argmax(2).tolist()
    )
    mask = probabilities[..., :2] > 0.4
    mask[..., 0] |= ~mask[..., 1]
    assert refine(mask, image).dtype == np.float32


def test_out_is_filled_and_returned(made):
    probabilities, image = made
    out = np.zeros_like(probabilities)
    assert refine(probabilities, image, out=out) is out
    np.testing.assert_array_equal(out, refine(probabilities, image))


def test_labels_are_converted_to_probabilities(raises_code):
    labels = np.array([[0, 2], [255, 1]])
    valid = labels < 3
    probabilities = labels_to_probabilities(labels, 3, confidence=0.9, valid_mask=valid)
    assert probabilities.sum(axis=2) == pytest.approx(1)
    assert probabilities[0].argmax(axis=1).tolist() == [0, 2]
    assert probabilities[1, 0] == pytest.approx(1 / 3)
    for wrong, code in [
        ({"labels": labels}, "class-labels-invalid"),
        ({"confidence": 1}, "confidence-range"),
        ({"labels": labels / 2}, "class-labels-invalid"),
        ({"valid_mask": valid[0]}, "class-labels-invalid"),
    ]:
        with raises_code(code):
            labels_to_probabilities(**{"labels": labels % 3, "classes": 3, "confidence": 0.9, **wrong})


def test_without_the_extension_scipy_is_used():
    """Simulates a machine without a compiler."""
    surroundings = {**os.environ, "HSN_NATIVE": "0"}
    program = (
        "import numpy as np, hsn; from hsn import _native; assert _native.kernel is None;"
        "half = np.full((4, 5, 2), 0.5); image = np.zeros((4, 5, 3), np.uint8);"
        "assert (hsn.refine(half, image) == 0.5).all();"
        "hsn.refine(half, image, engine='native')"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=surroundings,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "InputError: the compiled kernel must be installed" in run.stderr


@pytest.mark.slow
def test_the_tests_of_this_room_pass_without_the_extension():
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        str(Path(__file__).parent),
        "-k",
        "(crf or lattice or blocks) and not without_the_extension",  # or it would start itself
    ]
    surroundings = {**os.environ, "HSN_NATIVE": "0"}
    run = subprocess.run(command, env=surroundings, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout
