"""Patches of slides: windows of level 0, tissue from a thumbnail, scales that do not fit."""

import numpy as np
import pytest

import hsn
from hsn.data.patch_source import open_source
from hsn.data.synthetic_slide import draw_slide
from hsn.images.read import read
from hsn.images.slide import open_slide
from hsn.selection.patches import grid_corners, tissue_fraction


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    """Return the path of a drawn slide of 1,500 x 1,100 px, with glass around the tissue."""
    return draw_slide(tmp_path_factory.mktemp("slides") / "a.svs", (1100, 1500), side=256).path


def test_the_patches_of_a_slide_are_windows_of_its_first_level(slide, tmp_path):
    chosen = hsn.select_patches(slide, 2, out=tmp_path / "chosen", side_px=128, stride_px=128)
    assert chosen.left_out == []
    whole = open_slide(slide).read_level(0, 0, 1100, 1500)
    for row in chosen.rows:
        window = whole[row["row"] : row["row"] + 128, row["column"] : row["column"] + 128]
        np.testing.assert_array_equal(read(tmp_path / "chosen" / "patches" / row["patch"]), window)


def test_the_tissue_of_a_slide_is_that_of_its_pixels(slide):
    whole = open_slide(slide).read_level(0, 0, 1100, 1500)
    corners = grid_corners(whole.shape, side_px=256, stride_px=256)
    exact = tissue_fraction(whole, corners, 256)
    found = open_source(slide).tissue_fraction(corners, 256)
    assert exact.min() < 0.1 < 0.8 < exact.max()
    np.testing.assert_allclose(found, exact, atol=0.15)


def test_a_net_takes_the_scale_of_the_slides_and_refuses_slides_of_two_scales(
    slide, tmp_path, tiny_model, raises_code
):
    chosen = hsn.select_patches(
        slide, 1, out=tmp_path / "one", side_px=128, stride_px=512, encoder=str(tiny_model)
    )
    assert len(chosen.rows) == 1
    other = draw_slide(tmp_path / "b.svs", (700, 900), side=256, mpp=0.5).path
    with raises_code("slides-of-many-scales"):
        hsn.select_patches([slide, other], 1, out=tmp_path / "two", side_px=128, encoder=str(tiny_model))


def test_a_damaged_slide_is_left_out(slide, tmp_path):
    broken = tmp_path / "broken.svs"
    broken.write_bytes(slide.read_bytes()[:3000])
    chosen = hsn.select_patches([slide, broken], 1, out=tmp_path / "chosen", side_px=128, stride_px=512)
    assert [name for name, _ in chosen.left_out] == [str(broken)]
