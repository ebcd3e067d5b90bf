"""The net and the system around it: sizes of maps as published, a file like any other, parts that share layers."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops

from hsn import models
from hsn.extras.maskrcnn import LEAN, PAPER, MaskRCNN, MaskRCNNConfig, build
from hsn.extras.maskrcnn.net import make_backbone
from hsn.extras.maskrcnn.system import CHUNK
from hsn.nets import unet

SMALL = {"blocks": (1, 1, 1, 1), "width": 4, "pyramid": 8, "rpn": 8, "box": 16, "mask": 8, "mask_layers": 1}
TINY = replace(LEAN, **SMALL, tile_px=64, margin_px=8, rois=12, rpn_drawn=16, least_score=0.0, detections=40)


@pytest.fixture(scope="module")
def system():
    net = build(TINY, seed=0)
    kernel, _ = net.get_layer("class_logits").get_weights()
    net.get_layer("class_logits").set_weights([kernel, np.float32([0, 1])])  # at first, all are objects
    return MaskRCNN(net, TINY)


KNOWN = np.ones((2, 64, 64), bool)


def squares():
    instances = np.zeros((2, 64, 64), np.int32)
    instances[0, 8:20, 10:22], instances[0, 40:50, 30:44], instances[1, 20:31, 20:30] = 1, 2, 1
    images = np.where(instances[..., None] > 0, (90, 40, 120), (220, 180, 210)).astype(np.uint8)
    return images, instances


@pytest.mark.slow
def test_the_published_net_has_its_published_size():
    """Layers and channels are those of the paper's code; that its net has as many parameters is nowhere written."""
    net = build(PAPER)
    assert sum(w.shape.num_elements() for w in net.trainable_weights) == 44_603_678
    assert net.count_params() == 44_662_942


def test_the_lean_net_has_its_documented_size():
    net = build(LEAN)
    assert net.count_params() == 1_516_816
    assert make_backbone(net)(np.zeros((1, 256, 256, 3), "float32"))["anchor_logits"].shape[1] == 30_720


def test_maps_and_anchors_have_their_published_sizes():
    numbers = MaskRCNNConfig(**SMALL)
    seen = make_backbone(build(numbers, seed=0))(np.zeros((1, 256, 256, 3), "float32"))
    assert seen["anchor_logits"].shape == (1, 16_368, 2)
    assert seen["anchor_deltas"].shape == (1, 16_368, 4)
    assert [seen[f"p{k}"].shape[1:3] for k in (2, 3, 4, 5)] == [(64, 64), (32, 32), (16, 16), (8, 8)]


def test_anchors_and_their_outputs_have_the_same_order():
    """The proposal net's bias of one shape appears where anchors of that shape are."""
    numbers = MaskRCNNConfig(**SMALL)
    net = build(numbers, seed=0)
    system = MaskRCNN(net, numbers)
    for name in ("rpn_class", "rpn_box"):
        kernel, bias = net.get_layer(name).get_weights()
        net.get_layer(name).set_weights([0 * kernel, np.arange(len(bias), dtype="float32")])
    seen = system._backbone.predict_on_batch(np.zeros((1, 64, 64, 3), "float32"))
    laid = system._anchors((64, 64))
    ratio = (laid[:, 3] - laid[:, 1]) / (laid[:, 2] - laid[:, 0])
    shape_of = np.searchsorted([0.7, 1.4], ratio)  # 0, 1, 2: tall, square, wide
    np.testing.assert_array_equal(seen["anchor_logits"][0][:, 0], 2 * shape_of)
    np.testing.assert_array_equal(seen["anchor_deltas"][0][:, 1], 4 * shape_of + 1)


def test_a_shifted_object_has_shifted_features():
    """Rows are rows and columns columns: what lies down and right in the image does so on every level."""
    trunk = make_backbone(build(MaskRCNNConfig(**SMALL), seed=0))
    image = np.zeros((1, 256, 256, 3), "float32")
    image[:, 176:208, 48:80] = 3
    plain = trunk(np.zeros_like(image))
    for level, map_ in trunk(image).items():
        if level[0] == "p":
            changed = ops.convert_to_numpy(ops.max(ops.abs(map_ - plain[level]), axis=-1))[0]
            row, column = np.unravel_index(changed.argmax(), changed.shape)
            stride = 256 // len(changed)
            assert abs(row * stride - 192) <= 16 + stride
            assert abs(column * stride - 64) <= 16 + stride


def test_initial_weights_repeat_with_a_seed():
    one, two, other = (build(TINY, seed=s).get_weights() for s in (3, 3, 4))
    assert all((a == b).all() for a, b in zip(one, two, strict=True))
    assert any((a != b).any() for a, b in zip(one, other, strict=True))


@pytest.mark.slow
def test_saved_nets_have_stock_layers_and_detect_the_same(system, tmp_path):
    card = models.Card(
        name="tiny", method="selected", classes=("nucleus",), thresholds=(0.5,), mpp=0.5, taxonomies=("nuclei",),
        normalization=models.Normalization(mean=TINY.mean, std=TINY.std),
    )  # fmt: skip
    models.save(tmp_path / "tiny", system.net, card, {})
    again = MaskRCNN(models.load(tmp_path / "tiny").net, TINY)
    images, _ = squares()
    one, two = system.segment(images[0]), again.segment(images[0])
    assert len(one.scored.scores) > 0
    np.testing.assert_array_equal(one.scored.instances, two.scored.instances)
    np.testing.assert_allclose(one.scored.scores, two.scored.scores, rtol=1e-5)


def test_examples_fit_the_training_model(system):
    images, instances = squares()
    inputs, target, _ = system.examples(images, instances, KNOWN, np.random.default_rng(0))
    assert {k: v.shape for k, v in inputs.items()} == {
        "image": (2, 64, 64, 3), "boxes": (2, 12, 4), "places": (2, 12), "mask_boxes": (2, 3, 4), "mask_places": (2, 3),
    }  # fmt: skip
    assert target["classes"].sum() >= 3  # the objects' own boxes are regions
    prediction = system.training_model(inputs)
    assert prediction["anchor_logits"].shape == (*target["objects"].shape, 2)
    assert prediction["class_logits"].shape == (24, 2)
    assert prediction["box_deltas"].shape == (24, 2, 4)
    assert prediction["mask_logits"].shape == (6, 28, 28, 2)
    value = float(system.loss(target, prediction, None, inputs))
    assert np.isfinite(value)
    again, _, _ = system.examples(images, instances, KNOWN, np.random.default_rng(0))
    np.testing.assert_array_equal(inputs["boxes"], again["boxes"])


def test_all_layers_get_gradients(system):
    """Each trainable weight gets a gradient, through alignment too."""
    import tensorflow as tf

    images, instances = squares()
    inputs, target, _ = system.examples(images, instances, KNOWN, np.random.default_rng(0))
    with tf.GradientTape() as tape:
        value = system.loss(target, system.training_model(inputs, training=True), None, inputs)
    variables = system.net.trainable_weights
    assert len(variables) == len(system.training_model.trainable_weights)
    gradients = tape.gradient(value, [v.value for v in variables])
    assert [v.path for v, g in zip(variables, gradients, strict=True) if g is None] == []
    assert np.mean([np.abs(g).max() > 0 for g in gradients]) > 0.9


def test_heads_give_the_same_outputs_in_chunks(system, rng):
    start = rng.uniform(0, 50, (CHUNK + 5, 2))
    regions = np.concatenate([start, start + rng.uniform(4, 14, start.shape)], axis=1).astype(np.float32)
    pyramid = {"p2": rng.normal(size=(1, 16, 16, 8)).astype("float32")}
    together = system._run_head(system._box_head, pyramid, regions, (64, 64))
    apart = system._run_head(system._box_head, pyramid, regions[CHUNK:], (64, 64))
    assert len(together["class_logits"]) == CHUNK + 5
    np.testing.assert_allclose(together["box_deltas"][CHUNK:], apart["box_deltas"], atol=1e-5)
    assert len(system._run_head(system._box_head, pyramid, regions[:0], (64, 64))["class_logits"]) == 0


def test_no_detections_give_an_empty_image(system):
    sure = MaskRCNN(system.net, replace(TINY, least_score=1.0))
    report = sure.segment(squares()[0][0])
    assert report.scored.instances.shape == (64, 64)
    assert report.scored.instances.max() == 0


def test_a_reached_limit_warns(system):
    images, _ = squares()
    few = MaskRCNN(system.net, replace(TINY, detections=1, overlap=0.1))
    report = few.segment(images[0])
    assert any("the limit of 1 detections dropped objects" in sentence for sentence in report.warnings)
    assert len(report.scored.scores) == 1


def test_images_of_any_size_are_accepted(system, rng):
    for shape in ((20, 31), (64, 90), (130, 67)):
        report = system.segment(rng.integers(0, 256, (*shape, 3)).astype(np.uint8))
        assert report.scored.instances.shape == shape


def test_other_nets_and_images_raise(system, raises_code):
    with raises_code("maskrcnn-mismatch"):
        MaskRCNN(unet.build(depth=1, width=2), TINY)
    with raises_code("maskrcnn-mismatch"):
        MaskRCNN(system.net, replace(TINY, sides_px=((8, 14, 24), (30, 40, 50))))
    with raises_code("image-dtype"):
        system.segment(np.zeros((9, 9), np.uint8))
    assert isinstance(system.training_model, keras.Model)
