"""`hsn doctor`: missing parts with hints, and the exit code."""

import pytest

from hsn import keras_start
from hsn.errors import InputError


def found(result):
    return {check["name"]: check for check in result.said["checks"]}


@pytest.fixture
def without(monkeypatch):
    """Hide packages from the doctor."""
    whole = keras_start.package_version

    def without(*packages):
        monkeypatch.setattr(
            keras_start, "package_version", lambda package: None if package in packages else whole(package)
        )

    return without


def test_a_complete_installation_is_ok(run, home):
    result = run("doctor", "--json")
    assert result.exit_code == 0
    checks = found(result)
    assert result.said["ok"]
    assert set(checks) > {
        "python",
        "hsn",
        "keras",
        "numpy",
        "backend",
        "devices",
        "dense CRF",
        "trained nets",
    }
    assert checks["folder of imported nets"]["found"] == str(home)
    assert not (home / ".doctor").exists()


def test_the_default_output_is_a_table(run):
    text = run("doctor", "--quick").stdout
    assert any(line.split()[:2] == ["ok", "python"] for line in text.splitlines())


def test_a_missing_package_is_named_with_a_hint(run, without):
    without("scipy")
    result = run("doctor", "--json")
    assert result.exit_code == 1
    assert found(result)["scipy"] == {
        "name": "scipy", "ok": False, "found": "not installed", "hint": "pip install scipy",
    }  # fmt: skip


def test_an_absent_backend_is_named_with_those_that_are_there(run, without, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    without("torch")
    result = run("doctor", "--json", "--quick")
    assert result.exit_code == 1
    backend = found(result)["backend"]
    assert backend["found"] == "torch is not installed"
    assert backend["hint"].startswith('pip install "hsn[torch]" or set KERAS_BACKEND=tensorflow')


def test_every_backend_is_listed_and_only_the_used_one_must_be_there(run, without):
    without("torch", "jax", "gdown")
    result = run("doctor", "--json", "--quick")
    assert result.exit_code == 0
    listed = {c["found"].split()[0]: c for c in result.said["checks"] if c["name"].endswith("backend")}
    assert set(listed) == {"tensorflow", "jax", "torch"}
    assert listed["tensorflow"]["hint"] == "used"
    assert listed["torch"]["hint"].startswith('pip install "hsn[torch]"')
    assert "hsn[fetch]" in found(result)["downloads"]["hint"]


def test_an_unknown_backend_is_named(run, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    result = run("doctor", "--json", "--quick")
    assert result.exit_code == 1
    assert found(result)["backend"]["hint"] == "set KERAS_BACKEND to one of tensorflow, jax, torch"


def test_without_tensorflow_the_first_installed_backend_is_used(without, monkeypatch, tmp_path):
    monkeypatch.delenv("KERAS_BACKEND")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert keras_start.default_backend() == "tensorflow"
    without("tensorflow", "tensorflow-cpu", "torch")
    assert keras_start.default_backend() == "jax"
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')
    assert keras_start.default_backend() == "torch"


def test_a_home_that_cannot_be_written_to_is_named(run, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HSN_HOME", str(tmp_path / "file"))
    result = run("doctor", "--json", "--quick")
    assert result.exit_code == 1
    assert "set HSN_HOME" in found(result)["folder of imported nets"]["hint"]


def test_without_the_compiled_extension_scipy_is_used(run, monkeypatch):
    from hsn.crf import dense_crf as crf

    def absent(*arguments, **options):
        raise InputError("engine", "the extension must be built", got="none", hint="install a compiler")

    monkeypatch.setattr(crf, "refine", absent)
    result = run("doctor", "--json")
    assert result.exit_code == 0
    assert found(result)["dense CRF"]["found"].startswith("SciPy")
    assert found(result)["dense CRF"]["hint"] == "install a compiler"


def test_missing_packages_of_the_app_are_named_with_the_pip_line(run, without):
    assert found(run("doctor", "--json", "--quick"))["browser"]["hint"] == ""
    without("uvicorn")
    result = run("doctor", "--json", "--quick")
    assert result.exit_code == 0  # the app is optional
    assert found(result)["browser"]["found"].endswith("uvicorn is not installed")
    assert 'pip install "hsn[app]"' in found(result)["browser"]["hint"]
