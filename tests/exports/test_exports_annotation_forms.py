"""ImageJ, COCO, HoVer-Net and label images: read back with independent libraries, and with hsn's own readers."""

import dataclasses
import json
import zipfile

import numpy as np
import pytest
import roifile
from scipy.io import loadmat
from skimage.draw import polygon2mask

from hsn.annotations import mask_files
from hsn.annotations.coco import decode_counts
from hsn.annotations.label_files import read_labels
from hsn.exports.coco import write_coco
from hsn.exports.formats import EXPORTS, write_export
from hsn.exports.geojson import write_geojson
from hsn.exports.hovernet import write_hovernet
from hsn.exports.imagej import write_imagej
from hsn.exports.label_images import write_label_images
from hsn.exports.ome_tiff import write_ome_tiff
from hsn.exports.ome_zarr import write_ome_zarr
from hsn.exports.source import source_of, whole_raster
from hsn.taxonomies import GLAS
from hsn.types import Segmentation


def test_roifile_reads_the_regions(result, instances, tmp_path):
    assert write_imagej(tmp_path / "a.zip", [result.objects[:2], result.objects[2:]]) == 4
    regions = roifile.roiread(tmp_path / "a.zip")
    assert [region.name for region in regions] == ["00001", "00002", "00003", "00004"]
    square = regions[2].coordinates()[:, ::-1] - 0.5
    assert (polygon2mask(instances.shape, square) == (instances == 3)).all()
    assert regions[2].stroke_color == bytes([255, *result.taxonomy.classes[1].color])
    rings = regions[0].coordinates(multi=True)
    assert len(rings) == 2  # the object and its hole
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist()[0] == "00001.roi"


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
def test_coco_masks_are_decoded_by_pycocotools(result, instances, tmp_path):
    write_coco(tmp_path / "a.json", source_of(result))
    data = json.loads((tmp_path / "a.json").read_text())
    assert len(data["annotations"]) == 4
    mask_tools = pytest.importorskip("pycocotools.mask")
    for annotation in data["annotations"]:
        mask = mask_tools.decode(annotation["segmentation"]).astype(bool)
        truth = instances == annotation["id"]
        np.testing.assert_array_equal(mask, truth)
        assert annotation["area"] == truth.sum()
        rows, cols = np.nonzero(truth)
        assert annotation["bbox"] == [cols.min(), rows.min(), np.ptp(cols) + 1, np.ptp(rows) + 1]
        assert data["categories"][annotation["category_id"]]["name"] == "Nucleus"
        assert annotation["score"] == 0.75


@pytest.mark.parametrize("seed", range(5))
def test_coco_codes_are_those_of_pycocotools(seed, tmp_path):
    mask_tools = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(seed)
    labels = np.kron(rng.integers(0, 3, (7, 9)), np.ones(rng.integers(1, 30, 2), int))
    result = Segmentation((labels > 0).astype(int), labels, None, np.ones(2), GLAS)
    write_coco(tmp_path / "a.json", source_of(result))
    for annotation in json.loads((tmp_path / "a.json").read_text())["annotations"]:
        truth = mask_tools.encode(np.asfortranarray(labels == annotation["id"]).astype(np.uint8))
        assert annotation["segmentation"]["counts"] == truth["counts"].decode()
        assert sum(decode_counts(truth["counts"].decode(), "a")) == labels.size


def test_hovernet_file_has_its_variables(result, instances, tmp_path):
    write_hovernet(tmp_path / "a.mat", source_of(result))
    content = loadmat(tmp_path / "a.mat")
    np.testing.assert_array_equal(content["inst_map"], instances)
    np.testing.assert_array_equal(content["type_map"], instances > 0)
    assert content["inst_type"].tolist() == [[1]] * 4
    rows, cols = np.nonzero(instances == 4)
    np.testing.assert_allclose(content["inst_centroid"][3], [cols.mean(), rows.mean()])


def test_label_images_hold_the_numbers(result, instances, tmp_path):
    paths = write_label_images(tmp_path / "a.png", source_of(result))
    assert [path.name for path in paths] == ["a_classes.png", "a_objects.png"]
    np.testing.assert_array_equal(read_labels(paths[1]), instances)


def test_more_objects_than_a_png_can_number_are_a_tiff(tmp_path):
    instances = np.arange(70_000).reshape(250, 280)
    source = source_of(Segmentation((instances > 0).astype(int), instances, None, np.ones(2), GLAS))
    path = write_label_images(tmp_path / "a.png", source)[1]
    assert path.name == "a_objects.tif"
    np.testing.assert_array_equal(read_labels(path), instances)


def test_formats_of_whole_images_refuse_slides(raises_code):
    class Slide:
        shape = (100_000, 100_000)

    with raises_code("raster-too-large"):
        whole_raster(Slide(), "coco")


WRITERS = {
    "a.geojson": lambda path, source: write_geojson(path, source.tables()),
    "a_RoiSet.zip": lambda path, source: write_imagej(path, source.tables()),
    "a.json": write_coco,
    "a.mat": write_hovernet,
    "a_objects.png": lambda path, source: write_label_images(path.with_name("a.png"), source),
    "a_objects.ome.tif": lambda path, source: write_ome_tiff(path.with_name("a.ome.tif"), source),
    "a.ome.zarr": write_ome_zarr,
}


@pytest.mark.parametrize("name", WRITERS)
def test_exports_come_back_as_annotations_without_a_changed_pixel(name, result, instances, tmp_path):
    WRITERS[name](tmp_path / name, source_of(result))
    np.testing.assert_array_equal(mask_files.read(tmp_path / name, instances.shape), instances)


@pytest.mark.parametrize(
    "kind", [kind for kind in EXPORTS if kind not in ("spatialdata",) and "dicom" not in kind]
)
def test_every_format_is_written_for_a_net_without_objects(kind, tmp_path, rng):
    labels = np.kron(rng.integers(0, 2, (6, 8)), np.ones((9, 9), int))
    probabilities = np.stack([1.0 - labels, labels], axis=2).astype(np.float32)
    result = Segmentation(labels, None, probabilities, np.ones(2), GLAS, name="gland")
    path = write_export(source_of(result), tmp_path, kind, simplify_px=0.5)
    assert path.exists()


@pytest.mark.parametrize(
    "kind", [kind for kind in EXPORTS if kind not in ("spatialdata",) and "dicom" not in kind]
)
def test_every_format_is_written_for_an_image_without_objects(kind, result, tmp_path):
    nothing = np.zeros_like(result.instances)
    empty = dataclasses.replace(result, instances=nothing, labels=nothing)
    assert write_export(source_of(empty), tmp_path, kind).exists()
