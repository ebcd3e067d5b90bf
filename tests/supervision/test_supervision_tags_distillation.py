"""The second stage: a net that reproduces pseudo-masks, on synthetic tissue."""

from dataclasses import replace

import numpy as np
import pytest

from hsn.nets import histonet, unet
from hsn.supervision import tags
from hsn.supervision.tags import distillation
from hsn.taxonomies import GLAS

ALL_PREDICTED = replace(GLAS, other=None, forced=())


def square(rng, shape=(64, 80)):
    """Draw a blue square on pink."""
    image = np.full((*shape, 3), (230, 150, 180), np.uint8)
    labels = np.zeros(shape, np.int32)
    r, c = rng.integers(4, shape[0] - 30), rng.integers(4, shape[1] - 30)
    image[r : r + 24, c : c + 24] = (80, 60, 140)
    labels[r : r + 24, c : c + 24] = 1
    return image + rng.integers(0, 9, image.shape, dtype=np.uint8), labels


def teacher():
    config = tags.Config(
        classes=ALL_PREDICTED.names,
        thresholds=(0, 0),
        taxonomies=(ALL_PREDICTED,),
        window_px=32,
        cam_layers=("activation_4", "dense_1"),
        normalization={"mean": (150,) * 3, "std": (50,) * 3},
        mpp=1.0,
        image_mpp=1.0,
    )
    return histonet.m4(2, width=0.1, input_px=None, seed=0), config


@pytest.mark.slow
def test_a_student_reproduces_the_pseudo_masks(tmp_path, rng):
    pairs = [square(rng) for _ in range(4)]
    config = distillation.student_config(teacher()[1], window_px=64)
    student = unet.build(2, depth=2, width=6, batch_norm=True, seed=0)
    settings = distillation.DistillationConfig(
        epochs=4, steps=12, batch_size=4, tile_px=32, learning_rate=1e-2
    )
    history = distillation.distill(
        student,
        [i for i, _ in pairs],
        [m for _, m in pairs],
        config,
        settings,
        validation=pairs[:1],
        out=tmp_path,
    )
    assert history.epochs[history.best]["validation_miou"] > 0.9
    assert distillation.score(student, config, [square(rng)]) > 0.9


def test_heatmaps_of_eight_symmetries_turn_with_the_image(rng):
    image, _ = square(rng, (64, 64))
    net = teacher()
    heatmaps = distillation.mean_heatmaps([net], image)
    turned = distillation.mean_heatmaps([net], np.ascontiguousarray(np.rot90(image)))
    np.testing.assert_allclose(np.rot90(heatmaps), turned, atol=1e-4)
    labels = distillation.pseudo_labels([net], image)
    assert labels.shape == (64, 64)
    assert set(np.unique(labels)) <= {0, 1}


def test_strength_favors_a_class(ihc, monkeypatch):
    heatmaps = np.broadcast_to(np.float32([0.5, 0.4]), (48, 48, 2))
    monkeypatch.setattr(distillation, "mean_heatmaps", lambda *_, **__: heatmaps)
    labels = {
        s: distillation.pseudo_labels([teacher()], ihc[:48, :48], strength=s)
        for s in ((), (1.0, 1.5), (1.0, 0.5))
    }
    assert [int(x.max()) for x in labels.values()] == [0, 1, 0]
    assert labels[1.0, 1.5].min() == 1


def test_images_without_pseudo_masks_are_an_error(tmp_path, raises_code):
    with raises_code("length-mismatch"):
        distillation.distill(None, [1, 2], [1], None, None, validation=[], out=tmp_path)
