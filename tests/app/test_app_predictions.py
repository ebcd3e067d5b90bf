"""What the page shows of a net is what `hsn segment` finds, whatever the order of the blocks."""

import io
import json
import time

import numpy as np
import pytest
from PIL import Image

from hsn.app import predictor
from hsn.app.predictions import Look, Predictions, paste_block
from hsn.app.project import close_project, open_project
from hsn.app.tiles import EMPTY
from hsn.images.read import write
from hsn.supervision import segment

MODEL = "nuclei-masks"


@pytest.fixture(scope="module")
def nuclei():
    """The real H&E-like image of scikit-image at 0.25 um/px, cut to 300 x 420 px."""
    from skimage import data

    return data.immunohistochemistry()[:300, :420]


@pytest.fixture
def project(tmp_path, nuclei):
    write(tmp_path / "a.png", nuclei)
    project = open_project([tmp_path], tmp_path / "project", mpp=0.25, aim="nuclei")
    yield project
    close_project(project)


def request(project, core, read, out, factor=1.0):
    return {"id": 1, "model": MODEL, "path": str(project.image("a").path), "mpp": 0.25, "factor": factor,
            "read": read, "core": core, "out": str(out)}  # fmt: skip


def test_a_small_image_is_segmented_as_by_the_command(project, nuclei):
    predictions = Predictions(project, lambda kind, **values: None, lambda: False)
    path = predictions._path(MODEL, "a", (0, 0))
    path.parent.mkdir(parents=True)
    predictor.predict(request(project, [0, 0, 420, 300], [0, 0, 420, 300], path))
    shown = predictions.tile(MODEL, "a", 0, 0, 0, show="both", unsure=False)
    codes = np.asarray(Image.open(io.BytesIO(shown)))[:300, :420]
    result = segment(nuclei, MODEL, mpp=0.25)
    assert result.instances.max() > 3
    np.testing.assert_array_equal(codes > 0, result.instances > 0)
    objects = predictions.objects(MODEL, "a", [0, 0, 420, 300], 2000)
    assert len(objects) == result.instances.max()
    coarse = np.asarray(
        Image.open(io.BytesIO(predictions.tile(MODEL, "a", 0, 0, 0, show="fill", unsure=True)))
    )
    assert coarse.max() > 100
    assert predictions.tile(MODEL, "a", 5, 0, 0, show="both", unsure=False) == EMPTY
    predictions.close()


def test_each_object_is_in_one_of_two_blocks(project, nuclei, tmp_path):
    whole = [0, 0, 420, 300]
    for name, core in (("left", [0, 0, 200, 300]), ("right", [200, 0, 420, 300]), ("all", whole)):
        predictor.predict(request(project, core, whole, tmp_path / name))
    left, right, both = (
        json.loads((tmp_path / f"{n}.json").read_text())["objects"] for n in ("left", "right", "all")
    )
    assert len(left) + len(right) == len(both)
    assert min(len(left), len(right)) > 0
    shapes = [json.dumps(f["geometry"]) for f in (*left, *right)]
    assert sorted(shapes) == sorted(json.dumps(f["geometry"]) for f in both)
    codes = [np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("left", "right", "all")]
    np.testing.assert_array_equal(np.maximum(codes[0], codes[1]) > 0, codes[2] > 0)


def test_a_tile_is_made_of_the_pixels_of_its_block():
    array = np.zeros((40, 60), np.uint8)
    array[10:20, 30:40] = 1
    codes = np.zeros((512, 512), np.uint8)
    paste_block(codes, (array, {"read": [100, 200, 220, 280], "factor": 2.0}), (0, 0), 1, (512, 512))
    assert codes.sum() == 20 * 20
    assert codes[220:240, 160:180].all()
    half = np.zeros((512, 512), np.uint8)
    paste_block(half, (array, {"read": [100, 200, 220, 280], "factor": 2.0}), (0, 0), 2, (512, 512))
    assert half[110:120, 80:90].all()
    assert half.sum() == 100


def test_what_is_visible_is_asked_for_from_the_middle_and_old_requests_are_dropped(tmp_path):
    write(tmp_path / "large.png", np.full((4500, 5000, 3), 200, np.uint8))
    project = open_project([tmp_path], tmp_path / "project", mpp=0.25, aim="nuclei")
    predictions = Predictions(project, lambda kind, **values: None, lambda: False)
    answer = predictions.view(MODEL, "large", [2100, 2100, 2900, 2900], 2)
    assert answer["waits"]
    assert predictions._queue[0][2] == (2, 2)
    first = list(predictions._queue)
    predictions.view(MODEL, "large", [0, 0, 100, 100], 1)  # an older view
    assert predictions._queue == first
    predictions.view(MODEL, "large", [0, 0, 100, 100], 3)
    assert predictions._queue[0][2] == (0, 0)
    assert predictions.view(MODEL, "large", [0, 0, 5000, 4500], 4)["far"] is False
    predictions.close()
    close_project(project)


def test_a_threshold_hides_objects_that_are_less_probable(project):
    predictions = Predictions(project, lambda kind, **values: None, lambda: False)
    path = predictions._path(MODEL, "a", (0, 0))
    path.parent.mkdir(parents=True)
    predictor.predict(request(project, [0, 0, 420, 300], [0, 0, 420, 300], path))
    found = predictions.objects(MODEL, "a", [0, 0, 420, 300], 2000)
    scores = np.array([feature["properties"]["measurements"]["Probability"] for feature in found])
    look = Look(least=float(np.median(scores)))

    def shown(look):
        png = Image.open(io.BytesIO(predictions.tile(MODEL, "a", 0, 0, 0, look=look)))
        return np.asarray(png.convert("RGBA"))[:300, :420, 3] > 0

    kept = predictions.objects(MODEL, "a", [0, 0, 420, 300], 2000, look)
    assert 0 < len(kept) < len(found)
    assert abs(len(kept) - np.count_nonzero(scores >= look.least)) <= 1  # of 255 steps
    everything, sure = shown(Look()), shown(look)
    assert 0 < sure.sum() < everything.sum()
    for feature in found:
        x, y = np.mean(feature["geometry"]["coordinates"][0][:-1], axis=0).astype(int)
        if everything[y, x]:
            assert sure[y, x] == (feature in kept)
    hidden = Look(hidden=frozenset({0}))  # Nucleus
    assert not shown(hidden).any()
    assert predictions.objects(MODEL, "a", [0, 0, 420, 300], 2000, hidden) == []
    predictions.close()


@pytest.mark.slow
def test_the_child_process_answers(project):
    seen = []
    predictions = Predictions(project, lambda kind, **values: seen.append((kind, values)), lambda: True)
    predictions.view(MODEL, "a", [0, 0, 420, 300], 1)
    end = time.monotonic() + 300
    while not seen and time.monotonic() < end:
        time.sleep(0.2)
    predictions.close()
    assert seen[0][0] == "tiles"
    assert predictions.tile(MODEL, "a", 0, 0, 0, show="both", unsure=False) != EMPTY
