"""Alternating training: a killed run ends with the same result."""

import json

import keras
import numpy as np
import pytest

from hsn.extras.singan.alternate import train_alternating


class Killed(Exception):  # noqa: N818 - what a run is
    """As if the machine had been switched off."""


def game(value):
    """Two who change one number, each by what it is and by the step."""
    variable = keras.Variable(np.array([value], "float32"))

    def up(step):
        variable.assign(variable + step)
        return np.array([float(variable[0]), 1.0])

    def half(step):
        variable.assign(variable / 2)
        return np.array([float(variable[0])])

    return variable, {"up": up, "half": half}


def test_turns_alternate_and_means_are_returned(tmp_path):
    variable, turns = game(8)
    rows = train_alternating(turns, [variable], steps=3, state=tmp_path / "state.npz", keep_every=2)
    # 8 -> 8 -> 4 -> 5 -> 2.5 -> 4.5 -> 2.25
    assert rows == [
        {"step": 2, "up 0": 6.5, "up 1": 1.0, "half 0": 3.25},
        {"step": 3, "up 0": 4.5, "up 1": 1.0, "half 0": 2.25},
    ]
    assert float(variable[0]) == 2.25


@pytest.mark.parametrize("last", [1, 4, 5, 7])
def test_a_killed_run_continues(tmp_path, last):
    variable, turns = game(8)
    whole = train_alternating(turns, [variable], steps=8, state=tmp_path / "whole.npz", keep_every=2)
    end = float(variable[0])

    def kill(done):
        if done == last:
            raise Killed

    state = tmp_path / "state.npz"
    other, turns = game(8)
    with pytest.raises(Killed):
        train_alternating(turns, [other], steps=8, state=state, keep_every=2, after=kill)
    other, turns = game(8)
    counts = []
    assert train_alternating(turns, [other], steps=8, state=state, keep_every=2, after=counts.append) == whole
    assert float(other[0]) == end
    assert counts == list(range(last // 2 * 2, 9))
    untouched, turns = game(1)  # a finished run takes no step, but gives what it has
    assert train_alternating(turns, [untouched], steps=8, state=state, keep_every=2) == whole
    assert float(untouched[0]) == end


def test_a_loss_that_is_not_finite_raises(tmp_path, raises_code):
    with raises_code("loss-not-finite"):
        train_alternating({"bad": lambda step: np.array([np.nan])}, [], steps=2, state=tmp_path / "s.npz")
    assert not (tmp_path / "s.npz").exists()


def _rows(**rows):
    return {"rows": np.frombuffer(json.dumps([{"step": 1}]).encode(), np.uint8)} | rows


@pytest.mark.parametrize(
    "content",
    [
        b"no zip at all",
        b"PK\x03\x04 a broken one",
        _rows(v0=np.zeros(2)),  # another shape
        _rows(),
        _rows(v0=np.zeros(1), v1=np.zeros(1)),
        {"v0": np.zeros(1)},
        _rows(v0=np.array([{}], dtype=object)),  # pickled
    ],
)
def test_an_invalid_state_raises_and_changes_nothing(tmp_path, content, raises_code):
    state = tmp_path / "state.npz"
    if isinstance(content, bytes):
        state.write_bytes(content)
    else:
        np.savez(state, **content)
    variable, turns = game(5)
    with raises_code("singan-state-invalid"):
        train_alternating(turns, [variable], steps=2, state=state)
    assert float(variable[0]) == 5
