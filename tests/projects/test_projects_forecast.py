"""Forecasts: the curve that made the scores is found, intervals hold it, minutes are counted."""

import numpy as np
import pytest

from hsn.annotations.annotation import Annotation, Point, Shape, Tag
from hsn.projects.cost import cost_card, count_items
from hsn.projects.forecast import Curve, fit_curve, forecast


@pytest.mark.parametrize("true", [Curve(0.6, 0.4, 0.5), Curve(0.9, 0.9, 0.2), Curve(0.5, 0.3, 1.5)])
def test_the_curve_that_made_the_scores_is_found(true):
    minutes = [2, 4, 8, 16, 32]
    found = fit_curve(minutes, [true.at(m) for m in minutes])
    assert [found.at(m) for m in (64, 200)] == pytest.approx([true.at(m) for m in (64, 200)], abs=5e-3)


def test_scores_that_do_not_rise_are_forecast_as_level():
    assert fit_curve([1, 2, 4], [0.5, 0.5, 0.5]).at(100) == pytest.approx(0.5, abs=1e-3)


def test_intervals_hold_the_truth_and_are_wider_for_fewer_images(rng):
    true = Curve(0.7, 0.5, 0.4)
    minutes = [5, 10, 20, 40]
    clean = np.array([true.at(m) for m in minutes])

    def noisy(images):
        return clean[:, None] + rng.normal(0, 0.1, images) + rng.normal(0, 0.005, (4, images))

    held = widths = 0
    for _ in range(6):
        (after,) = forecast(minutes, noisy(20), [40], draws=25)
        held += after.low - 0.02 <= true.at(80) <= after.high + 0.02
        (few,) = forecast(minutes, noisy(4), [40], draws=25)
        widths += (few.high - few.low) > (after.high - after.low)
    assert held >= 5
    assert widths >= 4


def test_forecasts_need_parts_and_images(raises_code):
    with raises_code("forecast-parts"):
        fit_curve([1, 1, 2], [0.1, 0.2, 0.3])
    with raises_code("forecast-images"):
        forecast([1, 2, 3], np.full((3, 2), np.nan), [10])


def test_minutes_count_what_was_done_by_hand(raises_code):
    outline = Shape((np.array([[0.0, 0.0], [0.0, 3.0], [3.0, 3.0]]),), "Nucleus")
    tags = (Tag("Tumor", True), Tag("Fat", False), Tag("Fat", True, (0, 0, 4, 4)))
    given = Annotation(tags=tags, points=(Point(1, 1), Point(2, 2)), objects=(outline,), boxes=(outline,))
    assert count_items(given, (9, 9)) == {"masks": 1, "scribbles": 0, "points": 2, "boxes": 1, "tags": 2}
    assert count_items(Annotation(objects=np.array([[0, 1, 7]])), (1, 3))["masks"] == 2
    assert cost_card({"points": 2})["points"] == 2
    for wrong in ({"click": 1}, {"points": 0}, {"points": float("nan")}):
        with raises_code("cost-card"):
            cost_card(wrong)
