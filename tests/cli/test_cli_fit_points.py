"""`hsn fit --points`: a folder of images and clicks gives a trained folder that segments nuclei."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from hsn.annotations import points as point_files
from hsn.annotations.label_files import read_labels, write_labels
from hsn.annotations.sampling import points_from_instances
from hsn.images.read import read, write
from hsn.nets import resunet, segmenters
from hsn.supervision import points
from hsn.supervision.points import setup

MPP = 0.5
QUICK = ["--width", "2", "--epochs", "1", "--batch", "2", "--mpp", str(MPP), "--validation", "0.25"]


@pytest.fixture
def folder(monkeypatch, tissue):
    """Four images of drawn tissue with clicks: two as CSV beside the images, GeoJSON, and a point image."""
    monkeypatch.setitem(setup.PRESETS, "cpu", lambda: _short(QUICKEST))
    shallow = {"encoder_stride": 4, "decoder": (4,)}  # four deep nets take minutes to trace
    monkeypatch.setattr(segmenters, "ENCODER_UNET", shallow)
    for k, drawn in enumerate(tissue("clicks/images", 4, (64, 96), mpp=MPP)):
        clicks = points_from_instances(drawn.instances, place="inside")[:8]
        if k < 2:
            point_files.write(f"clicks/images/{k}.csv", clicks)
        if k == 2:
            point_files.write("clicks/2.geojson", clicks, labels=["nucleus"] * len(clicks))
    marks = np.zeros((64, 96), int)
    marks[tuple(point_files.to_pixels(clicks, marks.shape).T)] = 255
    write_labels(Path("clicks/points/3.png"), marks)
    return Path("clicks")


QUICKEST = points.preset("cpu")


def _short(config):
    """Shorten the preset "cpu" to one step per epoch."""
    return config.replace(tiling={"tile_px": 64, "halo_px": 16}, train={"steps": 1}, rounds=1)


@pytest.fixture
def spy(spy_on):
    return spy_on(points)


def test_a_folder_becomes_a_net_that_numbers_nuclei(run, folder):
    write(folder / "images/lonely.png", np.zeros((64, 96, 3), np.uint8))
    result = run("fit", "--points", folder, "--out", "mine", "--json", *QUICK)
    assert result.exit_code == 1
    assert result.stderr.endswith("lonely.png: has no points of its name\nhsn: 1 failed, named above\n")
    assert result.said["images"] == 4
    assert result.said["clicked"] == sum(
        len(point_files.read(path))
        for path in (*folder.rglob("*.csv"), folder / "2.geojson", folder / "points/3.png")
    )
    assert result.said["found"] >= 0
    assert [set(scores) for scores in result.said["detection"]] == [{"threshold", "validation_loss"}] * 2
    assert "validation_loss" in result.said["best"]
    assert all(Path(f).is_file() for f in result.said["files"])
    assert read("mine/learning.png").ndim == read("mine/detection/round-1/learning.png").ndim == 3
    card, config = (json.loads(Path(f"mine/{name}.json").read_text()) for name in ("card", "config"))
    assert (card["method"], card["name"]) == ("points", "mine")
    assert config["image_mpp"] == MPP
    pretrained = segmenters.pretrained_normalization("encoder-unet")
    assert {name: tuple(config["normalization"][name]) for name in pretrained} == pretrained
    assert config["train"]["crop_px"] == 128
    assert "hsn segment --model" in Path("mine/training/README.md").read_text()
    (one,) = run("segment", folder / "images/0.png", "--model", "mine", "--json").said
    assert one["objects"] == read_labels("out/instances/0.png").max()

    again = run("fit", "--points", folder, "--out", "mine", *QUICK)  # is done already
    assert (
        f"mine: {result.said['clicked']} clicks, {result.said['found']} more nuclei found; epoch"
        in again.stdout
    )
    other = run("fit", "--points", folder, "--out", "mine", "--seed", "1", *QUICK)
    assert other.exit_code == 2
    assert "mine must be empty or hold the same run" in other.stderr


@pytest.mark.slow
def test_a_finished_stage_is_skipped(run, folder):
    first = run("fit", "--points", folder, "--complete", "--out", "first", "--json", *QUICK)
    assert first.exit_code == 0, first.stderr
    assert (first.said["detection"], first.said["found"]) == ([], 0)
    assert not Path("first/detection").exists()
    second = run("fit", "--points", folder, "--labels", "first/labels", "--out", "second", "--json", *QUICK)
    assert second.exit_code == 0, second.stderr
    assert second.said["detection"] == []
    assert not Path("second/labels").exists()
    assert second.said["epochs"] == first.said["epochs"]  # the same labels, the same seed


def test_options_reach_the_config(run, folder, spy):
    options = [
        "--rounds",
        "3",
        "--radius",
        "5.5",
        "--seed",
        "5",
        "--mpp",
        "0.25",
        "--epochs",
        "12",
        "--batch",
        "3",
    ]
    assert run("fit", "--points", folder, "--out", "mine", *options).exit_code == 2
    config = spy["config"]
    assert (config.radius_um, config.image_mpp, config.mpp) == (5.5, 0.25, 0.25)
    assert (config.rounds, config.train.seed, config.train.validation) == (3, 5, 0.2)
    epochs = config.detection_epochs, config.train.epochs, config.refinement_epochs, config.object_epochs
    assert epochs == (10, 12, 0, 14)
    assert (config.detection_batch_size, config.train.batch_size, config.train.crop_px) == (3, 3, 64)
    assert spy["net"].output_shape[-1] == 3


def test_the_net_of_the_first_edition_has_its_own_preset(run, folder, spy):
    result = run(
        "fit", "--points", folder, "--out", "mine", "--mpp", "0.5", "--net", "resunet18", "--width", "2"
    )
    assert result.exit_code == 2
    config, expected = spy["config"], points.preset("resunet18")
    same = {name: getattr(config, name) for name in ("mpp", "rounds", "crf_weight", "classes", "postprocess")}
    assert same == {name: getattr(expected, name) for name in same}
    pixels = np.concatenate([read(folder / f"images/{k}.png").reshape(-1, 3) for k in range(4)])
    assert config.normalization.mean == pytest.approx(tuple(pixels.mean(axis=0)))
    assert (spy["net"].name, spy["net"].output_shape[-1]) == ("resunet", 2)


def test_known_background_reaches_the_training(run, folder, spy):
    Path("ground").mkdir()
    mask = np.zeros((64, 96), int)
    mask[:5] = 255
    write_labels("ground/1.png", mask)
    assert run("fit", "--points", folder, "--background", "ground", "--out", "mine", *QUICK).exit_code == 2
    assert [given.background is None for given in spy["annotations"]] == [True, False, True, True]
    assert spy["annotations"][1].background == Path("ground/1.png")


def test_a_pretrained_encoder_is_loaded(run, folder, spy):
    known = resunet.build(1, depth=18, width=4, seed=3)
    np.savez("encoder.npz", **_encoder_of(known))
    assert run("fit", "--points", folder, "--encoder", "encoder.npz", "--out", "mine", "--mpp", "0.5",
               "--width", "4").exit_code == 2  # fmt: skip
    ours, theirs = (net.get_layer("layer2-0-conv1").get_weights()[0] for net in (spy["net"], known))
    assert (ours == theirs).all()


def test_clicks_can_be_chosen_by_class(run, folder, spy):
    for name in ("0.csv", "1.csv"):
        (folder / "images" / name).unlink()
    (folder / "points/3.png").unlink()
    run("fit", "--points", folder, "--label", "nucleus", "--out", "mine", *QUICK)
    assert [path.stem for path in spy["images"]] == ["2"]
    result = run("fit", "--points", folder, "--label", "tumour", "--out", "mine", *QUICK)
    assert "2.geojson: 'nucleus'; got 'tumour'" in result.stderr


def test_invalid_files_are_left_out_and_named(run, folder, spy):
    (folder / "images/0.csv").write_text("x,y\n10,80\n")  # rows and columns exchanged
    (folder / "images/1.csv").write_text("x,y\n10,ten\n")
    result = run("fit", "--points", folder, "--out", "mine", *QUICK)
    assert [path.stem for path in spy["images"]] == ["2", "3"]
    assert "0.csv must be (row, col) within the image" in result.stderr
    assert "x and y are exchanged, so swap the columns" in result.stderr
    assert "1.csv, line 2, must have numbers x and y; got '10,ten'" in result.stderr


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--points", "clicks", "--tags", "names"], "kind-ambiguous"),
        (["elsewhere", "--points", "clicks"], "images-elsewhere"),
        (["--points", "clicks", "--window", "8"], "option-of-other-kind"),
        (["clicks", "--tags", "names", "--radius", "3"], "option-of-other-kind"),
        (["--masks", "clicks", "--complete"], "option-of-other-kind"),
        (["--points", "clicks", "--net", "unet"], "net-unknown"),
        (["--points", "clicks", "--width", "3", "--net", "resunet18"], "width-channels"),
        (["--points", "clicks", "--radius", "0"], "radius-um-positive"),
        (["--points", "clicks", "--complete", "--rounds", "1"], "complete-rounds"),
        (["--points", "clicks", "--background", "no"], "background-folder"),
        (["--points", "clicks", "--labels", "clicks/points"], "no-images-left"),
        (["--points", "clicks", "--encoder", "no.npz"], "weights-damaged"),
        (["--points", "clicks", "--encoder", "no.npz", "--net", "encoder-unet"], "encoder-net"),
        (["--points", "clicks", "--out", "my net"], "out-name"),
        (["--points", "clicks/points"], "pairs-missing"),
        (["--points", "nowhere"], "folder-missing"),
        (["--points", "clicks", "--taxonomy", "adp-func"], "taxonomy-classes"),
    ],
)  # fmt: skip
def test_invalid_data_is_an_error_before_any_training(run, folder, options, code):
    if "--labels" in options:  # of the other three images there are none
        for name in ("0", "1", "2"):
            (folder / "images" / f"{name}.png").unlink()
    result = run("fit", *QUICK, *(["--out", "mine"] if "--out" not in options else []), *options)
    assert (result.exit_code, result.code) == (2, code)
    assert not Path("mine").exists()


def _encoder_of(net):
    """The encoder's weights by torchvision's names."""
    parts = {"kernel": "weight", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
             "moving_variance": "running_var"}  # fmt: skip
    state = {}
    for layer in resunet.extract_encoder(net).layers:
        name = layer.name.replace("-", ".")  # torch's dots cannot be part of a Keras layer's name on torch
        for variable in layer.weights:
            array = keras.ops.convert_to_numpy(variable)
            state[f"{name}.{parts[variable.name]}"] = (
                array.transpose(3, 2, 0, 1) if array.ndim == 4 else array
            )
    return state
