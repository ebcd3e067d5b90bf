"""The compiled kernel: the build that suits this processor, or None.

One source is compiled up to three times: portable, AVX2 and AVX-512. A wheel is built on one machine and runs on
others.
"""

import importlib
import os


def _best():
    # HSN_NATIVE=0 disables the kernel; the name of a build selects it.
    selected = os.environ.get("HSN_NATIVE")
    if selected == "0":
        return None
    try:
        portable = importlib.import_module(f".{selected or 'portable'}", __name__)
    except ImportError:
        return None
    for level in () if selected else ("avx512", "avx2"):
        if portable.supports(level):
            try:
                return importlib.import_module(f".{level}", __name__)
            except ImportError:
                continue
    return portable


kernel = _best()
