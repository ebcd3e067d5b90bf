"""ResUNets: published sizes, wiring and initialization; torch weights; any image size; receptive field."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy.ndimage import correlate

from hsn import models
from hsn.nets import resnet_state, resunet, unet


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


def state_of(net, rng=None):
    """torch's `state_dict` of a net: its weights in torch's names and axes, or random ones of their shapes."""
    parts = {"kernel": "weight", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
             "moving_variance": "running_var"}  # fmt: skip
    state = {}
    for layer in net.layers:
        for variable in layer.weights:
            array = ops.convert_to_numpy(variable)
            if array.ndim == 4:
                array = array.transpose(3, 2, 0, 1)
            if rng is not None and array.ndim == 1:
                array = rng.uniform(0.5, 1.5, array.shape).astype("f4")
            state[f"{resunet.torch_name(layer)}.{parts.get(variable.name, variable.name)}"] = array
    return state


def in_torchs_order(names):
    """Kernels as torch makes them: the stem, the blocks with their shortcut last, then the way up."""
    groups = ["conv1", "layer1", "layer2", "layer3", "layer4", "u5", "u6", "u7", "u8", "ce"]

    def key(name):
        first, *rest = name.split(".")
        return groups.index(first), ["a" if part == "up" else part for part in rest]

    return sorted(names, key=key)


def logits_in(net, image):
    to_logits = keras.Model(net.input, resunet.logits_layer(net).output)
    return ops.convert_to_numpy(to_logits(image.astype("float32"), training=False))


def trainable(net):
    return sum(int(np.prod(w.shape)) for w in net.trainable_weights)


@pytest.fixture(scope="module")
def published():
    return resunet.build(2)


def test_the_published_sizes(published):
    assert trainable(published) == 24_399_650
    part = {unit: 0 for unit in ("u5", "u6", "u7", "u8", "ce")}
    for layer in published.layers:
        unit = layer.name.split("-")[0]
        if unit in part:
            part[unit] += sum(int(np.prod(w.shape)) for w in layer.trainable_weights)
    assert part == {"u5": 2_295_552, "u6": 574_336, "u7": 143_808, "u8": 100_768, "ce": 514}
    assert trainable(resunet.rebuild(published, 1)) == 24_399_393


@pytest.mark.parametrize(("depth", "encoder"), [(18, 11_689_512), slow(34, 21_797_672), slow(50, 25_557_032)])
def test_every_encoder_has_the_size_of_torchvision_without_classifier(depth, encoder):
    net = resunet.extract_encoder(resunet.build(1, depth=depth))
    assert trainable(net) == encoder - (net.output_shape[-1] + 1) * 1000


def test_the_output_equals_the_published_one_with_torch_names(published):
    """Published: given weights in torch's names and axes, the logits of a given image."""
    state = state_of(published)
    kernels = [name.removesuffix(".weight") for name, array in state.items() if array.ndim == 4]
    assert len(kernels) == 49
    for number, name in enumerate(in_torchs_order(kernels)):
        shape = state[f"{name}.weight"].shape
        given = shape[1] if name == "ce" or name.endswith(".up") else shape[0]
        spread = np.sqrt(2 / (shape[2] * shape[3] * given))
        state[f"{name}.weight"] = np.random.RandomState(1000 + number).randn(*shape) * spread
        if f"{name}.bias" in state:
            state[f"{name}.bias"] = np.zeros_like(state[f"{name}.bias"])
    encoder = ("conv1", "bn1", "layer")
    original = {f"module.resnet.{k}" if k.startswith(encoder) else f"module.{k}": v for k, v in state.items()}
    original |= {"module.resnet.fc.weight": np.ones((1000, 512)), "module.resnet.fc.bias": np.ones(1000)}
    net = resunet.build(2, seed=1)
    resnet_state.load(net, original)
    image = np.random.RandomState(7).rand(1, 3, 64, 64) - 0.5
    logits = logits_in(net, image.transpose(0, 2, 3, 1))[0]
    assert float(logits.mean()) == pytest.approx(-2.29016, rel=1e-4)
    assert float(logits.std()) == pytest.approx(19.9349, rel=1e-4)
    assert logits[0, 0].tolist() == pytest.approx((-10.5334, 2.42679), rel=1e-4)
    assert logits[32, 32].tolist() == pytest.approx((1.22885, 29.2129), rel=1e-4)
    assert logits[63, 10].tolist() == pytest.approx((-15.7335, -3.70356), rel=1e-4)


class Torch:
    """The same forward pass on (C, H, W), as torch defines its operations, from a `state_dict`."""

    def __init__(self, state):
        self.state = state

    def conv(self, x, name, stride=1):
        kernel = self.state[f"{name}.weight"]  # (out, in, rows, columns)
        x = np.stack(
            [sum(correlate(a, k, mode="constant") for a, k in zip(x, one, strict=True)) for one in kernel]
        )
        bias = self.state.get(f"{name}.bias", np.zeros(len(kernel)))
        return x[:, ::stride, ::stride] + bias[:, None, None]

    def norm(self, x, name):
        gamma, beta, mean, var = (
            self.state[f"{name}.{part}"][:, None, None]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / np.sqrt(var + 1e-5) * gamma + beta

    def transposed(self, x, name):
        kernel, bias = self.state[f"{name}.weight"], self.state[f"{name}.bias"]  # (in, out, 2, 2)
        spread = np.einsum("ihw,iorc->ohrwc", x, kernel)
        return spread.reshape(len(bias), 2 * x.shape[1], 2 * x.shape[2]) + bias[:, None, None]

    def block(self, x, name, stride):
        kernels = sum(f"{name}.conv{k}.weight" in self.state for k in (1, 2, 3))
        shortcut = x
        if f"{name}.downsample.0.weight" in self.state:
            shortcut = self.norm(self.conv(x, f"{name}.downsample.0", stride), f"{name}.downsample.1")
        for k in range(1, kernels + 1):
            strided = stride if k == kernels - 1 else 1
            x = self.norm(self.conv(x, f"{name}.conv{k}", strided), f"{name}.bn{k}")
            x = np.maximum(x, 0) if k < kernels else x
        return np.maximum(x + shortcut, 0)

    def up(self, x, skip, name):
        x = self.transposed(x, f"{name}.up")
        missing = [(0, 0), *((0, a - b) for a, b in zip(x.shape[1:], skip.shape[1:], strict=True))]
        x = np.concatenate([x, np.pad(skip, missing, mode="reflect")])
        for k in (1, 2):
            x = self.norm(np.maximum(self.conv(x, f"{name}.conv{k}.conv"), 0), f"{name}.conv{k}.norm")
        return x

    def logits(self, image):
        height, width = image.shape[:2]
        x = np.maximum(self.norm(self.conv(image.transpose(2, 0, 1), "conv1", 2), "bn1"), 0)
        skips = [x]
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
        x = windows[:, ::2, ::2].max(axis=(-2, -1))
        for stage in (1, 2, 3, 4):
            k = 0
            while f"layer{stage}.{k}.conv1.weight" in self.state:
                x = self.block(x, f"layer{stage}.{k}", 2 if stage > 1 and k == 0 else 1)
                k += 1
            skips.append(x)
        skips.pop()
        for unit in ("u5", "u6", "u7", "u8"):
            x = self.up(x, skips.pop(), unit)
        return self.transposed(x, "ce")[:, :height, :width].transpose(1, 2, 0)


@pytest.mark.parametrize("sides", [(64, 96), (63, 49), (33, 66), (17, 18)])
@pytest.mark.parametrize("depth", [18, slow(50)])
def test_any_size_equals_the_operations_of_torch(depth, sides, rng):
    net = resunet.build(2, depth=depth, width=2, sides_px=sides, seed=3)
    assert net.output_shape == (None, *sides, 2)
    state = state_of(net, rng)
    resnet_state.load(net, state)
    image = rng.normal(size=(*sides, 3))
    expected = Torch(state).logits(image)
    found = logits_in(net, image[None])[0]
    np.testing.assert_allclose(found, expected, atol=2e-4 * np.abs(expected).max())


def test_nets_with_and_without_given_sides_are_equal_at_multiples_of_32(rng):
    given = resunet.build(2, depth=18, width=4, sides_px=(64, 96), seed=3)
    opened = resunet.rebuild(given, 2)
    assert opened.input_shape == (None, None, None, 3)
    image = rng.normal(size=(1, 64, 96, 3))
    np.testing.assert_allclose(logits_in(opened, image), logits_in(given, image), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("outputs", [1, 3])
def test_output_is_probabilities_of_the_size_of_the_image(outputs, rng):
    net = resunet.build(outputs, depth=18, width=4)
    assert net.layers[-1].name == "probabilities"
    probabilities = ops.convert_to_numpy(net(rng.normal(size=(2, 32, 64, 3)).astype("float32")))
    assert probabilities.shape == (2, 32, 64, outputs)
    assert 0 < probabilities.min() < probabilities.max() < 1
    if outputs > 1:
        np.testing.assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-5)
    assert resunet.logits_layer(net).output.shape[-1] == outputs


def test_the_initialization_equals_torch_and_repeats_with_a_seed():
    one, two, other = (resunet.build(1, depth=18, width=16, seed=s) for s in (3, 3, 2000))
    assert all((a == b).all() for a, b in zip(one.get_weights(), two.get_weights(), strict=True))
    assert not (one.get_weights()[0] == other.get_weights()[0]).all()
    for layer in one.layers:
        if isinstance(layer, keras.layers.Conv2DTranspose):
            bound = (4 * layer.filters) ** -0.5  # torch's fan-in counts what comes out
        elif isinstance(layer, keras.layers.Conv2D) and layer.use_bias:
            bound = (9 * layer.kernel.shape[2]) ** -0.5
        elif isinstance(layer, keras.layers.Conv2D):
            side, _, _, given = layer.kernel.shape
            spread = (2 / (side * side * given)) ** 0.5
            assert ops.convert_to_numpy(layer.kernel).std() == pytest.approx(spread, rel=0.1)
            continue
        else:
            continue
        kernel, bias = (abs(ops.convert_to_numpy(w)) for w in (layer.kernel, layer.bias))
        assert max(kernel.max(), bias.max()) <= bound
        assert kernel.max() > 0.9 * bound
        assert kernel.mean() == pytest.approx(bound / 2, rel=0.1)


def test_dropout_is_spatial_and_follows_each_unit_of_the_decoder():
    net = resunet.build(1, depth=18, width=2)
    dropouts = [layer for layer in net.layers if isinstance(layer, keras.layers.SpatialDropout2D)]
    assert [layer.rate for layer in dropouts] == [0.1] * 8
    without = resunet.build(1, depth=18, width=2, dropout=0)
    assert not [layer for layer in without.layers if isinstance(layer, keras.layers.SpatialDropout2D)]
    norms = [layer for layer in net.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {(layer.epsilon, layer.momentum) for layer in norms} == {(1e-5, 0.9)}


@pytest.mark.parametrize("depth", [18, slow(50)])
def test_rebuilding_changes_only_the_head(depth, rng):
    net = resunet.build(1, depth=depth, width=2, dropout=0.2, seed=1)
    resnet_state.load(net, state_of(net, rng))
    other = resunet.rebuild(net, 2, seed=5)
    again = resunet.rebuild(other, 1, seed=6)
    for layer in (layer for layer in net.layers if layer.weights):
        for mine, theirs in zip(layer.get_weights(), again.get_layer(layer.name).get_weights(), strict=True):
            assert (mine == theirs).all() == (layer.name != "ce"), layer.name
    same = resunet.rebuild(net, 1)
    assert all((a == b).all() for a, b in zip(net.get_weights(), same.get_weights(), strict=True))
    rates = [layer.rate for layer in other.layers if isinstance(layer, keras.layers.SpatialDropout2D)]
    assert rates == [0.2] * 8


@pytest.mark.parametrize("prefix", [slow(""), slow("module."), "module.resnet."])
def test_resnet_weights_change_only_the_encoder(prefix, rng):
    net = resunet.build(1, depth=18, width=2, seed=1)
    decoder = net.get_layer("u8-conv1-conv").get_weights()
    state = {k: v + 1 for k, v in state_of(resunet.extract_encoder(net), rng).items()}
    resnet = {f"{prefix}{k}": v for k, v in state.items()}
    resnet |= {f"{prefix}fc.weight": np.ones((9, 16)), f"{prefix}bn1.num_batches_tracked": np.int64(7)}
    resnet_state.load_encoder(net, resnet)
    loaded = state_of(resunet.extract_encoder(net))
    assert all((loaded[k] == v).all() for k, v in state.items())
    assert all(
        (a == b).all() for a, b in zip(decoder, net.get_layer("u8-conv1-conv").get_weights(), strict=True)
    )
    whole = state_of(net)  # a ResUNet's own encoder serves another ResUNet
    other = resunet.build(2, depth=18, width=2, seed=9)
    resnet_state.load_encoder(other, whole)
    assert (state_of(other)["layer4.1.bn2.running_var"] == state["layer4.1.bn2.running_var"]).all()


def test_weights_of_another_net_raise_and_change_nothing(raises_code):
    net = resunet.build(1, depth=18, width=2, seed=1)
    before = net.get_weights()
    deeper = state_of(resunet.build(1, depth=34, width=2))
    wider = state_of(resunet.build(1, depth=18, width=4))
    with raises_code("state-dict-extra"):
        resnet_state.load_encoder(net, deeper)
    with raises_code("state-dict-array"):
        resnet_state.load_encoder(net, wider)
    with raises_code("state-dict-array"):
        resnet_state.load(net, state_of(resunet.build(2, depth=18, width=2)))
    with raises_code("state-dict-array"):
        resnet_state.load(net, state_of(resunet.extract_encoder(net)))
    assert all((a == b).all() for a, b in zip(before, net.get_weights(), strict=True))


def test_saving_and_loading_round_trips(tmp_path, rng):
    net = resunet.build(1, depth=18, width=4, sides_px=(49, 70), seed=1)
    card = models.Card(name="clicks", method="tags", classes=("nucleus",), thresholds=(0.5,), mpp=0.25,
                        taxonomies=("nuclei",), normalization=models.Normalization(mean=193, std=56))  # fmt: skip
    models.save(tmp_path / "clicks", net, card, {})
    again = models.load(tmp_path / "clicks").net
    image = rng.normal(size=(1, 49, 70, 3))
    assert again.output_shape == (None, 49, 70, 1)
    np.testing.assert_array_equal(logits_in(again, image), logits_in(net, image))
    opened = resunet.rebuild(again, 2)  # names and options survive the file
    assert opened.input_shape == (None, None, None, 3)


@pytest.mark.parametrize("depth", [18, slow(34), slow(50)])
def test_an_encoder_is_built_from_its_weights_alone(depth, rng, raises_code):
    encoder = resunet.extract_encoder(resunet.build(1, depth=depth, width=4, seed=1))
    state = state_of(encoder, rng)
    found = resnet_state.build_encoder({f"module.{k}": v for k, v in state.items()})
    assert found.output_shape[-1] == (128 if depth == 50 else 32)
    loaded = state_of(found)
    assert all((loaded[k] == v).all() for k, v in state.items())
    with raises_code("resnet-unknown"):
        resnet_state.build_encoder({k: v for k, v in state.items() if not k.startswith("layer1")})
    with raises_code("resnet-unknown"):
        resnet_state.build_encoder({k: v for k, v in state.items() if k != "conv1.weight"})


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"outputs": 0}, "resunet-invalid"),
        ({"depth": 20}, "resunet-invalid"),
        ({"width": 3}, "resunet-invalid"),
        ({"width": 0}, "resunet-invalid"),
        ({"sides_px": (64, 16)}, "resunet-sides-too-small"),
    ],
)
def test_invalid_arguments_raise_input_errors(options, code, raises_code):
    with raises_code(code):
        resunet.build(**{"outputs": 1} | options)


def test_another_net_cannot_be_rebuilt(raises_code):
    with raises_code("net-unsupported"):
        resunet.rebuild(unet.build(depth=1, width=2), 2)
