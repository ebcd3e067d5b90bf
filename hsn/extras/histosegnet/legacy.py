"""The files of the HistoSegNet release: Keras 2 nets, MATLAB thresholds, NumPy CRF settings.

None is handed to a reader that builds what a file asks for. The net is built by our own code and the
architecture is only compared with it; weights are read as numbers; of the MATLAB file one table is read, of
the NumPy files six whole numbers each.

Source: HistoSegNet (Chan et al., ICCV 2019), release hsn_v1, written with Keras 2.2.4.
"""

import io
import json
import struct
import zlib
from collections import Counter

import numpy as np

from ...errors import refuse
from ...models import hdf5
from ...models.bounded import in_short, read_bytes
from . import matlab

# Several times the sizes of the real files: 20 kB, 7 MB, 1 to 2 MB, 152 bytes.
JSON_BYTES, H5_BYTES, MAT_BYTES, NPY_BYTES = 2**20, 64 * 2**20, 8 * 2**20, 4096

_AGAIN = "get the original release again"

# X1.7 layer by layer: seven times convolution, ReLU, normalization, followed by dropout or pooling.
_UNIT = ("Conv2D", "Activation", "BatchNormalization")
_BETWEEN = ("Dropout", "MaxPooling2D", "Dropout", "MaxPooling2D", "Dropout", "Dropout", "MaxPooling2D")
_HEAD = ("MaxPooling2D", "Flatten", "Dense", "Activation")
X1_7_LAYERS = (*(layer for last in _BETWEEN for layer in (*_UNIT, last)), *_HEAD)


def check_architecture(path):
    """Refuse an architecture file that does not describe X1.7; nothing is built from it.

    Parameters
    ----------
    path : pathlib.Path
        Keras 2 JSON of a `Sequential`.
    """
    try:
        layers = json.loads(read_bytes(path, max_bytes=JSON_BYTES))["config"]
        # Keras 2.2.2 wrote a bare list, later ones a table around it.
        layers = layers["layers"] if isinstance(layers, dict) else layers
        found = tuple(layer["class_name"] for layer in layers if layer["class_name"] != "InputLayer")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        refuse(f"{path} is no architecture of the release", expected="Keras 2 JSON of a Sequential net",
               received=f"{type(error).__name__} {error}", remedy=_AGAIN)  # fmt: skip
    if found != X1_7_LAYERS:
        refuse(f"{path} does not describe X1.7", expected=f"{len(X1_7_LAYERS)} layers, {_brief(X1_7_LAYERS)}",
               received=f"{len(found)} layers, {_brief(found)}",
               remedy="import the released net; others are read as trained folders")  # fmt: skip


def _brief(layers):
    """How often each kind of layer occurs, as text."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(map(str, layers)).items()))


def read_weights(path, net):
    """Read legacy Keras 2.2 weights into a net, layer by layer in order.

    Parameters
    ----------
    path : pathlib.Path
        HDF5; groups of layers listed by the attribute `layer_names`, datasets by `weight_names`.
    net : keras.Model
        Its layers that have weights must be those of the file, in number, order and shape.

    Raises
    ------
    InputError
        If the file is damaged or points outside itself, a layer is missing, of another shape, or not finite.
        The net is then unchanged.
    """
    wanted = [layer for layer in net.layers if layer.get_weights()]
    with hdf5.opened(path, path, max_bytes=H5_BYTES) as file:
        root = file.get("model_weights", file)
        groups = [root.get(name) for name in _names(root, "layer_names", path)]
        if not all(hasattr(group, "keys") for group in groups):
            refuse(f"{path} lacks a layer that it lists", expected="a group for each of `layer_names`",
                   received=", ".join(root), remedy=_AGAIN)  # fmt: skip
        stored = [(group, names) for group in groups if (names := _names(group, "weight_names", path))]
        if len(stored) != len(wanted):
            refuse(f"{path} holds another net", expected=f"{len(wanted)} layers with weights",
                   received=len(stored), remedy="import the released X1.7")  # fmt: skip
        values = [
            _layer_values(group, names, layer, path)
            for (group, names), layer in zip(stored, wanted, strict=True)
        ]
    for layer, arrays in zip(wanted, values, strict=True):
        layer.set_weights(arrays)


def _names(group, attribute, path):
    """A list of names stored as an attribute."""
    stored = group.attrs.get(attribute) if attribute in group.attrs else None
    if stored is None or np.ndim(stored) != 1:
        refuse(f"{path} is no Keras 2 weight file", expected=f"a list `{attribute}` in {group.name}",
               received="nothing" if stored is None else f"an array of shape {np.shape(stored)}",
               remedy=_AGAIN)  # fmt: skip
    return [name.decode() if isinstance(name, bytes) else str(name) for name in stored]


def _layer_values(group, names, layer, path):
    """The arrays of one layer, checked against the layer that they are for."""
    shapes = [weight.shape for weight in layer.get_weights()]
    found = [getattr(group.get(name), "shape", None) for name in names]
    if found != shapes:
        refuse(f"{path} does not fit X1.7 at layer {layer.name}", expected=f"shapes {shapes}",
               received=found, remedy="import the released X1.7")  # fmt: skip
    arrays = [np.asarray(group[name], np.float32) for name in names]
    if not all(np.isfinite(array).all() for array in arrays):
        refuse(f"{path} is damaged at layer {layer.name}", expected="finite weights",
               received="NaN or infinity", remedy=_AGAIN)  # fmt: skip
    return arrays


def read_thresholds(path, count):
    """Read the class thresholds, `optimalScoreThresh`, of the release's MATLAB file.

    Parameters
    ----------
    path : pathlib.Path
        MATLAB 5.
    count : int
        How many there must be.

    Returns
    -------
    tuple of float in [0, 1]
    """
    name, content = "optimalScoreThresh", read_bytes(path, max_bytes=MAT_BYTES)
    try:
        values = matlab.table(content, name)
    except (ValueError, struct.error, zlib.error) as error:
        refuse(f"{path} does not hold the thresholds", expected=f"`{name}` in a whole MATLAB 5 file",
               received=in_short(error), remedy=_AGAIN)  # fmt: skip
    if values.shape != (1, count):
        refuse(f"{path} does not hold the thresholds", expected=f"`{name}` of shape (1, {count})",
               received=values.shape, remedy=_AGAIN)  # fmt: skip
    if not ((values >= 0) & (values <= 1)).all():
        refuse(f"{path} does not hold the thresholds", expected="numbers from 0 to 1",
               received=f"{values.min()} to {values.max()}", remedy=_AGAIN)  # fmt: skip
    return tuple(values[0].tolist())


def read_crf(path):
    """Read the dense CRF's numbers from the release's `.npy` file.

    Parameters
    ----------
    path : pathlib.Path
        int (1, 6): width and weight of the Gaussian; width in pixels, width in grey levels and weight of the
        bilateral; iterations.

    Returns
    -------
    dict
        `gaussian`, `bilateral`, `iterations`, as `hsn.refine` takes them.
    """
    file = io.BytesIO(read_bytes(path, max_bytes=NPY_BYTES))
    try:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        if shape == (1, 6) and dtype.kind in "iu":  # else nothing more is read: objects would be unpickled
            file.seek(0)
            numbers = np.load(file, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        refuse(f"{path} cannot be read as a NumPy file", expected="a whole .npy file",
               received=in_short(error), remedy=_AGAIN)  # fmt: skip
    if shape != (1, 6) or dtype.kind not in "iu":
        refuse(f"{path} holds no CRF settings", expected="whole numbers (1, 6)", received=f"{dtype} {shape}",
               remedy=_AGAIN)  # fmt: skip
    if not ((numbers > 0) & (numbers < 1000)).all():
        refuse(f"{path} holds no CRF settings", expected="numbers from 1 to 999", received=numbers.tolist(),
               remedy=_AGAIN)  # fmt: skip
    near, near_weight, far, color, far_weight, iterations = numbers[0].tolist()
    return {"gaussian": [near, near_weight], "bilateral": [far, color, far_weight], "iterations": iterations}
