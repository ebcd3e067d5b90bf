"""Packages of formats are imported when they are used; exports of images need no Keras."""

import subprocess
import sys

HEAVY = "keras tensorflow jax torch matplotlib zarr tifffile pyarrow shapely orjson roifile pandas geopandas highdicom"


def test_exporting_imports_no_package_of_a_format_and_no_keras():
    code = f"import sys, hsn.workflows.exporting; print(*set({HEAVY.split()!r}) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
