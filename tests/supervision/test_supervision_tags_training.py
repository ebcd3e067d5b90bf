"""Training from tags: accuracy, the trained folder, continued runs, grids of tags, and invalid input."""

import json

import numpy as np
import pytest
from routing import changed

from hsn import models
from hsn.images.read import write
from hsn.nets import histonet
from hsn.supervision import open_model, segment, tags
from hsn.taxonomies import parse

TWO = parse({"name": "two", "classes": [{"name": "pink", "color": [230, 150, 180]},
                                        {"name": "blue", "color": [80, 60, 140]}]})  # fmt: skip


def patches(count, rng, side=24):
    """Draw patches with a pink square on the left, a blue one on the right, or both."""
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


@pytest.mark.slow
def test_a_net_trained_on_tags_finds_the_classes(tmp_path, rng):
    images, tagged = patches(96, rng)
    history = tags.fit(net(), images, tagged, config(epochs=25), out=tmp_path / "model")
    assert history.epochs[history.best]["validation_auc"] > 0.95
    image, _ = patches(1, rng)
    image[0, 8:16, :8], image[0, 8:16, 12:20] = (230, 150, 180), (80, 60, 140)
    result = segment(image[0], tmp_path / "model")
    assert result.taxonomy.names == ("pink", "blue")
    left, right = result.probabilities[:, :10].sum(axis=(0, 1)), result.probabilities[:, 14:].sum(axis=(0, 1))
    assert left[0] > 3 * left[1]
    assert right[1] > 3 * right[0]


def test_the_trained_folder_has_card_config_and_history(tmp_path, rng):
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


@pytest.mark.slow
def test_a_killed_run_ends_with_the_weights_of_an_uninterrupted_one(tmp_path, rng, monkeypatch):
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


def test_a_net_trains_on_grids_of_tags(tmp_path, rng):
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
    ("grid", "numbers"),
    [
        ((3, 3), {}),
        ((2, 3), {"cell_px": 16, "cell_stride_px": 16}),
        ((3, 3), {"cell_px": 16, "cell_stride_px": 16, "shift_px": 2}),
    ],
)
def test_grids_that_do_not_fit_are_an_error(tmp_path, rng, grid, numbers, raises_code):
    images, _ = patches(4, rng, side=48)
    with raises_code("tags-grid"):
        tags.fit(net(), images, np.ones((4, *grid, 2)), config(crop_px=48, **numbers), out=tmp_path / "run")


def test_a_run_of_another_net_is_not_continued(tmp_path, rng, raises_code):
    images, tagged = patches(16, rng)
    tags.fit(net(), images, tagged, config(epochs=1), out=tmp_path)
    other = histonet.m4(2, width=0.3, input_px=None)
    with raises_code("run-other"):
        tags.fit(other, images, tagged, config(epochs=2), out=tmp_path)


def test_patches_may_be_files_of_another_size(tmp_path, rng):
    images, tagged = patches(12, rng, side=30)
    for k, image in enumerate(images):
        write(tmp_path / f"{k}.png", image)
    history = tags.fit(
        net(), [tmp_path / f"{k}.png" for k in range(12)], tagged, config(epochs=1), out=tmp_path / "o"
    )
    assert len(history.epochs) == 1


def test_unknown_tags_do_not_change_the_loss(rng):
    tagged = np.array([[1, np.nan], [np.nan, 0]])
    loss = tags.make_loss(config())
    blank = np.zeros((1, 1, 3), np.uint8)
    target, weight = (
        np.array(x) for x in zip(*[tags.make_targets(blank, t, config()) for t in tagged], strict=True)
    )
    right = np.array([[0.9, 0.1], [0.5, 0.2]], np.float32)
    other = np.array([[0.9, 0.8], [0.1, 0.2]], np.float32)
    assert float(loss(target, right, weight, None)) == pytest.approx(float(loss(target, other, weight, None)))


@pytest.mark.parametrize(
    ("count", "tagged", "learning", "code"),
    [
        (3, np.ones((2, 2)), {}, "length-mismatch"),
        (2, np.ones((2, 3)), {}, "tags-shape"),
        (2, np.full((2, 2), 0.5), {}, "tags-values"),
        (2, np.ones((2, 2)), {"validation": (0, 1)}, "split-empty"),
        (2, np.ones((2, 2)), {"validation": (5,)}, "split-empty"),
        (1, np.ones((1, 2)), {}, "split-empty"),
    ],
)
def test_annotations_that_cannot_be_used_are_an_error(
    tmp_path, count, tagged, learning, code, rng, raises_code
):
    images, _ = patches(count, rng)
    with raises_code(code):
        tags.fit(net(), images, tagged, config(**learning), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_loaded_model_is_kept_until_its_folder_changes(tmp_path, rng):
    images, tagged = patches(12, rng)
    tags.fit(net(), images, tagged, config(epochs=1), out=tmp_path / "run")
    first = open_model(tmp_path / "run")
    assert open_model(tmp_path / "run") is first
    tags.fit(net(), images, tagged, config(epochs=2), out=tmp_path / "run")
    assert open_model(tmp_path / "run") is not first
