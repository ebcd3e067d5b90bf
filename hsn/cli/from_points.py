"""`hsn fit --points`: a folder of images and clicks on some nuclei becomes a trained folder.

Three nets can be had. `resunet18` learns by `points.quick`, which two processor cores can train; `resunet34` and
`resunet50` by the numbers that the system was published with (Qu et al., IEEE TMI 2020), which want a GPU and the
weights of an encoder that knows pictures (`--encoder`).

What a user has already need not be made again: clicks on all nuclei (`--complete`: no detection), masks of background
(`--background`: detection begins with them), coarse labels of an earlier run (`--labels`: no detection, no labelling).
"""

import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..errors import refuse
from .console import display_on_stderr
from .seen import look_at

NETS = {"resunet18": 18, "resunet34": 34, "resunet50": 50}
QUICK, QUICK_WIDTH, PUBLISHED_WIDTH = "resunet18", 16, 64


@dataclass(frozen=True)
class Options:
    """What only learning from points knows: see the help of `hsn fit`."""

    rounds: int | None = None
    radius: float | None = None
    complete: bool = False
    label: str | None = None
    background: Path | None = None
    labels: Path | None = None
    encoder: Path | None = None


def check(net, width, options):
    """Refuse what would fail only after the images were read."""
    if net not in NETS:
        refuse("there is no such net for points", expected=f"one of {', '.join(NETS)}", received=repr(net),
               remedy="mend the name")  # fmt: skip
    if width is not None and (width < 2 or width % 2):
        refuse("the width of a net for points counts channels", expected="an even whole number from 2",
               received=width, remedy=f"leave it out for {QUICK_WIDTH} ({QUICK}) or {PUBLISHED_WIDTH}")  # fmt: skip
    if options.radius is not None and not options.radius > 0:
        refuse("the mean radius of nuclei must be positive", expected="micrometres", received=options.radius,
               remedy="leave it out for 2.75, that of many organs")  # fmt: skip
    if options.complete and options.rounds is not None:
        refuse("where all nuclei are clicked nothing is detected", expected="either --complete or --rounds",
               received="both", remedy="leave one of them out")  # fmt: skip
    for name in ("background", "labels"):
        folder = getattr(options, name)
        if folder is not None and not folder.is_dir():
            refuse(f"{folder} is no folder", expected=f"a folder of the images' {name}", received="none",
                   remedy="mend the path")  # fmt: skip


def train(folder, *, net, width, options, mpp, out, taxonomy, epochs, batch, validation, seed):
    """Train a net from a folder of images and points; returns its history, the images, and what was left out."""
    from ..annotations import point_files
    from ..supervision import points

    pairs = point_files.pair(folder)
    seen, failures = look_at(
        pairs, partial(_given, options=options), "points", wanted="RGB images with points that lie on them"
    )
    config = _config(net, seen, options, mpp=mpp, taxonomy=taxonomy, epochs=epochs, batch=batch)
    config = config.changed(learning=replace(config.learning, validation=validation, seed=seed))
    built = _net(net, width, seed, options.encoder)
    with display_on_stderr():
        history = points.fit(built, seen.images, seen.annotations, config, out=out)
    return history, seen.images, failures


def told(out):
    """What there is to tell of a run beside its history: how many points, and the scores of each round."""
    counts = {"clicked": 0, "found": 0}
    for path in sorted((out / "points").glob("*.geojson")):
        for feature in json.loads(path.read_text(encoding="utf-8"))["features"]:
            counts[feature["properties"]["classification"]["name"]] += len(feature["geometry"]["coordinates"])
    rounds = sorted((out / "detection").glob("round-*/scores.json"))
    return counts | {"detection": [json.loads(path.read_text(encoding="utf-8")) for path in rounds]}


def _given(path, clicks, image, *, options):
    """The clicks on an image, and what else its user has of it."""
    from ..annotations import points
    from ..annotations.mask_files import read
    from ..supervision.points import Given
    from ..supervision.points.target_maps import decode

    shape, background = image.shape[:2], _of_name(options.background, path)
    labels = _of_name(options.labels, path)
    return Given(
        points.read(clicks, shape, label=options.label),
        background=None if background is None else read(background, shape) > 0,
        labels=None if labels is None else decode(_codes(labels)),
    )


def _of_name(folder, path):
    """The file of an image's name in a folder, if there is one."""
    from ..annotations.label_files import RASTERS

    options = [] if folder is None else [folder / f"{path.stem}{suffix}" for suffix in RASTERS]
    return next((option for option in options if option.is_file()), None)


def _codes(path):
    from ..annotations.label_files import read_labels

    codes = read_labels(path)
    if codes.max(initial=0) > 8:
        refuse(f"{path} holds no coarse labels", expected="numbers up to 8, as `hsn fit` writes them",
               received=f"up to {codes.max()}", remedy="give the folder `labels` of an earlier run")  # fmt: skip
    return codes


def _net(name, width, seed, encoder):
    from ..models.torch_file import read_state
    from ..nets import resnet_state, resunet

    channels = int(width or (QUICK_WIDTH if name == QUICK and encoder is None else PUBLISHED_WIDTH))
    net = resunet.build(2, depth=NETS[name], width=channels, seed=seed)
    if encoder is not None:
        resnet_state.load_encoder(net, read_state(encoder))
    return net


def _config(net, seen, options, *, mpp, taxonomy, epochs, batch):
    """The config of a net, for these images and this size of nuclei."""
    from .. import taxonomies
    from ..nets import resunet
    from ..supervision import points

    config = points.quick() if net == QUICK else points.published()
    learning = config.learning
    if options.radius is not None:
        config = config.for_radius(options.radius)
    spaces = tuple(taxonomies.get(t) for t in taxonomy) if taxonomy else config.taxonomies
    # The stages keep their proportions.
    longer = 1 if epochs is None else epochs / learning.segmentation_epochs
    several = {
        name: max(1, round(longer * getattr(learning, name)))
        for name in ("detection_epochs", "segmentation_epochs", "refinement_epochs")
    }
    rounds = None if options.complete else learning.rounds if options.rounds is None else options.rounds
    smallest_px = int(seen.smallest_px * mpp / config.mpp)
    crop_px = min(learning.crop_px, max(1, smallest_px // resunet.STEP_PX) * resunet.STEP_PX)
    batches = {} if batch is None else {"detection_batch": batch, "segmentation_batch": batch}
    learning = replace(learning, rounds=rounds, crop_px=crop_px, **several, **batches)
    return config.changed(image_mpp=mpp, mean=seen.mean, std=seen.std, taxonomies=spaces, learning=learning)
