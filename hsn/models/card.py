"""The card of a trained net: where it comes from, what it expects, what it says, and on which terms."""

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from ..errors import refuse
from ..files import atomic_write
from .bounded import read_text

Fraction = Annotated[float, Field(ge=0, le=1)]
_Alike = float | tuple[float, float, float]


def _positive(numbers):
    if not min(numbers if isinstance(numbers, tuple) else (numbers,)) > 0:
        raise PydanticCustomError("greater_than", "Input should be greater than 0")
    return numbers


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Normalization(_Strict):
    """How pixels become the net's input: ``(x - mean) / std``, for x in 0..255; three numbers are for R, G and B."""

    mean: _Alike
    std: Annotated[_Alike, AfterValidator(_positive)]

    def __str__(self):
        def told(numbers):
            return ", ".join(f"{n:.5g}" for n in numbers) if isinstance(numbers, tuple) else f"{numbers:.5g}"

        return f"(x - {told(self.mean)}) / {told(self.std)}"


class Card(_Strict):
    """What a trained net says of itself.

    Attributes
    ----------
    name : str
    supervision : {"tags", "points", "selected", "masks"}
        The kind of annotation that it learned from, and so the code that runs it.
    classes : tuple of str
        Names of the net's outputs, in order.
    thresholds : tuple of float in [0, 1], same length
        From which score a class counts as present; fitted on validation data.
    mpp : float
        Micrometres per pixel of the net's input.
    taxonomies : tuple of str
        Names of the label spaces that it can segment into.
    normalization : Normalization
    parameters : int
        Number of parameters; filled in when the net is saved.
    sha256 : str
        Checksum of `net.keras` in hex; filled in when the net is saved.
    source, licence, data, stain, notes : str
        Where the net comes from; the terms of its training data; what it learned from; which stain it
        expects; and what else a user should know.
    scores : dict of str to float
        Measured results, by the name of the measure and the data.

    Examples
    --------
    >>> card = Card(name="mine", supervision="tags", classes=("gland",), thresholds=(0.5,), mpp=0.62,
    ...             taxonomies=("glas",), normalization=Normalization(mean=193, std=56))
    >>> Card.parse(card.model_dump_json()) == card
    True
    """

    name: Annotated[str, Field(pattern=r"^\w[\w.+-]*$")]
    supervision: Literal["tags", "points", "selected", "masks"]
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    thresholds: tuple[Fraction, ...]
    mpp: Annotated[float, Field(gt=0)]
    taxonomies: tuple[str, ...]
    normalization: Normalization
    parameters: Annotated[int, Field(ge=0)] = 0
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    source: str = ""
    licence: str = ""
    data: str = ""
    scores: dict[str, float] = {}
    stain: str = "H&E"
    notes: str = ""

    @model_validator(mode="after")
    def _one_threshold_a_class(self):
        if len(self.thresholds) != len(self.classes):
            raise ValueError(f"{len(self.thresholds)} thresholds for {len(self.classes)} classes")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("a class is named twice")
        return self

    @classmethod
    def parse(cls, text, origin="the card"):
        """A card from its JSON text; refuses what is missing, unknown or of another type.

        Examples
        --------
        >>> Card.parse("{}")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        hsn.errors.InputError: the card is no card of a trained net; ... received name: Field required; ...
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the whole"
            refuse(f"{origin} is no card of a trained net", expected="the fields of hsn.models.Card",
                   received=f"{where}: {first['msg']}", remedy="mend or replace it")  # fmt: skip

    @classmethod
    def read(cls, folder):
        """The card of a trained folder."""
        path = Path(folder) / "card.json"
        return cls.parse(read_text(path), origin=path)

    def write(self, folder):
        """Write `card.json` into `folder`; a crash leaves the old card or the new one."""
        with atomic_write(Path(folder) / "card.json") as temporary:
            temporary.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def card_of(config, kept, *, name, notes, thresholds=None):
    """A card with what is known after training; who shares the net adds source, data and licence.

    Parameters
    ----------
    config : Config of a method
    kept : dict
        What was measured of the epoch that was kept; finite numbers of validation become its scores.
    name, notes : str
    thresholds : sequence of float, optional
        One a class; a half by default.

    Returns
    -------
    Card

    Examples
    --------
    >>> from hsn.supervision.masks.config import unet
    >>> card = card_of(unet(), {"epoch": 3, "validation_pq": 0.5}, name="mine", notes="epoch 3 of 5 was kept")
    >>> card.supervision, card.scores
    ('masks', {'validation_pq': 0.5})
    """
    return Card(
        name=name,
        supervision=config.KIND,
        classes=config.classes,
        thresholds=tuple(thresholds or (0.5,) * len(config.classes)),
        mpp=config.mpp,
        taxonomies=tuple(taxonomy.name for taxonomy in config.taxonomies),
        normalization=Normalization(mean=_grey(config.mean), std=_grey(config.std)),
        scores={k: v for k, v in kept.items() if k.startswith("validation") and math.isfinite(v)},
        notes=notes,
    )


def _grey(numbers):
    """One number, where those of red, green and blue are one."""
    return numbers[0] if isinstance(numbers, tuple) and len(set(numbers)) == 1 else numbers
