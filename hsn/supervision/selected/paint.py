"""Paint: synthetic pairs of all annotated patches, at the net's scale."""

import warnings

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..._refuse import Refusal
from ...evidence.tiled import at_scale
from ...images.read import read
from ...labels.colors import resize_labels
from ...labels.files import read_labels
from ...labels.layouts import nuclei_of
from .synthesis_folder import PAIRS
from .synthesise import check, synthesise


def paint(patches, recipe, folder):
    """Paint each patch anew, as often as the recipe says; what is painted is not painted again.

    Parameters
    ----------
    patches : sequence of Patch
        Annotated. One without a whole nucleus is left out, with a warning.
    recipe : Recipe
    folder : path
        For one folder a patch; see `hsn.supervision.selected.synthesise`.

    Returns
    -------
    list of (uint8 (h, w, 3), int32 (h, w))
        At the net's scale.

    Raises
    ------
    Refusal
        If a patch has not the size that a synthesis wants, before the first is painted.
    """
    fit = [patch for patch in patches if recipe.synthetic and _has_nuclei(patch)]
    for patch in fit:
        check(*patch.original, recipe.preset)
    pairs = []
    for patch in fit:
        for image, instances in _painted(patch, recipe, folder / patch.name):
            image = at_scale(image, recipe.image_mpp, recipe.mpp)
            pairs.append((image, resize_labels(instances, image.shape[:2])))
    return pairs


def _has_nuclei(patch):
    try:
        nuclei_of(patch.original[1])
    except Refusal as refusal:
        warnings.warn(f"patch {patch.name} is not painted anew: {refusal}", stacklevel=2)
        return False
    return True


def _painted(patch, recipe, folder):
    """The pairs of a patch, as they came: read, if all are there."""
    names = [f"{number:03d}.png" for number in range(recipe.synthetic)]
    places = [(folder / PAIRS / "images" / name, folder / PAIRS / "labels" / name) for name in names]
    if not all(path.exists() for pair in places for path in pair):
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns) as progress:
            synthesise(
                *patch.original,
                out=folder,
                preset=recipe.preset,
                count=recipe.synthetic,
                seed=recipe.learning.seed,
                max_overlap=recipe.max_overlap,
                after=_Show(progress, patch.name),
            )
    return [(read(image), read_labels(labels)) for image, labels in places]


class _Show:
    """Moves a progress bar as a synthesis says."""

    def __init__(self, progress, name):
        self._progress, self._name, self._tasks = progress, name, {}

    def __call__(self, now):
        if now.what not in self._tasks:
            self._tasks[now.what] = self._progress.add_task(f"{self._name}: {now.what}", total=now.total)
        self._progress.update(self._tasks[now.what], completed=now.done)
