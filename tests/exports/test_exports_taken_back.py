"""`hsn.evaluate` and `hsn.fit` take the objects of one image in every form that hsn and other programs write."""

import numpy as np
import pytest
import scipy.io

import hsn
from hsn.annotations.label_files import write_labels
from hsn.exports.coco import write_coco
from hsn.exports.geojson import write_geojson
from hsn.exports.hovernet import write_hovernet
from hsn.exports.imagej import write_imagej
from hsn.exports.ome_tiff import write_ome_tiff
from hsn.exports.ome_zarr import write_ome_zarr
from hsn.exports.source import source_of
from hsn.images import read as images

FORMS = {
    "cellpose_cp_masks.png": lambda path, result: write_labels(path, result.instances),
    "pickled_seg.npy": lambda path, result: np.save(path, {"masks": result.instances, "outlines": None}),
    "array.npy": lambda path, result: np.save(path, result.instances),
    "consep.mat": lambda path, result: scipy.io.savemat(path, {"inst_map": result.instances}),
    "hovernet.mat": lambda path, result: write_hovernet(path, source_of(result)),
    "stardist_RoiSet.zip": lambda path, result: write_imagej(path, [result.objects]),
    "qupath.geojson": lambda path, result: write_geojson(path, [result.objects]),
    "packed.geojson.gz": lambda path, result: write_geojson(path, [result.objects]),
    "coco.json": lambda path, result: write_coco(path, source_of(result)),
    "tiff_objects.ome.tif": lambda path, result: write_ome_tiff(
        path.with_name("tiff.ome.tif"), source_of(result)
    ),
    "zarr.ome.zarr": lambda path, result: write_ome_zarr(path, source_of(result)),
}


@pytest.fixture
def truth(result, tmp_path):
    """Folder `truth` with one image's objects in every form."""
    folder = tmp_path / "truth"
    folder.mkdir()
    for name, write in FORMS.items():
        write(folder / name, result)
    for kind in ("classes", "probabilities"):
        (folder / f"tiff_{kind}.ome.tif").unlink()
    return folder


@pytest.fixture
def names():
    """Name of the image of each form."""
    return ["cellpose", "pickled", "array", "consep", "hovernet", "stardist", "qupath", "packed", "coco",
            "tiff", "zarr"]  # fmt: skip


def test_evaluate_takes_every_form(truth, names, instances, tmp_path):
    for name in names:
        (tmp_path / "predicted").mkdir(exist_ok=True)
        write_labels(tmp_path / "predicted" / f"{name}.png", instances)
    scores = hsn.evaluate(tmp_path / "predicted", truth=truth, instances=True, out=tmp_path / "out")
    assert {row["image"]: row["AJI"] for row in scores.scores["images"]} == dict.fromkeys(names, 1.0)


def test_evaluate_prefers_the_label_image_of_cellpose(instances, tmp_path):
    (tmp_path / "truth").mkdir()
    (tmp_path / "predicted").mkdir()
    write_labels(tmp_path / "predicted" / "a.png", instances)
    write_labels(tmp_path / "truth" / "a_cp_masks.png", instances)
    np.save(tmp_path / "truth" / "a_seg.npy", {"masks": np.zeros_like(instances)})
    scores = hsn.evaluate(
        tmp_path / "predicted", truth=tmp_path / "truth", instances=True, out=tmp_path / "out"
    )
    assert [row["AJI"] for row in scores.scores["images"]] == [1.0]


@pytest.mark.slow
def test_fit_learns_from_every_form(truth, names, result, tmp_path):
    for name in names:
        images.write(truth / f"{name}.png", result.image)
    small = {"net": "unet", "width": 2, "epochs": 1, "batch_size": 2, "validation": 0.2}
    model = hsn.fit(truth, mpp=0.5, out=tmp_path / "mine", **small)
    assert model.card.method == "masks"
