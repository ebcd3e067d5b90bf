"""Charts: they show the given numbers, need no display, and are written completely."""

import subprocess
import sys

import numpy as np
import pytest

from hsn.images.read import read
from hsn.reports import figures
from hsn.taxonomies import ADP_MORPH
from hsn.types import History


def words(axes):
    return [text.get_text() for text in axes.texts]


def test_confusion_shows_percent_of_the_true_pixels():
    (axes,) = figures.confusion_matrix([[900, 100, 0], [0, 3, 0], [0, 0, 0]], "abc").axes
    assert words(axes) == ["90", "10", "100", "1,000", "3", "none"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c"]
    assert np.isnan(axes.images[0].get_array().filled(np.nan)[2]).all()


def test_a_row_of_unlisted_pixels_is_named():
    (axes,) = figures.confusion_matrix([[1, 0], [0, 1], [3, 1]], "ab").axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "unlisted"]
    assert words(axes)[-3:] == ["1", "1", "4"]


def test_numbers_contrast_with_their_cells():
    (axes,) = figures.confusion_matrix([[9, 1], [1, 9]], "ab").axes
    assert [text.get_color() for text in axes.texts[:2]] == ["white", "black"]


@pytest.mark.parametrize("classes", [1, 2, 29, 45])
def test_every_number_of_classes_can_be_drawn(tmp_path, rng, classes):
    counts = rng.integers(0, 1000, (classes, classes))
    names = [ADP_MORPH.names[k % 29] for k in range(classes)]
    figure = figures.confusion_matrix(counts, names, title="a title")
    figures.write(figure, tmp_path / "c.png", dpi=50)
    box = figure.axes[0].get_tightbbox()
    height, width = figure.bbox.height, figure.bbox.width
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= width
    assert box.y1 <= height
    assert read(tmp_path / "c.png").std() > 5


def test_each_class_needs_a_name(raises_code):
    with raises_code("length-mismatch"):
        figures.confusion_matrix([[1, 0], [0, 1]], ["a"])


ROWS = tuple(
    {
        "epoch": k,
        "rate": 0.01 * k,
        "loss": 1 / k,
        "val_f1": 0.5 if k % 2 else None,
        "seconds": 30.0,
        "note": "x",
    }
    for k in range(1, 6)
)


def test_learning_curves_group_numbers_into_panels():
    figure = figures.learning_curves(History(ROWS, best=2))
    panels = {axes.get_ylabel(): axes for axes in figure.axes}
    assert list(panels) == ["loss", "score", "learning rate", "other"]
    np.testing.assert_allclose(panels["loss"].lines[0].get_ydata(), [1 / k for k in range(1, 6)])
    np.testing.assert_allclose(panels["loss"].lines[0].get_xdata(), range(1, 6))
    np.testing.assert_allclose(panels["score"].lines[0].get_xdata(), [1, 3, 5])
    assert words(panels["loss"]) == ["loss 0.2", "kept: epoch 3"]
    assert words(panels["other"]) == ["seconds 30"]


def test_learning_curves_of_a_single_and_of_a_failed_epoch():
    figure = figures.learning_curves(History(({"epoch": 1, "loss": 0.5, "val_loss": float("nan")},)))
    assert words(figure.axes[0]) == ["loss 0.5"]
    assert figure.axes[0].lines[0].get_marker() == "o"


def test_lines_differ_in_dashes_too():
    row = {"epoch": 1} | {f"loss_{k}": float(k) for k in range(4)}
    lines = figures.learning_curves(History((row, row | {"epoch": 2}))).axes[0].lines
    assert len({line.get_linestyle() for line in lines}) == 4
    assert len({line.get_color() for line in lines}) == 4


@pytest.mark.parametrize("values", [[0.1, 0.1, 0.1], [0.0, 0.01, 1.0], [0.0, 0.99, 1.0], [0.0, 0.5, 1.0]])
def test_labels_of_lines_do_not_overlap_and_stay_inside(values):
    row = {"epoch": 1} | {f"val_{k}": value for k, value in enumerate(values)}
    (axes,) = figures.learning_curves(History((row, row | {"epoch": 2}))).axes
    low, high = axes.get_ylim()
    places = sorted(text.get_position()[1] for text in axes.texts)
    assert (np.diff(places) >= 0.109 * (high - low)).all()
    assert low <= places[0]
    assert places[-1] <= high


def test_an_empty_history_raises(raises_code):
    with raises_code("history-empty"):
        figures.learning_curves(History())


def test_contact_sheet_keeps_shapes_and_order(rng):
    images = [rng.integers(0, 256, (h, w, 3)).astype(np.uint8) for h, w in ((8, 8), (20, 30), (90, 60))]
    figure = figures.contact_sheet(images, ["a", "b\nc", "d"], columns=2, title="sheet")
    for axes, image, caption in zip(figure.axes, images, ("a", "b\nc", "d"), strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), image)
        assert words(axes) == [caption]
        assert axes.get_aspect() == 1
    boxes = [axes.get_position() for axes in figure.axes]
    assert boxes[0].y0 + boxes[0].y1 == pytest.approx(boxes[1].y0 + boxes[1].y1)
    assert boxes[2].y1 < min(boxes[0].y0, boxes[1].y0)
    assert boxes[0].x1 < boxes[1].x0


def test_contact_sheets_need_images_and_captions(raises_code):
    image = np.zeros((4, 4, 3), np.uint8)
    with raises_code("length-mismatch"):
        figures.contact_sheet([image] * 2, ["a"])
    with raises_code("images-empty"):
        figures.contact_sheet([])
    with raises_code("image-dtype"):
        figures.contact_sheet([np.zeros((4, 4))])


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".SVG", b"<?xml")])
def test_figures_are_written_by_suffix(tmp_path, suffix, start):
    path = tmp_path / "new" / f"f{suffix}"
    figures.write(figures.new_figure(1, 1), path)
    assert path.read_bytes().startswith(start)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_other_suffixes_raise(tmp_path, raises_code):
    with raises_code("figure-format-unknown"):
        figures.write(figures.new_figure(1, 1), tmp_path / "f.jpg")


def test_pyplot_is_not_imported():
    code = "import hsn.reports.figures, hsn.reports.page, sys; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
