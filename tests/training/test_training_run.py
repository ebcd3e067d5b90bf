"""Claim: a folder goes on with its own run and no other."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from hsn import InputError
from hsn.training.run import claim


def config(**numbers):
    return SimpleNamespace(as_dict=lambda: numbers)


def test_a_folder_goes_on_with_its_own_run_only(tmp_path):
    folder, arrays, said = (
        tmp_path / "mine",
        [np.arange(4), None],
        {"guide": "Here.", "what": "images, clicks"},
    )
    claim(folder, config(rounds=3), arrays, **said)
    claim(folder, config(rounds=3), iter(arrays), **said)
    assert (folder / "README.txt").read_text() == "Here."
    assert json.loads((folder / "run.json").read_text())["config"] == {"rounds": 3}
    words = "mine holds another run; expected these images, clicks and this config, received others; choose an empty"
    for other, given in ((config(rounds=2), arrays), (config(rounds=3), [np.arange(4)]),
                         (config(rounds=3), [np.arange(1, 5), None])):  # fmt: skip
        with pytest.raises(InputError, match=words):
            claim(folder, other, given, **said)
