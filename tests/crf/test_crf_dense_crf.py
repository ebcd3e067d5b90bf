"""The dense CRF: published vectors, the released implementation as an oracle, and what it does with bad input."""

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
from hsn.crf.dense_crf import probabilities_of, refine
from hsn.crf.engines import solve
from hsn.crf.lattice import Lattice
from hsn.crf.mean_field import Problem
from hsn.crf.terms import Term, terms_of

CONFIGS = {  # gaussian (px, weight), bilateral (px, grey levels, weight): HistoSegNet's and its successor's
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
    for term in terms_of(image, gaussian, bilateral, ()):
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
def test_marginals_are_those_of_double_precision(tissue, name, engine):
    image, maps = tissue
    gaussian, bilateral = CONFIGS[name]
    marginals = refine(maps, image, gaussian=gaussian, bilateral=bilateral, engine=engine)
    assert np.abs(marginals - in_double_precision(maps, image, gaussian, bilateral)).max() < 1e-3


@pytest.fixture
def made(rng):
    """A made image of two halves, and evidence of four classes, one of them absent."""
    image = rng.integers(60, 100, (37, 29, 3), np.uint8)
    image[:, 14:] += 90
    evidence = rng.random((37, 29, 4)).astype(np.float32)
    evidence[:, 14:, 1] += 1
    evidence[..., 2] = 0
    return evidence / evidence.max(), image


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("normalization", ["symmetric", "before", "after", "none"])
def test_each_normalisation_is_that_of_the_released_implementation(made, normalization, engine):
    pytest.importorskip("pydensecrf", reason="pydensecrf2 is not installed")
    evidence, image = made
    options = {"normalization": normalization, "gaussian": (2, 0.1), "bilateral": (9, 30, 0.05)}
    ours, theirs = (refine(evidence, image, engine=each, **options) for each in (engine, "pydensecrf"))
    np.testing.assert_allclose(ours, theirs, atol=2e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_penalties_are_those_of_the_released_implementation(made, engine):
    pytest.importorskip("pydensecrf", reason="pydensecrf2 is not installed")
    evidence, image = made
    penalties = np.array([[0, 1, 9, 2], [1, 0, 9, 0.3], [9, 9, 0, 9], [2, 0.3, 9, -0.5]])
    options = {"penalties": penalties, "gaussian": (2, 1), "bilateral": (9, 30, 2)}
    ours, theirs = (refine(evidence, image, engine=each, **options) for each in (engine, "pydensecrf"))
    np.testing.assert_allclose(ours, theirs, atol=2e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_potts_is_a_matrix_of_penalties(made, engine):
    evidence, image = made
    options = {"gaussian": (2, 1), "bilateral": (9, 30, 2), "engine": engine}
    matrix = refine(evidence, image, penalties=1 - np.eye(4), **options)
    np.testing.assert_allclose(refine(evidence, image, **options), matrix, atol=1e-5)


@pytest.mark.parametrize("engine", [*ENGINES, "pydensecrf"])
def test_a_further_term_over_place_is_the_gaussian(made, engine):
    if engine == "pydensecrf":
        pytest.importorskip("pydensecrf", reason="pydensecrf2 is not installed")
    evidence, image = made
    y, x = np.mgrid[:37, :29]
    further = [(np.stack([x, y], axis=-1) / 2, 3.0)]
    ours = refine(evidence, image, gaussian=None, bilateral=None, further=further, engine=engine)
    usual = refine(evidence, image, gaussian=(2, 3), bilateral=None, engine=engine)
    np.testing.assert_allclose(ours, usual, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_absent_class_costs_nothing_and_stays_away(made, engine):
    evidence, image = made
    marginals = refine(evidence, image, engine=engine)
    assert not marginals[..., 2].any()
    without = refine(np.delete(evidence, 2, axis=2), image, engine=engine)
    np.testing.assert_array_equal(np.delete(marginals, 2, axis=2), without)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_tolerance_stops_early_and_ends_where_patience_does(made, engine):
    evidence, image = made
    gentle = {"gaussian": (2, 0.5), "bilateral": (9, 30, 0.5), "engine": engine}
    patient = refine(evidence, image, iterations=200, **gentle)
    np.testing.assert_allclose(
        refine(evidence, image, iterations=200, tolerance=1e-5, **gentle), patient, atol=1e-4
    )
    hasty = refine(evidence, image, iterations=200, tolerance=0.5, **gentle)
    np.testing.assert_allclose(hasty, refine(evidence, image, iterations=1, **gentle), atol=1e-6)


@pytest.mark.parametrize("classes", [1, 2, 3, 5, 6, 9, 10, 13, 17, 18, 33, 34, 65])
def test_every_number_of_classes_gives_what_scipy_gives(classes, rng):
    image = rng.integers(0, 255, (20, 23, 3), np.uint8)
    evidence = rng.random((20, 23, classes), np.float32)
    options = {"gaussian": (2, 1), "bilateral": (9, 60, 1)}
    for penalties in (None, rng.random((classes, classes))):
        if classes < 65 or penalties is None:
            auto, scipy = (
                refine(evidence, image, penalties=penalties, engine=each, **options)
                for each in ("auto", "scipy")
            )
            np.testing.assert_allclose(auto, scipy, atol=1e-5)


@pytest.mark.skipif(not _native.kernel, reason="not compiled")
def test_threads_change_no_bit_and_neither_does_a_second_run(ihc):
    image = ihc[:300, :310]
    evidence = np.stack([image[..., 0], image[..., 2], 255 - image[..., 1]], axis=2) / 255
    one, *others = (refine(evidence, image, engine="native", threads=threads) for threads in (1, 2, 3, 2))
    assert all((one == other).all() for other in others)


@pytest.mark.skipif(not _native.kernel, reason="not compiled")
def test_the_kernel_ends_where_scipy_ends(ihc):
    image = ihc[:200, :210]
    evidence = np.stack([image[..., 0], 255 - image[..., 1]], axis=2) / 255
    for gaussian, bilateral in CONFIGS.values():
        ours, theirs = (
            refine(evidence, image, gaussian=gaussian, bilateral=bilateral, engine=each)
            for each in ("native", "scipy")
        )
        assert (ours.argmax(2) == theirs.argmax(2)).mean() > 0.9999
        assert np.quantile(np.abs(ours - theirs), 0.999) < 1e-4


@pytest.mark.skipif(not _native.kernel, reason="not compiled")
def test_the_lattice_that_is_kept_serves_only_the_question_it_was_built_for(made):
    evidence, image = made
    usual = {"gaussian": (2, 3), "bilateral": (9, 30, 5), "engine": "native"}
    questions = [usual, {**usual, "gaussian": (2, 4)}, {**usual, "gaussian": (3, 4)}]
    questions += [{**usual, "normalization": kind} for kind in ("before", "after", "none")]
    sizes = [(evidence, image), (evidence[:29, :29], image[:29, :29]), (evidence[:28], image[:28])]
    for question in [*questions, usual]:
        for maps, picture in sizes:
            kept = refine(maps, picture, **question)
            _native.kernel.release()
            np.testing.assert_array_equal(kept, refine(maps, picture, **question))


@pytest.mark.skipif(not _native.kernel, reason="not compiled")
def test_calls_may_run_side_by_side(ihc):
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
def test_any_right_input_gives_probabilities(engine, data):
    shape = data.draw(shapes)
    unit = st.floats(0, 1, width=32)
    evidence = data.draw(
        arrays.arrays(data.draw(st.sampled_from([np.float32, np.float64])), shape, elements=unit)
    )
    image = data.draw(arrays.arrays(np.uint8, (*shape[:2], 3)))
    if data.draw(st.booleans()):  # neither is contiguous
        evidence, image = evidence.transpose(1, 0, 2)[::-1], image.transpose(1, 0, 2)[::-1]
    spread, weight = st.floats(0.5, 300), st.floats(0, 100)
    gaussian = data.draw(st.none() | st.tuples(spread, weight))
    bilateral = data.draw(st.none() | st.tuples(spread, spread, weight))
    if not evidence.any():
        with pytest.raises(InputError, match="must name a class somewhere"):
            refine(evidence, image, gaussian=gaussian, bilateral=bilateral, engine=engine)
        return
    marginals = refine(evidence, image, gaussian=gaussian, bilateral=bilateral, engine=engine)
    assert marginals.dtype == np.float32
    assert marginals.shape == evidence.shape
    assert marginals.sum(axis=2) == pytest.approx(1, abs=1e-5)
    assert marginals.min() >= 0


GOOD = {"probabilities": np.full((4, 5, 2), 0.5), "image": np.zeros((4, 5, 3), np.uint8)}


def with_one(value):
    maps = np.full((4, 5, 2), 0.5)
    maps[1, 2, 0] = value
    return maps


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"probabilities": with_one(np.nan)}, r"must lie in \[0, 1\].*values from nan"),
        ({"probabilities": with_one(-0.5)}, "values from -0.5 to 0.5; apply a softmax"),
        ({"probabilities": with_one(255)}, "values from 0.5 to 255"),
        ({"probabilities": np.zeros((4, 5, 0))}, r"one map a class.*\(4, 5, 0\)"),
        ({"probabilities": np.ones((4, 5))}, r"one map a class.*float64 \(4, 5\); put the classes last"),
        ({"probabilities": np.array([[["a"]]])}, "one map a class"),
        ({"probabilities": np.zeros((4, 5, 2))}, "must name a class somewhere.*zeros only"),
        ({"probabilities": np.ones((5, 4, 2))}, "same pixels; expected an image of 5 x 4, received 4 x 5"),
        ({"image": np.zeros((4, 5, 3))}, "8-bit RGB image.*float64"),
        ({"image": np.zeros((0, 5, 3), np.uint8)}, "at least one pixel"),
        ({"gaussian": (0, 3)}, r"`gaussian` must be \(sxy_px, weight\).*\(0, 3\)"),
        ({"gaussian": 3}, "`gaussian` must be"),
        (
            {"bilateral": (10, -4, 25)},
            r"`bilateral` must be \(sxy_px, srgb, weight\); expected spreads above 0",
        ),
        ({"bilateral": (10, 4, -1)}, "weight of at least 0"),
        ({"bilateral": (10, 4)}, "`bilateral` must be"),
        ({"bilateral": (1e-3, 1e-3, 1)}, "fewer cells of the lattice"),
        ({"further": [(np.zeros((4, 5)), 1)]}, "must cover the image"),
        ({"further": [(np.full((4, 5, 1), np.inf), 1)]}, "must be finite"),
        ({"further": [(np.zeros((4, 5, 1)), None)]}, "`further` must be"),
        (
            {"penalties": np.zeros((3, 3))},
            r"a pair of classes; expected shape \(2, 2\), received shape \(3, 3\)",
        ),
        ({"normalization": "both"}, "`normalization` must be a known one.*'both'"),
        ({"iterations": -1}, "`iterations` must be a whole number; expected 0 or more, received -1"),
        ({"iterations": 2.5}, "`iterations` must be a whole number"),
        ({"threads": 0}, "`threads` must be a whole number; expected 1 or more"),
        ({"tolerance": -1}, "`tolerance` must be a change"),
        ({"out": np.zeros((4, 5, 2))}, "`out` must hold the marginals.*float64"),
    ],
)
def test_bad_input_gets_a_sentence(engine, wrong, words):
    with pytest.raises(InputError, match=words):
        refine(**{**GOOD, "engine": engine, **wrong})


def test_an_unknown_engine_gets_a_sentence():
    with pytest.raises(InputError, match=r"`engine` must be a known one.*'gpu'"):
        refine(**GOOD, engine="gpu")


@pytest.mark.skipif(not _native.kernel, reason="not compiled")
def test_the_kernel_says_how_many_classes_it_holds():
    with pytest.raises(InputError, match="limited number of classes; expected at most 64, received 65"):
        refine(np.ones((1, 1, 65)), np.zeros((1, 1, 3), np.uint8), engine="native")


def test_too_large_an_image_is_sent_to_blocks():
    # A broadcast view: a huge image that takes no memory.
    huge = np.broadcast_to(np.float32(0.5), (30_000, 30_000, 2))
    with pytest.raises(InputError, match=r"too large for one lattice.*give `memory`"):
        solve(Problem(huge, [0, 1], [Term(1.0, (30_000, 30_000), 3.0)]))


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
def test_the_kernels_border_checks_what_python_hands_over(wrong, words):
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


def test_half_precision_and_masks_are_taken(made):
    evidence, image = made
    rounded = refine(evidence.astype(np.float16), image)
    assert (
        rounded.argmax(2).tolist()
        == refine(evidence.astype(np.float16).astype(float), image).argmax(2).tolist()
    )
    mask = evidence[..., :2] > 0.4
    mask[..., 0] |= ~mask[..., 1]
    assert refine(mask, image).dtype == np.float32


def test_out_is_filled_and_returned(made):
    evidence, image = made
    out = np.zeros_like(evidence)
    assert refine(evidence, image, out=out) is out
    np.testing.assert_array_equal(out, refine(evidence, image))


def test_labels_become_probabilities():
    labels = np.array([[0, 2], [255, 1]])
    known = labels < 3
    probabilities = probabilities_of(labels, 3, confidence=0.9, known=known)
    assert probabilities.sum(axis=2) == pytest.approx(1)
    assert probabilities[0].argmax(axis=1).tolist() == [0, 2]
    assert probabilities[1, 0] == pytest.approx(1 / 3)
    for wrong, words in [
        ({"labels": labels}, "must name classes; expected numbers from 0 to 2 where known, received 255"),
        ({"confidence": 1}, "`confidence` must be a probability"),
        ({"labels": labels / 2}, "one class a pixel.*float64"),
        ({"known": known[0]}, "of the same shape"),
    ]:
        with pytest.raises(InputError, match=words):
            probabilities_of(**{"labels": labels % 3, "classes": 3, "confidence": 0.9, **wrong})


def test_without_the_extension_all_the_rest_works():
    """What the tests of a machine without a compiler would see."""
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
    assert "InputError: the compiled kernel is not there" in run.stderr


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
