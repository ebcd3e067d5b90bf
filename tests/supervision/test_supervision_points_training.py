"""Fitting from points: the whole chain learns, explains itself, and takes up any stage that a killed run left."""

import json
import shutil

import numpy as np
import pytest
from routing import changed

from hsn import InputError, models, points, segment
from hsn.annotations import points as point_files
from hsn.annotations.label_files import read_labels
from hsn.annotations.sampling import points_from_instances, sample_points
from hsn.data import synthetic
from hsn.images.read import write
from hsn.nets import resunet
from hsn.supervision.points import rounds, training
from hsn.supervision.points.fields import GRID, clicks_in, fields_of
from hsn.types import History, Targets

MPP = 0.5


def config(**learning):
    epochs = {"detection_epochs": 2, "epochs": 2, "refinement_epochs": 1, "steps": 2}
    crops = {"detection_batch_size": 2, "batch_size": 2, "crop_px": 32}
    numbers = {"rounds": 1, "validation": (0,), **epochs, **crops, **learning}
    return changed(points.preset("cpu").for_mpp(MPP), image_mpp=MPP, **numbers)


def net(seed=0):
    return resunet.build(2, depth=18, width=2, seed=seed)


def tissue(count=3, side=64, ratio=0.5):
    drawn = [synthetic.draw_tissue(seed, (side, side), mpp=MPP) for seed in (0, 1, 4, 5, 6)[:count]]
    clicks = [sample_points(points_from_instances(d.instances), ratio, rng_or_seed=0) for d in drawn]
    return [d.image for d in drawn], clicks


@pytest.fixture
def steps(monkeypatch):
    """The stages that ran; each trains for no longer than it takes to say so."""
    ran = []

    def trained(net, loss, crops, validate, config, *, epochs, monitor, out, factor=None, **_):
        ran.append(out.name)
        pixels, target, weight = crops.batch(0, 0)
        assert np.isfinite(float(loss(target, net(pixels, training=False), weight, pixels)))
        rows = [{"epoch": 1, "rate": 1.0, "loss": 0.5, **validate()}]
        out.mkdir(parents=True, exist_ok=True)
        net.save_weights(out / rounds.BEST)
        return History(tuple(rows), 0)

    monkeypatch.setattr(rounds, "train", trained)
    monkeypatch.setattr(training, "train", trained)
    return ran


@pytest.mark.slow
def test_every_stage_learns_from_clicks_on_some_nuclei(tmp_path):
    """That what is learned is right is for benchmarks/points.py to show: this is too short."""
    images, clicks = tissue(count=5, side=128)
    epochs = {
        "rounds": 1,
        "detection_epochs": 6,
        "epochs": 8,
        "refinement_epochs": 2,
        "steps": 12,
    }
    numbers = config(**epochs, crop_px=96, detection_batch_size=4, batch_size=4)
    net_ = resunet.build(2, depth=18, width=8, seed=0)
    history = points.fit(net_, images, clicks, numbers, out=tmp_path / "o")
    assert [row["epoch"] for row in history.epochs] == list(range(1, 11))
    assert history.epochs[7]["loss"] < history.epochs[0]["loss"]
    assert segment(synthetic.draw_tissue(9, (128, 128), mpp=MPP).image, tmp_path / "o").instances.shape == (
        128,
        128,
    )


def test_the_folder_explains_itself(tmp_path, steps):
    images, clicks = tissue()
    for k, image in enumerate(images):
        write(tmp_path / f"slide {k}.png", image)
    paths = [tmp_path / f"slide {k}.png" for k in range(3)]
    points.fit(net(), paths, clicks, config(), out=tmp_path / "o")
    assert steps == ["round-0", "round-1", "coarse", "refined"]
    guide = (tmp_path / "o" / "training" / "README.md").read_text()
    for made_ in (
        "training/run.json",
        "points",
        "labels",
        "detection",
        "card.json",
        "config.json",
        "net.keras",
    ):
        assert made_ in guide
        assert (tmp_path / "o" / made_).exists()
    one = tmp_path / "o" / "detection" / "round-1"
    assert {path.name for path in one.iterdir()} == {"points", "background", "scores.json", rounds.BEST}
    assert read_labels(one / "background" / "slide 1.png").shape == (64, 64)
    labelled = point_files.read(tmp_path / "o" / "points" / "slide 2.geojson", label="clicked")
    np.testing.assert_allclose(labelled, clicks[2], atol=1e-3)
    card = json.loads((tmp_path / "o" / "card.json").read_text())
    assert (card["method"], card["taxonomies"]) == ("points", ["nuclei"])
    assert f"{sum(map(len, clicks))} clicks on 3 images" in card["notes"]
    assert points.Config.from_dict(models.load(tmp_path / "o").config) == config()
    result = segment(images[0], tmp_path / "o")
    assert result.probabilities.shape == (64, 64, 2)
    np.testing.assert_array_equal(result.labels, result.instances > 0)


def test_a_stage_that_is_done_is_not_run_again(tmp_path, steps):
    images, clicks = tissue()
    out = tmp_path / "o"
    points.fit(net(), images, clicks, config(), out=out)
    steps.clear()
    shutil.rmtree(out / "segmentation")
    (out / "labels" / "0001.png").unlink()
    (out / "detection" / "round-1" / "scores.json").unlink()
    before = {path: path.read_bytes() for path in (out / "points").iterdir()}
    points.fit(net(), images, clicks, config(), out=out)
    assert steps == ["round-1", "coarse", "refined"]
    assert {path: path.read_bytes() for path in (out / "points").iterdir()} == before


@pytest.fixture
def eager():
    """No graph: for the few steps of a test, building one would take most of the time."""
    tensorflow = pytest.importorskip("tensorflow")
    tensorflow.config.run_functions_eagerly(True)
    yield
    tensorflow.config.run_functions_eagerly(False)


@pytest.mark.slow  # the contract of all methods has a short one
def test_a_killed_run_ends_like_one_that_was_not(tmp_path, monkeypatch, eager):
    from hsn.training import loop as learner

    images, clicks = tissue()
    numbers, keep, calls = config(rounds=0), learner._keep, []
    whole, resumed = net(), net()
    points.fit(whole, images, clicks, numbers, out=tmp_path / "whole")

    def killed(*arguments):
        keep(*arguments)
        calls.append(1)
        if len(calls) in (1, 3):  # in detection, and again in segmentation
            raise KeyboardInterrupt

    monkeypatch.setattr(learner, "_keep", killed)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            points.fit(net(), images, clicks, numbers, out=tmp_path / "killed")
    history = points.fit(resumed, images, clicks, numbers, out=tmp_path / "killed")
    assert [row["epoch"] for row in history.epochs] == [1, 2, 3]
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_who_clicked_every_nucleus_needs_no_detection(tmp_path, steps):
    images, clicks = tissue(ratio=1.0)
    points.fit(net(), images, clicks, config(rounds=None).replace(crf_weight=0.0), out=tmp_path / "o")
    assert steps == ["coarse"]
    np.testing.assert_allclose(
        point_files.read(tmp_path / "o" / "points" / "0001.geojson"), clicks[1], atol=1e-3
    )


def test_labels_that_are_there_are_taken(tmp_path, steps):
    images, clicks = tissue()
    given = [points.Given(c, labels=Targets(*np.ones((2, 64, 64, 2)))) for c in clicks]
    points.fit(net(), images, given, config(), out=tmp_path / "o")
    assert steps == ["coarse", "refined"]
    assert not (tmp_path / "o" / "labels").exists()


def test_background_that_is_there_teaches_from_the_first_round_on(tmp_path, steps, monkeypatch):
    images, clicks = tissue()
    seen = []
    crops = rounds.detection_crops
    monkeypatch.setattr(rounds, "detection_crops",
                        lambda fields, r: seen.append([f.background for f in fields]) or crops(fields, r))  # fmt: skip
    corner = np.zeros((64, 64), bool)
    corner[:9, :9] = True
    points.fit(
        net(), images, [points.Given(c, background=corner) for c in clicks], config(), out=tmp_path / "o"
    )
    np.testing.assert_array_equal(seen[0][0], corner)
    assert all(background[:9, :9].all() for background in seen[1])


def test_a_round_begins_anew_or_goes_on(tmp_path, steps, monkeypatch):
    images, clicks = tissue()
    begun = []
    train = rounds.train
    monkeypatch.setattr(rounds, "train", lambda net, *a, **k: (
        begun.append(net.get_weights()[0].sum()), net.set_weights([w + 0.01 for w in net.get_weights()]),
        train(net, *a, **k))[2])  # fmt: skip
    points.fit(net(), images, clicks, config(start="initial"), out=tmp_path / "anew")
    onward = net()
    points.fit(onward, images, clicks, config(start="previous"), out=tmp_path / "onward")
    first = net().get_weights()[0]
    assert begun == pytest.approx([first.sum(), first.sum(), first.sum(), (first + 0.01).sum()], rel=1e-4)
    np.testing.assert_allclose(onward.get_weights()[0], first + 0.02, atol=1e-5)


def test_validation_that_is_clicked_in_full_is_scored_and_labelled_so(tmp_path, steps):
    images, clicks = tissue(ratio=1.0)
    points.fit(net(), images, clicks, config(complete_validation=True), out=tmp_path / "o")
    scores = json.loads((tmp_path / "o" / "detection" / "round-0" / "scores.json").read_text())
    assert set(scores) == {
        "likely",
        *(f"validation_{name}" for name in ("loss", "precision", "recall", "f1")),
    }
    assert len(point_files.read(tmp_path / "o" / "points" / "0000.geojson")) == len(clicks[0])


def test_of_few_images_patches_are_held_out():
    images, clicks = tissue(count=1, side=128)
    (field,) = fields_of(images, clicks, config(validation=0.2))
    cell = 128 // GRID
    cells = field.held.reshape(GRID, cell, GRID, cell)
    assert (cells.all(axis=(1, 3)) == cells.any(axis=(1, 3))).all()
    assert len(clicks_in(field, field.held))
    assert len(clicks_in(field, ~field.held)) > len(clicks_in(field, field.held))


def test_points_are_found_again_at_the_scale_of_the_image():
    images, clicks = tissue()
    field = fields_of(images, clicks, config().replace(image_mpp=0.3))[1]
    assert field.image.shape[:2] == (38, 38)
    np.testing.assert_allclose(field.at_image(field.clicks), clicks[1], atol=1e-4)
    np.testing.assert_allclose(field.at_net(clicks[1]), field.clicks, atol=1e-4)


def test_the_rim_is_unknown_or_black_background():
    from hsn.supervision.points.crops import segmentation_crops

    images, _ = tissue(count=2, side=32)
    for rim, known in (("unknown", 0), ("background", 1)):
        numbers = config(
            outside=rim, crop_px=64, elastic_px=0.0, zoom=(1, 1), affine_jitter=0.0, rotation_deg=0.0
        )
        fields = fields_of(images, [[[16, 16]]] * 2, numbers)
        for field in fields:
            field.codes = np.full((32, 32), 8, np.uint8)
        pixels, target, weight = segmentation_crops(fields[1:], numbers).batch(0, 0)
        assert (weight[:, :16] == known).all()
        assert not target[:, :16].any()
        assert (target[:, 20:40, 20:40] == 1).all()
        if rim == "background":
            black = (pixels[0, 0, 0] * numbers.normalization.std + numbers.normalization.mean).round(3)
            np.testing.assert_array_equal(black, 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda i, c: (i[:1], c), "`annotations` must have one entry for each of the 1 `images`; got 3"),
        (lambda i, c: (i, [*c[:2], [[70, 5]]]), "points of image 0002 must be"),
        (lambda i, c: (i, [c[0], [], []]), "there is no click to learn from"),
        (lambda i, c: (i[:1], c[:1]), "images must remain to learn from"),
        (lambda i, c: (i, [c[0], c[1], points.Given(c[2], background=np.zeros((3, 3), bool))]),
         "the background of image 0002 must be a mask of its size"),
        (lambda i, c: (i, [c[0], c[1], points.Given(c[2], labels=Targets(*np.zeros((2, 3, 3, 2))))]),
         "labels of image 0002 must be at the net's scale"),
    ],
)  # fmt: skip
def test_points_that_cannot_be_used_are_refused(tmp_path, change, words):
    with pytest.raises(InputError, match=words):
        points.fit(net(), *change(*tissue()), config(), out=tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_too_few_clicks_are_refused(tmp_path):
    images, _ = tissue(count=1)
    with pytest.raises(InputError, match="there are too few clicks to learn from some and judge by others"):
        points.fit(net(), images, [[[5, 5], [6, 6]]], config(validation=0.2), out=tmp_path / "o")


def test_another_run_in_the_folder_is_an_error(tmp_path, steps, raises_code):
    images, clicks = tissue()
    points.fit(net(), images, clicks, config(), out=tmp_path / "o")
    with raises_code("run-other"):
        points.fit(net(), images, [c[:-1] for c in clicks], config(), out=tmp_path / "o")
    with raises_code("run-other"):
        points.fit(net(), images, clicks, config(seed=1), out=tmp_path / "o")


def test_a_detector_is_no_segmenter(tmp_path):
    with pytest.raises(
        InputError, match="a segmenter tells nuclei from background; expected a net with 2 outputs"
    ):
        points.fit(resunet.build(1, depth=18, width=2), *tissue(), config(), out=tmp_path / "o")


@pytest.mark.parametrize(("complete", "expected"), [(True, 0.35), (False, 0.5)])
def test_the_threshold_is_what_answers_best_to_clicks(complete, expected):
    images, _ = tissue(count=2)
    numbers = config(complete_validation=complete)
    fields = fields_of(images, [[[10, 10], [30, 30]], [[10, 10]]], numbers)
    bumps = np.zeros((2, 64, 64), np.float32)
    bumps[:, 9:12, 9:12] = 0.6
    bumps[:, 10:13, 15:18] = 0.45  # in the ring of the first click
    bumps[0, 29:32, 29:32] = 0.4
    likely, matching = rounds._likely(bumps, fields, numbers)
    assert likely == pytest.approx(expected)
    # Complete: only the held-out image counts, whose second nucleus is less likely than a mistake.
    assert matching.true_positives == 2


def test_far_from_clicks_nobody_can_tell():
    images, _ = tissue(count=2)
    numbers = config()
    fields = fields_of(images, [[[10, 10]], [[10, 10]]], numbers)
    bumps = np.zeros((2, 64, 64), np.float32)
    bumps[:, 9:12, 9:12] = bumps[:, 40:43, 40:43] = 0.3
    likely, matching = rounds._likely(bumps, fields, numbers)
    assert (likely, matching.false_positives, matching.true_positives) == (0.25, 0, 2)
