"""Set up training from points: make net, config and images from the found files and the options of `hsn.fit`.

Four nets: `encoder-unet` starts from a pretrained encoder and trains on two processor cores with the preset "cpu";
`resunet18` with the preset "resunet18" does so from random weights; `resunet34` and `resunet50` use the preset of the
published system (Qu et al., IEEE TMI 2020), and need a GPU and the weights of an encoder.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ...annotations import points as point_files
from ...annotations.label_files import read_labels
from ...annotations.mask_files import read as read_masks
from ...checks import one_of, positive
from ...data.image_files import same_stem
from ...data.setup import FitSetup, crop_px, summarize
from ...errors import InputError
from ...nets import resunet, segmenters
from .config import PRESETS, preset
from .target_maps import PointAnnotation

DEPTHS = {"resunet18": 18, "resunet34": 34, "resunet50": 50}
NETS = ("encoder-unet", *DEPTHS)
DEFAULT_PRESET = {
    "encoder-unet": "cpu",
    "resunet18": "resunet18",
    "resunet34": "qu2020",
    "resunet50": "qu2020",
}
SMALL_WIDTH, PUBLISHED_WIDTH = 16, 64
_MAX_CODE = 8  # largest value of coarse labels


@dataclass(frozen=True)
class Options:
    """Options of `hsn.fit` for points only.

    Attributes
    ----------
    rounds : int, optional
        Number of self-training rounds of the detector. Default: that of the preset.
    radius_um : float, optional
        Mean radius of a nucleus in micrometers. Default: 2.75.
    complete : bool
        Whether every nucleus is clicked, so that no detector is needed. Default: False.
    label : str, optional
        Use the points of this class only. Default: all.
    background : path, optional
        Folder of masks with the names of the images; pixels above 0 do not belong to a nucleus.
    labels : path, optional
        Folder of coarse labels of an earlier run. Default: they are computed.
    encoder : path, optional
        Weights of a ResNet for one of the resunets to start with, .npz, .safetensors or .pth.
    """

    rounds: int | None = None
    radius_um: float | None = None
    complete: bool = False
    label: str | None = None
    background: Path | None = None
    labels: Path | None = None
    encoder: Path | None = None


def check(request, options):
    """Check the options before any image is read; raises InputError."""
    name = _net_name(request, options)
    one_of("net", name, NETS)
    one_of("preset", request.preset or "cpu", PRESETS)
    if options.encoder is not None and name not in DEPTHS:
        raise InputError(
            "encoder-net",
            f"`encoder` must be used with one of {', '.join(DEPTHS)}",
            got=name,
            hint="leave one of them out",
        )
    segmenters.check_width(request.width, multiple=2 if name in DEPTHS else 1)
    if options.radius_um is not None:
        positive("radius_um", options.radius_um, hint="give micrometers, or leave it out for 2.75")
    if options.complete and options.rounds is not None:
        raise InputError(
            "complete-rounds",
            "`rounds` must be left out where all nuclei are clicked",
            got="complete and rounds",
            hint="leave one of them out",
        )
    for name in ("background", "labels"):
        folder = getattr(options, name)
        if folder is not None and not Path(folder).is_dir():
            raise InputError(
                f"{name}-folder", f"`{name}` must be an existing folder", got=folder, hint="fix the path"
            )


def prepare(found, request, options, *, progress=None):
    """Read the images and make the net and the config.

    Parameters and result: see `hsn.data.setup`.
    """
    summary = summarize(found, partial(_annotation, options=options), progress=progress)
    counts = {"images": len(summary.images)}
    name = _net_name(request, options)
    config = _config(name, summary, request, options)
    net = _net(name, len(config.classes), request, options.encoder)
    return FitSetup(net, summary.images, summary.annotations, config, summary.left_out, counts=counts)


def _annotation(image, clicks, pixels, *, options):
    """Check the annotation of an image, and return its points and the files of background and labels."""
    shape, regions = pixels.shape[:2], ()
    if isinstance(clicks, PointAnnotation):
        return clicks
    if isinstance(clicks, str | Path):
        regions = point_files.read_regions(clicks)
        clicks = point_files.read(clicks, shape, label=options.label)
    else:
        clicks = point_files.as_points(clicks, shape)
    if not isinstance(image, str | Path):
        return PointAnnotation(clicks, complete_regions=regions)
    background, labels = same_stem(options.background, image), same_stem(options.labels, image)
    if background is not None:
        read_masks(background, shape)
    if labels is not None:
        _check_labels(labels)
    return PointAnnotation(clicks, background, labels, regions)


def _check_labels(path):
    """Raise unless a file holds coarse labels."""
    codes = read_labels(path)
    if codes.max(initial=0) > _MAX_CODE:
        raise InputError(
            "labels-codes",
            f"{path} must hold coarse labels, numbers up to {_MAX_CODE}",
            got=f"up to {np.max(codes)}",
            hint="give the folder `labels` of an earlier run",
        )


def _net_name(request, options):
    """Return the name of the net; the weights of a ResNet fit the smallest resunet by default."""
    return request.net or (NETS[0] if options.encoder is None else "resunet18")


def _net(name, outputs, request, encoder):
    from ...models.torch_file import read_state
    from ...nets import resnet_state

    if name not in DEPTHS:
        return segmenters.build(name, outputs, width=request.width, seed=request.seed)
    small = name == "resunet18" and encoder is None
    width = request.width or (SMALL_WIDTH if small else PUBLISHED_WIDTH)
    net = resunet.build(outputs, depth=DEPTHS[name], width=int(width), seed=request.seed)
    if encoder is not None:
        resnet_state.load_encoder(net, read_state(encoder))
    return net


def _config(net, summary, request, options):
    """Return the config for these images and this size of nuclei."""
    config = preset(request.preset or DEFAULT_PRESET[net])
    if options.radius_um is not None:
        config = config.for_radius(options.radius_um)
    # The stages keep their proportions.
    factor = 1 if request.epochs is None else request.epochs / config.train.epochs
    epochs = {
        name: max(1, round(factor * getattr(config, name)))
        for name in ("detection_epochs", "refinement_epochs", "object_epochs")
        if getattr(config, name)
    }
    rounds = config.rounds if options.rounds is None else options.rounds
    side_px = int(summary.min_side_px * request.mpp / config.mpp)
    return config.replace(
        image_mpp=request.mpp,
        normalization=segmenters.pretrained_normalization(net) or {"mean": summary.mean, "std": summary.std},
        taxonomies=request.taxonomies or config.taxonomies,
        rounds=None if options.complete else rounds,
        detection_batch_size=request.batch_size or config.detection_batch_size,
        train={
            "epochs": max(1, round(factor * config.train.epochs)),
            "batch_size": request.batch_size or config.train.batch_size,
            "crop_px": crop_px(side_px, config.train.crop_px, resunet.STEP_PX),
            "validation": request.validation,
            "seed": request.seed,
        },
        **epochs,
    )
