"""Augmentation: one draw transforms image, labels and weights together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsn.stains.density import jitter_stains
from hsn.training.augment import Draw, draw

draws = st.builds(
    Draw, turns=st.integers(0, 3), flip=st.booleans(), shift=st.tuples(st.integers(-3, 3), st.integers(-3, 3))
)


@given(draws)
def test_image_and_labels_move_together(drawn):
    labels = np.arange(36).reshape(6, 6)
    image = np.repeat(labels[..., None], 3, axis=2).astype(np.uint8)
    np.testing.assert_array_equal(drawn.paint(image)[..., 0], drawn.move(labels))


def test_a_shift_brings_in_the_mirror():
    row = np.arange(4)[None]
    assert Draw(shift=(0, 1)).move(row).tolist() == [[0, 0, 1, 2]]
    assert Draw(shift=(0, -2)).move(row).tolist() == [[2, 3, 3, 2]]


def test_colors_stay_within_an_image(rng):
    for _ in range(50):
        painted = draw(rng, gain=0.5, offset=90).paint(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        assert painted.min() >= 0
        assert painted.max() <= 255


def test_draws_cover_exactly_the_allowed_values(rng):
    drawn = [draw(rng, shift_px=1, gain=0.1, offset=5) for _ in range(300)]
    assert {d.turns for d in drawn} == {0, 1, 2, 3}
    assert {d.flip for d in drawn} == {True, False}
    assert {s for d in drawn for s in d.shift} == {-1, 0, 1}
    gains, offsets = np.array([d.gain for d in drawn]), np.array([d.offset for d in drawn])
    assert gains.min() >= 0.9
    assert gains.max() <= 1.1
    assert np.abs(offsets).max() <= 5
    assert gains.std() > 0.03
    assert {draw(rng, flips=False, quarter_turns=False) for _ in range(9)} == {Draw()}


def test_a_seed_repeats_the_draw():
    one, two = (draw(np.random.default_rng(4), gain=0.1, offset=3, shift_px=5) for _ in range(2))
    assert one == two


def test_colors_change_after_the_geometric_transform():
    image = np.full((2, 2, 3), 100, np.uint8)
    assert Draw(gain=(1, 2, 1), offset=(0, 0, 7)).paint(image)[0, 0].tolist() == pytest.approx(
        [100, 200, 107]
    )


def test_stains_are_drawn_apart_from_each_other(rng):
    drawn = [draw(rng, stain_gain=0.3, stain_offset=0.1) for _ in range(200)]
    gains, offsets = np.array([d.stain_gain for d in drawn]), np.array([d.stain_offset for d in drawn])
    assert gains.shape == (200, 2)
    assert 0.7 <= gains.min() < 0.75
    assert 1.25 < gains.max() <= 1.3
    assert 0.09 < np.abs(offsets).max() <= 0.1
    assert abs(np.corrcoef(gains.T)[0, 1]) < 0.2


def test_a_stain_is_painted_before_the_light(rng):
    image = rng.integers(60, 250, (8, 8, 3), dtype=np.uint8)
    drawn = Draw(turns=1, stain_gain=(1.2, 0.9), stain_offset=(0.05, 0), gain=(1.1, 1, 1), offset=(0, 3, 0))
    stained = jitter_stains(np.rot90(image), (1.2, 0.9), (0.05, 0))
    np.testing.assert_allclose(
        drawn.paint(image), np.clip(stained * (1.1, 1, 1) + (0, 3, 0), 0, 255), rtol=1e-5
    )


def test_draws_without_stain_jitter_are_unchanged():
    one, other = np.random.default_rng(3), np.random.default_rng(3)
    with_, without = draw(one, gain=0.1, stain_gain=0.2), draw(other, gain=0.1)
    assert (with_.gain, with_.offset, with_.turns) == (without.gain, without.offset, without.turns)
    assert one.random() != other.random()
