"""Read the masks of `_seg.npy`, the file of Cellpose, without running what is in it.

The file is a pickled dictionary, and a pickle can name functions to call. Here every function of NumPy is replaced by a
class that only records what it was given, and every other one is an error. The masks are made from the record.
"""

import io
import pickle
from typing import Any

import numpy as np

_MASKS = "masks"
_TYPES = {f"{kind}{size}" for kind in "ui" for size in (1, 2, 4, 8)}


class _Record:
    """Keeps the arguments of a call and the state of an object, and does nothing with them."""

    state: Any = None

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Recorder(pickle.Unpickler):
    """Loads a pickle in which all functions and classes of NumPy are records."""

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] != "numpy":
            raise pickle.UnpicklingError(f"a pickle that names {module}.{name}")
        return _Record


def read_masks(content: bytes) -> np.ndarray:
    """Return the masks in the pickled part of a `_seg.npy` file.

    Parameters
    ----------
    content : bytes
        The file after the header of `.npy`.

    Returns
    -------
    int array (H, W)

    Raises
    ------
    ValueError
        For other pickles, also damaged ones.

    Examples
    --------
    >>> saved = np.array({"masks": np.array([[0, 1]], np.uint16), "filename": "a.png"}, dtype=object)
    >>> read_masks(pickle.dumps(saved, protocol=4)).tolist()
    [[0, 1]]
    """
    try:
        (values,) = _Recorder(io.BytesIO(content)).load().state[4]  # an array of one object, the dictionary
        _, shape, kind, by_columns, data = values[_MASKS].state
        name, order = kind.arguments[0], kind.state[1]
        if name not in _TYPES or order not in "<>|=" or not isinstance(data, bytes):
            raise ValueError(f"masks of type {name}")
        return np.frombuffer(data, np.dtype(order + name)).reshape(shape, order="F" if by_columns else "C")
    except Exception as error:  # a hostile pickle raises many kinds of errors
        raise ValueError(f"a pickle without masks of Cellpose ({error})") from None
