"""Draw what more annotation is expected to bring."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from . import figures

COLORS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
)  # Okabe and Ito, for all kinds of color vision
MARKERS = "osD^v"


def forecast_figure(
    measured: Mapping[str, Sequence[tuple[float, float]]],
    forecasts: Mapping[str, Sequence[tuple[float, float, float, float]]],
    *,
    measure: str,
) -> Figure:
    """Draw measured scores and forecasts against minutes of annotation.

    Parameters
    ----------
    measured : dict of str to sequence of (float, float)
        Minutes and score of each probe, by kind of annotation.
    forecasts : dict of str to sequence of (float, float, float, float)
        Minutes altogether, expected score, and the bounds of its interval.
    measure : str
        Name of the score.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = figures.new_figure(7, 4.2)
    axes = figure.subplots()
    for (kind, points), color, marker in zip(measured.items(), COLORS, MARKERS, strict=False):
        ordered = sorted(points)
        minutes, scores = [m for m, _ in ordered], [s for _, s in ordered]
        axes.plot(minutes, scores, color=color, marker=marker, label=f"{kind}, measured")
        after = forecasts.get(kind, ())
        if after:
            later, expected, low, high = zip(*after, strict=True)
            axes.plot([minutes[-1], *later], [scores[-1], *expected], color=color, linestyle="--",
                      label=f"{kind}, expected (95 % interval)")  # fmt: skip
            axes.fill_between(later, low, high, color=color, alpha=0.2)
    axes.set_xlabel("minutes of annotation of this kind")
    axes.set_ylabel(f"{measure} of validation images")
    if measured:
        axes.legend(frameon=False, fontsize=8)
    return figure
