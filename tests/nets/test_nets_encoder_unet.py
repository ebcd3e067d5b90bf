"""U-Nets on an encoder: sizes, heads, any size of image, files, receptive field, backends."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers, ops

from hsn.errors import InputError
from hsn.nets import encoder_unet, encoders
from hsn.nets.encoder_unet import SIZES, Head

ROOT = Path(__file__).parents[2]
TINY = {"weights": None, "encoder_stride": 8, "decoder": (4, 4), "seed": 1}
HEADS = (Head("ternary", 3, "softmax"), Head("contour", 1, "sigmoid"), Head("distance", 2, "linear"))

PREDICT = """
import sys, keras, numpy as np
assert keras.backend.backend() == sys.argv[1]
image = np.load(sys.argv[2])
np.savez(sys.argv[4], **keras.models.load_model(sys.argv[3], compile=False).predict(image, verbose=0))
"""


def output_of(net, image):
    out = net(np.asarray(image, "float32"), training=False)
    return (
        {k: ops.convert_to_numpy(v) for k, v in out.items()}
        if isinstance(out, dict)
        else ops.convert_to_numpy(out)
    )


@pytest.mark.parametrize("size", SIZES)
def test_the_docstring_states_the_measured_sizes(size):
    net = encoder_unet.build(3, weights=None, **SIZES[size])
    row = next(line for line in encoder_unet.__doc__.splitlines() if line.startswith(f"| {size} "))
    parameters = sum(int(np.prod(w.shape)) for w in net.trainable_weights)
    macs = encoder_unet.multiply_adds(net, (256, 256)) / 1e9
    field = encoder_unet.receptive_field_px(net)
    stride = SIZES[size]["encoder_stride"] // 2 ** len(SIZES[size]["decoder"])
    stated = [cell.strip() for cell in row.split("|")[2:-1]]
    decoder = ", ".join(map(str, SIZES[size]["decoder"]))
    expected = [
        str(SIZES[size]["encoder_stride"]),
        decoder,
        str(stride),
        f"{parameters:,}",
        f"{macs:.2f} G",
        f"{field} px",
    ]
    assert stated == expected
    assert encoder_unet.size_divisor(net) == SIZES[size]["encoder_stride"]


@pytest.mark.parametrize("decoder", [(4,), (4, 4), (4, 4, 4)])
@pytest.mark.parametrize("outputs", [1, 3])
def test_the_output_has_the_size_of_the_image_at_any_depth(decoder, outputs, rng):
    net = encoder_unet.build(outputs, **TINY | {"decoder": decoder})
    assert net.layers[-1].name == "probabilities"
    found = output_of(net, rng.normal(size=(2, 32, 48, 3)))
    assert found.shape == (2, 32, 48, outputs)
    assert 0 < found.min() < found.max() < 1
    if outputs > 1:
        np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", encoders.NAMES)
def test_every_encoder_fits(name, rng):
    if keras.backend.backend() == "torch" and name.startswith("resnet"):
        pytest.skip("ResUNet names its layers with dots, which torch refuses")
    net = encoder_unet.build(2, **TINY | {"encoder": name, "encoder_stride": 32})
    assert output_of(net, rng.normal(size=(1, 64, 32, 3))).shape == (1, 64, 32, 2)
    assert encoder_unet.size_divisor(net) == 32


def test_several_heads_are_named_and_activated(rng):
    net = encoder_unet.build(heads=HEADS, **TINY)
    found = output_of(net, 3 * rng.normal(size=(1, 32, 32, 3)))
    assert {name: array.shape[-1] for name, array in found.items()} == {
        "ternary": 3,
        "contour": 1,
        "distance": 2,
    }
    np.testing.assert_allclose(found["ternary"].sum(axis=-1), 1, rtol=1e-5)
    assert 0 < found["contour"].min() < found["contour"].max() < 1
    logits = keras.Model(net.input, encoder_unet.logits_layer(net, "distance").output)
    image = rng.normal(size=(1, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(output_of(logits, image), output_of(net, image)["distance"], atol=1e-6)


def test_a_single_head_is_named_as_in_other_nets():
    net = encoder_unet.build(heads=[Head("distance", 1, "linear")], **TINY)
    assert net.layers[-1].name == "probabilities"
    assert net.layers[-1].activation is keras.activations.linear
    assert encoder_unet.logits_layer(net).output.shape[-1] == 1


def test_the_encoder_starts_from_its_weights():
    net = encoder_unet.build(1, decoder=(8,), encoder_stride=16)
    given = encoders.arrays_of(encoders.build(stride=16))
    found = encoders.arrays_of(encoder_unet.extract_encoder(net))
    assert found.keys() == given.keys()
    assert all(np.array_equal(found[name], given[name]) for name in given)


def test_one_nets_encoder_starts_another():
    one, other = encoder_unet.build(1, **TINY), encoder_unet.build(3, **TINY | {"seed": 9})
    trained = encoders.arrays_of(encoder_unet.extract_encoder(one))
    third = encoder_unet.build(3, **TINY | {"weights": trained, "seed": 9})
    assert np.array_equal(third.get_layer("stem").get_weights()[0], one.get_layer("stem").get_weights()[0])
    decoder = [net.get_layer("decoder1_1_conv").get_weights()[0] for net in (other, third)]
    assert np.array_equal(*decoder)


@pytest.mark.parametrize("decoder", [(8, 8), (8, 8, 8, 8)])  # with and without enlarged logits
def test_a_rebuilt_net_has_another_head_and_the_same_features(decoder, rng):
    net = encoder_unet.build(1, weights=None, encoder_stride=16, decoder=decoder, dropout=0.0, seed=0)
    image = rng.normal(size=(1, 32, 48, 3)).astype(np.float32)
    before = [weight.copy() for weight in net.get_weights()]
    other = encoder_unet.rebuild(net, 3, seed=1)
    assert other(image).shape == (1, 32, 48, 3)
    for layer in net.layers:
        if layer.weights and not layer.name.startswith("logits"):
            for a, b in zip(layer.get_weights(), other.get_layer(layer.name).get_weights(), strict=True):
                np.testing.assert_array_equal(a, b)
    other.set_weights([weight + 1 for weight in other.get_weights()])
    for a, b in zip(before, net.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)  # the nets share nothing


def test_the_start_repeats_with_a_seed():
    one, two, other = (encoder_unet.build(2, **TINY | {"seed": s}).get_weights() for s in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("sides", [(61, 77), (1, 9), (32, 40), (64, 64)])
def test_given_sides_may_be_any_and_equal_the_open_net_on_the_padded_image(sides, rng):
    fixed = encoder_unet.build(2, sides_px=sides, **TINY)
    opened = encoder_unet.build(2, **TINY)
    image = rng.normal(size=(1, *sides, 3)).astype("float32")
    found = output_of(fixed, image)
    assert found.shape == (1, *sides, 2)
    padded = np.pad(image, ((0, 0), *((0, -side % 8) for side in sides), (0, 0)))
    expected = output_of(opened, padded)[:, : sides[0], : sides[1]]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("sides_px", [None, (45, 70)])
def test_a_net_survives_its_file(sides_px, rng, tmp_path):
    net = encoder_unet.build(heads=HEADS, sides_px=sides_px, **TINY)
    net.save(tmp_path / "net.keras")
    again = keras.models.load_model(tmp_path / "net.keras")
    assert all(type(layer).__module__.startswith("keras.") for layer in again.layers)
    image = rng.normal(size=(1, *(sides_px or (40, 64)), 3))
    before, after = output_of(net, image), output_of(again, image)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert encoder_unet.receptive_field_px(again) == encoder_unet.receptive_field_px(net)


def test_tiles_with_the_halo_give_the_whole_image(rng):
    net = encoder_unet.build(1, **TINY)
    halo, step = encoder_unet.halo_px(net), encoder_unet.size_divisor(net)
    margin = -(-halo // step) * step
    image = rng.normal(size=(1, 2 * margin + 64, 2 * margin + 64, 3)).astype("float32")
    whole = output_of(net, image)[0, margin + 16 : margin + 32, margin + 16 : margin + 32]
    tile = image[:, 16 : 2 * margin + 32, 16 : 2 * margin + 32]
    found = output_of(net, tile)[0, margin : margin + 16, margin : margin + 16]
    np.testing.assert_allclose(found, whole, atol=1e-5)
    near = output_of(net, tile[:, 16:-16, 16:-16])[0, margin - 16 : margin, margin - 16 : margin]
    assert np.abs(near - whole).max() > 1e-7  # 16 px less show


@pytest.mark.parametrize("decoder", [(4, 4), (4, 4, 4)])
def test_the_receptive_field_equals_the_range_of_a_changed_pixel(decoder):
    net = encoder_unet.build(1, **TINY | {"decoder": decoder})
    halo = encoder_unet.halo_px(net)
    _make_positive(net)
    side = 8 * (2 * halo // 8 + 4)
    plain, farthest = np.zeros((1, side, side, 3), "float32"), 0
    to_logits = keras.Model(net.input, encoder_unet.logits_layer(net).output)
    before = output_of(to_logits, plain)
    for place in range(side // 16 * 8, side // 16 * 8 + 8):
        image = plain.copy()
        image[0, place, place] = 1
        changed = np.argwhere(np.abs(output_of(to_logits, image) - before)[0, ..., 0] > 0)
        farthest = max(farthest, np.abs(changed - place).max())
    assert farthest == halo


def _make_positive(net):
    """Give every path a positive weight; a black image then gives exactly 0, and no small change is rounded away."""
    for layer in net.layers:
        if isinstance(layer, layers.BatchNormalization):
            ones = np.ones(layer.gamma.shape, "float32")
            layer.set_weights([ones, 0 * ones, 0 * ones, ones])
        elif isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)):
            kernel, *bias = layer.get_weights()
            inputs = np.prod(kernel.shape[:2]) * (
                1 if isinstance(layer, layers.DepthwiseConv2D) else kernel.shape[2]
            )
            layer.set_weights([np.full(kernel.shape, 1 / inputs, "float32"), *(0 * b for b in bias)])


@pytest.mark.slow
def test_a_step_of_training_lowers_the_loss_and_moves_the_encoder(rng):
    net = encoder_unet.build(1, **TINY)
    before = net.get_layer("stem").get_weights()[0]
    image = rng.normal(size=(4, 32, 32, 3)).astype("float32")
    mask = (image[..., :1] > 0).astype("float32")
    net.compile(keras.optimizers.AdamW(1e-2), "binary_crossentropy")
    losses = net.fit(image, mask, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert not np.array_equal(before, net.get_layer("stem").get_weights()[0])


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_the_same_file_predicts_the_same_on_every_backend(backend, rng, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    if keras.backend.backend() == backend:
        pytest.skip(f"the other tests run on {backend}")
    net = encoder_unet.build(heads=HEADS, decoder=(16, 16, 8), encoder_stride=16, seed=1)
    image = rng.normal(size=(2, 64, 96, 3)).astype("float32")
    np.save(tmp_path / "image.npy", image)
    net.save(tmp_path / "net.keras")
    environment = os.environ | {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
    names = [tmp_path / name for name in ("image.npy", "net.keras", "found.npz")]
    subprocess.run(
        [sys.executable, "-c", PREDICT, backend, *names], env=environment, check=True, capture_output=True
    )
    here = output_of(net, image)
    with np.load(tmp_path / "found.npz") as found:
        for name, expected in here.items():
            assert np.abs(found[name] - expected).max() < 1e-4
            assert expected.std() > 0


def test_probabilities_are_float32_in_mixed_precision(rng):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        net = encoder_unet.build(1, **TINY)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert output_of(net, rng.normal(size=(1, 32, 32, 3))).dtype == np.float32


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"outputs": 0}, "outputs"),
        ({"decoder": ()}, "decoder"),
        ({"decoder": (4, 4, 4, 4)}, "decoder"),
        ({"decoder": (4, 0)}, "decoder"),
        ({"dropout": 1}, "dropout"),
        ({"heads": []}, "head"),
        ({"heads": [HEADS[0], HEADS[0]]}, "head"),
        ({"sides_px": (0, 5)}, "sides"),
        ({"encoder": "vgg"}, "encoder-name"),
        ({"encoder_stride": 5}, "encoder-stride"),
    ],
)
def test_errors_have_codes(options, code):
    with pytest.raises(InputError) as caught:
        encoder_unet.build(**TINY | options)
    assert caught.value.code == code


@pytest.mark.parametrize("wrong", [("a", 0, "sigmoid"), ("a", 1, "relu"), ("", 1, "linear")])
def test_a_head_must_be_complete(wrong):
    with pytest.raises(InputError) as caught:
        Head(*wrong)
    assert caught.value.code == "head"
