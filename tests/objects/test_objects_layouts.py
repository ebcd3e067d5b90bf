"""Layouts: whole nuclei set down anew, as dense as they were, and never a crash when there is no room."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsn import InputError
from hsn.objects import layouts
from hsn.objects.layouts import LEAST_PX, Nuclei, nuclei_of

ELLIPSE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (14, 9))  # 9 rows, 14 columns


def patch_of(*corners, side=96):
    """An annotated patch with an ellipse at each corner given."""
    patch = np.zeros((side, side), np.int32)
    for number, (row, column) in enumerate(corners, 1):
        view = patch[row : row + 9, column : column + 14]
        view[ELLIPSE[: view.shape[0], : view.shape[1]] > 0] = number
    return patch


PATCH = patch_of((20, 20), (50, 30), (70, 60), (0, 40), (30, 60))  # the fourth touches the edge


def test_nuclei_at_the_edge_count_but_are_not_laid_out():
    nuclei = nuclei_of(PATCH)
    assert len(nuclei.outlines) == 4
    assert nuclei.a_patch == 5
    assert nuclei.covered == pytest.approx((PATCH > 0).mean())
    both = nuclei_of(PATCH, patch_of((40, 40)))
    assert (len(both.outlines), both.a_patch) == (5, 3)


@pytest.mark.parametrize(("corner", "kept"), [((6, 6), 1), ((5, 20), 0), ((20, 5), 0), ((81, 76), 1), ((82, 20), 0),
                                              ((20, 77), 0)])  # fmt: skip
def test_six_pixels_of_the_edge_are_too_near(corner, kept):
    patch = patch_of(corner, (40, 40))
    assert len(nuclei_of(patch).outlines) == kept + 1


def test_an_outline_filled_again_is_the_nucleus():
    (outline,) = nuclei_of(patch_of((20, 20))).outlines
    box, mask = layouts._filled(outline + 40, (96, 96))
    assert mask.shape == (9, 14)
    assert (mask == (ELLIPSE > 0)).all()
    assert [part.start for part in box] == [40 - 4, 40 - 6]  # the centre, cut down to whole pixels


def test_objects_of_few_vertices_are_no_nuclei():
    patch = np.zeros((60, 60), int)
    patch[20:30, 20:30] = 1  # a square has four
    with pytest.raises(InputError, match=r"no whole nucleus.*larger patch"):
        nuclei_of(patch)


def test_released_layouts_mirror_each_nucleus_on_the_diagonal():
    nuclei = nuclei_of(patch_of((20, 20)))
    alone = Nuclei(nuclei.outlines, nuclei.covered, 2)  # 2 * 6 / 7: one nucleus, and up to none more
    found = 0
    for layout in layouts.layouts(alone, (96, 96), count=30, seed=3, mode="released"):
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
    nuclei = Nuclei(nuclei_of(patch_of((20, 20))).outlines, covered, 43)
    drawn = []
    for seed in range(12):
        canvas = np.zeros((250, 250), np.int32)
        layouts._released(canvas, nuclei, np.random.default_rng(seed), None)
        drawn.append(int(canvas.max()))
    assert lowest <= min(drawn) < max(drawn) <= highest
    assert max(drawn) - min(drawn) >= 4


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from(["turned", "released"]), st.floats(0, 0.5))
def test_any_layout_is_a_label_image(seed, mode, max_overlap):
    (layout,) = layouts.layouts(
        nuclei_of(PATCH), (64, 80), count=1, seed=seed, mode=mode, max_overlap=max_overlap
    )
    assert (layout.shape, layout.dtype) == ((64, 80), np.int32)
    areas = np.bincount(layout.ravel())[1:]
    assert (areas >= LEAST_PX).all()


def test_the_first_layouts_do_not_depend_on_how_many_there_are():
    nuclei = nuclei_of(PATCH)
    few, many = (layouts.layouts(nuclei, (96, 96), count=n, seed=5) for n in (2, 4))
    assert (few == many[:2]).all()
    assert (few[0] != few[1]).any()
    assert (layouts.layouts(nuclei, (96, 96), count=2, seed=6) != few).any()


def test_layouts_are_as_full_as_the_patch():
    nuclei = nuclei_of(PATCH)
    covered = (layouts.layouts(nuclei, (256, 256), count=12, seed=0) > 0).mean(axis=(1, 2))
    assert covered.mean() == pytest.approx(nuclei.covered, rel=0.1)
    assert covered.max() < 1.5 * nuclei.covered


def test_nuclei_are_turned():
    """The extents of one nucleus, placed often, differ; the released ones do not."""
    nuclei = nuclei_of(patch_of((20, 20)))
    seen = {mode: set() for mode in ("turned", "released")}
    for mode, shapes in seen.items():
        dense = Nuclei(nuclei.outlines, 0.1, 20)
        (layout,) = layouts.layouts(dense, (200, 200), count=1, seed=0, mode=mode, max_overlap=0)
        for number in range(1, layout.max() + 1):
            rows, columns = np.nonzero(layout == number)
            if (len(rows) >= (ELLIPSE > 0).sum() - 2 and mode == "released") or mode == "turned":
                shapes.add((np.ptp(rows), np.ptp(columns)))
    assert seen["released"] == {(13, 8)}
    assert len(seen["turned"]) > 5


def test_without_overlap_every_nucleus_stays_whole():
    nuclei = nuclei_of(patch_of((20, 20)))
    least = 0.8 * (ELLIPSE > 0).sum()  # turning rounds vertices
    for layout in layouts.layouts(
        Nuclei(nuclei.outlines, 0.4, 9), (150, 150), count=3, seed=1, max_overlap=0
    ):
        inner = np.unique(layout)[1:]
        edge = np.unique(np.concatenate([layout[0], layout[-1], layout[:, 0], layout[:, -1]]))
        areas = np.bincount(layout.ravel())
        assert all(areas[number] >= least for number in inner if number not in edge)


@pytest.mark.parametrize("mode", ["turned", "released"])
def test_a_full_layout_is_done(mode):
    """More nuclei than fit: the script stopped with an error, here the layout is as it is."""
    crowded = Nuclei(nuclei_of(PATCH).outlines, 1.0, 5000)
    (layout,) = layouts.layouts(crowded, (40, 40), count=1, seed=0, mode=mode)
    assert (layout > 0).mean() > 0.4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "mirrored"}, "no such way to place nuclei.*'mirrored'"),
        ({"count": 0}, "no such layouts.*0 of"),
        ({"max_overlap": 1.5}, "no such layouts.*1.5"),
        ({"shape": (0, 9)}, r"no such layouts.*\(0, 9\)"),
    ],
)
def test_what_cannot_be_laid_out_is_refused(options, words):
    given_ = {"shape": (50, 50), "count": 1, "seed": 0} | options
    with pytest.raises(InputError, match=words):
        layouts.layouts(nuclei_of(PATCH), given_.pop("shape"), **given_)
