"""Macenko's normalization: the two stains of an image are found, and exchanged for those of another.

In optical density (`hsn.stains.density`) the pixels of H&E lie in a plane through white, between the directions of
haematoxylin and eosin. The plane is that of the two largest singular vectors; the directions are the robust ends of the
pixels' angles in it; robust largest amounts tell how strong each stain is.

After Macenko et al., "A method for normalizing histology slides for quantitative analysis" (ISBI, 2009). Differences:
what neither stain explains (pigment, blood) is kept and not dropped, so that an image normalize to itself stays as it
is; a pixel is tissue by the mean of its densities, since eosin takes hardly any red light and would fall out by the
least of them; an image in which two stains cannot be found keeps its hues.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..checks import as_image
from ..errors import refuse
from .density import completed, density, light, restained

_GLASS = 0.15  # mean density below which a pixel shows glass; the paper's beta
_ENDS = (1.0, 99.0)  # percentiles of angles; the paper's alpha
_HIGHEST = 99.0  # percentile of amounts; the paper's pseudo-maximum
_LEAST_TISSUE = 200  # pixels; from fewer no percentile of 1 can be read
_LEAST_APART_DEG = 8.0  # ends of angles that are nearer come from one stain and noise (H and E: 20 to 45)
_FAINT = 0.15  # largest amount below which a stain is not there, and is not made stronger
_SAMPLE = 250_000  # pixels are enough for percentiles


class Stains(NamedTuple):
    """The stains of an image.

    Attributes
    ----------
    vectors : float64 array, shape (2, 3)
        Directions of haematoxylin and eosin in density, of length 1.
    highest : float64 array, shape (2,)
        The 99th percentile of the amount of each.
    """

    vectors: np.ndarray
    highest: np.ndarray


def measured(image):
    """Find the stains of an image.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)

    Returns
    -------
    Stains or None
        None where there is too little tissue, or only one stain.

    References
    ----------
    .. [1] Macenko et al., ISBI 2009.

    Examples
    --------
    >>> from hsn.stains.density import HAEMATOXYLIN_EOSIN
    >>> amounts = np.random.default_rng(0).dirichlet((0.4, 0.4, 1), (60, 60))
    >>> made = measured(recompose(amounts * (1, 1, 0), HAEMATOXYLIN_EOSIN))
    >>> made.vectors.round(1).tolist()
    [[0.7, 0.7, 0.3], [0.1, 1.0, 0.1]]
    >>> measured(np.full((60, 60, 3), 250, np.uint8)) is None
    True
    """
    tissue = _tissue(image)
    if len(tissue) < _LEAST_TISSUE:
        return None
    plane = np.linalg.eigh(tissue.T @ tissue)[1][:, :0:-1]  # (3, 2), the largest first
    plane = plane * np.where(plane.sum(axis=0) < 0, -1, 1)  # light is taken, not given
    along, across = (tissue @ plane).T
    ends = np.percentile(np.arctan2(across, along), _ENDS)
    if np.degrees(ends[1] - ends[0]) < _LEAST_APART_DEG:
        return None
    vectors = np.stack([np.cos(ends), np.sin(ends)], axis=1) @ plane.T  # (2, 3)
    vectors = np.maximum(vectors, 0)  # noise can lead below: no dye gives light
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    # Haematoxylin is the stain that takes more red light.
    vectors = vectors[np.argsort(-vectors[:, 0])]
    return Stains(vectors, _highest(tissue, vectors))


def separate(image, vectors):
    """How much of each stain every pixel holds.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    vectors : float array, shape (2, 3) or (3, 3)
        A row for each stain; beside two, the third amount is what neither explains.

    Returns
    -------
    float32 array, shape (H, W, 3)

    Examples
    --------
    >>> image = np.array([[[10, 20, 30]]], np.uint8)
    >>> recompose(separate(image, [[0.6, 0.7, 0.3], [0.1, 1.0, 0.1]]), [[0.6, 0.7, 0.3], [0.1, 1.0, 0.1]]).tolist()
    [[[10, 20, 30]]]
    """
    return density(image) @ np.linalg.inv(completed(vectors)).astype(np.float32)


def recompose(amounts, vectors):
    """The image of amounts of stains: float (H, W, 3) -> uint8 (H, W, 3); see `separate`."""
    densities = np.asarray(amounts, np.float32) @ completed(vectors).astype(np.float32)
    return np.rint(light(densities)).astype(np.uint8)


@dataclass(frozen=True)
class Macenko:
    """Stains to bring images to.

    Attributes
    ----------
    haematoxylin, eosin : tuple of 3 float
        Directions in optical density: red, green, blue.
    highest : (float, float)
        The 99th percentile of the amount of each.

    Examples
    --------
    >>> amounts = np.random.default_rng(0).dirichlet((0.4, 0.4, 1), (60, 60)) * (1, 1, 0)
    >>> image = recompose(amounts, [[0.65, 0.7, 0.3], [0.1, 1, 0.1]])
    >>> other = recompose(amounts, [[0.6, 0.75, 0.2], [0, 1, 0.2]])
    >>> bool(np.abs(Macenko.of([image]).normalize(other).astype(float) - image).mean() < 3)
    True
    """

    haematoxylin: tuple[float, float, float]
    eosin: tuple[float, float, float]
    highest: tuple[float, float]
    method: str = field(default="macenko", init=False)

    def __post_init__(self):
        completed([self.haematoxylin, self.eosin])
        if len(self.highest) != 2 or not min(self.highest) > 0 or not np.isfinite(self.highest).all():
            refuse("Macenko's target has largest amounts of two stains", expected="two numbers above 0",
                   received=self.highest, remedy="measure them with Macenko.of")  # fmt: skip

    @classmethod
    def of(cls, images):
        """The stains of some images: the median of each number over the images in which two stains are found.

        Parameters
        ----------
        images : iterable of uint8 arrays (H, W, 3)

        Raises
        ------
        InputError
            If two stains are found in none.
        """
        told = [stains for stains in map(measured, images) if stains is not None]
        if not told:
            refuse("two stains are found in none of the images", expected="an image with tissue in two stains",
                   received="none", remedy="give a larger or fuller piece of the slide")  # fmt: skip
        vectors = np.median([stains.vectors for stains in told], axis=0)
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        highest = np.median([stains.highest for stains in told], axis=0)
        return cls(*(tuple(v) for v in vectors.tolist()), tuple(highest.tolist()))

    def normalize(self, image):
        """The image in these stains: uint8 (H, W, 3) -> uint8 (H, W, 3).

        One stain alone keeps its hue and is made as strong as here; an image of glass stays.
        """
        matrix = self._matrix(as_image(image))
        return np.rint(restained(image, matrix, np.zeros(3))).astype(np.uint8)

    def _matrix(self, image):
        """What densities are to be multiplied by, (3, 3)."""
        target, own = np.array([self.haematoxylin, self.eosin]), measured(image)
        if own is not None:
            strength = [t / s if s >= _FAINT else 1.0 for s, t in zip(own.highest, self.highest, strict=True)]
            return np.linalg.solve(completed(own.vectors), np.diag([*strength, 1.0]) @ completed(target))
        tissue = _tissue(image)
        if len(tissue) < _LEAST_TISSUE:
            return np.eye(3)
        highest = _highest(tissue, target)
        alone = highest.argmax()
        return np.eye(3) * self.highest[alone] / highest[alone]


def _tissue(image):
    """Densities of pixels that are no glass, float64 (n, 3); of large images a regular part."""
    densities = density(image).reshape(-1, 3)
    densities = densities[:: -(-len(densities) // _SAMPLE)]
    return densities[densities.mean(axis=1) >= _GLASS].astype(np.float64)


def _highest(tissue, vectors):
    amounts = tissue @ np.linalg.inv(completed(vectors))
    return np.percentile(amounts[:, :2], _HIGHEST, axis=0)
