"""Synthesis: pairs of a patch, also after an interruption; invalid input raises."""

import json
from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest

from hsn import InputError
from hsn.annotations import mask_files
from hsn.data import synthetic
from hsn.extras.singan import presets as synthesis_presets
from hsn.extras.singan.folder import SynthesisFolder
from hsn.extras.singan.presets import Preset
from hsn.extras.singan.synthesis import synthesize
from hsn.images.read import read
from hsn.objects.layouts import extract_nuclei, sample_layouts

TINY = Preset(
    smallest_px=24, filters=(2, 2), critic_norm=False, steps=2, critic_steps=1, layouts=2, crop_px=20
)


class Killed(Exception):  # noqa: N818 - what a run is
    """As if the machine had been switched off."""


@pytest.fixture(scope="module")
def patch():
    drawn = synthetic.draw_tissue(0, (48, 48), mpp=2.0)
    instances = np.zeros((48, 48), int)
    rows, columns = np.mgrid[:48, :48]
    for number, (row, column) in enumerate([(14, 14), (30, 33), (34, 12)], 5):
        instances[(rows - row) ** 2 + (columns - column) ** 2 <= 16] = number
    return drawn.image, instances


@pytest.fixture(scope="module")
def whole(patch, tmp_path_factory):
    """An uninterrupted run: folder, pairs, and its events."""
    folder, events = tmp_path_factory.mktemp("synthesis") / "whole", []

    def record(now):
        events.append((now.stage, now.done, now.total, [array.shape for array in now.values["preview"]()]))

    return folder, synthesize(*patch, out=folder, preset=TINY, count=3, seed=1, progress=record), events


@pytest.mark.slow
def test_pairs_are_layouts_of_the_patch_and_are_written_for_training(whole, patch):
    folder, pairs, _ = whole
    assert (pairs.images.shape, pairs.images.dtype) == ((3, 48, 48, 3), np.uint8)
    assert (pairs.instances == sample_layouts(extract_nuclei(patch[1]), (48, 48), count=3, seed=1)).all()
    found = mask_files.pair(folder / "pairs")
    assert not found.alone
    for k, (image, labels) in enumerate(zip(found.images, found.annotations, strict=True)):
        assert (read(image) == pairs.images[k]).all()
        assert (mask_files.read(labels, (48, 48)) == pairs.instances[k]).all()


def test_about_json_describes_the_folder(whole, patch):
    folder, _, _ = whole
    about = json.loads((folder / "about.json").read_text())
    assert about["what"].startswith("Synthetic pairs of hsn")
    assert about["patch"]["nuclei"] == 3
    assert (about["seed"], about["mode"], about["preset"]["steps"]) == (1, "repaired", 2)
    assert [rows[-1]["step"] for rows in about["learned"]] == [2, 2]
    assert about["amplitudes"][0] == 1 > about["amplitudes"][1] > 0
    assert (read(folder / "patch" / "image.png") == patch[0]).all()
    assert sorted(path.name for path in (folder / "generators").iterdir()) == ["0.keras", "1.keras"]
    assert not (folder / "state").exists()


def test_progress_is_reported_with_previews(whole):
    _, _, events = whole
    assert [(what, done, total) for what, done, total, _ in events] == [
        *(("scale 1 of 2", k, 2) for k in range(3)), *(("scale 2 of 2", k, 2) for k in range(3)),
        *(("painting", k, 3) for k in (1, 2, 3)),
    ]  # fmt: skip
    assert events[0][3] == [(2, 24, 24, 3), (2, 24, 24)]
    assert events[5][3] == [(2, 48, 48, 3), (2, 48, 48)]
    assert events[-1][3] == [(3, 48, 48, 3), (3, 48, 48)]


def test_a_finished_folder_generates_more_pairs(whole, patch):
    folder, pairs, _ = whole
    events = []
    more = synthesize(*patch, out=folder, preset=TINY, count=4, seed=1, progress=events.append)
    assert {now.stage for now in events} == {"painting"}
    assert (more.images[:3] == pairs.images).all()
    assert (folder / "pairs" / "images" / "003.png").exists()


@pytest.mark.slow
@pytest.mark.parametrize("last", [("scale 1 of 2", 1), ("scale 2 of 2", 1), ("scale 2 of 2", 2)])
def test_a_killed_run_continues_to_the_same_result(whole, patch, tmp_path, monkeypatch, last):
    monkeypatch.setattr(import_module("hsn.extras.singan.synthesis"), "SAVE_EVERY", 1)

    def kill(now):
        if (now.stage, now.done) == last:
            raise Killed

    options = {"out": tmp_path / "mine", "preset": TINY, "count": 3, "seed": 1}
    with pytest.raises(Killed):
        synthesize(*patch, **options, progress=kill)
    pairs = synthesize(*patch, **options)
    assert abs(pairs.images.astype(int) - whole[1].images).max() <= 1


@pytest.mark.slow
def test_the_released_mode_uses_its_own_layouts(patch, tmp_path):
    tiny = replace(TINY, critic_norm=True, crop_px=0)
    pairs = synthesize(*patch, out=tmp_path / "mine", preset=tiny, count=2, seed=1, mode="released")
    expected = sample_layouts(extract_nuclei(patch[1]), (48, 48), count=2, seed=1, mode="released")
    assert (pairs.instances == expected).all()


def test_a_folder_of_another_patch_or_other_settings_raises(whole, patch):
    image, instances = patch
    for options, what in (({"seed": 2}, "seed"), ({"max_overlap": 0.3}, "max_overlap"),
                          ({"preset": replace(TINY, steps=3)}, "preset"), ({"mode": "released"}, "mode")):  # fmt: skip
        given = {"out": whole[0], "preset": TINY, "seed": 1} | options
        with pytest.raises(InputError, match=f"other {what};") as error:
            synthesize(image, instances, **given)
        assert error.value.code == "singan-other-run"
    with pytest.raises(InputError, match="other patch;"):
        synthesize(255 - image, instances, out=whole[0], preset=TINY, seed=1)


@pytest.mark.parametrize("content", [None, "{", "[]", '{"what": "a diary"}'])
def test_a_folder_with_other_files_raises(patch, tmp_path, content):
    (tmp_path / "notes.txt").write_text("mine")
    if content is not None:
        (tmp_path / "about.json").write_text(content)
    with pytest.raises(InputError) as error:
        synthesize(*patch, out=tmp_path, preset=TINY)
    assert error.value.code in ("singan-folder-not-empty", "singan-other-run")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_damaged_folders_raise(patch, tmp_path, raises_code):
    folder, pyramid = (
        SynthesisFolder(tmp_path / "mine", *patch, {}),
        SimpleNamespace(scales=[SimpleNamespace()]),
    )
    folder.about["amplitudes"] = [1.0, 2.0]
    with raises_code("singan-about-damaged"):
        folder.load_generators(pyramid)
    folder.about["amplitudes"] = [1.0]
    (tmp_path / "mine" / "generators").mkdir()
    (tmp_path / "mine" / "generators" / "0.keras").write_bytes(b"no zip")
    with pytest.raises(InputError, match=r"0\.keras"):
        folder.load_generators(pyramid)


@pytest.mark.parametrize(
    "numbers", [{"smallest_px": 10}, {"crop_px": 5}, {"steps": 0}, {"batch": 0}, {"filters": (4, 0)}]
)
def test_too_small_presets_raise(numbers, raises_code):
    with raises_code("singan-preset-invalid"):
        Preset(**numbers)


def test_the_paper_preset_has_the_published_numbers():
    paper = synthesis_presets.paper()
    assert (paper.smallest_px, paper.filters) == (128, (32, 32, 32, 32, 64))
    assert (paper.steps, paper.critic_steps, paper.layouts, paper.batch, paper.crop_px) == (
        25_000,
        3,
        50,
        1,
        0,
    )
    assert (paper.rate, paper.betas, paper.epsilon) == (5e-4, (0.5, 0.999), 1e-8)
    assert (paper.penalty, paper.reconstruction, paper.noise) == (0.1, 10, 0.1)
    assert synthesis_presets.quick().steps < 1000


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"preset": "huge"}, "preset-unknown"),
        ({"count": 0}, "synthesis-numbers"),
        ({"mode": "mended"}, "mode-unknown"),
        ({"seed": -1}, "synthesis-numbers"),
        ({"max_overlap": 2}, "layout-invalid"),
        ({"image": np.zeros((48, 48), np.uint8)}, "image-dtype"),
        ({"instances": np.zeros((48, 40), int)}, "shape-mismatch"),
        ({"instances": np.zeros((48, 48), int)}, "no-whole-nucleus"),
        ({"instances": np.full((48, 48), 0.5)}, "label-image-invalid"),
    ],
)
def test_invalid_arguments_raise_input_errors(patch, tmp_path, options, code, raises_code):
    image, instances = patch
    given = {"image": image, "instances": instances, "preset": TINY, "out": tmp_path / "mine"} | options
    with raises_code(code):
        synthesize(given.pop("image"), given.pop("instances"), **given)
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("sides", [(20, 48), (48, 600)])
def test_patches_of_unsupported_sizes_raise(sides, tmp_path, raises_code):
    with raises_code("patch-size-unsupported"):
        synthesize(np.zeros((*sides, 3), np.uint8), np.zeros(sides, int), out=tmp_path, preset=TINY)
