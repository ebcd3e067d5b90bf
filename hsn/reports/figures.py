"""Charts: confusion matrices, learning curves, contact sheets. They need no display.

The colors are those of Okabe & Ito (2008), which are distinct for color-blind readers. Lines also differ in their
dashes and are labeled at their ends.
"""

from collections.abc import Iterable, Sequence
from itertools import cycle
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..checks import as_image, same_length
from ..errors import InputError
from ..files import atomic_write
from ..metrics.counts import as_counts
from ..types import History

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
_DASHES = ("-", "--", "-.", ":")
_MAX_NUMBERS = 40  # largest number of classes with readable numbers in the cells


def write(figure: Figure, path: str | PathLike, *, dpi: float = 120) -> None:
    """Write a figure as PNG, PDF or SVG; the suffix of the path selects the format.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : path
    dpi : float
        Dots per inch, for PNG.

    Raises
    ------
    InputError
        "figure-format-unknown".
    """
    formats = {".png": "png", ".pdf": "pdf", ".svg": "svg"}
    kind = next((kind for suffix, kind in formats.items() if str(path).lower().endswith(suffix)), None)
    if kind is None:
        raise InputError(
            "figure-format-unknown",
            f"the file name of a figure must end in {', '.join(formats)}",
            got=path,
            hint="write a .png",
        )
    with atomic_write(Path(path)) as temporary:
        figure.savefig(temporary, format=kind, dpi=dpi)


def new_figure(width_in: float, height_in: float) -> Figure:
    """Return an empty figure without `pyplot`, which would keep it in memory and need a display.

    Examples
    --------
    >>> new_figure(4, 3).get_size_inches().tolist()
    [4.0, 3.0]
    """
    figure = Figure(figsize=(width_in, height_in), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def confusion_matrix(counts: ArrayLike, names: Sequence[str], *, title: str = "") -> Figure:
    """Draw a confusion matrix in percent of the true pixels of each class.

    Parameters
    ----------
    counts : int array, shape (C, C) or (C + 1, C)
        From `hsn.metrics.counts.confusion_matrix`. The optional last row counts unlisted pixels.
    names : sequence of str
        Names of the C classes.
    title : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        "length-mismatch" if the number of names differs from the number of classes.

    Examples
    --------
    >>> figure = confusion_matrix([[9, 1], [2, 8]], ("Other", "G.O"))
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['90', '10', '20', '80', '10', '10']
    """
    table, names = np.asarray(as_counts(counts)), list(names)
    same_length("classes", table[0], "names", names)
    rows = names + ["unlisted"] * (table.shape[0] - len(names))
    totals = table.sum(axis=1, keepdims=True)
    percent = np.divide(100 * table, totals, out=np.full(table.shape, np.nan), where=totals > 0)
    cell = 0.5 if len(names) <= 12 else 0.30  # all sizes in inches
    margin = 0.55 + 0.075 * max(map(len, rows))
    upright = 0.075 * max(map(len, names)) > cell  # the names are too long to be horizontal
    top = (margin if upright else 0.6) + 0.3 * bool(title)
    figure = new_figure(margin + max(cell * len(names) + 1.0, 2.8), 0.15 + cell * len(rows) + top)
    width, height = figure.get_size_inches()
    axes = figure.add_axes(
        (margin / width, 0.15 / height, cell * len(names) / width, cell * len(rows) / height)
    )
    axes.imshow(percent, cmap="Blues", vmin=0, vmax=100, aspect="auto", interpolation="nearest")
    axes.set_facecolor("0.9")  # rows without pixels
    axes.set_xticks(range(len(names)), names, rotation=90 if upright else 0)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0, labelsize=8, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.set_ylabel("truth", fontsize=9)
    axes.set_xlabel("prediction, % of the true pixels", fontsize=9, loc="left")
    axes.xaxis.set_label_position("top")
    figure.text(0.1 / width, 1 - 0.1 / height, title, fontsize=10, va="top")
    _write_numbers(axes, percent, totals[:, 0], size=8 if len(names) <= 12 else 6)
    return figure


def _write_numbers(axes: Axes, percent: np.ndarray, totals: np.ndarray, *, size: float) -> None:
    """Write percentages into the cells, and the number of pixels next to each row."""
    columns = percent.shape[1]
    if columns <= _MAX_NUMBERS:
        for (row, column), value in np.ndenumerate(percent):
            if value >= 0.5:  # values that round to 0 % are left empty
                axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=size,
                          color="white" if value > 55 else "black")  # fmt: skip
    for row, total in enumerate(totals):
        text = f"{total:,}" if total else "none"
        axes.text(columns - 0.35, row, text, va="center", fontsize=size, color="0.35")


def learning_curves(history: History, *, title: str = "") -> Figure:
    """Draw losses, scores and the learning rate over the epochs of a training.

    Parameters
    ----------
    history : hsn.types.History
        Its columns are grouped into losses (by name), the learning rate, scores (values in 0 to 1) and others.
    title : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        "history-empty".

    Examples
    --------
    >>> from hsn.types import History
    >>> figure = learning_curves(History(({"epoch": 1, "loss": 0.7}, {"epoch": 2, "loss": 0.5}), best=1))
    >>> figure.axes[0].get_ylabel()
    'loss'
    """
    if not history.epochs:
        raise InputError(
            "history-empty", "`history` must have one or more epochs", got="none", hint="train first"
        )
    names = list(dict.fromkeys(name for row in history.epochs for name in row if name != "epoch"))
    names = [name for name in names if any(_is_number(value) for value in history.column(name))]
    groups = {
        "loss": [n for n in names if "loss" in n],
        "score": [
            n for n in names if "loss" not in n and not _is_rate(n) and _is_fraction(history.column(n))
        ],
        "learning rate": [n for n in names if _is_rate(n)],
    }
    groups["other"] = [n for n in names if not any(n in group for group in groups.values())]
    groups = {label: group for label, group in groups.items() if group}
    figure = new_figure(8, 0.6 + 2.2 * max(1, len(groups)))
    grid = figure.subplots(max(1, len(groups)), 1, sharex=True, squeeze=False)[:, 0]
    figure.subplots_adjust(
        left=0.1, right=0.78, top=1 - 0.4 / figure.get_figheight(), bottom=0.09, hspace=0.14
    )
    epochs = [row.get("epoch", number) for number, row in enumerate(history.epochs, start=1)]
    for axes, (label, group) in zip(grid, groups.items(), strict=False):
        _draw_lines(axes, epochs, {name: history.column(name) for name in group})
        axes.set_ylabel(label)
        if history.best is not None:
            axes.axvline(epochs[history.best], color="0.6", linewidth=1, zorder=0)
    if history.best is not None:
        grid[0].text(epochs[history.best], 1.01, f"kept: epoch {epochs[history.best]}", fontsize=8, ha="center",
                     va="bottom", transform=grid[0].get_xaxis_transform())  # fmt: skip
    grid[-1].set_xlabel("epoch")
    figure.suptitle(title, fontsize=10, x=0.1, ha="left")
    return figure


def _draw_lines(axes: Axes, epochs: list, columns: dict[str, list]) -> None:
    """Draw a line for each column, and label its end without overlaps."""
    ends = []
    styles = zip(cycle(OKABE_ITO), cycle(_DASHES), columns.items(), strict=False)
    for color, dash, (name, column) in styles:
        # A score that is measured every few epochs connects only these.
        points = [(epoch, value) for epoch, value in zip(epochs, column, strict=True) if _is_number(value)]
        marker = "o" if len(points) < 3 else None
        axes.plot(
            *zip(*points, strict=True),
            color=color,
            linestyle=dash,
            linewidth=1.6,
            marker=marker,
            markersize=4,
        )
        ends.append((points[-1][1], name, color))
    axes.grid(color="0.92")
    axes.spines[["top", "right"]].set_visible(False)
    ends.sort()
    for position, (value, name, color) in zip(
        _spread([end[0] for end in ends], axes.get_ylim()), ends, strict=True
    ):
        axes.text(1.02, position, f"{name} {value:.4g}", color=color, fontsize=8, va="center",
                  transform=axes.get_yaxis_transform())  # fmt: skip


def _spread(positions: list[float], limits: tuple[float, float], *, fraction: float = 0.11) -> list[float]:
    """Move ascending positions apart to a fraction of the axis: upwards first, then down from the top."""
    gap = fraction * (limits[1] - limits[0])
    places = list(positions)
    for k in range(1, len(places)):
        places[k] = max(places[k], places[k - 1] + gap)
    ceiling = limits[1]
    for k in reversed(range(len(places))):
        places[k] = min(places[k], ceiling)
        ceiling = places[k] - gap
    return places


def contact_sheet(
    images: Sequence[np.ndarray],
    captions: Sequence[str] | None = None,
    *,
    columns: int | None = None,
    side_in: float = 1.9,
    title: str = "",
) -> Figure:
    """Draw images in rows, with captions below them.

    Parameters
    ----------
    images : sequence of uint8 arrays, shape (H, W, 3)
        They can differ in size.
    captions : sequence of str, optional
        One for each image.
    columns : int, optional
        Images in a row. Default: about the number of rows, at most 8.
    side_in : float
        Width of an image in inches. Default: 1.9.
    title : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        "images-empty" or "length-mismatch".

    Examples
    --------
    >>> len(contact_sheet([np.zeros((4, 4, 3), np.uint8)] * 3, ["a", "b", "c"]).axes)
    3
    """
    images = [as_image(image) for image in images]
    captions = [""] * len(images) if captions is None else list(captions)
    same_length("images", images, "captions", captions)
    if not images:
        raise InputError(
            "images-empty", "`images` must hold one or more images", got="none", hint="give images"
        )
    columns = columns or min(8, int(np.ceil(np.sqrt(len(images)))))
    rows = -(-len(images) // columns)
    lines = 1 + max(caption.count("\n") for caption in captions)
    tall_in = side_in * min(1, max(image.shape[0] / image.shape[1] for image in images))
    row_in = tall_in + 0.16 * lines + 0.06  # an image and its caption
    figure = new_figure(columns * (side_in + 0.1) + 0.1, rows * row_in + 0.15 + 0.3 * bool(title))
    width, height = figure.get_size_inches()
    for number, (image, caption) in enumerate(zip(images, captions, strict=True)):
        row, column = divmod(number, columns)
        bottom = height - 0.1 - 0.3 * bool(title) - row * row_in - tall_in
        left = 0.1 + column * (side_in + 0.1)
        axes = figure.add_axes((left / width, bottom / height, side_in / width, tall_in / height))
        axes.imshow(image, interpolation="nearest" if max(image.shape) < 64 else "antialiased")
        axes.set_axis_off()
        axes.text(0.5, -0.02, caption, fontsize=7, ha="center", va="top", transform=axes.transAxes)
    figure.text(0.1 / width, 1 - 0.1 / height, title, fontsize=10, va="top")
    return figure


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and bool(np.isfinite(value))


def _is_fraction(column: Iterable) -> bool:
    return all(0 <= value <= 1 for value in column if _is_number(value))


def _is_rate(name: str) -> bool:
    return name in ("rate", "learning_rate")
