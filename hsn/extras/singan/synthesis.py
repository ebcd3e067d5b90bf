"""Synthesis: one annotated patch becomes many pairs of an image and its nuclei.

The second stage of Lou et al. (IEEE TMI 2022, "Which pixel to annotate"): the patch's nuclei are laid out anew
(`hsn.objects.layouts`), and a conditional SinGAN that is trained on this one patch paints each layout. Its generators
learn one after another, from coarse to fine, each against three critics.

The released code differs from what its paper means; `mode="released"` repeats it: critics that end in a ReLU6; images
masked by black, through which the generator hears nothing of the critics of nuclei and of background; layouts that each
scale resizes from the coarser one, blocky at full size; scores averaged over pixels that a critic does not judge; the
same noise for all layouts of an epoch, and none at finer scales but the last.
"""

from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from ...checks import as_image
from ...errors import refuse
from ...images import pyramid
from ...objects.layouts import extract_nuclei, sample_layouts
from . import nets as singan
from .adversarial import critic_terms, generator_terms, views
from .alternate import alternate
from .folder import Folder
from .penalty import gradient_penalty
from .presets import PRESETS, Preset
from .scales import Painter, watch
from .steps import stepper

LARGEST_PX = 512  # of a side: one net learns one patch by heart
PREVIEWED = 4  # layouts
KEEP_EVERY = 100  # steps between two states of a run
MODES = ("repaired", "released")


class Progress(NamedTuple):
    """How far a synthesis is.

    Attributes
    ----------
    what : str
        "scale 1 of 3" and so on, then "painting".
    done, total : int
        Steps or pairs.
    preview : callable
        ``() -> Pairs``: a few layouts as they are painted now, small while the coarse scales learn.
    """

    what: str
    done: int
    total: int
    preview: Callable


class Pairs(NamedTuple):
    """Painted layouts.

    Attributes
    ----------
    images : uint8 array, shape (n, H, W, 3)
    instances : int32 array, shape (n, H, W)
    """

    images: np.ndarray
    instances: np.ndarray


def synthesize(
    image, instances, *, out, preset="quick", count=50, seed=0, mode="repaired", max_overlap=0.1, after=None
):
    """Paint new images with known nuclei in the manner of one annotated patch.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
        The patch, with sides of up to `LARGEST_PX`; published: 256 x 256 at 40x.
    instances : int array, shape (H, W)
        Its nuclei, each with a number of its own; 0 background.
    out : path
        A folder: `pairs/images` and `pairs/labels` (a folder for `hsn fit --masks`), `generators`, and `about.json`,
        which says what this is and how it was made. A run that was killed goes on; one that is done paints more pairs
        if more are wanted.
    preset : {"quick", "paper"} or Preset
    count : int
        Pairs wanted.
    seed : int
        Of layouts, initial weights and noise.
    mode : {"repaired", "released"}
        "released" does as the authors' code does, for layouts too.
    max_overlap : float
        Part of a nucleus that may lie under others.
    after : callable, optional
        Called with a `Progress` now and then while it learns, and with each pair painted.

    Returns
    -------
    Pairs

    Raises
    ------
    InputError
        If the patch cannot be used, a number is out of range, or `out` holds something else.

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
    if count < 1 or seed < 0 or mode not in MODES:
        refuse("these pairs cannot be made", received=f"count={count}, seed={seed}, mode={mode!r}",
               expected=f"`count` of 1 or more, `seed` of 0 or more, `mode` {' or '.join(MODES)}",
               remedy="mend the numbers")  # fmt: skip
    image, instances, preset = check(image, instances, preset)
    how = "released" if mode == "released" else "rotated"
    wanted = sample_layouts(
        extract_nuclei(instances),
        instances.shape,
        count=max(count, preset.layouts),
        seed=seed,
        mode=how,
        max_overlap=max_overlap,
    )
    painter = Painter(image, instances, smallest_px=preset.smallest_px, count=len(preset.filters),
                      margin_px=singan.MARGIN_PX, seed=seed, released=mode == "released")  # fmt: skip
    settings = {"preset": asdict(preset), "mode": mode, "seed": seed, "max_overlap": max_overlap}
    folder = Folder(out, image, instances, settings)
    say = after or (lambda progress: None)
    if not folder.recall(painter):
        learned, critics = [], None
        for level in range(len(painter.scales)):
            told, critics = learn(
                painter, level, wanted[: preset.layouts], preset, critics, folder=folder, after=say
            )
            learned.append(told)
        folder.finish(painter, learned)
    made = []
    for number, layout in enumerate(wanted[:count]):
        made.append(painter.paint(layout, number))
        folder.add(number, made[-1], layout)
        say(Progress("painting", number + 1, count, lambda: Pairs(np.stack(made), wanted[: len(made)])))
    return Pairs(np.stack(made), wanted[:count])


def learn(painter, level, drawn, preset, critics, *, folder, after):
    """Train one scale of a painter, whose scales before it have learned.

    Parameters
    ----------
    painter : Painter
        Its generator of this scale is set.
    level : int
    drawn : int array, shape (L, H, W)
        Layouts to learn from.
    preset : Preset
    critics : list of keras.Model or None
        Those of the scale before. Nets of equal size start where those ended.
    folder : Folder
    after : callable

    Returns
    -------
    rows : list of dict
        What was measured; see `hsn.extras.singan.alternate.alternate`.
    critics : list of keras.Model
    """
    generator, judges = _nets(painter, level, preset, critics)
    scale, epochs = painter.scales[level], -(-preset.steps // len(drawn))
    scale.generator = generator
    if level:
        scale.amplitude = preset.noise * painter.error(level, painter.star(epochs - 1))
    # What the generator's turn sees is what the critics saw last: it is kept, not painted again.
    see = lru_cache(1)(
        watch(painter, level, drawn, batch=preset.batch, crop_px=preset.crop_px, epochs=epochs)
    )
    optimizers = [keras.optimizers.Adam(preset.rate, *preset.betas, epsilon=preset.epsilon) for _ in range(2)]
    turns = _turns(generator, judges, see, preset, optimizers, painter)
    variables = [v for net in (generator, *judges) for v in net.variables]
    variables += [v for optimizer in optimizers for v in optimizer.variables]

    def say(done):
        after(Progress(f"scale {level + 1} of {len(painter.scales)}", done, preset.steps, preview))

    def preview():
        shown = range(min(PREVIEWED, len(drawn)))
        return Pairs(np.stack([painter.paint(drawn[k], k, level=level) for k in shown]),
                     np.stack([pyramid.nearest(drawn[k], scale.shape) for k in shown]))  # fmt: skip

    rows = alternate(
        turns, variables, steps=preset.steps, state=folder.state(level), keep_every=KEEP_EVERY, after=say
    )
    return rows, judges


def _nets(painter, level, preset, critics):
    """Generator and critics of a scale: where those of the scale before ended if they are as large, else fresh."""
    filters = preset.filters[level]
    seeds = np.random.default_rng([painter.seed, level]).integers(2**31, size=4).tolist()
    activation = "relu6" if painter.released else "leaky"
    generator = singan.generator(filters, seed=seeds.pop())
    judges = [
        singan.critic(filters, activation=activation, batch_norm=preset.critic_norm, seed=seed)
        for seed in seeds
    ]
    if level and preset.filters[level - 1] == filters:
        before = [painter.scales[level - 1].generator, *critics]
        for net, coarser in zip([generator, *judges], before, strict=True):
            net.set_weights(coarser.get_weights())
    return generator, judges


def _turns(generator, judges, see, preset, optimizers, painter):
    """The two parties' turns: step -> terms of their losses."""

    def ask(judge):
        return lambda images: judge(images, training=True)

    critics = [ask(judge) for judge in judges]
    how = {"hidden": painter.hidden, "released": painter.released}

    def of_critics(condition, coarser, mask, made_parts, real, real_parts, share):
        made = generator([condition, coarser], training=True)
        made = [ops.stop_gradient(view) for view in views(made, mask, **how)]
        penalties = [gradient_penalty(judge, real[k], made[k], share) for k, judge in enumerate(judges)]
        return critic_terms(critics, real, made, real_parts, made_parts, penalties, penalty=preset.penalty)

    def of_generator(condition, coarser, mask, made_parts, known, known_coarser, image):
        made = views(generator([condition, coarser], training=True), mask, **how)
        painted = generator([known, known_coarser], training=True)
        return generator_terms(
            critics, made, made_parts, painted, image, reconstruction=preset.reconstruction
        )

    all_nets = [generator, *judges]
    critics_step = stepper(of_critics, moved=judges, seen=all_nets, optimizer=optimizers[0])
    generator_step = stepper(of_generator, moved=[generator], seen=all_nets, optimizer=optimizers[1])

    def critics_turn(step):
        for turn in range(preset.critic_steps):
            s = see(step, turn)
            terms = critics_step(s.condition, s.coarser, s.mask, s.made_parts, s.real, s.real_parts, s.share)
        return terms

    def generator_turn(step):
        s = see(step, preset.critic_steps - 1)
        return generator_step(
            s.condition, s.coarser, s.mask, s.made_parts, s.known, s.known_coarser, s.real[0]
        )

    return {"critic": critics_turn, "generator": generator_turn}


def _preset(preset):
    if isinstance(preset, Preset):
        return preset
    if preset not in PRESETS:
        refuse("there is no such preset", expected=f"one of {', '.join(PRESETS)}", received=repr(preset),
               remedy="mend the name, or give a hsn.supervision.selected.Preset")  # fmt: skip
    return PRESETS[preset]()


def check(image, instances, preset):
    """A patch as arrays, and a preset as numbers, if the one can be painted by the other; refuse them otherwise."""
    preset, image, instances = _preset(preset), as_image(image), np.asarray(instances)
    if instances.shape != image.shape[:2]:
        refuse("the nuclei must cover the patch", expected=f"instances {image.shape[:2]}", received=instances.shape,
               remedy="give the mask of this image")  # fmt: skip
    if min(image.shape[:2]) < preset.smallest_px or max(image.shape[:2]) > LARGEST_PX:
        refuse("the patch has not the right size", expected=f"sides from {preset.smallest_px} to {LARGEST_PX} px",
               received=f"{image.shape[0]} x {image.shape[1]}", remedy="cut a patch of 256 x 256")  # fmt: skip
    return image, instances, preset
