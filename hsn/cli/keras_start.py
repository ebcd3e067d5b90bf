"""Fast start of Keras: without packages that Keras and TensorFlow import if they can, and that no command needs."""

import gc
import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path

# Keras imports both for its own plots and notebooks; TensorFlow imports JAX for a converter. Together they take about
# as long as a third of Keras and TensorFlow.
_OPTIONAL = {"tensorflow": ("matplotlib", "IPython", "jax"), "jax": ("matplotlib", "IPython")}


def import_keras():
    """Import Keras and its backend, as fast as that goes."""
    gc.disable()  # an import makes hundreds of thousands of objects that stay
    try:
        with hidden(_OPTIONAL.get(_backend(), ())):
            import keras  # noqa: F401
    finally:
        gc.freeze()  # later collections do not look at them either
        gc.enable()


@contextmanager
def hidden(packages):
    """Let imports of packages that are not imported yet fail at once.

    Examples
    --------
    >>> with hidden(["antigravity"]):
    ...     import antigravity
    Traceback (most recent call last):
        ...
    ModuleNotFoundError: import of antigravity halted; None in sys.modules
    """
    names = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(names))
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


def _backend():
    """The backend that Keras will use: by the environment, by its own file of settings, or TensorFlow."""
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"]
    settings = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "keras.json"
    try:
        return json.loads(settings.read_text(encoding="utf-8")).get("backend", "tensorflow")
    except (OSError, ValueError, AttributeError):
        return "tensorflow"
