"""OME-TIFF and OME-Zarr, read back with tifffile, ome-zarr-models and zarr."""

import dataclasses

import numpy as np
import pytest
import tifffile
import zarr

from hsn.exports import pyramid
from hsn.exports.ome_tiff import write_ome_tiff, write_raster
from hsn.exports.ome_zarr import write_ome_zarr
from hsn.exports.source import source_of
from hsn.images.scale import read_mpp
from hsn.types import Segmentation


@pytest.fixture
def large(rng):
    """Source of 1300 x 1700 px with more than 65,535 objects."""
    instances = rng.integers(0, 70_000, (1300, 1700), dtype=np.int32)
    from hsn.taxonomies import NUCLEI

    probability = rng.random(instances.shape, dtype=np.float32)
    result = Segmentation(
        labels=(instances > 0).astype(np.int32),
        instances=instances,
        probabilities=np.stack([1 - probability, probability], axis=2),
        scores=np.ones(2),
        taxonomy=NUCLEI,
        image=rng.integers(0, 256, (*instances.shape, 3), dtype=np.uint8),
        mpp=0.5,
    )
    return source_of(result)


def test_ome_tiff_holds_all_numbers_in_levels_with_the_scale(large, tmp_path):
    paths = write_ome_tiff(tmp_path / "a.ome.tif", large)
    truth = {
        "a_classes.ome.tif": large.labels,
        "a_objects.ome.tif": large.instances,
        "a_probabilities.ome.tif": np.rint(np.moveaxis(large.probabilities, 2, 0) * 255),
    }
    assert [path.name for path in paths] == list(truth)
    for path in paths:
        assert read_mpp(path) == 0.5
        with tifffile.TiffFile(path) as file:
            (series,) = file.series
            shapes = [level.shape[-2:] for level in series.levels]
            assert shapes == [(1300, 1700), (650, 850), (325, 425)]
            np.testing.assert_array_equal(series.asarray(), truth[path.name])
            if "objects" in path.name:
                np.testing.assert_array_equal(series.levels[2].asarray(), large.instances[::4, ::4])
            if "probabilities" in path.name:
                assert abs(float(series.levels[2].asarray().mean()) - 127.5) < 1
            assert 'PhysicalSizeXUnit="µm"' in file.ome_metadata


def test_ome_zarr_is_valid_and_holds_all_numbers(large, tmp_path):
    path = write_ome_zarr(tmp_path / "a.ome.zarr", large)
    group = zarr.open_group(path, mode="r")
    np.testing.assert_array_equal(group["0"][:], np.moveaxis(large.image, 2, 0))
    np.testing.assert_array_equal(group["labels/objects/0"][:], large.instances)
    np.testing.assert_array_equal(group["labels/classes/1"][:], large.labels[::2, ::2])
    models = pytest.importorskip("ome_zarr_models")
    assert type(models.open_ome_zarr(group)).__name__ == "Image"
    label = models.open_ome_zarr(zarr.open_group(path / "labels" / "classes", mode="r"))
    assert type(label).__name__ == "ImageLabel"
    transforms = label.ome_attributes.multiscales[0].datasets[1].coordinateTransformations
    assert transforms[0].scale == [1.0, 1.0]  # um per pixel of level 1
    assert transforms[1].translation == [0.25, 0.25]


def test_small_images_without_scale_and_image_are_written(tmp_path, instances, result):
    source = source_of(dataclasses.replace(result, image=None, mpp=None))
    group = zarr.open_group(write_ome_zarr(tmp_path / "a.ome.zarr", source), mode="r")
    assert group["0"].shape == (2, *instances.shape)  # the probabilities
    source = dataclasses.replace(source, probabilities=None)
    group = zarr.open_group(write_ome_zarr(tmp_path / "a.ome.zarr", source), mode="r")
    np.testing.assert_array_equal(group["0"][0], result.labels)
    assert [path.name for path in tmp_path.iterdir()] == ["a.ome.zarr"]


def test_a_raster_is_read_in_blocks(tmp_path, rng):
    """The same file from an array and from a store that counts what is read."""
    labels = rng.integers(0, 9, (1100, 900), dtype=np.int32)

    class Store:
        shape, ndim, largest = labels.shape, 2, 0

        def __getitem__(self, index):
            block = labels[index]
            self.largest = max(self.largest, block.size)
            return block

    store = Store()
    pyramid_block, pyramid._BLOCK_PX = pyramid._BLOCK_PX, 512
    try:
        write_raster(tmp_path / "a.tif", labels, ["class"])
        write_raster(tmp_path / "b.tif", store, ["class"])
    finally:
        pyramid._BLOCK_PX = pyramid_block
    assert (tmp_path / "a.tif").stat().st_size == (tmp_path / "b.tif").stat().st_size
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), labels)
    assert store.largest <= 512 * 512


def test_averages_of_levels_do_not_depend_on_the_block(rng, monkeypatch):
    raster = rng.integers(0, 256, (70, 90), dtype=np.uint8)
    whole = pyramid.read_block(raster, slice(0, 18), slice(0, 23), 2, mean=True)
    monkeypatch.setattr(pyramid, "_BLOCK_PX", 8)
    np.testing.assert_array_equal(pyramid.read_block(raster, slice(0, 18), slice(0, 23), 2, mean=True), whole)
    assert whole[0, 0] == np.rint(raster[:4, :4].mean())
    assert whole[17, 22] == np.rint(raster[68:, 88:].mean())
