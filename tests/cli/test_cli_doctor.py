"""`hsn doctor`: it sees what is missing, says how to mend it, and its exit code tells a script."""

from hsn.cli import doctor


def found(result):
    return {check["what"]: check for check in result.said["checks"]}


def test_a_whole_installation_is_well(run, home):
    result = run("doctor", "--json")
    assert result.exit_code == 0
    checks = found(result)
    assert result.said["well"]
    assert set(checks) > {"python", "hsn", "keras", "numpy", "backend", "devices", "dense CRF"}
    assert checks["folder of imported nets"]["found"] == str(home)
    assert not (home / ".doctor").exists()


def test_people_get_a_table(run):
    text = run("doctor", "--quick").stdout
    assert any(line.split()[:2] == ["ok", "python"] for line in text.splitlines())


def test_a_missing_package_is_named_with_its_remedy(run, monkeypatch):
    whole = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda package: None if package == "scipy" else whole(package))
    result = run("doctor", "--json")
    assert result.exit_code == 1
    assert found(result)["scipy"] == {
        "what": "scipy", "well": False, "found": "not installed", "remedy": "pip install scipy",
    }  # fmt: skip


def test_an_absent_backend_is_named_with_those_that_are_there(run, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    whole = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda package: None if package == "torch" else whole(package))
    result = run("doctor", "--json", "--quick")
    assert result.exit_code == 1
    backend = found(result)["backend"]
    assert backend["found"] == "torch is not installed"
    assert backend["remedy"].startswith("pip install torch or set KERAS_BACKEND=tensorflow")


def test_a_place_that_cannot_be_written_to_is_named(run, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HSN_HOME", str(tmp_path / "file"))
    result = run("doctor", "--json", "--quick")
    assert result.exit_code == 1
    assert "set HSN_HOME" in found(result)["folder of imported nets"]["remedy"]


def test_without_the_compiled_kernel_scipy_does_it(run, monkeypatch):
    from hsn.crf import dense_crf as crf
    from hsn.errors import refuse

    def absent(*arguments, **options):
        refuse("the kernel is not built", expected="a compiler", received="none", remedy="install one")

    monkeypatch.setattr(crf, "refine", absent)
    result = run("doctor", "--json")
    assert result.exit_code == 0
    assert found(result)["dense CRF"]["found"].startswith("SciPy")
    assert "install one" in found(result)["dense CRF"]["remedy"]
