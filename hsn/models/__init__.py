"""Trained nets: folders that explain themselves, checked before they are opened.

A trained folder holds ``net.keras`` (the net), ``card.json`` (what it is) and ``config.json`` (the numbers
of the supervision that made it). Such folders come from strangers, and so does the original release: every
file is hostile until it is parsed. Nothing here unpickles, evaluates, or writes outside the folder that it
was given.
"""

from .card import Card, Normalization, card_of
from .download import fetch
from .folders import Model, available, find, home, load, save

__all__ = [
    "Card",
    "Model",
    "Normalization",
    "available",
    "card_of",
    "fetch",
    "find",
    "home",
    "load",
    "save",
]
