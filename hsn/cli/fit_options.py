"""Options of `hsn fit`, in groups: common, training, annotation, and options of one kind of annotation."""

from pathlib import Path
from typing import Annotated

import typer

_TRAINING, _ANNOTATION = "Training", "Annotation"
_TAGS, _POINTS, _MASKS, _SELECTED = "Tags only", "Points only", "Masks only", "Selected patches only"
_MIXED = "Mixed annotation only"


def _option(panel, text, *names, **limits):
    """Return an option in a panel of the help."""
    return typer.Option(*names, rich_help_panel=panel, help=text, **limits)


Data = Annotated[
    list[Path] | None,
    typer.Argument(
        help="A folder of images and their annotations; with --tags images, with --selected unlabeled images.",
        show_default=False,
    ),
]

# --- Common ---------------------------------------------------------------------------------------------------------
Mpp = Annotated[float, typer.Option(help="Micrometers per pixel of the images: about 0.25 for 40x.")]
Out = Annotated[
    Path, typer.Option("--out", "-o", help="Folder of the trained net; an interrupted run resumes there.")
]
Kind = Annotated[
    str | None,
    typer.Option(
        help="masks, points, tags, selected or mixed. Default: the kind in DATA, or mixed if it holds several."
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        help="cpu (default); unet (masks) and resunet18 (points) from random weights; or a published config: fullnet, "
        "unet-cryonuseg (masks), qu2020 (points), histosegnet (tags). cam: tags with Grad-CAM."
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Number of epochs: 80; points 6 of the segmenter, other stages in proportion; selected 30 per round; tags "
        "at least 10 per stage.",
    ),
]
Taxonomy = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME", help="Label space: a built-in name or a file. Default: the tags' classes, or nuclei."
    ),
]
Validation = Annotated[
    float, typer.Option(metavar="SHARE", min=0, max=1, help="Fraction of the images for validation.")
]
Seed = Annotated[int, typer.Option(help="Seed of initial weights, order and augmentation.")]
Start = Annotated[
    str | None,
    typer.Option(help="Trained net to start from: a name or a folder. Matching layers are copied."),
]
Device = Annotated[str | None, typer.Option(help="cpu, gpu or gpu:1. Default: the backend chooses.")]

# --- Output ---------------------------------------------------------------------------------------------------------
ProgressFile = Annotated[
    Path | None,
    _option("Output", "Append at most one JSON line per second: stage, loss, scores, eta.", "--progress"),
]

# --- Training -------------------------------------------------------------------------------------------------------
Net = Annotated[
    str | None,
    _option(
        _TRAINING,
        "masks: encoder-unet, unet, fullnet. points: encoder-unet, resunet18, resunet34, resunet50. tags: "
        "encoder-unet, or m1 to m7, x1.7, vgg16 with Grad-CAM. selected: encoder-unet, unet, fullnet, maskrcnn. "
        "Default: the first.",
    ),
]
Width = Annotated[
    float | None,
    _option(
        _TRAINING,
        "Number of channels: 16 (fullnet 24, large resunets 64). tags: a factor on the channels, 1; m1 to vgg16 0.25.",
    ),
]
BatchSize = Annotated[
    int | None,
    _option(
        _TRAINING,
        "Crops or patches per step: masks 4 (fullnet 8), points 4 (resunets 8), tags 8 (m1 to vgg16 16), selected 4.",
        "--batch-size",
        "--batch",
        metavar="N",
        min=1,
    ),
]

# --- Annotation, if it is not detected ------------------------------------------------------------------------------
Tags = Annotated[
    str | None,
    _option(
        _ANNOTATION,
        "A CSV table; 'names' for file names that end like '[1 0 1 0].png'; or 'folders' for one per class.",
    ),
]
Points = Annotated[
    Path | None,
    _option(
        _ANNOTATION, "A folder of images and clicked nuclei: CSV (x,y), QuPath's GeoJSON or point images."
    ),
]
Masks = Annotated[
    Path | None,
    _option(_ANNOTATION, "A folder of images and label images, Aperio XML or ImageJ zips."),
]
Selected = Annotated[
    Path | None,
    _option(_ANNOTATION, "A folder of a few outlined patches. If it is empty, patches of DATA are selected."),
]

# --- One kind of annotation -----------------------------------------------------------------------------------------
Classes = Annotated[
    str | None,
    _option(_TAGS, "With 'names': classes in the order of the digits: 'TE,NEC,LYM'."),
]
WindowPx = Annotated[
    int | None,
    _option(
        _TAGS, "Side of the net's input in pixels. Default: side of the patches.", "--window-px", "--window"
    ),
]
MinShare = Annotated[
    float | None,
    _option(
        _TAGS,
        "Share of a patch from which its tag says that a class is present (0.25); smaller if tags name everything "
        "that is visible.",
        metavar="SHARE",
        min=0,
        max=1,
    ),
]
RadiusUm = Annotated[
    float | None,
    _option(_POINTS, "Mean radius of a nucleus in micrometers. Default: 2.75.", "--radius-um", "--radius"),
]
Complete = Annotated[bool, _option(_POINTS, "Every nucleus is clicked: no detector.", "--complete")]
Label = Annotated[str | None, _option(_POINTS, "Use the points of this class only.")]
Background = Annotated[
    Path | None,
    _option(_POINTS, "Folder of masks with the names of the images; white: no nuclei."),
]
Labels = Annotated[
    Path | None,
    _option(_POINTS, "Folder of coarse labels, written by an earlier run."),
]
Encoder = Annotated[
    Path | None,
    _option(_POINTS, "Weights for a resunet to start with, .npz or .pth; see docs/how-to/points.md."),
]
Rounds = Annotated[
    int | None,
    _option(
        "Points or selected patches",
        "points: self-training rounds of the detector (1, resunets 2). selected: rounds with pseudo-labels (1).",
        metavar="N",
        min=0,
    ),
]
Stain = Annotated[
    str | None,
    _option(_MASKS, "Normalize the stain of all images: reinhard or macenko."),
]
N = Annotated[
    int | None,
    _option(_SELECTED, "Number of patches to select (6).", "--n", "-n", metavar="N", min=1),
]
Synthetic = Annotated[
    int | None,
    _option(_SELECTED, "Synthetic pairs per annotated patch (0).", metavar="N", min=0),
]
MinScore = Annotated[
    float | None,
    _option(
        _SELECTED,
        "Smallest score of a pseudo-label (0.65; maskrcnn 0.4).",
        "--min-score",
        "--least-score",
        metavar="SCORE",
        min=0,
        max=1,
    ),
]
Without = Annotated[
    list[str] | None,
    _option(
        _MIXED, "Leave a kind of annotation out: masks, scribbles, points, boxes or tags.", metavar="KIND"
    ),
]
Steps = Annotated[
    int | None,
    _option(
        _MIXED, "Batches per epoch. Default: as many as show the annotated images once.", metavar="N", min=1
    ),
]
Tissues = Annotated[
    str | None,
    _option(_MIXED, "Classes that are tissues: 'Tumor,Stroma'. Default: classes without a word for objects."),
]
