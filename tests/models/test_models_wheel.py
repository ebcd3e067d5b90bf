"""An installed wheel is enough: it holds the shipped nets, and the command works outside of the checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from hsn.files import PRETRAINED
from hsn.images.read import write

ROOT = Path(__file__).parents[2]
LARGEST_WHEEL_BYTES = 40 * 2**20

pytestmark = pytest.mark.slow


def run(*command, **options):
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=500, check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from the files of the checkout, without network and without the compiled extension."""
    if int(version("setuptools").split(".")[0]) < 77:
        pytest.skip("building needs setuptools 77 or newer")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    files = run("git", "-C", ROOT, "ls-files", "hsn", "pretrained", "img/04_slide_region_cc0").splitlines()
    for name in (*files, "pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    no_compiler = os.environ | {
        "CC": "false",
        "CXX": "false",
    }  # compiling takes minutes; hsn installs without
    pip = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-q")
    run(*pip, "-w", out, source, env=no_compiler, cwd=out)
    (path,) = out.glob("hsn-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Install the wheel into an empty environment; its dependencies come from the environment of the tests."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=True)
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    run(python, "-m", "pip", "install", "--no-deps", "--no-index", "-q", wheel)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    # This adds the folder, but not the .pth files in it: an editable hsn stays unknown.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_the_wheel_holds_every_shipped_file_and_stays_small(wheel):
    assert wheel.stat().st_size < LARGEST_WHEEL_BYTES
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
    shipped = {path.relative_to(PRETRAINED).as_posix() for path in PRETRAINED.rglob("*") if path.is_file()}
    assert {f"hsn/pretrained/{name}" for name in shipped} <= names
    assert {"hsn/py.typed", "hsn/sample/CMU-1-Small-Region.svs", "hsn/sample/README.md"} <= names
    assert not [name for name in names if name.startswith(("tests/", "pretrained/"))]


def test_an_installed_wheel_opens_the_sample_slide_with_the_tour(installed, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    code = (
        "from hsn.app.project import open_tour; p = open_tour(); print(p.mpp(*p.images), p.settings['tour'])"
    )
    assert run(installed, "-c", code, cwd=tmp_path, env=environment).split() == ["0.499", "yes"]


def test_an_installed_wheel_segments_outside_of_the_checkout(installed, tmp_path, ihc):
    write(tmp_path / "tissue.png", ihc[:120, :140])
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = "import sys; from hsn.cli import main; sys.argv[0] = 'hsn'; main()"
    options = {"cwd": tmp_path, "env": environment | {"HSN_HOME": str(tmp_path / "home")}}
    run(
        installed,
        "-c",
        command,
        "segment",
        "tissue.png",
        "--model",
        "nuclei-masks",
        "--out",
        "out",
        **options,
    )
    assert (tmp_path / "out" / "labels" / "tissue.png").exists()
    where = run(installed, "-c", "from hsn.files import PRETRAINED; print(PRETRAINED)", **options).strip()
    assert Path(where).name == "pretrained"
    assert not Path(where).is_relative_to(ROOT)
