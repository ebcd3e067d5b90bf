"""Seeds for the layers of a net."""

from itertools import islice

import numpy as np

from hsn.nets.parts import seed_stream


def test_seeds_are_consecutive_and_endless():
    assert list(islice(seed_stream(3), 2000)) == list(range(3, 2003))
    assert list(islice(seed_stream(None), 2000)) == [None] * 2000


def test_a_seed_of_numpy_becomes_an_int():
    assert type(next(seed_stream(np.int64(3)))) is int
