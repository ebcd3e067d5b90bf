"""Results to export: nuclei of a drawn image."""

import numpy as np
import pytest

from hsn.taxonomies import NUCLEI
from hsn.types import Segmentation


@pytest.fixture
def instances():
    """Label image of four nuclei: one with a hole, one of two parts, one at the border, one alone."""
    instances = np.zeros((60, 80), np.int32)
    rows, cols = np.mgrid[:60, :80]
    instances[np.hypot(rows - 20, cols - 20) < 9] = 1
    instances[np.hypot(rows - 20, cols - 20) < 3] = 0
    instances[40:46, 30:38], instances[46:50, 38:44] = 2, 2
    instances[50:60, 70:80] = 3
    instances[np.hypot((rows - 20) * 1.5, cols - 60) < 12] = 4
    return instances


@pytest.fixture
def result(instances, rng):
    """Segmentation with image, probabilities and a scale of 0.5 um/px."""
    probability = np.where(instances > 0, 0.75, 0.125).astype(np.float32)
    image = rng.integers(90, 250, (*instances.shape, 3), dtype=np.uint8)
    return Segmentation(
        labels=(instances > 0).astype(np.int32),
        instances=instances,
        probabilities=np.stack([1 - probability, probability], axis=2),
        scores=np.array([1.0, 0.75]),
        taxonomy=NUCLEI,
        image=image,
        mpp=0.5,
        name="slide 1",
    )
