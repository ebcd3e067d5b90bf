"""Stain normalizers by name, and as plain data for a config."""

from collections.abc import Iterable

import numpy as np

from ..checks import one_of
from ..errors import InputError
from .macenko import Macenko
from .reinhard import Reinhard

METHODS: dict[str, type[Reinhard] | type[Macenko]] = {"reinhard": Reinhard, "macenko": Macenko}
_FORMAT_0_NAMES = {"haematoxylin": "hematoxylin", "highest": "max_amounts"}


def fit_normalizer(method: str, images: Iterable[np.ndarray]) -> Reinhard | Macenko:
    """Measure the reference colors or stains of images.

    Parameters
    ----------
    method : {"reinhard", "macenko"}
    images : iterable of uint8 arrays (H, W, 3)

    Returns
    -------
    Reinhard or Macenko
        Object with `normalize(image)`; `dataclasses.asdict` converts it to plain data.

    Raises
    ------
    InputError
        "stain-unknown", "images-empty" or "stains-not-found".

    Examples
    --------
    >>> fit_normalizer("reinhard", [np.full((4, 4, 3), 255, np.uint8)]).std
    (0.0, 0.0, 0.0)
    """
    return METHODS[one_of("stain", method, METHODS)].fit(images)


def parse_normalizer(data: dict | None) -> Reinhard | Macenko | None:
    """Build a normalizer from plain data; return None for None.

    Parameters
    ----------
    data : dict or None
        Output of `dataclasses.asdict`. Field names of format 0 are accepted.

    Returns
    -------
    Reinhard, Macenko or None

    Raises
    ------
    InputError
        "stain-fields", "stain-unknown", or an error of the normalizer's class.

    Examples
    --------
    >>> from dataclasses import asdict
    >>> target = Reinhard((60.0, 20.0, -10.0), (15.0, 6.0, 5.0))
    >>> parse_normalizer(asdict(target)) == target, parse_normalizer(None)
    (True, None)
    """
    if data is None:
        return None
    try:
        numbers = {
            _FORMAT_0_NAMES.get(name, name): tuple(x + 0.0 for x in value)
            for name, value in data.items()
            if name != "method"
        }
        return METHODS[one_of("stain", data["method"], METHODS)](**numbers)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            "stain-fields",
            "`stain` must be a record of Reinhard or Macenko",
            got=error,
            hint="measure it with hsn.stains.normalizers.fit_normalizer",
        ) from None
