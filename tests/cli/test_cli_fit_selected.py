"""`hsn fit --selected`: outlined patches and unlabeled images give a trained folder."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from hsn.annotations.label_files import read_labels, write_labels
from hsn.data import synthetic
from hsn.images.read import read, write
from hsn.supervision import selected
from hsn.supervision.selected import Preset, setup
from hsn.workflows import selection

MPP = 0.31
TINY = Preset(smallest_px=48, filters=(4,), critic_norm=False, steps=2, critic_steps=1, layouts=2, crop_px=32)
QUICK = ["--width", "2", "--epochs", "1", "--mpp", str(MPP), "--validation", "0.34", "--least-score", "0"]
SMALL = ["--net", "unet", *QUICK]
QUICKEST = selected.preset("cpu")
PATCHES = (0, 5, 4)  # made tissue of 64 px with whole nuclei


@pytest.fixture(autouse=True)
def quickest(monkeypatch):
    """Shorten the preset "cpu" to two steps per epoch and few small synthetic pairs."""
    config = QUICKEST.replace(
        synthesis=TINY,
        synthetic=2,
        tiling={"halo_px": 8},
        min_pseudo_area_um2=0.0,
        train={"steps": 2, "batch_size": 2},
    )
    monkeypatch.setitem(setup.PRESETS, "cpu", lambda: config)


@pytest.fixture
def folder():
    """Three patches of drawn tissue, outlined: two label images in a folder of their own, one beside its patch."""
    for k, seed in enumerate(PATCHES):
        drawn = synthetic.draw_tissue(seed, (64, 64), mpp=MPP)
        write(Path(f"chosen/patches/{k}.png"), drawn.image)
        write_labels(Path(f"chosen/labels/{k}.png" if k else "chosen/patches/0_mask.png"), drawn.instances)
    return Path("chosen")


@pytest.fixture
def spy(spy_on):
    return spy_on(selected)


def names(paths):
    return [path.name for path in paths]


@pytest.mark.slow
def test_from_images_to_chosen_patches_to_a_net_that_numbers_objects(run, tissue, monkeypatch):
    truth = tissue("images", 2, (96, 96), mpp=MPP)
    monkeypatch.setattr(
        selection, "select_patches", partial(selection.select_patches, side_px=64, stride_px=32)
    )
    command = ["fit", "images", "--selected", "chosen", "--n", "3", "--out", "mine", "--json", *SMALL]
    chosen = run(*command)
    assert chosen.exit_code == 0
    assert len(chosen.said["chosen"]) == 3
    assert "outline every nucleus of the patches in chosen/patches" in chosen.said["next"]
    assert "call the same command again" in chosen.said["next"]
    assert not Path("mine").exists()

    unmarked = run(*command)
    assert unmarked.exit_code == 2
    assert unmarked.code == "patches-not-outlined"

    for row in chosen.said["chosen"]:
        instances = truth[int(row["name"])].instances
        part = np.s_[row["row"] : row["row"] + row["side_px"], row["column"] : row["column"] + row["side_px"]]
        write_labels(Path("chosen/labels") / row["patch"], instances[part])
    result = run(*command)
    assert result.exit_code == 0, result.stderr
    assert (result.said["patches"], len(result.said["rounds"]), len(result.said["pseudo"])) == (3, 2, 1)
    assert [one["learned_from"]["pseudo"] for one in result.said["rounds"]] == [0, 2]
    assert result.said["best"]["round"] == result.said["kept"]
    drawn = {f"mine/{stage}learning.png" for stage in ("", "rounds/0/", "rounds/1/")}
    assert drawn <= set(result.said["files"])
    assert all(read(path).ndim == 3 for path in result.said["files"] if path.endswith(".png"))
    card, config = (json.loads(Path(f"mine/{name}.json").read_text()) for name in ("card", "config"))
    assert (card["method"], card["name"]) == ("selected", "mine")
    assert (config["mpp"], config["image_mpp"]) == (MPP, MPP)
    (one,) = run("segment", "images/0.png", "--model", "mine", "--json").said
    assert one["objects"] == read_labels("out/instances/0.png").max()

    again = run(*[each for each in command if each != "--json"])  # is done already
    assert again.stdout.startswith("mine: 3 patches, 2 of them for training, with ")
    assert f"epoch 1 of round {result.said['kept']} kept, AJI " in again.stdout
    other = run(*command, "--seed", "1")
    assert other.exit_code == 2
    assert "mine must be empty or hold the same run" in other.stderr


@pytest.mark.slow
def test_a_folder_of_patches_needs_no_images(run, folder):
    result = run("fit", "--selected", folder, "--synthetic", "0", "--out", "mine", "--json", *SMALL)
    assert result.exit_code == 0, result.stderr
    assert "no unlabeled images: chosen has no choice.csv; no pseudo-labels are made" in result.stderr
    (told,) = result.said["rounds"]
    assert told["learned_from"] == {"real": 2, "synthetic": 0, "pseudo": 0}
    assert result.said["pseudo"] == []


def test_options_reach_the_config_and_images_the_rounds(run, folder, tissue, spy):
    tissue("more", 2, (64, 96), mpp=MPP)
    options = ["--net", "unet", "--synthetic", "3", "--rounds", "2", "--least-score", "0.4", "--epochs", "7", "--batch",
               "3", "--seed", "5", "--taxonomy", "glas", "--mpp", "0.5", "--validation", "0.4"]  # fmt: skip
    run("fit", "more", "--selected", folder, "--out", "mine", *options)
    assert names(spy["images"]) == ["0.png", "1.png", "2.png", "0.png", "1.png"]
    assert names(spy["annotations"][:3]) == ["0_mask.png", "1.png", "2.png"]
    assert spy["annotations"][3:] == [None, None]
    config, train = spy["config"], spy["config"].train
    assert (config.synthetic, config.rounds, config.min_score) == (3, 2, 0.4)
    assert (config.mpp, config.image_mpp, config.postprocess.grow_um) == (0.5, 0.5, 0.75)
    assert [each.name for each in config.taxonomies] == ["glas"]
    assert (train.epochs, train.batch_size, train.seed, train.validation) == (7, 3, 5, 0.4)
    assert train.crop_px == 64
    pixels = np.concatenate([read(path).reshape(-1, 3) for path in spy["images"]])
    assert config.normalization.mean == pytest.approx(pixels.mean(axis=0))
    run("fit", "more", "--selected", folder, "--rounds", "0", "--out", "mine", *SMALL)
    assert len(spy["images"]) == 3


@pytest.mark.parametrize(
    ("net", "width", "outputs"),
    [
        ("encoder-unet", 4, 3),
        ("unet", 4, 3),
        pytest.param("fullnet", 3, 3, marks=pytest.mark.slow),
        pytest.param("maskrcnn", 8, None, marks=pytest.mark.slow),
    ],
)
def test_every_net_fits_its_config(run, folder, spy, net, width, outputs):
    run("fit", "--selected", folder, "--net", net, "--out", "mine", "--mpp", "0.25", "--width", width)
    assert selected.segment(spy["net"], read(folder / "patches/0.png"), spy["config"]).instances.shape == (
        64,
        64,
    )
    if outputs:
        assert spy["net"].output_shape[-1] == len(spy["config"].classes) == outputs
    else:
        assert spy["config"].detector.width == width
    assert spy["config"].min_score == (0.65 if outputs else 0.4)


def table(folder, *images):
    rows = "".join(f"{number},x.png,{image}\n" for number, image in enumerate(images))
    (folder / "choice.csv").write_text(f"number,patch,image\n{rows}")


def test_existing_images_of_the_table_are_used_in_the_rounds(run, folder, tissue, spy):
    tissue("more", 2, (64, 96), mpp=MPP)
    Path("more/bad.png").write_text("no image")
    write(folder / "contact_sheet.png", np.zeros((9, 9, 3), np.uint8))
    write(folder / "embedding/seen.png", np.zeros((9, 9, 3), np.uint8))
    table(
        folder, "more/0.png", "more/0.png", "more/bad.png", "more/gone.png", "/dev/zero", "x" * 5000 + ".png"
    )
    result = run("fit", "--selected", folder, "--out", "mine", *SMALL)
    assert names(spy["images"]) == ["0.png", "1.png", "2.png", "0.png"]
    assert "3 of 5 images of chosen/choice.csv do not exist: give them or their folder" in result.stderr
    assert "left out: more/bad.png" in result.stderr
    assert "contact_sheet" not in result.stderr


@pytest.mark.parametrize("text", ["number,place\n1,a.png\n", "", "number,image\n1,gone.png\n", "\0\n1\n"])
def test_a_table_without_images_leaves_only_the_patches(run, folder, spy, text):
    (folder / "choice.csv").write_text(text)
    result = run("fit", "--selected", folder, "--out", "mine", *SMALL)
    assert len(spy["images"]) == 3
    assert "no unlabeled images: no pseudo-labels are made" in result.stderr


def test_a_table_that_cannot_be_read_is_named(run, folder, spy):
    (folder / "choice.csv").write_bytes(b"number,image\n1,\xff.png\n")
    result = run("fit", "--selected", folder, "--out", "mine", *SMALL)
    assert len(spy["images"]) == 3
    assert "choice.csv: cannot be read as a table of patches" in result.stderr


def test_patches_without_outlines_and_invalid_ones_are_left_out_and_named(run, folder, spy):
    write(folder / "patches/3.png", np.zeros((64, 64, 3), np.uint8))
    write(folder / "patches/4.png", np.zeros((64, 64, 3), np.uint8))
    write_labels(folder / "labels/4.png", np.eye(63, dtype=int))
    write(folder / "patches/5.png", np.zeros((32, 64, 3), np.uint8))
    write_labels(folder / "labels/5.png", np.ones((32, 64), int))
    result = run("fit", "--selected", folder, "--out", "mine", *SMALL)
    assert names(spy["images"]) == ["0.png", "1.png", "2.png"]
    assert "3.png: has no mask of its name" in result.stderr
    assert "4.png must have the size of its image" in result.stderr
    assert "5.png must be a patch that can be synthesized" in result.stderr
    run("fit", "--selected", folder, "--synthetic", "0", "--out", "mine", *SMALL)
    assert names(spy["images"]) == ["0.png", "1.png", "2.png", "5.png"]


def test_images_may_lie_among_the_patches(run, folder, spy):
    write(folder / "patches/3.png", np.zeros((64, 64, 3), np.uint8))
    result = run("fit", folder / "patches", "--selected", folder, "--out", "mine", *SMALL)
    assert names(spy["images"]) == ["0.png", "1.png", "2.png", "3.png"]
    assert [each is None for each in spy["annotations"]] == [False, False, False, True]
    assert "left out" not in result.stderr


def test_a_killed_selection_resumes(run, tissue, monkeypatch):
    tissue("images", 2, (96, 96), mpp=MPP)
    monkeypatch.setattr(
        selection, "select_patches", partial(selection.select_patches, side_px=64, stride_px=32)
    )
    Path("chosen/embedding").mkdir(parents=True)
    result = run("fit", "images", "--selected", "chosen", "--n", "2", "--out", "mine", *SMALL)
    assert result.exit_code == 0
    assert "now outline every nucleus of the patches in chosen/patches" in result.stdout
    assert len(list(Path("chosen/patches").iterdir())) == 2


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--selected", "nowhere"], "patches-missing"),
        (["nowhere", "--selected", "empty"], "images-missing"),
        (["--selected", "empty"], "patches-missing"),
        (["--selected", "chosen/patches/1.png"], "folder-missing"),
        (["--selected", "bare"], "patches-not-outlined"),
        (["--selected", "chosen", "--masks", "chosen"], "kind-ambiguous"),
        (["--selected", "chosen", "--stain", "macenko"], "option-of-other-kind"),
        (["--selected", "chosen", "--window", "8"], "option-of-other-kind"),
        (["--selected", "chosen", "--radius", "3"], "option-of-other-kind"),
        (["--masks", "chosen", "--synthetic", "0"], "option-of-other-kind"),
        (["--masks", "chosen", "--rounds", "0"], "option-of-other-kind"),
        (["--points", "chosen", "--n", "3"], "option-of-other-kind"),
        (["--selected", "chosen", "--net", "m2"], "net-unknown"),
        (["--selected", "chosen", "--width", "0.5"], "width-channels"),
        (["--selected", "chosen", "--out", "my net"], "out-name"),
        (["--selected", "chosen", "--taxonomy", "adp-func"], "taxonomy-classes"),
        (["--selected", "chosen", "--validation", "1"], "split-empty"),
        (["--selected", "bad", "more"], "no-patches-left"),
    ],
)  # fmt: skip
def test_invalid_data_is_an_error_before_any_training(run, folder, tissue, options, code):
    tissue("more", 1, (64, 64), mpp=MPP)
    write(Path("bare/a.png"), np.zeros((64, 64, 3), np.uint8))
    Path("empty").mkdir()
    Path("bad").mkdir()
    Path("bad/a.png").write_text("no image")
    write_labels("bad/a_mask.png", np.ones((64, 64), int))
    few = [each for each in QUICK if each not in ("--least-score", "0")]  # belongs to one kind only
    result = run("fit", *few, *(["--out", "mine"] if "--out" not in options else []), *options)
    assert (result.exit_code, result.code) == (2, code)
    assert not Path("mine").exists()
