"""Drawing tools: noise keeps its scale, points keep their distance, streaks their direction, stain its law."""

import numpy as np
import pytest

from hsn.data.drawing import ellipses, noise, scatter, stained, streaks, values_at


@pytest.mark.parametrize("shape", [(40, 90), (301, 64)])
@pytest.mark.parametrize("scale", [1.0, 7.5, 60.0])
def test_noise_is_as_wide_as_asked_in_both_directions(rng, shape, scale):
    hills = np.stack([noise(rng, shape, scale) for _ in range(60)])  # (n, H, W)
    assert hills.shape[1:] == shape
    assert hills.dtype == np.float32
    assert abs(hills.mean()) < 0.3
    assert 0.6 < hills.std() < 1.5
    for axis in (1, 2):
        lag = max(1, round(2 * scale))
        if lag < shape[axis - 1] / 2:
            apart = np.take(hills, range(lag, hills.shape[axis]), axis) * np.take(
                hills, range(hills.shape[axis] - lag), axis
            )
            assert abs(apart.mean()) < 0.4 * hills.var()


def test_points_keep_a_third_of_their_spacing(rng):
    points = scatter(rng, (100, 60), 9.0)
    away = np.linalg.norm(points[:, None] - points[None], axis=2) + 99 * np.eye(len(points))
    assert away.min() >= 3
    assert len(points) == 12 * 7


def test_a_margin_adds_points_outside(rng):
    points = scatter(rng, (20, 20), 10, margin_px=10)
    assert len(points) == 16
    assert (points < 0).any()


def test_values_at_points_outside_are_those_of_the_edge():
    field = np.arange(6).reshape(2, 3)
    assert values_at(field, np.array([[-5.0, 0], [1.9, 2.9], [9, 9]])).tolist() == [0, 5, 5]


@pytest.mark.parametrize("angle", [0.0, np.pi / 4, np.pi / 2])
def test_streaks_run_along_the_direction(rng, angle):
    lines = streaks(rng, np.full((80, 80), angle, np.float32), 8)
    row, column = round(3 * np.sin(angle)), round(3 * np.cos(angle))
    inner = lines[10:-10, 10:-10]

    def shifted(dr, dc):
        return lines[10 + dr : 70 + dr, 10 + dc : 70 + dc]

    assert (inner * shifted(row, column)).mean() > 0.4
    assert abs((inner * shifted(-column, row)).mean()) < 0.2
    assert abs(lines.mean()) < 1e-3
    assert lines.std() == pytest.approx(1, abs=1e-3)


def test_an_ellipse_has_its_area_and_its_direction():
    drawn = ellipses((101, 101), np.array([[50.0, 50]]), np.array([[30.0, 10]]), np.array([np.pi / 2]))
    assert (drawn > 0).sum() == pytest.approx(np.pi * 300, rel=0.05)
    assert drawn[22, 50] == drawn[78, 50] == 1
    assert drawn[50, 30] == 0


def test_an_ellipse_lies_where_it_was_put():
    drawn = ellipses((20, 40), np.array([[5.0, 30.0]]), np.array([[2.0, 2.0]]), np.zeros(1))
    np.testing.assert_allclose(np.argwhere(drawn).mean(axis=0), [5, 30], atol=0.5)


def test_later_ellipses_lie_over_earlier_ones():
    drawn = ellipses((9, 9), np.full((2, 2), 4.0), np.array([[4.0, 4], [1, 1]]), np.zeros(2))
    assert drawn[4, 4] == 2
    assert drawn[4, 7] == 1


def test_more_dye_takes_more_light_each_its_own_color(rng):
    amounts = np.zeros((3, 60, 60), np.float32)
    amounts[0, :, 20:] = 1.0
    amounts[1, :, 40:] = 1.0
    image = stained(rng, *amounts[:2], blur_px=0.3).astype(float)
    glass, blue, both = (image[10:50, a : a + 8].mean(axis=(0, 1)) for a in (4, 26, 48))
    assert (glass > 225).all()
    assert (blue < glass).all()
    assert (both < blue).all()
    assert blue[2] > blue[0]  # hematoxylin is blue
    assert blue[1] / both[1] > blue[0] / both[0]  # eosin takes green before red


def test_laboratories_differ():
    amounts = np.full((8, 8), 0.5, np.float32)
    means = [
        stained(np.random.default_rng(k), amounts, amounts, blur_px=0.3).mean(axis=(0, 1)) for k in range(8)
    ]
    assert (np.std(means, axis=0) > 4).all()
