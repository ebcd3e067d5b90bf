"""The compiled kernel, where it was built: the module that suits this processor, or None.

One source is compiled up to three times, for any processor and for two levels of vector instructions, because a
wheel is built on one machine and runs on another.
"""

import importlib
import os


def _best():
    if os.environ.get("HSN_NATIVE") == "0":  # as if it had not been built; read once, at the first import
        return None
    try:
        portable = importlib.import_module(".portable", __name__)
    except ImportError:
        return None
    for level in ("avx512", "avx2"):
        if portable.supports(level):
            try:
                return importlib.import_module(f".{level}", __name__)
            except ImportError:
                continue
    return portable


kernel = _best()
