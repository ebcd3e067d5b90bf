"""Fast import of Keras, without optional packages that hsn does not use."""

import gc
import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path

# Keras imports matplotlib and IPython for plots and notebooks; TensorFlow imports JAX for a converter. They take a
# quarter of the import time.
_OPTIONAL = {"tensorflow": ("matplotlib", "IPython", "jax"), "jax": ("matplotlib", "IPython")}


def import_keras():
    """Import Keras and its backend without optional packages and garbage collection."""
    gc.disable()  # an import creates hundreds of thousands of permanent objects
    try:
        with hidden(_OPTIONAL.get(_backend(), ())):
            import keras  # noqa: F401
    finally:
        gc.freeze()  # later collections skip these objects
        gc.enable()


@contextmanager
def hidden(packages):
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
    sys.modules.update(dict.fromkeys(names))
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


def _backend():
    """Return the backend of Keras: from the environment, from its settings file, or TensorFlow."""
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"]
    settings = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "keras.json"
    try:
        return json.loads(settings.read_text(encoding="utf-8")).get("backend", "tensorflow")
    except (OSError, ValueError, AttributeError):
        return "tensorflow"
