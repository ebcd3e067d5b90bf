"""`hsn fit`: three forms of tags give a trained folder for `hsn segment`; a killed run resumes."""

import json
from pathlib import Path

import numpy as np
import pytest

from hsn import taxonomies
from hsn.data.setup import DataSummary, taxonomy_of
from hsn.images.read import read, write

SIDE_PX = 32
QUICK = [
    "--net",
    "m4",
    "--width",
    "0.05",
    "--epochs",
    "2",
    "--batch",
    "4",
    "--mpp",
    "0.5",
    "--validation",
    "0.25",
]


@pytest.fixture
def patches(rng):
    """Folder of dark patches and bright ones, sixteen in all."""
    for k in range(16):
        level = 60 if k % 2 else 200
        write(
            Path(f"patches/{k}.png"),
            rng.integers(level - 40, level + 40, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8),
        )
    rows = "".join(f"{k}.png,{k % 2},{1 - k % 2}\n" for k in range(16))
    Path("tags.csv").write_text("Patch Names,dark,bright\n" + rows)
    return Path("patches")


def test_a_table_becomes_a_net_that_segments(run, patches):
    result = run("fit", patches, "--tags", "tags.csv", "--out", "mine", "--json", *QUICK)
    assert result.exit_code == 0
    assert result.said["patches"] == 16
    assert len(result.said["epochs"]) == 2
    assert all(Path(f).is_file() for f in result.said["files"])
    assert read("mine/learning.png").ndim == 3
    config = json.loads(Path("mine/config.json").read_text())
    assert config["classes"] == ["dark", "bright"]
    assert config["window_px"] == SIDE_PX
    assert config["image_mpp"] == config["mpp"] == 0.5
    assert config["normalization"]["mean"] == pytest.approx([130] * 3, abs=3)
    assert config["normalization"]["std"] == pytest.approx([np.hypot(70, 80 / 12**0.5)] * 3, abs=3)
    again = run("segment", patches / "1.png", "--model", "mine", "--json")
    assert again.exit_code == 0
    assert again.said[0]["taxonomy"] == "mine"
    assert [c["name"] for c in again.said[0]["classes"]] == ["dark", "bright", "unknown"]


def test_the_same_call_resumes_the_run(run, patches):
    options = ["fit", patches, "--tags", "tags.csv", "--out", "mine", "--json", *QUICK]
    first = run(*options).said["epochs"]
    more = run(*options, "--epochs", "3").said["epochs"]
    assert more[:2] == first
    assert len(more) == 3


def test_tags_in_names_with_a_taxonomy_file(run, patches):
    for k, path in enumerate(sorted(patches.iterdir())):
        path.rename(path.with_name(f"{path.stem}-[{k % 2} {1 - k % 2}].png"))
    classes = [{"name": "fat", "color": [200, 200, 0]}, {"name": "glass", "color": [255, 255, 255]}]
    classes.append({"name": "stroma", "color": [200, 0, 100]})
    lab = {"name": "lab", "classes": classes, "background": {"name": "glass"}}
    Path("lab.json").write_text(json.dumps(lab))
    result = run(
        "fit", patches, "--tags", "names", "--taxonomy", "lab.json", "--out", "mine", "--json", *QUICK
    )
    assert result.exit_code == 0
    config = json.loads(Path("mine/config.json").read_text())
    assert config["classes"] == ["fat", "stroma"]
    assert config["taxonomies"][0]["name"] == "lab"


def test_tags_in_folders_and_a_smaller_window(run, patches):
    for path in list(patches.iterdir()):
        place = patches / ("dark" if int(path.stem) % 2 else "bright") / path.name
        place.parent.mkdir(exist_ok=True)
        path.rename(place)
    result = run("fit", patches, "--tags", "folders", "--window", "16", "--out", "mine", "--json", *QUICK)
    assert result.exit_code == 0
    config = json.loads(Path("mine/config.json").read_text())
    assert config["classes"] == ["bright", "dark"]
    assert config["window_px"] == 16
    assert config["mpp"] == 1.0
    assert config["image_mpp"] == 0.5


def test_invalid_patches_are_left_out_and_named(run, patches, rng):
    (patches / "3.png").write_text("no image")
    write(patches / "4.png", rng.integers(0, 256, (SIDE_PX, SIDE_PX + 1, 3), np.uint8))
    result = run("fit", patches, "--tags", "tags.csv", "--out", "mine", "--json", *QUICK)
    assert result.exit_code == 1
    assert result.said["patches"] == 14
    assert "3.png must be a PNG, JPEG, TIFF or BMP image" in result.stderr
    assert "4.png must be a square of 32 px, like the first patch; got 32 x 33" in result.stderr


def test_a_patch_in_which_no_class_has_evidence_is_unknown(run, patches):
    run("fit", patches, "--tags", "tags.csv", "--out", "mine", *QUICK)
    config = json.loads(Path("mine/config.json").read_text())
    config["thresholds"] = [2.0, 2.0]  # no score passes
    Path("mine/config.json").write_text(json.dumps(config))
    said = run("segment", patches / "1.png", "--model", "mine", "--json").said[0]
    shares = {row["name"]: row["fraction"] for row in said["classes"]}
    assert shares == {"dark": 0, "bright": 0, "unknown": 1}


def test_tags_stay_with_their_patches_if_some_are_left_out(run, patches, spy_on):
    from hsn.supervision import tags

    (patches / "11.png").write_text("no image")  # the third by name: those after it would move up
    seen = spy_on(tags)
    assert run("fit", patches, "--tags", "tags.csv", "--out", "mine", *QUICK).exit_code == 2
    told = zip(seen["images"], seen["annotations"], strict=True)
    assert {int(path.stem): said.tolist() for path, said in told} == {
        k: [k % 2, 1 - k % 2] for k in range(16) if k != 11
    }


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--tags", "tags.csv", "--net", "m9"], "net-unknown"),
        (["--tags", "tags.csv", "--preset", "m9"], "preset-unknown"),
        (["--tags", "tags.csv", "--out", "my net"], "out-name"),
        (["--tags", "tags.csv", "--width", "40"], "width-factor"),
        (["--tags", "tags.csv", "--width", "nan"], "width-factor"),
        (["--tags", "names"], "classes-missing"),
        (["--tags", "names", "--classes", "a,b"], "tags-not-in-name"),
        (["--tags", "folders"], "folders-too-few"),
        (["--tags", "nowhere.csv"], "file-unreadable"),
        (["--tags", "tags.csv", "--taxonomy", "glas"], "taxonomy-classes"),
        (["--tags", "tags.csv", "--validation", "1"], "split-empty"),
        (["--tags", "tags.csv", "--window-px", "0"], "window-px"),
        (["--tags", "tags.csv", "--preset", "cpu"], "preset-of-other-net"),
        (["--tags", "tags.csv", "--min-share", "0.1"], "option-of-other-net"),
        (["--tags", "tags.csv", "--net", "encoder-unet", "--taxonomy", "glas"], "taxonomy-classes"),
        (["--tags", "tags.csv", "--device", "tpu"], "device-unknown"),
    ],
)
def test_invalid_data_is_an_error_before_any_training(run, patches, options, code):
    result = run("fit", patches, *QUICK, *(["--out", "mine"] if "--out" not in options else []), *options)
    assert (result.exit_code, result.code) == (2, code)
    assert "Traceback" not in result.stderr
    assert not Path("mine").exists()


def test_a_folder_with_only_invalid_patches_is_an_error(run, patches):
    for path in patches.iterdir():
        path.write_text("no image")
    result = run("fit", patches, "--tags", "tags.csv", "--out", "mine", *QUICK)
    assert (result.exit_code, result.code) == (2, "no-images-left")


def test_brightness_is_that_of_all_pixels_together(rng):
    images = [rng.integers(0, 256, (8, 8, 3), np.uint8) for _ in range(3)]
    summary = DataSummary(square=True)
    for k, image in enumerate(images):
        summary.add(k, f"{k}.png", None, image)
    assert summary.gray_mean == pytest.approx(np.mean(images))
    assert summary.gray_std == pytest.approx(np.std(images))


def test_flat_patches_do_not_divide_by_zero():
    summary = DataSummary(square=True)
    summary.add(0, "a.png", None, np.full((4, 4, 3), 9, np.uint8))
    assert summary.gray_std == 1


@pytest.mark.parametrize("count", [1, 2, 3, 4, 10, 40])
def test_classes_without_colors_get_distinct_ones(count):
    assert len(set(taxonomy_of([f"c{k}" for k in range(count)], "mine").colors)) == count
    assert isinstance(taxonomy_of(["c"], "mine"), taxonomies.Taxonomy)
