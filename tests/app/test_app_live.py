"""The instant classifier of a project: it learns from marks, and its tiles show the classes in place."""

import io
import threading

import numpy as np
import pytest
from PIL import Image
from skimage.draw import disk

from hsn.app.annotations import Annotations
from hsn.app.live import Live, draw_pixels
from hsn.app.project import close_project, open_project
from hsn.app.tiles import EMPTY
from hsn.images.read import write


@pytest.fixture
def live(tmp_path, feature, put, rng):
    """A fitted classifier of an image with dark disks at rows 40, 100, ... and columns 50, 130, ..."""
    image = np.full((400, 500, 3), (232, 190, 214), np.uint8)
    for row in range(40, 400, 60):
        for col in range(50, 500, 80):
            image[disk((row, col), 12, shape=(400, 500))] = (92, 62, 140)
    write(tmp_path / "a.png", np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8))
    project = open_project([tmp_path], tmp_path / "project", mpp=0.5, aim="nuclei")
    annotations = Annotations(project)
    fitted = threading.Event()
    live = Live(project, annotations, lambda version: fitted.set())
    nuclei = [put(feature((130.5, 40.5 + 60 * k)), k + 1) for k in range(3)]
    stroke = feature([[85, 70], [250, 70]], "LineString", "Background", hsn={"width_um": 3})
    annotations.edit([*nuclei, put(stroke, 9)], session="s")
    live.update()
    assert fitted.wait(60)
    yield live
    live.close()
    close_project(project)


def classes_of(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def test_a_few_marks_find_the_other_nuclei(live):
    found = classes_of(live.tile("a", live.version, 0, 0))
    assert found.shape == (512, 512)
    for row in (160, 280, 340):
        for col in (210, 290, 370):
            assert found[row, col] == 0  # Nucleus
            assert found[row - 30, col - 40] == 1  # Background


def test_unsure_pixels_are_at_the_borders_of_nuclei(live):
    unsure = classes_of(live.tile("a", live.version, 0, 0, unsure=True))[130:190, 170:410]  # three nuclei
    rows, cols = np.nonzero(unsure)
    assert len(rows)
    distance = np.abs(
        np.hypot(np.arange(60)[:, None] - 30, np.arange(240) % 80 - 40) - 12
    )  # to the nearest border
    assert np.median(distance[rows, cols]) < 0.5 * np.median(distance)


def test_an_old_fit_answers_an_empty_tile(live):
    assert live.tile("a", 99, 0, 0) == EMPTY


def test_marks_of_check_images_are_not_learned_from(live):
    live._project.set_role("a", "check")
    assert len(live.samples()[1]) == 0


def test_strokes_cover_their_width(feature):
    stroke = feature([[10, 20], [50, 20]], "LineString", hsn={"width_um": 4})
    rows, cols = draw_pixels(stroke, 1.0, 1.0)
    assert set(rows) >= {19, 20, 21}
    assert rows.min() >= 17
    assert rows.max() <= 23
    assert cols.min() <= 10
    assert cols.max() >= 50


def test_a_threshold_hides_pixels_that_are_less_probable(live):
    def shown(**look):
        png = Image.open(io.BytesIO(live.tile("a", live.version, 0, 0, **look)))
        return np.asarray(png.convert("RGBA"))[:400, :500, 3] > 0

    everything, sure = shown(), shown(least=0.95)
    assert 0 < sure.sum() < everything.sum()
    assert not (sure & ~everything).any()
    assert not shown(hidden={0}).any()
