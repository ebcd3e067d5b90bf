"""Records: frozen dataclasses that check the type and range of each field and that parse plain data."""

import dataclasses
import math
import numbers
from collections.abc import Mapping
from functools import lru_cache
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    Self,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from . import limits, taxonomies
from .checks import one_of
from .errors import InputError
from .taxonomies import Taxonomy

_MAX_WHOLE = 1e30


class Bounds(NamedTuple):
    """Lowest and highest value of a number; `open` excludes the lowest."""

    low: float = -math.inf
    high: float = math.inf
    open: bool = False


Positive = Annotated[float, Bounds(0, limits.MAX_NUMBER, open=True)]
NonNegative = Annotated[float, Bounds(0, limits.MAX_NUMBER)]
Share = Annotated[float, Bounds(0, 1)]
Count = Annotated[int, Bounds(0, limits.MAX_COUNT)]
PositiveInt = Annotated[int, Bounds(1, limits.MAX_COUNT)]
Mpp = Annotated[float, Bounds(limits.MIN_MPP, limits.MAX_MPP)]
LengthUm = Annotated[float, Bounds(0, limits.LENGTH_UM)]
SidePx = Annotated[int, Bounds(1, limits.TILE_PX)]
Seed = Annotated[int, Bounds(0, limits.MAX_SEED)]
Mean = Annotated[float, Bounds(-limits.PIXEL_VALUE, limits.PIXEL_VALUE)]
Std = Annotated[float, Bounds(limits.MIN_STD, limits.PIXEL_VALUE)]
RGB = tuple[float, float, float]
Range = tuple[float, float]


class Record:
    """Base class of config dataclasses: checks each field against its annotation.

    A dict for a nested record changes only the fields that it contains; other fields keep the default.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value, default = getattr(self, field.name), _default(field)
            if isinstance(value, Mapping) and isinstance(default, Record):
                value = default.replace(**value)
            else:
                value = conform(value, hints_of(type(self))[field.name], field.name)
            object.__setattr__(self, field.name, value)
        self.check()

    def check(self) -> None:
        """Raise an `InputError` if fields contradict each other."""

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed.

        Parameters
        ----------
        **changes
            New values by field name; "train.epochs" is a field of a nested record. A dict for a nested record changes
            only the fields that it contains.

        Raises
        ------
        InputError
            "config-unknown-field", or the code of a failed check.

        Examples
        --------
        >>> from hsn.config import TrainConfig
        >>> train = TrainConfig().replace(**{"epochs": 2, "augmentation.zoom": (0.8, 1.25)})
        >>> train.epochs, train.augmentation.zoom
        (2, (0.8, 1.25))
        """
        values: dict[str, Any] = {}
        for path, value in changes.items():
            name, _, rest = path.partition(".")
            if name not in hints_of(type(self)):
                raise _unknown(type(self), path)
            current = values.get(name, getattr(self, name))
            change = {rest: value} if rest else value
            if isinstance(change, Mapping) and isinstance(current, Record):
                values[name] = current.replace(**change)
            elif rest and dataclasses.is_dataclass(current):
                values[name] = dataclasses.replace(current, **change)  # type: ignore[type-var]
            elif rest:
                raise _unknown(type(self), path)
            else:
                values[name] = value
        return dataclasses.replace(self, **values)  # type: ignore[type-var]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data for JSON."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]


def hints_of(cls: type) -> dict[str, Any]:
    """Return the annotation of each field of a dataclass."""
    key: Any = cls  # mypy regards classes as unhashable
    return _hints_of(key)


@lru_cache
def _hints_of(cls: type) -> dict[str, Any]:
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def conform(value: Any, hint: Any, name: str) -> Any:
    """Convert `value` to the type of an annotation, or raise.

    Lists become tuples, integers become floats, and dicts become dataclasses if the annotation requires it.

    Parameters
    ----------
    value : object
    hint : annotation
        Plain types, tuples, dicts, unions, literals, `Bounds` and dataclasses are supported.
    name : str
        Name of the field, for messages.

    Raises
    ------
    InputError
        "config-type", "config-range", "config-unknown-field", "config-missing-field" or "<name>-unknown".

    Examples
    --------
    >>> conform([1, 2], tuple[float, float], "zoom"), conform(None, int | None, "halo_px")
    ((1.0, 2.0), None)
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _in_bounds(conform(value, arguments[0], name), arguments[1], name)
    if origin in (Union, UnionType):
        return _conform_union(value, arguments, name)
    if origin is Literal:
        return one_of(name, value, arguments)
    if origin is tuple and isinstance(value, list | tuple):
        item_hints = (arguments[0],) * len(value) if arguments[-1] is Ellipsis else arguments
        if len(item_hints) == len(value):
            return tuple(conform(v, h, name) for v, h in zip(value, item_hints, strict=True))
    elif origin is dict and isinstance(value, Mapping):
        return {
            conform(k, arguments[0], name): conform(v, arguments[1], f"{name}.{k}") for k, v in value.items()
        }
    elif hint is Taxonomy and isinstance(value, str | Mapping):
        return taxonomies.get(value) if isinstance(value, str) else taxonomies.parse(dict(value))
    elif dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return parse(hint, value)  # type: ignore[arg-type]
    elif hint is float and isinstance(value, numbers.Real) and not isinstance(value, bool):
        # Whole numbers of Python may be larger than any float.
        number = float(value) if abs(value) < _MAX_WHOLE else math.inf  # type: ignore[operator]
        if math.isfinite(number):
            return number
    elif hint is int and isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    elif hint is Any or (origin is None and hint not in (int, float) and isinstance(value, hint)):
        return value
    raise InputError(
        "config-type", f"`{name}` must be {_type_name(hint)}", got=repr(value), hint="correct the config"
    )


def _conform_union(value: Any, arguments: tuple[Any, ...], name: str) -> Any:
    if value is None and NoneType in arguments:
        return None
    options = [option for option in arguments if option is not NoneType]
    for option in options[:-1]:
        try:
            return conform(value, option, name)
        except InputError:
            continue
    if len(options) > 1 and not isinstance(value, Mapping):
        try:
            return conform(value, options[-1], name)
        except InputError:
            type_names = " or ".join(map(_type_name, options))
            raise InputError(
                "config-type", f"`{name}` must be {type_names}", got=repr(value), hint="correct the config"
            ) from None
    return conform(value, options[-1], name)


def _in_bounds(value: Any, bounds: Bounds, name: str) -> Any:
    if bounds.low <= value <= bounds.high and not (bounds.open and value == bounds.low):
        return value
    low = f"above {bounds.low}" if bounds.open else f"at least {bounds.low}"
    high = "" if bounds.high == math.inf else f" and at most {bounds.high}"
    raise InputError("config-range", f"`{name}` must be {low}{high}", got=value, hint="correct the config")


def _type_name(hint: Any) -> str:
    """Return the name of a type for messages: "a finite number"."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _type_name(arguments[0])
    if origin is tuple:
        times = "several times" if arguments[-1] is Ellipsis else f"{len(arguments)} times"
        return f"{times} {_type_name(arguments[0])}"
    names = {float: "a finite number", int: "a whole number", str: "text", bool: "true or false"}
    return str(names.get(hint) or getattr(hint, "__name__", hint))


def parse(cls: type, data: Mapping[str, Any]) -> Any:
    """Build a dataclass from plain data; raise for unknown and missing fields."""
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    # Constant fields, such as the name of a stain method, are in the data but not in the constructor.
    constants = {field.name for field in dataclasses.fields(cls) if not field.init}
    values = {name: value for name, value in data.items() if name not in constants}
    for name in values:
        if name not in fields:
            raise _unknown(cls, name)
    if not issubclass(cls, Record):
        values = {name: conform(value, hints_of(cls)[name], name) for name, value in values.items()}
    missing = [
        name for name in fields if name not in values and _default(fields[name]) is dataclasses.MISSING
    ]
    if missing:
        raise InputError(
            "config-missing-field",
            f"{cls.__name__} must have the fields {', '.join(missing)}",
            got=", ".join(values) or "none",
            hint="take config.json from a trained folder, unchanged",
        )
    return cls(**values)


def _default(field: dataclasses.Field) -> Any:
    factory = field.default_factory
    return field.default if factory is dataclasses.MISSING else factory()


def _unknown(cls: type, name: str) -> InputError:
    return InputError(
        "config-unknown-field",
        f"{cls.__name__} must have only the fields {', '.join(hints_of(cls))}",
        got=name,
        hint="correct the name, or take config.json from a trained folder, unchanged",
    )
