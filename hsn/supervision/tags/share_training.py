"""Train a segmentation net from tags in two stages.

First stage: the probability of each class is averaged over a patch. This share is compared with the definition of a
tag, so that the map itself becomes the segmentation, without Grad-CAM. Second stage: the net starts again and
learns the pseudo-masks of the first stage, the mean over eight symmetries, where they are confident. It is kept.

The tags of the validation patches choose the epoch in both stages. Each stage writes its results before the next
begins, and results that exist are not computed again.
"""

import numpy as np

from ...annotations.label_files import read_labels, write_labels
from ...images.scaling import normalize
from ...images.symmetries import SYMMETRIES
from ...losses.cross_entropy import cross_entropy
from ...prediction.compiled import predict_batch
from ...progress import track
from ...training.images import ImageCache, TrainingImage
from ...training.loop import LoopSpec, fit_net
from ...training.run import START
from ...training.sampling import CropSampler
from ...types import History, Targets
from .losses import make_loss, mean_in_cells
from .patches import batches, score, side_px

FIRST, PSEUDO, SECOND = "stage-1", "pseudo", "stage-2"
CONTENTS = {
    f"{FIRST}/": "training of the first stage, on tags",
    f"{PSEUDO}/NAME.png": "pseudo-masks of the first stage at the net's scale: 0 unknown, k + 1 for class k",
    f"{SECOND}/": "training of the second stage, on pseudo-masks",
}
DEPENDS = {"train.epochs": (PSEUDO, SECOND)}  # the second stage builds on the first
PREDICT_BATCH = 8  # patches of a forward pass: bounds memory


def fit_shares(net, patches, targets, split, config, run, progress=None):
    """Train a segmentation net from tags in two stages.

    Parameters
    ----------
    net : keras.Model
        (N, H, W, 3) normalized pixels -> (N, H, W, C) that sum to 1; trained in place.
    patches : sequence of TrainingImage
    targets : Targets
        Tags of all patches, (N, C) or (N, R, S, C).
    split : (int array, int array)
        Indices of training and of validation patches.
    config : Config
        Its `shares` are set.
    run : hsn.training.run.Run
    progress : callable, optional

    Returns
    -------
    History
        Of both stages; `stage` is 1 or 2, `best` is the kept epoch of the last stage.
    """
    learned, held_out = split
    validated, truth = [patches[k] for k in held_out], Targets(*(part[held_out] for part in targets))

    def train_stage(number, train, loss, batch, steps):
        spec = LoopSpec.of(
            train,
            steps=steps,
            batch=batch,
            validate=lambda: score(truth, predict_shares(net, validated, truth.target.shape[1:-1], config), config),
            monitor="validation_loss",
            stage=f"training, stage {number}",
        )  # fmt: skip
        return fit_net(net, loss, spec, out=run.out / f"stage-{number}", train=train, progress=progress)

    train = config.train
    drawn = batches(patches, targets, learned, config)
    steps = -(-len(learned) // train.batch_size)
    histories = [train_stage(1, train, make_loss(config), drawn, steps)]
    if (second := config.shares.second) is not None:
        masked = label_patches(net, [patches[k] for k in learned], config, run.out / PSEUDO, progress)
        crop_px = min(second.crop_px, side_px(config))
        train = train.replace(
            crop_px=crop_px, ema_momentum=second.ema_momentum, augmentation=second.augmentation
        )
        sampler = CropSampler(masked, train, _encode(len(config.classes)), normalization=config.normalization)
        steps = second.steps or -(-len(learned) * side_px(config) ** 2 // (train.batch_size * crop_px**2))
        net.load_weights(run.folder / START)
        histories.append(train_stage(2, train, _pixel_loss, sampler.batch, steps))
    return _join(histories)


def _pixel_loss(target, prediction, weight, image):
    return cross_entropy(target, prediction, weight)


def _encode(classes):
    """Return the function that makes target (px, px, C) and weight (px, px) of a crop of a pseudo-mask."""
    one_hot = np.concatenate([np.zeros((1, classes)), np.eye(classes)]).astype(np.float32)

    def encode(record, warp):
        mask = warp.labels(record[1])
        return one_hot[mask], (mask > 0).astype(np.float32)

    return encode


def _join(histories):
    """Return one history of all stages; the last one has the best epoch."""
    rows = [row | {"stage": k} for k, history in enumerate(histories, 1) for row in history.epochs]
    return History(tuple(rows), len(rows) - len(histories[-1].epochs) + histories[-1].best)


# --- Predictions of patches ------------------------------------------------------------------------------------------


def predict_shares(net, patches, grid, config):
    """Return the share of each class in patches, float32 (n, C), or in their cells, (n, R, S, C)."""
    shares = []
    for k in range(0, len(patches), PREDICT_BATCH):
        pixels = np.stack([patch.load()[0] for patch in patches[k : k + PREDICT_BATCH]])
        pixels = normalize(pixels, config.normalization.mean, config.normalization.std)
        maps = predict_batch(net, pixels, batch_size=PREDICT_BATCH)
        shares.append(np.asarray(mean_in_cells(maps, grid, config.shares.cell)))
    return np.concatenate(shares)


def label_patches(net, patches, config, folder, progress=None):
    """Write the pseudo-mask of each patch that has none; return training images with pixels and mask.

    Parameters
    ----------
    net : keras.Model
        Of the first stage.
    patches : sequence of TrainingImage
    config : Config
    folder : pathlib.Path
    progress : callable, optional

    Returns
    -------
    list of TrainingImage
        Records: pixels, uint8 (px, px, 3), and mask, int32 (px, px), 0 unknown, k + 1 for class k.
    """
    masked, cache = [], ImageCache()
    for patch in track(patches, progress, "pseudo-masks"):
        file = folder / f"{patch.name}.png"
        if not file.exists():
            write_labels(file, pseudo_mask(net, patch.load()[0], config))
        masked.append(TrainingImage(patch.name, patch, file, _load, cache))
    return masked


def _load(name, pixels, file):
    return pixels, read_labels(file)


def pseudo_mask(net, pixels, config):
    """Return the classes of a patch by the mean over eight symmetries, int32 (px, px); 0 where they are not confident.

    Parameters
    ----------
    net : keras.Model
    pixels : uint8 array, shape (px, px, 3)
    config : Config
    """
    views = np.stack([symmetry.move(pixels) for symmetry in SYMMETRIES])
    maps = predict_batch(net, normalize(views, config.normalization.mean, config.normalization.std))
    mean = sum(symmetry.back(view) for symmetry, view in zip(SYMMETRIES, maps, strict=True)) / len(maps)
    confident = mean.max(axis=2) >= config.shares.second.min_confidence
    return np.where(confident, mean.argmax(axis=2) + 1, 0).astype(np.int32)
