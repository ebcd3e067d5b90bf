"""Data sets: public ones in their usual folder layouts, and synthetic tissue."""

import os
from pathlib import Path

from ..errors import InputError


def data_folder(name: str = "") -> Path:
    """Return a folder of real data: `name` inside the folder that the environment variable `HSN_DATA` names.

    Raises
    ------
    InputError
        "data-missing" if `HSN_DATA` is not set or has no such folder.

    Examples
    --------
    >>> from unittest import mock
    >>> with mock.patch.dict(os.environ, {"HSN_DATA": "."}):
    ...     data_folder().is_dir()
    True
    """
    root = os.environ.get("HSN_DATA")
    folder = Path(root or "") / name
    if not root or not folder.is_dir():
        raise InputError(
            "data-missing",
            "the environment variable HSN_DATA must name a folder of real data"
            + (f" with {name}" if name else ""),
            got=root or "nothing",
            hint="set HSN_DATA to a folder with glas, multiorgan or cryonuseg",
        )
    return folder
