"""The second stage: a student that reproduces pseudo-masks, on tissue drawn by program."""

from dataclasses import replace

import numpy as np
import pytest

from hsn import InputError
from hsn.nets import histonet, unet
from hsn.supervision import tags
from hsn.supervision.tags import distil
from hsn.taxonomies import GLAS

SEEN = replace(GLAS, other=None, forced=())


def square(rng, shape=(64, 80)):
    """A blue square on pink: as easy as tissue can be."""
    image = np.full((*shape, 3), (230, 150, 180), np.uint8)
    labels = np.zeros(shape, np.int32)
    r, c = rng.integers(4, shape[0] - 30), rng.integers(4, shape[1] - 30)
    image[r : r + 24, c : c + 24] = (80, 60, 140)
    labels[r : r + 24, c : c + 24] = 1
    return image + rng.integers(0, 9, image.shape, dtype=np.uint8), labels


def teacher():
    config = tags.Config(
        classes=SEEN.names,
        thresholds=(0, 0),
        taxonomies=(SEEN,),
        window_px=32,
        cam_layers=("activation_4", "dense_1"),
        normalization={"mean": (150,) * 3, "std": (50,) * 3},
        mpp=1.0,
        image_mpp=1.0,
    )
    return histonet.m4(2, width=0.1, input_px=None, seed=0), config


def test_a_student_learns_what_the_masks_show(tmp_path, rng):
    pairs = [square(rng) for _ in range(4)]
    config = distil.student_config(teacher()[1], window_px=64)
    student = unet.build(2, depth=2, width=6, batch_norm=True, seed=0)
    numbers = distil.Distillation(epochs=4, steps=12, batch=4, tile_px=32, highest_rate=1e-2)
    history = distil.distil(
        student,
        [i for i, _ in pairs],
        [m for _, m in pairs],
        config,
        numbers,
        validation=pairs[:1],
        out=tmp_path,
    )
    assert history.epochs[history.best]["validation_miou"] > 0.9
    assert distil.score(student, config, [square(rng)]) > 0.9


def test_pseudo_labels_do_not_depend_on_how_the_image_is_held(rng):
    image, _ = square(rng, (64, 64))
    net = teacher()
    evidence = distil.mean_evidence([net], image)
    turned = distil.mean_evidence([net], np.ascontiguousarray(np.rot90(image)))
    np.testing.assert_allclose(np.rot90(evidence), turned, atol=1e-4)
    labels = distil.pseudo_labels([net], image)
    assert labels.shape == (64, 64)
    assert set(np.unique(labels)) <= {0, 1}


def test_strength_favours_a_class(ihc, monkeypatch):
    evidence = np.broadcast_to(np.float32([0.5, 0.4]), (48, 48, 2))
    monkeypatch.setattr(distil, "mean_evidence", lambda *_, **__: evidence)
    labels = {
        s: distil.pseudo_labels([teacher()], ihc[:48, :48], strength=s) for s in ((), (1.0, 1.5), (1.0, 0.5))
    }
    assert [int(x.max()) for x in labels.values()] == [0, 1, 0]
    assert labels[1.0, 1.5].min() == 1


def test_images_without_masks_are_refused(tmp_path):
    with pytest.raises(InputError, match="each image needs its pseudo-mask"):
        distil.distil(None, [1, 2], [1], None, None, validation=[], out=tmp_path)
