"""Training from points: all stages, continued runs, validation, and invalid input."""

import json
import shutil

import numpy as np
import pytest
from routing import changed

from hsn import models, points, segment
from hsn.annotations import points as point_files
from hsn.annotations.label_files import read_labels, write_labels
from hsn.annotations.sampling import points_from_instances, sample_points
from hsn.data import synthetic
from hsn.images.read import write
from hsn.nets import resunet
from hsn.supervision.points import rounds, training
from hsn.supervision.points.images import GRID, load_images
from hsn.types import History, Targets

MPP = 0.5


def config(**learning):
    epochs = {"detection_epochs": 2, "epochs": 2, "refinement_epochs": 1, "steps": 2}
    crops = {"detection_batch_size": 2, "batch_size": 2, "crop_px": 32}
    numbers = {"rounds": 1, "validation": (0,), **epochs, **crops, **learning}
    return changed(points.preset("resunet18").for_mpp(MPP), image_mpp=MPP, **numbers)


def net(seed=0):
    return resunet.build(2, depth=18, width=2, seed=seed)


def tissue(count=3, side=64, ratio=0.5):
    drawn = [synthetic.draw_tissue(seed, (side, side), mpp=MPP) for seed in (0, 1, 4, 5, 6)[:count]]
    clicks = [sample_points(points_from_instances(d.instances), ratio, rng_or_seed=0) for d in drawn]
    return [d.image for d in drawn], clicks


@pytest.fixture
def steps(monkeypatch):
    """Replace training by one validation; return the names of the stages that ran."""
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
def test_the_loss_falls_in_training_from_clicks_on_some_nuclei(tmp_path):
    """Accuracy is measured by benchmarks/points.py; this training is too short."""
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


@pytest.mark.slow
def test_the_trained_folder_has_all_documented_files(tmp_path, steps):
    images, clicks = tissue()
    for k, image in enumerate(images):
        write(tmp_path / f"slide {k}.png", image)
    paths = [tmp_path / f"slide {k}.png" for k in range(3)]
    points.fit(net(), paths, clicks, config(), out=tmp_path / "o")
    assert steps == ["round-0", "round-1", "coarse", "refined"]
    guide = (tmp_path / "o" / "training" / "README.md").read_text()
    for name in (
        "training/run.json",
        "points",
        "labels",
        "detection",
        "card.json",
        "config.json",
        "net.keras",
    ):
        assert name in guide
        assert (tmp_path / "o" / name).exists()
    one = tmp_path / "o" / "detection" / "round-1"
    assert {path.name for path in one.iterdir()} == {"points", "background", "scores.json", rounds.BEST}
    assert read_labels(one / "background" / "slide 1.png").shape == (64, 64)
    labeled = point_files.read(tmp_path / "o" / "points" / "slide 2.geojson", label="clicked")
    np.testing.assert_allclose(labeled, clicks[2], atol=1e-3)
    card = json.loads((tmp_path / "o" / "card.json").read_text())
    assert (card["method"], card["taxonomies"]) == ("points", ["nuclei"])
    assert f"{sum(map(len, clicks))} clicks on 3 images" in card["notes"]
    assert points.Config.from_dict(models.load(tmp_path / "o").config) == config()
    result = segment(images[0], tmp_path / "o")
    assert result.probabilities.shape == (64, 64, 2)
    np.testing.assert_array_equal(result.labels, result.instances > 0)


@pytest.mark.slow
def test_finished_stages_are_not_run_again(tmp_path, steps):
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
    """Run without graphs, because building them takes longer than a few steps."""
    tensorflow = pytest.importorskip("tensorflow")
    tensorflow.config.run_functions_eagerly(True)
    yield
    tensorflow.config.run_functions_eagerly(False)


@pytest.mark.slow  # the contract of all methods has a short one
def test_a_killed_run_ends_with_the_weights_of_an_uninterrupted_one(tmp_path, monkeypatch, eager):
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


def test_without_rounds_no_detector_is_trained(tmp_path, steps):
    images, clicks = tissue(ratio=1.0)
    points.fit(net(), images, clicks, config(rounds=None).replace(crf_weight=0.0), out=tmp_path / "o")
    assert steps == ["coarse"]
    np.testing.assert_allclose(
        point_files.read(tmp_path / "o" / "points" / "0001.geojson"), clicks[1], atol=1e-3
    )


def test_given_labels_replace_detection(tmp_path, steps):
    images, clicks = tissue()
    given = [points.PointAnnotation(c, labels=Targets(*np.ones((2, 64, 64, 2)))) for c in clicks]
    points.fit(net(), images, given, config(), out=tmp_path / "o")
    assert steps == ["coarse", "refined"]
    assert not (tmp_path / "o" / "labels").exists()


@pytest.mark.slow
def test_given_background_is_used_in_all_rounds(tmp_path, steps, monkeypatch):
    images, clicks = tissue()
    seen, crops = [], rounds.detection_crops

    def recorded(images, numbers):
        seen.append([image.load().background for image in images])
        return crops(images, numbers)

    monkeypatch.setattr(rounds, "detection_crops", recorded)
    corner = np.zeros((64, 64), bool)
    corner[:9, :9] = True
    points.fit(
        net(),
        images,
        [points.PointAnnotation(c, background=corner) for c in clicks],
        config(),
        out=tmp_path / "o",
    )
    np.testing.assert_array_equal(seen[0][0], corner)
    assert all(background[:9, :9].all() for background in seen[1])


def test_what_is_not_clicked_in_a_complete_region_is_background():
    images, clicks = tissue()
    region = np.array([[-0.5, -0.5], [-0.5, 9.5], [19.5, 9.5], [19.5, -0.5]])
    corner = np.zeros((64, 64), bool)
    corner[40:, 40:] = True
    given = [points.PointAnnotation(c, complete_regions=[region]) for c in clicks]
    given[1] = points.PointAnnotation(clicks[1], background=corner, complete_regions=[region])
    first, second, *_ = [image.load().background for image in load_images(images, given, config())]
    expected = np.zeros((64, 64), bool)
    expected[:20, :10] = True
    np.testing.assert_array_equal(first, expected)
    np.testing.assert_array_equal(second, expected | corner)


@pytest.mark.slow
def test_a_round_starts_with_the_initial_or_the_previous_weights(tmp_path, steps, monkeypatch):
    images, clicks = tissue()
    started = []
    train = rounds.train
    monkeypatch.setattr(rounds, "train", lambda net, *a, **k: (
        started.append(net.get_weights()[0].sum()), net.set_weights([w + 0.01 for w in net.get_weights()]),
        train(net, *a, **k))[2])  # fmt: skip
    points.fit(net(), images, clicks, config(start="initial"), out=tmp_path / "initial")
    previous = net()
    points.fit(previous, images, clicks, config(start="previous"), out=tmp_path / "previous")
    first = net().get_weights()[0]
    assert started == pytest.approx([first.sum(), first.sum(), first.sum(), (first + 0.01).sum()], rel=1e-4)
    np.testing.assert_allclose(previous.get_weights()[0], first + 0.02, atol=1e-5)


@pytest.mark.slow
def test_complete_validation_gives_precision_recall_and_f1(tmp_path, steps):
    images, clicks = tissue(ratio=1.0)
    points.fit(net(), images, clicks, config(complete_validation=True), out=tmp_path / "o")
    scores = json.loads((tmp_path / "o" / "detection" / "round-0" / "scores.json").read_text())
    assert set(scores) == {
        "threshold",
        *(f"validation_{name}" for name in ("loss", "precision", "recall", "f1")),
    }
    assert len(point_files.read(tmp_path / "o" / "points" / "0000.geojson")) == len(clicks[0])


def test_grid_cells_of_few_images_validate():
    images, clicks = tissue(count=1, side=128)
    (image,) = load_images(images, clicks, config(validation=0.2))
    cell = 128 // GRID
    cells = image.load().val_mask.reshape(GRID, cell, GRID, cell)
    assert (cells.all(axis=(1, 3)) == cells.any(axis=(1, 3))).all()
    assert 0 < len(image.val_clicks()) < len(image.train_clicks())
    assert image.train_pixels == (~image.val_mask()).sum()


def test_moving_points_between_scales_is_reversible():
    images, clicks = tissue()
    image = load_images(images, clicks, config().replace(image_mpp=0.3))[1]
    assert image.load().pixels.shape[:2] == image.net_shape == (38, 38)
    np.testing.assert_allclose(image.to_image_scale(image.clicks), clicks[1], atol=1e-4)
    np.testing.assert_allclose(image.to_net_scale(clicks[1]), image.clicks, atol=1e-4)


def test_pixels_beyond_the_image_are_unknown_or_black_background(tmp_path):
    from hsn.supervision.points.crops import segmentation_crops

    images, _ = tissue(count=2, side=32)
    write_labels(tmp_path / "codes.png", np.full((32, 32), 8, np.uint8))
    for outside, known in (("unknown", 0), ("background", 1)):
        numbers = config(
            outside=outside, crop_px=64, elastic_px=0.0, zoom=(1, 1), affine_jitter=0.0, rotation_deg=0.0
        )
        loaded = load_images(images, [[[16, 16]]] * 2, numbers)
        loaded[1].codes_file = tmp_path / "codes.png"
        pixels, target, weight = segmentation_crops(loaded[1:], numbers).batch(0, 0)
        assert (weight[:, :16] == known).all()
        assert not target[:, :16].any()
        assert (target[:, 20:40, 20:40] == 1).all()
        if outside == "background":
            black = (pixels[0, 0, 0] * numbers.normalization.std + numbers.normalization.mean).round(3)
            np.testing.assert_array_equal(black, 0)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda i, c: (i[:1], c), "length-mismatch"),
        (lambda i, c: (i, [*c[:2], [[70, 5]]]), "points-outside"),
        (lambda i, c: (i, [c[0], [], []]), "clicks-missing"),
        (lambda i, c: (i[:1], c[:1]), "split-empty"),
        (lambda i, c: (i, [c[0], c[1], points.PointAnnotation(c[2], background=np.zeros((3, 3), bool))]),
         "background-mask"),
        (lambda i, c: (i, [c[0], c[1], points.PointAnnotation(c[2], labels=Targets(*np.zeros((2, 3, 3, 2))))]),
         "labels-shape"),
    ],
)  # fmt: skip
def test_points_that_cannot_be_used_are_an_error(tmp_path, change, code, raises_code):
    with raises_code(code):
        points.fit(net(), *change(*tissue()), config(), out=tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_clicks_in_a_single_cell_are_an_error(tmp_path, raises_code):
    images, _ = tissue(count=1)
    with raises_code("clicks-too-few"):
        points.fit(net(), images, [[[5, 5], [6, 6]]], config(validation=0.2), out=tmp_path / "o")


@pytest.mark.slow
def test_another_run_in_the_folder_is_an_error(tmp_path, steps, raises_code):
    images, clicks = tissue()
    points.fit(net(), images, clicks, config(), out=tmp_path / "o")
    with raises_code("run-other"):
        points.fit(net(), images, [c[:-1] for c in clicks], config(), out=tmp_path / "o")
    with raises_code("run-other"):
        points.fit(net(), images, clicks, config(seed=1), out=tmp_path / "o")


def test_a_net_with_one_output_is_an_error(tmp_path, raises_code):
    with raises_code("net-outputs"):
        points.fit(resunet.build(1, depth=18, width=2), *tissue(), config(), out=tmp_path / "o")


def tuned(probabilities, clicks, numbers):
    """Return the tuned threshold, and the matching of its points."""
    images, _ = tissue(count=2)
    tuner = rounds.ThresholdTuner(numbers)
    for image, probability in zip(load_images(images, clicks, numbers), probabilities, strict=True):
        tuner.add(image, probability)
    return tuner.thresholds[tuner.best()], tuner.matchings[tuner.best()]


@pytest.mark.parametrize(("complete", "expected"), [(True, 0.35), (False, 0.5)])
def test_the_tuned_threshold_has_the_best_f1_on_clicks(complete, expected):
    peaks = np.zeros((2, 64, 64), np.float32)
    peaks[:, 9:12, 9:12] = 0.6
    peaks[:, 10:13, 15:18] = 0.45  # close to the first click
    peaks[0, 29:32, 29:32] = 0.4
    clicks = [[[10, 10], [30, 30]], [[10, 10]]]
    threshold, matching = tuned(peaks, clicks, config(complete_validation=complete))
    assert threshold == pytest.approx(expected)
    # Complete: only the validation image counts, where the second nucleus has a lower probability than a mistake.
    assert matching.true_positives == 2


def test_points_far_from_clicks_do_not_count_in_tuning():
    peaks = np.zeros((2, 64, 64), np.float32)
    peaks[:, 9:12, 9:12] = peaks[:, 40:43, 40:43] = 0.3
    threshold, matching = tuned(peaks, [[[10, 10]], [[10, 10]]], config())
    assert (threshold, matching.false_positives, matching.true_positives) == (0.25, 0, 2)
