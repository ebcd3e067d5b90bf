"""Check, open and write ``.keras`` files.

A ``.keras`` file is a zip of an architecture (JSON), weights (HDF5) and a date. The architecture may name any class
that can be imported, and Lambda layers carry code. A file is therefore opened only if it names only the stock
layers below and one layer of this package. These layers only compute. The check does not use Keras.
"""

import io
import json
import math
import re
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import InputError
from ..files import first_line
from ..keras_start import start_keras
from ..limits import JSON_DEPTH, LAYER_NUMBER, NET_BYTES, PARAMETERS
from . import archive, hdf5

ARCHITECTURE, WEIGHTS, DATE = "config.json", "model.weights.h5", "metadata.json"
_NO_DATE = "1980-01-01@00:00:00"  # in the format of Keras

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
# Left out: Lambda (code), TorchModuleWrapper, TFSMLayer and JaxLayer (foreign programs), and the lookups of text
# processing (they read files).
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

_FREE_NUMBERS = ("seed", "shared_object_id")  # fields whose numbers are not sizes

# Upsampling with aligned corners depends on the size of the image, which no stock layer supports.
_OWN = {"CornerUpsampling2D": "hsn.nets.fullnet"}


def check(path: Path) -> None:
    """Raise if a ``.keras`` file could do anything but compute.

    Raises
    ------
    InputError
        "net-unsafe" if it names a class outside the stock layers or has other members than the three; "net-damaged";
        or an error of its zip archive ("archive-...") or weights ("weights-...").
    """
    with archive.opened(path, max_bytes=NET_BYTES) as opened:
        names = sorted(opened.namelist())
        if names != sorted((ARCHITECTURE, WEIGHTS, DATE)):
            raise InputError(
                "net-unsafe",
                f"{path} must hold exactly {ARCHITECTURE}, {WEIGHTS} and {DATE}",
                got=", ".join(names[:5]) or "nothing",
                hint="save the net again with hsn.models.save",
            )
        with archive.damage_reported(path, ARCHITECTURE):
            text = opened.read(ARCHITECTURE)
        with archive.damage_reported(path, WEIGHTS):
            weights = io.BytesIO(opened.read(WEIGHTS))
    try:
        architecture = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            "net-damaged",
            f"{path} must hold an architecture in JSON",
            got=error,
            hint="download or copy it again",
        ) from None
    _check_classes(architecture, path)
    with hdf5.opened(weights, path, max_bytes=NET_BYTES) as file:
        file.visititems(lambda name, item: _check_finite(name, item, path))


def _check_finite(name: str, item: Any, path: object) -> None:
    """Raise if an array of weights holds NaN or infinity."""
    if isinstance(item, h5py.Dataset) and item.dtype.kind == "f" and not np.isfinite(item[()]).all():
        raise InputError(
            "net-not-finite",
            f"the weights of {path} must be finite numbers",
            got=f"NaN or infinity in {name}",
            hint="get the original file again, or train the net again with a lower learning rate",
        )


def _check_classes(architecture: Any, path: object) -> None:
    """Raise if an architecture names anything but stock layers, nests too deep, or has a number beyond the limit."""
    pending = [(architecture, 0, "")]
    while pending:
        node, depth, field = pending.pop()
        number = (
            isinstance(node, int | float) and field not in _FREE_NUMBERS and not abs(node) <= LAYER_NUMBER
        )
        if depth > JSON_DEPTH or number:
            raise InputError(
                "net-too-large",
                f"{path} must have an architecture with numbers up to {LAYER_NUMBER:,}, and at most {JSON_DEPTH} "
                "levels",
                got=f"{field} = {node}" if number else "more levels",
                hint="do not use it; get the original file again",
            )
        if isinstance(node, dict):
            if "class_name" in node and not _is_stock(node):
                raise InputError(
                    "net-unsafe",
                    f"{path} must be built of stock layers of Keras",
                    got=f"{node.get('module')}.{node['class_name']}"[:100],
                    hint="build the net of stock layers, or ask its author for one",
                )
            pending.extend((value, depth + 1, str(name)) for name, value in node.items())
        elif isinstance(node, list):
            pending.extend((value, depth + 1, field) for value in node)


def _is_stock(node: dict[str, Any]) -> bool:
    name, module = str(node["class_name"]), node.get("module")
    if name == "__keras_tensor__":  # a connection of two layers: shape and type only
        return module is None
    if name in _OWN:
        return module == _OWN[name] and node.get("registered_name") == f"hsn>{name}"
    # Another registered name would be resolved among the classes that the running program registered.
    return str(module) in _MODULES and name in _CLASSES and node.get("registered_name") in (None, name)


def architecture(path: Path) -> str:
    """Return the name of the architecture in a ``.keras`` file; empty for a file that cannot be read.

    Examples
    --------
    >>> architecture(Path("missing.keras"))
    ''
    """
    try:
        with archive.opened(path, max_bytes=NET_BYTES) as opened, archive.damage_reported(path, ARCHITECTURE):
            return str(json.loads(opened.read(ARCHITECTURE))["config"]["name"])
    except (InputError, ValueError, KeyError, TypeError, RecursionError):
        return ""


def read(path: Path) -> Any:
    """Open a ``.keras`` file that has passed `check`, as a net that is not compiled."""
    start_keras()  # takes seconds; cards and checks do not need it
    import keras

    for module in _OWN.values():
        import_module(module)  # registers the layer

    try:
        with _portable(path) as portable, _limited_parameters(path):
            return keras.models.load_model(portable, compile=False, safe_mode=True)
    except InputError:
        raise
    except Exception as error:  # Keras raises whatever its layers raise
        raise InputError(
            "net-damaged",
            f"{path} must be a net that Keras {keras.__version__} can open",
            got=f"{type(error).__name__}: {first_line(error)}",
            hint="download it again, or update Keras",
        ) from None


@contextmanager
def _limited_parameters(path: Path) -> Iterator[None]:
    """Raise before the weights of a net are allocated if they exceed `PARAMETERS`.

    A small file can declare a layer of any size. Keras allocates weights when it builds a layer, so the method that
    every layer calls for this is replaced in the block.
    """
    import keras

    total, add_weight, thread = 0, keras.layers.Layer.add_weight, threading.get_ident()

    def add_limited(layer: Any, shape: Any = None, *arguments: Any, **options: Any) -> Any:
        nonlocal total
        if threading.get_ident() == thread:
            total += math.prod(shape or ())
            if total > PARAMETERS:
                raise InputError(
                    "net-too-large",
                    f"{path} must have at most {PARAMETERS:,} parameters",
                    got=f"{total:,} or more",
                    hint="use a smaller net",
                )
        return add_weight(layer, shape, *arguments, **options)

    keras.layers.Layer.add_weight = add_limited
    try:
        yield
    finally:
        keras.layers.Layer.add_weight = add_weight


@contextmanager
def _portable(path: Path) -> Iterator[Path]:
    """Give a file whose layers have no dots in their names, which the torch backend does not allow."""
    with zipfile.ZipFile(path) as stored:
        architecture = json.loads(stored.read(ARCHITECTURE))
        names = {str(layer.get("name")) for layer in _layers(architecture)}
        dotted = {name for name in names if "." in name}
        if not dotted:
            yield path
            return
        members = {name: stored.read(name) for name in (DATE, WEIGHTS)}
    members[ARCHITECTURE] = json.dumps(_renamed(architecture, dotted)).encode()
    with tempfile.TemporaryDirectory() as folder:
        renamed = Path(folder) / path.name
        with zipfile.ZipFile(renamed, "w") as packed:
            for name, content in members.items():
                packed.writestr(name, content)
        yield renamed


def _layers(node: Any) -> Iterator[dict[str, Any]]:
    """Yield the configs of all layers of an architecture."""
    if isinstance(node, dict):
        if "class_name" in node and isinstance(node.get("config"), dict):
            yield node["config"]
        for child in node.values():
            yield from _layers(child)
    elif isinstance(node, list):
        for child in node:
            yield from _layers(child)


def _renamed(node: Any, dotted: set[str]) -> Any:
    """Return an architecture with hyphens for the dots in some names."""
    if isinstance(node, dict):
        return {key: _renamed(child, dotted) for key, child in node.items()}
    if isinstance(node, list):
        return [_renamed(child, dotted) for child in node]
    return node.replace(".", "-") if isinstance(node, str) and node in dotted else node


def write(path: Path, net: Any, *, half: bool = False) -> None:
    """Write a net with compressed weights and without its optimizer.

    Parameters
    ----------
    path : path
        Ends in ``.keras``. Written in place: give a temporary path.
    net : keras.Model
        Of stock layers; not changed.
    half : bool
        Round weights to the 11 significant bits of a half float, which halves the file. The weights stay float32,
        with its range, so any Keras reads them. Default: False.
    """
    net.save(path)
    with zipfile.ZipFile(path) as stored:
        members = {name: stored.read(name) for name in (DATE, ARCHITECTURE, WEIGHTS)}
    architecture = json.loads(members[ARCHITECTURE])
    architecture.pop("compile_config", None)
    _check_classes(architecture, "the net")
    # Without addresses of objects and without a date, the same net gives the same file and the same checksum.
    members[ARCHITECTURE] = json.dumps(_renumbered(architecture, {})).encode()
    members[DATE] = json.dumps(json.loads(members[DATE]) | {"date_saved": _NO_DATE}).encode()
    members[WEIGHTS] = _compressed(members[WEIGHTS], half)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            # ZipInfo has a fixed date, too. Deflated, because the groups of an HDF5 file are mostly empty.
            packed.writestr(zipfile.ZipInfo(name), content, compress_type=zipfile.ZIP_DEFLATED)


def _renumbered(node: Any, numbers: dict[int, int]) -> Any:
    """Return an architecture whose shared objects have the ids 1, 2, ...; Keras uses addresses in memory."""
    if isinstance(node, dict):
        return {
            key: numbers.setdefault(child, len(numbers) + 1)
            if key == "shared_object_id"
            else _renumbered(child, numbers)
            for key, child in node.items()
        }
    return [_renumbered(child, numbers) for child in node] if isinstance(node, list) else node


def _compressed(content: bytes, half: bool) -> bytes:
    """Return the same HDF5 file with compressed datasets and without those of the optimizer."""
    packed = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as old, h5py.File(packed, "w") as new:

        def copy(name: str, item: Any) -> None:
            if name.split("/")[0] == "optimizer":
                return
            if isinstance(item, h5py.Group):
                copied = new.create_group(name)
            else:
                values = item[()]
                if half and values.dtype == np.float32:
                    values = rounded(values)
                # Shuffled bytes: the empty low bytes of rounded numbers then take no room.
                filters = {"shuffle": True, "compression": "gzip"} if values.ndim else {}
                copied = new.create_dataset(name, data=values, **filters)
            copied.attrs.update(item.attrs)

        old.visititems(copy)
    return packed.getvalue()


def rounded(values: np.ndarray) -> np.ndarray:
    """Round float32 to 11 significant bits, ties to even, without the narrow range of a half float.

    Examples
    --------
    >>> rounded(np.float32([1 / 3, 1e9, 0])).tolist()
    [0.333251953125, 999817216.0, 0.0]
    """
    bits = values.view(np.uint32)
    odd = (bits >> 13) & 1
    return ((bits + 0xFFF + odd) & np.uint32(0xFFFFE000)).view(np.float32)
