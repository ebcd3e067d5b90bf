"""Set up training from selected patches: net, config and images, from what was found and the options of `hsn.fit`.

Four nets: `encoder-unet`, which starts from a pretrained encoder, `unet` and `fullnet` predict background, inside and
contour; `maskrcnn` (lean, see `hsn.extras.maskrcnn`) detects objects.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from ...checks import one_of
from ...config import PRETRAINED
from ...data.discovery import CHOICE_TABLE, find_pairs
from ...data.image_files import find_images, images_of_table
from ...data.setup import FitSetup, MaskCheck, crop_px, summarize
from ...errors import InputError
from ...extras import maskrcnn
from ...extras.singan.synthesis import check as check_synthesis
from ...nets import segmenters
from .config import PRESETS, preset

NETS = (*segmenters.NETS, "maskrcnn")
# What the contour takes from an object; growing gives it back.
_LOST_PX = {"encoder-unet": 1.5, "unet": 1.5, "fullnet": 1.0}
_DETECTOR_SCORE = 0.4  # scores of a detector are lower; on Kumar's validation images AJI is best from 0.25
_STEP_PX = 32  # sides of crops are multiples of it: all nets halve them up to five times


@dataclass(frozen=True)
class Options:
    """Options of `hsn.fit` for selected patches only.

    Attributes
    ----------
    n : int, optional
        Number of patches to select, where none are there yet. Default: 6.
    synthetic : int, optional
        Number of synthetic pairs per annotated patch. Default: that of the preset.
    rounds : int, optional
        Number of rounds with pseudo-labels. Default: that of the preset.
    min_score : float, optional
        Score from which a predicted object becomes a pseudo-label. Default: 0.65, 0.4 with a maskrcnn.
    """

    n: int | None = None
    synthetic: int | None = None
    rounds: int | None = None
    min_score: float | None = None


def check(request, options):
    """Check the options before any image is read; raises InputError."""
    one_of("net", request.net or NETS[0], NETS)
    one_of("preset", request.preset or "cpu", PRESETS)
    segmenters.check_width(request.width)


def find(folder, unlabeled, options, *, next_step):
    """Find the annotated patches of a folder, and the unlabeled images.

    Parameters
    ----------
    folder : path
    unlabeled : sequence of path
        Images and folders of images. Empty: those of the folder's table, as far as they exist.
    options : Options
    next_step : str
        Hint for the user where no patch is annotated.

    Returns
    -------
    found : hsn.data.discovery.Found
        Annotated patches first; unlabeled images have the annotation None.
    notes : list of str
    """
    found = find_pairs(folder, "selected")
    if not found.images:
        reasons = [f"{Path(path).name} {why}" for path, why in found.left_out] or ["no patches"]
        more = f", and {len(reasons) - 2} more" if len(reasons) > 2 else ""
        raise InputError(
            "patches-not-outlined",
            f"{folder} must hold masks that are named like its patches",
            got=f"{', '.join(reasons[:2])}{more}",
            hint=next_step,
        )
    if options.rounds == 0:
        return found, []
    if unlabeled:
        images, failures = find_images(unlabeled)
        return with_unlabeled(found, images, failures), []
    table = Path(folder) / CHOICE_TABLE
    if not table.is_file():
        return found, [f"no unlabeled images: {folder} has no {CHOICE_TABLE}; no pseudo-labels are made"]
    images, gone, failures = images_of_table(table)
    notes = []
    if gone:
        notes.append(
            f"{gone} of {gone + len(images)} images of {table} do not exist: give them or their folder"
        )
    if not images:
        notes.append("no unlabeled images: no pseudo-labels are made")
    return with_unlabeled(found, images, failures), notes


def with_unlabeled(found, images, failures=()):
    """Add unlabeled images; images among the patches count once.

    Parameters
    ----------
    found : hsn.data.discovery.Found
    images : sequence of paths or arrays
    failures : sequence of (str, str)

    Returns
    -------
    hsn.data.discovery.Found
    """
    files = [path for path in (*found.images, *found.annotations, *found.spare) if isinstance(path, Path)]
    known = {path.resolve() for path in files}
    images = [image for image in images if not (isinstance(image, Path) and image.resolve() in known)]
    added = {image.resolve() for image in images if isinstance(image, Path)}
    left_out = [(path, why) for path, why in found.left_out if Path(path).resolve() not in added]
    return replace(
        found,
        images=(*found.images, *images),
        annotations=(*found.annotations, *[None] * len(images)),
        left_out=(*left_out, *failures),
    )


def prepare(found, request, options, *, progress=None):
    """Read the patches and make the net and the config.

    Parameters and result: see `hsn.data.setup`.
    """
    name = request.net or NETS[0]
    config = _changed(preset(request.preset or "cpu"), name, options)
    check = MaskCheck()
    summary = summarize(found, partial(_masks, config=config, check=check), progress=progress)
    annotated = sum(annotation is not None for annotation in summary.annotations)
    if not annotated:
        raise InputError(
            "no-patches-left",
            "selected must come with at least one annotated patch that can be used",
            got="none",
            hint="fix " + "; ".join(why for _, why in summary.left_out[:3]),
        )
    check.require_objects()
    config = _config(config, name, summary, request)
    net = _net(name, config, request)
    counts = {"patches": annotated}
    return FitSetup(net, summary.images, summary.annotations, config, summary.left_out, counts=counts)


def _masks(image, annotation, pixels, *, config, check):
    """Check the masks of a patch, and that synthetic pairs can be made of it."""
    if annotation is None:
        return None
    if config.synthetic:
        try:
            check_synthesis(pixels, np.zeros(pixels.shape[:2], int), config.synthesis)
        except InputError as error:
            raise InputError(
                "patch-not-synthesizable",
                f"{image} must be a patch that can be synthesized",
                got=error,
                hint="fix it, or use synthetic=0",
            ) from None
    return check(image, annotation, pixels)


def _changed(config, net, options):
    """Return the config with the options of the user."""
    changes = {"synthetic": options.synthetic, "rounds": options.rounds, "min_score": options.min_score}
    if net == "maskrcnn":
        config = config.replace(min_score=_DETECTOR_SCORE)
    return config.replace(**{name: value for name, value in changes.items() if value is not None})


def _config(config, net, summary, request):
    """Return the config at the scale of these images."""
    changes = {}
    if request.taxonomies:
        changes["taxonomies"] = request.taxonomies
    if net == "maskrcnn":
        changes |= {"detector": _numbers(request.width), "classes": ("background", "object")}
    else:
        changes["postprocess"] = {"grow_um": _LOST_PX[net] * request.mpp}
    normalization = segmenters.pretrained_normalization(net)
    return config.replace(
        mpp=request.mpp,
        image_mpp=request.mpp,
        normalization=normalization or {"mean": summary.mean, "std": summary.std},
        train=(PRETRAINED if normalization else {})
        | {
            "crop_px": crop_px(summary.min_side_px, config.train.crop_px, _STEP_PX),
            "batch_size": request.batch_size or config.train.batch_size,
            "epochs": request.epochs or config.train.epochs,
            "validation": request.validation,
            "seed": request.seed,
        },
        **changes,
    )


def _numbers(width):
    return maskrcnn.LEAN if width is None else replace(maskrcnn.LEAN, width=int(width))


def _net(name, config, request):
    if name == "maskrcnn":
        return maskrcnn.build(config.detector, seed=request.seed)
    return segmenters.build(name, len(config.classes), width=request.width, seed=request.seed)
