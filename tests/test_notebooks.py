"""The notebooks run from top to bottom and are stored without outputs."""

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST_BYTES = 10_000


@pytest.fixture
def bench(tmp_path, monkeypatch, tiny_model):
    """A folder laid out like the checkout, in which notebooks may write, with a tiny net for those that need one."""
    for name in ("img", "gt"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("HSN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HSN_MODEL", str(tiny_model))
    return tmp_path / "notebooks"


# The kernel's own library warns of its event loop; nothing of ours does.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=pytest.mark.slow) if "study" in path.stem else path for path in NOTEBOOKS],
    ids=lambda path: path.stem,
)
def test_a_notebook_runs_from_top_to_bottom(path, bench):
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(bench)}})
    client.execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error"]
    assert any("image/png" in o.get("data", {}) for o in outputs), "no picture was shown"
    said = "".join(o.text for o in outputs if o.output_type == "stream" and o.name == "stdout")
    assert re.search(r"PQ 0\.\d" if path.stem == "03_nuclei_study" else "mIoU", said)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_small_and_has_no_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    assert path.stat().st_size < MOST_BYTES
    assert not any(cell.get("outputs") for cell in notebook.cells)


def test_all_notebooks_are_found():
    names = ["01_segment_patches", "02_segment_glas_patches", "03_nuclei_study", "04_gland_study"]
    assert [path.stem for path in NOTEBOOKS] == names
