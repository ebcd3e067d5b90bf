"""Names of a package that are imported at first use, and old names that still work for one release."""

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any


def attributes(
    package: str, names: Mapping[str, str], old_names: Mapping[str, tuple[str, str]] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` for the `__init__.py` of a package.

    Parameters
    ----------
    package : str
        Its `__name__`.
    names : dict
        Public name -> "module:name", or "module" for a module as a whole; modules as `importlib` takes them, relative
        ones by the package.
    old_names : dict, optional
        Old name -> ("module:name", what to use instead). The name works, with a DeprecationWarning.

    Examples
    --------
    >>> getattr_, dir_ = attributes("hsn", {"InputError": ".errors:InputError"})
    >>> getattr_("InputError").__name__, dir_()
    ('InputError', ['InputError'])
    """
    old_names = old_names or {}

    def getattr_(name: str) -> Any:
        if name in names:
            value = _find(package, names[name])
            setattr(sys.modules[package], name, value)
            return value
        if name in old_names:
            place, replacement = old_names[name]
            warnings.warn(
                f"{package}.{name} is deprecated; use {replacement}", DeprecationWarning, stacklevel=2
            )
            return _find(package, place)
        raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {', '.join(names)}")

    return getattr_, lambda: sorted(names)


def _find(package: str, place: str) -> Any:
    module, _, name = place.partition(":")
    found = importlib.import_module(module, package)
    return getattr(found, name) if name else found
