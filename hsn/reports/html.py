"""Write reports as HTML: one page per image, one for a cohort. They need no network and can be printed.

Pictures are embedded. All text from files is escaped. The table of a cohort is sorted by a click on a column.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .. import __version__
from ..errors import InputError
from ..exports import pyramid
from ..exports.source import ExportSource
from ..files import atomic_write
from ..images.tissue import mask_at
from ..models.card import Card
from ..models.folders import find
from ..objects.table import ObjectTable, concatenate
from .overlay import background_classes, outline_colors, overlay_result

_PICTURE_PX = 1200  # largest side of the overlay
_SIDE_PX = 4096  # largest side of the rasters that a page is made from
_LEAST_SURE, _CROP_PX = 12, 96
_CIRCLE, _CIRCLE_GAP_PX = (255, 220, 0), 3
_BINS = 24
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_SHAPES = ("area", "perimeter", "eccentricity", "solidity", "score")
_STYLE = """
body{font:14px/1.5 system-ui,sans-serif;color:#222;max-width:1100px;margin:2em auto;padding:0 1em}
h1{font-size:1.5em}h2{font-size:1.1em;margin:1.6em 0 .4em;border-bottom:1px solid #ddd}
table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #eee}
td:first-child,th:first-child,.pairs td{text-align:left}th[data-sort]{cursor:pointer;text-decoration:underline dotted}
img{max-width:100%}.swatch{display:inline-block;width:.9em;height:.9em;border:1px solid #888;vertical-align:-.1em}
.row{display:flex;flex-wrap:wrap;gap:1.2em}figure{margin:0}figcaption{font-size:.85em;color:#555}
@media print{body{margin:0;max-width:none}h2{break-after:avoid}figure,tr{break-inside:avoid}}
"""
_SORT = """
document.querySelectorAll('th[data-sort]').forEach((head, k) => head.addEventListener('click', () => {
  const body = head.closest('table').tBodies[0], rows = [...body.rows], down = -head.dataset.sort;
  head.dataset.sort = down;
  const key = row => row.cells[k].dataset.value ?? row.cells[k].textContent;
  rows.sort((a, b) => { const [x, y] = [key(a), key(b)];
    return down * (isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y); }).forEach(row => body.append(row));
}));
"""


def write_page(path: str | Path, source: ExportSource, about: Mapping[str, Any]) -> dict[str, Any]:
    """Write the report of one image.

    Parameters
    ----------
    path : path
        ``NAME.html``.
    source : ExportSource
    about : dict
        Settings and origin of the result, as in ``areas/NAME.json``: "model", "mpp", "classes", "seconds", ...

    Returns
    -------
    dict
        Numbers of this image for the page of the cohort.

    Examples
    --------
    >>> import tempfile
    >>> from hsn.taxonomies import NUCLEI
    >>> from hsn.types import Segmentation
    >>> from hsn.exports.source import source_of
    >>> labels = np.zeros((20, 20), int)
    >>> labels[5:10, 5:10] = 1
    >>> source = source_of(Segmentation(labels, labels, None, np.ones(2), NUCLEI, mpp=0.5))
    >>> write_page(Path(tempfile.mkdtemp()) / "a.html", source, {"model": "nuclei-masks"})["objects"]
    1
    """
    table = concatenate([replace(table, outlines=None) for table in source.tables()])
    full = source
    source, labels, inside = _reduced(source)
    areas = _class_areas(labels[inside], source)
    area_mm2 = None if source.mpp is None else np.count_nonzero(inside) * (source.mpp / 1000) ** 2
    row = {
        "image": source.name,
        "objects": len(table) if source.instances is not None else None,
        **_densities(table, area_mm2, source),
        **{f"{name}, fraction": share for name, (_, share, _) in areas.items()},
        **_medians(table),
        "model": about.get("model"),
    }
    sections = [
        _overlay(labels, inside, source),
        _section("Classes", _area_table(areas, source)),
        _section("Objects", _object_table(table, area_mm2, "image" if source.tissue is None else "tissue")),
        _section("Size and shape", _histograms(table)),
        _section(f"The {_LEAST_SURE} least sure places", _least_sure(table, source, about)),
        _section("Model", _pairs(_model_card(about.get("model")))),
        _section("Settings", _pairs(_settings(about, full))),
    ]
    _write(path, source.name, "".join(sections))
    return row


def write_cohort(path: str | Path, rows: Sequence[Mapping[str, Any]], *, links: Sequence[str]) -> None:
    """Write the page of a cohort: a table with one row per image, sorted by a click, and the spread of each number.

    Parameters
    ----------
    path : path
        ``index.html``.
    rows : sequence of dict
        From `write_page`.
    links : sequence of str
        Address of the page of each image, relative to `path`.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "index.html"
    >>> write_cohort(path, [{"image": "a", "objects": 5}], links=["a.html"])
    >>> '<a href="a.html">a</a>' in path.read_text()
    True
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f'<th data-sort="-1">{escape(name)}</th>' for name in columns)
    body = "".join(
        f"<tr>{''.join(_cell(row.get(name), link if name == 'image' else None) for name in columns)}</tr>"
        for row, link in zip(rows, links, strict=True)
    )
    numbers = {
        name: np.array([row[name] for row in rows if _is_number(row.get(name))], float) for name in columns
    }
    spread = {name: values for name, values in numbers.items() if len(values) > 1}
    content = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    content += _section("Spread over the images", _quantile_table(spread))
    _write(path, f"{len(rows)} images", content + f"<script>{_SORT}</script>")


# --- Content -------------------------------------------------------------------------------------------------------


def _reduced(source: ExportSource) -> tuple[ExportSource, np.ndarray, np.ndarray]:
    """Return a source whose rasters fit on a page, its labels, and the mask of the segmented pixels.

    The nearest pixel stands for its neighbors.
    """
    level = max(0, int(np.ceil(np.log2(max(source.shape) / _SIDE_PX))))
    rows, cols = (slice(0, side) for side in pyramid.level_shape(source.shape, level))

    def read(raster: Any) -> Any:
        return None if raster is None else pyramid.read_block(raster, rows, cols, level, mean=False)

    labels = read(source.labels)
    inside = np.ones(labels.shape, bool)
    if source.tissue is not None:
        inside = mask_at(source.tissue, labels.shape, 0, 0, *labels.shape)
    reduced = replace(
        source,
        labels=labels,
        instances=read(source.instances),
        mpp=None if source.mpp is None else source.mpp * 2**level,
    )
    return reduced, labels, inside


def _class_areas(labels: np.ndarray, source: ExportSource) -> dict[str, tuple[int, float, float | None]]:
    """Return pixels, fraction and mm2 of each class; `labels` are those of the segmented pixels, (n,)."""
    pixels = np.bincount(labels, minlength=len(source.taxonomy)).tolist()
    mm2 = None if source.mpp is None else (source.mpp / 1000) ** 2
    return {
        name: (count, count / max(labels.size, 1), None if mm2 is None else count * mm2)
        for name, count in zip(source.taxonomy.names, pixels, strict=True)
    }


def _densities(table: ObjectTable, area_mm2: float | None, source: ExportSource) -> dict[str, float]:
    """Return objects per mm2 of the segmented area."""
    return {} if not area_mm2 or source.instances is None else {"objects per mm2": len(table) / area_mm2}


def _medians(table: ObjectTable) -> dict[str, float]:
    return {
        f"median {name}": float(np.median(values)) for name, values in _shapes(table).items() if len(values)
    }


def _shapes(table: ObjectTable) -> dict[str, np.ndarray]:
    """Return the columns of size and shape, without NaN."""
    found = {}
    for name in table.names:
        if name.startswith(_SHAPES):
            values = table.columns[name].astype(float)
            found[name] = values[np.isfinite(values)]
    return found


def _overlay(labels: np.ndarray, inside: np.ndarray, source: ExportSource) -> str:
    """Return the picture with the legend; pixels that were not segmented are shown as they are."""
    image = np.full((*labels.shape, 3), 255, np.uint8)
    if isinstance(source.image, np.ndarray):
        step = max(1, round(source.image.shape[0] / labels.shape[0]))
        image = np.asarray(source.image[::step, ::step])[: labels.shape[0], : labels.shape[1]]
    elif source.image is not None:
        image = source.image.resized(*labels.shape)
    instances = source.instances
    painted = overlay_result(image, labels, source.taxonomy, instances)
    painted[~inside] = image[~inside]
    picture = _shrunk(painted, _PICTURE_PX)
    hidden = background_classes(source.taxonomy, instances)
    colors = _colors(source)
    legend = " &nbsp; ".join(
        f"{_swatch(colors[name])} {escape(name)}" for name in source.taxonomy.names if name not in hidden
    )
    return f"<figure>{_picture(picture)}<figcaption>{legend}</figcaption></figure>"


def _colors(source: ExportSource) -> Mapping[str, Sequence[int]]:
    """Return the color of each class in the picture."""
    colors: dict[str, Sequence[int]] = dict(zip(source.taxonomy.names, source.taxonomy.colors, strict=True))
    hidden = background_classes(source.taxonomy, source.instances)
    outlined = {} if source.instances is None else outline_colors(source.taxonomy)
    return colors | {name: color for name, color in outlined.items() if name not in hidden}


def _area_table(areas: Mapping[str, tuple[int, float, float | None]], source: ExportSource) -> str:
    colors = _colors(source)
    rows = [
        [
            f"{_swatch(colors[name])} {escape(name)}",
            f"{100 * share:.2f} %",
            "" if mm2 is None else f"{mm2:.4g} mm²",
        ]
        for name, (_, share, mm2) in areas.items()
    ]
    return _table(["class", "fraction", "area"], rows)


def _object_table(table: ObjectTable, area_mm2: float | None, place: str) -> str:
    """Return counts and densities per class."""
    if not len(table):
        return "<p>none</p>"
    names, counts = np.unique(table.columns["class"], return_counts=True)
    rows = [
        [escape(str(name)), f"{count:,}", f"{count / area_mm2:,.1f}" if area_mm2 else ""]
        for name, count in zip(names, counts, strict=True)
    ]
    return _table(["class", "objects", f"per mm² of the {place}"], rows)


def _histograms(table: ObjectTable) -> str:
    shapes = {name: values for name, values in _shapes(table).items() if len(values) > 1}
    if not shapes:
        return "<p>too few objects</p>"
    figures = "".join(_histogram(name, values) for name, values in shapes.items())
    return f'<div class="row">{figures}</div>{_quantile_table(shapes)}'


def _histogram(name: str, values: np.ndarray) -> str:
    """Return a histogram as SVG; the upper 0.5 % are in the last bin."""
    top = np.quantile(values, 0.995)
    counts, edges = np.histogram(np.minimum(values, top), _BINS)
    width, height = 8, 90
    bars = "".join(
        f'<rect x="{k * width}" y="{height - bar:.1f}" width="{width - 1}" height="{bar:.1f}" fill="#0072B2"/>'
        for k, bar in enumerate(height * counts / max(1, counts.max()))
    )
    size = f'viewBox="0 0 {_BINS * width} {height}" width="{_BINS * width}" height="{height}"'
    caption = f"{escape(name)}: {edges[0]:.3g} to {edges[-1]:.3g}"
    return f'<figure><svg {size} role="img">{bars}</svg><figcaption>{caption}</figcaption></figure>'


def _quantile_table(columns: Mapping[str, np.ndarray]) -> str:
    rows = [
        [escape(name), *(f"{value:.4g}" for value in np.quantile(values, _QUANTILES))]
        for name, values in columns.items()
    ]
    return _table(["", *(f"{100 * share:.0f} %" for share in _QUANTILES)], rows)


def _least_sure(table: ObjectTable, source: ExportSource, about: Mapping[str, Any]) -> str:
    """Return pictures of the squares that `about` names, or of the objects with the lowest scores, with a circle."""
    places = [(*place, None) for place in about.get("least_sure", ())] or _lowest_scores(table)
    if not places or source.image is None:
        return "<p>no scores or no image</p>"
    figures = []
    for x, y, side, value, radius in places[:_LEAST_SURE]:
        height, width = source.image.shape[:2]
        top, left = max(0, min(y, height - side)), max(0, min(x, width - side))
        crop = np.array(source.image[top : top + side, left : left + side])
        center = x + side // 2, y + side // 2
        if radius is not None:
            cv2.circle(crop, (center[0] - left, center[1] - top), radius, _CIRCLE, 1, cv2.LINE_AA)
        crop = crop if side <= 2 * _CROP_PX else _shrunk(crop, 2 * _CROP_PX)
        caption = f"{value:.2f}, x {center[0]}, y {center[1]}"
        figures.append(f"<figure>{_picture(crop)}<figcaption>{caption}</figcaption></figure>")
    return f'<div class="row">{"".join(figures)}</div>'


def _lowest_scores(table: ObjectTable) -> list[tuple[int, int, int, float, int]]:
    """Return column, row and side of squares around the objects with the lowest scores, scores, radii of circles."""
    if "score" not in table.columns:
        return []
    scores = table.columns["score"]
    x, y = (table.columns[f"centroid_{axis}_px"] for axis in "xy")
    axis, pixel = ("major_axis_px", 1.0) if table.mpp is None else ("major_axis_um", table.mpp)
    radii = table.columns[axis] / 2 / pixel
    half = _CROP_PX // 2
    return [
        (int(x[k]) - half, int(y[k]) - half, _CROP_PX, float(scores[k]), round(radii[k]) + _CIRCLE_GAP_PX)
        for k in np.argsort(scores, kind="stable")[:_LEAST_SURE].tolist()
    ]


def _model_card(model: Any) -> dict[str, str]:
    """Return the card of a model that is installed; else its name."""
    try:
        return Card.read(find(str(model))).summary()
    except InputError:
        return {"name": "unknown" if model is None else str(model)}


def _settings(about: Mapping[str, Any], source: ExportSource) -> dict[str, Any]:
    """Return settings, versions, seconds and memory."""
    height, width = source.shape
    scale = "unknown" if source.mpp is None else f"{source.mpp:g} um/px"
    known = {"size": f"{width} x {height} px", "scale": scale, "taxonomy": source.taxonomy.name}
    kept = {
        key: value
        for key, value in about.items()
        if isinstance(value, str | int | float) and key not in known
    }
    return known | kept | {"report written by": f"hsn {__version__}"}


# --- HTML ----------------------------------------------------------------------------------------------------------


def _write(path: str | Path, title: str, content: str) -> None:
    page = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>{content}</body></html>\n"
    )
    with atomic_write(Path(path)) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")


def _section(title: str, content: str) -> str:
    return f"<h2>{escape(title)}</h2>{content}"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]], *, kind: str = "numbers") -> str:
    """Return a table; cells are HTML. `kind` is "numbers", or "pairs" of names and texts."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<table class="{kind}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'


def _pairs(values: Mapping[str, Any]) -> str:
    rows = [[escape(str(key)), escape(str(value))] for key, value in values.items()]
    return _table(["", ""], rows, kind="pairs")


def _cell(value: Any, link: str | None) -> str:
    """Return a cell of the table of a cohort, with the number to sort by."""
    if _is_number(value):
        return f'<td data-value="{value!r}">{value:.4g}</td>'
    text = escape("" if value is None else str(value))
    return f"<td>{text}</td>" if link is None else f'<td><a href="{escape(link)}">{text}</a></td>'


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)


def _swatch(color: Sequence[int]) -> str:
    return f'<span class="swatch" style="background:rgb({",".join(map(str, color))})"></span>'


def _shrunk(image: np.ndarray, side: int) -> np.ndarray:
    factor = side / max(image.shape[:2])
    if factor >= 1:
        return image
    size = [max(1, round(length * factor)) for length in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _picture(image: np.ndarray) -> str:
    """Return a picture as HTML with its bytes."""
    encoded = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))[1].tobytes()
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(encoded).decode("ascii")}">'
