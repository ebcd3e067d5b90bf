"""Describe a trained net: origin, input, outputs, terms of use."""

import json
import math
import warnings
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from ..errors import InputError
from ..files import atomic_write, read_text
from ..limits import CLASSES, MAX_MPP, MIN_MPP, MIN_STD, NAME_CHARS, PIXEL_VALUE
from ..stains.domain import Domain

FORMAT = 1
# For each format, the fields that the next format renames. Format 0 has no field `format`.
RENAMED = {0: {"supervision": "method", "normalisation": "normalization", "licence": "license"}}

Fraction = Annotated[float, Field(ge=0, le=1)]
_Channels = float | tuple[float, float, float]
_Name = Annotated[str, Field(min_length=1, max_length=NAME_CHARS)]


def _positive(numbers: _Channels) -> _Channels:
    if not min(numbers if isinstance(numbers, tuple) else (numbers,)) >= MIN_STD:
        raise PydanticCustomError("greater_than", f"Input should be at least {MIN_STD}")
    return _pixel_value(numbers)


def _pixel_value(numbers: _Channels) -> _Channels:
    if max(map(abs, numbers if isinstance(numbers, tuple) else (numbers,))) > PIXEL_VALUE:
        raise PydanticCustomError("less_than", f"Input should be at most {PIXEL_VALUE:g}")
    return numbers


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Normalization(_Strict):
    """Normalize pixels: ``(x - mean) / std``, for x in 0..255; one number, or one each for R, G and B."""

    mean: Annotated[_Channels, AfterValidator(_pixel_value)]
    std: Annotated[_Channels, AfterValidator(_positive)]

    def __str__(self) -> str:
        def text(numbers: _Channels) -> str:
            channels = numbers if isinstance(numbers, tuple) else (numbers,)
            return ", ".join(f"{n:.5g}" for n in (channels if len(set(channels)) > 1 else channels[:1]))

        return f"(x - {text(self.mean)}) / {text(self.std)}"


class Card(_Strict):
    """Describe a trained net; stored as `card.json` in its folder.

    Attributes
    ----------
    format : int
        Version of these fields. `parse` migrates older cards.
    name : str
    method : {"tags", "points", "selected", "masks", "mixed"}
        Kind of annotation that trained the net; selects the code that runs it.
    classes : tuple of str
        Names of the net's outputs, in order.
    thresholds : tuple of float in [0, 1], same length
        Scores from which a class counts as present; fitted on validation data.
    mpp : float
        Micrometers per pixel of the net's input.
    taxonomies : tuple of str
        Names of the label spaces that the net can segment into; the first is the default.
    normalization : Normalization
    parameters : int
        Number of parameters; `save` fills it in.
    sha256 : str
        Checksum of `net.keras` in hex; `save` fills it in.
    source, license, data, stain, notes : str
        Origin of the net, terms of use, training data, expected stain, remarks.
    scores : dict of str to float
        Measured results, by the name of the measure and the data.
    object_diameter_um : float or None
        Median diameter of the training objects, of circles of their areas. None: not measured, or no objects.
    domain : hsn.stains.domain.Domain or None
        Statistics of the training images. None: images are not checked.

    Examples
    --------
    >>> card = Card(name="mine", method="tags", classes=("gland",), thresholds=(0.5,), mpp=0.62,
    ...             taxonomies=("glas",), normalization=Normalization(mean=193, std=56))
    >>> Card.parse(card.model_dump_json()) == card
    True
    """

    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)] = FORMAT
    name: Annotated[str, Field(pattern=r"^\w[\w.+-]*$", max_length=NAME_CHARS)]
    method: Literal["tags", "points", "selected", "masks", "mixed"]
    classes: Annotated[tuple[_Name, ...], Field(min_length=1, max_length=CLASSES)]
    thresholds: tuple[Fraction, ...]
    mpp: Annotated[float, Field(ge=MIN_MPP, le=MAX_MPP)]
    taxonomies: Annotated[tuple[_Name, ...], Field(max_length=CLASSES)]
    normalization: Normalization
    parameters: Annotated[int, Field(ge=0)] = 0
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    source: str = ""
    license: str = ""
    data: str = ""
    scores: dict[str, float] = {}
    object_diameter_um: Annotated[float, Field(gt=0)] | None = None
    domain: Domain | None = None
    stain: str = "H&E"
    notes: str = ""

    @model_validator(mode="after")
    def _one_threshold_per_class(self) -> "Card":
        if len(self.thresholds) != len(self.classes):
            raise ValueError(f"{len(self.thresholds)} thresholds for {len(self.classes)} classes")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("a class is named twice")
        return self

    def __getattr__(self, name: str) -> Any:
        """Return a field by its name in format 0, with a DeprecationWarning."""
        if name not in RENAMED[0]:
            raise AttributeError(f"a card has no field {name!r}")
        new = RENAMED[0][name]
        warnings.warn(f"Card.{name} is deprecated; use Card.{new}", DeprecationWarning, stacklevel=2)
        return getattr(self, new)

    @classmethod
    def parse(cls, text: str, origin: object = "the card") -> "Card":
        """Parse the JSON text of a card of this or an older format.

        Raises
        ------
        InputError
            "card-newer" for a card of a newer hsn; "card-invalid" for a missing, unknown or wrong field.

        Examples
        --------
        >>> Card.parse("{}")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        hsn.errors.InputError: the card must be the card of a trained net; got name: Field required; ...
        """
        try:
            return cls.model_validate_json(_migrate(text, origin))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "all of it"
            raise InputError(
                "card-invalid",
                f"{origin} must be the card of a trained net",
                got=f"{where}: {first['msg']}",
                hint="repair or replace it; `help(hsn.models.Card)` lists the fields",
            ) from None

    @classmethod
    def read(cls, folder: str | PathLike[str]) -> "Card":
        """Read `card.json` of a trained folder."""
        path = Path(folder) / "card.json"
        return cls.parse(read_text(path), origin=path)

    def write(self, folder: str | PathLike[str]) -> None:
        """Write `card.json` into `folder`; a crash leaves the old card or the new one."""
        with atomic_write(Path(folder) / "card.json") as temporary:
            temporary.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    def summary(self) -> dict[str, str]:
        """Return the card as text for people: field to value, without empty fields.

        Examples
        --------
        >>> card = Card(name="mine", method="tags", classes=("gland",), thresholds=(0.5,), mpp=0.62,
        ...             taxonomies=("glas",), normalization=Normalization(mean=193, std=56))
        >>> card.summary()["classes >= threshold"], card.summary()["normalization"]
        ('gland 0.500', '(x - 193) / 56')
        """
        pairs = zip(self.classes, self.thresholds, strict=True)
        fields = {
            "name": self.name,
            "method": self.method,
            "classes >= threshold": ", ".join(f"{name} {threshold:.3f}" for name, threshold in pairs),
            "input": f"expects images at {self.mpp:g} um/px",
            "taxonomies": ", ".join(self.taxonomies),
            "normalization": str(self.normalization),
            "parameters": f"{self.parameters:,}",
            "objects": f"median diameter {self.object_diameter_um:.1f} um" if self.object_diameter_um else "",
            "scores": ", ".join(f"{name} {score:.4f}" for name, score in self.scores.items()),
            "stain": self.stain,
            "data": self.data,
            "license": self.license,
            "source": self.source,
            "notes": self.notes,
            "sha256": self.sha256,
        }
        return {name: value for name, value in fields.items() if value}


def _migrate(text: str, origin: object) -> str:
    """Rename the fields of an older card. Text that is not a table is left to the validation."""
    try:
        data = json.loads(text)
        version = data.get("format", 0)
    except (ValueError, AttributeError, RecursionError):
        return text
    if type(version) is not int or version < 0 or version == FORMAT:
        return text
    if version > FORMAT:
        raise InputError(
            "card-newer",
            f"{origin} must have format {FORMAT} or older",
            got=f"format {version}",
            hint="update hsn, which is older than this net",
        )
    for old in range(version, FORMAT):
        renamed = RENAMED.get(old, {})
        data = {renamed.get(name, name): value for name, value in data.items()}
    return json.dumps(data | {"format": FORMAT})


def card_of(
    config: Any,
    kept: dict[str, Any],
    *,
    name: str,
    notes: str,
    thresholds: Any = None,
    object_diameter_um: float | None = None,
) -> Card:
    """Make the card of a net that was just trained. To share the net, add source, data and license.

    Parameters
    ----------
    config : Config of a method
    kept : dict
        Row of the history for the kept epoch; its finite "validation..." numbers become the scores.
    name, notes : str
    thresholds : sequence of float, optional
        One per class. Default: 0.5.
    object_diameter_um : float, optional
        Median diameter of the training objects.

    Examples
    --------
    >>> from hsn.supervision.masks.config import preset
    >>> config = preset("unet-cryonuseg")
    >>> card = card_of(config, {"epoch": 3, "validation_pq": 0.5}, name="mine", notes="epoch 3 of 5 was kept")
    >>> card.method, card.scores
    ('masks', {'validation_pq': 0.5})
    """
    return Card(
        name=name,
        method=config.METHOD,
        classes=config.classes,
        thresholds=tuple(thresholds or (0.5,) * len(config.classes)),
        mpp=config.mpp,
        taxonomies=tuple(taxonomy.name for taxonomy in config.taxonomies),
        normalization=Normalization(
            mean=_merged(config.normalization.mean), std=_merged(config.normalization.std)
        ),
        scores={k: v for k, v in kept.items() if k.startswith("validation") and math.isfinite(v)},
        object_diameter_um=object_diameter_um,
        notes=notes,
    )


def _merged(numbers: _Channels) -> _Channels:
    """Return one number where red, green and blue have the same."""
    return numbers[0] if isinstance(numbers, tuple) and len(set(numbers)) == 1 else numbers
