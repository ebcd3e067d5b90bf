"""Measurements of objects: equal to scikit-image, independent of bands and of the place."""

import warnings

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from skimage.measure import label, regionprops_table

from hsn.exports import measure
from hsn.exports.measure import measure_objects
from hsn.objects.table import ObjectTable, concatenate
from hsn.stains.density import HEMATOXYLIN_EOSIN
from hsn.taxonomies import GLAS, NUCLEI
from hsn.types import Segmentation

SAME = {
    "id": "label",
    "area_px2": "area",
    "perimeter_px": "perimeter",
    "major_axis_px": "axis_major_length",
    "minor_axis_px": "axis_minor_length",
    "eccentricity": "eccentricity",
    "solidity": "solidity",
}


def blobs(rng, size=90, count=12):
    rows, cols = np.mgrid[:size, :size]
    instances = np.zeros((size, size), np.int32)
    for k in range(1, count + 1):
        row, col, tall, wide = rng.uniform((5, 5, 3, 3), (size - 5, size - 5, 14, 14))
        instances[((rows - row) / tall) ** 2 + ((cols - col) / wide) ** 2 < 1] = k
    return instances


@pytest.mark.parametrize("kind", ["blobs", "noise", "components"])
def test_values_are_those_of_regionprops(rng, kind):
    instances = {
        "blobs": blobs(rng),
        "noise": rng.integers(0, 4, (23, 31)),
        "components": label(rng.random((60, 50)) < 0.6, connectivity=2),
    }[kind]
    table = measure_objects(instances)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # hulls of single pixels
        truth = regionprops_table(instances, properties=(*SAME.values(), "centroid"))
    for ours, theirs in SAME.items():
        np.testing.assert_allclose(table[ours], truth[theirs], atol=1e-9, err_msg=ours)
    np.testing.assert_allclose(table["centroid_x_px"] - 0.5, truth["centroid-1"])
    np.testing.assert_allclose(table["centroid_y_px"] - 0.5, truth["centroid-0"])


def test_bands_do_not_change_values(rng, monkeypatch):
    instances, image = blobs(rng), rng.integers(0, 256, (90, 90, 3), dtype=np.uint8)
    whole = measure_objects(instances, image=image, mpp=0.5)
    monkeypatch.setattr(measure, "_ROWS", 7)
    banded = measure_objects(instances, image=image, mpp=0.5)
    for name in whole.columns:
        np.testing.assert_allclose(banded[name], whole[name], rtol=1e-5, err_msg=name)


def test_lengths_scale_with_the_pixel_size_and_units_are_in_the_names(rng):
    instances = blobs(rng)
    pixels, um = measure_objects(instances), measure_objects(instances, mpp=0.5)
    np.testing.assert_allclose(um["area_um2"], pixels["area_px2"] / 4)
    np.testing.assert_allclose(um["major_axis_um"], pixels["major_axis_px"] / 2)
    np.testing.assert_allclose(um["centroid_x_um"], um["centroid_x_px"] / 2)
    np.testing.assert_allclose(um["nearest_neighbor_um"], pixels["nearest_neighbor_px"] / 2)


def test_parts_of_an_image_give_the_rows_of_the_whole(rng):
    instances = np.zeros((120, 100), np.int32)
    instances[20:80, 10:90] = blobs(rng, 80)[:60]
    whole = measure_objects(instances).named("a")
    part = measure_objects(instances[20:, 10:], origin=(20, 10), image_shape=(120, 100)).named("a")
    for name in whole.columns:
        assert np.allclose(part[name], whole[name]) if name != "uuid" else (part[name] == whole[name]).all()
    assert part.outlines.points.tolist() == whole.outlines.points.tolist()


def test_objects_at_the_border_are_flagged():
    instances = np.zeros((5, 6), int)
    instances[0, 2], instances[2, 2], instances[3, 5], instances[4, 0] = 1, 2, 3, 4
    assert measure_objects(instances)["touches_border"].tolist() == [True, False, True, True]


def test_optical_densities_are_those_of_the_stains_inside_and_around():
    instances = np.zeros((40, 40), int)
    instances[15:25, 15:25], instances[15:25, 27:30] = 1, 2
    od = np.zeros((40, 40, 3))
    unit = HEMATOXYLIN_EOSIN / np.linalg.norm(HEMATOXYLIN_EOSIN, axis=1, keepdims=True)
    od[instances > 0] = 0.6 * unit[0] + 0.1 * unit[1]
    od[instances == 0] = 0.05 * unit[0] + 0.4 * unit[1]
    od[distance_transform_edt(instances == 0) > 3.5 / 0.5] = 0.9  # beyond the ring of 3 um
    image = np.rint(255 * 10**-od).astype(np.uint8)
    table = measure_objects(instances, image=image, mpp=0.5)
    for name, value in {
        "hematoxylin_mean_od": 0.6,
        "eosin_mean_od": 0.1,
        "hematoxylin_ring_mean_od": 0.05,
        "eosin_ring_mean_od": 0.4,
    }.items():
        np.testing.assert_allclose(table[name], value, atol=0.01, err_msg=name)


def test_the_ring_is_three_micrometers_wide_and_excludes_other_objects():
    instances = np.zeros((31, 31), int)
    instances[15, 15] = 1
    rings = measure._rings(instances, 3.0 / 0.5)
    far = np.hypot(*(np.mgrid[:31, :31] - 15))
    assert (rings[(far > 0) & (far < 5.7)] == 1).all()
    assert (rings[far > 6.3] == 0).all()
    assert rings[15, 15] == 0


def test_class_and_score_come_from_labels_and_probabilities():
    instances = np.array([[1, 1, 0, 2]])
    probabilities = np.array([[[0.5, 0.5], [0.1, 0.9], [1, 0], [0.75, 0.25]]])
    table = measure_objects(
        instances, labels=(instances > 0).astype(int), probabilities=probabilities, taxonomy=NUCLEI
    )
    assert table["class"].tolist() == ["Nucleus", "Nucleus"]
    np.testing.assert_allclose(table["score"], [0.7, 0.25])


def test_uuids_do_not_change_and_differ_between_images_and_objects(rng):
    table = measure_objects(blobs(rng))
    first, again, other = (table.named(name)["uuid"] for name in ("a", "a", "b"))
    assert (first == again).all()
    assert len({*first, *other}) == 2 * len(table)


def test_tables_are_selected_batched_and_joined(rng):
    table = measure_objects(blobs(rng))
    joined = concatenate(list(table.batches(5)))
    assert joined["id"].tolist() == table["id"].tolist()
    assert joined.outlines.areas().tolist() == table["area_px2"].tolist()
    large = table[table["area_px2"] > 100]
    assert (large.outlines.areas() > 100).all()
    assert 0 < len(large) < len(table)


def test_an_image_without_objects_gives_an_empty_table():
    table = measure_objects(np.zeros((4, 4), int), image=np.zeros((4, 4, 3), np.uint8), mpp=0.5)
    assert len(table) == 0
    assert table.to_arrow().num_rows == 0
    assert len(measure_objects(np.zeros((4, 4), int)).named("a")) == 0


def test_a_result_without_instances_has_the_parts_of_its_classes():
    labels = np.array([[1, 0, 1, 1]])
    result = Segmentation(labels, None, np.ones((1, 4, 2)), np.ones(2), GLAS)
    assert result.objects["area_px2"].tolist() == [1, 2]
    assert set(result.objects["class"]) == {"G.O"}


def test_views_for_pandas_and_geopandas(rng):
    pytest.importorskip("pandas")
    table = measure_objects(blobs(rng), mpp=0.5).named("a")
    assert table.to_pandas()["area_um2"].tolist() == table["area_um2"].tolist()
    pytest.importorskip("geopandas")
    frame = table.to_geopandas()
    np.testing.assert_allclose(frame.area * 0.25, frame["area_um2"])


def test_a_missing_package_is_one_sentence(monkeypatch, raises_code):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with raises_code("pandas-missing") as caught:
        ObjectTable({"id": np.array([1])}).to_pandas()
    assert "pip install pandas" in str(caught.value)
