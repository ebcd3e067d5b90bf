"""Inference of selected patches: nets with contours, detectors, and unknown pixels."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from hsn.extras import maskrcnn
from hsn.extras.maskrcnn.tiles import DetectionReport
from hsn.nets import unet
from hsn.objects.overlaps import ScoredInstances
from hsn.supervision import masks
from hsn.supervision.selected import make_loss, make_targets, preset, segment
from hsn.supervision.selected.dense import Dense, system_of

CONFIG = preset("cpu").replace(
    normalization={"mean": (127.5,) * 3, "std": (127.5,) * 3},
    tiling={"halo_px": 0},
    postprocess={"min_area_um2": 0.0, "fill_holes": False},
)
BACKGROUND, INSIDE, CONTOUR = np.eye(3, dtype=np.uint8) * 255


def sighted():
    """A net that returns the colors of a pixel: red background, green inside, blue contour."""
    x = inputs = layers.Input((None, None, 3))
    return keras.Model(inputs, layers.Softmax()(layers.Rescaling(3.0)(x)))


def drawn(scale=1):
    """Two nuclei of 7 and 5 px with touching contours."""
    classes = np.zeros((20, 24), int)
    classes[4:13, 3:12], classes[5:12, 12:19] = 2, 2
    classes[5:12, 4:11], classes[6:11, 13:18] = 1, 1
    return np.stack([BACKGROUND, INSIDE, CONTOUR])[np.kron(classes, np.ones((scale, scale), int))]


def test_the_score_of_an_object_is_its_mean_probability():
    report = Dense(sighted(), CONFIG).segment(drawn())
    assert report.warnings == ()
    assert report.scored.instances.max() == 2
    np.testing.assert_allclose(report.scored.scores, [0.98, 0.98], atol=0.02)
    faint = drawn()
    faint[6:11, 13:18] = (110, 150, 0)
    sure, unsure = Dense(sighted(), CONFIG).segment(faint).scored.scores
    assert unsure < sure - 0.1


def test_a_net_with_contours_gives_the_results_of_masks():
    """The same net and parameters give the same targets, loss and objects in both methods."""
    same = masks.preset("unet").replace(
        normalization={"mean": CONFIG.normalization.mean, "std": CONFIG.normalization.std},
        tiling={"halo_px": 0},
        postprocess={"min_area_um2": 0.0, "fill_holes": False},
    )
    image = drawn()
    masked = segment(sighted(), image, CONFIG).instances
    np.testing.assert_array_equal(masked, masks.segment(sighted(), image, same).instances)
    mine, theirs = make_targets(image, masked, CONFIG), masks.make_targets(image, masked, same)
    np.testing.assert_array_equal(mine.target, theirs.target)
    np.testing.assert_allclose(mine.weight, theirs.weight)
    even = np.full((1, 20, 24, 3), 1 / 3, np.float32)
    one, two = (
        of(mine.target[None], even, mine.weight[None], None)
        for of in (make_loss(CONFIG), masks.make_loss(same))
    )
    assert float(one) == pytest.approx(float(two))


def test_unknown_pixels_do_not_change_the_loss(rng):
    """Neither objects nor predictions there change the loss; elsewhere both do."""
    # A border's weight is masked by both objects around it, wherever they are.
    system = Dense(unet.build(3, depth=1, width=4, seed=0), CONFIG.replace(targets={"border_weight": 0.0}))
    images = rng.integers(0, 256, (1, 16, 16, 3)).astype(np.float32)
    known = np.ones((1, 16, 16), bool)
    known[:, :, 8:] = False
    one = np.zeros((1, 16, 16), np.int32)
    one[0, 3:8, 1:6] = 1
    other = one.copy()
    other[0, 2:9, 10:15] = 2
    prediction = rng.dirichlet([1, 1, 1], (1, 16, 16)).astype(np.float32)
    changed = prediction.copy()
    changed[:, :, 8:] = changed[:, :, 8:, [1, 2, 0]]

    def value(instances, prediction, known):
        _, target, weight = system.examples(images, instances, known, rng)
        return float(system.loss(ops.convert_to_tensor(target), prediction, weight, None))

    everywhere = np.ones_like(known)
    assert value(one, prediction, known) == value(one, changed, known)
    assert value(one, prediction, everywhere) != value(one, changed, everywhere)
    assert value(one, prediction, known) == value(other, prediction, known)
    assert value(one, prediction, everywhere) != value(other, prediction, everywhere)


def test_masked_pixels_of_a_masked_array_are_unknown(raises_code):
    masked = np.ma.masked_array(np.ones((6, 6), int), np.eye(6, dtype=bool))
    weight = make_targets(np.zeros((6, 6, 3), np.uint8), masked, CONFIG).weight
    np.testing.assert_array_equal(weight == 0, np.eye(6, dtype=bool))
    with raises_code("shape-mismatch"):
        make_targets(np.zeros((6, 5, 3), np.uint8), masked, CONFIG)
    detected = make_targets(np.zeros((6, 6, 3), np.uint8), masked, preset("lou2022"))
    np.testing.assert_array_equal(detected.target, ~np.eye(6, dtype=bool))


def test_probabilities_of_a_detector_are_its_scores(monkeypatch):
    found = np.zeros((10, 12), np.int32)
    found[1:5, 1:5], found[6:9, 6:11] = 1, 2
    scored = ScoredInstances(found, np.array([0.75, 0.5], np.float32))
    asked = []

    def segment_at_scale(self, image, *, min_area_px):
        asked.append(min_area_px)
        return DetectionReport(scored, ())

    monkeypatch.setattr(maskrcnn.MaskRCNN, "segment", segment_at_scale)
    config = preset("lou2022").replace(detector=maskrcnn.LEAN, mpp=0.5, postprocess={"min_area_um2": 2.0})
    net = maskrcnn.build(maskrcnn.LEAN, seed=0)
    result = segment(net, drawn(), config, mpp=0.25)
    np.testing.assert_array_equal(result.instances, np.kron(found, np.ones((2, 2), int)))
    np.testing.assert_array_equal(result.probabilities[..., 1], np.append(0, scored.scores)[result.instances])
    assert asked == [8]  # 2 um2 at 0.5 um/px


def test_the_config_chooses_the_system(raises_code):
    net = maskrcnn.build(maskrcnn.LEAN, seed=0)
    system = system_of(
        net, preset("lou2022").replace(detector=maskrcnn.LEAN, normalization={"mean": (1.0, 2.0, 3.0)})
    )
    assert system.numbers.mean == (1.0, 2.0, 3.0)
    with raises_code("net-outputs"):
        system_of(net, CONFIG)
