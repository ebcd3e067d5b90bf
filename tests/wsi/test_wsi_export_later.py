"""Results of slides are exported later, from the run folder."""

import json
import shutil

import numpy as np
import pytest
import tifffile
from skimage.measure import label

import hsn
from hsn.data.synthetic_slide import draw_slide
from hsn.wsi.measuring import measured_phase


@pytest.fixture(scope="module")
def segmented(tmp_path_factory, color_model):
    """Return the result of a drawn slide of 900 x 700 px, and the folder of results."""
    folder = tmp_path_factory.mktemp("slides")
    slide = draw_slide(folder / "small.svs", (700, 900), side=256).path
    return hsn.segment(slide, color_model(), out=folder / "out"), folder / "out"


def test_the_export_is_that_of_the_run(segmented, tmp_path):
    result, out = segmented
    files = hsn.export(out, ["geojson", "parquet", "ome-tiff"], tmp_path)
    first = out / "small" / "exports" / "geojson" / "small.geojson"
    assert files[0].read_bytes() == first.read_bytes()
    objects = tifffile.imread(tmp_path / "ome-tiff" / "small_objects.ome.tif")
    np.testing.assert_array_equal(objects, result.instances[:])
    assert hsn.read_objects(files[1])["area_um2"].tolist() == result.objects["area_um2"].tolist()


def test_a_run_without_stored_measurements_has_the_same_objects(segmented, tmp_path):
    result, out = segmented
    earlier = tmp_path / "earlier"
    shutil.copytree(out, earlier)
    phase = measured_phase(result.job)
    removed = [path for path in earlier.rglob(phase) if path.is_dir()]
    assert sorted(path.parent.name for path in removed) == ["done", "parts"]
    for path in removed:
        shutil.rmtree(path)
    (file,) = hsn.export(earlier, ["geojson"], tmp_path / "files")
    assert file.read_bytes() == (out / "small" / "exports" / "geojson" / "small.geojson").read_bytes()


def test_objects_have_the_number_of_their_piece_of_tissue(segmented):
    result, _ = segmented
    pieces, height, width = label(result.tissue, connectivity=2), *result.instances.shape
    for x, y, number in zip(*(result.objects[f"centroid_{axis}_px"] for axis in "xy"), result.objects["tissue_id"],
                            strict=True):  # fmt: skip
        assert number == pieces[int(y / height * pieces.shape[0]), int(x / width * pieces.shape[1])]
    assert result.objects["tissue_id"].max() >= 1
    assert "tissue_id" not in result.objects.measurements


def test_a_slide_has_a_report(segmented, tmp_path):
    result, out = segmented
    page, summary = hsn.export(out, "report", tmp_path)
    assert page.name == "small.html"
    assert f"{result.counts['Nucleus']:,}" in page.read_text()
    assert "report/small.html" in summary.read_text()


def test_an_unfinished_run_is_named(segmented, tmp_path, raises_code):
    _, out = segmented
    broken = tmp_path / "out"
    (broken / "small").mkdir(parents=True)
    (broken / "areas").mkdir()
    (broken / "areas" / "small.json").write_text((out / "areas" / "small.json").read_text())
    (broken / "small" / "run.json").write_text(json.dumps({"plan": {}}))
    with raises_code("result-damaged"):
        hsn.export(broken, "csv", tmp_path / "e")
