"""Process large arrays in strips of rows, so that temporary arrays stay small. Results are those of the whole array."""

from collections.abc import Iterator

import numpy as np

_STRIP_PIXELS = 2**22  # 32 MB as int64


def strips(shape: tuple[int, ...]) -> Iterator[slice]:
    """Yield the rows of an array of a shape, strip by strip.

    Examples
    --------
    >>> list(strips((3, 2**21, 3)))
    [slice(0, 2, None), slice(2, 3, None)]
    """
    rows = max(1, _STRIP_PIXELS // max(1, shape[1]))
    for top in range(0, shape[0], rows):
        yield slice(top, min(top + rows, shape[0]))


def count_labels(labels: np.ndarray, *, minlength: int = 0) -> np.ndarray:
    """Return the number of pixels of each label, int64 (n,); `labels` is int (H, W), 0 or above.

    Examples
    --------
    >>> count_labels(np.array([[0, 2, 2]])).tolist()
    [1, 0, 2]
    """
    counts = np.zeros(max(minlength, int(labels.max(initial=0)) + 1), np.int64)
    for rows in strips(labels.shape):
        counts += np.bincount(labels[rows].astype(np.intp).ravel(), minlength=len(counts))
    return counts


def most_probable(maps: np.ndarray) -> np.ndarray:
    """Return the class with the highest value of each pixel, (H, W, C) -> int32 (H, W).

    Examples
    --------
    >>> most_probable(np.array([[[0.1, 0.9], [0.8, 0.2]]])).tolist()
    [[1, 0]]
    """
    labels = np.empty(maps.shape[:2], np.int32)
    for rows in strips(labels.shape):
        labels[rows] = maps[rows].argmax(axis=2)
    return labels


def look_up(table: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return ``table[labels]`` for a table (n,) and labels (H, W); NumPy alone would copy the labels as int64.

    Examples
    --------
    >>> look_up(np.array([5, 7]), np.array([[1, 0]])).tolist()
    [[7, 5]]
    """
    found = np.empty(labels.shape, table.dtype)
    for rows in strips(labels.shape):
        found[rows] = table[labels[rows].astype(np.intp)]
    return found
