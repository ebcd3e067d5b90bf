"""`hsn segment`: valid images are segmented, invalid ones are named."""

import csv
import dataclasses
import json
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

import hsn
from hsn.annotations.label_files import read_labels
from hsn.data.image_files import distinct_names
from hsn.images.read import read, write
from hsn.instances import median_diameter, object_areas
from hsn.progress import Cancelled
from hsn.taxonomies import NUCLEI
from hsn.types import Segmentation


def test_a_folder_gives_labels_overlays_and_areas(run, model, images):
    result = run("segment", images, "--model", model, "--out", "o", "--json", "--mpp", 0.62)
    assert result.exit_code == 0
    assert [Path(one["image"]).name for one in result.said] == ["a.png", "b.png", "c.png"]
    one = result.said[0]
    assert json.loads(Path("o/areas/a.json").read_text()) == one
    labels = read_labels("o/labels/a.png")
    assert labels.shape == (40, 56)
    assert read("o/overlay/a.png").shape > (40, 56, 3)
    assert [c["name"] for c in one["classes"]] == ["Other", "G.O"]
    pixels = [int((labels == k).sum()) for k in range(2)]
    assert [c["pixels"] for c in one["classes"]] == pixels
    assert [c["area_mm2"] for c in one["classes"]] == pytest.approx([n * 0.00062**2 for n in pixels])
    assert sum(c["fraction"] for c in one["classes"]) == pytest.approx(1)


LAB = """name = "lab"
[[classes]]
name = "rest"
color = [9, 9, 9]
[[classes]]
name = "{}"
color = [200, 30, 60]
[other]
name = "rest"
"""


def test_a_taxonomy_file_names_classes_that_the_net_has(run, model, images):
    for name in ("G.O", "fat"):
        Path(f"{name}.toml").write_text(LAB.format(name))
    one, *_ = run("segment", images, "--model", model, "--taxonomy", "G.O.toml", "--out", "o", "--json").said
    assert [(c["name"], c["color"]) for c in one["classes"]] == [("rest", [9, 9, 9]), ("G.O", [200, 30, 60])]
    refused = run("segment", images, "--model", model, "--taxonomy", "fat.toml", "--out", "p")
    assert refused.exit_code == 2
    assert "fat" in refused.stderr


def test_a_net_that_separates_objects_writes_instances(run, objects_model, images):
    result = run("segment", images, "--model", objects_model, "--out", "o", "--json")
    assert result.exit_code == 0
    one = result.said[0]
    written = read_labels("o/instances/a.png")
    np.testing.assert_array_equal(written, hsn.segment(images / "a.png", objects_model, mpp=0.25).instances)
    assert one["objects"] == written.max() > 1
    assert one["files"]["instances"] == "o/instances/a.png"
    np.testing.assert_array_equal(read_labels("o/labels/a.png"), written > 0)
    painted = (read("o/overlay/a.png")[:40, :56] != read(images / "a.png")).any(axis=2)
    assert not painted[written == 0].any()
    total = sum(each["objects"] for each in result.said)
    text = run("segment", images, "--model", objects_model, "--out", "o", "--overwrite").stdout
    first, scale, last = text.splitlines()
    assert first == f"3 images segmented, {total} objects in all"
    assert (scale, last) == ("scale: 0.25 um/px, assumed", "wrote 12 files to o/")


def test_a_net_without_objects_reports_no_objects(run, model, images):
    (one,) = run("segment", images / "a.png", "--model", model, "--out", "o", "--json").said
    assert "objects" not in one
    assert not Path("o/instances").exists()


def test_more_objects_than_a_png_can_number_are_written_as_tiff(run, objects_model, images, monkeypatch):
    from hsn.workflows import segmentation

    def crowded(image, model, **options):
        instances = np.arange(40 * 56).reshape(40, 56) + 64000
        labels = np.ones((40, 56), np.int32)
        return Segmentation(labels, instances, np.ones((40, 56, 2)), np.ones(2), NUCLEI)

    monkeypatch.setattr(segmentation, "segment_image", crowded)
    (one,) = run("segment", images / "a.png", "--model", objects_model, "--out", "o", "--json").said
    assert one["files"]["instances"] == "o/instances/a.tif"
    assert one["objects"] == 40 * 56 + 63999
    assert read_labels("o/instances/a.tif").max() == one["objects"]


def test_the_output_names_the_scale_and_has_no_area_if_it_is_assumed(run, model, images):
    result = run("segment", images / "a.png", images / "b.png", "--model", model, "--out", "o")
    assert result.exit_code == 0
    assert result.stdout == "2 images segmented\nscale: 0.62 um/px, assumed\nwrote 6 files to o/\n"
    assert "no scale in the metadata, so 0.62 um/px is assumed" in result.stderr
    assert result.stderr.count("assumed") == 1
    assert "area_mm2" not in Path("o/areas/a.json").read_text()


def table(path="o/summary.csv"):
    with open(path, newline="", encoding="utf-8") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def test_finished_images_are_skipped_until_net_options_or_image_change(run, model, images, rng):
    (images / "bad.png").write_text("no image")
    first = run("segment", images, "--model", model, "--out", "o")
    assert first.exit_code == 1
    rows = table()
    assert {name: row["status"] for name, row in rows.items()} == {
        "a": "done", "b": "done", "c": "done", "bad": "failed",
    }  # fmt: skip
    assert "must be a PNG" in rows["bad"]["reason"]
    assert float(rows["a"]["fraction of Other"]) + float(rows["a"]["fraction of G.O"]) == pytest.approx(1)
    again = run("segment", images, "--model", model, "--out", "o", "--json")
    assert again.exit_code == 1
    assert [Path(one["image"]).name for one in again.said] == ["a.png", "b.png", "c.png"]
    text = run("segment", images, "--model", model, "--out", "o").stdout
    assert text == "0 images segmented, 3 were done already\nwrote 0 files to o/\n"
    Path("o/overlay/b.png").unlink()
    write(images / "c.png", rng.integers(0, 256, (40, 57, 3), np.uint8))
    text = run("segment", images, "--model", model, "--out", "o").stdout
    assert text.startswith("2 images segmented, 1 were done already")
    assert (table()["c"]["width"], len(table())) == ("57", 4)
    text = run("segment", images, "--model", model, "--out", "o", "--mpp", "0.7").stdout
    assert text.startswith("3 images segmented\n")
    text = run("segment", images, "--model", model, "--out", "o", "--mpp", "0.7", "--overwrite").stdout
    assert text.startswith("3 images segmented\n")


def test_rows_are_on_disk_when_the_run_is_stopped(model, images):
    def stop(event):
        if event.done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        hsn.segment(images, model, out="o", mpp=0.62, progress=stop)
    assert list(table()) == ["a", "b"]
    with open("o/summary.csv", "a") as file:
        file.write("half a ro")  # as a killed process leaves it
    rows = hsn.segment(images, model, out="o", mpp=0.62)
    assert [row["status"] for row in rows] == ["done"] * 3
    assert list(table()) == ["a", "b", "c"]


def bad_images(folder, rng):
    """Return invalid inputs, and words of their errors."""
    pixels = rng.integers(0, 256, (40, 56, 3), np.uint8)
    (folder / "text.png").write_text("not an image")
    (folder / "empty.png").touch()
    cv2.imwrite(str(folder / "deep.png"), pixels.astype(np.uint16) * 257)
    cv2.imwrite(str(folder / "grey.png"), pixels[..., 0])
    cv2.imwrite(str(folder / "clear.png"), np.dstack([pixels, pixels[..., :1]]))
    Image.fromarray(np.dstack([pixels, pixels[..., :1]]), "CMYK").save(folder / "ink.jpg")
    write(folder / "dot.png", pixels[:1, :1])
    Image.fromarray(np.zeros((20000, 20000), np.uint8)).convert("P").save(folder / "huge.png")
    return {
        "text.png": "must be a PNG, JPEG, TIFF or BMP image",
        "empty.png": "got 0 bytes",
        "deep.png": "must have 8 bits per channel",
        "grey.png": "must be 8-bit RGB; got gray",
        "clear.png": "must be opaque",
        "ink.jpg": "got CMYK",
        "dot.png": "must be at least 16 x 16 pixels; got 1 x 1",
        "huge.png": "20000 x 20000 = 400,000,000",
    }


def test_invalid_images_do_not_stop_the_batch_and_are_named(run, model, images, rng):
    bad = bad_images(images, rng)
    result = run("segment", images, "nowhere", "--model", model, "--mpp", 0.62, "--out", "o", "--json")
    assert result.exit_code == 1
    assert [Path(one["image"]).name for one in result.said] == ["a.png", "b.png", "c.png"]
    said = result.stderr.splitlines()
    assert said[-1] == "hsn: 9 failed, named above"
    assert len(said) == 10
    for name, words in bad.items():
        (line,) = [line for line in said if f"/{name}" in line]
        assert words in line
    assert any(line.startswith("hsn: nowhere must be a folder of images") for line in said)


def test_an_opaque_alpha_channel_is_accepted(run, model, tmp_path, rng):
    pixels = np.dstack([rng.integers(0, 256, (40, 56, 3), np.uint8), np.full((40, 56), 255, np.uint8)])
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    assert run("segment", tmp_path / "a.png", "--model", model).exit_code == 0


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--model", "glass-tags"], "model-unknown"),
        (["--taxonomy", "adp-func"], "taxonomy-unknown"),
        (["--mpp", "-1"], "mpp-range"),
    ],
)
def test_invalid_options_give_one_sentence_without_a_traceback(run, model, images, options, code):
    options = options if "--model" in options else [*options, "--model", model]
    result = run("segment", images / "a.png", *options)
    assert (result.exit_code, result.code) == (2, code)
    assert "Traceback" not in result.stderr
    assert not Path("out/labels").exists()


def test_a_folder_without_images_is_an_error(run, model, tmp_path):
    (tmp_path / "empty").mkdir()
    result = run("segment", tmp_path / "empty", "--model", model)
    assert (result.exit_code, result.code) == (2, "images-missing")


def test_a_net_with_other_classes_than_its_card_is_an_error(run, model, images, tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    for name in ("net.keras", "config.json"):
        (folder / name).write_bytes((model / name).read_bytes())
    card = json.loads((model / "card.json").read_text())
    card |= {"classes": ["G.O", "T"], "thresholds": [0.5, 0.5]}
    (folder / "card.json").write_text(json.dumps(card))
    result = run("segment", images / "a.png", "--model", folder)
    assert (result.exit_code, result.code) == (2, "card-mismatch")


def test_results_of_equal_names_do_not_overwrite_each_other(run, model, images, tmp_path):
    other = tmp_path / "more"
    write(other / "a.png", read(images / "a.png"))
    assert run("segment", images, other, "--model", model, "--out", "o").exit_code == 0
    assert sorted(p.name for p in Path("o/labels").iterdir()) == [
        "b.png",
        "c.png",
        "images_a.png",
        "more_a.png",
    ]


def test_names_are_distinct_whatever_the_paths():
    paths = [Path(p) for p in ("x/a.png", "x/a.jpg", "y/x/a.png", "x_a.png", "b.png", "x/a_3.png")]
    names = distinct_names(paths)
    assert len(set(names)) == len(paths)
    assert names[4] == "b"
    assert distinct_names([Path(p) for p in ("a_2.png", "p/x/a.png", "q/x/a.png")]) == ["a_2", "a_2_", "a_3"]


def test_the_scale_of_the_metadata_is_used_printed_and_stored(run, model, images):
    tifffile.imwrite("slide.tif", read(images / "a.png"), photometric="rgb", resolution=(20_000, 20_000),
                     resolutionunit="CENTIMETER")  # fmt: skip
    result = run("segment", "slide.tif", "--model", model, "--out", "o")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "scale: 0.5 um/px, from the metadata" in result.stdout
    about = json.loads(Path("o/areas/slide.json").read_text())
    assert (about["mpp"], about["mpp_source"]) == (0.5, "metadata")
    assert sum(each["area_mm2"] for each in about["classes"]) > 0
    same = hsn.segment("slide.tif", model, mpp=0.5)
    np.testing.assert_array_equal(read_labels("o/labels/slide.png"), same.labels)


def test_a_magnification_in_place_of_the_scale_is_an_error(run, model, images):
    result = run("segment", images / "a.png", "--model", model, "--mpp", 40)
    assert (result.exit_code, result.code) == (2, "mpp-range")
    assert "40x is about 0.25 um/px" in result.stderr


def test_objects_of_another_size_put_the_scale_in_doubt(run, objects_model, images, monkeypatch):
    from hsn.workflows import scale_check

    monkeypatch.setattr(scale_check, "MIN_OBJECTS", 1)
    opened = hsn.load(objects_model)
    found = hsn.segment(images / "a.png", opened, mpp=0.25).instances
    diameter_um = 2 * np.sqrt(np.median(np.bincount(found.ravel())[1:]) / np.pi) * 0.25
    for factor, count in ((1.0, 0), (1.9, 0), (2.1, 1), (0.45, 1)):
        card = opened.card.model_copy(update={"object_diameter_um": factor * diameter_um})
        changed = dataclasses.replace(opened, card=card)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            hsn.segment(images / "a.png", changed, mpp=0.25)
        assert len(caught) == count
        assert all(f"{0.25 * factor:.2g} um/px would fit" in str(each.message) for each in caught)


def test_five_images_put_the_scale_in_doubt_earlier_than_one(objects_model):
    from hsn.images.scale import Scale
    from hsn.notes import collect_notes
    from hsn.workflows.scale_check import ScaleCheck

    opened = hsn.load(objects_model)
    squares = np.kron(np.arange(25).reshape(5, 5), np.ones((8, 8), int))
    diameter_um = 2 * np.sqrt(64 / np.pi)
    for factor, images, count in ((1.6, 4, 0), (1.6, 5, 1), (1.4, 5, 0), (0.6, 5, 1)):
        card = opened.card.model_copy(update={"object_diameter_um": factor * diameter_um})
        check = ScaleCheck(dataclasses.replace(opened, card=card))
        with collect_notes() as notes:
            for _ in range(images):
                check.add(Scale(1.0, "given"), squares)
            check.note_sizes()
        assert len(notes.sentences()) == count


def test_small_objects_and_features_of_half_the_size_put_the_scale_of_one_image_in_doubt(
    run, objects_model, images, monkeypatch
):
    from hsn.stains.domain import fit_domain
    from hsn.workflows import scale_check

    monkeypatch.setattr(scale_check, "MIN_OBJECTS", 1)
    rng = np.random.default_rng(0)
    domain = fit_domain([rng.integers(60, 200, (64, 64, 3), np.uint8) for _ in range(8)])
    opened = hsn.load(objects_model)
    diameter_um = (
        median_diameter([object_areas(hsn.segment(images / "a.png", opened, mpp=0.25).instances)]) * 0.25
    )
    for factor, limit, count in (
        (1.6, -1e9, 1),
        (1.6, 1e9, 0),
        (1.6, None, 0),
        (1.4, -1e9, 0),
        (0.6, -1e9, 0),
    ):
        changes = {
            "object_diameter_um": factor * diameter_um,
            "domain": dataclasses.replace(domain, max_scale_score=1e9, doubtful_scale_score=limit),
        }
        changed = dataclasses.replace(opened, card=opened.card.model_copy(update=changes))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            hsn.segment(images / "a.png", changed, mpp=0.25)
        assert sum("um/px would fit" in str(each.message) for each in caught) == count, (factor, limit)


def test_images_unlike_the_training_images_are_noted_once_per_batch(model, images):
    from hsn.stains.domain import fit_domain

    rng = np.random.default_rng(0)
    learned = [cv2.resize(rng.integers(60, 200, (30, 30, 3), np.uint8), (120, 120)) for _ in range(8)]
    loaded = hsn.load(model)
    checked = dataclasses.replace(loaded, card=loaded.card.model_copy(update={"domain": fit_domain(learned)}))
    for name in ("a", "b"):
        write(images / f"{name}.png", np.full((64, 64, 3), 250, np.uint8))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        hsn.segment(images, checked, out="o", mpp=0.62)
    (line,) = [str(w.message) for w in caught if "nearly blank" in str(w.message)]
    assert "a.png and 1 more file" in line
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        hsn.segment(images / "a.png", loaded, mpp=0.62)
    assert not [w for w in caught if "nearly blank" in str(w.message)]
