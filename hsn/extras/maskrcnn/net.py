"""The net: a residual net with a feature pyramid, a proposal net on its levels, a box head and a mask head.

One Functional model of stock layers holds all, so that it is saved and checked like any other: its inputs are the
image and, apart from it, what the heads see of a region; its outputs are the pyramid, what is proposed, and what the
heads say. `trunk_of`, `box_judge_of` and `mask_judge_of` give the three parts that share its layers, the heads with
the alignment of what they look at; `joined` ties them together, to learn.
"""

import keras
from keras import layers

from ...errors import refuse
from ...nets.parts import seeds_from
from .align import Align
from .presets import LEAN

MOMENTUM = 0.9  # of batch normalization: running means must follow within hundreds of steps
FINAL_SPREAD = 0.01  # of the last weights: at first all boxes stay where they are


def build(numbers=LEAN, *, seed=None, name="maskrcnn"):
    """Build a Mask R-CNN.

    Parameters
    ----------
    numbers : Numbers
    seed : int, optional
        Seed of the initial weights.

    Returns
    -------
    keras.Model
        Inputs: ``image`` (N, H, W, 3), normalize, sides multiples of `numbers.step_px`; ``box_crops`` (M, 7, 7, C)
        and ``mask_crops`` (K, 14, 14, C), regions of the pyramid. Outputs, by name: ``p2`` ... (N, H / 4, W / 4, C),
        the heads' levels; ``anchor_logits`` (N, A, 2), ``anchor_deltas`` (N, A, 4); ``class_logits`` (M, classes),
        ``box_deltas`` (M, classes, 4); ``mask_logits`` (K, 28, 28, classes).

    Examples
    --------
    >>> from .presets import Numbers
    >>> net = build(Numbers(blocks=(1, 1, 1, 1), width=2, pyramid=4, rpn=4, box=8, mask=4))
    >>> net.output["mask_logits"].shape
    (None, 28, 28, 2)
    """
    make = _Maker(seed)
    image = layers.Input((None, None, 3), name="image")
    maps = _pyramid(make, _resnet(make, image, numbers), numbers)
    outputs = {f"p{k}": maps[k] for k in numbers.head_levels}
    outputs |= _proposals(make, [maps[k] for k in numbers.levels], numbers)
    box_crops = layers.Input((numbers.box_px, numbers.box_px, numbers.pyramid), name="box_crops")
    mask_crops = layers.Input((numbers.mask_px, numbers.mask_px, numbers.pyramid), name="mask_crops")
    outputs |= _box_head(make, box_crops, numbers) | _mask_head(make, mask_crops, numbers)
    inputs = {"image": image, "box_crops": box_crops, "mask_crops": mask_crops}
    return keras.Model(inputs, outputs, name=name)


class _Maker:
    """Makes layers whose initial weights follow from one seed."""

    def __init__(self, seed):
        self._seeds = seeds_from(seed)

    def _initial(self, spread=None, relu=True):
        seed = next(self._seeds)
        if spread is not None:
            return keras.initializers.RandomNormal(stddev=spread, seed=seed)
        # What no ReLU halves keeps its variance as it is.
        return keras.initializers.HeNormal(seed=seed) if relu else keras.initializers.LecunNormal(seed=seed)

    def convolution(self, channels, side, *, spread=None, relu=False, padding="same", **options):
        initial = self._initial(spread, relu or options.get("activation") == "relu")
        return layers.Conv2D(channels, side, padding=padding, kernel_initializer=initial, **options)

    def dense(self, units, **options):
        return layers.Dense(units, kernel_initializer=self._initial(FINAL_SPREAD), **options)

    def doubling(self, channels):
        return layers.Conv2DTranspose(
            channels, 2, strides=2, activation="relu", kernel_initializer=self._initial()
        )

    def unit(self, x, channels, side, *, norm=True, relu=True, **options):
        """Convolution, batch normalization, ReLU."""
        x = self.convolution(channels, side, relu=relu, **options)(x)
        x = layers.BatchNormalization(momentum=MOMENTUM)(x) if norm else x
        return layers.ReLU()(x) if relu else x


def _resnet(make, image, numbers):
    """Level -> map of a residual net with bottlenecks: levels 2 to 5, (N, H / 2^k, W / 2^k, 2^k width)."""
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
    """Level -> map with what is coarser added from above, levels 2 to 6, (N, H / 2^k, W / 2^k, pyramid)."""
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
    """Two logits and four deltas an anchor, by one net on all levels."""
    shared = make.convolution(numbers.rpn, 3, activation="relu", name="rpn")
    count = numbers.anchors_a_cell
    logits = make.convolution(2 * count, 1, spread=FINAL_SPREAD, name="rpn_class")
    deltas = make.convolution(4 * count, 1, spread=FINAL_SPREAD, name="rpn_box")
    seen = [shared(x) for x in maps]
    outputs = {}
    for name, layer, width in (("anchor_logits", logits, 2), ("anchor_deltas", deltas, 4)):
        levels = [layers.Reshape((-1, width))(layer(x)) for x in seen]  # (N, cells x count, width) each
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
    x = make.doubling(numbers.mask)(x)  # (K, 28, 28, mask)
    return {"mask_logits": make.convolution(numbers.classes, 1, spread=FINAL_SPREAD, name="mask_logits")(x)}


def _part(net, entrance, wanted):
    return keras.Model(net.input[entrance], {name: net.output[name] for name in wanted})


def check(net, numbers):
    """Return `net` if it is one that `build` makes by these numbers; refuse it otherwise."""
    wanted = {f"p{k}": (None, None, numbers.pyramid) for k in numbers.head_levels}
    wanted |= {"anchor_logits": (None, 2), "anchor_deltas": (None, 4)}
    wanted |= {"class_logits": (numbers.classes,), "box_deltas": (numbers.classes, 4)}
    wanted |= {"mask_logits": (2 * numbers.mask_px, 2 * numbers.mask_px, numbers.classes)}
    found = {k: tuple(v.shape[1:]) for k, v in net.output.items()} if isinstance(net.output, dict) else {}
    if found == wanted:
        found |= {"rpn_class": net.get_layer("rpn_class").filters}
    wanted |= {"rpn_class": 2 * numbers.anchors_a_cell}
    if found != wanted:
        first = next(name for name in (*wanted, *found) if wanted.get(name) != found.get(name))
        refuse("the net is no Mask R-CNN of these numbers", expected=f"{first} of {wanted.get(first, 'no net')}",
               received=found.get(first, f"a net {net.name} without"),
               remedy="build it by the same numbers with hsn.extras.maskrcnn.build")  # fmt: skip
    return net


def trunk_of(net):
    """Image -> the heads' levels of the pyramid, and what is proposed."""
    levels = [name for name in ("p2", "p3", "p4", "p5") if name in net.output]
    return _part(net, "image", (*levels, "anchor_logits", "anchor_deltas"))


def box_judge_of(net, numbers):
    """The heads' levels of the pyramid and regions of them -> class of each region, and its own deltas.

    Inputs: ``p2`` ... (N, h, w, C); ``boxes`` (N, R, 4) by `boxes.normalize` and ``places`` (N, R), as of
    `align.sample`. Outputs: N R rows.
    """
    head = _part(net, "box_crops", ("class_logits", "box_deltas"))
    return _judge(head, numbers, numbers.box_px, "align_boxes")


def mask_judge_of(net, numbers):
    """As `box_judge_of`, but regions -> their masks."""
    return _judge(_part(net, "mask_crops", ("mask_logits",)), numbers, numbers.mask_px, "align_masks")


def _judge(head, numbers, size, name):
    inputs = {f"p{k}": layers.Input((None, None, numbers.pyramid), name=f"p{k}") for k in numbers.head_levels}
    pyramid = list(inputs.values())
    inputs |= {"boxes": layers.Input((None, 4), name="boxes")}
    inputs |= {"places": layers.Input((None,), dtype="int32", name="places")}
    crops = Align(size, name=name)([inputs["boxes"], inputs["places"], *pyramid])
    return keras.Model(inputs, head(crops))


def joined(net, numbers):
    """The whole as it learns: the heads look at regions of the pyramid of the same image.

    Parameters
    ----------
    net : keras.Model
        Of `build`; its layers are shared, so what is learned is learned by `net`.
    numbers : Numbers

    Returns
    -------
    keras.Model
        Inputs: ``image`` (N, H, W, 3); ``boxes`` (N, R, 4) by `boxes.normalize` and ``places`` (N, R);
        ``mask_boxes`` (N, P, 4) and ``mask_places`` (N, P). Outputs as of `net`, without the pyramid, M = N R and
        K = N P.
    """
    regions = {
        f"{kind}{what}": layers.Input(shape, dtype=dtype, name=f"{kind}{what}")
        for kind in ("", "mask_")
        for what, shape, dtype in (("boxes", (None, 4), "float32"), ("places", (None,), "int32"))
    }
    seen = net.output
    pyramid = {f"p{k}": seen[f"p{k}"] for k in numbers.head_levels}
    outputs = {name: seen[name] for name in ("anchor_logits", "anchor_deltas")}
    for kind, judge in (("", box_judge_of(net, numbers)), ("mask_", mask_judge_of(net, numbers))):
        outputs |= judge({**pyramid, "boxes": regions[f"{kind}boxes"], "places": regions[f"{kind}places"]})
    return keras.Model({"image": net.input["image"], **regions}, outputs, name=f"{net.name}_joined")
