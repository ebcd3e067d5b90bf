"""Alternating training of nets against each other, with a state file from which a stopped run continues.

The state is one file with all variables of the nets and optimizers, and the history. It is replaced atomically.
"""

import json
import zipfile

import numpy as np
from keras import ops

from ...errors import InputError
from ...files import atomic_write


def train_alternating(turns, variables, *, steps, state, keep_every=100, after=None):
    """Train nets in alternating turns.

    Parameters
    ----------
    turns : dict of str to callable
        Functions from the step (from 0) to the terms of a loss, by name and in order. A turn must depend only on its
        step and on `variables`.
    variables : list of keras.Variable
        All variables of nets and optimizers.
    steps : int
    state : path
        An `.npz` file. If it exists, the run continues from it.
    keep_every : int
        Steps between two state files. Default: 100.
    after : callable, optional
        Called with the number of finished steps, after each step, and once at the start.

    Returns
    -------
    list of dict
        A row every `keep_every` steps and at the end: `step`, and the mean of each term since the last row, as
        "name 0", "name 1", ...

    Raises
    ------
    InputError
        "loss-not-finite", or "singan-state-invalid" if the state is of other nets.

    Examples
    --------
    >>> import tempfile
    >>> turns = {"falling": lambda step: np.array([9.0 - step])}
    >>> train_alternating(turns, [], steps=3, state=tempfile.mkdtemp() + "/state.npz")
    [{'step': 3, 'falling 0': 8.0}]
    """
    rows = _resume(variables, state)
    done = rows[-1]["step"] if rows else 0
    if after:
        after(done)
    terms = {name: [] for name in turns}
    for step in range(done, steps):
        for name, turn in turns.items():
            terms[name].append(turn(step))
        if (step + 1) % keep_every == 0 or step + 1 == steps:
            rows.append({"step": step + 1, **_means(terms)})
            _save(variables, rows, state)
            terms = {name: [] for name in turns}
        if after:
            after(step + 1)
    return rows


def _means(terms):
    means = {}
    for name, values in terms.items():
        means |= {f"{name} {k}": float(value) for k, value in enumerate(np.mean(values, axis=0))}
    if not all(np.isfinite(value) for value in means.values()):
        raise InputError(
            "loss-not-finite",
            "losses must stay finite",
            got=means,
            hint="lower the learning rate and start again",
        )
    return means


def _save(variables, rows, state):
    numbers = {f"v{k}": ops.convert_to_numpy(variable) for k, variable in enumerate(variables)}
    with atomic_write(state) as temporary:
        np.savez(temporary, rows=np.frombuffer(json.dumps(rows).encode(), np.uint8), **numbers)


def _resume(variables, state):
    """Load a state into the variables, if there is one, and return its rows."""
    try:
        with open(state, "rb") as file, np.load(file, allow_pickle=False) as saved:
            rows = json.loads(saved["rows"].tobytes())
            values = [saved[f"v{k}"] for k in range(len(variables))]
            if len(saved.files) != len(variables) + 1:
                raise ValueError(f"{len(saved.files) - 1} arrays")
        for variable, value in zip(variables, values, strict=True):
            if value.shape != tuple(variable.shape):
                raise ValueError(f"an array {value.shape} for a variable {tuple(variable.shape)}")
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise InputError(
            "singan-state-invalid",
            f"{state} must be the state of this run",
            got=str(error),
            hint="remove it to start again",
        ) from None
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return rows
