"""`hsn fit --tags`: patches, of which is known what tissues they show, become a trained folder."""

from ..errors import InputError, refuse
from .console import complain, display_on_stderr, progress

NET, WIDTH, BATCH = "m2", 0.25, 16


def check(net):
    """Refuse what would fail only after the images were read."""
    from ..nets import histonet

    if net not in histonet.FAMILY:
        refuse("there is no such net", expected=f"one of {', '.join(histonet.FAMILY)}", received=repr(net),
               remedy="mend the name")  # fmt: skip


def train(
    images,
    tags,
    *,
    classes,
    window,
    mpp,
    out,
    taxonomy,
    epochs,
    validation,
    seed,
    net,
    width,
    batch,
):
    """Train a net from tags; returns its history, the patches, and what was left out."""
    from ..nets import histonet
    from ..supervision.tags import TrainConfig
    from ..supervision.tags import fit as fit_net

    tagged, failures = _tagged(images, tags, classes, taxonomy)
    patches = _look_at(tagged)
    failures += patches.failures
    for name, why in failures:
        complain(f"left out: {name}: {why}")
    side = window or patches.side_px
    width = WIDTH if width is None else width
    built = histonet.FAMILY[net](len(tagged.classes), width=width, input_px=side, seed=seed)
    learning = TrainConfig(epochs=epochs, batch=batch or BATCH, validation=validation, seed=seed)
    config = _config(
        built, tagged.classes, taxonomy, patches, mpp=mpp, side=side, learning=learning, name=out.name
    )
    with display_on_stderr():
        history = fit_net(built, patches.paths, tagged.tags[patches.kept], config, out=out)
    return history, patches.paths, failures


def _tagged(places, tags, classes, taxonomy):
    """Tags of all images, by whichever of the three habits, and places that were not found."""
    from .. import taxonomies
    from ..annotations import tag_files
    from .files import images_of

    found, failures = images_of(places, deep=True)
    if tags == "folders":
        return tag_files.from_folders(found), failures
    if tags != "names":
        return tag_files.from_table(found, tags), failures
    if classes is None and not taxonomy:
        refuse("the digits in the names need their classes", expected="--classes, as in 'TE,NEC,LYM,TAS'",
               received="neither --classes nor --taxonomy", remedy="name the classes in the digits' order")  # fmt: skip
    if classes is not None:
        return tag_files.from_names(found, [name.strip() for name in classes.split(",")]), failures
    first = taxonomies.get(taxonomy[0])
    return tag_files.from_names(found, [name for name in first.names if name not in first.inferred]), failures


def _look_at(tagged):
    """Read every patch once before training: bad ones are left out now, not hours later."""
    from ..images.read import read
    from .patches import Gathered

    gathered = Gathered()
    with progress() as bar:
        for k, path in enumerate(bar.track(tagged.paths, description="looking at patches")):
            try:
                gathered.add(k, path, read(path))
            except InputError as error:
                gathered.failures.append((str(path), str(error)))
    if not gathered.paths:
        refuse("there is no patch to learn from", expected="square RGB images of one size", received="none",
               remedy="mend the images named: " + "; ".join(why for _, why in gathered.failures[:3]))  # fmt: skip
    return gathered


def _config(net, classes, taxonomy, patches, *, mpp, side, learning, name):
    from .. import taxonomies
    from ..nets import histonet
    from ..supervision.tags import Config
    from .patches import taxonomy_of

    spaces = [taxonomies.get(t) for t in taxonomy] if taxonomy else [taxonomy_of(classes, name)]
    return Config(
        classes=tuple(classes),
        thresholds=(0.5,) * len(classes),
        taxonomies=tuple(spaces),
        mpp=mpp * patches.side_px / side,
        image_mpp=mpp,
        window_px=side,
        mean=patches.mean,
        std=patches.std,
        features=histonet.features_of(net).name,
        logits=histonet.logits_of(net).name,
        learning=learning,
    )
