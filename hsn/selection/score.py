"""Score: how well a patch stands for its cluster, and how even it is in itself.

Lou et al., Which Pixel to Annotate: a Label-Efficient Nuclei Segmentation Framework, IEEE TMI 2022. Of a cluster of
patches that one is taken which lies near the centre (it is like the others), whose four quarters lie near the
commonest texture of the cluster, and whose quarters are like each other (all of it is worth outlining).
"""

from itertools import combinations

import numpy as np

QUARTERS = 4  # top left, top right, bottom left, bottom right


def terms(features, quarters, centre, texture):
    """The three parts of the score of each patch; less is better, and the score is their sum.

    Parameters
    ----------
    features : float array, shape (n, d)
        Of whole patches.
    quarters : float array, shape (n, 4, d)
        Of their quarters.
    centre : float array, shape (d,)
        Of the patches' cluster.
    texture : float array, shape (d,)
        Centre of the quarters' commonest cluster.

    Returns
    -------
    float64 array, shape (n, 3)
        Distance to the centre; mean distance of the quarters to the texture; largest distance between two quarters.

    References
    ----------
    .. [1] Lou et al., IEEE TMI 2022, and its released code.

    Examples
    --------
    >>> terms([[3, 4]], [[[0, 0], [0, 0], [0, 0], [0, 8]]], centre=[0, 0], texture=[0, 0]).tolist()
    [[5.0, 2.0, 8.0]]
    """
    features, quarters = np.asarray(features, np.float64), np.asarray(quarters, np.float64)
    apart = [_length(quarters[:, q] - quarters[:, r]) for q, r in combinations(range(QUARTERS), 2)]
    to_texture = _length(quarters - texture).mean(axis=1)
    return np.stack([_length(features - centre), to_texture, np.max(apart, axis=0)], axis=1)


def commonest(labels, k):
    """The cluster with most members, the first of equals.

    Examples
    --------
    >>> commonest([2, 1, 1, 2, 0], 4)
    1
    """
    return int(np.bincount(np.ravel(labels), minlength=k).argmax())


def best(scores, quarter_labels, texture):
    """The patch of least score among those with a quarter of the commonest texture, the first of equals.

    Parameters
    ----------
    scores : float array, shape (n,)
    quarter_labels : int array, shape (n, 4)
        Cluster of each quarter.
    texture : int
        The commonest of these clusters.

    Returns
    -------
    int

    Examples
    --------
    >>> best([1.0, 3.0, 3.0], [[0, 0, 0, 0], [0, 0, 0, 1], [1, 1, 1, 1]], texture=1)
    1
    """
    eligible = (np.asarray(quarter_labels) == texture).any(axis=1)
    return int(np.where(eligible, scores, np.inf).argmin())


def _length(vectors):
    return np.sqrt(np.square(vectors).sum(axis=-1))
