"""Confusion counts: sums over images at either size, and the written files."""

import csv

import numpy as np
import pytest

from hsn import InputError, taxonomies
from hsn.metrics.classes import class_scores, inverse_log_frequency_weights
from hsn.metrics.counts import confusion_matrix
from hsn.reports import confusion as room
from hsn.reports.confusion import ConfusionCounts
from hsn.taxonomies import ADP_FUNC, GLAS


def test_counts_of_images_are_summed(rng):
    counts, truths, labels = ConfusionCounts(GLAS), [], []
    for size in (8, 3):
        truths.append(rng.integers(0, 2, (size, size)))
        labels.append(rng.integers(0, 2, (size, size)))
        counts.add(truths[-1], {"CRF": labels[-1]})
    together = confusion_matrix(
        np.concatenate([t.ravel() for t in truths]), np.concatenate([x.ravel() for x in labels]), 2
    )
    np.testing.assert_array_equal(counts.counts["CRF"], together)
    assert counts.images == 2
    assert counts.scores()["CRF"].mean_iou == class_scores(together, GLAS.names).mean_iou


def test_the_summary_has_the_mean_of_images_and_an_interval_from_five_images_on(rng):
    counts, scores = ConfusionCounts(GLAS), []
    for number in range(1, 6):
        truth, labels = rng.integers(0, 2, (2, 6, 6))
        counts.add(truth, {"CRF": labels})
        scores.append(class_scores(confusion_matrix(truth, labels, 2), GLAS.names).mean_iou)
        assert counts.mean_iou_of_images("CRF") == pytest.approx(np.mean(scores))
        value, low, high = counts.mean_iou_interval("CRF")
        assert value == counts.scores()["CRF"].mean_iou
        stage = counts.as_dict()["stages"]["CRF"]
        if number < 5:
            assert stage["mIoU_interval"] is None
        else:
            assert stage["mIoU_interval"] == [low, high]
            assert low < value < high
    assert f"mIoU of all images together {value:.4f} [{low:.4f}, {high:.4f}]" in str(counts)


@pytest.mark.parametrize(("truth", "prediction"), [((128, 40), (128, 128)), ((64, 63), (32, 34))])
def test_truth_of_another_aspect_ratio_is_refused(truth, prediction, raises_code):
    counts = ConfusionCounts(GLAS)
    with raises_code("shape-aspect"):
        counts.add(np.zeros(truth, int), {"CRF": np.zeros(prediction, int)})
    assert counts.images == 0


@pytest.mark.parametrize(
    ("truth", "prediction"), [((129, 65), (64, 32)), ((100, 33), (1000, 333)), ((775, 522), (388, 261))]
)
def test_sizes_may_differ_by_a_rounded_pixel(truth, prediction):
    counts = ConfusionCounts(GLAS)
    counts.add(np.zeros(truth, int), {"CRF": np.zeros(prediction, int)})
    assert counts.images == 1


def test_the_unknown_fraction_of_the_truth_is_counted():
    counts = ConfusionCounts(GLAS)
    known = np.array([[True, True, True, False]])
    counts.add(np.zeros((1, 4), int), {"CRF": np.zeros((1, 4), int)}, valid_mask=known)
    assert counts.as_dict()["unknown_fraction"] == 0.25


def test_truth_or_prediction_is_resized_to_the_other(rng):
    truth, labels = rng.integers(0, 5, (12, 20)), rng.integers(0, 5, (6, 10))
    shrunk, full = ConfusionCounts(ADP_FUNC), ConfusionCounts(ADP_FUNC, size="full")
    for counts in (shrunk, full):
        counts.add(truth, {"CRF": labels})
    np.testing.assert_array_equal(shrunk.counts["CRF"], confusion_matrix(truth[::2, ::2], labels, 5))
    np.testing.assert_array_equal(
        full.counts["CRF"], confusion_matrix(truth, labels.repeat(2, 0).repeat(2, 1), 5)
    )


def test_release_weights_use_the_truth_at_its_own_size(rng):
    truth, labels = rng.integers(0, 5, (12, 20)), rng.integers(0, 5, (6, 10))
    counts = ConfusionCounts(ADP_FUNC)
    counts.add(truth, {"CRF": labels})
    scores = counts.scores()["CRF"]
    weights = inverse_log_frequency_weights(np.bincount(truth.ravel(), minlength=5))
    assert scores.inverse_log_frequency_iou == pytest.approx((weights * np.nan_to_num(scores.iou)).sum())
    assert scores.pixels.sum() == 60


def test_masked_pixels_are_ignored_or_count_as_false_alarms():
    truth, known = np.array([[1, 0]]), np.array([[True, False]])
    for unlisted, table in (("ignore", [[0, 0], [0, 1]]), ("false_alarms", [[0, 0], [0, 1], [0, 1]])):
        counts = ConfusionCounts(GLAS, unlisted=unlisted)
        counts.add(truth, {"CRF": np.array([[1, 1]])}, valid_mask=known)
        assert counts.counts["CRF"].tolist() == table
        assert counts.pixels.tolist() == [0, 1]


def test_an_image_that_fails_changes_nothing():
    counts = ConfusionCounts(GLAS)
    with pytest.raises(InputError):
        counts.add(np.zeros((2, 2), int), {"Adjust": np.zeros((2, 2), int), "CRF": np.full((2, 2), 9)})
    assert not counts.counts
    assert counts.images == 0


def test_other_sizes_raise(raises_code):
    with raises_code("size-unknown"):
        ConfusionCounts(GLAS, size="half")


def test_without_inferred_classes_there_is_no_foreground_matrix(tmp_path):
    lab = taxonomies.parse(
        {"name": "lab", "classes": [{"name": "a", "color": [1, 2, 3]}, {"name": "b", "color": [4, 5, 6]}]}
    )
    counts = ConfusionCounts(lab)
    counts.add(np.array([[0, 1]]), {"CRF": np.array([[0, 1]])})
    assert not [path for path in room.write_scores(tmp_path, [counts]) if "_fore_" in path.name]


def test_files_have_the_names_of_the_release(tmp_path, rng):
    evaluations = []
    for taxonomy in (ADP_FUNC, GLAS, taxonomies.ADP_MORPH):
        evaluations.append(ConfusionCounts(taxonomy, unlisted="false_alarms"))
        if taxonomy is not taxonomies.ADP_MORPH:  # nothing was counted: nothing is written
            labels = rng.integers(0, len(taxonomy), (2, 9, 9))
            evaluations[-1].add(labels[0], {"GradCAM": labels[0], "CRF": labels[1]}, valid_mask=labels[1] > 0)
    files = room.write_scores(tmp_path, evaluations)
    assert sorted(path.name for path in files) == [
        "adp-func_IoU_metric_results.csv", "confusion_matrix_adp-func_CRF.png",
        "confusion_matrix_adp-func_GradCAM.png", "confusion_matrix_fore_adp-func_CRF.png",
        "confusion_matrix_fore_adp-func_GradCAM.png", "confusion_matrix_glas_CRF.png",
        "confusion_matrix_glas_GradCAM.png", "glas_IoU_metric_results.csv", "metric_results_CRF.csv",
        "metric_results_GradCAM.csv",
    ]  # fmt: skip
    assert sorted(files) == sorted(tmp_path.iterdir())
    with (tmp_path / "metric_results_CRF.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row["glas_mIoU"]) == evaluations[1].scores()["CRF"].mean_iou_absent_zero
    with (tmp_path / "glas_IoU_metric_results.csv").open() as file:
        assert [r["class"] for r in csv.DictReader(file)] == ["Other", "G.O"]
