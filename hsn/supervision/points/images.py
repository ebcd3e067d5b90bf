"""Images with points, at the nets' scale, and the parts of them that validate.

With four images or more, some validate as a whole. With fewer, each image is cut into a grid, and some of the grid's
cells with clicks validate.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from skimage.draw import polygon

from ...annotations import points as point_files
from ...annotations.colors import resize_labels
from ...annotations.label_files import read_labels
from ...annotations.mask_files import read as read_masks
from ...checks import same_length
from ...errors import InputError
from ...images.scaling import rescale
from ...losses.objects import compute_weights
from ...progress import track
from ...training.images import ImageCache, TrainingImage
from ...training.splits import train_val_split
from .target_maps import PointAnnotation, encode

MIN_IMAGES = 4  # with fewer images, cells of a grid validate
GRID = 4  # rows and columns of cells of such an image


class PointRecord(NamedTuple):
    """An image at the nets' scale, and all that is known about it.

    Attributes
    ----------
    pixels : uint8 (h, w, 3)
    clicks : float32 (N, 2)
    val_mask : bool (h, w)
        Pixels that validate, and are not trained on.
    background : bool (h, w) or None
        Known background: that of the user, and that of the last detector.
    codes : uint8 (h, w) or None
        Coarse labels; see `hsn.supervision.points.target_maps.encode`.
    instances, weight : int32 (h, w), float32 (h, w), or None
        Objects for the last stage, 0 background, and the weight of each pixel, 0 where it is unknown.
    """

    pixels: np.ndarray
    clicks: np.ndarray
    val_mask: np.ndarray
    background: np.ndarray | None
    codes: np.ndarray | None
    instances: np.ndarray | None
    weight: np.ndarray | None


class PointImage(TrainingImage):
    """An image with points; pixels and masks are decoded when they are needed.

    Parameters
    ----------
    name : str
    image : uint8 array (H, W, 3), or path
    annotation : PointAnnotation, float array (N, 2), or path
    config : Config
    cache : ImageCache

    Attributes
    ----------
    name : str
        Name of the files that are written for the image.
    shape, net_shape : (int, int)
        Height and width at the image's own scale, and at the nets' scale.
    clicks : float32 (N, 2)
        At the nets' scale.
    val_boxes : tuple of (row, row, column, column)
        First and last + 1 of the pixels that validate.
    found : float32 (M, 2) or None
        Points of the last detector, at the nets' scale.
    background_file, codes_file : pathlib.Path or None
        Background of the last detector, and coarse labels, at the nets' scale.
    objects_files : (pathlib.Path, pathlib.Path) or None
        Label image of the objects for the last stage, and mask of the known pixels, at the nets' scale.

    Raises
    ------
    InputError
        "background-mask", "labels-shape", or the code of what is wrong with the image or its points.
    """

    def __init__(self, name, image, annotation, config, cache):
        annotation = annotation if isinstance(annotation, PointAnnotation) else PointAnnotation(annotation)
        super().__init__(name, image, annotation, None, cache)
        self._image_mpp, self._net_mpp, self._targets = config.image_mpp, config.mpp, config.targets
        self.val_boxes, self.found = (), None
        self.background_file, self.codes_file, self.objects_files = None, None, None
        original = self.original()
        pixels = rescale(original, self._image_mpp, self._net_mpp)
        self.shape, self.net_shape = original.shape[:2], pixels.shape[:2]
        self._factor = np.divide(self.net_shape, self.shape).astype(np.float32)
        clicks = annotation.points
        if isinstance(clicks, str | Path):
            clicks = point_files.read(clicks, self.shape)
        clicks = point_files.as_points(clicks, self.shape, name=f"points of image {name}")
        self.clicks = self.to_net_scale(clicks)
        self._cache.get(self._key(), lambda: self._make_record(pixels))

    def load(self):
        """Return the `PointRecord` of the image."""
        return self._cache.get(
            self._key(), lambda: self._make_record(rescale(self.original(), self._image_mpp, self._net_mpp))
        )

    def _key(self):
        return id(self), self.val_boxes, self.background_file, self.codes_file, self.objects_files

    def _make_record(self, pixels):
        background, codes = self._background(), self._codes()
        return PointRecord(pixels, self.clicks, self.val_mask(), background, codes, *self._objects())

    def to_image_scale(self, points):
        """Move points from the nets' scale to the image's own scale."""
        return (np.asarray(points, np.float32) + 0.5) / self._factor - 0.5

    def to_net_scale(self, points):
        """Move points from the image's own scale to the nets' scale."""
        return (np.asarray(points, np.float32) + 0.5) * self._factor - 0.5

    def val_mask(self):
        """Return the pixels that validate, bool (h, w)."""
        mask = np.zeros(self.net_shape, bool)
        for top, bottom, left, right in self.val_boxes:
            mask[top:bottom, left:right] = True
        return mask

    @property
    def train_pixels(self):
        """Number of pixels that are trained on."""
        validating = sum((bottom - top) * (right - left) for top, bottom, left, right in self.val_boxes)
        return self.net_shape[0] * self.net_shape[1] - validating

    def train_clicks(self):
        """Return the clicks that are trained on."""
        return points_in(self.clicks, ~self.val_mask())

    def val_clicks(self):
        """Return the clicks that validate."""
        return points_in(self.clicks, self.val_mask())

    @property
    def has_codes(self):
        """Return whether the image has coarse labels."""
        return self.annotation.labels is not None or self.codes_file is not None

    def _background(self):
        """Return the known background of the user and of the last detector, or None."""
        found = None if self.background_file is None else read_labels(self.background_file) > 0
        masks = [
            mask for mask in (self._given_background(), self._complete_region(), found) if mask is not None
        ]
        return np.logical_or.reduce(masks) if masks else None

    def _given_background(self):
        """Return the background mask of the user at the nets' scale, or None."""
        given = self.annotation.background
        if given is None:
            return None
        given = np.asarray(given) if isinstance(given, np.ndarray) else read_masks(given, self.shape) > 0
        if given.shape != self.shape or given.dtype != bool:
            raise InputError(
                "background-mask",
                f"the background of image {self.name} must be a mask of its size, bool {self.shape}",
                got=f"{given.dtype} {given.shape}",
                hint="compare a label image with its background",
            )
        return resize_labels(given.astype(np.uint8), self.net_shape) > 0

    def _complete_region(self):
        """Return where every nucleus is clicked, bool (h, w); the peaks of clicks take precedence. None: nowhere."""
        regions = self.annotation.complete_regions
        if not regions:
            return None
        mask = np.zeros(self.net_shape, bool)
        for corners in regions:
            mask[polygon(*self.to_net_scale(corners).T, self.net_shape)] = True
        return mask

    def _codes(self):
        """Return the coarse labels of the user, or the computed ones, or None."""
        labels = self.annotation.labels
        if labels is None:
            labels = self.codes_file
        if labels is None:
            return None
        codes = read_labels(labels).astype(np.uint8) if isinstance(labels, str | Path) else encode(labels)
        if codes.shape != self.net_shape:
            raise InputError(
                "labels-shape",
                f"labels of image {self.name} must be at the net's scale, {self.net_shape}",
                got=codes.shape,
                hint="make them from the resized image",
            )
        return codes

    def _objects(self):
        """Return the objects for the last stage and their weights, or None and None."""
        if self.objects_files is None:
            return None, None
        instances, known = map(read_labels, self.objects_files)
        sigma_px = self._targets.border_sigma_um / self._net_mpp
        weight = compute_weights(instances, sigma_px=sigma_px, height=self._targets.border_weight)
        return instances.astype(np.int32), np.where(known > 0, weight, 0).astype(np.float32)


def load_images(images, annotations, config, *, progress=None):
    """Return the `PointImage` of each image, with the parts that validate.

    Parameters
    ----------
    images : sequence of uint8 arrays (H, W, 3), or of paths
    annotations : sequence of float arrays (N, 2), of paths, or of PointAnnotation
    config : Config
    progress : callable, optional

    Returns
    -------
    list of PointImage

    Raises
    ------
    InputError
        "length-mismatch", "split-empty", "clicks-missing", "clicks-too-few", or the codes of `PointImage`.
    """
    same_length("images", images, "annotations", annotations)
    cache, train = ImageCache(), config.train
    inputs = list(zip(_file_names(images), images, annotations, strict=True))
    loaded = [PointImage(*each, config, cache) for each in track(inputs, progress, "reading images")]
    if isinstance(train.validation, float) and len(loaded) < MIN_IMAGES:
        _hold_out_cells(loaded, train)
    else:
        for k in train_val_split(len(loaded), train.validation, seed=train.seed)[1]:
            height, width = loaded[k].net_shape
            loaded[k].val_boxes = ((0, height, 0, width),)
    if not any(len(image.train_clicks()) for image in loaded):
        raise InputError(
            "clicks-missing",
            "some clicks must be on images that do not validate",
            got="none",
            hint="click more nuclei, or hold out less",
        )
    return loaded


def split(images):
    """Return the images for training and the images for validation; an image can be in both."""
    return [image for image in images if image.train_pixels], [image for image in images if image.val_boxes]


def points_in(points, mask):
    """Return the points that lie in a mask.

    Examples
    --------
    >>> points_in(np.array([[0.0, 0.0], [0.2, 1.4]]), np.array([[False, True]])).tolist()
    [[0.2, 1.4]]
    """
    rows, columns = point_files.to_pixels(points, mask.shape).T
    return points[mask[rows, columns]]


def _hold_out_cells(images: Sequence[PointImage], train):
    """Choose the validation cells, a share of all grid cells with clicks."""
    cells = []
    for image in images:
        rows, columns = (np.linspace(0, side, GRID + 1).astype(int).tolist() for side in image.net_shape)
        for top, bottom in pairwise(rows):
            for left, right in pairwise(columns):
                mask = np.zeros(image.net_shape, bool)
                mask[top:bottom, left:right] = True
                if len(points_in(image.clicks, mask)):
                    cells.append((image, (top, bottom, left, right)))
    if len(cells) < 2:
        raise InputError(
            "clicks-too-few",
            f"clicks must be in 2 or more of the {GRID} x {GRID} cells of an image, to train and to validate",
            got=len(cells),
            hint="click nuclei all over the image",
        )
    for k in train_val_split(len(cells), train.validation, seed=train.seed)[1]:
        image, box = cells[k]
        image.val_boxes += (box,)


def _file_names(images):
    """Return a unique name for each image, which can be the name of a file."""
    names = [
        f"{k:04d}" if isinstance(image, np.ndarray) else Path(image).stem for k, image in enumerate(images)
    ]
    repeated = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else ()
    return [f"{name}-{k:04d}" if name in repeated else name for k, name in enumerate(names)]
