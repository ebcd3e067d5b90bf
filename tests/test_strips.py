"""Arrays that are processed in strips give the results of whole arrays."""

import numpy as np
import pytest

from hsn import instances, strips
from hsn.config import PostProcess
from hsn.objects.labeling import label_instances
from hsn.reports.overlay import overlay_picture
from hsn.taxonomies import GLAS, NUCLEI
from hsn.types import Segmentation

FLOODED = PostProcess(
    foreground_threshold=None,
    separation="marker_watershed",
    grow_um=2.0,
    h_um=0.0,
    min_area_um2=2.0,
    fill_holes=True,
)


@pytest.fixture(params=[1, 40, 200])
def narrow(request, monkeypatch):
    """Make strips of few pixels; call the result with a function to get its result for strips and for whole arrays."""

    def compare(function):
        whole = function()
        monkeypatch.setattr(strips, "_STRIP_PIXELS", request.param)
        return function(), whole

    return compare


def draw(seed, shape=(83, 67)):
    rng = np.random.default_rng(seed)
    coarse = rng.random((*(-(-side // 6) for side in shape), 3)).astype(np.float32)
    fields = np.kron(coarse, np.ones((6, 6, 1), np.float32))[: shape[0], : shape[1]]
    return fields / fields.sum(axis=2, keepdims=True)


@pytest.mark.parametrize("seed", range(3))
def test_objects(narrow, seed):
    found, whole = narrow(lambda: label_instances(draw(seed), FLOODED, mpp=0.5))
    assert whole.max() > 2
    np.testing.assert_array_equal(found, whole)


@pytest.mark.parametrize("separated", [True, False])
def test_overlays(narrow, separated):
    image = (draw(0) * 255).astype(np.uint8)
    labels = (draw(1)[..., 0] > 0.35).astype(np.int32)
    numbers = label_instances(draw(1), FLOODED, mpp=0.5) if separated else None
    found, whole = narrow(
        lambda: overlay_picture(image, labels, NUCLEI if separated else GLAS, numbers, mpp=0.5)
    )
    np.testing.assert_array_equal(found, whole)


def test_counts(narrow):
    numbers = label_instances(draw(2), FLOODED, mpp=0.5)
    result = Segmentation(
        (numbers > 0).astype(np.int32), numbers, np.ones((*numbers.shape, 2)), np.ones(2), NUCLEI
    )
    found, whole = narrow(lambda: (result.counts, result.areas_px, instances.object_areas(numbers).tolist()))
    assert found == whole
    assert found[0]["Nucleus"] == numbers.max()


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.uint64])
def test_ids_of_every_kind_of_integer(narrow, kind):
    labels = np.array([[0, 1, 0], [1, 1, 0]]).astype(kind)
    found, whole = narrow(lambda: instances.renumber(labels)[0])
    np.testing.assert_array_equal(found, whole)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, labels.astype(int))
