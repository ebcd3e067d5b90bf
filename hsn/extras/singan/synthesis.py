"""Generate pairs of images and nuclei from one annotated patch.

This is the second stage of Lou et al. (IEEE TMI 2022, "Which pixel to annotate"). `hsn.objects.layouts` places the
nuclei of the patch at new positions. A conditional SinGAN, trained on this patch, generates an image for each layout.
Its generators are trained one after another, from coarse to fine, each against three critics.

Notes
-----
``mode="released"`` repeats the released code, which differs from the paper in these points:

- Critics end in a ReLU6.
- Images are masked with black; the generator gets no gradient from the critics of nuclei and background.
- Each scale resizes the layout from the coarser scale, which makes it blocky at full size.
- Scores are also averaged over pixels outside of the part of a critic.
- All layouts of an epoch have the same noise, and only the last of the finer scales has noise.
"""

from dataclasses import asdict
from functools import lru_cache
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from ...checks import as_image, one_of, same_shape
from ...errors import InputError
from ...images import pyramid
from ...objects.layouts import extract_nuclei, sample_layouts
from ...progress import report
from . import nets
from .adversarial import critic_images, critic_terms, generator_terms
from .alternate import train_alternating
from .folder import SynthesisFolder
from .penalty import gradient_penalty
from .presets import PRESETS, Preset
from .scales import PatchPyramid, make_sampler
from .steps import make_step

MAX_SIDE_PX = 512  # of a patch
PREVIEW_COUNT = 4  # layouts in a preview
SAVE_EVERY = 100  # steps between two state files
MODES = ("repaired", "released")


class Pairs(NamedTuple):
    """Generated images and their nuclei.

    Attributes
    ----------
    images : uint8 array, shape (n, H, W, 3)
    instances : int32 array, shape (n, H, W)
    """

    images: np.ndarray
    instances: np.ndarray


def synthesize(
    image,
    instances,
    *,
    out,
    preset="quick",
    count=50,
    seed=0,
    mode="repaired",
    max_overlap=0.1,
    progress=None,
):
    """Generate images with known nuclei in the style of one annotated patch.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
        The patch, with sides of up to `MAX_SIDE_PX` pixels. Published: 256 x 256 at 40x.
    instances : int array, shape (H, W)
        Its nuclei, numbered; 0 background.
    out : path
        Folder for `pairs/images` and `pairs/labels` (usable by `hsn fit --masks`), `generators`, and `about.json`. A
        stopped run continues. A finished run generates more pairs if `count` is larger.
    preset : {"quick", "paper"} or Preset
        Default: "quick".
    count : int
        Number of pairs. Default: 50.
    seed : int
        Seed of layouts, initial weights and noise.
    mode : {"repaired", "released"}
        "released" repeats the authors' code, including its layouts. Default: "repaired".
    max_overlap : float
        Largest fraction of a nucleus that others may cover. Default: 0.1.
    progress : callable, optional
        See `hsn.progress`. The stages are "scale 1 of 3" ..., then "painting". The value `preview` of an event is a
        function that returns some pairs of the current generators.

    Returns
    -------
    Pairs

    Raises
    ------
    InputError
        If the patch cannot be used, a number is out of range, or `out` holds other files.

    References
    ----------
    .. [1] Lou et al., "Which pixel to annotate: a label-efficient nuclei segmentation framework", IEEE TMI 2022.
    .. [2] Shaham et al., "SinGAN: learning a generative model from a single natural image", ICCV 2019.

    Examples
    --------
    >>> synthesize(np.zeros((128, 128, 3), np.uint8), np.zeros((128, 128), int), out="mine")
    Traceback (most recent call last):
        ...
    hsn.errors.InputError: the patch must hold a nucleus that is 6 px or more from its border; got none; annotate a \
larger patch, or give its instance image.
    """
    one_of("mode", mode, MODES)
    if count < 1 or seed < 0:
        raise InputError(
            "synthesis-numbers",
            "`count` must be 1 or more, and `seed` 0 or more",
            got=f"count={count}, seed={seed}",
            hint="change the number that is out of range",
        )
    image, instances, preset = check(image, instances, preset)
    layouts = sample_layouts(
        extract_nuclei(instances),
        instances.shape,
        count=max(count, preset.layouts),
        seed=seed,
        mode="released" if mode == "released" else "rotated",
        max_overlap=max_overlap,
    )
    patch = PatchPyramid(
        image,
        instances,
        smallest_px=preset.smallest_px,
        count=len(preset.filters),
        margin_px=nets.MARGIN_PX,
        seed=seed,
        released=mode == "released",
    )
    settings = {"preset": asdict(preset), "mode": mode, "seed": seed, "max_overlap": max_overlap}
    folder = SynthesisFolder(out, image, instances, settings)
    if not folder.load_generators(patch):
        history, critics = [], None
        for level in range(len(patch.scales)):
            rows, critics = train_scale(
                patch, level, layouts[: preset.layouts], preset, critics, folder=folder, progress=progress
            )
            history.append(rows)
        folder.finish(patch, history)
    images = []

    def preview():
        return Pairs(np.stack(images), layouts[: len(images)])

    for number, layout in enumerate(layouts[:count]):
        images.append(patch.generate(layout, number))
        folder.add_pair(number, images[-1], layout)
        report(progress, "painting", number + 1, count, preview=preview)
    return Pairs(np.stack(images), layouts[:count])


def train_scale(patch, level, layouts, preset, critics, *, folder, progress=None):
    """Train one scale of a pyramid; the coarser scales are trained.

    Parameters
    ----------
    patch : PatchPyramid
        The generator of this scale is set.
    level : int
    layouts : int array, shape (L, H, W)
        Training layouts.
    preset : Preset
    critics : list of keras.Model or None
        Critics of the coarser scale. Nets of equal size start from its weights.
    folder : SynthesisFolder
    progress : callable, optional

    Returns
    -------
    rows : list of dict
        History; see `hsn.extras.singan.alternate.train_alternating`.
    critics : list of keras.Model
    """
    generator, critics = _make_nets(patch, level, preset, critics)
    scale, epochs = patch.scales[level], -(-preset.steps // len(layouts))
    scale.generator = generator
    if level:
        noise = patch.reconstruction_noise(epochs - 1)
        scale.amplitude = preset.noise * patch.reconstruction_error(level, noise)
    # The generator uses the last inputs of the critics: they are cached.
    sample = lru_cache(1)(
        make_sampler(patch, level, layouts, batch=preset.batch, crop_px=preset.crop_px, epochs=epochs)
    )
    optimizers = [keras.optimizers.Adam(preset.rate, *preset.betas, epsilon=preset.epsilon) for _ in range(2)]
    turns = _make_turns(generator, critics, sample, preset, optimizers, patch)
    variables = [v for net in (generator, *critics) for v in net.variables]
    variables += [v for optimizer in optimizers for v in optimizer.variables]

    def after(done):
        report(progress, f"scale {level + 1} of {len(patch.scales)}", done, preset.steps, preview=preview)

    def preview():
        shown = layouts[:PREVIEW_COUNT]
        images = [patch.generate(layout, number, level=level) for number, layout in enumerate(shown)]
        return Pairs(np.stack(images), np.stack([pyramid.nearest(layout, scale.shape) for layout in shown]))

    rows = train_alternating(
        turns,
        variables,
        steps=preset.steps,
        state=folder.state_path(level),
        keep_every=SAVE_EVERY,
        after=after,
    )
    return rows, critics


def _make_nets(patch, level, preset, critics):
    """Return generator and critics of a scale, with the weights of the coarser scale if the sizes are equal."""
    filters = preset.filters[level]
    seeds = np.random.default_rng([patch.seed, level]).integers(2**31, size=4).tolist()
    activation = "relu6" if patch.released else "leaky"
    generator = nets.build_generator(filters, seed=seeds.pop())
    own_critics = [
        nets.build_critic(filters, activation=activation, batch_norm=preset.critic_norm, seed=seed)
        for seed in seeds
    ]
    if level and preset.filters[level - 1] == filters:
        coarser_nets = [patch.scales[level - 1].generator, *critics]
        for net, coarser in zip([generator, *own_critics], coarser_nets, strict=True):
            net.set_weights(coarser.get_weights())
    return generator, own_critics


def _make_turns(generator, critics, sample, preset, optimizers, patch):
    """Return the turns of critics and generator: functions from the step to the terms of their losses."""

    def in_training(critic):
        return lambda images: critic(images, training=True)

    calls = [in_training(critic) for critic in critics]
    options = {"mask_colors": patch.mask_colors, "released": patch.released}

    def critic_loss(condition, coarser, mask, fake_weights, real, real_weights, mix):
        image = generator([condition, coarser], training=True)
        fake = [ops.stop_gradient(part) for part in critic_images(image, mask, **options)]
        penalties = [gradient_penalty(critic, real[k], fake[k], mix) for k, critic in enumerate(critics)]
        return critic_terms(calls, real, fake, real_weights, fake_weights, penalties, penalty=preset.penalty)

    def generator_loss(condition, coarser, mask, fake_weights, real_condition, real_coarser, image):
        fake = critic_images(generator([condition, coarser], training=True), mask, **options)
        reconstructed = generator([real_condition, real_coarser], training=True)
        return generator_terms(
            calls, fake, fake_weights, reconstructed, image, reconstruction=preset.reconstruction
        )

    all_nets = [generator, *critics]
    critic_step = make_step(critic_loss, trained=critics, nets=all_nets, optimizer=optimizers[0])
    generator_step = make_step(generator_loss, trained=[generator], nets=all_nets, optimizer=optimizers[1])

    def critic_turn(step):
        for turn in range(preset.critic_steps):
            s = sample(step, turn)
            terms = critic_step(s.condition, s.coarser, s.mask, s.fake_weights, s.real, s.real_weights, s.mix)
        return terms

    def generator_turn(step):
        s = sample(step, preset.critic_steps - 1)
        return generator_step(
            s.condition, s.coarser, s.mask, s.fake_weights, s.real_condition, s.real_coarser, s.real[0]
        )

    return {"critic": critic_turn, "generator": generator_turn}


def check(image, instances, preset):
    """Return a patch as arrays and a preset; raise if the patch cannot be used with it.

    Raises
    ------
    InputError
        "preset-unknown", "image-dtype", "shape-mismatch" or "patch-size-unsupported".
    """
    if not isinstance(preset, Preset):
        preset = PRESETS[
            one_of("preset", preset, PRESETS, hint="or give a hsn.supervision.selected.Preset")
        ]()
    image, instances = as_image(image), np.asarray(instances)
    same_shape("image", image.shape, "instances", instances.shape, hint="give the mask of this image")
    if min(image.shape[:2]) < preset.smallest_px or max(image.shape[:2]) > MAX_SIDE_PX:
        raise InputError(
            "patch-size-unsupported",
            f"the sides of the patch must be {preset.smallest_px} to {MAX_SIDE_PX} px",
            got=f"{image.shape[0]} x {image.shape[1]}",
            hint="crop a patch of 256 x 256",
        )
    return image, instances, preset
