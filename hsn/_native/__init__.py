"""The compiled kernel: the fastest build for this processor, or None.

One source is compiled up to three times: portable, AVX2 and AVX-512. A wheel runs on processors of any of these levels.
"""

import importlib
import os


def _load_kernel():
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


kernel = _load_kernel()
