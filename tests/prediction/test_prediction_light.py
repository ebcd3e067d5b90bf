"""Inference is light: it loads neither training nor packages that only reports and statistics need."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import json, sys
from hsn.keras_start import start_keras
start_keras(only_hsn=True)
import numpy as np
import hsn
image = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
for name in sys.argv[1:]:
    hsn.segment(image, name)
print(json.dumps(sorted(sys.modules)))
"""


@pytest.fixture(scope="module")
def loaded():
    """Modules of a process that segments with a net of each method."""
    command = [sys.executable, "-c", CODE, "nuclei-masks", "nuclei-points", "glas-tags-cam"]
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("room", ["hsn.training", "hsn.extras", "hsn.supervision.selected", "hsn.losses.crf"])
def test_inference_does_not_load_a_room_that_it_does_not_need(loaded, room):
    assert [name for name in loaded if name == room or name.startswith(f"{room}.")] == []


@pytest.mark.parametrize("package", ["matplotlib", "scipy.stats", "scipy.optimize", "IPython", "jax"])
def test_inference_does_not_load_a_package_that_it_does_not_need(loaded, package):
    assert package not in loaded


@pytest.mark.parametrize("module", ["hsn.prediction.encoder_features", "hsn.workflows.segmentation"])
def test_a_program_that_imports_a_module_sees_no_log_lines(module):
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, text=True,
                          cwd=Path(__file__).parents[2], env=environment, check=True)  # fmt: skip
    assert done.stderr == ""
