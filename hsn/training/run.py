"""Claim: a folder belongs to one run, and says to which."""

import hashlib
import json

import numpy as np

from ..errors import refuse
from ..files import atomic_write

RUN, GUIDE = "run.json", "README.txt"


def claim(folder, config, arrays, *, guide, what):
    """Write whose run a folder holds, or see that it is this one's.

    Parameters
    ----------
    folder : pathlib.Path
        For `run.json`, the config and a checksum of what is learned from, and `README.txt`.
    config : Config
    arrays : iterable of array or None
        What is learned from.
    guide : str
        What `README.txt` says.
    what : str
        What the arrays are, in words.

    Raises
    ------
    InputError
        If the folder holds a run of another config or of other arrays.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from types import SimpleNamespace
    >>> folder, config = Path(tempfile.mkdtemp()), SimpleNamespace(to_dict=lambda: {"rounds": 3})
    >>> claim(folder, config, [np.zeros(3)], guide="What lies here.", what="images")
    >>> claim(folder, config, [np.ones(3)], guide="What lies here.", what="images")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    hsn.errors.InputError: ... holds another run; expected these images and this config, received others; ...
    """
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
    run = json.dumps({"config": config.to_dict(), "data": digest.hexdigest()}, indent=1)
    path = folder / RUN
    if path.exists() and path.read_text(encoding="utf-8") != run:
        refuse(f"{folder} holds another run", expected=f"these {what} and this config", received="others",
               remedy="choose an empty folder to start anew")  # fmt: skip
    for name, text in ((RUN, run), (GUIDE, guide)):
        with atomic_write(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
