"""Learning rates: the published triangular schedule."""

import pytest

from hsn.training.schedules import triangular

PUBLISHED = {"lowest": 1e-3, "highest": 2e-2, "half_cycle": 5, "halve_every": 20}


@pytest.mark.parametrize(
    ("epoch", "rate"),
    [
        (0, 1e-3),
        (5, 2e-2),
        (10, 1e-3),
        (15, 2e-2),
        (19.999999, 1e-3),
        (20, 5e-4),
        (25, 1e-2),
        (45, 5e-3),
        (65, 2.5e-3),
    ],
)
def test_it_rises_falls_and_halves(epoch, rate):
    assert triangular(epoch, **PUBLISHED) == pytest.approx(rate, rel=1e-4)


def test_it_never_leaves_its_bounds():
    rates = [triangular(e / 7, **PUBLISHED) for e in range(140)]
    assert min(rates) >= 1e-3 * (1 - 1e-12)
    assert max(rates) <= 2e-2
