"""Training of objects: crops, resuming, and Mask R-CNN overfits four synthetic images."""

from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import layers, ops

from hsn.config import TrainConfig
from hsn.data.drawing import ellipses, noise, scatter, stained
from hsn.extras import maskrcnn
from hsn.instances import renumber
from hsn.metrics.objects import aji
from hsn.metrics.table import overlaps
from hsn.objects.overlaps import ScoredInstances
from hsn.training.object_training import ObjectRecord, crop_sampler, fit

STILL = TrainConfig(
    epochs=2,
    steps=2,
    batch_size=2,
    crop_px=32,
    min_learning_rate=1e-5,
    weight_decay=1e-5,
    monitor="pq",
    validation=(0,),
)


def nuclei(seed, side=96):
    """Stained ellipses, some of which touch, and their numbers."""
    rng = np.random.default_rng(seed)
    points = scatter(rng, (side, side), 16)
    points = points[rng.random(len(points)) < 0.8]
    semi = np.sort(rng.uniform(4, 7.5, (len(points), 2)), axis=1)[:, ::-1]
    instances = ellipses((side, side), points, semi, rng.uniform(0, np.pi, len(points)))
    hematoxylin = np.where(instances > 0, 0.8, 0.15) + 0.05 * noise(rng, (side, side), 3)
    eosin = 0.5 + 0.1 * noise(rng, (side, side), 5)
    image = stained(rng, hematoxylin.astype("float32"), eosin.astype("float32"), blur_px=0.6)
    return image, renumber(instances)[0]


class Threshold:
    """A system of one weight: how much darker than white an object is."""

    def __init__(self):
        x = layers.Input((None, None, 3))
        grey = layers.Conv2D(1, 1, kernel_initializer="zeros", name="grey")(x)
        self.training_model = self.net = keras.Model(x, grey)
        self.seen = []

    def examples(self, images, instances, known, rng):
        self.seen.append((images, instances, rng.integers(1000), self.net.get_weights()[0].copy()))
        return images / 255, (instances > 0)[..., None].astype("float32"), None

    def loss(self, target, prediction, weight, image):
        return ops.mean(ops.square(target - prediction))

    def segment(self, image):
        dark = ops.convert_to_numpy(self.net(image[None] / 255.0))[0, ..., 0] > 0.5
        instances = dark.astype(np.int32)
        return SimpleNamespace(
            scored=ScoredInstances(instances, np.ones(instances.max())), warnings=("a limit",)
        )


def sample(*record):
    """An image of a sampler that needs no decoding."""
    return SimpleNamespace(load=lambda: ObjectRecord(*record))


def batch_of(image, instances, known, train):
    """The first batch of one image."""
    return crop_sampler([sample(image, instances, known)], train, 4).batch(0, 0)


@pytest.fixture
def pairs():
    made = [nuclei(seed, 48) for seed in range(3)]
    return [image for image, _ in made], [objects for _, objects in made]


def test_the_history_holds_the_validation_scores(pairs, tmp_path):
    system = Threshold()
    history = fit(system, *pairs, STILL, out=tmp_path)
    assert len(history.epochs) == 2
    assert history.column("validation_cut") == [1, 1]
    assert {"rate", "loss", "validation_aji", "validation_pq"} <= set(history.epochs[0])
    assert history.column("epoch") == [1, 2]


def test_a_resumed_run_ends_like_one_that_was_not_interrupted(pairs, tmp_path):
    whole, parts = Threshold(), Threshold()
    fit(whole, *pairs, STILL.replace(min_learning_rate=1e-3), out=tmp_path / "whole")
    for epochs in (1, 2):
        train = STILL.replace(epochs=epochs, min_learning_rate=1e-3)
        fit(parts, *pairs, train, out=tmp_path / "parts")
    for one, two in zip(whole.net.get_weights(), parts.net.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6)
    for one, two in zip(whole.seen, parts.seen, strict=True):
        np.testing.assert_array_equal(one[0], two[0])
        assert one[2] == two[2]
        np.testing.assert_allclose(one[3], two[3], rtol=1e-6)


def test_examples_use_the_current_net(pairs, tmp_path):
    system = Threshold()
    fit(system, *pairs, STILL.replace(epochs=1, steps=3), out=tmp_path)
    weights = [seen[3].tobytes() for seen in system.seen]
    assert len(set(weights)) == 3


def test_crops_move_objects_with_their_image():
    instances = np.zeros((60, 70), np.int32)
    instances[10:30, 15:40], instances[35:55, 5:30] = 1, 2
    image = np.stack([100 + 50 * instances] * 3, axis=2).astype(np.uint8)
    moving = STILL.replace(
        crop_px=48,
        batch_size=4,
        augmentation={"zoom": (0.8, 1.25), "flips": (True, True), "rotation_deg": 180.0},
    )
    known = np.ones((60, 70), bool)
    known[40:] = False
    images, told, sure = batch_of(image, instances, known, moving)
    for pixels, numbers in zip(images, told, strict=True):
        inside = [pixels[numbers == n].mean() for n in range(1, numbers.max() + 1)]
        assert all(min(abs(i - 150), abs(i - 200)) < 15 for i in inside)
    assert len(np.unique(images.mean(axis=(1, 2, 3)))) == 4
    # All of the first object is known, and most of the second is not.
    first, second = (np.abs(images[..., 0] - value) < 5 for value in (150, 200))
    assert sure[first & (told > 0)].mean() > 0.95
    assert sure[second & (told > 0)].mean() < 0.5


def test_small_parts_of_cut_objects_are_removed():
    instances = np.zeros((40, 40), np.int32)
    instances[3:5, 3], instances[20:30, 20:30] = 1, 2
    image = np.full((40, 40, 3), 9, np.uint8)
    whole = STILL.replace(crop_px=40, batch_size=1)
    _, told, _ = batch_of(image, instances, np.ones((40, 40), bool), whole)
    assert np.unique(told).tolist() == [0, 1]
    assert (told > 0).sum() == 100


def flat(level, shape=(40, 40)):
    return np.full((*shape, 3), level, np.uint8), np.zeros(shape, np.int32), np.ones(shape, bool)


def drawn(often, steps=50):
    """How often each of some flat images is drawn in an epoch, and its batches."""
    images = [sample(*flat(10 * k)) for k in range(len(often))]
    crops = crop_sampler(images, STILL.replace(steps=steps, batch_size=4), 4, shares=often)
    levels = np.concatenate([crops.batch(3, step)[0][:, 0, 0, 0] for step in range(steps)])
    return np.bincount(levels.astype(int) // 10, minlength=len(often)), levels


def test_images_are_drawn_by_their_shares():
    counts, levels = drawn([1, 1, 0, 6])
    np.testing.assert_allclose(counts, [25, 25, 0, 150], atol=1)
    np.testing.assert_array_equal(levels, drawn([1, 1, 0, 6])[1])  # by the seed, the epoch and the step
    assert np.bincount((levels[:40] // 10).astype(int))[3] < 38  # mixed over the epoch
    alike, _ = drawn([0.5] * 4)
    np.testing.assert_allclose(alike, [50] * 4, atol=1)


def test_sampling_shares_are_given_for_all_images_and_used_for_training_images(pairs, tmp_path):
    system = Threshold()
    images = [np.full_like(image, 60 * k) for k, image in enumerate(pairs[0])]
    fit(system, images, pairs[1], STILL.replace(epochs=1), out=tmp_path, shares=[5, 0, 1])
    assert {int(seen[0].max()) for seen in system.seen} == {120}


def test_stains_and_elastic_deformation_are_applied():
    image, instances = nuclei(3)
    known = np.ones(instances.shape, bool)
    still = STILL.replace(crop_px=96, batch_size=1)
    (as_it_is,), (objects,), _ = batch_of(image, instances, known, still)
    np.testing.assert_array_equal(as_it_is, image)
    (stained_anew,), (same,), _ = batch_of(
        image, instances, known, still.replace(augmentation={"stain_gain": 0.3})
    )
    np.testing.assert_array_equal(same, objects)
    assert 2 < np.abs(stained_anew - image).mean() < 60
    elastic = still.replace(augmentation={"elastic_px": 3.0, "elastic_spacing_px": 20.0})
    (bent,), (moved,), _ = batch_of(image, instances, known, elastic)
    assert 0.02 < ((moved > 0) != (objects > 0)).mean() < 0.3
    assert image[objects > 0].mean() + 10 < image[objects == 0].mean()
    assert bent[moved > 0].mean() + 10 < bent[moved == 0].mean()  # objects lie where their image does


def test_an_image_smaller_than_a_crop_lies_in_its_middle():
    image, instances, known = flat(200, (20, 24))
    instances[5:10, 5:10] = 1
    (pixels,), (told,), (sure,) = batch_of(image, instances, known, STILL.replace(batch_size=1))
    assert pixels.shape == (32, 32, 3)
    assert abs(int(sure.sum()) - 20 * 24) <= 0
    assert sure[6:26, 4:28].all()
    assert (told > 0).sum() == 25


def test_invalid_training_data_is_an_error(pairs, tmp_path, raises_code):
    images, objects = pairs
    with raises_code("length-mismatch"):
        fit(Threshold(), images, objects[:2], STILL, out=tmp_path)
    with raises_code("shape-mismatch"):
        fit(Threshold(), images, [o[1:] for o in objects], STILL, out=tmp_path)
    with raises_code("monitor-unknown"):
        fit(Threshold(), images, objects, STILL.replace(monitor="loss"), out=tmp_path)


@pytest.mark.slow
def test_mask_rcnn_overfits_four_synthetic_images(tmp_path):
    """Proposals, boxes, classes, masks and what is made of them must all be right for this; 30 s of one core."""
    numbers = replace(maskrcnn.LEAN, blocks=(1, 1, 1, 1), tile_px=96, margin_px=16)
    system = maskrcnn.MaskRCNN(maskrcnn.build(numbers, seed=0), numbers)
    images, objects = zip(*(nuclei(seed) for seed in range(4)), strict=True)
    learning = STILL.replace(
        epochs=2,
        steps=75,
        batch_size=4,
        crop_px=96,
        learning_rate=2e-3,
        augmentation={"flips": (True, True), "color_gain": 0.05, "color_offset": 3.0},
        validation=(4, 5, 6, 7),
    )
    history = fit(system, images * 2, objects * 2, learning, out=tmp_path)
    assert history.epochs[1]["loss"] < 0.6 * history.epochs[0]["loss"]
    found = [system.segment(image).scored.instances for image in images]
    scores = [aji(overlaps(truth, told)).score for truth, told in zip(objects, found, strict=True)]
    assert np.mean(scores) > 0.8
