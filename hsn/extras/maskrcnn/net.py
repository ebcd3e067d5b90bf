"""The net: a ResNet with a feature pyramid, a proposal net, a box head and a mask head.

One functional model of stock layers holds all parts and is saved as one file. Its inputs are the image and, separately,
the aligned crops of the heads. Its outputs are the pyramid, the proposals, and the outputs of the heads.
`make_backbone`, `make_box_head` and `make_mask_head` return models of the parts; `make_training_model` joins them.
"""

import keras
from keras import layers

from ...errors import InputError
from ...nets.parts import seed_stream
from .align import Align
from .presets import LEAN

MOMENTUM = 0.9  # of batch normalization: running means adapt within hundreds of steps
FINAL_STDDEV = 0.01  # initial weights of the last layers; boxes hardly move at first


def build(numbers=LEAN, *, seed=None, name="maskrcnn"):
    """Build a Mask R-CNN.

    Parameters
    ----------
    numbers : MaskRCNNConfig
    seed : int, optional
        Seed of the initial weights.

    Returns
    -------
    keras.Model
        Inputs: ``image`` (N, H, W, 3), normalized, with sides that are multiples of `numbers.step_px`; ``box_crops``
        (M, 7, 7, C) and ``mask_crops`` (K, 14, 14, C), regions of the pyramid. Outputs by name: ``p2`` ...
        (N, H / 4, W / 4, C), the levels of the heads; ``anchor_logits`` (N, A, 2), ``anchor_deltas`` (N, A, 4);
        ``class_logits`` (M, classes), ``box_deltas`` (M, classes, 4); ``mask_logits`` (K, 28, 28, classes).

    Examples
    --------
    >>> from .presets import MaskRCNNConfig
    >>> net = build(MaskRCNNConfig(blocks=(1, 1, 1, 1), width=2, pyramid=4, rpn=4, box=8, mask=4))
    >>> net.output["mask_logits"].shape
    (None, 28, 28, 2)
    """
    make = _LayerFactory(seed)
    image = layers.Input((None, None, 3), name="image")
    maps = _pyramid(make, _resnet(make, image, numbers), numbers)
    outputs = {f"p{k}": maps[k] for k in numbers.head_levels}
    outputs |= _proposals(make, [maps[k] for k in numbers.levels], numbers)
    box_crops = layers.Input((numbers.box_px, numbers.box_px, numbers.pyramid), name="box_crops")
    mask_crops = layers.Input((numbers.mask_px, numbers.mask_px, numbers.pyramid), name="mask_crops")
    outputs |= _box_head(make, box_crops, numbers) | _mask_head(make, mask_crops, numbers)
    inputs = {"image": image, "box_crops": box_crops, "mask_crops": mask_crops}
    return keras.Model(inputs, outputs, name=name)


class _LayerFactory:
    """Creates layers with initial weights from one seed."""

    def __init__(self, seed):
        self._seeds = seed_stream(seed)

    def _initializer(self, stddev=None, relu=True):
        seed = next(self._seeds)
        if stddev is not None:
            return keras.initializers.RandomNormal(stddev=stddev, seed=seed)
        # A ReLU halves the variance; layers without one need no compensation.
        return keras.initializers.HeNormal(seed=seed) if relu else keras.initializers.LecunNormal(seed=seed)

    def convolution(self, channels, side, *, stddev=None, relu=False, padding="same", **options):
        initializer = self._initializer(stddev, relu or options.get("activation") == "relu")
        return layers.Conv2D(channels, side, padding=padding, kernel_initializer=initializer, **options)

    def dense(self, units, **options):
        return layers.Dense(units, kernel_initializer=self._initializer(FINAL_STDDEV), **options)

    def upsampling(self, channels):
        return layers.Conv2DTranspose(
            channels, 2, strides=2, activation="relu", kernel_initializer=self._initializer()
        )

    def unit(self, x, channels, side, *, norm=True, relu=True, **options):
        """Apply a convolution, batch normalization and ReLU."""
        x = self.convolution(channels, side, relu=relu, **options)(x)
        x = layers.BatchNormalization(momentum=MOMENTUM)(x) if norm else x
        return layers.ReLU()(x) if relu else x


def _resnet(make, image, numbers):
    """Return the maps of a ResNet with bottlenecks by level, 2 to 5: (N, H / 2^k, W / 2^k, 2^k width)."""
    x = layers.ZeroPadding2D(3)(image)
    x = make.unit(x, numbers.width, 7, strides=2, padding="valid")  # (N, H / 2, W / 2, width)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    stages = {}
    for level, blocks in enumerate(numbers.blocks, 2):
        channels = numbers.width * 2 ** (level - 2)
        for block in range(blocks):
            strides = 2 if level > 2 and block == 0 else 1
            skipped = x if block else make.unit(x, 4 * channels, 1, relu=False, strides=strides)
            x = make.unit(x, channels, 1, strides=strides)
            x = make.unit(x, channels, 3)
            x = make.unit(x, 4 * channels, 1, relu=False)
            x = layers.ReLU()(layers.Add()([x, skipped]))
        stages[level] = x
    return stages


def _pyramid(make, stages, numbers):
    """Return the maps of the feature pyramid by level, 2 to 6: (N, H / 2^k, W / 2^k, pyramid)."""
    merged = {5: make.convolution(numbers.pyramid, 1)(stages[5])}
    for level in (4, 3, 2):
        side = make.convolution(numbers.pyramid, 1)(stages[level])
        merged[level] = layers.Add()([layers.UpSampling2D(2)(merged[level + 1]), side])
    wanted = {5 if k == 6 else k for k in numbers.levels} | set(numbers.head_levels)
    maps = {k: make.convolution(numbers.pyramid, 3, name=f"p{k}")(merged[k]) for k in sorted(wanted)}
    if 6 in numbers.levels:
        maps[6] = layers.MaxPooling2D(1, strides=2)(maps[5])
    return maps


def _proposals(make, maps, numbers):
    """Return two logits and four deltas for each anchor, by one net on all levels."""
    shared = make.convolution(numbers.rpn, 3, activation="relu", name="rpn")
    count = numbers.anchors_a_cell
    logits = make.convolution(2 * count, 1, stddev=FINAL_STDDEV, name="rpn_class")
    deltas = make.convolution(4 * count, 1, stddev=FINAL_STDDEV, name="rpn_box")
    features = [shared(x) for x in maps]
    outputs = {}
    for name, layer, width in (("anchor_logits", logits, 2), ("anchor_deltas", deltas, 4)):
        levels = [layers.Reshape((-1, width))(layer(x)) for x in features]  # (N, cells x count, width) each
        outputs[name] = layers.Concatenate(axis=1, name=name)(levels) if len(levels) > 1 else levels[0]
    return outputs


def _box_head(make, crops, numbers):
    x = make.unit(crops, numbers.box, numbers.box_px, norm=numbers.head_norm, padding="valid")
    x = make.unit(x, numbers.box, 1, norm=numbers.head_norm)
    x = layers.Flatten()(x)  # (M, box)
    deltas = make.dense(4 * numbers.classes)(x)
    return {
        "class_logits": make.dense(numbers.classes, name="class_logits")(x),
        "box_deltas": layers.Reshape((numbers.classes, 4), name="box_deltas")(deltas),
    }


def _mask_head(make, crops, numbers):
    x = crops
    for _ in range(numbers.mask_layers):
        x = make.unit(x, numbers.mask, 3, norm=numbers.head_norm)
    x = make.upsampling(numbers.mask)(x)  # (K, 28, 28, mask)
    return {"mask_logits": make.convolution(numbers.classes, 1, stddev=FINAL_STDDEV, name="mask_logits")(x)}


def _part(net, input_name, output_names):
    return keras.Model(net.input[input_name], {name: net.output[name] for name in output_names})


def check_net(net, numbers):
    """Return `net` if its outputs are those of `build` with these numbers.

    Raises
    ------
    InputError
        "maskrcnn-mismatch" otherwise.
    """
    expected = {f"p{k}": (None, None, numbers.pyramid) for k in numbers.head_levels}
    expected |= {"anchor_logits": (None, 2), "anchor_deltas": (None, 4)}
    expected |= {"class_logits": (numbers.classes,), "box_deltas": (numbers.classes, 4)}
    expected |= {"mask_logits": (2 * numbers.mask_px, 2 * numbers.mask_px, numbers.classes)}
    found = {k: tuple(v.shape[1:]) for k, v in net.output.items()} if isinstance(net.output, dict) else {}
    if found == expected:
        found |= {"rpn_class": net.get_layer("rpn_class").filters}
    expected |= {"rpn_class": 2 * numbers.anchors_a_cell}
    if found != expected:
        first = next(name for name in (*expected, *found) if expected.get(name) != found.get(name))
        raise InputError(
            "maskrcnn-mismatch",
            f"the net must be a Mask R-CNN of these numbers, with output {first} {expected.get(first, 'absent')}",
            got=found.get(first, f"a net {net.name} without it"),
            hint="build it with the same numbers by hsn.extras.maskrcnn.build",
        )
    return net


def make_backbone(net):
    """Return the model from the image to the levels of the heads and the proposals."""
    levels = [name for name in ("p2", "p3", "p4", "p5") if name in net.output]
    return _part(net, "image", (*levels, "anchor_logits", "anchor_deltas"))


def make_box_head(net, numbers):
    """Return the model from pyramid levels and regions to the class logits and deltas of each region.

    Inputs: ``p2`` ... (N, h, w, C); ``boxes`` (N, R, 4) from `boxes.normalize`; ``places`` (N, R), indices of levels,
    as in `align.sample`. Outputs have N R rows.
    """
    head = _part(net, "box_crops", ("class_logits", "box_deltas"))
    return _aligned_head(head, numbers, numbers.box_px, "align_boxes")


def make_mask_head(net, numbers):
    """Return the model from pyramid levels and regions to mask logits; inputs as in `make_box_head`."""
    return _aligned_head(_part(net, "mask_crops", ("mask_logits",)), numbers, numbers.mask_px, "align_masks")


def _aligned_head(head, numbers, size, name):
    inputs = {f"p{k}": layers.Input((None, None, numbers.pyramid), name=f"p{k}") for k in numbers.head_levels}
    pyramid = list(inputs.values())
    inputs |= {"boxes": layers.Input((None, 4), name="boxes")}
    inputs |= {"places": layers.Input((None,), dtype="int32", name="places")}
    crops = Align(size, name=name)([inputs["boxes"], inputs["places"], *pyramid])
    return keras.Model(inputs, head(crops))


def make_training_model(net, numbers):
    """Return the model for training: the heads use regions of the pyramid of the same image.

    Parameters
    ----------
    net : keras.Model
        From `build`. The layers are shared: training changes `net`.
    numbers : MaskRCNNConfig

    Returns
    -------
    keras.Model
        Inputs: ``image`` (N, H, W, 3); ``boxes`` (N, R, 4) from `boxes.normalize` and ``places`` (N, R);
        ``mask_boxes`` (N, P, 4) and ``mask_places`` (N, P). Outputs as in `net`, without the pyramid, with M = N R and
        K = N P.
    """
    regions = {
        f"{kind}{what}": layers.Input(shape, dtype=dtype, name=f"{kind}{what}")
        for kind in ("", "mask_")
        for what, shape, dtype in (("boxes", (None, 4), "float32"), ("places", (None,), "int32"))
    }
    net_outputs = net.output
    pyramid = {f"p{k}": net_outputs[f"p{k}"] for k in numbers.head_levels}
    outputs = {name: net_outputs[name] for name in ("anchor_logits", "anchor_deltas")}
    for kind, head in (("", make_box_head(net, numbers)), ("mask_", make_mask_head(net, numbers))):
        outputs |= head({**pyramid, "boxes": regions[f"{kind}boxes"], "places": regions[f"{kind}places"]})
    return keras.Model({"image": net.input["image"], **regions}, outputs, name=f"{net.name}_joined")
