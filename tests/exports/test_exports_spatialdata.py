"""SpatialData, read back with the library; skipped where the extra is not installed."""

import dataclasses
import importlib
import importlib.util
import sys

import numpy as np
import pytest

import hsn
from hsn.exports.source import source_of
from hsn.exports.spatialdata import write_spatialdata

pytestmark = pytest.mark.filterwarnings("ignore")  # of the packages below SpatialData, about their own future


@pytest.fixture
def library():
    if importlib.util.find_spec("spatialdata") is None:
        pytest.skip('needs `pip install "hsn[spatialdata]"`')
    return importlib.import_module("spatialdata")


@pytest.mark.slow
def test_all_parts_are_read_back_with_ids_units_and_scale(library, result, tmp_path):
    path = write_spatialdata(tmp_path / "a.spatialdata.zarr", source_of(result))
    data = library.read_zarr(path)
    assert {name for _, name, _ in data.gen_elements()} == {
        "classes",
        "objects",
        "image",
        "outlines",
        "table",
    }
    np.testing.assert_array_equal(np.asarray(data["objects"].data), result.instances)
    np.testing.assert_array_equal(np.asarray(data["image"].data), np.moveaxis(result.image, 2, 0))
    ids, pixels = np.unique(result.instances[result.instances > 0], return_counts=True)
    outlines = data["outlines"]
    assert outlines.index.tolist() == ids.tolist()
    np.testing.assert_array_equal(outlines.area, pixels)
    table = data["table"]
    assert table.obs["id"].tolist() == ids.tolist()
    assert table.var.loc["area_um2", "unit"] == "um2"
    np.testing.assert_allclose(table[:, "area_um2"].X.ravel(), pixels * 0.25)
    assert table.obs["uuid"].tolist() == result.objects["uuid"].tolist()
    assert {"class", "touches_border"} <= set(table.obs.columns)


@pytest.mark.slow
def test_the_coordinate_system_is_in_micrometers(library, result, tmp_path):
    data = library.read_zarr(write_spatialdata(tmp_path / "a.zarr", source_of(result)))
    shapes = library.transform(data["outlines"], to_coordinate_system="global")
    np.testing.assert_allclose(shapes.area, data["outlines"].area * 0.25)
    joined, _ = library.join_spatialelement_table(
        sdata=data, spatial_element_names="outlines", table_name="table"
    )
    assert len(joined["outlines"]) == 4


@pytest.mark.slow
def test_a_result_without_objects_image_and_scale_is_written(library, result, tmp_path):
    bare = dataclasses.replace(
        result,
        instances=np.zeros_like(result.instances),
        labels=np.zeros_like(result.labels),
        image=None,
        mpp=None,
    )
    data = library.read_zarr(write_spatialdata(tmp_path / "a.zarr", source_of(bare)))
    assert {name for _, name, _ in data.gen_elements()} == {"classes", "objects"}


def test_a_missing_package_is_one_sentence(result, tmp_path, monkeypatch, raises_code):
    monkeypatch.setitem(sys.modules, "spatialdata", None)
    with raises_code("spatialdata-missing") as caught:
        hsn.export(result, "spatialdata", tmp_path)
    assert 'pip install "hsn[spatialdata]"' in str(caught.value)
    assert not list(tmp_path.iterdir())
