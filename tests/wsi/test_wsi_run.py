"""The objects of a slide do not depend on blocks, workers and restarts; every nucleus is found once."""

import hashlib
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from hsn.images.slide import open_slide
from hsn.progress import Cancelled
from hsn.wsi.run import Options, segment_slide


def digests(result):
    """Digests of the label image and the table."""
    table = (result.folder / "exports/csv/drawn.csv").read_bytes()
    outlines = (result.folder / "exports/geojson/drawn.geojson").read_bytes()
    arrays = result.probabilities[:].tobytes(), result.instances[:].tobytes()
    return [hashlib.sha256(content).hexdigest() for content in (*arrays, table, outlines)]


@pytest.fixture(scope="module")
def model(color_model):
    return color_model()


@pytest.fixture(scope="module")
def whole(drawn, model, tmp_path_factory):
    """The slide in one block."""
    out = tmp_path_factory.mktemp("whole")
    return segment_slide(open_slide(drawn.path), model, out, options=Options(block_px=4096))


def test_every_nucleus_is_found_once(drawn, whole):
    height, width = drawn.shape
    truth = drawn.truth(drawn.nuclei, 0, 0, height, width)
    # Numbers of the torus repeat: objects of the truth are components.
    components, count = ndimage.label(truth)
    found = whole.instances[:]
    assert found.shape == truth.shape
    assert whole.summary["objects"] == found.max() == len(whole.objects)
    deep = ndimage.binary_erosion(drawn.tissue(0, 0, height, width), iterations=3)
    owners = []
    for number, box in enumerate(ndimage.find_objects(components), 1):
        inside = components[box] == number
        if not deep[box][inside].all():  # cut by the outline of the tissue
            continue
        hits = np.bincount(found[box][inside])
        hits[0] = 0
        assert np.count_nonzero(hits) == 1
        assert hits.max() > 0.6 * inside.sum()
        owners.append(int(hits.argmax()))
    assert len(set(owners)) == len(owners) > 1500
    assert len(owners) <= found.max() <= count


def test_the_objects_are_those_of_the_patch_path(drawn, model, whole):
    from hsn.objects.labeling import label_instances
    from hsn.supervision import method_of, open_model

    loaded = open_model(model)
    method, config = method_of(loaded)
    found = whole.instances[:]
    # From the same probabilities, the same objects; only their numbers differ.
    probabilities = np.moveaxis(whole.probabilities[:], 0, 2).astype(np.float32) / np.float32(255)
    expected = label_instances(probabilities, config.postprocess, mpp=config.mpp)
    pairs = np.unique(found.ravel().astype(np.int64) * (expected.max() + 1) + expected.ravel())
    assert len(pairs) == found.max() + 1 == expected.max() + 1
    # The whole patch path has no bytes in between.
    pixels = open_slide(drawn.path).read_level(0, 0, *drawn.shape)
    patch = method.segment(loaded.net, pixels, config, mpp=config.mpp).instances
    assert abs(int(patch.max()) - int(found.max())) <= 0.005 * found.max()
    assert ((patch > 0) != (found > 0)).mean() < 1e-3


@pytest.mark.parametrize(
    "block_px", [256, *(pytest.param(side, marks=pytest.mark.slow) for side in (512, 1024))]
)
def test_objects_do_not_depend_on_the_blocks(drawn, model, whole, tmp_path, block_px):
    result = segment_slide(open_slide(drawn.path), model, tmp_path, options=Options(block_px=block_px))
    assert digests(result) == digests(whole)


@pytest.mark.slow
def test_objects_do_not_depend_on_the_workers(drawn, model, whole, tmp_path):
    options = Options(workers=2, block_px=1024)
    assert digests(segment_slide(open_slide(drawn.path), model, tmp_path, options=options)) == digests(whole)


@pytest.mark.parametrize("stop_at", [*(pytest.param(k, marks=pytest.mark.slow) for k in (2, 12)), 20])
def test_a_run_that_was_stopped_continues_to_the_same_result(drawn, model, whole, tmp_path, stop_at):
    counter = itertools.count()

    def stop(event):
        if next(counter) == stop_at:
            raise Cancelled

    slide = open_slide(drawn.path)
    with pytest.raises(Cancelled):
        segment_slide(slide, model, tmp_path, options=Options(block_px=1024), progress=stop)
    assert not (tmp_path / "run.lock").exists()
    assert digests(segment_slide(slide, model, tmp_path, options=Options(block_px=512))) == digests(whole)


SCRIPT = """
import sys
from hsn.images.slide import open_slide
from hsn.wsi.run import Options, segment_slide
if __name__ == "__main__":
    slide, model, out, workers = sys.argv[1:]
    segment_slide(open_slide(slide), model, out, options=Options(workers=int(workers), block_px=512))
"""


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_run_that_was_killed_continues_to_the_same_result(drawn, model, whole, tmp_path, workers):
    script, out = tmp_path / "script.py", tmp_path / "out"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(drawn.path), model, str(out), str(workers)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    while process.poll() is None and len(list(out.glob("done/windows/*.*"))) < 3:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    killed_after = len(list(out.glob("done/windows/*.*")))
    assert 3 <= killed_after < 9
    result = segment_slide(open_slide(drawn.path), model, out, options=Options(block_px=1024))
    assert digests(result) == digests(whole)
    assert not list(out.rglob("*.partial"))


def test_another_plan_in_the_folder_is_named(drawn, model, color_model, whole, raises_code):
    slide = open_slide(drawn.path)
    with raises_code("run-other") as caught:
        segment_slide(slide, color_model(limit=140.0), whole.folder)
    assert "model.sha256" in str(caught.value)
    with raises_code("run-other") as caught:
        segment_slide(open_slide(drawn.path, mpp=0.26), model, whole.folder)
    assert "slide.mpp 0.25 there and 0.26 here" in str(caught.value)


@pytest.mark.slow
def test_a_large_gland_is_one_object_of_many_blocks(drawn, color_model, tmp_path):
    from hsn.config import PostProcess

    # The green channel of glands and nuclei is below that of stroma.
    glands = color_model(
        limit=168.0,
        channel=1,
        postprocess=PostProcess(foreground_threshold=0.5, min_area_um2=1000.0, fill_holes=True),
    )
    slide = open_slide(drawn.path)
    results = [
        segment_slide(slide, glands, tmp_path / str(side), options=Options(block_px=side))
        for side in (256, 4096)
    ]
    assert digests(results[0]) == digests(results[1])
    truth = drawn.truth(drawn.glands, 0, 0, *drawn.shape) == 1
    copies, _ = ndimage.label(truth)
    largest = np.bincount(copies.ravel())[1:].argmax() + 1
    assert np.ptp(np.nonzero(copies == largest)[0]) > 400
    numbers = results[0].instances[:][ndimage.binary_erosion(copies == largest, iterations=5)]
    assert np.bincount(numbers).argmax() > 0
    assert np.bincount(numbers).max() > 0.99 * len(numbers)


def test_off_the_tissue_nothing_is_found_and_an_empty_mask_is_an_empty_result(drawn, model, tmp_path):
    slide = open_slide(drawn.path)
    result = segment_slide(slide, model, tmp_path, tissue=np.zeros((10, 12), bool))
    assert result.summary["objects"] == len(result.objects) == 0
    assert result.summary["tissue_mm2"] == 0
    assert not result.instances[:].any()


@pytest.mark.slow
def test_windows_without_tissue_are_skipped_and_the_edge_of_the_mask_is_exact(drawn, model, tmp_path):
    mask = np.zeros((25, 30), bool)
    mask[:, :8] = True  # 800 px
    result = segment_slide(open_slide(drawn.path), model, tmp_path, tissue=mask)
    assert len(list(tmp_path.glob("done/windows/*.*"))) == 3
    probabilities = result.probabilities[:]
    assert not probabilities[:, :, 800:].any()
    everywhere = segment_slide(open_slide(drawn.path), model, tmp_path / "all", tissue=np.ones((1, 1), bool))
    np.testing.assert_array_equal(probabilities[:, :, :800], everywhere.probabilities[:, :, :800])


def test_a_loaded_model_needs_one_worker(drawn, model, tmp_path, raises_code):
    import hsn

    with raises_code("model-in-memory"):
        segment_slide(open_slide(drawn.path), hsn.load(model), tmp_path, options=Options(workers=2))


def test_a_net_that_does_not_run_on_slides_is_named(drawn, model, tmp_path, raises_code, monkeypatch):
    from types import SimpleNamespace

    from hsn.wsi import plan

    monkeypatch.setattr(plan, "method_of", lambda _: (None, SimpleNamespace(detector="of boxes")))
    with raises_code("slide-net-unsupported"):
        segment_slide(open_slide(drawn.path), model, tmp_path)


def test_a_region_that_is_too_large_is_left_out_and_counted(drawn, color_model, tmp_path, monkeypatch):
    from hsn.notes import collect_notes
    from hsn.wsi import tasks

    everything = color_model(limit=300.0)  # all tissue is one region
    monkeypatch.setattr(tasks, "REGION_PIXELS", 10_000)
    with collect_notes() as notes:
        result = segment_slide(open_slide(drawn.path), everything, tmp_path, options=Options(block_px=1024))
    assert result.summary["too_large"] == 1
    assert len(result.objects) == 0
    assert "too large" in notes.sentences()[0]


@pytest.mark.slow
def test_a_net_that_normalizes_stains_measures_them_once_on_the_whole_slide(drawn, color_model, tmp_path):
    from hsn.config import Normalization
    from hsn.stains.macenko import Macenko

    reference = Macenko((0.6, 0.75, 0.3), (0.1, 1.0, 0.1), (1.2, 0.9))
    stained = color_model(normalization=Normalization((0, 0, 0), (1, 1, 1), stain=reference))
    slide, mask = open_slide(drawn.path), np.zeros((25, 30), bool)
    mask[8:16, 8:16] = True
    results = [
        segment_slide(slide, stained, tmp_path / str(side), tissue=mask, options=Options(block_px=side))
        for side in (512, 4096)
    ]
    assert digests(results[0]) == digests(results[1])
    assert len(results[0].objects) > 50
    plain = segment_slide(slide, color_model(), tmp_path / "plain", tissue=mask)
    assert (plain.probabilities[:] != results[0].probabilities[:]).any()
