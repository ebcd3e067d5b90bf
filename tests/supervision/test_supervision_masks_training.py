"""Training from masks: accuracy, the trained folder, tuning, stains, and continued runs."""

import json
from functools import partial

import numpy as np
import pytest
from routing import changed

from hsn import models
from hsn.annotations.label_files import write_labels
from hsn.data import synthetic
from hsn.images.read import write
from hsn.metrics.objects import match
from hsn.metrics.table import overlaps
from hsn.nets import unet
from hsn.supervision import masks, segment
from hsn.supervision.masks import preset, training
from hsn.supervision.masks.target_maps import encode
from hsn.supervision.masks.training import prepare
from hsn.training.images import training_images
from hsn.training.sampling import CropSampler, contrast
from hsn.training.tuning import tune_postprocess

MPP = 0.31  # um per pixel: nuclei of 8 to 30 px


def config(base=None, **learning):
    numbers = {
        "epochs": 2,
        "steps": 2,
        "batch_size": 2,
        "crop_px": 32,
        "validation": (0,),
        "elastic_px": 2.0,
        "affine_jitter": 0.1,
        "learning_rate": 5e-3,
        "min_learning_rate": 1e-4,
        "betas": (0.9, 0.99),
        "monitor": "pq",
        **learning,
    }
    base = base or preset("fullnet").replace(
        targets={"shrink_px": 0, "border_weight": 2.0},
        postprocess={"separation": "marker_watershed", "grow_um": 1.0, "min_area_um2": 2.0},
    )
    return changed(base.replace(mpp=MPP, image_mpp=MPP, tiling={"tta": 1, "halo_px": 8}), **numbers)


def net(outputs=3, seed=0):
    return unet.build(outputs, depth=2, width=6, batch_norm=True, seed=seed)


@pytest.fixture(scope="module")
def tissue():
    drawn = [synthetic.draw_tissue(seed, (96, 96), mpp=MPP) for seed in range(4)]
    return [d.image for d in drawn], [d.instances for d in drawn]


@pytest.mark.slow
def test_a_net_trained_on_masks_finds_objects(tmp_path, tissue):
    history = masks.fit(
        net(), *tissue, config(epochs=4, steps=25, batch_size=4, crop_px=64), out=tmp_path / "taught"
    )
    assert history.epochs[history.best]["validation_pq"] == max(history.column("validation_pq"))
    other = synthetic.draw_tissue(9, (96, 112), mpp=MPP)
    result = segment(other.image, tmp_path / "taught")
    found = match(overlaps(other.instances, result.instances))
    assert found.f1 > 0.5
    assert found.mean_iou > 0.6
    assert result.instances.dtype == np.int32
    assert sorted(np.unique(result.instances)) == list(range(result.instances.max() + 1))
    np.testing.assert_array_equal(result.labels, result.instances > 0)
    assert result.probabilities.shape == (96, 112, 2)
    np.testing.assert_allclose(result.probabilities.sum(axis=2), 1, atol=1e-5)
    _explains_itself(tmp_path / "taught", history)


def sampler(images, annotations, config):
    samples = training_images(images, annotations, partial(prepare, config=config))
    return CropSampler(
        samples,
        config.train,
        lambda record, warp: (encode(warp.labels(record.instances), config), warp.weight(record.weight)),
        normalization=config.normalization,
    )


def test_masked_pixels_have_weight_zero(tissue):
    image, objects = tissue[0][1], tissue[1][1]
    unknown = np.zeros(objects.shape, bool)
    unknown[:40] = True
    masked = np.ma.array(objects, mask=unknown)
    numbers = config()
    whole, known = (prepare("a", image, annotation, config=numbers) for annotation in (objects, masked))
    assert not known.weight[:40].any()
    assert (known.weight[44:] >= 1).all()
    assert known.instances[:40].max() == 0 < whole.instances[:40].max()
    pixels, target, weight = sampler([image], [masked], numbers).batch(0, 0)
    assert (weight == 0).any()
    assert (weight >= 1).any()
    of, said = masks.make_loss(numbers), np.full((*weight.shape, 3), 1 / 3, np.float32)
    otherwise = np.where((weight == 0)[..., None], np.float32([0.98, 0.01, 0.01]), said)
    assert float(of(target, otherwise, weight, pixels)) == pytest.approx(
        float(of(target, said, weight, pixels)), rel=1e-5
    )


def test_post_processing_is_tuned_on_validation_images(tmp_path, tissue, monkeypatch):
    _, objects = tissue
    sure = np.stack([objects[0] == 0, objects[0] > 0, np.zeros(objects[0].shape, bool)], axis=2)
    # Insides are nowhere above 0.4, and elsewhere above 0.3.
    probabilities = np.where(sure, 0.35, 0.325).astype(np.float32)
    given = config().postprocess.replace(h_um=0.7, grow_um=0.0)
    pairs = [(probabilities, objects[0])]
    best = tune_postprocess(pairs, given, mpp=MPP)
    assert (best.foreground_threshold, best.replace(h_um=0.7)) == (None, given)
    spoilt = given.replace(foreground_threshold=0.4)  # finds nothing
    assert tune_postprocess(pairs, spoilt, mpp=MPP).foreground_threshold is None
    numbers = config(epochs=1, tune_postprocess=True)
    chosen = numbers.replace(postprocess={"foreground_threshold": 0.3, "h_um": 0.15})
    monkeypatch.setattr(training, "tune_postprocess", lambda pairs, given, *, mpp: chosen.postprocess)
    masks.fit(net(), *tissue, numbers, out=tmp_path / "chosen")
    kept = models.load(tmp_path / "chosen")
    assert masks.Config.from_dict(kept.config) == chosen
    assert kept.card.thresholds == (0.3,) * 3


def _explains_itself(folder, history):
    card = json.loads((folder / "card.json").read_text())
    assert (card["method"], card["taxonomies"]) == ("masks", ["nuclei"])
    assert card["scores"]["validation_pq"] == history.epochs[history.best]["validation_pq"]
    loaded = masks.Config.from_dict(models.load(folder).config)
    assert loaded == config(epochs=4, steps=25, batch_size=4, crop_px=64)
    assert card["normalization"]["mean"] == list(loaded.normalization.mean)


@pytest.mark.slow  # the contract of all methods kills runs too
def test_a_killed_run_ends_with_the_weights_of_an_uninterrupted_one(tmp_path, tissue, monkeypatch):
    from hsn.training import loop as learner

    numbers = config(epochs=3)
    whole, keep, calls = net(), learner._keep, []
    masks.fit(whole, *tissue, numbers, out=tmp_path / "whole")

    def killed(*arguments):
        keep(*arguments)
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(learner, "_keep", killed)
    with pytest.raises(KeyboardInterrupt):
        masks.fit(net(), *tissue, numbers, out=tmp_path / "killed")
    monkeypatch.setattr(learner, "_keep", keep)
    resumed = net()
    history = masks.fit(resumed, *tissue, numbers, out=tmp_path / "killed")
    assert [row["epoch"] for row in history.epochs] == [1, 2, 3]
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_net_with_one_output_trains_on_files_with_accumulated_batches(tmp_path, tissue):
    images, instances = tissue
    for k in range(2):
        write(tmp_path / f"{k}.png", images[k])
        write_labels(tmp_path / f"{k}_mask.png", np.where(instances[k] > 0, 255, 0))
    numbers = config(preset("unet-cryonuseg"), epochs=1, steps=2, monitor="loss", accumulate_batches=2)
    history = masks.fit(net(1), [tmp_path / f"{k}.png" for k in range(2)],
                        [tmp_path / f"{k}_mask.png" for k in range(2)], numbers, out=tmp_path / "o")  # fmt: skip
    assert np.isfinite(history.epochs[0]["validation_loss"])
    assert segment(images[0], tmp_path / "o").instances.shape == images[0].shape[:2]


def test_a_batch_depends_on_seed_epoch_and_step_only(tissue):
    numbers = config()
    crops = [sampler(*tissue, numbers) for _ in range(2)]
    crops[1].batch(0, 0)
    for one, other in zip(crops[0].batch(3, 1), crops[1].batch(3, 1), strict=True):
        np.testing.assert_array_equal(one, other)
    # Four images in batches of two: steps 0 and 2 show the same ones.
    assert (crops[0].batch(3, 0)[0] != crops[0].batch(3, 2)[0]).any()


def test_a_batch_has_normalized_pixels_targets_and_weights(tissue):
    numbers = config()
    pixels, target, weight = sampler(*tissue, numbers).batch(0, 0)
    assert (pixels.shape, target.shape, weight.shape) == ((2, 32, 32, 3), (2, 32, 32, 4), (2, 32, 32))
    assert {x.dtype for x in (pixels, target, weight)} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(target[..., :3].sum(axis=-1), 1)
    np.testing.assert_array_equal(target[..., 3] > 0, target[..., 1] > 0)


def test_images_are_rescaled_to_the_net(tissue):
    numbers = config().replace(mpp=2 * MPP)
    known = prepare("a", tissue[0][0], tissue[1][0], config=numbers)
    assert known.pixels.shape == (48, 48, 3)
    assert known.instances.shape == known.weight.shape == (48, 48)
    assert known.image_instances.shape == (96, 96)


def test_stains_are_normalized_in_training_and_inference(tissue):
    from hsn.prediction.segmentation import preprocess
    from hsn.stains.normalizers import fit_normalizer

    images, annotations = tissue
    stain = fit_normalizer("macenko", images[1:])
    numbers = config(
        rotation_deg=0.0, affine_jitter=0.0, elastic_px=0.0, zoom=(1.0, 1.0), flips=(False, False)
    ).replace(normalization={"stain": stain})
    known = prepare("a", images[0], annotations[0], config=numbers)
    np.testing.assert_array_equal(known.pixels, stain.normalize(images[0]))
    np.testing.assert_array_equal(known.pixels, preprocess(images[0], numbers, MPP))
    plain = prepare("a", images[0], annotations[0], config=numbers.replace(normalization={"stain": None}))
    assert not np.array_equal(known.pixels, plain.pixels)
    # Segmenting with the stain is segmenting the normalize image without it.
    one, other = (masks.segment(net(), image, numbers.replace(normalization={'stain': s}))
                  for image, s in ((images[0], stain), (known.pixels, None)))  # fmt: skip
    np.testing.assert_array_equal(one.probabilities, other.probabilities)


def test_stain_augmentation_changes_the_crops(tissue):
    images, annotations = tissue
    still = {
        "rotation_deg": 0.0,
        "affine_jitter": 0.0,
        "elastic_px": 0.0,
        "zoom": (1.0, 1.0),
        "flips": (False, False),
    }
    plain = config(**still).replace(normalization={"mean": (0, 0, 0), "std": (1, 1, 1)})
    restained = plain.replace(train={"augmentation": {"stain_gain": 0.3, "stain_offset": 0.05}})
    one, other = (sampler(images[:1], annotations[:1], r).batch(0, 0) for r in (plain, restained))
    assert np.abs(one[0][0] - other[0][0]).mean() > 1  # the first crop is of the same place
    np.testing.assert_array_equal(one[1][0], other[1][0])


def test_contrast_can_differ_by_channel(rng):
    learning = preset("unet-cryonuseg").train
    drawn = np.array([contrast(rng, learning.augmentation) * np.ones(3) for _ in range(500)])
    apart = np.ptp(drawn, axis=1) > 0
    assert 0.12 < apart.mean() < 0.28
    assert 0.25 <= drawn.min() < 0.5
    assert 1.7 < drawn.max() <= 2.25


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda i, a: (i[:1], a), "length-mismatch"),
        (lambda i, a: (i, [a[0], a[1], a[2], a[3][:5]]), "shape-mismatch"),
        (lambda i, a: (i, [x.astype(float) for x in a]), "label-image-invalid"),
        (lambda i, a: (i[:1], a[:1]), "split-empty"),
    ],
)
def test_masks_that_cannot_be_used_are_errors(tmp_path, tissue, change, code, raises_code):
    with raises_code(code):
        masks.fit(net(), *change(*tissue), config(), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
