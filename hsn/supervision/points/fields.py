"""Fields: images with clicks as the nets see them, and which parts of them only judge.

Where there are images enough some are held out whole. Of few images, or one, patches are held out: each image is cut
into a grid, and of its cells with clicks some are not learned from.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np

from ...annotations import points as point_files
from ...annotations.colors import resize_labels
from ...checks import as_image, same_length
from ...errors import refuse
from ...images.read import read
from ...images.scaling import rescale
from ...training.splits import train_val_split
from .target_maps import Given, encode

FEWEST_IMAGES = 4  # of fewer, patches are held out
GRID = 4  # such images are cut into so many rows and columns of patches


class Field:
    """An image and its clicks at the nets' scale, and what is made of them on the way.

    Attributes
    ----------
    name : str
        File name without ending, or a number.
    shape : (int, int)
        Of the image as it came.
    image : uint8 (h, w, 3)
    clicks : float32 (N, 2)
    held : bool (h, w)
        What is not learned from, and validates.
    surely : bool (h, w) or None
        Where a user says that there is no nucleus.
    background : bool (h, w) or None
        That, and what a detector added.
    found : float32 (M, 2) or None
        What a detector found.
    codes : uint8 (h, w) or None
        Coarse labels; see `hsn.supervision.points.target_maps.encode`.
    """

    def __init__(self, name, image, given, config):
        image = as_image(image) if isinstance(image, np.ndarray) else read(image)
        given = given if isinstance(given, Given) else Given(given)
        clicks = given.points
        if isinstance(clicks, str | Path):
            clicks = point_files.read(clicks, image.shape[:2])
        clicks = point_files.as_points(clicks, image.shape[:2], name=f"points of image {name}")
        self.name, self.shape = name, image.shape[:2]
        self.image = rescale(image, config.image_mpp, config.mpp)
        self._factor = np.divide(self.image.shape[:2], self.shape).astype(np.float32)
        self.clicks = (clicks + 0.5) * self._factor - 0.5
        self.held = np.zeros(self.image.shape[:2], bool)
        self.surely = self.background = self._resized(given.background)
        self.found = None
        self.codes = None if given.labels is None else self._of_this_size(encode(given.labels))

    def load(self):
        """Return the record of `hsn.training.sampling.CropSampler`: the pixels, and this field."""
        return self.image, self

    def at_image(self, points):
        """Points at the scale of the image as it came."""
        return (np.asarray(points, np.float32) + 0.5) / self._factor - 0.5

    def at_net(self, points):
        """Points of the image as it came, at the nets' scale."""
        return (np.asarray(points, np.float32) + 0.5) * self._factor - 0.5

    def _resized(self, background):
        if background is None:
            return None
        if np.shape(background) != self.shape or np.asarray(background).dtype != bool:
            refuse(f"the background of image {self.name} must be a mask of its size",
                   expected=f"bool {self.shape}", remedy="compare a label image with its background",
                   received=f"{np.asarray(background).dtype} {np.shape(background)}")  # fmt: skip
        return resize_labels(background.astype(np.uint8), self.image.shape[:2]) > 0

    def _of_this_size(self, codes):
        if codes.shape != self.image.shape[:2]:
            refuse(f"labels of image {self.name} must be at the net's scale", expected=self.image.shape[:2],
                   received=codes.shape, remedy="make them of the resized image")  # fmt: skip
        return codes


def fields_of(images, annotations, config):
    """Fields of all images, with what validates marked.

    Parameters
    ----------
    images : sequence of uint8 arrays (H, W, 3), or of paths
    annotations : sequence of float arrays (N, 2), of paths, or of Given
    config : Config

    Returns
    -------
    list of Field

    Raises
    ------
    InputError
        If images and clicks do not belong together, or nothing is left to learn or validate on.
    """
    same_length("images", images, "annotations", annotations)
    fields = [Field(name, image, given, config)
              for name, image, given in zip(_names(images), images, annotations, strict=True)]  # fmt: skip
    train = config.train
    if isinstance(train.validation, float) and len(fields) < FEWEST_IMAGES:
        _hold_patches_out(fields, train)
    else:
        for k in train_val_split(len(fields), train.validation, seed=train.seed)[1]:
            fields[k].held[:] = True
    if not any(len(clicks_in(field, ~field.held)) for field in fields):
        refuse("there is no click to learn from", expected="some on the images that do not validate", received="none",
               remedy="click more nuclei, or hold less out")  # fmt: skip
    return fields


def clicks_in(field, where):
    """The clicks of a field that lie where a mask says, float32 (N, 2)."""
    return inside(field.clicks, where)


def inside(points, where):
    """Those of some points that lie in a mask.

    Examples
    --------
    >>> inside(np.array([[0.0, 0.0], [0.2, 1.4]]), np.array([[False, True]])).tolist()
    [[0.2, 1.4]]
    """
    rows, columns = point_files.to_pixels(points, where.shape).T
    return points[where[rows, columns]]


def _hold_patches_out(fields, train):
    """Mark a share of the patches with clicks."""
    patches = []
    for field in fields:
        rows, columns = (np.linspace(0, side, GRID + 1).astype(int) for side in field.held.shape)
        for r0, r1 in pairwise(rows):
            for c0, c1 in pairwise(columns):
                where = np.zeros(field.held.shape, bool)
                where[r0:r1, c0:c1] = True
                if len(clicks_in(field, where)):
                    patches.append((field, np.s_[r0:r1, c0:c1]))
    if len(patches) < 2:
        refuse("there are too few clicks to learn from some and judge by others", received=len(patches),
               expected=f"clicks in 2 or more of {GRID} x {GRID} patches of an image",
               remedy="click nuclei all over the image")  # fmt: skip
    for k in train_val_split(len(patches), train.validation, seed=train.seed)[1]:
        field, patch = patches[k]
        field.held[patch] = True


def _names(images):
    """A name for each image that can be a file's."""
    names = [
        f"{k:04d}" if isinstance(image, np.ndarray) else Path(image).stem for k, image in enumerate(images)
    ]
    twice = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else ()
    return [f"{name}-{k:04d}" if name in twice else name for k, name in enumerate(names)]
