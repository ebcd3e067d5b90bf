"""`hsn doctor`: check the installation, and print how to repair it."""

import sys
from collections.abc import Iterator
from typing import Annotated, NamedTuple

import typer

from .. import keras_start
from .console import FAILED, AsJson, print_result, start_keras, table

_NEEDED = (
    "keras", "numpy", "scipy", "scikit-image", "opencv-python-headless", "matplotlib", "pillow", "h5py", "pydantic",
)  # fmt: skip
_INSTEAD = {"opencv-python-headless": "opencv-python"}  # another package with the same module


class Check(NamedTuple):
    """Result of a check: name, success, finding, hint."""

    name: str
    ok: bool
    found: str
    hint: str = ""


def doctor(
    as_json: AsJson = False,
    quick: Annotated[bool, typer.Option("--quick", help="Do not start the backend.")] = False,
):
    """Check this installation. The exit code is 0 if all required parts work."""
    checks = [_python(), *_packages(), *_backends()]
    if not quick and all(check.ok for check in checks):
        checks += [_devices(), _crf()]
    checks += [_home(), _nets(), _app(), _fetch()]
    ok = all(check.ok for check in checks)
    rows = [
        ("ok" if c.ok else "MISSING", c.name, f"{c.found}; {c.hint}" if c.hint else c.found) for c in checks
    ]
    data = {"ok": ok, "checks": [check._asdict() for check in checks]}
    print_result(data, table(("", "what", "found"), rows), as_json=as_json)
    if not ok:
        raise typer.Exit(FAILED)


def _python() -> Check:
    ok = sys.version_info >= (3, 11)
    return Check("python", ok, sys.version.split()[0], "" if ok else "install Python 3.11 or newer")


def _packages() -> Iterator[Check]:
    from .. import __version__

    yield Check("hsn", True, __version__)
    for package in _NEEDED:
        found = keras_start.package_version(package) or keras_start.package_version(
            _INSTEAD.get(package, package)
        )
        yield Check(package, bool(found), found or "not installed", "" if found else f"pip install {package}")


def _backends() -> Iterator[Check]:
    """Check each backend of Keras; only the used one must be installed."""
    used = keras_start.default_backend()
    for name in dict.fromkeys((used, *keras_start.BACKENDS)):
        version = keras_start.backend_version(name)
        hint = (
            keras_start.install_hint(name, used)
            if not version
            else "used"
            if name == used
            else f"use it with KERAS_BACKEND={name}"
        )
        label = "backend" if name == used else "other backend"
        ok = bool(version) or name != used
        yield Check(label, ok, f"{name} {version or 'is not installed'}", hint)


def _devices() -> Check:
    """Check that the backend starts, and list its devices."""
    try:
        start_keras()
        import keras

        devices = [device for device in keras.distribution.list_devices() if not device.startswith("cpu")]
    except Exception as error:  # a broken backend can raise any exception
        return Check("devices", False, f"the backend does not start: {error}", "install it again")
    return Check(
        "devices",
        True,
        ", ".join(devices) or f"{keras_start.count_cores()} cores, no GPU (slower; nothing is missing)",
    )


def _crf() -> Check:
    """Check the implementation of the dense CRF: compiled or SciPy."""
    import numpy as np

    from ..crf.dense_crf import refine
    from ..errors import InputError

    try:
        refine(np.full((4, 4, 2), 0.5), np.zeros((4, 4, 3), np.uint8), engine="native")
    except InputError as error:
        return Check("dense CRF", True, "SciPy (slower; nothing is missing)", error.hint)
    return Check("dense CRF", True, "compiled extension")


def _home() -> Check:
    """Check that the folder of imported nets can be written to."""
    from ..errors import InputError
    from ..files import atomic_write
    from ..models import home

    name, probe = "folder of imported nets", home() / ".doctor"
    try:
        with atomic_write(probe) as temporary:
            temporary.write_text("")
        probe.unlink()
    except (InputError, OSError) as error:
        return Check(name, False, str(error), "set HSN_HOME to a folder that can be written to")
    return Check(name, True, str(home()))


def _nets() -> Check:
    from ..models import available

    names = ", ".join(name for name, _, _ in available())
    hint = "" if names else "train one (`hsn fit`) or fetch the release (`hsn models fetch`)"
    return Check("trained nets", True, names or "none yet", hint)


def _app() -> Check:
    """Check the packages of `hsn app`, and its sample slide."""
    from ..files import SAMPLE

    packages = {name: keras_start.package_version(name) for name in ("starlette", "uvicorn")}
    found = ", ".join(f"{name} {version or 'is not installed'}" for name, version in packages.items())
    if not all(packages.values()):
        return Check("browser", True, found, 'optional, for `hsn app`: pip install "hsn[app]"')
    return Check(
        "browser", True, found, "" if SAMPLE.is_file() else "the sample slide is missing: install hsn again"
    )


def _fetch() -> Check:
    found = keras_start.package_version("gdown")
    return Check(
        "downloads", True, f"gdown {found}" if found else "gdown is not installed",
        "" if found else 'optional, for `hsn models fetch`: pip install "hsn[fetch]"',
    )  # fmt: skip
