"""From a folder of images with QuPath clicks to segmented images."""

import json
import time
from pathlib import Path

import pytest

import hsn
from hsn.annotations import points as point_files
from hsn.annotations.label_files import write_labels
from hsn.annotations.sampling import points_from_instances
from hsn.cli import progress as cli_progress
from hsn.progress import Event
from hsn.supervision.points import setup

MPP = 0.5
QUICK = ["--mpp", MPP, "--epochs", 1, "--width", 2, "--batch-size", 2, "--validation", 0.34]


@pytest.fixture
def study(monkeypatch, tissue):
    """Three images with clicks as GeoJSON beside them, and a net that learns for two steps."""
    config = setup.PRESETS["cpu"]()
    config = config.replace(tiling={"tile_px": 64, "halo_px": 16}, train={"steps": 1}, rounds=0)
    monkeypatch.setitem(setup.PRESETS, "cpu", lambda: config)
    for k, drawn in enumerate(tissue("study", 3, (48, 64), mpp=MPP)):
        clicks = points_from_instances(drawn.instances, place="inside")[:6]
        point_files.write(f"study/{k}.geojson", clicks, labels=["nucleus"] * len(clicks))
    return Path("study")


@pytest.mark.slow
def test_from_clicks_to_segmented_images(run, study):
    result = run("fit", study, "--out", "mine", *QUICK)
    assert result.exit_code == 0, result.stderr
    assert "hsn: found 3 images with points\n" in result.stderr
    assert "mine: " in result.stdout
    assert run("segment", study, "--model", "mine", "--mpp", MPP, "--out", "results").exit_code == 0
    assert len(list(Path("results/instances").iterdir())) == 3


@pytest.fixture
def outlined(tissue):
    """Three images with label images beside them."""
    for k, drawn in enumerate(tissue("outlined", 3, (48, 64), mpp=MPP)):
        write_labels(f"outlined/{k}_mask.png", drawn.instances)
    return Path("outlined")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:masks without an object")
def test_the_same_in_three_lines_of_python_from_masks(outlined):
    model = hsn.fit("outlined", mpp=MPP, out="mine", epochs=1, width=2, batch_size=2, validation=0.34)
    rows = hsn.segment(["outlined/0.png", "outlined/1.png"], model, mpp=MPP, out="results")
    assert [row["status"] for row in rows] == ["done"] * 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:masks without an object")
def test_a_net_starts_from_another_one(run, outlined):
    (outlined / "0_mask.png").unlink()
    with pytest.raises(UserWarning, match=r"1 files are left out: outlined/0.png: has no mask of its name"):
        hsn.fit(outlined, mpp=MPP, out="first", epochs=1, net="unet", width=2, validation=0.5)
    result = run("fit", outlined, "--out", "second", "--start", "first", "--net", "unet", *QUICK)
    assert result.exit_code == 1  # one image has no masks
    assert "started from first: weights of" in result.stderr
    result = run("fit", outlined, "--out", "third", "--start", "glas-tags", "--net", "unet", *QUICK)
    assert (result.exit_code, result.code) == (2, "start-mismatch")
    assert run("fit", outlined, "--out", "third", "--start", "nowhere", *QUICK).code == "model-unknown"


@pytest.mark.parametrize(("command", "said"), [("fit", "the same command resumes"), ("doctor", "stopped")])
def test_ctrl_c_is_one_sentence_and_exit_code_130(run, monkeypatch, command, said):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("hsn.workflows.fitting.prepare", stop)
    monkeypatch.setattr("hsn.cli.doctor.start_keras", stop)
    result = run(command, *(["study", "--out", "mine", *QUICK] if command == "fit" else []))
    assert result.exit_code == 130
    (line,) = result.stderr.splitlines()
    assert said in line


def test_progress_goes_to_a_file_as_lines_of_json(tmp_path, monkeypatch):
    monkeypatch.setattr(cli_progress, "FILE_EVERY_S", 0.0)
    path = tmp_path / "logs" / "progress.jsonl"
    with cli_progress.progress_display(quiet=True, file=path) as show:
        show(Event("training", 0, 4))
        show(Event("training", 1, 4, {"epoch": 1, "step": 1, "loss": float("nan")}))
    first, last = (json.loads(line) for line in path.read_text().splitlines())
    assert (first["stage"], first["done"], first["total"], first["eta_s"]) == ("training", 0, 4, None)
    assert (last["epoch"], last["loss"]) == (1, None)
    assert last["eta_s"] >= 0


def test_progress_files_get_one_line_a_second_at_most_and_the_last_event(tmp_path):
    with cli_progress.progress_display(quiet=True, file=tmp_path / "p") as show:
        for done in range(100):
            show(Event("training", done, 100))
    lines = (tmp_path / "p").read_text().splitlines()
    assert len(lines) <= 3
    assert json.loads(lines[-1])["done"] == 99


def test_without_a_terminal_progress_is_plain_lines(capsys, monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    with cli_progress.progress_display() as show:
        for done in range(12):
            show(Event("training", done, 12, {"epoch": 1, "loss": 0.5}))
    lines = capsys.readouterr().err.splitlines()
    assert 0 < len(lines) < 6
    assert lines[0].startswith("hsn: training ")
    assert "epoch 1, loss 0.5" in lines[0]


def test_the_remaining_time_leaves_out_the_first_step_which_compiles_the_net(monkeypatch):
    times = iter([0.0, 30.0, 32.0, 34.0, 40.0, 43.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(times))
    pace = cli_progress._Pace()
    training = [pace.eta_s(Event("training", done, 10)) for done in range(4)]
    assert training == [None, 270.0, 16.0, 14.0]
    assert [pace.eta_s(Event("reading", done, 2)) for done in (0, 1)] == [None, 3.0]


def test_a_folder_of_an_unfinished_training_is_not_a_model(study, raises_code):
    Path("mine").mkdir()
    with raises_code("file-unreadable"):
        hsn.segment([study / "0.png"], "mine", out="results")
