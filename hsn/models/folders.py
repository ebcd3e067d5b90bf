"""Find, check, load and save trained folders."""

import hashlib
import json
import os
import re
import sys
import tempfile
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

from ..errors import InputError, as_input_error
from ..files import PRETRAINED, check_file, read_text, unreadable
from ..limits import DOWNLOAD_BYTES
from . import keras_file
from .card import Card

NET, CARD, CONFIG, README = "net.keras", "card.json", "config.json", "README.md"
OLD_CONFIG = "recipe.json"  # its name in folders of format 0
GENERATED = "<!-- Written by hsn from card.json. Without this line, hsn keeps the file as it is. -->"


@dataclass(frozen=True)
class Model:
    """A trained net with all that is needed to run it.

    Attributes
    ----------
    net : keras.Model
        Not compiled.
    card : Card
    config : dict
        Content of `config.json`; the method that the card names makes its Config from it.
    """

    net: Any
    card: Card
    config: dict[str, Any]


def home() -> Path:
    """Return the folder of imported nets: `HSN_HOME`, or `hsn` in the system's cache folder."""
    try:
        if os.environ.get("HSN_HOME"):
            return Path(os.environ["HSN_HOME"]).expanduser()
        if sys.platform == "win32":
            return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "hsn"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / "hsn"
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hsn"
    except RuntimeError:  # this user has no home folder, as in some containers
        return Path(tempfile.gettempdir()) / f"hsn-{os.getuid()}" if hasattr(os, "getuid") else Path("hsn")


def available() -> list[tuple[str, Path, Card]]:
    """Return name, folder and card of each net that can be loaded by name: shipped ones, then imported ones.

    Folders with an invalid card are left out; `load` reports what is wrong with them.
    """
    found: dict[str, tuple[str, Path, Card]] = {}
    for path in [*sorted(PRETRAINED.glob(f"*/{CARD}")), *sorted(home().glob(f"*/{CARD}"))]:
        try:
            card = Card.read(path.parent)
        except InputError:
            continue
        found.setdefault(path.parent.name, (path.parent.name, path.parent, card))
    return list(found.values())


def find(name_or_path: str | PathLike[str]) -> Path:
    """Return the folder of a trained net, given its name or its path.

    Raises
    ------
    InputError
        "model-unknown" if there is neither.
    """
    if isinstance(name_or_path, str) and re.fullmatch(r"\w[\w.+-]*", name_or_path):
        for place in (PRETRAINED, home()):
            if (place / name_or_path).is_dir():
                return place / name_or_path
    try:
        folder = Path(os.path.expanduser(name_or_path))
        found = folder.is_dir()
    except (OSError, ValueError):  # a name that no file system allows
        found = False
    if not found:
        names = ", ".join(name for name, _, _ in available()) or "(none is installed yet)"
        raise InputError(
            "model-unknown",
            f"the model must be a trained folder or one of {names}",
            got=repr(str(name_or_path)),
            hint="correct the name, or import the net with `hsn models import`",
        )
    return folder


def load(name_or_path: str | PathLike[str]) -> Model:
    """Load a trained net after checking its files.

    Parameters
    ----------
    name_or_path : str or path
        Name of a shipped or imported net, or a folder with `net.keras`, `card.json` and `config.json`.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        "model-unknown"; "file-unreadable" for a missing file; "card-invalid", "card-newer", "config-invalid";
        "net-checksum" if `net.keras` is not the file of the card; "net-unsafe" if it could run code; "net-damaged";
        "card-mismatch" if card and net differ in classes or parameters.

    Notes
    -----
    The checksum finds damage and mix-ups. It comes in the same folder as the net, so it does not prove who made the
    net. The check of the net's layers ensures that a stranger's net only computes.

    Examples
    --------
    >>> load("glass-tags")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    hsn.errors.InputError: the model must be a trained folder or one of ...; got 'glass-tags'; ...
    """
    folder = find(name_or_path)
    card = Card.read(folder)
    old = (folder / OLD_CONFIG).exists() and not (folder / CONFIG).exists()
    config = _read_config(folder / (OLD_CONFIG if old else CONFIG))
    path = folder / NET
    sha256 = checksum(path)
    if sha256 != card.sha256:
        raise InputError(
            "net-checksum",
            f"{path} must have the sha256 of its card, {card.sha256[:12] or '(none)'}",
            got=sha256[:12],
            hint="get the whole folder again, or save the net with hsn.models.save",
        )
    keras_file.check(path)
    net = keras_file.read(path)
    _check_card(net, card, path)
    return Model(net, card, config)


def save(
    folder: str | PathLike[str], net: Any, card: Card, config: dict[str, Any], *, half: bool = False
) -> Card:
    """Write a trained folder: `net.keras`, `config.json`, `README.md` and, last, `card.json`.

    All files are first written in a temporary folder; other files of `folder` stay. The card holds the net's checksum:
    after a crash between the moves, `load` raises "net-checksum".

    Parameters
    ----------
    folder : path
    net : keras.Model
        Of stock layers.
    card : Card
        Its `parameters` and `sha256` are filled in.
    config : dict
        Numbers of the method, as JSON can hold them.
    half : bool
        Round the weights to half precision, which halves the file. Default: False.

    Returns
    -------
    Card
        The card as written.

    Raises
    ------
    InputError
        "card-mismatch" if card and net differ in classes; "config-invalid" if JSON cannot hold the config;
        "net-unsafe" if the net is not built of stock layers; "folder-not-writable".
    """
    folder = Path(folder)
    card = card.model_copy(update={"parameters": net.count_params()})
    _check_card(net, card, "the net")
    try:
        text = json.dumps(config, indent=2, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise InputError(
            "config-invalid",
            "`config` must be a dict of plain numbers, texts and lists",
            got=error,
            hint="convert arrays with .tolist()",
        ) from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as temporary:
            new = Path(temporary)
            keras_file.write(new / NET, net, half=half)
            card = card.model_copy(update={"sha256": checksum(new / NET)})
            card.write(new)
            (new / CONFIG).write_text(text + "\n", encoding="utf-8")
            (new / README).write_text(describe(card), encoding="utf-8")
            for name in (NET, CONFIG, *([README] if _is_generated(folder / README) else []), CARD):
                (new / name).replace(folder / name)
    except OSError as error:
        failure = as_input_error(error)
        if failure.code == "disk-full":
            raise failure from None
        raise InputError(
            "folder-not-writable",
            f"{folder} must be a folder that can be written to",
            got=error.strerror,
            hint="choose another place or make room",
        ) from None
    return card


def describe(card: Card) -> str:
    """Return the text of a trained folder's `README.md`.

    Examples
    --------
    >>> from .card import Normalization
    >>> card = Card(name="mine", method="tags", classes=("gland",), thresholds=(0.5,), mpp=0.62,
    ...             taxonomies=("glas",), normalization=Normalization(mean=193, std=56))
    >>> print(describe(card))  # doctest: +ELLIPSIS
    <!-- ... -->
    # mine
    ...
    | input | expects images at 0.62 um/px |
    ...
    """
    rows = "\n".join(f"| {name} | {value.replace('|', ' ')} |" for name, value in card.summary().items())
    return (
        f"{GENERATED}\n# {card.name}\n\nA trained net of hsn. Segment images with it:\n\n"
        f"```sh\nhsn segment IMAGES --model {card.name}\n```\n\n| what | value |\n|---|---|\n{rows}\n"
    )


def _is_generated(path: Path) -> bool:
    """Return whether hsn may write this README: it is missing, or hsn wrote it."""
    return not path.exists() or read_text(path).startswith(GENERATED)


def checksum(path: Path) -> str:
    """Return the sha256 of a regular file, in hex."""
    check_file(path, max_bytes=DOWNLOAD_BYTES)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from None


def _read_config(path: Path) -> dict[str, Any]:
    """Parse a config; NaN is not JSON and is refused."""

    def not_json(word: str) -> NoReturn:
        raise ValueError(f"{word} is not JSON")

    try:
        config = json.loads(read_text(path), parse_constant=not_json)
        if not isinstance(config, dict):
            raise TypeError(type(config).__name__)
    except InputError:
        raise
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            "config-invalid", f"{path} must be a table in JSON", got=error, hint="get the whole folder again"
        ) from None
    return config


def _check_card(net: Any, card: Card, name: object) -> None:
    """Raise if a card states another number of classes or parameters than the net has."""
    outputs = net.outputs[0].shape[-1]
    pairs = [("parameters", card.parameters, net.count_params())]
    if len(net.outputs) == 1:
        pairs.insert(0, ("outputs", len(card.classes), outputs))
    for what, stated, found in pairs:
        if stated != found:
            raise InputError(
                "card-mismatch",
                f"{name} must have {stated:,} {what}, as on its card",
                got=f"{found:,}",
                hint="use the card that was written with the net",
            )
