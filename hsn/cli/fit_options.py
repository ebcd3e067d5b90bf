"""Options of `hsn fit`, in groups: common, training, annotation, and options of one kind of annotation."""

from pathlib import Path
from typing import Annotated

import typer

_TRAINING, _ANNOTATION = "Training", "Annotation"
_TAGS, _POINTS, _MASKS, _SELECTED = "Tags only", "Points only", "Masks only", "Selected patches only"

Data = Annotated[
    list[Path] | None,
    typer.Argument(
        help="A folder of images and their annotations; with --tags images, with --selected unlabeled images.",
        show_default=False,
    ),
]

# --- Common ---------------------------------------------------------------------------------------------------------
Mpp = Annotated[float, typer.Option(help="Micrometers per pixel of the images.")]
Out = Annotated[
    Path, typer.Option("--out", "-o", help="Folder of the trained net; an interrupted run resumes there.")
]
Kind = Annotated[
    str | None,
    typer.Option(help="masks, points, tags or selected, if DATA holds several kinds of annotation."),
]
Preset = Annotated[
    str | None,
    typer.Option(
        help="cpu (default); or a published config: fullnet, unet-cryonuseg (masks), qu2020 (points), histosegnet "
        "(tags)."
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Number of epochs: 80; points 50 of the last stage, the others in proportion; selected 30 per round.",
    ),
]
Taxonomy = Annotated[
    list[str] | None,
    typer.Option(help="Label space: a built-in name or a file. Default: the tags' classes, or nuclei."),
]
Validation = Annotated[float, typer.Option(min=0, max=1, help="Fraction of the images for validation.")]
Seed = Annotated[int, typer.Option(help="Seed of initial weights, order and augmentation.")]
Start = Annotated[
    str | None,
    typer.Option(help="Trained net to start from: a name or a folder. Matching layers are copied."),
]
Device = Annotated[str | None, typer.Option(help="cpu, gpu or gpu:1. Default: the backend chooses.")]

# --- Output ---------------------------------------------------------------------------------------------------------
ProgressFile = Annotated[
    Path | None,
    typer.Option(
        "--progress",
        rich_help_panel="Output",
        help="Append at most one JSON line per second: stage, loss, scores, eta.",
    ),
]

# --- Training -------------------------------------------------------------------------------------------------------
Net = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=_TRAINING,
        help="masks: unet, fullnet. points: resunet18, resunet34, resunet50. tags: m2, m1 to m7, x1.7, vgg16. "
        "selected: unet, fullnet, maskrcnn. Default: the first.",
    ),
]
Width = Annotated[
    float | None,
    typer.Option(
        rich_help_panel=_TRAINING,
        help="Number of channels: 16 (fullnet 24, large resunets 64). tags: a factor on the channels, 0.25.",
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        "--batch",
        min=1,
        rich_help_panel=_TRAINING,
        help="Crops or patches per step: masks 4 (fullnet 8), points 8, tags 16, selected 4.",
    ),
]

# --- Annotation, if it is not detected ------------------------------------------------------------------------------
Tags = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=_ANNOTATION,
        help="A CSV table; 'names' for file names that end like '[1 0 1 0].png'; or 'folders' for one per class.",
    ),
]
Points = Annotated[
    Path | None,
    typer.Option(
        rich_help_panel=_ANNOTATION,
        help="A folder of images and clicked nuclei: CSV (x,y), QuPath's GeoJSON or point images.",
    ),
]
Masks = Annotated[
    Path | None,
    typer.Option(
        rich_help_panel=_ANNOTATION, help="A folder of images and label images, Aperio XML or ImageJ zips."
    ),
]
Selected = Annotated[
    Path | None,
    typer.Option(
        rich_help_panel=_ANNOTATION,
        help="A folder of a few outlined patches. If it is empty, patches of DATA are selected.",
    ),
]

# --- One kind of annotation -----------------------------------------------------------------------------------------
Classes = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=_TAGS, help="With 'names': classes in the order of the digits: 'TE,NEC,LYM'."
    ),
]
WindowPx = Annotated[
    int | None,
    typer.Option(
        "--window-px",
        "--window",
        rich_help_panel=_TAGS,
        help="Side of the net's input in pixels. Default: side of the patches.",
    ),
]
RadiusUm = Annotated[
    float | None,
    typer.Option(
        "--radius-um",
        "--radius",
        rich_help_panel=_POINTS,
        help="Mean radius of a nucleus in micrometers. Default: 2.75.",
    ),
]
Complete = Annotated[
    bool, typer.Option("--complete", rich_help_panel=_POINTS, help="Every nucleus is clicked: no detector.")
]
Label = Annotated[
    str | None, typer.Option(rich_help_panel=_POINTS, help="Use the points of this class only.")
]
Background = Annotated[
    Path | None,
    typer.Option(
        rich_help_panel=_POINTS, help="Folder of masks with the names of the images; white: no nuclei."
    ),
]
Labels = Annotated[
    Path | None,
    typer.Option(rich_help_panel=_POINTS, help="Folder of coarse labels, written by an earlier run."),
]
Encoder = Annotated[
    Path | None,
    typer.Option(
        rich_help_panel=_POINTS, help="ResNet weights to start with, .npz or .pth; see docs/how-to/points.md."
    ),
]
Rounds = Annotated[
    int | None,
    typer.Option(
        min=0,
        rich_help_panel="Points or selected patches",
        help="points: self-training rounds of the detector (2). selected: rounds with pseudo-labels (1).",
    ),
]
Stain = Annotated[
    str | None,
    typer.Option(rich_help_panel=_MASKS, help="Normalize the stain of all images: reinhard or macenko."),
]
N = Annotated[
    int | None,
    typer.Option("--n", "-n", min=1, rich_help_panel=_SELECTED, help="Number of patches to select (6)."),
]
Synthetic = Annotated[
    int | None,
    typer.Option(min=0, rich_help_panel=_SELECTED, help="Synthetic pairs per annotated patch (50)."),
]
MinScore = Annotated[
    float | None,
    typer.Option(
        "--min-score",
        "--least-score",
        min=0,
        max=1,
        rich_help_panel=_SELECTED,
        help="Smallest score of a pseudo-label (0.65; maskrcnn 0.4).",
    ),
]
