"""Trained folders: found by name or path, verified, opened, written."""

import hashlib
import json
import os
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError, refuse
from . import keras_file
from .bounded import read_text
from .card import Card

NET, CARD, CONFIG = "net.keras", "card.json", "config.json"

# In a checkout the shipped nets lie beside the package.
PRETRAINED = Path(__file__).parents[2] / "pretrained"


@dataclass(frozen=True)
class Model:
    """A trained net with all that is needed to run it.

    Attributes
    ----------
    net : keras.Model
        Not compiled.
    card : Card
    config : dict
        `config.json` as parsed; the supervision that the card names makes its Config of it.
    """

    net: Any
    card: Card
    config: dict


def home():
    """The folder of the nets that this user imported: `HSN_HOME`, or `hsn` in the system's cache folder."""
    if os.environ.get("HSN_HOME"):
        return Path(os.environ["HSN_HOME"]).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "hsn"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "hsn"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hsn"


def available():
    """All trained nets that have a name here: those shipped, then those imported.

    Returns
    -------
    list of (str, pathlib.Path, Card)
        Name, folder and card. Folders whose card cannot be read are left out; `load` tells what is wrong
        with one.
    """
    found = {}
    for path in [*sorted(PRETRAINED.glob(f"*/{CARD}")), *sorted(home().glob(f"*/{CARD}"))]:
        try:
            card = Card.read(path.parent)
        except InputError:
            continue
        found.setdefault(path.parent.name, (path.parent.name, path.parent, card))
    return list(found.values())


def find(name_or_path):
    """The folder of a trained net: by the name of a shipped or imported one, or by its path."""
    if isinstance(name_or_path, str) and re.fullmatch(r"\w[\w.+-]*", name_or_path):
        for place in (PRETRAINED, home()):
            if (place / name_or_path).is_dir():
                return place / name_or_path
    folder = Path(name_or_path).expanduser()
    if not folder.is_dir():
        names = ", ".join(name for name, _, _ in available()) or "(none is installed yet)"
        refuse("there is no such trained net", expected=f"a folder or one of the names {names}",
               received=repr(str(name_or_path)),
               remedy="mend the name, or import the net with `hsn weights import`")  # fmt: skip
    return folder


def load(name_or_path):
    """Load a trained net, after its files have been checked.

    Parameters
    ----------
    name_or_path : str or path
        The name of a shipped or imported net, or a folder with `net.keras`, `card.json` and `config.json`.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        If there is no such net; a file is missing or damaged; `net.keras` is not the file that the card
        describes, could run code, or has another number of classes than its card.

    Notes
    -----
    The checksum guards against damage and mix-ups. It comes in the same folder as the net, so it proves
    nothing about its author; that a stranger's net does nothing but compute is what the check of its
    contents is for.

    Examples
    --------
    >>> load("glass-tags")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    hsn.errors.InputError: there is no such trained net; expected a folder or one of the names ...
    """
    folder = find(name_or_path)
    card = Card.read(folder)
    config = _config(folder / CONFIG)
    path = folder / NET
    received = checksum(path)
    if received != card.sha256:
        refuse(f"{path} is not the file that its card describes",
               expected=f"sha256 {card.sha256[:12] or '(none given)'}", received=received[:12],
               remedy="get the whole folder again, or save the net anew with hsn.models.save")  # fmt: skip
    keras_file.check(path)
    net = keras_file.read(path)
    _check_outputs(net, card, path)
    return Model(net, card, config)


def save(folder, net, card, config, *, half=False):
    """Write a trained folder: `net.keras`, `config.json` and, last, `card.json`.

    All three are made in a temporary folder first, and other files of `folder` are left alone. The card
    seals the folder by the net's checksum: should a crash come between the moves, `load` refuses what is
    there.

    Parameters
    ----------
    folder : path
    net : keras.Model
        Of stock layers.
    card : Card
        Its `parameters` and `sha256` are filled in.
    config : dict
        The supervision's numbers, as JSON can hold them.
    half : bool
        Round the weights to half precision, which halves the file.

    Returns
    -------
    Card
        The card as written.

    Raises
    ------
    InputError
        If the card has another number of classes than the net, the config is no JSON, the net is not made of
        stock layers, or the folder cannot be written to.
    """
    folder = Path(folder)
    card = card.model_copy(update={"parameters": net.count_params()})
    _check_outputs(net, card, "the net")
    try:
        text = json.dumps(config, indent=2, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        refuse("`config` cannot be written", expected="a dict of plain numbers, texts and lists",
               received=str(error), remedy="convert arrays with .tolist()")  # fmt: skip
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as temporary:
            new = Path(temporary)
            keras_file.write(new / NET, net, half=half)
            card = card.model_copy(update={"sha256": checksum(new / NET)})
            card.write(new)
            (new / CONFIG).write_text(text + "\n", encoding="utf-8")
            for name in (NET, CONFIG, CARD):
                (new / name).replace(folder / name)
    except OSError as error:
        refuse(f"{folder} cannot be written", expected="a folder that may be written to",
               received=error.strerror, remedy="choose another place or make room")  # fmt: skip
    return card


def checksum(path):
    """The sha256 of a file, in hex."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        refuse(f"{path} cannot be read", expected="a file", received=error.strerror,
               remedy="check that the folder is whole")  # fmt: skip


def _config(path):
    """The parsed config; NaN, which JSON has no word for, is refused."""

    def not_json(word):
        raise ValueError(f"{word} is no JSON")

    try:
        config = json.loads(read_text(path), parse_constant=not_json)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        refuse(f"{path} is no config", expected="a table in JSON", received=str(error),
               remedy="get the whole folder again")  # fmt: skip
    if not isinstance(config, dict):
        refuse(f"{path} is no config", expected="a table in JSON", received=type(config).__name__,
               remedy="get the whole folder again")  # fmt: skip
    return config


def _check_outputs(net, card, what):
    """Refuse a card that speaks of another number of classes or parameters than the net has."""
    outputs = net.outputs[0].shape[-1]
    if len(net.outputs) == 1 and outputs != len(card.classes):
        refuse(f"{what} does not fit its card", expected=f"{len(card.classes)} classes as on the card",
               received=f"{outputs} outputs",
               remedy="use the card that was written with the net")  # fmt: skip
    if net.count_params() != card.parameters:
        refuse(f"{what} does not fit its card", expected=f"{card.parameters:,} parameters as on the card",
               received=f"{net.count_params():,}",
               remedy="use the card that was written with the net")  # fmt: skip
