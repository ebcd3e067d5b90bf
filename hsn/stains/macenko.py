"""Macenko's stain normalization: estimate the two stains of an image and replace them by reference stains.

In optical density (`hsn.stains.density`), H&E pixels lie in a plane between the directions of hematoxylin and eosin.
The two largest singular vectors span the plane. Percentiles of the pixels' angles in the plane give the two stain
directions, and percentiles of the amounts give their strength.

References
----------
.. [1] Macenko et al., "A method for normalizing histology slides for quantitative analysis", ISBI 2009. Differences:
   the residual (pigment, blood) is kept, so that an image normalized to itself is unchanged. A pixel is tissue by its
   mean density, because eosin absorbs little red light. An image without two stains keeps its hues.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ..checks import as_image
from ..errors import InputError
from .density import complete_basis, from_density, optical_density, transform_density

_MIN_TISSUE_DENSITY = 0.15  # mean density below which a pixel is glass; beta in the paper
_ANGLE_PERCENTILES = (1.0, 99.0)  # alpha in the paper
_AMOUNT_PERCENTILE = 99.0  # pseudo-maximum in the paper
_MIN_TISSUE_PX = 200  # fewer pixels give no reliable 1st percentile
_MIN_ANGLE_DEG = 8.0  # smaller angles come from one stain and noise (H&E: 20 to 45)
_FAINT = 0.15  # stains with a smaller maximum amount are not amplified
_MAX_SAMPLE_PX = 250_000  # enough pixels for percentiles


class Stains(NamedTuple):
    """The stains of an image.

    Attributes
    ----------
    vectors : float64 array, shape (2, 3)
        Unit directions of hematoxylin and eosin in optical density.
    max_amounts : float64 array, shape (2,)
        99th percentile of the amount of each.
    """

    vectors: np.ndarray
    max_amounts: np.ndarray


def estimate_stains(image: npt.ArrayLike) -> Stains | None:
    """Estimate the two stains of an image.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)

    Returns
    -------
    Stains or None
        None if there are fewer than 200 tissue pixels or only one stain.

    References
    ----------
    .. [1] Macenko et al., ISBI 2009.

    Examples
    --------
    >>> from hsn.stains.density import HEMATOXYLIN_EOSIN
    >>> amounts = np.random.default_rng(0).dirichlet((0.4, 0.4, 1), (60, 60))
    >>> stains = estimate_stains(combine_stains(amounts * (1, 1, 0), HEMATOXYLIN_EOSIN))
    >>> stains.vectors.round(1).tolist()
    [[0.7, 0.7, 0.3], [0.1, 1.0, 0.1]]
    >>> estimate_stains(np.full((60, 60, 3), 250, np.uint8)) is None
    True
    """
    tissue = _tissue_density(image)
    if len(tissue) < _MIN_TISSUE_PX:
        return None
    plane = np.linalg.eigh(tissue.T @ tissue)[1][:, :0:-1]  # (3, 2), largest eigenvalue first
    plane = plane * np.where(plane.sum(axis=0) < 0, -1, 1)  # stains absorb light
    along, across = (tissue @ plane).T
    ends = np.percentile(np.arctan2(across, along), _ANGLE_PERCENTILES)
    if np.degrees(ends[1] - ends[0]) < _MIN_ANGLE_DEG:
        return None
    vectors = np.stack([np.cos(ends), np.sin(ends)], axis=1) @ plane.T  # (2, 3)
    vectors = np.maximum(vectors, 0)  # noise can give negative absorption
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    # Hematoxylin absorbs more red light than eosin.
    vectors = vectors[np.argsort(-vectors[:, 0])]
    return Stains(vectors, _max_amounts(tissue, vectors))


def separate_stains(image: npt.ArrayLike, vectors: npt.ArrayLike) -> np.ndarray:
    """Compute the amount of each stain per pixel.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    vectors : float array, shape (2, 3) or (3, 3)
        One stain per row. With two stains, the third amount is the residual.

    Returns
    -------
    float32 array, shape (H, W, 3)

    Examples
    --------
    >>> image, stains = np.array([[[10, 20, 30]]], np.uint8), [[0.6, 0.7, 0.3], [0.1, 1.0, 0.1]]
    >>> combine_stains(separate_stains(image, stains), stains).tolist()
    [[[10, 20, 30]]]
    """
    return optical_density(image) @ np.linalg.inv(complete_basis(vectors)).astype(np.float32)


def combine_stains(amounts: npt.ArrayLike, vectors: npt.ArrayLike) -> np.ndarray:
    """Compute the image of stain amounts: float (H, W, 3) -> uint8 (H, W, 3); inverse of `separate_stains`."""
    density = np.asarray(amounts, np.float32) @ complete_basis(vectors).astype(np.float32)
    return np.rint(from_density(density)).astype(np.uint8)


@dataclass(frozen=True)
class Macenko:
    """Reference stains for Macenko normalization.

    Attributes
    ----------
    hematoxylin, eosin : tuple of 3 float
        Directions in optical density: red, green, blue.
    max_amounts : (float, float)
        99th percentile of the amount of each.

    Raises
    ------
    InputError
        "stain-amounts", "stains-shape" or "stains-parallel".

    Examples
    --------
    >>> amounts = np.random.default_rng(0).dirichlet((0.4, 0.4, 1), (60, 60)) * (1, 1, 0)
    >>> image = combine_stains(amounts, [[0.65, 0.7, 0.3], [0.1, 1, 0.1]])
    >>> other = combine_stains(amounts, [[0.6, 0.75, 0.2], [0, 1, 0.2]])
    >>> bool(np.abs(Macenko.fit([image]).normalize(other).astype(float) - image).mean() < 3)
    True
    """

    hematoxylin: tuple[float, float, float]
    eosin: tuple[float, float, float]
    max_amounts: tuple[float, float]
    method: str = field(default="macenko", init=False)

    def __post_init__(self) -> None:
        complete_basis([self.hematoxylin, self.eosin])
        amounts = self.max_amounts
        if len(amounts) != 2 or not min(amounts) > 0 or not np.isfinite(amounts).all():
            raise InputError(
                "stain-amounts",
                "`max_amounts` must be two numbers above 0",
                got=amounts,
                hint="measure them with Macenko.fit",
            )

    @classmethod
    def fit(cls, images: Iterable[np.ndarray]) -> Self:
        """Measure reference stains of images, uint8 (H, W, 3): the median over all images with two stains.

        Raises an `InputError`, "stains-not-found", if no image has two stains.
        """
        found = [stains for stains in map(estimate_stains, images) if stains is not None]
        if not found:
            raise InputError(
                "stains-not-found",
                "at least one image must show tissue in two stains",
                got="none",
                hint="give larger images, or images with more tissue",
            )
        vectors = np.median([stains.vectors for stains in found], axis=0)
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        amounts = np.median([stains.max_amounts for stains in found], axis=0)
        hematoxylin, eosin = (tuple(v) for v in vectors.tolist())
        return cls(hematoxylin, eosin, tuple(amounts.tolist()))

    def normalize(self, image: npt.ArrayLike, *, like: npt.ArrayLike | None = None) -> np.ndarray:
        """Replace the stains of an image by these: uint8 (H, W, 3) -> uint8 (H, W, 3).

        An image with one stain keeps its hue; only the strength changes. An image of glass is unchanged. The stains are
        measured on `like`, a sample of a slide, uint8 (h, w, 3). Default: the image itself.
        """
        matrix = self._density_matrix(as_image(image if like is None else like))
        return np.rint(transform_density(image, matrix, np.zeros(3))).astype(np.uint8)

    def _density_matrix(self, image: np.ndarray) -> np.ndarray:
        """Compute the matrix (3, 3) to multiply densities by."""
        target, own = np.array([self.hematoxylin, self.eosin]), estimate_stains(image)
        if own is not None:
            amounts = zip(own.max_amounts, self.max_amounts, strict=True)
            strength = [new / old if old >= _FAINT else 1.0 for old, new in amounts]
            return np.linalg.solve(
                complete_basis(own.vectors), np.diag([*strength, 1.0]) @ complete_basis(target)
            )
        tissue = _tissue_density(image)
        if len(tissue) < _MIN_TISSUE_PX:
            return np.eye(3)
        found = _max_amounts(tissue, target)
        strongest = found.argmax()
        return np.eye(3) * self.max_amounts[strongest] / found[strongest]


def _tissue_density(image: npt.ArrayLike) -> np.ndarray:
    """Return the densities of tissue pixels, float64 (n, 3); large images are sampled regularly."""
    density = optical_density(image).reshape(-1, 3)
    density = density[:: -(-len(density) // _MAX_SAMPLE_PX)]
    return density[density.mean(axis=1) >= _MIN_TISSUE_DENSITY].astype(np.float64)


def _max_amounts(tissue: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    amounts = tissue @ np.linalg.inv(complete_basis(vectors))
    return np.percentile(amounts[:, :2], _AMOUNT_PERCENTILE, axis=0)
