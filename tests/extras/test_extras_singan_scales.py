"""Scales: inputs of critics and generators, in both modes."""

import keras
import numpy as np
import pytest
from keras import layers

from hsn.extras.singan.scales import PatchPyramid, make_sampler
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


def pyramid_of(patch, **options):
    made = PatchPyramid(*patch, smallest_px=16, count=3, margin_px=MARGIN, seed=4, **options)
    for scale in made.scales[: options.get("ready", 3)]:
        scale.generator = generator()
    return made


def test_scales_hold_the_patch_and_its_parts(patch):
    made = pyramid_of(patch)
    image, instances = patch
    assert [scale.shape for scale in made.scales] == [(16, 20), (23, 29), (32, 40)]
    finest = made.scales[-1]
    inside = instances > 0
    assert abs(finest.image - (image / 127.5 - 1)).max() <= 1 / 127.5 + 1e-6  # 8 bits, rounded down
    assert (finest.mask == np.where(inside, 1, -1)).all()
    means = np.stack([image[part].mean(axis=0) for part in (inside, ~inside)]) / 127.5 - 1
    np.testing.assert_allclose(made.mask_colors, means, atol=1e-5)
    for scale in made.scales:
        inside = scale.mask > 0
        assert (scale.critic_images[0] == scale.image).all()
        assert (scale.critic_images[1] == np.where(inside[..., None], scale.image, made.mask_colors[0])).all()
        assert (scale.critic_images[2] == np.where(inside[..., None], made.mask_colors[1], scale.image)).all()


def test_a_part_that_is_absent_is_masked_with_black(patch):
    made = pyramid_of((patch[0], np.ones_like(patch[1])))
    assert (made.mask_colors[0] > -1).all()
    assert (made.mask_colors[1] == -1).all()


def test_released_parts_are_masked_before_they_are_resized(patch):
    made = pyramid_of(patch, released=True)
    coarsest, inside = made.scales[0], patch[1][..., None] > 0
    pixels = patch[0].astype(np.float32) / 127.5 - 1  # as it is read: 8 bits are rounded down
    softly = pyramid.resize(np.where(inside, pixels, -1), (16, 20), scale=0.5)
    np.testing.assert_allclose(coarsest.critic_images[1], softly, atol=1e-5)
    hard = np.where(coarsest.mask[..., None] > 0, coarsest.image, -1)
    assert abs(coarsest.critic_images[1] - hard).max() > 0.1
    assert (made.mask_colors == -1).all()


def test_layout_masks_are_resized_from_the_layout_but_blocky_if_released(patch):
    layout = patch[1]
    masks = pyramid_of(patch).layout_masks(layout)
    assert (masks[-1] == np.where(layout > 0, 1, -1)).all()
    blocky = pyramid_of(patch, released=True).layout_masks(layout)
    assert (blocky[0] == masks[0]).all()
    assert (blocky[-1] == pyramid.nearest(pyramid.nearest(blocky[0], (23, 29)), (32, 40))).all()
    assert (blocky[-1] != masks[-1]).any()


def test_noise_is_gray_at_the_coarsest_scale_and_colored_at_others(patch, rng):
    made = pyramid_of(patch)
    assert np.ptp(made.sample_noise(0, 2, rng), axis=-1).max() == 0
    assert np.ptp(made.sample_noise(1, 2, rng), axis=-1).min() > 0
    assert made.sample_noise(1, 2, rng).shape == (2, 23, 29, 3)
    assert not made.sample_noise(1, 2, rng, coarsest_only=True).any()
    assert made.sample_noise(0, 1, rng, coarsest_only=True).any()


def test_generated_images_are_sums_over_the_scales(patch):
    made = pyramid_of(patch)
    layout = patch[1]
    image = made.generate(layout, 0)
    assert (image.shape, image.dtype) == ((32, 40, 3), np.uint8)
    deep = image[8, 11:14].astype(float) / 127.5 - 1  # inside at every scale: 0.1 three times
    around = image[28:, 2:8].astype(float) / 127.5 - 1
    np.testing.assert_allclose(deep, 0.3, atol=0.05)
    np.testing.assert_allclose(around, -0.3, atol=0.05)
    assert made.generate(layout, 0, level=1).shape == (23, 29, 3)


def test_noise_depends_on_seed_and_number(patch):
    made, other = pyramid_of(patch), PatchPyramid(*patch, smallest_px=16, count=3, margin_px=MARGIN, seed=5)
    stars = [p.reconstruction_noise() for p in (made, made, other)]
    assert (stars[0] == stars[1]).all()
    assert (stars[0] != stars[2]).any()
    assert (made.reconstruction_noise(3) == stars[0]).all()
    released = pyramid_of(patch, released=True)
    assert (released.reconstruction_noise(3) != released.reconstruction_noise(0)).any()


@pytest.mark.parametrize(("released", "beyond"), [(False, 7.0), (True, 0.0)])
def test_inputs_are_padded_by_mirroring_or_by_zeros(patch, released, beyond):
    made = pyramid_of(patch, released=released)
    sevens = np.full((1, 16, 20, 3), 7.0)
    condition, coarser = made.generator_inputs(0, 0 * sevens, sevens, np.full((1, 16, 20), 7.0))
    assert condition.shape == (1, 20, 24, 4)
    for array in (condition, coarser):
        assert (array[:, 0] == beyond).all()
        assert (array[:, MARGIN:-MARGIN, MARGIN:-MARGIN] == 7).all()


def test_the_crops_of_a_step_match(patch):
    made = pyramid_of(patch)
    see = make_sampler(made, 2, np.stack([patch[1]] * 2), batch=3, crop_px=12)
    seen = see(5, 0)
    shapes = [array.shape for array in seen]
    assert shapes == [(3, 16, 16, 4), (3, 16, 16, 3), (3, 12, 12, 1), (3, 3, 8, 8, 1), (3, 3, 12, 12, 3),
                      (3, 3, 8, 8, 1), (3, 16, 16, 4), (3, 16, 16, 3), ()]  # fmt: skip
    middle = seen.condition[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    assert (middle[..., 3:] == seen.mask).all()
    # The known patch and the real one are the same crop: nuclei alone and the mask agree.
    inside = seen.real_condition[:, MARGIN:-MARGIN, MARGIN:-MARGIN, 3:] > 0
    assert (seen.real[1] == np.where(inside, seen.real[0], made.mask_colors[0])).all()
    again, other = see(5, 0), see(5, 1)
    assert all((a == b).all() for a, b in zip(seen, again, strict=True))
    assert (seen.condition != other.condition).any()
    assert 0 <= seen.mix <= 1


def test_score_weights_have_the_fraction_of_the_part_as_mean(patch):
    made = pyramid_of(patch)
    seen = make_sampler(made, 2, patch[1][None], batch=2, crop_px=0)(0, 0)
    inside = (patch[1] > 0).mean()
    for parts, mask in (
        (seen.fake_weights, seen.mask),
        (seen.real_weights, made.scales[2].mask[None, ..., None]),
    ):
        assert parts.mean(axis=(1, 2, 3, 4)) == pytest.approx([1, inside, 1 - inside])
        looked_at = np.broadcast_to(mask[:, MARGIN:-MARGIN, MARGIN:-MARGIN] > 0, parts[1].shape)
        assert ((parts[1] > 0) == looked_at).all()
        assert ((parts[2] > 0) == ~looked_at).all()


def test_released_steps_use_layouts_in_order_with_one_noise_per_epoch(patch):
    made = pyramid_of(patch, released=True)
    drawn = np.stack([patch[1], np.roll(patch[1], 7, axis=1), np.roll(patch[1], 5, axis=0)])
    see = make_sampler(made, 0, drawn, batch=1, crop_px=0)
    seen = [see(step, 0) for step in range(4)]
    for step, one in enumerate(seen):
        assert (one.mask[0, ..., 0] == made.layout_masks(drawn[step % 3])[0]).all()
    assert (seen[0].condition[..., :3] == seen[2].condition[..., :3]).all()
    assert (seen[0].condition[..., :3] != seen[3].condition[..., :3]).any()
    assert (seen[0].real_condition[..., :3] != seen[3].real_condition[..., :3]).any()
    inside = pyramid.nearest(seen[1].mask[0, ..., 0], (12, 16)) > 0
    assert (seen[1].fake_weights[1, 0, ..., 0] == inside).all()
    assert (seen[1].fake_weights[0] == 1).all()


def test_the_amplitude_follows_the_error_of_the_reconstruction(patch):
    made = pyramid_of(patch)
    known = made.reconstruct_coarser(1, made.reconstruction_noise())[0]
    assert made.reconstruction_error(1, made.reconstruction_noise()) == pytest.approx(
        float(np.sqrt(np.mean((known - made.scales[1].image) ** 2)))
    )
