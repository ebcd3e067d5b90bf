"""References: the colours that images are brought to, as values that a config can carry."""

from ..errors import refuse
from .macenko import Macenko
from .reinhard import Reinhard

METHODS = {"reinhard": Reinhard, "macenko": Macenko}


def reference(method, images):
    """Measure the colours of some images.

    Parameters
    ----------
    method : {"reinhard", "macenko"}
    images : iterable of uint8 arrays (H, W, 3)

    Returns
    -------
    Reinhard or Macenko
        A record with `normalize(image)`; `dataclasses.asdict` makes plain data of it.

    Raises
    ------
    InputError
        If there is no such method, or nothing can be measured.

    Examples
    --------
    >>> import numpy as np
    >>> reference("reinhard", [np.full((4, 4, 3), 255, np.uint8)]).std
    (0.0, 0.0, 0.0)
    """
    return _known(method).of(images)


def parse(data):
    """The record of plain data, or None of None; anything odd is refused.

    Parameters
    ----------
    data : dict or None
        As `dataclasses.asdict` gave it.

    Returns
    -------
    Reinhard, Macenko or None

    Examples
    --------
    >>> from dataclasses import asdict
    >>> target = Reinhard((60.0, 20.0, -10.0), (15.0, 6.0, 5.0))
    >>> parse(asdict(target)) == target, parse(None)
    (True, None)
    """
    if data is None:
        return None
    try:
        numbers = {name: tuple(x + 0.0 for x in value) for name, value in data.items() if name != "method"}
        return _known(data["method"])(**numbers)
    except (KeyError, TypeError, AttributeError) as error:
        refuse("these are no colours to bring images to", expected="a record of Reinhard's or Macenko's numbers",
               received=str(error), remedy="measure them with hsn.stains.references.reference")  # fmt: skip


def _known(method):
    if method not in METHODS:
        refuse("there is no such normalization of stains", expected=f"one of {', '.join(METHODS)}",
               received=repr(method), remedy="choose one of these")  # fmt: skip
    return METHODS[method]
