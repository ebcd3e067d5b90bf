"""Set up training from tags: make net, config and patches from the found files and the options of `hsn.fit`."""

from dataclasses import dataclass

import numpy as np

from ...checks import one_of
from ...data.setup import FitSetup, summarize, taxonomy_of
from ...errors import InputError
from ...nets import histonet
from .config import PRESETS, preset

NETS = histonet.FAMILY
NET, WIDTH = "m2", 0.25


@dataclass(frozen=True)
class Options:
    """Options of `hsn.fit` for tags only.

    Attributes
    ----------
    classes : sequence of str, optional
        Names of the tags, for digits in file names or columns of an array.
    window_px : int, optional
        Side of the net's input in pixels. Default: that of the patches.
    """

    classes: tuple[str, ...] | None = None
    window_px: int | None = None


def check(request, options):
    """Check the options before any image is read; raises InputError."""
    one_of("net", request.net or NET, NETS)
    one_of("preset", request.preset or "cpu", PRESETS)
    if options.window_px is not None and options.window_px < 1:
        raise InputError(
            "window-px", "`window_px` must be at least 1", got=options.window_px, hint="leave it out"
        )


def prepare(found, request, options, *, progress=None):
    """Read the patches and make the net and the config.

    Parameters and result: see `hsn.data.setup`; `found.annotations` are tags, (N, C).
    """
    summary = summarize(found, lambda image, tags, pixels: tags, square=True, progress=progress)
    side_px = options.window_px or summary.min_side_px
    width = WIDTH if request.width is None else request.width
    net = NETS[request.net or NET](len(found.classes), width=width, input_px=side_px, seed=request.seed)
    config = _config(net, found.classes, summary, request, side_px)
    tags = np.asarray(found.annotations)[summary.kept]
    notes = _check_tags(tags, found.classes)
    counts = {"patches": len(summary.images)}
    return FitSetup(net, summary.images, tags, config, summary.left_out, notes, counts=counts)


def _check_tags(tags, classes):
    """Return notes about classes that cannot be learned; raise if no tag is known.

    Examples
    --------
    >>> _check_tags(np.array([[1, 0], [1, 1]]), ("tissue", "tumor"))
    ['class tissue is present in every patch with a tag, so it cannot be learned and has no AUC']
    """
    if np.isnan(tags).all():
        raise InputError(
            "nothing-to-learn",
            "at least one patch must have a tag",
            got="unknown tags only",
            hint="fill in 1 or 0 for each patch",
        )
    notes = []
    for values, name in zip(np.transpose(tags), classes, strict=True):
        known = values[~np.isnan(values)]
        if len(np.unique(known)) < 2:
            where = (
                f"is {'present' if known[0] else 'absent'} in every patch with a tag"
                if len(known)
                else "has no tag"
            )
            notes.append(f"class {name} {where}, so it cannot be learned and has no AUC")
    return notes


def _config(net, classes, summary, request, side_px):
    config = preset(request.preset or "cpu")
    return config.replace(
        classes=tuple(classes),
        thresholds=(0.5,) * len(classes),
        taxonomies=request.taxonomies or (taxonomy_of(classes, request.name),),
        mpp=request.mpp * summary.min_side_px / side_px,
        image_mpp=request.mpp,
        window_px=side_px,
        normalization={"mean": (summary.gray_mean,) * 3, "std": (summary.gray_std,) * 3},
        cam_layers=(histonet.feature_layer(net).name, histonet.logits_layer(net).name),
        train={
            "epochs": request.epochs or config.train.epochs,
            "batch_size": request.batch_size or config.train.batch_size,
            "validation": request.validation,
            "seed": request.seed,
        },
    )
