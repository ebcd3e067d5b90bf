"""Paint: synthetic pairs of all annotated patches, at the net's scale."""

import warnings

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ...annotations.colors import resize_labels
from ...annotations.label_files import read_labels
from ...errors import InputError
from ...extras.singan.folder import PAIRS
from ...extras.singan.synthesis import check, synthesize
from ...images.read import read
from ...objects.layouts import extract_nuclei
from ...prediction.tiling import rescale


def paint(patches, config, folder):
    """Paint each patch anew, as often as the config says; what is painted is not painted again.

    Parameters
    ----------
    patches : sequence of Patch
        Annotated. One without a whole nucleus is left out, with a warning.
    config : Config
    folder : path
        For one folder a patch; see `hsn.extras.singan.synthesis`.

    Returns
    -------
    list of (uint8 (h, w, 3), int32 (h, w))
        At the net's scale.

    Raises
    ------
    InputError
        If a patch has not the size that a synthesis wants, before the first is painted.
    """
    fit = [patch for patch in patches if config.synthetic and _has_nuclei(patch)]
    for patch in fit:
        check(*patch.original, config.synthesis)
    pairs = []
    for patch in fit:
        for image, instances in _painted(patch, config, folder / patch.name):
            image = rescale(image, config.image_mpp, config.mpp)
            pairs.append((image, resize_labels(instances, image.shape[:2])))
    return pairs


def _has_nuclei(patch):
    try:
        extract_nuclei(patch.original[1])
    except InputError as error:
        warnings.warn(f"patch {patch.name} is not painted anew: {error}", stacklevel=2)
        return False
    return True


def _painted(patch, config, folder):
    """The pairs of a patch, as they came: read, if all are there."""
    names = [f"{number:03d}.png" for number in range(config.synthetic)]
    places = [(folder / PAIRS / "images" / name, folder / PAIRS / "labels" / name) for name in names]
    if not all(path.exists() for pair in places for path in pair):
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns) as progress:
            synthesize(
                *patch.original,
                out=folder,
                preset=config.synthesis,
                count=config.synthetic,
                seed=config.train.seed,
                max_overlap=config.max_overlap,
                progress=_Show(progress, patch.name),
            )
    return [(read(image), read_labels(labels)) for image, labels in places]


class _Show:
    """Moves a progress bar as a synthesis says."""

    def __init__(self, progress, name):
        self._progress, self._name, self._tasks = progress, name, {}

    def __call__(self, now):
        if now.stage not in self._tasks:
            self._tasks[now.stage] = self._progress.add_task(f"{self._name}: {now.stage}", total=now.total)
        self._progress.update(self._tasks[now.stage], completed=now.done)
