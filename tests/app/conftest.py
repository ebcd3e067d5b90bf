"""A project of three small images, and a client of its server."""

import uuid

import numpy as np
import pytest
from app_fakes import PORT, TOKEN

from hsn.app.project import close_project, open_project
from hsn.app.server import build
from hsn.images.read import write


@pytest.fixture
def images(tmp_path, rng):
    """Folder of three images of 90 x 120 px."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name in "abc":
        write(folder / f"{name}.png", rng.integers(0, 256, (90, 120, 3), dtype=np.uint8))
    return folder


@pytest.fixture
def project(images):
    """An open project for nuclei at 0.5 um/px."""
    project = open_project([images], mpp=0.5, aim="nuclei", user="tester")
    yield project
    close_project(project)


@pytest.fixture
def anonymous(project):
    """A client without the cookie."""
    from starlette.testclient import TestClient

    app = build(project, token=TOKEN, port=PORT)
    with TestClient(app, base_url=f"http://127.0.0.1:{PORT}", follow_redirects=False) as client:
        yield client


@pytest.fixture
def client(anonymous):
    """A client with the cookie that the address of the page gives."""
    anonymous.get("/", params={"token": TOKEN})
    return anonymous


@pytest.fixture
def feature():
    """Function that makes a feature: a point by default."""

    def make(coordinates=(10.5, 20.5), kind="Point", name="Nucleus", **entries):
        geometry = {"type": kind, "coordinates": list(coordinates)}
        properties = {"objectType": "annotation", "classification": {"name": name}, **entries}
        return {"type": "Feature", "id": str(uuid.uuid4()), "geometry": geometry, "properties": properties}

    return make


@pytest.fixture
def put():
    """Function that makes the edit that puts a feature."""

    def make(feature, number=1, image="a"):
        return {"op": "put", "image": image, "id": feature["id"], "feature": feature, "number": number}

    return make
