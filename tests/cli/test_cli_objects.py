"""`hsn evaluate --instances`: scores of numbered objects, per image and pooled, on screen and in files."""

import csv
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

import hsn
from hsn.annotations.label_files import read_labels, write_labels
from hsn.exports.formats import EXPORTS
from hsn.images.read import write
from hsn.taxonomies import NUCLEI
from hsn.types import Segmentation

TRUE = {"a": [[1, 1, 1, 0, 2]], "b": [[5, 5, 0, 0, 0]], "c": [[0, 0, 0, 0, 0]]}
FOUND = {"a": [[1, 1, 1, 0, 0]], "b": [[3, 3, 0, 4, 0]], "c": [[0, 0, 0, 0, 0]]}


@pytest.fixture
def folders():
    for folder, images in (("found", FOUND), ("true", TRUE)):
        for name, labels in images.items():
            write_labels(Path(folder) / f"{name}.png", np.array(labels))


def test_scores_per_image_and_pooled(run, folders):
    result = run("evaluate", "found", "true", "--instances", "--hausdorff", "--out", "o", "--json")
    assert result.exit_code == 0
    a, b, c = result.said["images"]
    assert (a["AJI"], a["DQ"], a["SQ"], a["PQ"]) == pytest.approx((3 / 4, 2 / 3, 1, 2 / 3))
    assert (a["Dice"], a["IoU"], a["GlaS F1"]) == pytest.approx((6 / 7, 3 / 4, 2 / 3))
    assert (a["count deviation"], b["count deviation"], c["count deviation"]) == (0.5, 1, 0)
    assert (a["object Dice"], b["object Dice"]) == pytest.approx((7 / 8, 5 / 6))
    assert a["Hausdorff"] == pytest.approx(
        (4 * 1 / 4 + 0) / 2
    )  # the missed object is 4 px away, a quarter of all
    assert [c[name] for name in ("AJI", "DQ", "PQ", "Dice", "IoU", "object Dice")] == [1] * 6
    assert (b["true"], b["found"]) == (1, 2)
    pooled = {name: each["value"] for name, each in result.said["pooled"].items()}
    assert (pooled["AJI"], pooled["DQ"], pooled["PQ"]) == pytest.approx((5 / 7, 4 / 6, 4 / 6))
    assert (pooled["Dice"], pooled["IoU"]) == pytest.approx((10 / 12, 5 / 7))
    assert pooled["count deviation"] == pytest.approx(0.5)
    means = result.said["means"]
    assert means["AJI"] == pytest.approx((a["AJI"] + b["AJI"] + c["AJI"]) / 3)
    assert means["object Dice"] == pooled["object Dice"]
    assert json.loads(Path("o/objects.json").read_text())["pooled"] == result.said["pooled"]
    with open("o/objects.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["a", "b", "c", "mean of images", "all together"]
    assert float(rows[3]["AJI"]) == pytest.approx(means["AJI"])
    assert float(rows[4]["AJI"]) == pytest.approx(5 / 7)


def test_intervals_need_five_images(run):
    for k in range(5):
        write_labels(f"found/{k}.png", np.array([[1, 1, 0, 2][: 4 - k % 2] + [0] * (k % 2)]))
        write_labels(f"true/{k}.png", np.array([[1, 1, 0, 2]]))
    result = run("evaluate", "found", "true", "--instances", "--json")
    pooled = result.said["pooled"]
    assert all(each["low"] <= each["value"] <= each["high"] for each in pooled.values())
    assert pooled["AJI"]["low"] < pooled["AJI"]["high"]
    Path("found/4.png").unlink()
    result = run("evaluate", "found", "true", "--instances", "--json")
    assert result.exit_code == 0, "a truth file without a prediction is not an error"
    assert list(result.said["pooled"]["AJI"]) == ["value"]
    assert "truth files have no prediction, so they are not scored: true/4.png" in result.stderr


def test_the_output_is_a_table_and_unscored_files_are_named(run, folders):
    write_labels("found/lonely.png", np.array([[1]]))
    write_labels("found/b.png", np.array([[1, 0]]))
    result = run("evaluate", "found", "true", "--instances")
    assert result.exit_code == 1
    assert "mean of images  0.875" in result.stdout
    assert "all together    0.75" in result.stdout
    assert "95 %" not in result.stdout
    assert "Hausdorff" not in result.stdout
    assert "wrote 2 files to out/" in result.stdout
    assert "found/lonely.png: has no partner of its name in the other folder" in result.stderr
    assert "found/b.png: `prediction` must have the shape of the truth" in result.stderr


def xml_of(boxes):
    """Aperio XML of rectangles (top, left, bottom, right), by the centres of their corner pixels."""
    regions = "".join(
        "<Region><Vertices>"
        + "".join(
            f'<Vertex X="{x}" Y="{y}"/>'
            for y, x in ((top, left), (top, right), (bottom, right), (bottom, left))
        )
        + "</Vertices></Region>"
        for top, left, bottom, right in boxes
    )
    return f"<Annotations><Annotation><Regions>{regions}</Regions></Annotation></Annotations>"


def roi_of(top, left, bottom, right):
    """ImageJ's rectangle, by its edges."""
    return struct.pack(">4sHBx5h", b"Iout", 227, 1, top, left, bottom, right, 0).ljust(64, bytes(1))


def test_truth_may_be_outlines(run):
    labels = np.zeros((12, 12), int)
    labels[1:5, 1:6], labels[6:10, 2:9] = 1, 2
    for name in ("a", "b", "c"):
        write_labels(f"found/{name}.png", labels)
    Path("true").mkdir()
    Path("true/a.xml").write_text(xml_of([(1, 1, 4, 5), (6, 2, 9, 8)]))
    with zipfile.ZipFile("true/b.zip", "w") as archive:
        for k, box in enumerate([(1, 1, 5, 6), (6, 2, 10, 9)]):
            archive.writestr(f"{k}.roi", roi_of(*box))
    write_labels("true/c.png", labels)
    Path("true/c.xml").write_text(xml_of([(0, 0, 11, 11)]))  # a label image counts before outlines
    result = run("evaluate", "found", "true", "--instances", "--json")
    assert result.exit_code == 0
    assert [each["AJI"] for each in result.said["images"]] == [1, 1, 1]
    result = run("evaluate", "true", "found", "--instances", "--json")  # and predictions likewise
    assert [each["AJI"] for each in result.said["images"]] == [1, 1, 1]


@pytest.mark.parametrize("kind", ["geojson", "geojson.gz", "imagej", "coco", "hovernet"])
def test_truth_may_be_an_export_of_another_program(run, kind):
    instances = np.zeros((40, 50), np.int32)
    instances[3:9, 4:12], instances[20:30, 20:24], instances[5:8, 30:50] = 1, 2, 3
    write_labels(Path("found/a.png"), instances)
    result = Segmentation((instances > 0).astype(int), instances, None, np.ones(2), NUCLEI, name="a")
    hsn.export(result, kind, "true")
    folder = EXPORTS[kind].folder
    scored = run("evaluate", "found", f"true/{folder}", "--instances", "--json")
    assert scored.exit_code == 0
    (one,) = scored.said["images"]
    assert one["AJI"] == 1


def test_outlines_alone_have_no_size(run):
    for folder in ("found", "true"):
        Path(folder).mkdir()
        Path(folder, "a.xml").write_text(xml_of([(1, 1, 4, 5)]))
    result = run("evaluate", "found", "true", "--instances")
    assert (result.exit_code, result.code) == (2, "no-pairs-scored")
    assert "because outlines have no size" in result.stderr


def test_seventy_thousand_objects_are_scored(run):
    true = np.arange(1, 70_001).reshape(280, 250)
    found = np.where(np.indices(true.shape).sum(axis=0) % 7, true, 0)
    for folder, labels in (("true", true), ("found", found)):
        write_labels(f"{folder}/a.tif", labels)
    (one,) = run("evaluate", "found", "true", "--instances", "--json").said["images"]
    assert (one["true"], one["found"]) == (70_000, (found > 0).sum())
    assert one["AJI"] == pytest.approx((found > 0).mean())
    assert one["SQ"] == 1


@pytest.mark.parametrize(
    "options", [["--instances", "--taxonomy", "glas"], ["--taxonomy", "glas", "--hausdorff"]]
)
def test_options_of_the_other_kind_are_errors(run, folders, options):
    result = run("evaluate", "found", "true", *options)
    assert (result.exit_code, result.code) == (2, "option-of-other-kind")


def test_only_invalid_pairs_are_an_error(run, folders):
    for name in TRUE:
        write_labels(f"found/{name}.png", np.array([[1, 0]]))
    result = run("evaluate", "found", "true", "--instances")
    assert (result.exit_code, result.code) == (2, "no-pairs-scored")


@pytest.fixture
def nuclei_net(monkeypatch):
    """A net that finds the drawn nuclei, moved by one pixel."""
    from hsn import taxonomies
    from hsn.types import Segmentation
    from hsn.workflows import segmentation

    def moved(image, *_, **__):
        found = np.roll(read_labels(Path("true") / Path(image).name), 1, axis=1)
        scores = np.array([1.0, 0.0])
        labels = (found > 0).astype(np.int32)
        return Segmentation(labels, found, np.eye(2)[labels], scores, taxonomies.NUCLEI)

    monkeypatch.setattr(segmentation, "segment_image", moved)


@pytest.mark.parametrize("options", [[], ["--instances"]])
def test_a_net_is_scored_by_objects_where_the_truth_numbers_them(run, nuclei_net, options):
    for name in ("a", "b"):
        write(Path(f"images/{name}.png"), np.full((8, 12, 3), 200, np.uint8))
        write_labels(f"true/{name}.png", np.kron([[0, 1, 2], [3, 0, 0]], np.ones((4, 4), int)))
    result = run("evaluate", "images", "true", "--model", "nuclei-masks", "--out", "o", "--json", *options)
    assert result.exit_code == 0, result.stderr
    assert [row["true"] for row in result.said["images"]] == [3, 3]
    assert 0.4 < result.said["pooled"]["AJI"]["value"] < 0.9


def test_numbered_truth_needs_a_net_of_objects_or_the_class_of_the_objects(run, tiny_model):
    write(Path("images/a.png"), np.full((40, 56, 3), 200, np.uint8))
    write_labels("true/a.png", np.kron([[0, 1, 2], [3, 0, 0]], np.ones((20, 20), int))[:, :56])
    result = run("evaluate", "images", "true", "--model", tiny_model)
    assert (result.exit_code, result.code) == (2, "objects-missing")
