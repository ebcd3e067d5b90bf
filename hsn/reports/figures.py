"""Charts: confusion, learning curves, contact sheets. No screen is needed or opened.

Colours are those of Okabe & Ito (2008), which every common kind of colour blindness tells apart; lines differ in
their dashes too, and are named where they end.
"""

from itertools import cycle

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..checks import as_image
from ..errors import refuse
from ..files import atomic_write
from ..metrics.counts import as_counts

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
_DASHES = ("-", "--", "-.", ":")
_NUMBERS_UP_TO = 40  # classes whose confusion can still be read as numbers


def write(figure, path, *, dpi=120):
    """Write a figure as PNG, PDF or SVG, by the path's suffix.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : path
    dpi : float
        Dots per inch, for PNG.

    Raises
    ------
    InputError
        If the suffix is another.
    """
    formats = {".png": "png", ".pdf": "pdf", ".svg": "svg"}
    with_suffix = str(path).lower()
    kind = next((kind for suffix, kind in formats.items() if with_suffix.endswith(suffix)), None)
    if kind is None:
        refuse(f"{path} names no format for figures", expected=", ".join(formats), received="another suffix",
               remedy="write a .png")  # fmt: skip
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=dpi)


def blank(width_in, height_in):
    """An empty figure, by matplotlib's objects: `pyplot` would keep it alive and look for a screen.

    Examples
    --------
    >>> blank(4, 3).get_size_inches().tolist()
    [4.0, 3.0]
    """
    figure = Figure(figsize=(width_in, height_in), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def confusion_picture(counts, names, *, title=""):
    """Draw a table of counts: what became of each true class, in percent of its pixels.

    Parameters
    ----------
    counts : int array, shape (C, C) or (C + 1, C)
        From `hsn.metrics.counts.confusion`; a last row of unlisted pixels is drawn as one.
    names : sequence of str
        The C classes.
    title : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If names and counts do not fit.

    Examples
    --------
    >>> figure = confusion_picture([[9, 1], [2, 8]], ("Other", "G.O"))
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['90', '10', '20', '80', '10', '10']
    """
    counts, names = as_counts(counts), list(names)
    if len(names) != counts.shape[1]:
        refuse("each class needs one name", expected=f"{counts.shape[1]} names", received=len(names),
               remedy="give the names of the taxonomy that was counted")  # fmt: skip
    rows = names + ["unlisted"] * (counts.shape[0] - len(names))
    totals = counts.sum(axis=1, keepdims=True)
    percent = np.divide(100 * counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    cell = 0.5 if len(names) <= 12 else 0.30  # inches, as all sizes here
    margin = 0.55 + 0.075 * max(map(len, rows))
    upright = 0.075 * max(map(len, names)) > cell  # names too long to lie side by side
    top = (margin if upright else 0.6) + 0.3 * bool(title)
    figure = blank(margin + max(cell * len(names) + 1.0, 2.8), 0.15 + cell * len(rows) + top)
    width, height = figure.get_size_inches()
    axes = figure.add_axes(
        (margin / width, 0.15 / height, cell * len(names) / width, cell * len(rows) / height)
    )
    axes.imshow(percent, cmap="Blues", vmin=0, vmax=100, aspect="auto", interpolation="nearest")
    axes.set_facecolor("0.9")  # rows without any pixel
    axes.set_xticks(range(len(names)), names, rotation=90 if upright else 0)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0, labelsize=8, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.set_ylabel("truth", fontsize=9)
    axes.set_xlabel("prediction, % of the true pixels", fontsize=9, loc="left")
    axes.xaxis.set_label_position("top")
    figure.text(0.1 / width, 1 - 0.1 / height, title, fontsize=10, va="top")
    _write_numbers(axes, percent, totals[:, 0], size=8 if len(names) <= 12 else 6)
    return figure


def _write_numbers(axes, percent, totals, *, size):
    """Percentages into the cells, and behind each row how many pixels it had."""
    columns = percent.shape[1]
    if columns <= _NUMBERS_UP_TO:
        for (row, column), value in np.ndenumerate(percent):
            if value >= 0.5:  # what rounds to 0 % stays empty, so that the pattern shows
                axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=size,
                          color="white" if value > 55 else "black")  # fmt: skip
    for row, total in enumerate(totals):
        text = f"{total:,}" if total else "none"
        axes.text(columns - 0.35, row, text, va="center", fontsize=size, color="0.35")


def learning_curves(history, *, title=""):
    """Draw what a net measured while it learned: losses, scores and the learning rate over the epochs.

    Parameters
    ----------
    history : hsn.types.History
        Its rows' numbers are sorted into losses (by name), the learning rate, scores (those that stay between 0
        and 1) and others.
    title : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If no epoch has been run.

    Examples
    --------
    >>> from hsn.types import History
    >>> figure = learning_curves(History(({"epoch": 1, "loss": 0.7}, {"epoch": 2, "loss": 0.5}), best=1))
    >>> figure.axes[0].get_ylabel()
    'loss'
    """
    if not history.epochs:
        refuse("there is nothing to draw yet", expected="a history of at least one epoch", received="none",
               remedy="train first")  # fmt: skip
    names = list(dict.fromkeys(name for row in history.epochs for name in row if name != "epoch"))
    names = [name for name in names if any(_is_number(value) for value in history.column(name))]
    groups = {
        "loss": [n for n in names if "loss" in n],
        "score": [n for n in names if "loss" not in n and not _is_rate(n) and _is_share(history.column(n))],
        "learning rate": [n for n in names if _is_rate(n)],
    }
    groups["other"] = [n for n in names if not any(n in group for group in groups.values())]
    groups = {label: group for label, group in groups.items() if group}
    figure = blank(8, 0.6 + 2.2 * max(1, len(groups)))
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


def _draw_lines(axes, epochs, columns):
    """One line a column, each named at its end without names lying on one another."""
    ends = []
    styles = zip(cycle(OKABE_ITO), cycle(_DASHES), columns.items(), strict=False)
    for color, dash, (name, column) in styles:
        # A score that is measured every few epochs is a line through those.
        points = [(epoch, value) for epoch, value in zip(epochs, column, strict=True) if _is_number(value)]
        dot = "o" if len(points) < 3 else None
        axes.plot(
            *zip(*points, strict=True), color=color, linestyle=dash, linewidth=1.6, marker=dot, markersize=4
        )
        ends.append((points[-1][1], name, color))
    axes.grid(color="0.92")
    axes.spines[["top", "right"]].set_visible(False)
    ends.sort()
    for place, (value, name, color) in zip(
        _spread([end[0] for end in ends], axes.get_ylim()), ends, strict=True
    ):
        axes.text(1.02, place, f"{name} {value:.4g}", color=color, fontsize=8, va="center",
                  transform=axes.get_yaxis_transform())  # fmt: skip


def _spread(places, limits, *, share=0.11):
    """Rising places, moved apart to `share` of the axis: up from the lowest, then down from the top."""
    apart = share * (limits[1] - limits[0])
    places = list(places)
    for k in range(1, len(places)):
        places[k] = max(places[k], places[k - 1] + apart)
    ceiling = limits[1]
    for k in reversed(range(len(places))):
        places[k] = min(places[k], ceiling)
        ceiling = places[k] - apart
    return places


def contact_sheet(images, captions=None, *, columns=None, side_in=1.9, title=""):
    """Lay images out in rows, each with a caption below it.

    Parameters
    ----------
    images : sequence of uint8 arrays, shape (H, W, 3)
        Sizes may differ.
    captions : sequence of str, optional
        One an image.
    columns : int, optional
        Images a row; about as many as rows by default, 8 at most.
    side_in : float
        Room for an image, in inches.
    title : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If there is no image, or captions and images differ in number.

    Examples
    --------
    >>> len(contact_sheet([np.zeros((4, 4, 3), np.uint8)] * 3, ["a", "b", "c"]).axes)
    3
    """
    images = [as_image(image) for image in images]
    captions = [""] * len(images) if captions is None else list(captions)
    if not images or len(captions) != len(images):
        refuse("a contact sheet needs one caption an image", expected=f"{max(1, len(images))} captions",
               received=f"{len(captions)} for {len(images)} images", remedy="give as many of both")  # fmt: skip
    columns = columns or min(8, int(np.ceil(np.sqrt(len(images)))))
    rows = -(-len(images) // columns)
    lines = 1 + max(caption.count("\n") for caption in captions)
    tall_in = side_in * min(1, max(image.shape[0] / image.shape[1] for image in images))
    room = tall_in + 0.16 * lines + 0.06  # an image and its caption
    figure = blank(columns * (side_in + 0.1) + 0.1, rows * room + 0.15 + 0.3 * bool(title))
    width, height = figure.get_size_inches()
    for number, (image, caption) in enumerate(zip(images, captions, strict=True)):
        row, column = divmod(number, columns)
        bottom = height - 0.1 - 0.3 * bool(title) - row * room - tall_in
        left = 0.1 + column * (side_in + 0.1)
        axes = figure.add_axes((left / width, bottom / height, side_in / width, tall_in / height))
        axes.imshow(image, interpolation="nearest" if max(image.shape) < 64 else "antialiased")
        axes.set_axis_off()
        axes.text(0.5, -0.02, caption, fontsize=7, ha="center", va="top", transform=axes.transAxes)
    figure.text(0.1 / width, 1 - 0.1 / height, title, fontsize=10, va="top")
    return figure


def _is_number(value):
    return isinstance(value, (int, float, np.number)) and bool(np.isfinite(value))


def _is_share(column):
    return all(0 <= value <= 1 for value in column if _is_number(value))


def _is_rate(name):
    return name in ("rate", "learning_rate")
