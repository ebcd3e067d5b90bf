"""The viewer in a notebook: it answers tiles, keeps marks, and runs in a kernel."""

import io
import json
import shutil
import subprocess
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

pytest.importorskip("anywidget")

import hsn.app
from hsn.annotations import qupath
from hsn.app.notebook import bundle
from hsn.supervision import segment


@pytest.fixture
def nuclei():
    from skimage import data

    return data.immunohistochemistry()[:300, :420]


def pixels(data, mode):
    return np.asarray(Image.open(io.BytesIO(data)).convert(mode)).astype(int)


def ask(viewer, path):
    """Ask as the page does, and return the answer."""
    answers = []
    viewer.send = lambda content, buffers: answers.append((content, buffers))
    viewer._handle_custom_msg({"number": 7, "path": path}, [])
    ((content, (data,)),) = answers
    assert content == {"number": 7}
    return data


def test_the_page_gets_the_pixels_of_the_image(nuclei):
    viewer = hsn.app.Viewer(nuclei, mpp=0.25)
    tile = pixels(ask(viewer, "tiles/image/image/0/0/0"), "RGB")
    assert tile.shape == (512, 512, 3)
    assert np.abs(tile[:300, :420] - nuclei).mean() < 4  # JPEG
    assert ask(viewer, "tiles/image/net/0/0/0/0") == hsn.app.notebook.EMPTY


def test_the_net_finds_what_hsn_segment_finds_and_a_threshold_hides_some(nuclei):
    viewer = hsn.app.Viewer(nuclei, "nuclei-masks", mpp=0.25)
    instances = segment(nuclei, "nuclei-masks", mpp=0.25).instances
    assert viewer.net == "nuclei-masks"
    assert len(viewer.objects) == instances.max() > 3
    shown = pixels(ask(viewer, "tiles/image/net/0/0/0/0?least=0"), "RGBA")[:300, :420, 3]
    np.testing.assert_array_equal(shown > 0, instances > 0)
    sure = pixels(ask(viewer, "tiles/image/net/0/0/0/0?least=0.75"), "RGBA")[:300, :420, 3]
    assert 0 < (sure > 0).sum() < (shown > 0).sum()


def test_marks_are_checked_and_written_for_qupath(nuclei, tmp_path, feature, raises_code):
    viewer = hsn.app.Viewer(nuclei, mpp=0.25)
    viewer.features = [feature((10.5, 20.25)), feature([[5, 5], [40, 5]], "LineString", "Background")]
    viewer.save(tmp_path / "image.geojson")
    drawn = qupath.read(tmp_path / "image.geojson")
    assert [(p.row, p.col) for p in drawn.points] == [(19.75, 10.0)]
    assert drawn.scribbles[0].label == "Background"
    with raises_code("feature-invalid"):
        viewer.features = [feature((10_000, 20))]


def test_a_net_needs_an_image_of_limited_size(raises_code, monkeypatch, nuclei):
    monkeypatch.setattr(hsn.app.notebook, "_NET_PIXELS", 1000)
    with raises_code("viewer-too-large"):
        hsn.app.Viewer(nuclei, "nuclei-masks", mpp=0.25)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_bundle_is_a_valid_module(tmp_path):
    path = tmp_path / "bundle.mjs"
    path.write_text(bundle())
    done = subprocess.run(["node", "--check", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# The kernel's own library warns of its event loop; nothing of ours does.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_notebook_shows_the_widget(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(hsn.app.__file__).parents[2]))
    code = "import numpy as np, hsn.app\nhsn.app.Viewer(np.full((40, 60, 3), 200, np.uint8), mpp=0.25)"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    (output,) = notebook.cells[0].outputs
    shown = output["data"]["application/vnd.jupyter.widget-view+json"]
    state = client.widget_state[shown["model_id"]]
    assert state["_esm"] == bundle()
    assert state["image"]["width"] == 60
    assert json.dumps(state["features"]) == "[]"
