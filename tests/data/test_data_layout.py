"""The ground plan: heights rise from the base to the lumen, directions point inward, objects keep apart."""

import numpy as np
import pytest

from hsn.data.drawing import values_at
from hsn.data.layout import CODE, MATERIALS, draw_layout


@pytest.fixture(scope="module", params=[0, 3, 7])
def ground(request):
    return draw_layout(np.random.default_rng(request.param), (300, 340), 0.62)


def test_every_pixel_has_a_material(ground):
    assert ground.material.dtype == np.uint8
    assert ground.material.max() < len(MATERIALS)


def test_only_glands_are_epithelium_and_lumen(ground):
    inside = np.isin(ground.material, (CODE["epithelium"], CODE["lumen"]))
    np.testing.assert_array_equal(ground.glands > 0, inside)


def test_height_is_a_share_that_ends_at_the_lumen(ground):
    ring = ground.material == CODE["epithelium"]
    assert (ground.height[ring] > 0).all()
    assert (ground.height[ring] < 1).all()
    assert (ground.height[ground.material == CODE["lumen"]] == 1).all()
    assert not ground.height[ground.glands == 0].any()


def test_height_rises_along_the_inward_direction(ground):
    low = np.argwhere((ground.height > 0.2) & (ground.height < 0.5))
    angle = values_at(ground.inward, low)
    ahead = low + 4 * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    assert (values_at(ground.height, ahead) > values_at(ground.height, low)).mean() > 0.85


def test_fibers_run_along_the_glands(ground):
    rim = (ground.glands == 0) & (np.abs(np.gradient((ground.glands > 0).astype(float))[0]) > 0)
    across = np.abs(np.cos(ground.fibers - ground.inward))[rim]
    assert np.median(across) < 0.35
