"""Claim: a folder goes on with its own run and no other."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from hsn import Refusal
from hsn.training.claim import claim


def recipe(**numbers):
    return SimpleNamespace(as_dict=lambda: numbers)


def test_a_folder_goes_on_with_its_own_run_only(tmp_path):
    folder, arrays, said = (
        tmp_path / "mine",
        [np.arange(4), None],
        {"guide": "Here.", "what": "images, clicks"},
    )
    claim(folder, recipe(rounds=3), arrays, **said)
    claim(folder, recipe(rounds=3), iter(arrays), **said)
    assert (folder / "README.txt").read_text() == "Here."
    assert json.loads((folder / "run.json").read_text())["recipe"] == {"rounds": 3}
    words = "mine holds another run; expected these images, clicks and this recipe, received others; choose an empty"
    for other, given in ((recipe(rounds=2), arrays), (recipe(rounds=3), [np.arange(4)]),
                         (recipe(rounds=3), [np.arange(1, 5), None])):  # fmt: skip
        with pytest.raises(Refusal, match=words):
            claim(folder, other, given, **said)
