"""`hsn fit --selected`: a few outlined patches, and images that nobody annotated, become a trained folder.

Where there are no patches yet, they are chosen first, and the person is told what to outline. Three nets can be had,
all of them by the numbers of `selected.quick`: `unet` and `fullnet` see background, inside and contour; `maskrcnn`, the
lean one of `hsn.extras.maskrcnn`, finds objects one by one.
"""

import csv
import json
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import InputError, refuse
from . import choose as choosing
from .console import complain, display_on_stderr
from .from_masks import FULLNET_GROWTH, UNET_DEPTH, UNET_WIDTH, of_masks
from .seen import look_at

NETS = ("unet", "fullnet", "maskrcnn")
_MOST_BYTES = 2**24  # of a table: some hundred thousand patches
# What the contour took from an object all around, and growing gives back.
_LOST_PX = {"unet": 1.5, "fullnet": 1.0}
_DETECTOR_SCORE = 0.4  # a detector is rarely surer; on Kumar's validation images AJI is best from 0.25
_STEP_PX = 32  # sides of crops are multiples of it: all nets halve them up to five times


@dataclass(frozen=True)
class Options:
    """What only learning from chosen patches knows: see the help of `hsn fit`."""

    n: int | None = None
    synthetic: int | None = None
    rounds: int | None = None
    least_score: float | None = None


def check(net, width):
    """Refuse what would fail only after the images were read."""
    if net not in NETS:
        refuse("there is no such net for chosen patches", expected=f"one of {', '.join(NETS)}", received=repr(net),
               remedy="mend the name")  # fmt: skip
    if width is not None and (width < 1 or width != int(width)):
        refuse("the width of a net for chosen patches counts channels", expected="a whole number from 1",
               received=width, remedy=f"leave it out for {UNET_WIDTH} ({FULLNET_GROWTH} of a fullnet)")  # fmt: skip


def is_chosen(folder):
    """Whether a folder is there to learn from; what a killed choice left, vectors only, is none."""
    if not folder.is_dir():
        return folder.exists()
    return any(path.name != choosing.EMBEDDING and path.name[0] != "." for path in folder.iterdir())


def choose(folder, images, *, n, seed):
    """Choose patches of images to outline; returns what there is to tell, the same for people, and what failed."""
    if not images:
        refuse(f"{folder} holds no patches yet", expected="patches and their masks, or images to choose patches from",
               received="neither", remedy=f"name the images: hsn fit IMAGES --selected {folder} ...")  # fmt: skip
    data, failures = choosing.make(images, folder, n=n or choosing.N, seed=seed)
    step = choosing.next_step(folder, then="call the same command again")
    return data | {"next": step}, f"{choosing.text_of(data)}\n{step}", failures


def train(folder, images, *, net, width, options, mpp, out, taxonomy, epochs, batch, validation, seed):
    """Train a net from chosen patches; returns its history, what there is to tell, and what was left out."""
    from ..supervision import selected

    config = selected.quick()
    config = _changed(config.changed(least_score=_DETECTOR_SCORE) if net == "maskrcnn" else config, options)
    pairs = _with_unseen(_outlined(folder), *_unseen(folder, images, options.rounds))
    seen, failures = look_at(
        pairs, partial(_told, config=config), "patches", wanted="patches with masks of their size"
    )
    annotated = len(seen.annotations) - seen.annotations.count(None)
    if not annotated:
        refuse("there is no patch to learn from", expected="RGB patches with masks of their size", received="none",
               remedy="mend the files named")  # fmt: skip
    config = _config(config, net, width, seen, mpp=mpp, taxonomy=taxonomy, batch=batch)
    numbers = {"validation": validation, "seed": seed} | ({} if epochs is None else {"epochs": epochs})
    config = config.changed(learning=replace(config.learning, **numbers))
    with display_on_stderr(), _warnings_said():
        history = selected.fit(_net(net, width, config, seed), seen.images, seen.annotations, config, out=out)
    return history, {"patches": annotated, **told(out)}, failures


def told(out):
    """What there is to tell of a run beside its history: what each round learned from, and what was believed."""
    rounds = json.loads((out / "rounds.json").read_text(encoding="utf-8"))
    summaries = sorted((out / "pseudo").glob("*/summary.json"))
    believed = [json.loads(path.read_text(encoding="utf-8")) for path in summaries]
    return rounds | {"pseudo": [{key: one[key] for key in one if key != "images"} for one in believed]}


def text_of(data):
    """The same for people, as the beginning of a sentence."""
    counts = data["rounds"][data["kept"]]["learned_from"]
    return (
        f"{data['patches']} patches, {counts['real']} of them learned from, with {counts['synthetic']} painted pairs"
        f" and {counts['pseudo']} pseudo-labelled images; "
    )


def _outlined(folder):
    """The patches and their masks; refused with what is to be done where nothing is outlined."""
    from ..annotations import mask_files

    pairs = mask_files.pair(folder, besides=choosing.BESIDES, least=0)
    if not pairs.images:
        named = [f"{path.name} {why}" for path, why in pairs.alone] or ["no patches"]
        more = f", and {len(named) - 2} more" if len(named) > 2 else ""
        refuse(f"no patch of {folder} is outlined yet", expected="masks named like the patches",
               received=f"{', '.join(named[:2])}{more}",
               remedy=choosing.next_step(folder, then="call the same command again"))  # fmt: skip
    return pairs


def _with_unseen(pairs, unseen, missing):
    """Patches with their masks, and images with None; those of them that lie among the patches count once."""
    from ..annotations.pairing import Pairs

    known = {path.resolve() for path in (*pairs.images, *pairs.annotations, *pairs.spare)}
    unseen = [path for path in unseen if path.resolve() not in known]
    named = {path.resolve() for path in unseen}
    alone = [(path, why) for path, why in pairs.alone if path.resolve() not in named]
    return Pairs((*pairs.images, *unseen), (*pairs.annotations, *[None] * len(unseen)), (*alone, *missing))


def _unseen(folder, images, rounds):
    """Images for pseudo-labels: those that the user names, or those that the patches were chosen from."""
    from .files import images_of

    if rounds == 0:
        return [], []
    if images:
        return images_of(images)
    if not (folder / choosing.TABLE).is_file():
        complain(
            f"no images are named, and {folder} has no {choosing.TABLE} that does: no round of pseudo-labels"
        )
        return [], []
    named, failures = _images_of_table(folder / choosing.TABLE)
    found = [path for path in named if _is_image(path)]
    if len(found) < len(named):
        gone = len(named) - len(found)
        complain(
            f"{gone} of {len(named)} images of {folder / choosing.TABLE} are not there: name them or their folder"
        )
    if not found:
        complain("no image for a round of pseudo-labels: learning from the patches only")
    return found, failures


def _images_of_table(path):
    """Paths of images that a table of `hsn choose` names, each once; it may have been edited, and is only read."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"more than {_MOST_BYTES} bytes")
        with open(path, newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            named = dict.fromkeys(Path(row["image"]) for row in rows if row.get("image"))
    except (OSError, ValueError, csv.Error) as error:
        return [], [(str(path), f"is no table of patches: {error}")]
    return list(named), []


def _is_image(path):
    from ..images.read import SUFFIXES

    try:
        return path.suffix.lower() in SUFFIXES and path.is_file()
    except OSError:  # a name that no file can have
        return False


def _told(path, annotation, image, *, config):
    """The masks of a patch, which can be painted anew if that is wanted."""
    from ..extras.singan.synthesis import check

    if annotation is None:
        return None
    if config.synthetic:
        try:
            check(image, np.zeros(image.shape[:2], int), config.preset)
        except InputError as error:
            raise InputError(
                "patch-unpaintable",
                f"{path} must be a patch that can be painted anew",
                got=error,
                hint="mend it, or paint nothing with --synthetic 0",
            ) from None
    return of_masks(path, annotation, image)


def _changed(config, options):
    """A config by what the user says."""
    wanted = {"synthetic": options.synthetic, "rounds": options.rounds, "least_score": options.least_score}
    return config.changed(**{name: value for name, value in wanted.items() if value is not None})


def _config(config, net, width, seen, *, mpp, taxonomy, batch):
    """The config of a net, at the scale of these images."""
    from .. import taxonomies

    changes = {}
    if taxonomy:
        changes["taxonomies"] = tuple(taxonomies.get(each) for each in taxonomy)
    if net == "maskrcnn":
        changes |= {"detector": _numbers(width), "classes": ("background", "object")}
    else:
        changes["grow_um"] = _LOST_PX[net] * mpp
    learning = config.learning
    crop_px = min(learning.crop_px, max(1, seen.smallest_px // _STEP_PX) * _STEP_PX)
    learning = replace(learning, crop_px=crop_px, batch=batch or learning.batch)
    return config.changed(mpp=mpp, image_mpp=mpp, mean=seen.mean, std=seen.std, learning=learning, **changes)


def _numbers(width):
    from ..extras import maskrcnn

    return maskrcnn.LEAN if width is None else replace(maskrcnn.LEAN, width=int(width))


def _net(name, width, config, seed):
    from ..extras import maskrcnn
    from ..nets import fullnet, unet

    if name == "maskrcnn":
        return maskrcnn.build(config.detector, seed=seed)
    outputs = len(config.classes)
    if name == "fullnet":
        return fullnet.build(outputs, growth=int(width or FULLNET_GROWTH), seed=seed)
    return unet.build(outputs, depth=UNET_DEPTH, width=int(width or UNET_WIDTH), batch_norm=True, seed=seed)


@contextmanager
def _warnings_said():
    """Let a warning be one sentence, like everything else that is said."""
    before, warnings.showwarning = warnings.showwarning, lambda message, *_, **__: complain(message)
    try:
        yield
    finally:
        warnings.showwarning = before
