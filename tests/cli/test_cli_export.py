"""`hsn segment --save` and `hsn export`."""

import json
from pathlib import Path

import numpy as np
import pytest

import hsn
from hsn.annotations.label_files import read_labels
from hsn.exports.formats import EXPORTS


def test_the_help_names_all_formats():
    from hsn.cli.export import _FORMATS

    assert _FORMATS.split(", ") == [*EXPORTS, "report"]


def areas_of(path):
    return [
        feature["properties"]["measurements"]["Area µm^2"]
        for feature in json.loads(Path(path).read_text(encoding="utf-8"))["features"]
    ]


def test_segment_saves_further_formats_and_export_gives_the_same_later(run, objects_model, images):
    options = ("--model", objects_model, "--mpp", 0.25, "--out", "o")
    assert run("segment", images, *options, "--save", "geojson,csv").exit_code == 0
    areas = np.bincount(read_labels("o/instances/a.png").ravel())[1:] * 0.25**2
    assert areas_of("o/geojson/a.geojson") == pytest.approx(areas.tolist(), abs=1e-4)
    done = run("export", "o", "--to", "geojson,csv", "--dest", "e", "--json")
    assert done.exit_code == 0
    assert len(done.said) == 6
    assert Path("e/geojson/a.geojson").read_text() == Path("o/geojson/a.geojson").read_text()
    assert Path("e/csv/a.csv").read_text() == Path("o/csv/a.csv").read_text()


def test_a_format_that_is_missing_is_made_although_the_image_is_done(run, objects_model, images):
    options = ("--model", objects_model, "--out", "o", "--mpp", 0.25)
    run("segment", images / "a.png", *options)
    assert "were done already" not in run("segment", images / "a.png", *options, "--save", "csv").stdout
    assert Path("o/csv/a.csv").exists()
    assert "1 were done already" in run("segment", images / "a.png", *options, "--save", "csv").stdout


def test_an_unknown_format_is_an_error_before_anything_is_segmented(run, objects_model, images):
    done = run("segment", images, "--model", objects_model, "--out", "o", "--save", "shapefile")
    assert done.exit_code == 2
    assert "geojson" in done.stderr
    assert not Path("o").exists()


def test_results_of_images_that_are_gone_are_exported_without_stains(run, objects_model, images):
    run("segment", images / "a.png", "--model", objects_model, "--out", "o", "--mpp", 0.25)
    (images / "a.png").unlink()
    done = run("export", "o", "--to", "csv", "--dest", "e")
    assert done.exit_code == 0
    assert "no optical densities" in done.stderr
    assert "hematoxylin" not in Path("e/csv/a.csv").read_text().splitlines()[0]


def test_a_damaged_result_is_named_and_the_others_are_exported(run, objects_model, images):
    run("segment", images, "--model", objects_model, "--out", "o")
    Path("o/areas/b.json").write_text("[1]")
    done = run("export", "o", "--to", "csv", "--dest", "e")
    assert done.exit_code == 1
    assert "b.json" in done.stderr
    assert sorted(path.name for path in Path("e/csv").iterdir()) == ["a.csv", "c.csv"]


def test_python_exports_a_result_and_a_folder(objects_model, images, raises_code, tmp_path):
    result = hsn.segment(images / "a.png", objects_model, mpp=0.25)
    assert isinstance(result.objects, hsn.ObjectTable)
    (path,) = hsn.export(result, "csv", tmp_path)
    assert path.name == "a.csv"
    saved = result.save(tmp_path / "saved", formats=["geojson", "labels"])
    assert sorted(saved["files"]) == ["geojson", "labels"]
    with raises_code("results-missing"):
        hsn.export(tmp_path, "csv", tmp_path)
