"""`hsn doctor`: what runs here, what is missing, and how to mend it."""

import os
import sys
from typing import Annotated, NamedTuple

import typer

from .console import FAILED, AsJson, print_result, start_keras, table

_NEEDED = (
    "keras", "numpy", "scipy", "scikit-image", "opencv-python-headless", "matplotlib", "h5py", "pydantic",
)  # fmt: skip
# Backend -> the packages that may hold it.
_BACKENDS = {"tensorflow": ("tensorflow", "tensorflow-cpu"), "jax": ("jax",), "torch": ("torch",)}


class Check(NamedTuple):
    """One thing looked at: whether it is well, what was found, and, if it is not, what to do."""

    what: str
    well: bool
    found: str
    remedy: str = ""


def doctor(
    as_json: AsJson = False,
    quick: Annotated[bool, typer.Option(help="Leave out what starts the backend.")] = False,
):
    """Check this installation; exit code 0 if nothing that is needed is missing."""
    checks = [_python(), *_packages(), _backend()]
    if not quick and all(check.well for check in checks):
        checks += [_devices(), _kernel()]
    checks += [_cache(), _nets()]
    well = all(check.well for check in checks)
    rows = [
        ("ok" if c.well else "MISSING", c.what, c.found + (f"; {c.remedy}" if c.remedy else ""))
        for c in checks
    ]
    data = {"well": well, "checks": [check._asdict() for check in checks]}
    print_result(data, table(("", "what", "found"), rows), as_json=as_json)
    if not well:
        raise typer.Exit(FAILED)


def _python():
    version = sys.version.split()[0]
    return Check(
        "python", sys.version_info >= (3, 11), version, "" if sys.version_info >= (3, 11) else "install 3.11"
    )


def _version(package):
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _packages():
    from .. import __version__

    yield Check("hsn", True, __version__)
    for package in _NEEDED:
        found = _version(package)
        if package.startswith("opencv") and not found:
            found = _version("opencv-python")  # has the same module
        yield Check(package, bool(found), found or "not installed", "" if found else f"pip install {package}")


def _backend():
    """The backend that Keras would take: by the environment, by its own settings file, or TensorFlow."""
    name = os.environ.get("KERAS_BACKEND") or _configured() or "tensorflow"
    there = {backend: version for backend in _BACKENDS if (version := _backend_version(backend))}
    if name in there:
        return Check("backend", True, f"{name} {there[name]}")
    remedies = [f"pip install {name if name in _BACKENDS else 'tensorflow'}"]
    remedies += [f"KERAS_BACKEND={other}" for other in there]
    return Check("backend", False, f"{name} is not installed", " or set ".join(remedies))


def _backend_version(name):
    return next(filter(None, map(_version, _BACKENDS[name])), None)


def _configured():
    import json
    from pathlib import Path

    folder = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        return json.loads((folder / "keras.json").read_text(encoding="utf-8")).get("backend")
    except (OSError, ValueError, AttributeError):
        return None


def _devices():
    """Processors that the backend computes on; a machine without a GPU is well, only slower."""
    try:
        start_keras()
        import keras

        devices = [device for device in keras.distribution.list_devices() if not device.startswith("cpu")]
    except Exception as error:  # whatever a broken backend raises is what the user must be told
        return Check("devices", False, f"the backend does not start: {error}", "install it anew")
    cores = f"{os.cpu_count()} cores"
    return Check(
        "devices", True, ", ".join(devices) if devices else f"{cores}, no GPU (slower; nothing is missing)"
    )


def _kernel():
    """Which of its twins computes the dense CRF."""
    import numpy as np

    from ..crf.dense_crf import refine
    from ..errors import InputError

    try:
        refine(np.full((4, 4, 2), 0.5), np.zeros((4, 4, 3), np.uint8), engine="native")
    except InputError as error:
        return Check("dense CRF", True, "SciPy (slower; nothing is missing)", str(error))
    return Check("dense CRF", True, "compiled kernel")


def _cache():
    """Imported nets need a folder that can be written to."""
    from ..errors import InputError
    from ..files import atomic_write
    from ..models import home

    probe = home() / ".doctor"
    try:
        with atomic_write(probe) as temporary:
            temporary.write_text("")
        probe.unlink()
    except (InputError, OSError) as error:
        return Check(
            "folder of imported nets", False, str(error), "set HSN_HOME to a folder that can be written to"
        )
    return Check("folder of imported nets", True, str(home()))


def _nets():
    from ..models import available

    names = ", ".join(name for name, _, _ in available())
    return Check(
        "trained nets", True, names or "none yet; train one (`hsn fit`) or import the release (`hsn models`)"
    )
