"""Fitting from tags: it learns, it explains itself, and a run that was killed ends like one that was not."""

import json

import numpy as np
import pytest
from routing import changed

from hsn import InputError, models
from hsn.images.read import write
from hsn.nets import histonet
from hsn.supervision import open_model, segment, tags
from hsn.taxonomies import parse

TWO = parse({"name": "two", "classes": [{"name": "pink", "color": [230, 150, 180]},
                                        {"name": "blue", "color": [80, 60, 140]}]})  # fmt: skip


def patches(count, rng, side=24):
    """Patches with a pink left or a blue right half, or both: something that tags can teach."""
    tagged = rng.random((count, 2)) < 0.6
    tagged[~tagged.any(axis=1), 0] = True
    images = np.full((count, side, side, 3), 240, np.uint8)
    for image, (pink, blue) in zip(images, tagged, strict=True):
        at = rng.integers(4, side - 12, 2)
        if pink:
            image[at[0] : at[0] + 8, :8] = (230, 150, 180)
        if blue:
            image[at[1] : at[1] + 8, 12:20] = (80, 60, 140)
    return images + rng.integers(0, 9, images.shape, dtype=np.uint8), tagged


def config(**learning):
    numbers = {
        "epochs": 3,
        "batch_size": 8,
        "validation": 0.25,
        "crop_px": 24,
        "color_gain": 0.02,
        "color_offset": 2.0,
        **learning,
    }
    two = tags.Config(
        classes=TWO.names,
        thresholds=(0.5, 0.5),
        taxonomies=(TWO,),
        window_px=48,
        mpp=1,
        image_mpp=1,
        cam_layers=("activation_4", "dense_1"),
    )
    return changed(two, **numbers)


def net(seed=0):
    return histonet.m4(2, width=0.15, input_px=None, momentum=0.9, last_dropout=0.2, seed=seed)


def test_tags_teach_where_things_are(tmp_path, rng):
    images, tagged = patches(96, rng)
    history = tags.fit(net(), images, tagged, config(epochs=25), out=tmp_path / "taught")
    assert history.epochs[history.best]["validation_auc"] > 0.95
    image, _ = patches(1, rng)
    image[0, 8:16, :8], image[0, 8:16, 12:20] = (230, 150, 180), (80, 60, 140)
    result = segment(image[0], tmp_path / "taught")
    assert result.taxonomy.names == ("pink", "blue")
    left, right = result.probabilities[:, :10].sum(axis=(0, 1)), result.probabilities[:, 14:].sum(axis=(0, 1))
    assert left[0] > 3 * left[1]
    assert right[1] > 3 * right[0]


def test_the_folder_explains_itself(tmp_path, rng):
    images, tagged = patches(16, rng)
    history = tags.fit(net(), images, tagged, config(), out=tmp_path / "run")
    assert {"net.keras", "card.json", "config.json", "training"} <= {
        p.name for p in (tmp_path / "run").iterdir()
    }
    card = json.loads((tmp_path / "run/card.json").read_text())
    assert card["classes"] == ["pink", "blue"]
    assert card["scores"]["validation_loss"] == history.epochs[history.best]["validation_loss"]
    loaded = tags.Config.from_dict(models.load(tmp_path / "run").config)
    assert loaded.train == config().train
    assert card["thresholds"] == list(loaded.thresholds)
    assert {"epoch", "rate", "loss", "validation_loss", "validation_auc"} <= set(history.epochs[0])
    assert len(history.column("loss")) == 3


def test_a_killed_run_ends_like_one_that_was_not(tmp_path, rng, monkeypatch):
    images, tagged = patches(24, rng)
    whole = net()
    tags.fit(whole, images, tagged, config(epochs=4), out=tmp_path / "whole")

    from hsn.training import loop as learner

    keep, calls = learner._keep, []

    def killed(*arguments):
        keep(*arguments)
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(learner, "_keep", killed)
    with pytest.raises(KeyboardInterrupt):
        tags.fit(net(), images, tagged, config(epochs=4), out=tmp_path / "killed")
    monkeypatch.setattr(learner, "_keep", keep)
    resumed = net()
    history = tags.fit(resumed, images, tagged, config(epochs=4), out=tmp_path / "killed")
    assert [row["epoch"] for row in history.epochs] == [1, 2, 3, 4]
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_grid_of_tags_is_learned_with_what_lies_around_each_cell(tmp_path, rng):
    images, _ = patches(24, rng, side=48)
    grids = rng.random((24, 3, 3, 2)) < 0.5
    numbers = {"crop_px": 48, "cell_px": 16, "cell_stride_px": 16, "epochs": 2}
    classifier = net()
    before = classifier.get_weights()[0].copy()
    history = tags.fit(classifier, images, grids, config(**numbers), out=tmp_path)
    assert len(history.epochs) == 2
    assert (classifier.get_weights()[0] != before).any()
    assert models.load(tmp_path).net.output_shape == (None, 2)


@pytest.mark.parametrize(
    ("grid", "numbers", "words"),
    [
        ((3, 3), {}, "a grid of tags needs its sizes"),
        (
            (2, 3),
            {"cell_px": 16, "cell_stride_px": 16},
            r"does not cover the patch; expected 3 x 3 cells for 48 px",
        ),
        ((3, 3), {"cell_px": 16, "cell_stride_px": 16, "shift_px": 2}, "a grid of tags cannot be shifted"),
    ],
)
def test_grids_that_do_not_fit_are_refused(tmp_path, rng, grid, numbers, words):
    images, _ = patches(4, rng, side=48)
    with pytest.raises(InputError, match=words):
        tags.fit(net(), images, np.ones((4, *grid, 2)), config(crop_px=48, **numbers), out=tmp_path / "run")


def test_a_run_of_another_net_is_not_continued(tmp_path, rng, raises_code):
    images, tagged = patches(16, rng)
    tags.fit(net(), images, tagged, config(epochs=1), out=tmp_path)
    other = histonet.m4(2, width=0.3, input_px=None)
    with raises_code("run-other"):
        tags.fit(other, images, tagged, config(epochs=2), out=tmp_path)


def test_patches_may_be_files_of_any_size(tmp_path, rng):
    images, tagged = patches(12, rng, side=30)
    for k, image in enumerate(images):
        write(tmp_path / f"{k}.png", image)
    history = tags.fit(
        net(), [tmp_path / f"{k}.png" for k in range(12)], tagged, config(epochs=1), out=tmp_path / "o"
    )
    assert len(history.epochs) == 1


def test_unknown_tags_teach_nothing(rng):
    tagged = np.array([[1, np.nan], [np.nan, 0]])
    of = tags.make_loss(config())
    blank = np.zeros((1, 1, 3), np.uint8)
    target, weight = (
        np.array(x) for x in zip(*[tags.make_targets(blank, t, config()) for t in tagged], strict=True)
    )
    right = np.array([[0.9, 0.1], [0.5, 0.2]], np.float32)
    other = np.array([[0.9, 0.8], [0.1, 0.2]], np.float32)
    assert float(of(target, right, weight, None)) == pytest.approx(float(of(target, other, weight, None)))


@pytest.mark.parametrize(
    ("count", "tagged", "learning", "words"),
    [
        (3, np.ones((2, 2)), {}, "one entry for each of the 3 `images`; got 2"),
        (
            2,
            np.ones((2, 3)),
            {},
            r"tags must be one per class; expected 2 for pink, blue, received shape \(3,\)",
        ),
        (2, np.full((2, 2), 0.5), {}, "a tag says yes or no"),
        (2, np.ones((2, 2)), {"validation": (0, 1)}, "images must remain to learn from"),
        (2, np.ones((2, 2)), {"validation": (5,)}, "images must remain"),
        (1, np.ones((1, 2)), {}, "images must remain"),
    ],
)
def test_annotations_that_cannot_be_used_are_refused(tmp_path, count, tagged, learning, words, rng):
    images, _ = patches(count, rng)
    with pytest.raises(InputError, match=words):
        tags.fit(net(), images, tagged, config(**learning), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_loaded_model_is_kept_until_its_folder_changes(tmp_path, rng):
    images, tagged = patches(12, rng)
    tags.fit(net(), images, tagged, config(epochs=1), out=tmp_path / "run")
    first = open_model(tmp_path / "run")
    assert open_model(tmp_path / "run") is first
    tags.fit(net(), images, tagged, config(epochs=2), out=tmp_path / "run")
    assert open_model(tmp_path / "run") is not first
