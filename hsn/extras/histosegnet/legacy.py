"""Read the files of the HistoSegNet release: Keras 2 weights, MATLAB thresholds, NumPy CRF settings.

Nothing in the files is executed. The architecture is only compared with the net that hsn builds. Weights are read as
numbers; the MATLAB file gives one table, each NumPy file six integers.

Source: HistoSegNet (Chan et al., ICCV 2019), release hsn_v1, written with Keras 2.2.4.
"""

import io
import json
import struct
import zlib
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ... import matlab
from ...errors import InputError
from ...files import first_line, read_bytes
from ...limits import (
    RELEASE_ARRAY_BYTES,
    RELEASE_MATLAB_BYTES,
    RELEASE_TABLE_BYTES,
    RELEASE_TEXT_BYTES,
    RELEASE_WEIGHTS_BYTES,
)
from ...models import hdf5

# Several times the sizes of the real files: 20 kB, 7 MB, 1 to 2 MB, 152 bytes.

# X1.7 layer by layer: seven times convolution, ReLU, normalization, followed by dropout or pooling.
_UNIT = ("Conv2D", "Activation", "BatchNormalization")
_AFTER_UNIT = ("Dropout", "MaxPooling2D", "Dropout", "MaxPooling2D", "Dropout", "Dropout", "MaxPooling2D")
_HEAD = ("MaxPooling2D", "Flatten", "Dense", "Activation")
X1_7_LAYERS = (*(layer for last in _AFTER_UNIT for layer in (*_UNIT, last)), *_HEAD)


def check_architecture(path: Path) -> None:
    """Raise if an architecture file does not describe X1.7. Nothing is built from it.

    Parameters
    ----------
    path : pathlib.Path
        Keras 2 JSON of a `Sequential`.

    Raises
    ------
    InputError
        "release-architecture".
    """
    code = "release-architecture"
    try:
        layers = json.loads(read_bytes(path, max_bytes=RELEASE_TEXT_BYTES))["config"]
        # Keras 2.2.2 wrote a bare list, later versions a table around it.
        layers = layers["layers"] if isinstance(layers, dict) else layers
        found = tuple(layer["class_name"] for layer in layers if layer["class_name"] != "InputLayer")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        _raise(code, path, "be Keras 2 JSON of a Sequential net", f"{type(error).__name__} {error}")
    if found != X1_7_LAYERS:
        must = f"describe the {len(X1_7_LAYERS)} layers of X1.7, {_counts(X1_7_LAYERS)}"
        _raise(code, path, must, f"{len(found)} layers, {_counts(found)}")


def _counts(layers: Any) -> str:
    """Return how often each kind of layer occurs."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(map(str, layers)).items()))


def _raise(code: str, path: Path, must: str, got: object) -> NoReturn:
    raise InputError(code, f"{path} must {must}", got=got, hint="get the original release again") from None


def read_weights(path: Path, net: Any) -> None:
    """Read legacy Keras 2.2 weights into a net, layer by layer in order.

    Parameters
    ----------
    path : pathlib.Path
        HDF5: the attribute `layer_names` lists the groups, `weight_names` the datasets of a group.
    net : keras.Model
        Its layers with weights must match the file in number, order and shape.

    Raises
    ------
    InputError
        "release-weights" if a layer is missing, of another shape, or not finite; "weights-damaged" or
        "weights-unsafe". The net is then unchanged.
    """
    layers = [layer for layer in net.layers if layer.get_weights()]
    with hdf5.opened(path, path, max_bytes=RELEASE_WEIGHTS_BYTES) as file:
        root = file.get("model_weights", file)
        groups = [root.get(name) for name in _names(root, "layer_names", path)]
        if not all(hasattr(group, "keys") for group in groups):
            _raise("release-weights", path, "hold a group for each of `layer_names`", ", ".join(root))
        stored = [(group, names) for group in groups if (names := _names(group, "weight_names", path))]
        if len(stored) != len(layers):
            _raise("release-weights", path, f"hold {len(layers)} layers with weights", len(stored))
        values = [
            _layer_values(group, names, layer, path)
            for (group, names), layer in zip(stored, layers, strict=True)
        ]
    for layer, arrays in zip(layers, values, strict=True):
        layer.set_weights(arrays)


def _names(group: Any, attribute: str, path: Path) -> list[str]:
    """Return a list of names that is stored as an attribute."""
    stored = group.attrs.get(attribute) if attribute in group.attrs else None
    if stored is None or np.ndim(stored) != 1:
        got = "nothing" if stored is None else f"an array of shape {np.shape(stored)}"
        _raise("release-weights", path, f"have a list `{attribute}` in {group.name}", got)
    return [name.decode() if isinstance(name, bytes) else str(name) for name in stored]


def _layer_values(group: Any, names: list[str], layer: Any, path: Path) -> list[np.ndarray]:
    """Return the arrays of one layer, checked against the layer of the net."""
    shapes = [weight.shape for weight in layer.get_weights()]
    found = [getattr(group.get(name), "shape", None) for name in names]
    if found != shapes:
        _raise("release-weights", path, f"have shapes {shapes} at layer {layer.name}", found)
    arrays = [np.asarray(group[name], np.float32) for name in names]
    if not all(np.isfinite(array).all() for array in arrays):
        _raise("release-weights", path, f"have finite weights at layer {layer.name}", "NaN or infinity")
    return arrays


def read_thresholds(path: Path, count: int) -> tuple[float, ...]:
    """Read the class thresholds, `optimalScoreThresh`, of the release's MATLAB file.

    Parameters
    ----------
    path : pathlib.Path
        MATLAB 5.
    count : int
        Expected number of thresholds.

    Returns
    -------
    tuple of float in [0, 1]

    Raises
    ------
    InputError
        "release-thresholds".
    """
    code, name, content = (
        "release-thresholds",
        "optimalScoreThresh",
        read_bytes(path, max_bytes=RELEASE_MATLAB_BYTES),
    )
    try:
        values = matlab.table(content, name, max_bytes=RELEASE_TABLE_BYTES)
    except (ValueError, struct.error, zlib.error) as error:
        _raise(code, path, f"be a complete MATLAB 5 file with the table `{name}`", first_line(error))
    if values.shape != (1, count):
        _raise(code, path, f"hold `{name}` of shape (1, {count})", values.shape)
    if not ((values >= 0) & (values <= 1)).all():
        _raise(code, path, f"hold `{name}` from 0 to 1", f"{values.min()} to {values.max()}")
    return tuple(values[0].tolist())


def read_crf(path: Path) -> dict[str, Any]:
    """Read the dense CRF's parameters from the release's `.npy` file.

    Parameters
    ----------
    path : pathlib.Path
        int (1, 6): width and weight of the Gaussian; width in pixels, width in gray levels and weight of the bilateral
        kernel; iterations.

    Returns
    -------
    dict
        `gaussian`, `bilateral`, `iterations`, as `hsn.refine` takes them.

    Raises
    ------
    InputError
        "release-crf".
    """
    code, file = "release-crf", io.BytesIO(read_bytes(path, max_bytes=RELEASE_ARRAY_BYTES))
    try:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        if shape == (1, 6) and dtype.kind in "iu":  # an array of objects is never read: it would be unpickled
            file.seek(0)
            numbers = np.load(file, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        _raise(code, path, "be a complete .npy file", first_line(error))
    if shape != (1, 6) or dtype.kind not in "iu":
        _raise(code, path, "hold integers of shape (1, 6)", f"{dtype} {shape}")
    if not ((numbers > 0) & (numbers < 1000)).all():
        _raise(code, path, "hold numbers from 1 to 999", numbers.tolist())
    near, near_weight, far, color, far_weight, iterations = numbers[0].tolist()
    return {"gaussian": [near, near_weight], "bilateral": [far, color, far_weight], "iterations": iterations}
