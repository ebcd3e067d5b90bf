"""Set up training from masks: net, config and images, from what was found and the options of `hsn.fit`.

Three nets: `encoder-unet` starts from a pretrained encoder and trains on a laptop with the preset "cpu"; `unet` starts
from random weights; `fullnet` is FullNet + varCE (Qu et al., MICCAI 2019) and needs a GPU.
"""

from dataclasses import dataclass

from ...checks import one_of
from ...data.setup import DataSummary, FitSetup, check_masks, crop_px, summarize
from ...images.read import read
from ...nets import segmenters
from ...progress import track
from ...stains.normalizers import METHODS, fit_normalizer
from .config import PRESETS, preset

NETS = segmenters.NETS
DEFAULT_PRESET = {"encoder-unet": "cpu", "unet": "unet", "fullnet": "fullnet"}
EPOCHS = {"encoder-unet": 40, "unet": 80, "fullnet": 80}
LOST_PX = {
    "encoder-unet": 3.0,
    "unet": 1.5,
    "fullnet": 1.0,
}  # what the contour takes from an object, corners included


@dataclass(frozen=True)
class Options:
    """Options of `hsn.fit` for masks only.

    Attributes
    ----------
    stain : {"reinhard", "macenko"}, optional
        Normalize the stain of all images to that of the training images. Default: no normalization.
    """

    stain: str | None = None


def check(request, options):
    """Check the options before any image is read; raises InputError."""
    one_of("net", request.net or NETS[0], NETS)
    one_of("preset", request.preset or "cpu", PRESETS)
    one_of("stain", options.stain, (None, *METHODS))
    segmenters.check_width(request.width)


def prepare(found, request, options, *, progress=None):
    """Read the images and make the net and the config.

    Parameters and result: see `hsn.data.setup`.
    """
    summary = summarize(found, check_masks, progress=progress)
    counts = {"images": len(summary.images)}
    left_out = summary.left_out
    stain, summary = _to_one_stain(summary, options.stain, progress) if options.stain else (None, summary)
    name = request.net or NETS[0]
    config = _config(name, summary, request).replace(**{"normalization.stain": stain})
    net = segmenters.build(name, len(config.classes), width=request.width, seed=request.seed)
    return FitSetup(net, summary.images, summary.annotations, config, left_out, counts=counts)


def _to_one_stain(summary, method, progress):
    """Return the mean stain of all images, and the summary of the images in that stain."""
    pixels = map(_pixels, track(summary.images, progress, "measuring stains"))
    target = fit_normalizer(method, pixels)
    normalized = DataSummary()
    for number, (image, annotation) in enumerate(zip(summary.images, summary.annotations, strict=True)):
        normalized.add(number, image, annotation, target.normalize(_pixels(image)))
    return target, normalized


def _pixels(image):
    return image if hasattr(image, "shape") else read(image)


def _config(net, summary, request):
    """Return the config at the scale of these images; an epoch shows as many pixels as they have."""
    config = preset(request.preset or DEFAULT_PRESET[net])
    lost_px = config.targets.shrink_px + LOST_PX[net]  # growing gives it back
    batch_size = request.batch_size or config.train.batch_size
    side_px = crop_px(summary.min_side_px, config.train.crop_px, segmenters.STEP_PX)
    measured = {"mean": summary.mean, "std": summary.std}
    return config.replace(
        taxonomies=request.taxonomies or config.taxonomies,
        mpp=request.mpp,
        image_mpp=request.mpp,
        normalization=segmenters.pretrained_normalization(net) or measured,
        postprocess={"grow_um": lost_px * request.mpp},
        train={
            "epochs": request.epochs or EPOCHS[net],
            "batch_size": batch_size,
            "crop_px": side_px,
            "steps": -(-summary.pixels // (batch_size * side_px**2)),
            "validation": request.validation,
            "seed": request.seed,
        },
    )
