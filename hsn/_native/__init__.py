"""The compiled kernel, where it was built: the module that suits this processor, or None.

One source is compiled up to three times, for any processor and for two levels of vector instructions, because a
wheel is built on one machine and runs on another.
"""

import importlib
import os


def _best():
    wanted = os.environ.get("HSN_NATIVE")  # "0": as if it had not been built; or the name of one build
    if wanted == "0":
        return None
    try:
        portable = importlib.import_module(f".{wanted or 'portable'}", __name__)
    except ImportError:
        return None
    for level in () if wanted else ("avx512", "avx2"):
        if portable.supports(level):
            try:
                return importlib.import_module(f".{level}", __name__)
            except ImportError:
                continue
    return portable


kernel = _best()
