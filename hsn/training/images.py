"""Training images: decoded when they are needed, kept in a cache with a limit in bytes.

A method gives one function that brings an image and its annotation to the net's scale. What it returns, a record of
arrays, is kept until the cache is full; the images used longest ago go first. So 500 images of 1000 x 1000 px need no
more memory than the limit.
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
    """Keeps results of a function by key, up to a number of bytes; the least recently used go first.

    Parameters
    ----------
    max_bytes : int, optional
        Default: `CACHE_BYTES`.

    Examples
    --------
    >>> cache = ImageCache(max_bytes=20)
    >>> [cache.get(k, lambda: (np.zeros(2),))[0].size for k in (1, 2, 1)], len(cache)
    ([2, 2, 2], 1)
    """

    def __init__(self, max_bytes: int | None = None) -> None:
        self._max_bytes, self._bytes = CACHE_BYTES if max_bytes is None else max_bytes, 0
        self._records: OrderedDict[Any, tuple[Any, int]] = OrderedDict()
        self._lock = Lock()  # crops are drawn in a thread, while the main thread may validate

    def __len__(self) -> int:
        return len(self._records)

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return the record of a key; make it if it is not kept."""
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
    """An image with its annotation, decoded when it is needed.

    Parameters
    ----------
    name : str
    image : uint8 array (H, W, 3), path, or TrainingImage
        Of another training image the pixels of its record are taken.
    annotation : object
        As the method takes it; kept as an attribute.
    prepare : callable
        ``(name, image, annotation) -> record``: a tuple of arrays at the net's scale, pixels first.
    cache : ImageCache

    Attributes
    ----------
    name : str
        Number of the image, from 0, and the name of its file without ending.
    """

    def __init__(self, name, image, annotation, prepare, cache) -> None:
        self.name, self._image, self.annotation = name, image, annotation
        self._prepare, self._cache = prepare, cache

    def original(self) -> np.ndarray:
        """Return the image as it came, uint8 (H, W, 3); decoded anew if it is a file."""
        if isinstance(self._image, TrainingImage):
            return self._image.load()[0]
        return as_image(self._image) if isinstance(self._image, np.ndarray) else read(self._image)

    def load(self) -> Any:
        """Return the record that `prepare` makes."""
        return self._cache.get(id(self), lambda: self._prepare(self.name, self.original(), self.annotation))


def training_images(
    images: Sequence[Any],
    annotations: Sequence[Any],
    prepare: Callable[[str, np.ndarray, Any], Any],
    *,
    max_bytes: int | None = None,
    progress=None,
) -> list[TrainingImage]:
    """Return the training images of all pairs, after each was decoded once.

    Errors in files and annotations come up here, before hours of training.

    Parameters
    ----------
    images : sequence of uint8 arrays (H, W, 3), or of paths
    annotations : sequence
        One for each image.
    prepare : callable
        See `TrainingImage`.
    max_bytes : int, optional
        Limit of the cache. Default: `CACHE_BYTES`, 2 GiB.
    progress : callable, optional

    Raises
    ------
    InputError
        "length-mismatch", or the code of what is wrong with an image or its annotation.
    """
    same_length("images", images, "annotations", annotations)
    cache = ImageCache(max_bytes)
    found = [
        TrainingImage(_name(number, image), image, annotation, prepare, cache)
        for number, (image, annotation) in enumerate(zip(images, annotations, strict=True))
    ]
    for image in track(found, progress, "reading images"):
        image.load()
    return found


def _name(number: int, image: Any) -> str:
    return f"{number:04d}" if isinstance(image, np.ndarray) else f"{number:04d}-{Path(image).stem}"
