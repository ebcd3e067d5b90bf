"""Set up training from mixed annotation: read the files of all images, choose heads, net and config."""

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ...annotations import qupath
from ...annotations.annotation import (
    KINDS,
    Annotation,
    Point,
    is_background_class,
    is_object_class,
    kinds_of,
    without,
)
from ...annotations.mask_files import read as read_masks
from ...annotations.points import read as read_points
from ...checks import one_of, positive, same_shape
from ...data.setup import FitSetup, crop_px, summarize, taxonomy_of
from ...errors import InputError
from ...instances import count_objects
from ...nets import segmenters
from ...nets.encoder_unet import Head
from ...taxonomies import NUCLEI
from .config import OTHER, PRESETS, TERNARY, preset
from .target_maps import points_of

NETS = ("encoder-unet",)
_LOST_PX = 3.0  # what the contour takes from an object, as in `masks`
_ITEMS = {
    "masks": "outlined objects",
    "points": "clicks",
    "boxes": "boxes",
    "scribbles": "scribbles",
    "tags": "tags",
}

# Training that begins with a trained net: small steps, and pseudo-labels of that net from the first step on, so that it
# does not forget what the marks do not show. A click gives the middle of its object only: the net knows better where it
# ends than the colors around the click. With background from one radius on, nuclei shrank by a tenth.
CONTINUED = {
    "pseudo_start": 0.0,
    "pseudo_ramp": 0.0,
    "pseudo_threshold": 0.5,
    "click_radii": 1.0,
    "train": {"learning_rate": 5e-4, "min_learning_rate": 2.5e-5, "warmup_steps": 20, "ema_momentum": 0.98},
}


@dataclass(frozen=True)
class Options:
    """Options of `hsn.fit` for mixed annotation only.

    Attributes
    ----------
    without : sequence of str
        Kinds of annotation to leave out: "masks", "scribbles", "points", "boxes", "tags".
    tissues : sequence of str, optional
        Classes that are tissues. Default: classes without a word for objects, such as "nucleus", "cell" or "gland".
    radius_um : float, optional
        Mean radius of an object in micrometers. Default: 2.75.
    steps : int, optional
        Batches per epoch. Default: as many as show each pixel of the annotated images once.
    """

    without: tuple[str, ...] = ()
    tissues: tuple[str, ...] | None = None
    radius_um: float | None = None
    steps: int | None = None


def check(request, options):
    """Check the options before any image is read; raises InputError."""
    one_of("net", request.net or NETS[0], NETS)
    one_of("preset", request.preset or "cpu", PRESETS)
    segmenters.check_width(request.width)
    for kind in options.without:
        one_of("without", kind, KINDS)
    if options.radius_um is not None:
        positive("radius_um", options.radius_um, hint="give micrometers, or leave it out for 2.75")
    if options.steps is not None:
        positive("steps", options.steps, hint="give the batches of an epoch, or leave it out")


def prepare(found, request, options, *, progress=None):
    """Read the images and make the net and the config.

    Parameters and result: see `hsn.data.setup`.
    """

    def is_object(name):
        return is_object_class(name) if options.tissues is None else name not in options.tissues

    contents = Contents()
    read = partial(read_annotation, is_object=is_object, left_out=tuple(options.without))

    def read_and_count(image, files, pixels):
        shape = pixels.shape[:2]
        return contents.add(read(files, shape), shape)

    summary = summarize(found, read_and_count, progress=progress)
    classes, taxonomies = contents.classes(is_object, request.taxonomies)
    config = _config(summary, request, options, classes, taxonomies)
    heads = [Head(head.name, head.channels, "softmax") for head in config.heads]
    net = segmenters.build_heads(heads, width=request.width, seed=request.seed)
    return FitSetup(
        net, summary.images, summary.annotations, config, summary.left_out, notes=contents.lines(),
        counts={"images": len(summary.images), **contents.images},
    )  # fmt: skip


def continue_from(ready, model):
    """Return the set-up of a training that begins with a trained net.

    Parameters
    ----------
    ready : FitSetup
        Its net has the weights of the trained net.
    model : hsn.models.Model

    Returns
    -------
    FitSetup
        With the numbers of `CONTINUED`; the post-processing is that of the model if both separate objects.
    """
    config = ready.config.replace(**CONTINUED)
    if config.has_objects and tuple(model.card.classes[: len(TERNARY)]) == TERNARY:
        config = config.replace(postprocess=model.config.get("postprocess", {}))
    return replace(ready, config=config)


def read_annotation(files, shape, *, is_object=is_object_class, left_out=()):
    """Read the files of one image.

    Parameters
    ----------
    files : AnnotationFiles, Annotation or None
    shape : (int, int)
        Height and width of the image.
    is_object : callable
        ``class name -> bool``.
    left_out : sequence of str
        Kinds to leave out.

    Returns
    -------
    Annotation

    Examples
    --------
    >>> from hsn.data.mixture import AnnotationFiles
    >>> read_annotation(AnnotationFiles(), (4, 4)).points
    ()
    """
    if files is None or isinstance(files, Annotation):
        return without(files or Annotation(), left_out)
    annotation = Annotation() if files.drawn is None else qupath.read(files.drawn, is_object=is_object)
    if files.points is not None:
        points = read_points(files.points, shape).tolist()
        annotation = replace(annotation, points=(*annotation.points, *(Point(*point) for point in points)))
    if files.masks is not None:
        annotation = replace(annotation, objects=files.masks)
    tags = (*annotation.tags, *files.tags)
    return without(replace(annotation, tags=tags, group=files.group, mpp=files.mpp), left_out)


class Contents:
    """Counts what the images of a study hold, by kind of annotation."""

    def __init__(self):
        self.images, self.items = Counter(), Counter()
        self._objects, self._others, self._tags, self._groups = set(), set(), set(), set()
        self._total = 0

    def add(self, annotation, shape):
        """Check the annotation of an image, count it, and return it.

        Raises
        ------
        InputError
            "points-outside", or an error of the mask file.
        """
        kinds = kinds_of(annotation)
        points_of(annotation, shape, shape)
        self._total += 1
        self.images.update(kinds or ("nothing",))
        for kind, values in (("points", annotation.points), ("boxes", annotation.boxes)):
            self.items[kind] += len(values)
            self._objects |= {value.label for value in values}
        self.items["scribbles"] += len(annotation.scribbles)
        self.items["tags"] += len(annotation.tags)
        self.items["masks"] += self._count_objects(annotation.objects, shape)
        self._others |= {scribble.label for scribble in annotation.scribbles}
        self._tags |= {tag.name for tag in annotation.tags}
        self._groups.add(annotation.group)
        return annotation

    def _count_objects(self, objects, shape):
        if isinstance(objects, tuple):
            self._objects |= {outline.label for outline in objects}
            return len(objects)
        instances = objects if isinstance(objects, np.ndarray) else read_masks(objects, shape)
        same_shape("image", tuple(shape), "objects", np.shape(instances))
        self._objects.add(None)
        return count_objects(instances)

    def classes(self, is_object, taxonomies):
        """Return the net's outputs and the taxonomies of its heads.

        Parameters
        ----------
        is_object : callable
            ``class name -> bool``.
        taxonomies : sequence of Taxonomy
            Those of the user; the first one of two classes names the objects.

        Raises
        ------
        InputError
            "nothing-to-learn" without annotation, "class-name" for a tissue with the name of an output of objects.
        """
        names = {name for name in self._others | self._tags if not is_background_class(name)}
        tissues = sorted(name for name in names if not is_object(name))
        objects = self._objects | {name for name in names if is_object(name)}
        if not tissues and not objects:
            raise InputError("nothing-to-learn", "the images must have annotation of objects or of tissues",
                             got=", ".join(self.images) or "no images", hint="annotate some of them")  # fmt: skip
        if set(tissues) & {*TERNARY, OTHER}:
            raise InputError("class-name", f"tissues must not be named {', '.join((*TERNARY, OTHER))}",
                             got=", ".join(tissues), hint="rename the class")  # fmt: skip
        labels = sorted(name for name in objects if name is not None)
        given = next((taxonomy for taxonomy in taxonomies if len(taxonomy) == 2), None)
        spaces = (
            [given or (taxonomy_of((OTHER, labels[0]), "objects") if len(labels) == 1 else NUCLEI)]
            if objects
            else []
        )
        spaces += [taxonomy_of((OTHER, *tissues), "tissues")] if tissues else []
        return (*(TERNARY if objects else ()), *((OTHER, *tissues) if tissues else ())), tuple(spaces)

    def lines(self):
        """Return a table of what was found, one line per kind."""
        kinds = [kind for kind in (*KINDS, "nothing") if self.images[kind]]
        lines = [f"{kind}: {self.images[kind]} of {self._total} images" for kind in kinds]
        lines = [f"{line}, {self.items[kind]} {_ITEMS[kind]}" if kind in _ITEMS else line
                 for kind, line in zip(kinds, lines, strict=True)]  # fmt: skip
        groups = len(self._groups - {None})
        return [*lines, f"{groups} groups, which are never divided"] if groups else lines


def _config(summary, request, options, classes, taxonomies):
    """Return the config at the scale of these images."""
    config = preset(request.preset or "cpu")
    return config.replace(
        classes=classes,
        taxonomies=taxonomies,
        mpp=request.mpp,
        image_mpp=request.mpp,
        radius_um=options.radius_um or config.radius_um,
        postprocess={"grow_um": _LOST_PX * request.mpp},
        train={
            "epochs": request.epochs or config.train.epochs,
            "steps": options.steps or 0,
            "batch_size": request.batch_size or config.train.batch_size,
            "crop_px": crop_px(summary.min_side_px, config.train.crop_px, segmenters.STEP_PX),
            "validation": request.validation,
            "seed": request.seed,
        },
    )
