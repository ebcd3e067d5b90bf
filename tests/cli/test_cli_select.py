"""`hsn select`: files that fit together, a second run that does not embed again, and what cannot be used."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import hsn
from hsn.images.read import read, write

SMALL = ("--patch", "64", "--stride", "32")


@pytest.fixture
def tissue(tmp_path, rng):
    """Three pictures: two of one kind of tissue, one of another, with glass at its end."""
    for name, level, contrast in (("a", 150, 5), ("b", 152, 5), ("c", 90, 40)):
        image = np.clip(level + contrast * rng.normal(size=(96, 128, 3)), 0, 190).astype(np.uint8)
        if name == "c":
            image[:, 64:] = 245
        write(tmp_path / "tissue" / f"{name}.png", image)
    return tmp_path / "tissue"


def table(path="o/choice.csv"):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_one_patch_per_kind_and_files_that_fit_together(run, tissue):
    result = run("select", tissue, "--n", "2", "--out", "o", *SMALL, "--json")
    assert result.exit_code == 0
    said = result.said
    assert (said["images"], said["encoder"]) == (3, "texture")
    assert [row["name"] == "c" for row in said["chosen"]] == [False, True]  # the larger kind first
    assert sum(row["stands_for"] for row in said["chosen"]) == said["patches"] < 3 * 6
    rows = table()
    assert [row["patch"] for row in rows] == [row["patch"] for row in said["chosen"]]
    for row in rows:
        top, left = int(row["row"]), int(row["column"])
        expected = read(tissue / f"{row['name']}.png")[top : top + 64, left : left + 64]
        assert (read(Path("o/patches") / row["patch"]) == expected).all()
        parts = sum(float(row[part]) for part in ("to_center", "to_texture", "unevenness"))
        assert float(row["score"]) == pytest.approx(parts)
        places = json.loads(Path(f"o/places/{row['name']}.geojson").read_text())["features"]
        corners = [place["geometry"]["coordinates"][0][0] for place in places]
        assert [left, top] in corners
    assert len(json.loads(Path("o/places.geojson").read_text())["features"]) == 2
    assert read("o/contact_sheet.png").ndim == 3
    assert set(said["files"].values()) == {"o/choice.csv", "o/places.geojson", "o/contact_sheet.png"}


def test_a_second_selection_reuses_vectors_and_names_patches_of_the_first(run, tissue, monkeypatch):
    first = run("select", tissue, "--n", "3", "--out", "o", *SMALL)
    assert "compared by texture" in first.stdout
    assert "stands for" in first.stdout
    from hsn.selection import texture

    monkeypatch.setattr(texture, "describe", None)
    second = run("select", tissue, "--n", "1", "--out", "o", *SMALL)
    assert second.exit_code == 0
    assert "o/patches also holds" in second.stderr
    quiet = run("select", tissue, "--n", "1", "--out", "o", *SMALL, "--quiet")
    assert quiet.stderr == ""
    assert len(table()) == 1


def test_a_trained_net_can_be_the_encoder(run, tissue, model):
    result = run(
        "select", tissue, "--n", "2", "--out", "o", "--encoder", model, "--mpp", "0.6", *SMALL, "--json"
    )
    assert result.exit_code == 0
    assert result.said["encoder"].startswith("tiny x 0.4839 ")


def test_bad_images_are_named_at_the_end(run, tissue):
    (tissue / "bad.png").write_bytes(b"no image")
    write(tissue / "small.png", np.full((40, 200, 3), 120, np.uint8))
    result = run("select", tissue, "gone", "--n", "2", "--out", "o", *SMALL, "--json")
    assert result.exit_code == 1
    assert result.said["images"] == 3
    for name in ("bad.png", "small.png", "gone"):
        assert name in result.stderr
    assert "3 failed, named above" in result.stderr


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--n", "1000"], "too-few-patches"),
        (["--patch", "65"], "no-patches"),
        (["--encoder", "nowhere"], "model-unknown"),
        (["--encoder", "net.pth"], "weights-format"),
    ],
)
def test_invalid_options_give_one_sentence(run, tissue, options, code):
    result = run("select", tissue, "--out", "o", *SMALL, "--n", "2", *options)
    assert (result.exit_code, result.code) == (2, code)
    assert len(result.stderr.splitlines()) == 1


def test_no_image_is_an_error(run, tmp_path):
    (tmp_path / "empty").mkdir()
    result = run("select", tmp_path / "empty", "--out", "o")
    assert (result.exit_code, result.code) == (2, "images-missing")


def test_the_old_name_of_the_command_still_works(run, tissue):
    first = run("choose", tissue, "--n", "2", "--out", "o", *SMALL, "--json")
    assert first.exit_code == 0
    assert run("select", tissue, "--n", "2", "--out", "o", *SMALL, "--json").said == first.said


def test_python_and_the_command_line_select_the_same_patches(run, tissue):
    said = run("select", tissue, "--n", "2", "--out", "o", *SMALL, "--json").said
    selection = hsn.select_patches(tissue, 2, out="p", side_px=64, stride_px=32)
    assert selection.rows == said["chosen"]
    assert table("p/choice.csv") == table("o/choice.csv")


def test_patches_too_small_for_the_texture_are_named(run, tissue):
    result = run("select", tissue, "--out", "o", "--side-px", "32")
    assert result.exit_code == 2
    assert "64" in result.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_not_utf8_is_written_with_escapes(run, tissue):
    (tissue / "a.png").rename(tissue / "caf\udce9.png")
    assert run("select", tissue, "--n", "3", "--out", "o", *SMALL).exit_code == 0
    names = [row["name"] for row in table()]
    assert "caf\\udce9" in names
    assert "caf\\\\udce9" in Path("o/places.geojson").read_text("utf-8")
