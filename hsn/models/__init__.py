"""Find, check, load, save and download trained nets.

A trained folder holds ``net.keras`` (the net), ``card.json`` (its description), ``config.json`` (the numbers of the
method that trained it) and ``README.md``. Folders and archives may come from strangers: each file is checked before it
is used. Nothing here unpickles, evaluates, or writes outside the given folder.
"""

import importlib
from typing import Any

from .card import Card, Normalization, card_of
from .download import ARCHIVES, fetch
from .folders import Model, available, find, home, load, save

__all__ = [
    "ARCHIVES",
    "Card",
    "Model",
    "Normalization",
    "available",
    "card_of",
    "fetch",
    "find",
    "home",
    "import_release",
    "load",
    "save",
]


def __getattr__(name: str) -> Any:
    if name == "import_release":  # on a floor above
        return importlib.import_module("hsn.extras.histosegnet").import_release
    raise AttributeError(f"module 'hsn.models' has no attribute {name!r}")
