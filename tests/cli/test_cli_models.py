"""`hsn models`: nets are listed, shown, imported and fetched; bad input is one sentence."""

import shutil
import sys

import pytest

from hsn.progress import Event


@pytest.fixture
def installed(model, home):
    shutil.copytree(model, home / "tiny")
    return home / "tiny"


def test_nets_are_listed_with_their_cards(run, installed):
    said = run("models", "list", "--json").said
    (tiny,) = [one for one in said if one["name"] == "tiny"]
    assert tiny["folder"] == str(installed)
    assert tiny["taxonomies"] == ["glas"]
    text = run("models", "list").stdout
    (line,) = [line for line in text.splitlines() if line.startswith("tiny")]
    assert "tags" in line
    assert "1.24" in line


def test_a_card_is_shown_by_name_and_by_path(run, model, installed):
    assert run("models", "show", "tiny", "--json").said == run("models", "show", model, "--json").said
    text = run("models", "show", "tiny").stdout
    assert "classes >= threshold  G.O 0.500" in text
    assert "(x - 193.09) / 56.45" in text
    assert "a test" in text


def test_a_damaged_card_is_an_error(run, installed):
    (installed / "card.json").write_text("{")
    result = run("models", "show", "tiny")
    assert result.exit_code == 2
    assert "must be the card of a trained net" in result.stderr


@pytest.mark.parametrize("name", ["nothing.zip", "text.zip", "empty"])
def test_another_archive_is_an_error_and_leaves_no_files(run, home, tmp_path, name):
    (tmp_path / "text.zip").write_text("no zip")
    (tmp_path / "empty").mkdir()
    result = run("models", "import", tmp_path / name)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert not home.exists() or not list(home.iterdir())


def test_without_gdown_the_error_names_the_package_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "gdown", None)
    result = run("models", "fetch")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert 'pip install "hsn[fetch]"' in result.stderr


def test_the_old_name_of_the_command_still_works(run, installed):
    assert run("weights", "show", "tiny", "--json").said == run("models", "show", "tiny", "--json").said


def test_without_a_network_fetching_is_one_sentence(run):
    result = run("models", "fetch", "http://127.0.0.1:9/hsn_data.zip", "--to", "a.zip")
    assert result.exit_code == 2
    assert "http://127.0.0.1:9/hsn_data.zip must be reachable" in result.stderr


@pytest.fixture
def release(monkeypatch, home):
    """Stand in for the download and the import of the release."""
    from hsn import models

    def fetch(source, *, to, progress):
        progress(Event("downloading (MB)", 226, 226))
        return to

    monkeypatch.setattr(models, "fetch", fetch)
    monkeypatch.setattr(models, "import_release", lambda path, **options: home / path.stem, raising=False)
    return home / "hsn_data"


def test_an_import_names_the_new_net(run, release):
    assert run("models", "import", "hsn_data.zip", "--json").said == {
        "name": "hsn_data", "folder": str(release),
    }  # fmt: skip
    assert f"hsn_data is ready in {release}" in run("models", "import", "hsn_data.zip").stdout


def test_fetching_imports_what_it_downloaded(run, release):
    said = run("models", "fetch", "histosegnet", "--json").said
    assert said == {"archive": "hsn_data.zip", "name": "hsn_data", "folder": str(release)}
    assert "hsn_data.zip may be deleted" in run("models", "fetch").stdout


def test_the_list_shows_licenses_of_shipped_nets(run):
    (line,) = [line for line in run("models", "list").stdout.splitlines() if line.startswith("nuclei-masks")]
    assert "CC BY-NC-SA 4.0" in line
