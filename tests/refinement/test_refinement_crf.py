"""The dense CRF: published vectors, and the released implementation as an oracle."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.io import imread

from hsn.refinement.crf import refine

CONFIGS = {  # gaussian (px, weight), bilateral (px, grey levels, weight): HistoSegNet's and its successor's
    "morph": ((1, 20), (10, 40, 50)),
    "func": ((3, 40), (10, 4, 25)),
    "defaults": ((3, 30), (10, 20, 50)),
    "voc": ((1.5, 3), (40, 13, 10)),
    "krähenbühl": ((3, 3), (80, 13, 10)),
}
# labels after five iterations, and mean marginals, of the three maps of `tissue`
COUNTS = {"morph": (5366, 29509, 15301), "func": (5258, 26053, 18865), "defaults": (4839, 28446, 16891)}
MEANS = {"morph": (0.10688, 0.58804, 0.30509), "func": (0.10477, 0.51928, 0.37595)}


@pytest.fixture(scope="module")
def tissue(data):
    """A real patch and three hand-made maps: glass, red over green, dark."""
    image = imread(data / "adp_tuning" / "images_224" / "008.png_crop_3788.png")[..., :3]
    red, green = image[..., 0].astype(float), image[..., 1].astype(float)
    step = 0.75 / (1 + np.exp(-4 * (image.mean(axis=2) - 240)))
    maps = [gaussian_filter(step, 2), np.clip(0.9 * (red - green) / 255, 0, 1), 1 - red / 255]
    return image, np.stack(maps, axis=2).astype(np.float32)


@pytest.mark.parametrize("name", COUNTS)
def test_the_published_vectors(tissue, name):
    image, maps = tissue
    gaussian, bilateral = CONFIGS[name]
    marginals = refine(maps, image, gaussian=gaussian, bilateral=bilateral)
    assert tuple(np.bincount(marginals.argmax(axis=2).ravel())) == COUNTS[name]
    if name in MEANS:
        assert marginals.mean(axis=(0, 1)) == pytest.approx(MEANS[name], abs=1e-5)


def pydensecrf(maps, image, gaussian, bilateral, iterations=5):
    densecrf = pytest.importorskip("pydensecrf.densecrf", reason="pydensecrf2 is not installed")
    height, width, classes = maps.shape
    crf = densecrf.DenseCRF2D(width, height, classes)
    unary = -np.log(np.clip(maps, 1e-5, 1)).reshape(-1, classes).T
    crf.setUnaryEnergy(np.ascontiguousarray(unary, np.float32))
    crf.addPairwiseGaussian(sxy=gaussian[0], compat=gaussian[1])
    crf.addPairwiseBilateral(
        sxy=bilateral[0], srgb=bilateral[1], rgbim=np.ascontiguousarray(image), compat=bilateral[2]
    )
    return np.array(crf.inference(iterations)).T.reshape(maps.shape)


@pytest.mark.parametrize("name", CONFIGS)
def test_labels_agree_with_the_released_implementation(tissue, name):
    image, maps = tissue
    gaussian, bilateral = CONFIGS[name]
    ours = refine(maps, image, gaussian=gaussian, bilateral=bilateral)
    theirs = pydensecrf(maps, image, gaussian, bilateral)
    assert (ours.argmax(axis=2) == theirs.argmax(axis=2)).mean() >= 0.999
