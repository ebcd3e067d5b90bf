"""Objects told in maps: by plain numbers; the methods' own tests walk all ways."""

import numpy as np

from hsn.objects.labeling import object_evidence, objects, segmentation
from hsn.taxonomies import NUCLEI

CLASSES = np.zeros((12, 20), int)
CLASSES[2:9, 2:10], CLASSES[2:9, 10:17] = 2, 2
CLASSES[3:8, 3:9], CLASSES[3:8, 11:16] = 1, 1
MAPS = 0.9 * np.eye(3)[CLASSES] + 0.1 / 3


def test_neighbours_are_grown_until_they_meet():
    for separate in ("parts", "flood"):
        told = objects(MAPS, separate=separate, grow_px=1.5)
        assert told.dtype == np.int32
        assert told[5].tolist() == [0] * 2 + [1] * 8 + [2] * 7 + [0] * 3
    assert (objects(MAPS, grow_px=0.0) > 0).sum() == 5 * 6 + 5 * 5


def test_a_flood_ends_where_objects_do():
    assert (objects(MAPS, separate="flood", grow_px=9.0) > 0).sum() == (CLASSES > 0).sum()
    assert (objects(MAPS, separate="parts", grow_px=9.0) > 0).sum() > (CLASSES > 0).sum()


def test_small_objects_go_and_holes_close():
    holed = MAPS.copy()
    holed[5, 5] = [0.9, 0.05, 0.05]
    assert (objects(holed) > 0).sum() == 5 * 6 + 5 * 5 - 1
    assert (objects(holed, fill=True) > 0).sum() == 5 * 6 + 5 * 5
    assert objects(MAPS, least_px=27).max() == 1


def test_one_output_is_cut_at_its_waists():
    bar = np.zeros((20, 44, 1))
    rows, columns = np.indices((20, 44))
    for middle in (12, 31):
        bar[(rows - 10) ** 2 + (columns - middle) ** 2 <= 81] = 0.8
    bar[9:12, 12:31] = 0.8
    assert objects(bar, inside=0.5).max() == 1
    assert objects(bar, inside=0.5, waist_px=2.0).max() == 2
    assert not objects(bar, inside=0.9).any()


def test_evidence_is_inside_and_contour_together():
    sure = object_evidence(MAPS)
    np.testing.assert_allclose(sure, 1 - MAPS[..., 0])
    instances = objects(MAPS, grow_px=1.5)
    result = segmentation(instances, sure, NUCLEI)
    np.testing.assert_allclose(result.evidence, np.stack([MAPS[..., 0], sure], axis=2))
    np.testing.assert_array_equal(result.labels, instances > 0)
    np.testing.assert_allclose(result.scores, result.evidence.max(axis=(0, 1)))
