"""Layouts: whole nuclei at new positions, with the density of the patch; full layouts are not an error."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsn.objects import layouts
from hsn.objects.layouts import MIN_AREA_PX, Nuclei, extract_nuclei

ELLIPSE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (14, 9))  # 9 rows, 14 columns


def patch_of(*corners, side=96):
    """An annotated patch with an ellipse at each corner given."""
    patch = np.zeros((side, side), np.int32)
    for number, (row, column) in enumerate(corners, 1):
        view = patch[row : row + 9, column : column + 14]
        view[ELLIPSE[: view.shape[0], : view.shape[1]] > 0] = number
    return patch


PATCH = patch_of((20, 20), (50, 30), (70, 60), (0, 40), (30, 60))  # the fourth touches the edge


def test_nuclei_at_the_border_count_but_are_not_placed():
    nuclei = extract_nuclei(PATCH)
    assert len(nuclei.outlines) == 4
    assert nuclei.per_patch == 5
    assert nuclei.area_fraction == pytest.approx((PATCH > 0).mean())
    both = extract_nuclei(PATCH, patch_of((40, 40)))
    assert (len(both.outlines), both.per_patch) == (5, 3)


@pytest.mark.parametrize(("corner", "kept"), [((6, 6), 1), ((5, 20), 0), ((20, 5), 0), ((81, 76), 1), ((82, 20), 0),
                                              ((20, 77), 0)])  # fmt: skip
def test_nuclei_within_six_pixels_of_the_border_are_not_placed(corner, kept):
    patch = patch_of(corner, (40, 40))
    assert len(extract_nuclei(patch).outlines) == kept + 1


def test_a_filled_outline_equals_the_nucleus():
    (outline,) = extract_nuclei(patch_of((20, 20))).outlines
    box, mask = layouts._fill(outline + 40, (96, 96))
    assert mask.shape == (9, 14)
    assert (mask == (ELLIPSE > 0)).all()
    assert [part.start for part in box] == [40 - 4, 40 - 6]  # the center, rounded down


def test_outlines_of_few_vertices_are_ignored(raises_code):
    patch = np.zeros((60, 60), int)
    patch[20:30, 20:30] = 1  # a square has four
    with raises_code("no-whole-nucleus"):
        extract_nuclei(patch)


def test_released_layouts_transpose_each_nucleus():
    nuclei = extract_nuclei(patch_of((20, 20)))
    alone = Nuclei(nuclei.outlines, nuclei.area_fraction, 2)  # 2 * 6 / 7: one nucleus, and up to none more
    found = 0
    for layout in layouts.sample_layouts(alone, (96, 96), count=30, seed=3, mode="released"):
        for number in range(1, layout.max() + 1):
            rows, columns = np.nonzero(layout == number)
            if rows.min() > 0 and rows.max() < 95 and columns.min() > 0 and columns.max() < 95:
                box = (layout == number)[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
                assert (box == (ELLIPSE.T > 0)).all()
                found += 1
    assert found >= 5


@pytest.mark.parametrize(("covered", "lowest", "highest"), [(0.1, 36 + 7, 36 + 14), (0.3, 36 + 14, 36 + 21)])
def test_released_layouts_have_the_published_number_of_nuclei(covered, lowest, highest):
    """36 = floor(43 * 6 / 7), and between 20 and 40 % more in sparse patches, 40 and 60 % in dense ones."""
    nuclei = Nuclei(extract_nuclei(patch_of((20, 20))).outlines, covered, 43)
    drawn = []
    for seed in range(12):
        canvas = np.zeros((250, 250), np.int32)
        layouts._place_released(canvas, nuclei, np.random.default_rng(seed), None)
        drawn.append(int(canvas.max()))
    assert lowest <= min(drawn) < max(drawn) <= highest
    assert max(drawn) - min(drawn) >= 4


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from(["rotated", "released"]), st.floats(0, 0.5))
def test_layouts_have_the_shape_and_no_small_objects(seed, mode, max_overlap):
    (layout,) = layouts.sample_layouts(
        extract_nuclei(PATCH), (64, 80), count=1, seed=seed, mode=mode, max_overlap=max_overlap
    )
    assert (layout.shape, layout.dtype) == ((64, 80), np.int32)
    areas = np.bincount(layout.ravel())[1:]
    assert (areas >= MIN_AREA_PX).all()


def test_the_first_layouts_do_not_depend_on_the_count():
    nuclei = extract_nuclei(PATCH)
    few, many = (layouts.sample_layouts(nuclei, (96, 96), count=n, seed=5) for n in (2, 4))
    assert (few == many[:2]).all()
    assert (few[0] != few[1]).any()
    assert (layouts.sample_layouts(nuclei, (96, 96), count=2, seed=6) != few).any()


def test_layouts_have_the_area_fraction_of_the_patch():
    nuclei = extract_nuclei(PATCH)
    covered = (layouts.sample_layouts(nuclei, (256, 256), count=12, seed=0) > 0).mean(axis=(1, 2))
    assert covered.mean() == pytest.approx(nuclei.area_fraction, rel=0.1)
    assert covered.max() < 1.5 * nuclei.area_fraction


def test_nuclei_are_rotated():
    """The extents of one nucleus, placed often, differ; the released ones do not."""
    nuclei = extract_nuclei(patch_of((20, 20)))
    seen = {mode: set() for mode in ("rotated", "released")}
    for mode, shapes in seen.items():
        dense = Nuclei(nuclei.outlines, 0.1, 20)
        (layout,) = layouts.sample_layouts(dense, (200, 200), count=1, seed=0, mode=mode, max_overlap=0)
        for number in range(1, layout.max() + 1):
            rows, columns = np.nonzero(layout == number)
            if (len(rows) >= (ELLIPSE > 0).sum() - 2 and mode == "released") or mode == "rotated":
                shapes.add((np.ptp(rows), np.ptp(columns)))
    assert seen["released"] == {(13, 8)}
    assert len(seen["rotated"]) > 5


def test_without_overlap_every_nucleus_is_complete():
    nuclei = extract_nuclei(patch_of((20, 20)))
    least = 0.8 * (ELLIPSE > 0).sum()  # turning rounds vertices
    for layout in layouts.sample_layouts(
        Nuclei(nuclei.outlines, 0.4, 9), (150, 150), count=3, seed=1, max_overlap=0
    ):
        inner = np.unique(layout)[1:]
        edge = np.unique(np.concatenate([layout[0], layout[-1], layout[:, 0], layout[:, -1]]))
        areas = np.bincount(layout.ravel())
        assert all(areas[number] >= least for number in inner if number not in edge)


@pytest.mark.parametrize("mode", ["rotated", "released"])
def test_a_full_layout_is_not_an_error(mode):
    """The released script fails if more nuclei are requested than fit."""
    crowded = Nuclei(extract_nuclei(PATCH).outlines, 1.0, 5000)
    (layout,) = layouts.sample_layouts(crowded, (40, 40), count=1, seed=0, mode=mode)
    assert (layout > 0).mean() > 0.4


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"mode": "mirrored"}, "mode-unknown"),
        ({"count": 0}, "layout-invalid"),
        ({"max_overlap": 1.5}, "layout-invalid"),
        ({"shape": (0, 9)}, "layout-invalid"),
    ],
)
def test_invalid_arguments_raise_input_errors(options, code, raises_code):
    given_ = {"shape": (50, 50), "count": 1, "seed": 0} | options
    with raises_code(code):
        layouts.sample_layouts(extract_nuclei(PATCH), given_.pop("shape"), **given_)
