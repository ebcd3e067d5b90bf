"""The summary page: an image, its truth, what the net saw, and what became of it, with a legend.

Like the panels of HistoSegNet's release, on one page. Classes are told by their colour, by a line along their
borders and by their name written into them, so that no one needs the colour alone.
"""

import numpy as np
from matplotlib import patheffects
from matplotlib.patches import Rectangle

from ..annotations.colors import as_labels, resize_labels
from ..checks import as_image
from ..errors import refuse
from .figures import blank
from .overlay import inner_points, overlay, painted

_PANEL_IN = 3.2  # width of a panel, in inches, as all sizes here
_GAP_IN, _TITLE_IN, _LEGEND_ROW_IN, _LETTER_IN = 0.15, 0.28, 0.2, 0.085
_OUTLINED = [patheffects.withStroke(linewidth=2.5, foreground="black")]  # white words, on whatever ground


def summary(image, stages, taxonomy, *, truth=None, known=None, evidence=None, instances=None, true_instances=None,
            mpp=None, title="", shown=2):  # fmt: skip
    """Draw one page about one image.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    stages : dict of str to int array, shape (H, W)
        Labels by the name of the stage that gave them, as in ``{"before CRF": ..., "after CRF": ...}``. The last
        one counts in the legend.
    taxonomy : Taxonomy
    truth : int array, shape (h, w), optional
        True labels; resized to the image by nearest neighbour.
    known : bool array, shape (h, w), optional
        Where the truth is known. Elsewhere the image shows through.
    evidence : float32 array, shape (H, W, C), optional
        In [0, 1]. The classes with most of it are drawn.
    instances, true_instances : int array, shape (H, W) and (h, w), optional
        Numbered objects, of the last stage and of the truth: lines go around each of them.
    mpp : float, optional
        Micrometres per pixel; without it there is no scale bar.
    title : str
    shown : int
        Most classes of `evidence` to draw.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If arrays do not fit the image or the taxonomy.

    Examples
    --------
    >>> from hsn.taxonomies import GLAS
    >>> picture, labels = np.full((40, 60, 3), 200, np.uint8), np.zeros((40, 60), int)
    >>> figure = summary(picture, {"prediction": labels}, GLAS, truth=labels)
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['image', 'truth', 'prediction', '']
    """
    image = as_image(image)
    if not stages:
        refuse("a summary needs labels", expected="at least one stage", received="none",
               remedy="give {'prediction': labels}")  # fmt: skip
    stages = {name: as_labels(labels, len(taxonomy), name) for name, labels in stages.items()}
    panels = [("image", image, {"mpp": mpp})]
    if truth is not None:
        truth, known = _fitted(truth, known, image.shape[:2], taxonomy)
        if true_instances is not None:
            true_instances = resize_labels(np.asarray(true_instances), image.shape[:2])
        shown_truth = np.where(known[..., None], _painted(image, truth, taxonomy, true_instances), image)
        names = _names(np.where(known, truth, -1), taxonomy) if true_instances is None else ()
        panels.append((_counted("truth", true_instances), shown_truth, {"names": names}))
    panels += [
        (f"evidence: {name}", seen, {"heat": True}) for name, seen in _seen(evidence, image, taxonomy, shown)
    ]
    for name, labels in stages.items():
        told = instances if name == list(stages)[-1] else None
        names = _names(labels, taxonomy) if told is None else ()
        panels.append((_counted(name, told), _painted(image, labels, taxonomy, told), {"names": names}))
    rows = _legend_rows(taxonomy, list(stages.values())[-1], truth, known)
    return _page(panels, rows, image.shape[0] / image.shape[1], title)


def _painted(image, labels, taxonomy, instances):
    """Classes over the image; where objects are numbered, these, and nothing around them."""
    return (
        overlay(image, labels, taxonomy) if instances is None else painted(image, labels, taxonomy, instances)
    )


def _counted(name, instances):
    """A panel's name, with the number of its objects."""
    if instances is None:
        return name
    number = len(np.unique(instances[instances > 0]))
    return f"{name}: {number} object{'s' * (number != 1)}"


def _fitted(truth, known, shape, taxonomy):
    """Truth and where it is known, both at the image's size."""
    truth = as_labels(truth, len(taxonomy), "truth")
    known = np.ones(truth.shape, bool) if known is None else np.asarray(known)
    if known.shape != truth.shape or known.dtype != bool:
        refuse("`known` says of each true pixel whether it is known", expected=f"bool {truth.shape}",
               received=f"{known.dtype} {known.shape}", remedy="give both as they were read")  # fmt: skip
    return resize_labels(truth, shape), resize_labels(known, shape)


def _seen(evidence, image, taxonomy, shown):
    """Name and map of the classes with most evidence, strongest first."""
    if evidence is None:
        return []
    evidence = np.asarray(evidence)
    if evidence.shape != (*image.shape[:2], len(taxonomy)):
        refuse("evidence has one map a class, as large as the image",
               expected=(*image.shape[:2], len(taxonomy)), received=evidence.shape,
               remedy="stitch it to the image's size, in the classes of the taxonomy")  # fmt: skip
    mean = evidence.mean(axis=(0, 1))  # (C,)
    strongest = [k for k in np.argsort(-mean, kind="stable")[:shown] if mean[k] > 0]
    return [(taxonomy.names[k], evidence[..., k]) for k in strongest]


def _names(labels, taxonomy):
    """Where to write which name: (row, col, name) for each class with room for it."""
    room = max(6, 0.035 * min(labels.shape))  # px
    names = []
    for label, (row, column, radius) in inner_points(labels).items():
        if label >= 0 and radius > room:
            name = taxonomy.names[label]
            half = (
                min(0.5, _LETTER_IN / _PANEL_IN * len(name) / 2) * labels.shape[1]
            )  # px, so that no name is cut
            names.append((row, float(np.clip(column, half, labels.shape[1] - half)), name))
    return names


def _legend_rows(taxonomy, labels, truth, known):
    """Colour, words and shares of every class that occurs, in the taxonomy's order."""
    said = np.bincount(labels.ravel(), minlength=len(taxonomy)) / labels.size
    true = None
    if truth is not None:
        true = np.bincount(truth[known], minlength=len(taxonomy)) / max(1, known.sum())
    rows = []
    for k, each in enumerate(taxonomy.classes):
        if said[k] or (true is not None and true[k]):
            shares = f"{100 * said[k]:.1f} %" + ("" if true is None else f"   (truth {100 * true[k]:.1f} %)")
            rows.append((each.color, each.name, each.meaning, shares))
    return rows


def _page(panels, legend, aspect, title):
    """Lay panels out in rows of up to four, the legend below."""
    columns = min(4, len(panels)) if len(panels) != 6 else 3
    lines = -(-len(panels) // columns)
    panel = (_PANEL_IN, float(np.clip(_PANEL_IN * aspect, 0.8, 2 * _PANEL_IN)))  # width, height
    top = _GAP_IN + (_TITLE_IN if title else 0)
    bottom = (len(legend) + 1) * _LEGEND_ROW_IN + _GAP_IN
    size = (columns * (panel[0] + _GAP_IN) + _GAP_IN, top + lines * (panel[1] + _TITLE_IN + _GAP_IN) + bottom)
    figure = blank(*size)
    for number, (name, shown, extras) in enumerate(panels):
        line, column = divmod(number, columns)
        left = _GAP_IN + column * (panel[0] + _GAP_IN)
        low = size[1] - top - (line + 1) * (panel[1] + _TITLE_IN) - line * _GAP_IN
        axes = figure.add_axes((left / size[0], low / size[1], panel[0] / size[0], panel[1] / size[1]))
        _draw(axes, name, shown, **extras)
    _draw_legend(figure, legend, size, bottom)
    figure.text(_GAP_IN / size[0], 1 - 0.1 / size[1], title, fontsize=11, weight="bold", va="top")
    return figure


def _draw(axes, name, shown, *, names=(), heat=False, mpp=None):
    """One panel: a picture or a heat map, with names or a scale bar on it."""
    picture = axes.imshow(shown, cmap="inferno", vmin=0, vmax=1) if heat else axes.imshow(shown)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("0.7")
    axes.set_title(name, fontsize=9, loc="left", pad=4)
    if heat:
        bar = axes.figure.colorbar(picture, cax=axes.inset_axes((0.955, 0.05, 0.025, 0.4)), ticks=(0, 1))
        bar.ax.tick_params(labelsize=7, length=0, colors="white", left=True, labelleft=True, labelright=False)
        bar.outline.set_edgecolor("white")
        for word in bar.ax.get_yticklabels():
            word.set_path_effects(_OUTLINED)
    for row, column, word in names:
        axes.text(column, row, word, color="white", fontsize=8, weight="bold", ha="center", va="center",
                  path_effects=_OUTLINED)  # fmt: skip
    if mpp is not None:
        length_um = scale_bar_um(shown.shape[1] * mpp)
        axes.add_patch(Rectangle((0.05, 0.05), length_um / mpp / shown.shape[1], 0.018, color="white",
                                 transform=axes.transAxes, path_effects=_OUTLINED))  # fmt: skip
        axes.text(0.05, 0.085, f"{length_um:g} µm", color="white", fontsize=8, weight="bold",
                  transform=axes.transAxes, path_effects=_OUTLINED)  # fmt: skip


def _draw_legend(figure, rows, size, height_in):
    """A line a class: its colour, name, meaning, and how much of the area it takes."""
    axes = figure.add_axes((0, 0, 1, height_in / size[1]))
    axes.set_xlim(0, size[0])
    axes.set_ylim(height_in, 0)
    axes.set_axis_off()
    for number, (color, name, meaning, shares) in enumerate(rows):
        y = (number + 0.7) * _LEGEND_ROW_IN
        swatch = Rectangle((_GAP_IN, y - 0.065), 0.22, 0.13, facecolor=np.array(color) / 255, edgecolor="black",
                           linewidth=0.6)  # fmt: skip
        axes.add_patch(swatch)
        for x, word, weight in ((0.3, name, "bold"), (1.2, shares, "normal"), (3.1, meaning, "normal")):
            axes.text(_GAP_IN + x, y, word, fontsize=8, weight=weight, va="center")


def scale_bar_um(width_um):
    """A round length, in um, of up to about a quarter of the width.

    Examples
    --------
    >>> scale_bar_um(272), scale_bar_um(480), scale_bar_um(9000)
    (50, 100, 2000)
    """
    power = 10 ** int(np.floor(np.log10(width_um / 4)))
    length = next(factor * power for factor in (5, 2, 1) if factor * power <= width_um / 4)
    return int(length) if length >= 1 else float(length)
