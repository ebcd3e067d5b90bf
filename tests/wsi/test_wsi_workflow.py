"""`hsn segment` and `hsn tissue` on slides: files, resume, bad input, edited masks."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import hsn
from hsn.cli import app
from hsn.data.synthetic_slide import draw_slide
from hsn.wsi.result import SlideResult


@pytest.fixture(scope="module")
def model(color_model):
    return color_model()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return a drawn slide of 900 x 700 px."""
    return draw_slide(tmp_path_factory.mktemp("slides") / "small.svs", (700, 900), side=256).path


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def rows_of(out):
    with open(out / "summary.csv", newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def test_the_command_and_the_call_write_the_same_files(small, model, tmp_path):
    done = run("segment", small, "--model", model, "--out", tmp_path / "a", "--json")
    assert done.exit_code == 0, done.output
    (about,) = json.loads(done.stdout)
    result = hsn.segment(small, model, out=tmp_path / "b")
    assert isinstance(result, SlideResult)
    assert about["objects"] == len(result.objects) == result.counts["Nucleus"] > 20
    for kind in ("csv", "geojson"):
        files = [tmp_path / out / "small" / "exports" / kind / f"small.{kind}" for out in "ab"]
        assert files[0].read_bytes() == files[1].read_bytes()
    row = rows_of(tmp_path / "a")["small"]
    assert (row["status"], row["mpp"], row["mpp_source"]) == ("done", "0.25", "metadata")
    assert 0 < float(row["tissue_mm2"]) <= 0.25**2 * 700 * 900 / 1e6 + 5e-5  # four digits
    again = run("segment", small, "--model", model, "--out", tmp_path / "a")
    assert "1 were done already" in again.stdout


def test_a_finished_run_is_exported_later_even_if_the_slide_is_gone(small, model, tmp_path):
    path = tmp_path / "copy.svs"
    shutil.copy(small, path)
    result = hsn.segment(path, model, out=tmp_path / "out")
    path.unlink()
    (csv_file, parquet) = hsn.export(tmp_path / "out", ["csv", "parquet"], tmp_path / "later")
    assert csv_file.read_bytes() == (result.folder / "exports/csv/copy.csv").read_bytes()
    assert parquet.stat().st_size > 1000


def test_outlines_have_the_areas_of_the_table(small, model, tmp_path):
    import shapely

    result = hsn.segment(small, model, out=tmp_path)
    features = json.loads((tmp_path / "small/exports/geojson/small.geojson").read_text())["features"]
    areas = [shapely.geometry.shape(feature["geometry"]).area * 0.25**2 for feature in features]
    np.testing.assert_allclose(areas, result.objects["area_um2"], rtol=1e-6)
    assert len({feature["id"] for feature in features}) == len(features)


def test_damaged_slides_do_not_stop_the_good_ones(small, model, tmp_path):
    folder = tmp_path / "slides"
    folder.mkdir()
    for name in ("a", "b"):
        shutil.copy(small, folder / f"{name}.svs")
    (folder / "zero.svs").touch()
    (folder / "cut.svs").write_bytes(small.read_bytes()[:3000])
    done = run("segment", folder, "--model", model, "--out", tmp_path / "out", "--quiet")
    assert done.exit_code == 1
    rows = rows_of(tmp_path / "out")
    assert {name: row["status"] for name, row in rows.items()} == {
        "a": "done", "b": "done", "cut": "failed", "zero": "failed"
    }  # fmt: skip
    assert rows["a"]["objects"] == rows["b"]["objects"] != "0"
    assert "2 failed, named above" in done.stderr


def test_a_slide_without_scale_is_refused_and_mpp_overrides(small, model, tmp_path):
    path = tmp_path / "bare.svs"
    path.write_bytes(
        small.read_bytes().replace(b"|MPP = 0.25", b"|XXX = 0.25").replace(b"|AppMag", b"|AppXXX")
    )
    done = run("segment", path, "--model", model, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "--mpp" in done.stderr
    done = run("segment", path, "--model", model, "--out", tmp_path / "out", "--mpp", "0.25")
    assert done.exit_code == 0, done.stderr
    assert rows_of(tmp_path / "out")["bare"]["mpp_source"] == "given"


def test_masks_of_tissue_can_be_edited_and_given_back(small, model, tmp_path):
    done = run("tissue", small, "--out", tmp_path / "masks", "--json")
    assert done.exit_code == 0, done.stderr
    path = tmp_path / "masks" / "small.png"
    mask = np.array(Image.open(path))
    assert mask.shape == (22, 28)
    assert set(np.unique(mask)) <= {0, 255}
    everything = hsn.segment(small, model, out=tmp_path / "a", tissue=tmp_path / "masks")
    assert everything.counts == hsn.segment(small, model, out=tmp_path / "b").counts
    mask[:, 14:] = 0
    Image.fromarray(mask).save(path)
    half = hsn.segment(small, model, out=tmp_path / "c", tissue=path)
    assert 0 < len(half.objects) < len(everything.objects)
    assert half.objects["centroid_x_px"].max() <= 450


def test_a_damaged_slide_in_a_folder_is_named_and_the_others_have_masks(small, tmp_path):
    folder = tmp_path / "slides"
    folder.mkdir()
    shutil.copy(small, folder)
    (folder / "broken.svs").write_bytes(small.read_bytes()[:3000])
    done = run("tissue", folder, "--out", tmp_path / "masks")
    assert done.exit_code == 1
    assert "broken.svs" in done.stderr
    assert [path.name for path in (tmp_path / "masks").iterdir()] == ["small.png"]


def test_a_mask_of_another_shape_is_an_error(small, model, tmp_path, raises_code):
    Image.fromarray(np.full((10, 40), 255, np.uint8)).save(tmp_path / "mask.png")
    with raises_code("tissue-shape"):
        hsn.segment(small, model, out=tmp_path / "out", tissue=tmp_path / "mask.png")


def test_a_slide_needs_a_folder_for_its_results(small, model, raises_code):
    with raises_code("out-missing"):
        hsn.segment(small, model)


def test_a_small_slide_is_one_image_for_a_net_that_does_not_run_on_slides(
    small, model, tmp_path, monkeypatch, raises_code
):
    from hsn.errors import InputError
    from hsn.workflows import slides

    def unsupported(_):
        raise InputError("slide-net-unsupported", "a net", got="a detector", hint="another one")

    monkeypatch.setattr(slides, "check_supported", unsupported)
    with pytest.warns(UserWarning, match="does not run on slides yet"):
        result = hsn.segment(small, model, out=tmp_path)
    assert result.labels.shape == (700, 900)


@pytest.mark.parametrize("memory", ["0", "many", "-1GB"])
def test_an_invalid_amount_of_memory_is_an_error(small, model, tmp_path, memory, raises_code):
    with raises_code("memory-invalid"):
        hsn.segment(small, model, out=tmp_path, memory=memory)


def test_a_full_disk_ends_the_run_and_the_same_call_continues(
    small, model, tmp_path, monkeypatch, raises_code
):
    from hsn.wsi import tasks

    class Full:
        def __setitem__(self, box, values):
            raise OSError(28, "No space left on device", "store")

    with monkeypatch.context() as patch:
        patch.setattr(tasks, "stored_array", lambda *_: Full())
        with raises_code("disk-full"):
            hsn.segment(small, model, out=tmp_path)
    result = hsn.segment(small, model, out=tmp_path)
    assert len(result.objects) > 20


@pytest.fixture(scope="module")
def cohort(small, tmp_path_factory):
    """Return a folder of three slides."""
    folder = tmp_path_factory.mktemp("cohort")
    for name in "abc":
        shutil.copy(small, folder / f"{name}.svs")
    return folder


def test_shards_segment_each_slide_once_and_a_last_call_collects_them(cohort, model, tmp_path):
    out = tmp_path / "out"
    shards = [hsn.segment(cohort, model, out=out, shard=f"{k}/2") for k in (1, 2)]
    assert sorted(row["name"] for rows in shards for row in rows) == ["a", "b", "c"]
    assert not (out / "summary.csv").exists()
    events = []
    rows = hsn.segment(cohort, model, out=out, progress=events.append)
    assert {event.stage for event in events} == {"segmenting"}  # nothing is segmented again
    assert [row["status"] for row in rows] == ["done"] * 3
    assert set(rows_of(out)) == {"a", "b", "c"}
    page = (out / "report.html").read_text()
    assert all(f"report/{name}.html" in page for name in "abc")


@pytest.mark.parametrize("shard", ["0/4", "5/4", "a", "1/2/3"])
def test_an_invalid_shard_is_an_error(cohort, model, tmp_path, shard, raises_code):
    with raises_code("shard-invalid"):
        hsn.segment(cohort, model, out=tmp_path, shard=shard)


def test_progress_names_the_area_that_is_done_and_the_slides(cohort, model, tmp_path):
    events = []
    rows = hsn.segment([cohort / "a.svs", cohort / "b.svs"], model, out=tmp_path, progress=events.append)
    predicting = [event.values for event in events if event.stage == "predicting"]
    assert [values["slides"] for values in predicting] == sorted(values["slides"] for values in predicting)
    assert {values["of_slides"] for values in predicting} == {2}
    assert (
        predicting[-1]["mm2"]
        == predicting[-1]["of_mm2"]
        == pytest.approx(float(rows[1]["tissue_mm2"]), abs=2e-3)
    )
    for row in rows:
        assert float(row["seconds"]) > 0
        assert float(row["peak_memory_mb"]) > 50
        assert float(row["mm2 of Nucleus"]) + float(row["mm2 of Other"]) == pytest.approx(
            float(row["tissue_mm2"])
        )
    page = (tmp_path / "report" / "a.html").read_text()
    assert page.count("data:image") > 6  # the slide, and the least sure objects
    assert "per mm² of the tissue" in page


def test_a_slide_that_is_deleted_before_it_is_read_is_named_and_the_others_are_done(cohort, model, tmp_path):
    folder = tmp_path / "slides"
    shutil.copytree(cohort, folder)

    def delete(event):
        if event.stage == "segmenting" and event.done == 1:
            (folder / "b.svs").unlink()

    rows = hsn.segment(folder, model, out=tmp_path / "out", progress=delete)
    assert [row["status"] for row in rows] == ["done", "failed", "done"]
    assert "b.svs" in rows[1]["reason"]


def test_a_slide_whose_pixels_vanish_while_it_is_read_is_named(small, model, tmp_path, raises_code):
    path = tmp_path / "cut.svs"
    shutil.copy(small, path)
    slide = hsn.open_slide(path)
    path.write_bytes(path.read_bytes()[:3000])  # what is left when a copy over the network breaks off
    with raises_code("slide-damaged"):
        hsn.segment(slide, model, out=tmp_path / "out")
