import pytest


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty place for imported nets, so that no test sees or changes the user's own."""
    monkeypatch.setenv("HSN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"
