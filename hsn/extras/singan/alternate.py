"""Taking turns: nets that learn against each other, by a run that can be killed and goes on.

What is on disk is one file: every variable of the nets and of their optimisers, as plain numbers, and what was measured
so far. It is moved into place whole.
"""

import json
import zipfile

import numpy as np
from keras import ops

from ...errors import refuse
from ...files import atomic_write


def alternate(turns, variables, *, steps, state, keep_every=100, after=None):
    """Let each party take its turn, again and again.

    Parameters
    ----------
    turns : dict of str to callable
        By name, in the order in which they are taken: step, counted from 0, -> terms of a loss, a vector. A turn must
        depend on nothing but its step and `variables`.
    variables : list of keras.Variable
        All that changes: of nets and optimisers.
    steps : int
    state : path
        An `.npz`. A run that finds its own there goes on from it.
    keep_every : int
        Steps between two states.
    after : callable, optional
        Called with the number of steps done, after each, and once with those that the state already has.

    Returns
    -------
    list of dict
        Every `keep_every` steps, and at the end: `step`, and the mean of each term since the last row, as "name 0",
        "name 1", and so on.

    Raises
    ------
    InputError
        If a term is no number any more, or the state is of other nets.

    Examples
    --------
    >>> import tempfile
    >>> turns = {"falling": lambda step: np.array([9.0 - step])}
    >>> alternate(turns, [], steps=3, state=tempfile.mkdtemp() + "/state.npz")
    [{'step': 3, 'falling 0': 8.0}]
    """
    rows = _resume(variables, state)
    done = rows[-1]["step"] if rows else 0
    if after:
        after(done)
    since = {name: [] for name in turns}
    for step in range(done, steps):
        for name, turn in turns.items():
            since[name].append(turn(step))
        if (step + 1) % keep_every == 0 or step + 1 == steps:
            rows.append({"step": step + 1, **_means(since)})
            _keep(variables, rows, state)
            since = {name: [] for name in turns}
        if after:
            after(step + 1)
    return rows


def _means(since):
    means = {}
    for name, terms in since.items():
        means |= {f"{name} {k}": float(value) for k, value in enumerate(np.mean(terms, axis=0))}
    if not all(np.isfinite(value) for value in means.values()):
        refuse("learning has failed: a loss is no number any more", expected="finite losses", received=means,
               remedy="lower the learning rate and start again")  # fmt: skip
    return means


def _keep(variables, rows, state):
    numbers = {f"v{k}": ops.convert_to_numpy(variable) for k, variable in enumerate(variables)}
    with atomic_write(state) as temporary:
        np.savez(temporary, rows=np.frombuffer(json.dumps(rows).encode(), np.uint8), **numbers)


def _resume(variables, state):
    """Put a state that is there into the variables; what was measured so far."""
    try:
        with open(state, "rb") as file, np.load(file, allow_pickle=False) as kept:
            rows = json.loads(kept["rows"].tobytes())
            values = [kept[f"v{k}"] for k in range(len(variables))]
            if len(kept.files) != len(variables) + 1:
                raise ValueError(f"{len(kept.files) - 1} arrays")
        for variable, value in zip(variables, values, strict=True):
            if value.shape != tuple(variable.shape):
                raise ValueError(f"an array {value.shape} for a variable {tuple(variable.shape)}")
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        refuse(f"{state} cannot be taken up", expected="the state of this same run", received=str(error),
               remedy="remove it to start anew")  # fmt: skip
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return rows
