"""Strict settings: warnings are errors (pyproject), no network, no display, fixed seeds, one backend."""

import os
import socket
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["MPLBACKEND"] = "agg"
os.environ["HSN_TRACEBACK"] = "1"  # an unexpected error is a failure of the test
if "PYTEST_XDIST_WORKER" in os.environ:  # processes share the cores
    for _name in (
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
    ):
        os.environ.setdefault(_name, "1")

import numpy as np
import pytest
from hypothesis import settings

# A deadline would measure how busy the machine is, not whether the code is right.
settings.register_profile("hsn", deadline=None, derandomize=bool(os.environ.get("CI")))  # CI repeats itself
settings.load_profile("hsn")

# Files that take longest begin, so that the processes of a parallel run end together.
LONG = (
    "test_browser_edits", "test_supervision_contract", "test_browser_views", "test_wsi_run", "test_cli_fit",
    "test_nets_encoders", "test_cli_fit_points", "test_cli_fit_selected", "test_supervision_mixed_training",
    "test_supervision_selected_training", "test_notebooks", "test_examples",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    order = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.stem, len(LONG)))


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refused(self, address):
        if self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "::1", "localhost"):
            return connect(self, address)
        raise AssertionError(f"a test tried to reach {address}")

    connect = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", refused)


@pytest.fixture
def rng():
    return np.random.default_rng(20191027)


@pytest.fixture(scope="session")
def data():
    """Folder of real tissue with truth; the tests that need it skip where it is absent."""
    folder = os.environ.get("HSN_DATA")
    if not folder or not (Path(folder) / "glas" / "images").is_dir():
        pytest.skip("HSN_DATA does not name a folder of real tissue with glas/images")
    return Path(folder)


@pytest.fixture
def ihc():
    """The real histology image inside scikit-image's wheel: uint8 (512, 512, 3)."""
    from skimage import data as samples

    return samples.immunohistochemistry()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """Return the folder of a tiny untrained net with the classes gland and other."""
    from hsn import models, taxonomies
    from hsn.nets import histonet
    from hsn.supervision.tags import Config

    net = histonet.build(((4,), (8,)), 1, input_px=32, seed=1)
    config = Config(
        classes=("G.O",),
        thresholds=(0.5,),
        taxonomies=(taxonomies.GLAS,),
        mpp=1.24,
        image_mpp=0.62,
        window_px=32,
        cam_layers=(histonet.feature_layer(net).name, histonet.logits_layer(net).name),
    )
    card = models.Card(
        name="tiny",
        method="tags",
        classes=config.classes,
        thresholds=config.thresholds,
        mpp=config.mpp,
        taxonomies=("glas",),
        normalization=models.Normalization(mean=config.normalization.mean, std=config.normalization.std),
        source="a test",
    )
    folder = tmp_path_factory.mktemp("nets") / "tiny"
    models.save(folder, net, card, config.to_dict())
    return folder


@pytest.fixture
def raises_code():
    """Context manager: the block raises an `InputError` with this code."""
    from contextlib import contextmanager

    from hsn.errors import InputError

    @contextmanager
    def raises(code):
        with pytest.raises(InputError) as caught:
            yield caught
        assert caught.value.code == code, f"{caught.value.code}: {caught.value}"

    return raises
