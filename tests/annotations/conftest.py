"""Folders of empty files: what is paired is decided by names."""

import pytest


@pytest.fixture
def touch(tmp_path):
    """Make empty files in the test's folder."""

    def touch(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    return touch
