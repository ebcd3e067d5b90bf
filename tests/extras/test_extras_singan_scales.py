"""Scales: what critics and generators see, repaired and as released."""

import keras
import numpy as np
import pytest
from keras import layers

from hsn.extras.singan.scales import Painter, watch
from hsn.images import pyramid

MARGIN = 2


def generator():
    """Stands for a trained one: the coarser image plus a tenth of the layout."""
    condition, coarser = layers.Input((None, None, 4)), layers.Input((None, None, 3))
    tenth = layers.Conv2D(3, 1, use_bias=False)
    shown = tenth(condition)
    tenth.kernel.assign(np.reshape([[0.0] * 3] * 3 + [[0.1] * 3], (1, 1, 4, 3)))
    return keras.Model([condition, coarser], layers.Cropping2D(MARGIN)(layers.Add()([shown, coarser])))


@pytest.fixture
def patch(rng):
    image = rng.integers(0, 256, (32, 40, 3), np.uint8)
    instances = np.zeros((32, 40), int)
    instances[4:13, 6:19], instances[20:29, 22:33] = 1, 2
    return image, instances


def painter(patch, **options):
    made = Painter(*patch, smallest_px=16, count=3, margin_px=MARGIN, seed=4, **options)
    for scale in made.scales[: options.get("ready", 3)]:
        scale.generator = generator()
    return made


def test_scales_show_the_patch_and_its_parts(patch):
    made = painter(patch)
    image, instances = patch
    assert [scale.shape for scale in made.scales] == [(16, 20), (23, 29), (32, 40)]
    finest = made.scales[-1]
    inside = instances > 0
    assert abs(finest.image - (image / 127.5 - 1)).max() <= 1 / 127.5 + 1e-6  # eight bits, cut down
    assert (finest.mask == np.where(inside, 1, -1)).all()
    means = np.stack([image[part].mean(axis=0) for part in (inside, ~inside)]) / 127.5 - 1
    np.testing.assert_allclose(made.hidden, means, atol=1e-5)
    for scale in made.scales:
        inside = scale.mask > 0
        assert (scale.views[0] == scale.image).all()
        assert (scale.views[1] == np.where(inside[..., None], scale.image, made.hidden[0])).all()
        assert (scale.views[2] == np.where(inside[..., None], made.hidden[1], scale.image)).all()


def test_what_a_patch_has_nothing_of_is_hidden_by_black(patch):
    made = painter((patch[0], np.ones_like(patch[1])))
    assert (made.hidden[0] > -1).all()
    assert (made.hidden[1] == -1).all()


def test_released_parts_are_masked_before_they_are_resized(patch):
    made = painter(patch, released=True)
    coarsest, inside = made.scales[0], patch[1][..., None] > 0
    pixels = patch[0].astype(np.float32) / 127.5 - 1  # as it is read: eight bits are cut down, not rounded
    softly = pyramid.resize(np.where(inside, pixels, -1), (16, 20), scale=0.5)
    np.testing.assert_allclose(coarsest.views[1], softly, atol=1e-5)
    hard = np.where(coarsest.mask[..., None] > 0, coarsest.image, -1)
    assert abs(coarsest.views[1] - hard).max() > 0.1
    assert (made.hidden == -1).all()


def test_each_scale_sees_the_layout_itself_but_released_ones_a_blocky_one(patch):
    layout = patch[1]
    masks = painter(patch).masks(layout)
    assert (masks[-1] == np.where(layout > 0, 1, -1)).all()
    blocky = painter(patch, released=True).masks(layout)
    assert (blocky[0] == masks[0]).all()
    assert (blocky[-1] == pyramid.nearest(pyramid.nearest(blocky[0], (23, 29)), (32, 40))).all()
    assert (blocky[-1] != masks[-1]).any()


def test_the_noise_of_the_coarsest_scale_is_grey_and_of_others_coloured_or_none(patch, rng):
    made = painter(patch)
    assert np.ptp(made.noise(0, 2, rng), axis=-1).max() == 0
    assert np.ptp(made.noise(1, 2, rng), axis=-1).min() > 0
    assert made.noise(1, 2, rng).shape == (2, 23, 29, 3)
    assert not made.noise(1, 2, rng, still=True).any()
    assert made.noise(0, 1, rng, still=True).any()


def test_painting_adds_up_over_the_scales(patch):
    made = painter(patch)
    layout = patch[1]
    image = made.paint(layout, 0)
    assert (image.shape, image.dtype) == ((32, 40, 3), np.uint8)
    deep = image[8, 11:14].astype(float) / 127.5 - 1  # inside at every scale: 0.1 three times
    around = image[28:, 2:8].astype(float) / 127.5 - 1
    np.testing.assert_allclose(deep, 0.3, atol=0.05)
    np.testing.assert_allclose(around, -0.3, atol=0.05)
    assert made.paint(layout, 0, level=1).shape == (23, 29, 3)


def test_noise_is_drawn_by_seed_and_number(patch):
    made, other = painter(patch), Painter(*patch, smallest_px=16, count=3, margin_px=MARGIN, seed=5)
    stars = [p.star() for p in (made, made, other)]
    assert (stars[0] == stars[1]).all()
    assert (stars[0] != stars[2]).any()
    assert (made.star(3) == stars[0]).all()
    released = painter(patch, released=True)
    assert (released.star(3) != released.star(0)).any()


@pytest.mark.parametrize(("released", "beyond"), [(False, 7.0), (True, 0.0)])
def test_beyond_the_edge_lies_the_image_mirrored_or_nothing(patch, released, beyond):
    made = painter(patch, released=released)
    sevens = np.full((1, 16, 20, 3), 7.0)
    condition, coarser = made.inputs(0, 0 * sevens, sevens, np.full((1, 16, 20), 7.0))
    assert condition.shape == (1, 20, 24, 4)
    for array in (condition, coarser):
        assert (array[:, 0] == beyond).all()
        assert (array[:, MARGIN:-MARGIN, MARGIN:-MARGIN] == 7).all()


def test_a_step_sees_crops_that_belong_together(patch):
    made = painter(patch)
    see = watch(made, 2, np.stack([patch[1]] * 2), batch=3, crop_px=12)
    seen = see(5, 0)
    shapes = [array.shape for array in seen]
    assert shapes == [(3, 16, 16, 4), (3, 16, 16, 3), (3, 12, 12, 1), (3, 3, 8, 8, 1), (3, 3, 12, 12, 3),
                      (3, 3, 8, 8, 1), (3, 16, 16, 4), (3, 16, 16, 3), ()]  # fmt: skip
    middle = seen.condition[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    assert (middle[..., 3:] == seen.mask).all()
    # The known patch and the real one are the same crop: nuclei alone and the mask agree.
    inside = seen.known[:, MARGIN:-MARGIN, MARGIN:-MARGIN, 3:] > 0
    assert (seen.real[1] == np.where(inside, seen.real[0], made.hidden[0])).all()
    again, other = see(5, 0), see(5, 1)
    assert all((a == b).all() for a, b in zip(seen, again, strict=True))
    assert (seen.condition != other.condition).any()
    assert 0 <= seen.share <= 1


def test_a_critic_of_parts_counts_by_its_part_of_the_patch(patch):
    made = painter(patch)
    seen = watch(made, 2, patch[1][None], batch=2, crop_px=0)(0, 0)
    inside = (patch[1] > 0).mean()
    for parts, mask in (
        (seen.made_parts, seen.mask),
        (seen.real_parts, made.scales[2].mask[None, ..., None]),
    ):
        assert parts.mean(axis=(1, 2, 3, 4)) == pytest.approx([1, inside, 1 - inside])
        looked_at = np.broadcast_to(mask[:, MARGIN:-MARGIN, MARGIN:-MARGIN] > 0, parts[1].shape)
        assert ((parts[1] > 0) == looked_at).all()
        assert ((parts[2] > 0) == ~looked_at).all()


def test_released_steps_show_layouts_in_order_with_one_noise_an_epoch(patch):
    made = painter(patch, released=True)
    drawn = np.stack([patch[1], np.roll(patch[1], 7, axis=1), np.roll(patch[1], 5, axis=0)])
    see = watch(made, 0, drawn, batch=1, crop_px=0)
    seen = [see(step, 0) for step in range(4)]
    for step, one in enumerate(seen):
        assert (one.mask[0, ..., 0] == made.masks(drawn[step % 3])[0]).all()
    assert (seen[0].condition[..., :3] == seen[2].condition[..., :3]).all()
    assert (seen[0].condition[..., :3] != seen[3].condition[..., :3]).any()
    assert (seen[0].known[..., :3] != seen[3].known[..., :3]).any()
    inside = pyramid.nearest(seen[1].mask[0, ..., 0], (12, 16)) > 0
    assert (seen[1].made_parts[1, 0, ..., 0] == inside).all()
    assert (seen[1].made_parts[0] == 1).all()


def test_the_amplitude_follows_the_error_of_the_reconstruction(patch):
    made = painter(patch)
    known = made.known(1, made.star())[0]
    assert made.error(1, made.star()) == pytest.approx(
        float(np.sqrt(np.mean((known - made.scales[1].image) ** 2)))
    )
