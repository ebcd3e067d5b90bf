"""``.keras`` files: checked without Keras, then opened; and written half as large.

A ``.keras`` file is a zip of an architecture (JSON), weights (HDF5) and a date. Its architecture may name any
class that can be imported, and Lambda layers carry code, so a file is opened only if it names nothing but the
stock layers below and one of this package, which compute and do nothing else.
"""

import io
import json
import re
import zipfile
from importlib import import_module

import h5py
import numpy as np

from ..errors import refuse
from . import archive, hdf5
from .bounded import in_short

MAX_BYTES = 2 * 2**30  # a hundred times the largest net here
ARCHITECTURE, WEIGHTS, DATE = "config.json", "model.weights.h5", "metadata.json"

_MODULES = {
    "keras",
    "keras.models",
    "keras.layers",
    "keras.initializers",
    "keras.regularizers",
    "keras.constraints",
    "keras.src.models.functional",
    "keras.src.models.sequential",
}
# Not among them: Lambda (code), TorchModuleWrapper, TFSMLayer and JaxLayer (foreign programs), and the
# lookups of text processing (they read files).
_CLASSES = frozenset(
    re.findall(
        r"\w+",
        """
        Functional Sequential InputLayer DTypePolicy
        Conv1D Conv2D Conv3D Conv2DTranspose DepthwiseConv2D SeparableConv2D Dense EinsumDense
        Activation ReLU LeakyReLU PReLU ELU Softmax Identity
        BatchNormalization GroupNormalization LayerNormalization UnitNormalization SpectralNormalization
        Dropout SpatialDropout2D GaussianDropout GaussianNoise
        MaxPooling2D AveragePooling2D GlobalMaxPooling2D GlobalAveragePooling2D
        Flatten Reshape Permute RepeatVector ZeroPadding2D Cropping2D UpSampling2D Resizing Rescaling
        Concatenate Add Subtract Multiply Average Maximum Minimum Dot
        Zeros Ones Constant RandomNormal RandomUniform TruncatedNormal VarianceScaling Orthogonal
        GlorotUniform GlorotNormal HeUniform HeNormal LecunUniform LecunNormal
        L1 L2 L1L2 MaxNorm NonNeg UnitNorm MinMaxNorm
        """,
    )
)

# Corners that stay where they are need steps that depend on the size of the image, which no stock layer takes.
_OWN = {"CornerUpsampling2D": "hsn.nets.fullnet"}


def check(path):
    """Refuse a ``.keras`` file that could do anything but compute. Keras is not involved.

    Parameters
    ----------
    path : pathlib.Path

    Raises
    ------
    InputError
        If it is no whole zip of exactly the three members, unpacks to too much, names a class outside the
        stock layers, or its weights point outside themselves.
    """
    with archive.opened(path, max_bytes=MAX_BYTES) as opened:
        names = sorted(opened.namelist())
        if names != sorted((ARCHITECTURE, WEIGHTS, DATE)):
            refuse(f"{path} is no plain .keras file", expected=f"{ARCHITECTURE}, {WEIGHTS} and {DATE}",
                   received=", ".join(names[:5]) or "nothing",
                   remedy="save the net again with hsn.models.save")  # fmt: skip
        with archive.damage_refused(path, ARCHITECTURE):
            architecture = opened.read(ARCHITECTURE)
        with archive.damage_refused(path, WEIGHTS):
            weights = io.BytesIO(opened.read(WEIGHTS))
    try:
        architecture = json.loads(architecture)
    except (ValueError, RecursionError) as error:
        refuse(f"{path} is damaged", expected="an architecture in JSON", received=str(error),
               remedy="download or copy it again")  # fmt: skip
    _check_classes(architecture, path)
    with hdf5.opened(weights, path, max_bytes=MAX_BYTES):
        pass  # opening is the check


def _check_classes(architecture, path):
    """Refuse an architecture that names anything but stock layers, at whatever depth."""
    pending = [architecture]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            if "class_name" in node and not _is_stock(node):
                named = f"{node.get('module')}.{node['class_name']}"
                refuse(f"{path} names a class that may run code", expected="stock layers of Keras",
                       received=named[:100],
                       remedy="build the net of stock layers, or ask its author to")  # fmt: skip
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)


def _is_stock(node):
    name, module = str(node["class_name"]), node.get("module")
    if name == "__keras_tensor__":  # a wire between two layers: shape and type only
        return module is None
    if name in _OWN:
        return module == _OWN[name] and node.get("registered_name") == f"hsn>{name}"
    # A registered name of its own would be looked up among whatever the running program registered.
    return str(module) in _MODULES and name in _CLASSES and node.get("registered_name") in (None, name)


def read(path):
    """Open a ``.keras`` file that has passed `check`, as a net that is not compiled."""
    import keras  # takes seconds; looking at cards and files needs none of it

    for module in _OWN.values():
        import_module(module)  # where the layer registers itself

    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever its layers raise
        refuse(f"{path} cannot be opened by Keras {keras.__version__}", expected="a net of stock layers",
               received=f"{type(error).__name__}: {in_short(error)}",
               remedy="download it again, or update Keras")  # fmt: skip


def write(path, net, *, half=False):
    """Write a net without optimiser, its weights compressed.

    Parameters
    ----------
    path : path
        Ends in ``.keras``. Written in place, so a temporary one.
    net : keras.Model
        Of stock layers; it stays as it is.
    half : bool
        Round weights to the 11 significant bits of a half float, which halves the file. They stay float32,
        with its range, so any Keras reads them, and scores move by less than their third digit.
    """
    net.save(path)
    with zipfile.ZipFile(path) as stored:
        members = {name: stored.read(name) for name in (DATE, ARCHITECTURE, WEIGHTS)}
    architecture = json.loads(members[ARCHITECTURE])
    architecture.pop("compile_config", None)
    _check_classes(architecture, "the net")
    members[ARCHITECTURE] = json.dumps(architecture)
    members[WEIGHTS] = _compressed(members[WEIGHTS], half)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(zipfile.ZipInfo(name), content)  # with a fixed date


def _compressed(content, half):
    """The same HDF5 file with its datasets compressed, and without the optimiser's."""
    packed = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as old, h5py.File(packed, "w") as new:

        def copy(name, item):
            if name.split("/")[0] == "optimizer":
                return
            if isinstance(item, h5py.Group):
                copied = new.create_group(name)
            else:
                values = item[()]
                if half and values.dtype == np.float32:
                    values = rounded(values)
                # Bytes of equal weight side by side: the empty ones of rounded numbers then cost nothing.
                filters = {"shuffle": True, "compression": "gzip"} if values.ndim else {}
                copied = new.create_dataset(name, data=values, **filters)
            copied.attrs.update(item.attrs)

        old.visititems(copy)
    return packed.getvalue()


def rounded(values):
    """Round float32 to 11 significant bits, ties to even, without the narrow range of a half float.

    Examples
    --------
    >>> rounded(np.float32([1 / 3, 1e9, 0])).tolist()
    [0.333251953125, 999817216.0, 0.0]
    """
    bits = values.view(np.uint32)
    odd = (bits >> 13) & 1
    return ((bits + 0xFFF + odd) & np.uint32(0xFFFFE000)).view(np.float32)
