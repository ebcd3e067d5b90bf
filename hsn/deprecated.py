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


METHOD_NAMES = {
    "config": ("Config", "PRESETS", "TrainConfig", "preset"),
    "inference": ("segment",),
    "losses": ("make_loss",),
    "target_maps": ("make_targets",),
    "training": ("fit",),
}


def method_attributes(
    package: str, names: Mapping[str, str], old_names: Mapping[str, tuple[str, str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` for a method in `hsn.supervision`.

    All methods have the names in `METHOD_NAMES`, and the old names `loss` and `targets`.

    Parameters
    ----------
    package : str
        Its `__name__`.
    names, old_names : dict
        Further names; see `attributes`.
    """
    common = {name: f".{file}:{name}" for file, names_ in METHOD_NAMES.items() for name in names_}
    old = {
        "loss": (".losses:make_loss", "make_loss"),
        "targets": (".target_maps:make_targets", "make_targets"),
    }
    return attributes(package, common | dict(names), old | dict(old_names))


def _import(package: str, location: str) -> Any:
    module, _, name = location.partition(":")
    imported = importlib.import_module(module, package)
    return getattr(imported, name) if name else imported
