"""Options of `hsn fit`: what each is for, and for which kind of annotation."""

from pathlib import Path
from typing import Annotated

import typer

Images = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Patches with tags, and folders of them; with --selected images that nobody annotated.",
        show_default=False,
    ),
]
Tags = Annotated[
    str | None,
    typer.Option(
        help="A CSV table; or 'names', where file names end like '[1 0 1 0].png'; or 'folders', one per class."
    ),
]
Points = Annotated[
    Path | None,
    typer.Option(
        help="Instead of tags: a folder of images, and of clicks on some nuclei, as CSV (x,y), QuPath's GeoJSON or "
        "point images of their names."
    ),
]
Selected = Annotated[
    Path | None,
    typer.Option(
        help="Instead of tags: a folder of a few outlined patches, as --masks takes it. Where it is not there yet, "
        "patches of IMAGES are chosen to be outlined, as by hsn choose."
    ),
]
Masks = Annotated[
    Path | None,
    typer.Option(
        help="Instead of tags: a folder of images, and of label images, XML or ROI zips of their names."
    ),
]

Out = Annotated[
    Path, typer.Option("--out", "-o", help="Folder of the trained net; called again, a killed run goes on.")
]
Taxonomy = Annotated[
    list[str] | None,
    typer.Option(help="Label space: a file or a built-in name; by default the tags' classes, or nuclei."),
]
Classes = Annotated[
    str | None, typer.Option(help="With 'names': what the digits stand for, as 'TE,NEC,LYM'.")
]
Window = Annotated[
    int | None, typer.Option(help="With tags: side of the net's input in pixels; the patches' by default.")
]
Net = Annotated[
    str | None,
    typer.Option(
        help="From tags x1.7, m1 to m7, vgg16 (m2 if not said); from points resunet18, resunet34, resunet50 "
        "(resunet18); from masks unet or fullnet (unet); from selected patches unet, fullnet or maskrcnn (unet)."
    ),
]
Width = Annotated[
    float | None,
    typer.Option(
        help="From tags a factor on the net's channels (0.25); from points channels (16; of the larger nets 64); "
        "from masks and selected patches channels (unet, maskrcnn 16, fullnet 24)."
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="80; from points those of segmentation by coarse labels (50; of the larger nets 100), to which the other "
        "stages keep their proportion; from selected patches those of each round (30).",
    ),
]
Batch = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="From tags patches (16); from points crops (8); from masks crops (unet 4, fullnet 8); from selected "
        "patches crops (4).",
    ),
]
Stain = Annotated[
    str | None,
    typer.Option(help="From masks: bring images to the stain of those learned from, by reinhard or macenko."),
]
Rounds = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="From points: how often detection learns again from what it held for background (2). From selected "
        "patches: how often a net learns also from what the one before saw in IMAGES (1).",
    ),
]
Radius = Annotated[
    float | None, typer.Option(help="From points: mean radius of a nucleus in micrometres (2.75).")
]
Complete = Annotated[
    bool, typer.Option("--complete", help="From points: every nucleus is clicked, so none is sought.")
]
Label = Annotated[str | None, typer.Option(help="From points: take only clicks of this class.")]
Background = Annotated[
    Path | None,
    typer.Option(
        help="From points: a folder of masks of the images' names, white where surely no nucleus is."
    ),
]
Labels = Annotated[
    Path | None,
    typer.Option(help="From points: coarse labels of the images' names, as an earlier run wrote them."),
]
Encoder = Annotated[
    Path | None,
    typer.Option(
        help="From points: weights of a ResNet to begin with, .npz or torch's .pth; see docs/points.md."
    ),
]
N = Annotated[
    int | None,
    typer.Option("--n", "-n", min=1, help="With --selected: how many patches are chosen to be outlined (6)."),
]
Synthetic = Annotated[
    int | None,
    typer.Option(
        min=0, help="From selected patches: pairs that are painted of each, as by hsn synthesize (50)."
    ),
]
LeastScore = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="From selected patches: how sure a net must be of an object in IMAGES (0.65; of a maskrcnn 0.4).",
    ),
]
Mpp = Annotated[float, typer.Option(help="Micrometres per pixel of the images.")]
Validation = Annotated[float, typer.Option(min=0, max=1, help="Share of the images to validate on.")]
Seed = Annotated[int, typer.Option(help="Of initial weights, order and augmentation.")]
