"""Masks in the forms of other programs: QuPath GeoJSON, COCO, NumPy, MATLAB, OME-Zarr; odd and hostile files."""

import json
import pickle
import time
import zlib

import numpy as np
import pytest
import scipy.io
import zarr

from hsn.annotations import mask_files, point_files
from hsn.annotations.scanline import fill_rings
from hsn.notes import collect_notes

SHAPE = (40, 50)


def box(x, y, width, height):
    return [[x, y], [x + width, y], [x + width, y + height], [x, y + height], [x, y]]


def feature(kind, coordinates, **properties):
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": properties,
    }


def write_features(path, *features):
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}))
    return path


def test_polygons_with_holes_and_multipolygons_are_objects(tmp_path):
    path = write_features(
        tmp_path / "a.geojson",
        feature("Polygon", [box(2, 2, 10, 8), box(4, 4, 3, 2)]),
        feature("MultiPolygon", [[box(20, 2, 4, 4)], [box(30, 20, 5, 6), box(31, 21, 1, 1)]]),
    )
    truth = np.zeros(SHAPE, int)
    truth[2:10, 2:12] = 1
    truth[4:6, 4:7] = 0
    truth[2:6, 20:24] = truth[20:26, 30:35] = 2
    truth[21, 31] = 0
    np.testing.assert_array_equal(mask_files.read(path, SHAPE), truth)


def test_annotations_beside_detections_are_regions(tmp_path):
    path = write_features(
        tmp_path / "a.geojson",
        feature("Polygon", [box(0, 0, 30, 30)], objectType="annotation"),
        feature("Polygon", [box(3, 3, 4, 4)], objectType="detection"),
        feature("Polygon", [box(9, 9, 30, 4)], objectType="annotation", classification={"name": "Region*"}),
    )
    with collect_notes() as notes:
        instances = mask_files.read(path, SHAPE)
    assert (instances > 0).sum() == 16
    assert "annotations beside detections are regions" in notes.sentences()[0]


def test_a_cell_gives_its_nucleus(tmp_path):
    cell = feature("Polygon", [box(0, 0, 20, 20)], objectType="cell")
    cell["nucleusGeometry"] = {"type": "Polygon", "coordinates": [box(5, 5, 4, 4)]}
    assert (mask_files.read(write_features(tmp_path / "a.geojson", cell), SHAPE) > 0).sum() == 16


def test_names_of_other_programs_are_paired(tmp_path):
    names = {
        "a.png": "a.geojson",  # QuPath
        "b.png": "b_cp_masks.png",  # Cellpose
        "c.png": "c.mat",  # CoNSeP
        "d.png": "d_RoiSet.zip",  # StarDist, ImageJ
        "e.png": "e.npy",
        "f.tif": "f_objects.ome.tif",  # hsn
    }
    for image, mask in names.items():
        (tmp_path / image).touch()
        (tmp_path / mask).touch()
    write_features(tmp_path / "a.geojson", feature("Polygon", [box(0, 0, 3, 3)]))
    (tmp_path / "b_seg.npy").touch()  # Cellpose writes both
    pairs = mask_files.pair(tmp_path)
    assert {i.name: m.name for i, m in zip(pairs.images, pairs.annotations, strict=True)} == names
    assert [path.name for path in pairs.spare] == ["b_seg.npy"]


def test_clicks_and_outlines_in_geojson_are_told_apart_by_their_content(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").touch()
    write_features(tmp_path / "a.geojson", feature("Polygon", [box(0, 0, 3, 3)]))
    write_features(tmp_path / "b.geojson", feature("Point", [3, 3]), feature("Polygon", [box(0, 0, 3, 3)]))
    assert [path.name for path in mask_files.pair(tmp_path).annotations] == ["a.geojson"]
    assert [path.name for path in point_files.pair(tmp_path).annotations] == ["b.geojson"]


def test_coco_of_several_images_gives_the_one_of_its_name(tmp_path):
    (tmp_path / "b.json").write_text(
        json.dumps(
            {
                "images": [{"id": 7, "file_name": "a.png"}, {"id": 9, "file_name": "x/b.png"}],
                "annotations": [
                    {"image_id": 7, "segmentation": [[0, 0, 9, 0, 9, 9, 0, 9]]},
                    {"image_id": 9, "segmentation": [[0, 0, 4, 0, 4, 2, 0, 2], [10, 0, 12, 0, 12, 1, 10, 1]]},
                    {"image_id": 9, "segmentation": {"size": [40, 50], "counts": [1990, 10]}},
                ],
            }
        )
    )
    truth = np.zeros(SHAPE, int)
    truth[:2, :4] = truth[:1, 10:12] = 1
    truth[30:, 49] = 2
    np.testing.assert_array_equal(mask_files.read(tmp_path / "b.json", SHAPE), truth)


def test_arrays_are_read_without_pickle(tmp_path, raises_code):
    instances = np.arange(2000, dtype=np.uint16).reshape(SHAPE)
    np.save(tmp_path / "a.npy", instances)
    np.testing.assert_array_equal(mask_files.read(tmp_path / "a.npy", SHAPE), instances)
    for order in ("C", "F"):
        scipy.io.savemat(
            tmp_path / "a.mat", {"inst_map": np.asarray(instances, float, order=order)}, do_compression=True
        )
        np.testing.assert_array_equal(mask_files.read(tmp_path / "a.mat", SHAPE), instances)
    with raises_code("shape-mismatch"):
        mask_files.read(tmp_path / "a.npy", (50, 40))


def test_the_pickled_file_of_cellpose_is_refused_with_advice(tmp_path, raises_code):
    class Attack:
        def __reduce__(self):
            return (exec, ("raise SystemExit",))

    np.save(tmp_path / "a_seg.npy", np.array({"masks": Attack()}, object), allow_pickle=True)
    with raises_code("array-pickled") as caught:
        mask_files.read(tmp_path / "a_seg.npy", SHAPE)
    assert "PNG" in str(caught.value)


def test_ome_zarr_of_other_names_and_axes(tmp_path, raises_code):
    instances = np.kron(np.arange(20).reshape(4, 5), np.ones((10, 10), int))

    def save(path, names):
        group = zarr.open_group(path, mode="w")
        labels = group.create_group("labels")
        labels.attrs["ome"] = {"version": "0.5", "labels": names}
        for name in names:
            inner = labels.create_group(name)
            inner.create_array("s0", data=instances[None, None].astype(np.int16))
            about = {"multiscales": [{"datasets": [{"path": "s0"}]}], "image-label": {}}
            inner.attrs["ome"] = about
        return path

    np.testing.assert_array_equal(mask_files.read(save(tmp_path / "a.zarr", ["other"]), SHAPE), instances)
    path = save(tmp_path / "b.zarr", ["tissue", "nuclei"])
    np.testing.assert_array_equal(mask_files.read(path, SHAPE), instances)
    np.testing.assert_array_equal(mask_files.read(path / "labels" / "tissue", SHAPE), instances)
    with raises_code("zarr-labels"):
        mask_files.read(save(tmp_path / "c.zarr", ["x", "y"]), SHAPE)


def test_filled_rings_are_those_of_a_dense_test(rng):
    from skimage.measure import points_in_poly

    rows, cols = np.mgrid[:30, :40]
    centers = np.column_stack([rows.ravel(), cols.ravel()])
    for _ in range(20):
        ring = rng.uniform(-8, 48, (rng.integers(3, 12), 2))
        mask = np.zeros((30, 40), bool)
        mask[fill_rings([ring], (30, 40))] = True
        np.testing.assert_array_equal(mask, points_in_poly(centers, ring).reshape(30, 40))


# --- Hostile files -------------------------------------------------------------------------------------------------


def claims(shape, descr="<f8"):
    """A .npy file that claims more than it holds."""
    header = str({"descr": descr, "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


def matlab_bomb():
    body = zlib.compress(bytes(2 * 10**8), 9)
    return (
        b"MATLAB 5.0 MAT-file".ljust(124)
        + b"\x00\x01IM"
        + (15).to_bytes(4, "little")
        + len(body).to_bytes(4, "little")
        + body
    )


HOSTILE = {
    "nested.geojson": ('{"type":"Polygon","coordinates":' + "[" * 10**6, "geojson-malformed"),
    "nested.json": ('{"images":[],"annotations":' + "[" * 10**6, "coco-malformed"),
    "nan.geojson": ('{"type":"Polygon","coordinates":[[[NaN,0],[9,0],[9,9]]]}', "outline-coordinates"),
    "huge.geojson": ('{"type":"Polygon","coordinates":[[[0,0],[1e300,0],[9,9]]]}', "point-coordinates"),
    "text.geojson": ('{"type":"Polygon","coordinates":[[["0",0],[9,0],[9,9]]]}', "point-coordinates"),
    "counts.json": (
        '{"images":[{"id":1}],"annotations":[{"image_id":1,"segmentation":{"size":[40,50],"counts":[9999999999]}}]}',
        "coco-mask",
    ),
    "code.json": (
        '{"images":[{"id":1}],"annotations":[{"image_id":1,"segmentation":{"size":[40,50],"counts":"oooooooooooo"}}]}',
        "coco-mask",
    ),
    "none.json": ('{"images":[],"annotations":[{"segmentation":1}]}', "coco-image"),
    "claims.npy": (claims((10**5, 10**5)), "array-damaged"),
    "objects.npy": (claims((1,), "|O") + pickle.dumps([1]), "array-pickled"),
    "deep.npy": (claims("(" * 100), "array-damaged"),
    "text.npy": ("hello", "array-damaged"),
    "bomb.mat": (matlab_bomb(), "array-damaged"),
    "text.mat": ("hello", "array-damaged"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_one_sentence_in_bounded_time(name, tmp_path, raises_code):
    content, code = HOSTILE[name]
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    start = time.process_time()
    with raises_code(code):
        mask_files.read(path, SHAPE)
    assert time.process_time() - start < 5


def test_outlines_far_outside_and_self_touching_rings_are_clipped(tmp_path):
    far = [[-9e6, -9e6], [9e6, -9e6], [9e6, 9e6], [-9e6, 9e6]]  # 3 * 10^14 pixels
    eight = [[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]]
    path = write_features(tmp_path / "a.geojson", feature("Polygon", [far]), feature("Polygon", [eight]))
    instances = mask_files.read(path, SHAPE)
    assert instances.shape == SHAPE
    assert set(np.unique(instances)) == {1, 2}


def test_many_corners_are_filled_in_time_and_too_many_are_an_error(tmp_path, raises_code):
    angle = np.linspace(0, 2 * np.pi, 50_000)
    circle = np.column_stack([500 + 400 * np.cos(angle), 500 + 400 * np.sin(angle)])
    start = time.process_time()
    path = write_features(tmp_path / "a.geojson", feature("Polygon", [circle.tolist()]))
    area = (mask_files.read(path, (1000, 1000)) > 0).sum()
    assert area == pytest.approx(np.pi * 400**2, rel=1e-3)
    assert time.process_time() - start < 5
    zigzag = np.column_stack([np.arange(60_000) % 2 * 1e4, np.arange(60_000)])
    with raises_code("outline-complex"):
        fill_rings([zigzag], (10_000, 10_000))


def test_outlines_above_each_other_end_the_file(tmp_path, raises_code):
    cover = feature("Polygon", [box(0, 0, 1100, 1100), box(1, 1, 1, 1)])
    path = write_features(tmp_path / "a.geojson", *[cover] * 101)
    with raises_code("outlines-overlap"):
        mask_files.read(path, (1024, 1024))
