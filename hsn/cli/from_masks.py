"""`hsn fit --masks`: a folder of images and their outlined objects becomes a trained folder.

Two nets can be had. `unet` learns by the numbers of the shipped nets (`masks.small`), which two processor cores can
train; `fullnet` by those that FullNet + varCE was published with (Qu et al., MICCAI 2019), and wants a GPU.
Both see background, inside and contour, at the scale of the images.
"""

from dataclasses import replace

from ..errors import refuse
from ..stains.normalizers import METHODS, fit_normalizer
from .console import complain, display_on_stderr, progress
from .seen import Seen, look_at

NETS = ("unet", "fullnet")
UNET_DEPTH, UNET_WIDTH, FULLNET_GROWTH = 4, 16, 24
CROPS_PX = {"unet": 192, "fullnet": 208}
_CROP_STEP_PX = 2**UNET_DEPTH  # the U-Net halves the sides so often
_CONTOUR_PX = 1.5  # what the contour took from an object all around, corners included, and growing gives back


def check(net, width, stain=None):
    """Refuse what would fail only after the images were read."""
    if net not in NETS:
        refuse("there is no such net for masks", expected=f"one of {', '.join(NETS)}", received=repr(net),
               remedy="mend the name")  # fmt: skip
    if width is not None and (width < 1 or width != int(width)):
        refuse("the width of a net for masks counts channels", expected="a whole number from 1", received=width,
               remedy=f"leave it out for {UNET_WIDTH} (unet) or {FULLNET_GROWTH} (fullnet)")  # fmt: skip
    if stain not in (None, *METHODS):
        refuse("there is no such normalization of stains", expected=f"one of {', '.join(METHODS)}",
               received=repr(stain), remedy="mend the name, or leave it out")  # fmt: skip


def train(folder, *, net, width, stain, mpp, out, taxonomy, epochs, batch, validation, seed):
    """Train a net from a folder of images and masks; returns its history, the images, and what was left out."""
    from ..annotations import mask_files
    from ..supervision import masks

    pairs = mask_files.pair(folder)
    if pairs.spare:
        complain(
            f"label images count before outlines: {len(pairs.spare)} files like {pairs.spare[0]} are not used"
        )
    seen, failures = look_at(pairs, of_masks, "masks", wanted="RGB images with masks of their size")
    target, seen = _normalised(seen, stain) if stain else (None, seen)
    config = _config(net, seen, mpp=mpp, taxonomy=taxonomy, batch=batch).changed(stain=target)
    numbers = {"epochs": epochs, "validation": validation, "seed": seed}
    config = config.changed(learning=replace(config.learning, **numbers))
    with display_on_stderr():
        history = masks.fit(_net(net, width, seed), seen.images, seen.annotations, config, out=out)
    return history, seen.images, failures


def of_masks(path, annotation, image):
    """A file of masks, if it can be read: training reads it again, when it needs it."""
    from ..annotations import mask_files

    mask_files.read(annotation, image.shape[:2])
    return annotation


def _normalised(seen, method):
    """The stain of all images together, and the images as they look in it."""
    from ..images.read import read

    again = Seen()
    with progress() as bar:
        target = fit_normalizer(method, map(read, bar.track(seen.images, description="measuring stains")))
        for path, annotation in zip(seen.images, seen.annotations, strict=True):
            again.add(path, annotation, target.normalize(read(path)))
    return target, again


def _net(name, width, seed):
    from ..nets import fullnet, unet
    from ..supervision.masks import TERNARY

    if name == "fullnet":
        return fullnet.build(len(TERNARY), growth=int(width or FULLNET_GROWTH), seed=seed)
    channels = int(width or UNET_WIDTH)
    return unet.build(len(TERNARY), depth=UNET_DEPTH, width=channels, batch_norm=True, seed=seed)


def _config(net, seen, *, mpp, taxonomy, batch):
    """The config of a net, at the scale of these images; an epoch shows as many pixels as they have."""
    from .. import taxonomies
    from ..supervision import masks

    config = masks.fullnet() if net == "fullnet" else masks.small()
    spaces = tuple(taxonomies.get(t) for t in taxonomy) if taxonomy else config.taxonomies
    lost_px = config.shrink_px + (1 if net == "fullnet" else _CONTOUR_PX)
    batch = batch or config.learning.batch
    crop_px = min(CROPS_PX[net], max(1, seen.smallest_px // _CROP_STEP_PX) * _CROP_STEP_PX)
    steps = -(-seen.pixels // (batch * crop_px**2))
    return config.changed(
        taxonomies=spaces,
        mpp=mpp,
        image_mpp=mpp,
        mean=seen.mean,
        std=seen.std,
        grow_um=lost_px * mpp,
        learning=replace(config.learning, batch=batch, crop_px=crop_px, steps=steps),
    )
