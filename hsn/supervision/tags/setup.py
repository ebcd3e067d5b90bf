"""Set up training from tags: make net, config and patches from the found files and the options of `hsn.fit`.

`encoder-unet`, a segmentation net on a pretrained encoder, is the default. The other nets are classifiers of the
HistoNet family, whose Grad-CAM locates the classes.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ...checks import one_of
from ...data.setup import FitSetup, summarize, taxonomy_of
from ...errors import InputError
from ...nets import encoder_unet, histonet, segmenters
from ...taxonomies import OtherRule, Taxonomy, TissueClass
from .adjust import compute_glass
from .config import PRESETS, CRFConfig, preset
from .losses import mean_in_cells

SEGMENTER, CLASSIFIER = "encoder-unet", "m2"
NETS = (SEGMENTER, *histonet.FAMILY)
DEFAULT_NET = {"cpu": SEGMENTER, "cam": CLASSIFIER, "histosegnet": CLASSIFIER}
CLASSIFIER_WIDTH = 0.25
SIZE = encoder_unet.SIZES["medium"]
MIN_STEPS = 300  # of a stage: small sets get more epochs
REST, UNKNOWN = "other", "unknown"  # classes of pixels without a tag, and of pixels without evidence
GRAY = (189, 189, 189)  # their color
RARE = 0.05  # share of the patches: rarer classes, and more frequent ones than 1 - RARE, are reported


@dataclass(frozen=True)
class Options:
    """Options of `hsn.fit` for tags only.

    Attributes
    ----------
    classes : sequence of str, optional
        Names of the tags, for digits in file names or columns of an array.
    window_px : int, optional
        Side of the net's input in pixels. Default: that of the patches; encoder-unet rounds it to a multiple of 32.
    min_share : float, optional
        Share of a patch from which its tag says that a class is present; for encoder-unet. Default: 0.25.
    cell_px : int, optional
        Side of a cell in pixels of the patches, for an array of tags with the shape (patches, rows, columns, classes).
        Cells are evenly spaced. Default: cells do not overlap.
    """

    classes: tuple[str, ...] | None = None
    window_px: int | None = None
    min_share: float | None = None
    cell_px: int | None = None


def check(request, options):
    """Check the options before any image is read; raises InputError."""
    one_of("net", request.net or SEGMENTER, NETS)
    one_of("preset", request.preset or "cpu", PRESETS)
    net, preset_name = _chosen(request)
    segmenters.check_width_factor(request.width)
    if (net == SEGMENTER) != (preset_name == "cpu"):
        raise InputError(
            "preset-of-other-net",
            f"preset {preset_name} must be used with {DEFAULT_NET[preset_name]}",
            got=f"net {net}",
            hint="leave one of them out",
        )
    if net != SEGMENTER and (options.min_share is not None or options.cell_px is not None):
        raise InputError(
            "option-of-other-net",
            f"`min_share` and `cell_px` must be used with {SEGMENTER}",
            got=f"net {net}",
            hint="leave them out",
        )
    if options.window_px is not None and options.window_px < 1:
        raise InputError(
            "window-px", "`window_px` must be at least 1", got=options.window_px, hint="leave it out"
        )
    if options.min_share is not None and not 0 < options.min_share < 1:
        raise InputError(
            "min-share", "`min_share` must be between 0 and 1", got=options.min_share, hint="try 0.25"
        )


def _chosen(request):
    """Return the names of the net and of the preset."""
    net = request.net or DEFAULT_NET[request.preset or "cpu"]
    return net, request.preset or ("cpu" if net == SEGMENTER else "cam")


def prepare(found, request, options, *, progress=None):
    """Read the patches and make the net and the config.

    Parameters and result: see `hsn.data.setup`; `found.annotations` are tags, (N, C), or (N, R, S, C) for a grid of
    cells in each patch.
    """
    tags = np.asarray(found.annotations)
    make = _segmenter if _chosen(request)[0] == SEGMENTER else _classifier
    return make(found, tags, request, options, progress)


def _check_tags(tags, classes):
    """Return notes about classes that are hard to learn; raise if no tag is known.

    Examples
    --------
    >>> _check_tags(np.array([[1, 0], [1, 1]]), ("tissue", "tumor"))
    ['class tissue is present in every patch with a tag, so it cannot be learned and has no AUC']
    >>> _check_tags(np.eye(1, 40).T, ("tumor",))
    ['class tumor is present in 2.5 % of the patches only: give more with it']
    """
    if np.isnan(tags).all():
        raise InputError(
            "nothing-to-learn",
            "at least one patch must have a tag",
            got="unknown tags only",
            hint="fill in 1 or 0 for each patch",
        )
    notes = []
    for values, name in zip(np.reshape(tags, (-1, len(classes))).T, classes, strict=True):
        known = values[~np.isnan(values)]
        share = known.mean() if len(known) else 0
        if len(np.unique(known)) < 2:
            where = (
                f"is {'present' if known[0] else 'absent'} in every patch with a tag"
                if len(known)
                else "has no tag"
            )
            notes.append(f"class {name} {where}, so it cannot be learned and has no AUC")
        elif share < RARE:
            notes.append(
                f"class {name} is present in {100 * share:.1f} % of the patches only: give more with it"
            )
        elif share > 1 - RARE:
            notes.append(
                f"class {name} is absent from {100 - 100 * share:.1f} % of the patches only: give more without it"
            )
    return notes


# --- A segmentation net ----------------------------------------------------------------------------------------------


def _segmenter(found, tags, request, options, progress):
    """Return the set-up of a segmentation net; its outputs are the classes of the label space."""
    taxonomy = _label_space(found.classes, tags, request)
    config = preset("cpu").replace(classes=taxonomy.names, thresholds=(0.0,) * len(taxonomy))
    if options.min_share is not None:
        # A patch without the class has its tag with the same probability, 0.05, whatever the definition of a tag.
        slope = config.shares.slope * config.shares.min_share / options.min_share
        config = config.replace(shares={"min_share": options.min_share, "slope": slope})
    check = partial(_complete_tags, classes=found.classes, taxonomy=taxonomy, shares=config.shares)
    summary = summarize(found, check, square=True, progress=progress)
    net = encoder_unet.build(
        len(taxonomy), decoder=_decoder(request.width), encoder_stride=SIZE["encoder_stride"], seed=request.seed
    )  # fmt: skip
    patch_px = summary.min_side_px
    step_px = encoder_unet.size_divisor(net)
    side_px = step_px * max(1, round((options.window_px or patch_px) / step_px))
    batch_size = request.batch_size or config.train.batch_size
    steps = -(-len(summary.images) // batch_size)
    config = config.replace(
        taxonomies=(replace(taxonomy, background=None, other=None, forced=()),),
        mpp=request.mpp * patch_px / side_px,
        image_mpp=request.mpp,
        window_px=side_px,
        normalization=segmenters.pretrained_normalization(SEGMENTER),
        cam_layers=None,
        crf={taxonomy.name: CRFConfig(iterations=0)},
        train={
            "epochs": request.epochs or max(config.train.epochs, -(-MIN_STEPS // steps)),
            "batch_size": batch_size,
            "validation": request.validation,
            "seed": request.seed,
        },
        **{"shares.cell": _cell(tags, options.cell_px, patch_px)},
    )
    notes = _check_tags(tags[summary.kept], found.classes)
    counts = {"patches": len(summary.images)}
    annotations = np.array(summary.annotations, np.float32)
    return FitSetup(net, summary.images, annotations, config, summary.left_out, notes, counts=counts)


def _decoder(width):
    factor = 1 if width is None else width
    return tuple(max(1, round(factor * channels)) for channels in SIZE["decoder"])


def _cell(tags, cell_px, patch_px):
    """Return the side of a cell as a share of the side of a patch."""
    if tags.ndim == 4:
        return (cell_px or patch_px / max(tags.shape[1:3])) / patch_px
    if cell_px is not None:
        raise InputError(
            "tags-grid", "`cell_px` must be used with a grid of tags", got=cell_px, hint="leave it out"
        )
    return 1.0


def _label_space(classes, tags, request):
    """Return the taxonomy of a segmentation net. Each pixel gets a class, so patches without a tag need one too."""
    if len(request.taxonomies) > 1:
        raise InputError(
            "taxonomy-single",
            f"{SEGMENTER} must be trained for one taxonomy",
            got=", ".join(taxonomy.name for taxonomy in request.taxonomies),
            hint="give one, or use preset histosegnet",
        )
    if request.taxonomies:
        (taxonomy,) = request.taxonomies
        missing = [n for n in taxonomy.names if n not in classes and n not in taxonomy.inferred]
        if missing:
            raise InputError(
                "taxonomy-classes",
                f"there must be a tag for each class of taxonomy {taxonomy.name}",
                got=f"none for {', '.join(missing)}",
                hint="use a taxonomy of the tags' classes",
            )
    else:
        taxonomy = taxonomy_of(classes, request.name)
        if (tags == 0).all(axis=-1).any() and REST not in classes:
            rest = TissueClass(REST, GRAY, "everything without a tag")
            taxonomy = Taxonomy(taxonomy.name, (*taxonomy.classes, rest), other=OtherRule(REST))
    if len(taxonomy) < 2:
        raise InputError(
            "nothing-to-learn",
            "some patches must lack the class",
            got=f"{taxonomy.names[0]} in every patch",
            hint="add patches without it",
        )
    return taxonomy


def _complete_tags(image, tags, pixels, *, classes, taxonomy, shares):
    """Return the tags of all classes of a taxonomy, (..., C); the tags of inferred classes follow from the others.

    Glass is present where the patch is bright, but unknown where a bright tissue is present. "Other" is present where
    no class is, or where one of its own classes is; otherwise it is unknown.
    """
    values = {name: tags[..., k] for k, name in enumerate(classes)}
    if (rule := taxonomy.background) and rule.name not in values:
        glass = compute_glass(pixels, rule) > rule.peak / 2
        share = np.asarray(
            mean_in_cells(glass[None, ..., None].astype(np.float32), tags.shape[:-1], shares.cell)
        )
        present = (share[0, ..., 0] >= shares.min_share).astype(np.float32)
        bright = [values[name] for name in rule.exceptions if name in values]
        values[rule.name] = np.where((np.array(bright) != 0).any(axis=0) & (present > 0), np.nan, present)
    if (rule := taxonomy.other) and rule.name not in values:
        others = np.stack([value for name, value in values.items() if name not in rule.also], axis=-1)
        own = np.any([values[name] == 1 for name in rule.also if name in values], axis=0)
        values[rule.name] = np.where((others == 0).all(axis=-1) | own, 1, np.nan)
    return np.stack([values[name] for name in taxonomy.names], axis=-1).astype(np.float32)


# --- A classifier ----------------------------------------------------------------------------------------------------


def _classifier(found, tags, request, options, progress):
    """Return the set-up of a classifier; its outputs are the tagged classes."""
    summary = summarize(found, lambda image, tags, pixels: tags, square=True, progress=progress)
    side_px = options.window_px or summary.min_side_px
    width = CLASSIFIER_WIDTH if request.width is None else request.width
    name, preset_name = _chosen(request)
    classes = tuple(found.classes)
    net = histonet.FAMILY[name](len(classes), width=width, input_px=side_px, seed=request.seed)
    config = preset(preset_name)
    config = config.replace(
        classes=classes,
        thresholds=(0.5,) * len(classes),
        taxonomies=tuple(map(_with_unknown, request.taxonomies or (taxonomy_of(classes, request.name),))),
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
    tags = tags[summary.kept]
    notes = _check_tags(tags, classes)
    counts = {"patches": len(summary.images)}
    return FitSetup(net, summary.images, tags, config, summary.left_out, notes, counts=counts)


def _with_unknown(taxonomy):
    """Return the taxonomy with a class for pixels without evidence, which would get the first class otherwise.

    Examples
    --------
    >>> _with_unknown(taxonomy_of(["tumor", "stroma"], "mine")).names
    ('tumor', 'stroma', 'unknown')
    """
    if taxonomy.inferred or taxonomy.forced or UNKNOWN in taxonomy.names:
        return taxonomy
    unknown = TissueClass(UNKNOWN, GRAY, "no class has evidence")
    return replace(taxonomy, classes=(*taxonomy.classes, unknown), other=OtherRule(UNKNOWN))
