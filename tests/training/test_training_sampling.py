"""Sampling: a batch depends on seed, epoch and step; an epoch uses every example once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hsn.training.sampling import batch_by_share, batch_of

few = st.integers(1, 9)


@given(few, few, few, few)
def test_every_example_comes_once_before_any_comes_again(count, size, seed, epoch):
    drawn = [batch_of(count, size, seed=seed, epoch=epoch, step=step)[0] for step in range(count)]
    assert {len(each) for each in drawn} == {size}
    drawn = np.concatenate(drawn)  # size times through all examples
    assert (drawn.reshape(size, count) == drawn[:count]).all()
    assert sorted(drawn[:count]) == list(range(count))


def test_orders_equal_the_orders_of_earlier_versions():
    """The draws by which the nets of the documents were trained: a run of then goes on with the code of now."""
    chosen, rng = batch_of(7, 5, seed=4, epoch=2, step=1)
    order = np.random.default_rng((4, 2)).permutation(7)
    assert chosen.tolist() == [order[5], order[6], *order[:3]]
    assert rng.random(3).tolist() == np.random.default_rng((4, 2, 1)).random(3).tolist()
    tagged = np.array([3, 8, 1, 5])  # indices are shuffled like their places
    told = batch_of(4, 4, seed=4, epoch=2, step=0)[0]
    assert tagged[told].tolist() == np.random.default_rng((4, 2)).permutation(tagged).tolist()


def test_epochs_steps_and_seeds_differ():
    def drawn(seed, epoch, step):
        chosen, rng = batch_of(50, 50, seed=seed, epoch=epoch, step=step)
        return chosen.tolist(), rng.random()

    first = drawn(0, 0, 0)
    assert drawn(0, 0, 0) == first
    assert drawn(0, 1, 0)[0] != first[0] != drawn(1, 0, 0)[0]
    assert drawn(0, 0, 1)[1] != first[1]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any), few, few, few)
def test_counts_differ_from_shares_by_less_than_one_draw(often, size, steps, epoch):
    drawn = [
        batch_by_share(often, size, steps=steps, seed=3, epoch=epoch, step=step)[0] for step in range(steps)
    ]
    assert {len(each) for each in drawn} == {size}
    counts = np.bincount(np.concatenate(drawn), minlength=len(often))
    wanted = size * steps * np.array(often) / sum(often)
    assert (np.abs(counts - wanted) < 1 + 1e-9).all()
    assert not counts[np.array(often) == 0].any()
