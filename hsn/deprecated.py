"""Lazy imports of public names, and deprecated names that work for one more release."""

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any


def attributes(
    package: str, names: Mapping[str, str], old_names: Mapping[str, tuple[str, str]] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make `__getattr__` and `__dir__` for the `__init__.py` of a package.

    Parameters
    ----------
    package : str
        `__name__` of the package.
    names : dict
        Public name -> "module:name", or -> "module" for a whole module. Module names can be relative to the package.
    old_names : dict, optional
        Old name -> ("module:name", replacement). Using the name causes a DeprecationWarning.

    Examples
    --------
    >>> getattr_, dir_ = attributes("hsn", {"InputError": ".errors:InputError"})
    >>> getattr_("InputError").__name__, dir_()
    ('InputError', ['InputError'])
    """
    old_names = old_names or {}

    def getattr_(name: str) -> Any:
        if name in names:
            value = _import(package, names[name])
            setattr(sys.modules[package], name, value)
            return value
        if name in old_names:
            location, replacement = old_names[name]
            warnings.warn(
                f"{package}.{name} is deprecated; use {replacement}", DeprecationWarning, stacklevel=2
            )
            return _import(package, location)
        raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {', '.join(names)}")

    return getattr_, lambda: sorted(names)


def _import(package: str, location: str) -> Any:
    module, _, name = location.partition(":")
    imported = importlib.import_module(module, package)
    return getattr(imported, name) if name else imported
