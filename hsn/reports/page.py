"""Summary page of an image: truth, probabilities, labels of all stages, and a legend.

It shows the panels of HistoSegNet's release on one page. A class is marked by its color, its outline and its name, for
color-blind readers.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..annotations.colors import as_labels, resize_labels
from ..checks import as_image
from ..errors import InputError
from ..taxonomies import Taxonomy
from .figures import new_figure
from .overlay import background_classes, label_points, outline_colors, overlay_result, scale_bar_um

_PANEL_IN = 3.2  # width of a panel; all sizes in inches
_GAP_IN, _TITLE_IN, _LEGEND_ROW_IN, _LETTER_IN = 0.15, 0.28, 0.2, 0.085
_OUTLINED: list[patheffects.AbstractPathEffect] = [
    patheffects.withStroke(linewidth=2.5, foreground="black")
]  # white text on any background


def draw_summary(
    image: np.ndarray,
    stages: Mapping[str, np.ndarray],
    taxonomy: Taxonomy,
    *,
    truth: np.ndarray | None = None,
    valid_mask: np.ndarray | None = None,
    probabilities: np.ndarray | None = None,
    instances: np.ndarray | None = None,
    true_instances: np.ndarray | None = None,
    mpp: float | None = None,
    title: str = "",
    max_classes: int = 2,
) -> Figure:
    """Draw the summary page of an image.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    stages : dict of str to int array, shape (H, W)
        Labels of each stage, for example ``{"before CRF": ..., "after CRF": ...}``. The legend refers to the last
        stage.
    taxonomy : Taxonomy
    truth : int array, shape (h, w), optional
        True labels; resized to the image by the nearest neighbor.
    valid_mask : bool array, shape (h, w), optional
        True where the truth is known. Elsewhere the image is shown.
    probabilities : float32 array, shape (H, W, C), optional
        In [0, 1]. The classes with the highest means are drawn.
    instances, true_instances : int array, shape (H, W) and (h, w), optional
        Numbered objects of the last stage and of the truth. Lines follow their outlines.
    mpp : float, optional
        Micrometers per pixel, for the scale bar. Default: no scale bar.
    title : str
    max_classes : int
        Largest number of classes of `probabilities`. Default: 2.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        "stages-empty", "valid-mask-mismatch" or "probabilities-shape".

    Examples
    --------
    >>> from hsn.taxonomies import GLAS
    >>> picture, labels = np.full((40, 60, 3), 200, np.uint8), np.zeros((40, 60), int)
    >>> figure = draw_summary(picture, {"prediction": labels}, GLAS, truth=labels)
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['image', 'truth', 'prediction', '']
    """
    image = as_image(image)
    if not stages:
        raise InputError(
            "stages-empty", "`stages` must hold labels", got="none", hint="give {'prediction': labels}"
        )
    stages = {name: as_labels(labels, len(taxonomy), name) for name, labels in stages.items()}
    panels: list[tuple[str, np.ndarray, dict[str, Any]]] = [("image", image, {"mpp": mpp})]
    if truth is not None:
        truth, valid_mask = _resize_truth(truth, valid_mask, image.shape[:2], taxonomy)
        if true_instances is not None:
            true_instances = resize_labels(np.asarray(true_instances), image.shape[:2])
        drawn = np.where(valid_mask[..., None], overlay_result(image, truth, taxonomy, true_instances), image)
        names = _names(np.where(valid_mask, truth, -1), taxonomy) if true_instances is None else ()
        panels.append((_panel_title("truth", true_instances), drawn, {"names": names}))
    panels += [
        (f"probability: {name}", heatmap, {"heat": True})
        for name, heatmap in _heatmaps(probabilities, image, taxonomy, max_classes)
    ]
    for name, labels in stages.items():
        numbered = instances if name == list(stages)[-1] else None
        names = _names(labels, taxonomy) if numbered is None else ()
        drawn = overlay_result(image, labels, taxonomy, numbered)
        panels.append((_panel_title(name, numbered), drawn, {"names": names}))
    rows = _legend_rows(taxonomy, list(stages.values())[-1], truth, valid_mask, instances)
    return _page(panels, rows, image.shape[0] / image.shape[1], title)


def _panel_title(name: str, instances: np.ndarray | None) -> str:
    """Return the title of a panel, with the number of objects."""
    if instances is None:
        return name
    number = len(np.unique(instances[instances > 0]))
    return f"{name}: {number} object{'s' * (number != 1)}"


def _resize_truth(
    truth: np.ndarray, valid_mask: np.ndarray | None, shape: tuple[int, int], taxonomy: Taxonomy
) -> tuple[np.ndarray, np.ndarray]:
    """Return the truth and its valid mask at the size of the image."""
    truth = as_labels(truth, len(taxonomy), "truth")
    valid_mask = np.ones(truth.shape, bool) if valid_mask is None else np.asarray(valid_mask)
    if valid_mask.shape != truth.shape or valid_mask.dtype != bool:
        raise InputError(
            "valid-mask-mismatch",
            f"`valid_mask` must be bool {truth.shape}, the shape of `truth`",
            got=f"{valid_mask.dtype} {valid_mask.shape}",
            hint="give both as they were read",
        )
    return resize_labels(truth, shape), resize_labels(valid_mask, shape)


def _heatmaps(
    probabilities: np.ndarray | None, image: np.ndarray, taxonomy: Taxonomy, max_classes: int
) -> list[tuple[str, np.ndarray]]:
    """Return name and map of the classes with the highest mean probabilities, in falling order."""
    if probabilities is None:
        return []
    probabilities = np.asarray(probabilities)
    if probabilities.shape != (*image.shape[:2], len(taxonomy)):
        raise InputError(
            "probabilities-shape",
            f"`probabilities` must have the shape {(*image.shape[:2], len(taxonomy))}, of image and taxonomy",
            got=probabilities.shape,
            hint="resize them to the image",
        )
    mean = probabilities.mean(axis=(0, 1))  # (C,)
    strongest = [k for k in np.argsort(-mean, kind="stable")[:max_classes] if mean[k] > 0]
    return [(taxonomy.names[k], probabilities[..., k]) for k in strongest]


def _names(labels: np.ndarray, taxonomy: Taxonomy) -> list[tuple[int, float, str]]:
    """Return row, column and name of each class that is large enough for its name."""
    min_radius = max(6, 0.035 * min(labels.shape))  # px
    names = []
    for label, (row, column, radius) in label_points(labels).items():
        if label >= 0 and radius > min_radius:
            name = taxonomy.names[label]
            # px; keeps the name inside of the panel
            half = min(0.5, _LETTER_IN / _PANEL_IN * len(name) / 2) * labels.shape[1]
            names.append((row, float(np.clip(column, half, labels.shape[1] - half)), name))
    return names


def _legend_rows(
    taxonomy: Taxonomy,
    labels: np.ndarray,
    truth: np.ndarray | None,
    valid_mask: np.ndarray | None,
    instances: np.ndarray | None,
) -> list[tuple]:
    """Return color, name, meaning and area fractions of every class that occurs, in the order of the taxonomy.

    The color of a class that is not drawn is None.
    """
    hidden = background_classes(taxonomy, instances)
    outlines = {} if instances is None else outline_colors(taxonomy)
    predicted = np.bincount(labels.ravel(), minlength=len(taxonomy)) / labels.size
    true = None
    if truth is not None and valid_mask is not None:
        true = np.bincount(truth[valid_mask], minlength=len(taxonomy)) / max(1, valid_mask.sum())
    rows = []
    for k, tissue in enumerate(taxonomy.classes):
        if predicted[k] or (true is not None and true[k]):
            fractions = f"{100 * predicted[k]:.1f} %" + (
                "" if true is None else f"   (truth {100 * true[k]:.1f} %)"
            )
            color = None if tissue.name in hidden else outlines.get(tissue.name, tissue.color)
            meaning = f"{tissue.meaning or ''}{' (not drawn)' if color is None else ''}".strip()
            rows.append((color, tissue.name, meaning, fractions))
    return rows


def _page(panels: list[tuple], legend: list[tuple], aspect: float, title: str) -> Figure:
    """Draw panels in rows of up to four, with the legend below."""
    columns = min(4, len(panels)) if len(panels) != 6 else 3
    lines = -(-len(panels) // columns)
    panel = (_PANEL_IN, float(np.clip(_PANEL_IN * aspect, 0.8, 2 * _PANEL_IN)))  # width, height
    top = _GAP_IN + (_TITLE_IN if title else 0)
    bottom = (len(legend) + 1) * _LEGEND_ROW_IN + _GAP_IN
    size = (columns * (panel[0] + _GAP_IN) + _GAP_IN, top + lines * (panel[1] + _TITLE_IN + _GAP_IN) + bottom)
    figure = new_figure(*size)
    for number, (name, picture, options) in enumerate(panels):
        line, column = divmod(number, columns)
        left = _GAP_IN + column * (panel[0] + _GAP_IN)
        low = size[1] - top - (line + 1) * (panel[1] + _TITLE_IN) - line * _GAP_IN
        axes = figure.add_axes((left / size[0], low / size[1], panel[0] / size[0], panel[1] / size[1]))
        _draw_panel(axes, name, picture, **options)
    _draw_legend(figure, legend, size, bottom)
    figure.text(_GAP_IN / size[0], 1 - 0.1 / size[1], title, fontsize=11, weight="bold", va="top")
    return figure


def _draw_panel(
    axes: Axes,
    name: str,
    picture: np.ndarray,
    *,
    names: Iterable[tuple[int, float, str]] = (),
    heat: bool = False,
    mpp: float | None = None,
) -> None:
    """Draw a picture or a heatmap, with names or a scale bar."""
    drawn = axes.imshow(picture, cmap="inferno", vmin=0, vmax=1) if heat else axes.imshow(picture)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("0.7")
    axes.set_title(name, fontsize=9, loc="left", pad=4)
    if heat:
        bar = axes.figure.colorbar(drawn, cax=axes.inset_axes((0.955, 0.05, 0.025, 0.4)), ticks=(0, 1))
        bar.ax.tick_params(labelsize=7, length=0, colors="white", left=True, labelleft=True, labelright=False)
        bar.outline.set_edgecolor("white")
        for label in bar.ax.get_yticklabels():
            label.set_path_effects(_OUTLINED)
    for row, column, word in names:
        axes.text(column, row, word, color="white", fontsize=8, weight="bold", ha="center", va="center",
                  path_effects=_OUTLINED)  # fmt: skip
    if mpp is not None:
        length_um = scale_bar_um(picture.shape[1] * mpp)
        axes.add_patch(Rectangle((0.05, 0.05), length_um / mpp / picture.shape[1], 0.018, color="white",
                                 transform=axes.transAxes, path_effects=_OUTLINED))  # fmt: skip
        axes.text(0.05, 0.085, f"{length_um:g} µm", color="white", fontsize=8, weight="bold",
                  transform=axes.transAxes, path_effects=_OUTLINED)  # fmt: skip


def _draw_legend(figure: Figure, rows: list[tuple], size: tuple[float, float], height_in: float) -> None:
    """Draw a line for each class: color, name, area fractions and meaning."""
    axes = figure.add_axes((0, 0, 1, height_in / size[1]))
    axes.set_xlim(0, size[0])
    axes.set_ylim(height_in, 0)
    axes.set_axis_off()
    for number, (color, name, meaning, fractions) in enumerate(rows):
        y = (number + 0.7) * _LEGEND_ROW_IN
        face = "white" if color is None else np.array(color) / 255
        swatch = Rectangle((_GAP_IN, y - 0.065), 0.22, 0.13, facecolor=face, edgecolor="black", linewidth=0.6)
        axes.add_patch(swatch)
        for x, word, weight in ((0.3, name, "bold"), (1.2, fractions, "normal"), (3.1, meaning, "normal")):
            axes.text(_GAP_IN + x, y, word, fontsize=8, weight=weight, va="center")
