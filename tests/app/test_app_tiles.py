"""Tiles show the right part of the image at each zoom."""

import io

import numpy as np
import pytest
from PIL import Image

from hsn.app.tiles import TILE_PX, levels_of, read_box, tile_box
from hsn.images.read import write
from hsn.images.slide import open_slide


@pytest.fixture
def slide(tmp_path):
    """A smooth image of 1500 x 1100 px, whose colors tell the place."""
    rows, cols = np.mgrid[:1100, :1500]
    pixels = np.stack([cols * 255 // 1500, rows * 255 // 1100, np.full_like(rows, 77)], axis=2).astype(
        np.uint8
    )
    write(tmp_path / "smooth.png", pixels)
    return open_slide(tmp_path / "smooth.png", mpp=0.5)


def test_tiles_of_all_levels_together_are_the_image(slide):
    full = slide.read_level(0, 0, 1100, 1500)
    assert levels_of(slide) == 3
    for z in range(3):
        x = y = count = 0
        while (box := tile_box(slide, z, x, y)) is not None:
            while (box := tile_box(slide, z, x, y)) is not None:
                left, top, width, height = box
                tile = read_box(slide, left * 2**z, top * 2**z, width, height, 2.0**z)
                step = 2**z
                rows = np.clip((np.arange(height) + top) * step + step // 2, 0, 1099)
                cols = np.clip((np.arange(width) + left) * step + step // 2, 0, 1499)
                assert np.abs(tile.astype(int) - full[np.ix_(rows, cols)]).max() <= 2
                x, count = x + 1, count + 1
            x, y = 0, y + 1
        assert count == [9, 4, 1][z]
        assert tile_box(slide, z, -1, 0) is None


def test_a_tile_has_its_full_size_because_smaller_ones_are_stretched(client):
    for route in ("/tiles/a/image/0/0/0",):
        tile = Image.open(io.BytesIO(client.get(route).content))
        assert tile.size == (TILE_PX, TILE_PX)
    assert client.get("/tiles/a/image/0/1/0").status_code == 404
    assert client.get("/tiles/a/image/1/0/0").status_code == 404
    assert client.get("/tiles/nothing/image/0/0/0").status_code == 404


def test_a_slide_of_100_000_px_is_shown_in_little_memory(tmp_path):
    from app_fakes import write_slide

    path = write_slide(tmp_path / "large.tif", side=100_000, mpp=0.25)
    slide = open_slide(path)
    assert slide.dimensions == (100_000, 100_000)
    assert levels_of(slide) == 9
    for z in (0, 1, 4, 8):
        last = -(-100_000 // 2**z) // TILE_PX
        for x, y in ((0, 0), (last, 0), (last, last), (last // 2, last // 3)):
            left, top, width, height = tile_box(slide, z, x, y)
            tile = read_box(slide, left * 2**z, top * 2**z, width, height, 2.0**z)
            assert tile.shape == (height, width, 3)
            assert tile.std() > 5  # not blank
        assert tile_box(slide, z, last + 1, 0) is None
