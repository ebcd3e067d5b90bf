"""Pseudo-labels: confident objects become annotation, other detections unknown; images are segmented once."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from hsn.annotations.label_files import read_labels
from hsn.objects.overlaps import ScoredInstances
from hsn.supervision.selected import preset
from hsn.supervision.selected.pseudo import accept, label_images
from hsn.training.images import ImageCache, TrainingImage
from hsn.training.object_training import ObjectRecord

INSTANCES = np.zeros((20, 30), np.int32)
INSTANCES[1:5, 1:5], INSTANCES[8:12, 8:12], INSTANCES[14:16, 20:22], INSTANCES[0:10, 15:30] = 1, 2, 3, 4
SCORED = ScoredInstances(INSTANCES, np.array([0.9, 0.4, 0.9, 0.8], np.float32))  # 16, 16, 4 and 150 px


class System:
    """Returns the same objects for every image, and counts the calls."""

    def __init__(self, dies_at=None):
        self.seen, self.dies_at = [], dies_at

    def segment(self, image):
        if len(self.seen) == self.dies_at:
            raise InterruptedError
        self.seen.append(image)
        return SimpleNamespace(scored=SCORED)


def config(**changes):
    return preset("cpu").replace(
        mpp=0.5, min_score=0.5, min_pseudo_area_um2=2.0, max_pseudo_area_um2=20.0, **changes
    )


@pytest.fixture
def patches():
    record = ObjectRecord(np.zeros((20, 30, 3), np.uint8), None, None)
    return [TrainingImage(name, record.pixels, None, lambda *_: record, ImageCache()) for name in "abc"]


def test_objects_of_low_score_or_unusual_size_are_unknown():
    """At 0.5 um/px the limits are 8 and 80 px."""
    instances, known = accept(SCORED, config())
    np.testing.assert_array_equal(instances, INSTANCES == 1)
    np.testing.assert_array_equal(known, INSTANCES <= 1)
    instances, known = accept(SCORED, config().replace(min_pseudo_area_um2=0.0, max_pseudo_area_um2=None))
    assert instances.max() == 3
    np.testing.assert_array_equal(known, INSTANCES != 2)


def test_pseudo_labels_are_written_to_files(patches, tmp_path):
    made = label_images(System(), patches, config(), tmp_path)
    assert len(made) == 3
    for name, image in zip("abc", made, strict=True):
        _, instances, known = image.load()
        assert (instances.dtype, known.dtype) == (np.int32, bool)
        np.testing.assert_array_equal(instances, INSTANCES == 1)
        np.testing.assert_array_equal(known, INSTANCES <= 1)
        np.testing.assert_array_equal(read_labels(tmp_path / "labels" / f"{name}.png"), instances)
        np.testing.assert_array_equal(read_labels(tmp_path / "known" / f"{name}.png"), 255 * known)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["detected"], summary["accepted"], summary["rejected"]) == (12, 3, 9)
    assert summary["known"] == pytest.approx((INSTANCES <= 1).mean())
    assert list(summary["images"]) == ["a", "b", "c"]


def test_finished_images_are_not_segmented_again(patches, tmp_path):
    first = System(dies_at=2)
    with pytest.raises(InterruptedError):
        label_images(first, patches, config(), tmp_path)
    assert not (tmp_path / "summary.json").exists()
    second = System()
    made = label_images(second, patches, config(), tmp_path)
    assert (len(first.seen), len(second.seen)) == (2, 1)
    assert len(made) == 3
    assert json.loads((tmp_path / "summary.json").read_text())["detected"] == 12


def test_without_objects_all_pixels_are_known_background(patches, tmp_path):
    nothing = ScoredInstances(np.zeros((20, 30), np.int32), np.zeros(0, np.float32))
    instances, known = accept(nothing, config())
    assert not instances.any()
    assert known.all()
