"""Training images: decoded on demand and cached up to a limit in bytes.

A method gives one function that rescales an image and its annotation and returns a record of arrays. The cache keeps
records until it is full, and then drops the least recently used ones. Memory does not depend on the number of images.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from ..checks import as_image, same_length
from ..images.read import read
from ..progress import track

CACHE_BYTES = 2 * 2**30


class ImageCache:
    """Caches records by key up to a number of bytes; drops the least recently used first.

    Parameters
    ----------
    max_bytes : int, optional
        Default: `CACHE_BYTES`, 2 GiB.

    Examples
    --------
    >>> cache = ImageCache(max_bytes=20)
    >>> [cache.get(k, lambda: (np.zeros(2),))[0].size for k in (1, 2, 1)], len(cache)
    ([2, 2, 2], 1)
    """

    def __init__(self, max_bytes: int | None = None) -> None:
        self._max_bytes, self._bytes = CACHE_BYTES if max_bytes is None else max_bytes, 0
        self._records: OrderedDict[Any, tuple[Any, int]] = OrderedDict()
        self._lock = Lock()  # a thread draws crops while the main thread validates

    def __len__(self) -> int:
        return len(self._records)

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return the cached record of a key, or make it."""
        with self._lock:
            if key in self._records:
                self._records.move_to_end(key)
                return self._records[key][0]
        record = make()
        size = sum(part.nbytes for part in record if isinstance(part, np.ndarray))
        with self._lock:
            if key not in self._records:
                self._records[key] = record, size
                self._bytes += size
            while self._bytes > self._max_bytes and len(self._records) > 1:
                _, (_, freed) = self._records.popitem(last=False)
                self._bytes -= freed
        return record


class TrainingImage:
    """An image with its annotation, decoded on demand.

    Parameters
    ----------
    name : str
    image : uint8 array (H, W, 3), path, or TrainingImage
        A training image gives the pixels of its record.
    annotation : object
        Annotation in the form of the method.
    prepare : callable
        ``(name, image, annotation) -> record``: a tuple of arrays at the net's scale, pixels first.
    cache : ImageCache

    Attributes
    ----------
    name : str
        Index of the image and the stem of its file: "0003-slide".
    annotation : object
    """

    def __init__(self, name, image, annotation, prepare, cache) -> None:
        self.name, self._image, self.annotation = name, image, annotation
        self._prepare, self._cache = prepare, cache

    def original(self) -> np.ndarray:
        """Return the image before `prepare`, uint8 (H, W, 3); a file is decoded again."""
        if isinstance(self._image, TrainingImage):
            return self._image.load()[0]
        return as_image(self._image) if isinstance(self._image, np.ndarray) else read(self._image)

    def load(self) -> Any:
        """Return the record that `prepare` makes, from the cache if possible."""
        return self._cache.get(id(self), lambda: self._prepare(self.name, self.original(), self.annotation))


def training_images(
    images: Sequence[Any],
    annotations: Sequence[Any],
    prepare: Callable[[str, np.ndarray, Any], Any],
    *,
    max_bytes: int | None = None,
    visit: Callable[[TrainingImage, Any], None] | None = None,
    progress=None,
) -> list[TrainingImage]:
    """Make the training images of all pairs, and decode each once.

    Invalid files and annotations raise here, before the training starts.

    Parameters
    ----------
    images : sequence of uint8 arrays (H, W, 3), or of paths
    annotations : sequence
        One for each image.
    prepare : callable
        See `TrainingImage`.
    max_bytes : int, optional
        Limit of the cache. Default: `CACHE_BYTES`, 2 GiB.
    visit : callable, optional
        ``(training image, record) -> None``: called once for each image, in the pass over all images.
    progress : callable, optional

    Raises
    ------
    InputError
        "length-mismatch", or an error of an image or its annotation.
    """
    same_length("images", images, "annotations", annotations)
    cache = ImageCache(max_bytes)
    found = [
        TrainingImage(_name(number, image), image, annotation, prepare, cache)
        for number, (image, annotation) in enumerate(zip(images, annotations, strict=True))
    ]
    for image in track(found, progress, "reading images"):
        record = image.load()
        if visit is not None:
            visit(image, record)
    return found


def _name(number: int, image: Any) -> str:
    return f"{number:04d}" if isinstance(image, np.ndarray) else f"{number:04d}-{Path(image).stem}"
