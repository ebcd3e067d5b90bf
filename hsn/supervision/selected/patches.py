"""Patches: images as the net sees them, some of which a person annotated, and which of these only judge."""

from pathlib import Path

import numpy as np

from ...annotations.colors import resize_labels
from ...annotations.mask_files import read as read_instances
from ...checks import as_image
from ...errors import refuse
from ...images.read import read
from ...instances import renumber
from ...prediction.tiling import rescale
from ...training.splits import train_val_split


class Patch:
    """An image and its objects, where somebody outlined them.

    Attributes
    ----------
    name : str
        Number of the image, from 0, and its file's name without ending.
    original : (uint8 (H, W, 3), int32 (H, W)) or None
        As an annotated patch came, objects numbered 1..n.
    image : uint8 (h, w, 3)
        At the net's scale.
    instances, known : int32 (h, w), bool (h, w), or None
        Likewise; None where nobody annotated.
    judges : bool
        Whether the patch is not learned from, and validates.
    """

    def __init__(self, number, image, instances, config):
        path = None if isinstance(image, np.ndarray) else Path(image)
        self.name = f"{number:04d}" if path is None else f"{number:04d}-{path.stem}"
        image = as_image(image) if path is None else read(path)
        self.image = rescale(image, config.image_mpp, config.mpp)
        self.original = self.instances = self.known = None
        self.judges = False
        if instances is not None:
            self._annotate(image, instances)

    def _annotate(self, image, instances):
        if not isinstance(instances, np.ndarray):
            instances = read_instances(instances, image.shape[:2])
        if image.shape[:2] != instances.shape:
            refuse(f"image {self.name} and its masks must be of one size", expected=image.shape[:2],
                   received=instances.shape, remedy="check that the files are paired rightly")  # fmt: skip
        unknown = np.ma.getmaskarray(instances)
        instances = renumber(np.ma.filled(instances, 0))[0]
        self.original = image, instances
        self.instances, self.known = self.resized(instances), ~self.resized(unknown)

    def resized(self, labels):
        """A label image of the patch as it came, at the net's scale."""
        return resize_labels(labels, self.image.shape[:2])


def patches_of(images, annotations, config):
    """Patches of all images, with those that validate marked.

    Parameters
    ----------
    images : sequence of uint8 arrays (H, W, 3), or of paths
    annotations : sequence of int arrays (H, W), of paths, or of None
    config : Config

    Returns
    -------
    list of Patch

    Raises
    ------
    InputError
        If images and annotations do not belong together, or nothing is left to learn or validate on.
    """
    if len(images) != len(annotations):
        refuse("images and masks must belong together", expected=f"a mask or None for {len(images)} images",
               received=len(annotations), remedy="give one entry per image, in the same order")  # fmt: skip
    patches = [Patch(number, *each, config)
               for number, each in enumerate(zip(images, annotations, strict=True))]  # fmt: skip
    annotated = [number for number, patch in enumerate(patches) if patch.instances is not None]
    train = config.train
    wanted = train.validation
    if not isinstance(wanted, (int, float)):
        if not set(wanted) <= set(annotated):
            refuse("only annotated images can validate", expected=f"some of {annotated}", received=tuple(wanted),
                   remedy="mend `validation` in the config")  # fmt: skip
        wanted = [annotated.index(number) for number in wanted]
    for k in train_val_split(len(annotated), wanted, seed=train.seed)[1]:
        patches[annotated[k]].judges = True
    return patches
