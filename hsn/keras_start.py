"""Start Keras: choose an installed backend, and import it without TensorFlow's log lines."""

import gc
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError

# Backend -> packages that provide it, and how to install it.
BACKENDS = {
    "tensorflow": (("tensorflow", "tensorflow-cpu", "tensorflow-macos"), "pip install tensorflow"),
    "jax": (("jax",), 'pip install "hsn[jax]"'),
    "torch": (("torch",), 'pip install "hsn[torch]"'),
}
# Keras imports matplotlib and IPython for plots and notebooks; TensorFlow imports JAX for a converter. They take a
# quarter of the import time.
_OPTIONAL = {"tensorflow": ("matplotlib", "IPython", "jax"), "jax": ("matplotlib", "IPython")}
_TENSORFLOW_LOGS = (b"WARNING: All log messages before absl::InitializeLog()", b"I0000 ")


def start_keras(*, only_hsn: bool = False) -> None:
    """Import Keras and its backend, without log lines; return at once if Keras is imported.

    Parameters
    ----------
    only_hsn : bool
        Whether nothing else in this process uses Keras. Then optional packages are not imported, and garbage
        collection skips the objects of the import. Default: False.

    Raises
    ------
    InputError
        "backend-missing" if the backend is not installed.
    """
    if "keras" in sys.modules:
        return
    backend = default_backend()
    if not backend_version(backend):
        raise InputError(
            "backend-missing",
            "the backend of Keras must be installed",
            got=f"{backend}, which is not installed",
            hint=install_hint(backend, backend),
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", backend)
    with without_tensorflow_logs():
        if only_hsn:
            _import_only_for_hsn(backend)
        else:
            import keras  # noqa: F401


def count_cores() -> int:
    """Return the number of cores that this process may use: a batch system often gives fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def without_tensorflow_logs() -> Iterator[None]:
    """Remove TensorFlow's log lines from stderr while the block runs.

    TensorFlow 2.21 writes lines to stderr during the import, whatever its settings. Other lines, such as the reason for
    a failure, are written to stderr at the end.
    """
    import tempfile

    if sys.stderr is not None:
        sys.stderr.flush()
    with tempfile.TemporaryFile() as caught:
        try:
            stderr = os.dup(2)
        except OSError:  # a process without stderr
            yield
            return
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            caught.seek(0)
            for line in caught:
                if not line.startswith(_TENSORFLOW_LOGS):
                    sys.stderr.write(line.decode(errors="replace"))


def _import_only_for_hsn(backend: str) -> None:
    """Import Keras and its backend without optional packages and garbage collection."""
    gc.disable()  # an import creates hundreds of thousands of permanent objects
    try:
        with hidden(_OPTIONAL.get(backend, ())):
            import keras  # noqa: F401
    finally:
        gc.freeze()  # later collections skip these objects
        gc.enable()


@contextmanager
def hidden(packages: Sequence[str]) -> Iterator[None]:
    """Make imports of packages fail while the block runs, unless they are already imported.

    Examples
    --------
    >>> with hidden(["antigravity"]):
    ...     import antigravity
    Traceback (most recent call last):
        ...
    ModuleNotFoundError: import of antigravity halted; None in sys.modules
    """
    names = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(names))  # type: ignore[arg-type]  # None stops an import
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


def default_backend() -> str:
    """Return the backend of hsn: from the environment, from Keras's settings, or the first installed one."""
    installed = [name for name in BACKENDS if backend_version(name)]
    return os.environ.get("KERAS_BACKEND") or _configured() or (installed or ["tensorflow"])[0]


def backend_version(name: str) -> str | None:
    """Return the version of a backend, or None if it is not installed."""
    packages, _ = BACKENDS.get(name, ((), ""))
    return next(filter(None, map(package_version, packages)), None)


def package_version(package: str) -> str | None:
    """Return the version of a package, or None if it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def install_hint(name: str, used: str) -> str:
    """Return advice to install a backend, or to use an installed one."""
    if name not in BACKENDS:
        return f"set KERAS_BACKEND to one of {', '.join(BACKENDS)}"
    others = [other for other in BACKENDS if name == used != other and backend_version(other)]
    hint = BACKENDS[name][1]
    if name == "tensorflow" and sys.version_info >= (3, 14):
        hint = 'it has no wheels for this Python: pip install "hsn[torch]"'
    return " or set ".join([hint, *(f"KERAS_BACKEND={other}" for other in others)])


def _configured() -> str | None:
    """Return the backend in Keras's settings file."""
    folder = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        backend: str | None = json.loads((folder / "keras.json").read_text(encoding="utf-8")).get("backend")
    except (OSError, ValueError, AttributeError):
        return None
    return backend
