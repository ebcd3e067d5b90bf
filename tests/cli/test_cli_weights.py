"""`hsn weights`: what there is, what it says of itself, and what is refused."""

import shutil

import pytest


@pytest.fixture
def installed(model, home):
    shutil.copytree(model, home / "tiny")
    return home / "tiny"


def test_nets_are_listed_with_their_cards(run, installed):
    said = run("weights", "list", "--json").said
    (tiny,) = [one for one in said if one["name"] == "tiny"]
    assert tiny["folder"] == str(installed)
    assert tiny["taxonomies"] == ["glas"]
    text = run("weights", "list").stdout
    (line,) = [line for line in text.splitlines() if line.startswith("tiny")]
    assert "tags" in line
    assert "1.24" in line


def test_a_card_is_shown_by_name_and_by_path(run, model, installed):
    assert run("weights", "show", "tiny", "--json").said == run("weights", "show", model, "--json").said
    text = run("weights", "show", "tiny").stdout
    assert "classes >= threshold  G.O 0.500" in text
    assert "(x - 193.09) / 56.45" in text
    assert "a test" in text


def test_a_damaged_card_is_refused(run, installed):
    (installed / "card.json").write_text("{")
    result = run("weights", "show", "tiny")
    assert result.exit_code == 2
    assert "is no card of a trained net" in result.stderr


@pytest.mark.parametrize("name", ["nothing.zip", "text.zip", "empty"])
def test_what_is_no_release_is_refused_and_leaves_nothing(run, home, tmp_path, name):
    (tmp_path / "text.zip").write_text("no zip")
    (tmp_path / "empty").mkdir()
    result = run("weights", "import", tmp_path / name)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert not home.exists() or not list(home.iterdir())


def test_the_release_has_no_lasting_address(run):
    result = run("weights", "fetch")
    assert result.exit_code == 2
    assert "follow the download link" in result.stderr


def test_without_a_network_fetching_says_so(run):
    result = run("weights", "fetch", "http://127.0.0.1:9/hsn_data.zip", "--to", "a.zip")
    assert result.exit_code == 2
    assert "http://127.0.0.1:9/hsn_data.zip cannot be fetched" in result.stderr
