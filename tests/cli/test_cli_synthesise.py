"""`hsn synthesize`: files in, files out; the training itself is tested elsewhere."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from hsn.annotations.label_files import write_labels
from hsn.extras.singan.synthesis import Pairs
from hsn.images.read import read, write
from hsn.progress import report


@pytest.fixture
def patch(rng):
    write("patch.png", rng.integers(0, 256, (40, 56, 3), np.uint8))
    instances = np.zeros((40, 56), int)
    instances[8:20, 10:25] = 300
    write_labels("mask.png", instances)
    return ["patch.png", "mask.png"]


@pytest.fixture
def spy(monkeypatch):
    """What is asked for; two pairs come back."""
    asked = {}

    def paint(image, instances, *, progress, **options):
        asked.update(image=image, instances=instances, **options)
        layout = np.zeros((2, 40, 56), np.int32)
        layout[0, :20], layout[1, :10], layout[1, 30:] = 1, 1, 2
        pairs = Pairs(np.zeros((2, 40, 56, 3), np.uint8), layout)
        for what, done, total in (("scale 1 of 1", 1, 2), ("scale 1 of 1", 2, 2), ("painting", 2, 2)):
            report(progress, what, done, total, preview=lambda: pairs)
        return pairs

    monkeypatch.setattr(import_module("hsn.extras.singan.synthesis"), "synthesize", paint)
    return asked


def test_a_patch_and_its_mask_become_pairs(run, patch, spy):
    result = run("synthesize", *patch, "--n", 7, "--out", "mine", "--json")
    assert result.exit_code == 0
    assert result.said == {"pairs": 2, "nuclei": 3, "covered": 0.5, "folder": "mine/pairs",
                           "preview": "mine/preview.png"}  # fmt: skip
    assert (spy["image"] == read("patch.png")).all()
    assert spy["instances"].max() == 300
    assert {key: spy[key] for key in ("out", "preset", "count", "seed", "mode", "max_overlap")} == {
        "out": Path("mine"), "preset": "quick", "count": 7, "seed": 0, "mode": "repaired", "max_overlap": 0.1,
    }  # fmt: skip
    assert read("mine/preview.png").shape[2] == 3


def test_options_reach_the_synthesis(run, patch, spy):
    options = ["--preset", "paper", "--seed", 3, "--mode", "released", "--max-overlap", 0.3]
    assert run("synthesize", *patch, *options).stdout.startswith(
        "2 pairs with 3 nuclei, 50 % of the area -> out/pairs"
    )
    assert [spy[key] for key in ("preset", "seed", "mode", "max_overlap")] == ["paper", 3, "released", 0.3]


def test_previews_are_drawn_at_the_end_of_a_scale_and_at_intervals(run, patch, spy, monkeypatch):
    from hsn.cli import synthesize as command

    drawn = []
    monkeypatch.setattr(command._Preview, "_draw", lambda self, now, title: drawn.append(title))
    monkeypatch.setattr(command, "PREVIEW_EVERY", 1)
    run("synthesize", *patch)
    assert drawn == ["scale 1 of 1, 1 of 2", "scale 1 of 1, 2 of 2", "painting, 2 of 2"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["none.png", "mask.png"], "none.png must be a file that can be read"),
        (["patch.png", "none.png"], "none.png must be a file that can be read"),
        (["patch.png", "patch.png"], "must store one number per pixel"),
        (["patch.png", "small.png"], "must have the size of its image"),
    ],
)
def test_wrong_files_give_one_sentence(run, patch, change, words):
    write_labels("small.png", np.eye(9, dtype=int))
    result = run("synthesize", *change, "--out", "mine")
    assert result.exit_code == 2
    assert words in result.stderr
    assert not Path("mine").exists()


def test_wrong_options_are_errors_before_the_training(run, patch):
    for options in (["--preset", "huge"], ["--n", 0], ["--preset", "paper"]):
        result = run("synthesize", *patch, *options, "--out", "mine")
        assert result.exit_code == 2
        assert result.code is not None
        assert not Path("mine").exists()
