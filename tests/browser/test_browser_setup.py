"""Chromium is used if it is there; root installs it with apt-get; else the tests are skipped."""

import os

import pytest
from find_chromium import find_chromium

APT = """#!/bin/sh
echo "$@" >> {place}/calls
[ "$1" = install ] && {{ echo > {place}/chromium; chmod +x {place}/chromium; }}
exit 0
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder that is the whole PATH, except for the shell."""
    (tmp_path / "sh").symlink_to("/bin/sh")
    (tmp_path / "chmod").symlink_to("/bin/chmod")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def executable(path, text=""):
    path.write_text(text)
    path.chmod(0o755)


def test_chromium_of_the_system_is_used(place):
    executable(place / "chromium-browser")
    assert find_chromium() == str(place / "chromium-browser")


def test_without_chromium_and_apt_there_is_none(place):
    assert find_chromium() is None


def test_root_installs_it_and_others_do_not(place, monkeypatch):
    executable(place / "apt-get", APT.format(place=place))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert find_chromium() is None
    assert not (place / "calls").exists()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert find_chromium() == str(place / "chromium")
    assert (place / "calls").read_text().splitlines()[1].split()[-2:] == ["chromium", "fonts-dejavu-core"]


def test_an_installation_that_fails_gives_none(place, monkeypatch):
    executable(place / "apt-get", "#!/bin/sh\nexit 100\n")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert find_chromium() is None
