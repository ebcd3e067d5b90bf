"""Projects: images of the given folders only, their scales and roles, one server at a time."""

import subprocess
import sys
import tomllib
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

import hsn.app
from hsn.app.project import close_project, open_project
from hsn.images.read import write
from hsn.notes import collect_notes

STATIC = Path(hsn.app.__file__).parent / "static"


def test_links_that_lead_out_are_not_opened(images, tmp_path):
    write(tmp_path / "secret.png", np.zeros((20, 20, 3), np.uint8))
    (images / "link.png").symlink_to(tmp_path / "secret.png")
    (images / "inside.png").symlink_to(images / "a.png")
    with collect_notes() as notes:
        project = open_project([images], aim="nuclei")
    close_project(project)
    assert sorted(project.images) == ["a", "b", "c"]
    assert any("links that lead out" in sentence for sentence in notes.sentences())


def test_an_image_that_became_a_link_is_not_opened(images, tmp_path):
    close_project(open_project([images], aim="nuclei"))
    write(tmp_path / "secret.png", np.zeros((20, 20, 3), np.uint8))
    (images / "b.png").unlink()
    (images / "b.png").symlink_to(tmp_path / "secret.png")
    project = open_project([], images / "hsn-project")
    close_project(project)
    assert sorted(project.images) == ["a", "c"]


def test_the_scale_is_asked_for_and_kept(images):
    project = open_project([images], aim="nuclei")
    assert project.mpp("a") is None
    project.set_mpp(["a", "b"], 0.25)
    close_project(project)
    again = open_project([images])
    close_project(again)
    assert [again.mpp(name) for name in "abc"] == [0.25, 0.25, None]


def test_one_in_five_images_is_a_check_image(tmp_path):
    for k in range(11):
        write(tmp_path / f"{k:02}.png", np.zeros((20, 20, 3), np.uint8))
    project = open_project([tmp_path], aim="nuclei", mpp=0.5)
    close_project(project)
    assert [p.id for p in project.images.values() if p.role == "check"] == ["04", "09"]
    again = open_project([tmp_path])
    again.set_role("04", "learn")
    close_project(again)
    reopened = open_project([tmp_path])
    close_project(reopened)
    assert [p.id for p in reopened.images.values() if p.role == "check"] == ["09"]


def test_a_second_server_names_the_address_of_the_first(images, tmp_path, raises_code):
    from hsn.app.project import write_server
    from hsn.app.server import serve

    held = "import sys,time; from pathlib import Path; from hsn.app.project import open_project;"
    held += "open_project([Path(sys.argv[1])], aim='nuclei'); print('ready', flush=True); time.sleep(600)"
    with subprocess.Popen(
        [sys.executable, "-c", held, str(images)], stdout=subprocess.PIPE, text=True
    ) as other:
        try:
            assert other.stdout.readline() == "ready\n"
            write_server(images / "hsn-project", 4567, "token")
            with raises_code("app-running") as caught:
                serve([images])
            assert "http://127.0.0.1:4567/?token=token" in str(caught.value)
        finally:
            other.kill()
    project = open_project([images])  # the lock of a dead process does not hold
    close_project(project)


def test_the_token_and_the_project_are_private(project):
    from hsn.app.project import write_server

    write_server(project.folder, 1234, "token")
    assert (project.folder / "server.json").stat().st_mode & 0o777 == 0o600
    assert project.folder.stat().st_mode & 0o777 == 0o700


def test_the_server_never_imports_keras(images):
    code = (
        "import sys; from pathlib import Path; from starlette.testclient import TestClient\n"
        "from hsn.app.project import open_project; from hsn.app.server import build\n"
        "project = open_project([Path(sys.argv[1])], mpp=0.5, aim='nuclei')\n"
        "with TestClient(build(project, token='t', port=1), base_url='http://127.0.0.1:1') as client:\n"
        "    assert client.get('/?token=t').status_code == 200\n"
        "    assert client.get('/api/project').status_code == 200\n"
        "    assert client.get('/tiles/a/image/0/0/0').status_code == 200\n"
        "print(sorted({'keras', 'tensorflow', 'torch', 'jax'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(images)], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_vendored_files_are_those_that_are_named():
    named = tomllib.loads((STATIC / "vendor" / "VENDORED.toml").read_text())
    for name, digest in named["sha256"].items():
        assert sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == digest
    assert {"name", "version", "license"} <= set(named)
    assert (
        "BSD" in (STATIC / "vendor" / "LICENSE").read_text()
        or "Redistribution" in (STATIC / "vendor" / "LICENSE").read_text()
    )


@pytest.mark.parametrize("path", sorted(STATIC.glob("*.js")), ids=lambda path: path.name)
def test_scripts_write_text_and_no_html(path):
    text = path.read_text()
    assert not [
        word
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(")
        if word in text
    ]
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in text


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("notes.txt", b"text", "image-format"),
        ("broken.png", b"not an image", "image-format"),
        ("empty", None, "images-missing"),
    ],
)
def test_places_without_a_readable_image_are_errors_and_make_no_project(
    tmp_path, raises_code, name, content, code
):
    if content is None:
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_bytes(content)
    with raises_code(code):
        open_project([tmp_path / name])
    assert [path.name for path in tmp_path.rglob("*")] == [name]


def test_a_folder_that_is_not_a_project_is_an_error_and_stays_as_it_is(tmp_path, raises_code):
    with raises_code("images-missing"):
        open_project([], tmp_path / "nothing")
    assert not list(tmp_path.iterdir())


def test_a_wrong_scale_is_an_error(images, raises_code):
    with raises_code("mpp-range"):
        open_project([images], mpp=-1.0)
    assert not (images / "hsn-project").exists()


def test_a_place_that_does_not_exist_is_an_error_and_makes_no_project(tmp_path, raises_code, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with raises_code("data-missing"):
        open_project([tmp_path / "nowhere"])
    assert not list(tmp_path.iterdir())
