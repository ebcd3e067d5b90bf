"""Tallies: counts of many images add up, at either size, and what is written is what was counted."""

import csv

import numpy as np
import pytest

from hsn import InputError, taxonomies
from hsn.metrics.classes import class_scores, inverse_log_frequency_weights
from hsn.metrics.counts import confusion
from hsn.reports import tally as room
from hsn.reports.tally import Tally
from hsn.taxonomies import ADP_FUNC, GLAS


def test_images_are_counted_together_not_averaged(rng):
    tally, truths, labels = Tally(GLAS), [], []
    for size in (8, 3):
        truths.append(rng.integers(0, 2, (size, size)))
        labels.append(rng.integers(0, 2, (size, size)))
        tally.add(truths[-1], {"CRF": labels[-1]})
    together = confusion(
        np.concatenate([t.ravel() for t in truths]), np.concatenate([x.ravel() for x in labels]), 2
    )
    np.testing.assert_array_equal(tally.counts["CRF"], together)
    assert tally.images == 2
    assert tally.scores()["CRF"].mean_iou == class_scores(together, GLAS.names).mean_iou


def test_truth_is_shrunk_or_the_prediction_enlarged(rng):
    truth, labels = rng.integers(0, 5, (12, 20)), rng.integers(0, 5, (6, 5))
    shrunk, full = Tally(ADP_FUNC), Tally(ADP_FUNC, size="full")
    for tally in (shrunk, full):
        tally.add(truth, {"CRF": labels})
    np.testing.assert_array_equal(shrunk.counts["CRF"], confusion(truth[::2, ::4], labels, 5))
    np.testing.assert_array_equal(full.counts["CRF"], confusion(truth, labels.repeat(2, 0).repeat(4, 1), 5))


def test_weights_of_the_release_come_from_the_truth_at_its_own_size(rng):
    truth, labels = rng.integers(0, 5, (12, 20)), rng.integers(0, 5, (6, 5))
    tally = Tally(ADP_FUNC)
    tally.add(truth, {"CRF": labels})
    scores = tally.scores()["CRF"]
    weights = inverse_log_frequency_weights(np.bincount(truth.ravel(), minlength=5))
    assert scores.inverse_log_frequency_iou == pytest.approx((weights * np.nan_to_num(scores.iou)).sum())
    assert scores.pixels.sum() == 30


def test_unknown_pixels_are_left_out_or_counted_as_false_alarms():
    truth, known = np.array([[1, 0]]), np.array([[True, False]])
    for unlisted, table in (("ignore", [[0, 0], [0, 1]]), ("false_alarms", [[0, 0], [0, 1], [0, 1]])):
        tally = Tally(GLAS, unlisted=unlisted)
        tally.add(truth, {"CRF": np.array([[1, 1]])}, known=known)
        assert tally.counts["CRF"].tolist() == table
        assert tally.pixels.tolist() == [0, 1]


def test_an_image_that_cannot_be_counted_leaves_no_trace():
    tally = Tally(GLAS)
    with pytest.raises(InputError):
        tally.add(np.zeros((2, 2), int), {"Adjust": np.zeros((2, 2), int), "CRF": np.full((2, 2), 9)})
    assert not tally.counts
    assert tally.images == 0


def test_there_are_two_sizes():
    with pytest.raises(
        InputError, match="no such size to score at; expected one of image, full, received 'half'"
    ):
        Tally(GLAS, size="half")


def test_without_inferred_classes_the_foreground_is_everything(tmp_path):
    lab = taxonomies.parse(
        {"name": "lab", "classes": [{"name": "a", "color": [1, 2, 3]}, {"name": "b", "color": [4, 5, 6]}]}
    )
    tally = Tally(lab)
    tally.add(np.array([[0, 1]]), {"CRF": np.array([[0, 1]])})
    assert not [path for path in room.write(tmp_path, [tally]) if "_fore_" in path.name]


def test_files_have_the_names_of_the_release(tmp_path, rng):
    tallies = []
    for taxonomy in (ADP_FUNC, GLAS, taxonomies.ADP_MORPH):
        tallies.append(Tally(taxonomy, unlisted="false_alarms"))
        if taxonomy is not taxonomies.ADP_MORPH:  # nothing was counted: nothing is written
            labels = rng.integers(0, len(taxonomy), (2, 9, 9))
            tallies[-1].add(labels[0], {"GradCAM": labels[0], "CRF": labels[1]}, known=labels[1] > 0)
    files = room.write(tmp_path, tallies)
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
    assert float(row["glas_mIoU"]) == tallies[1].scores()["CRF"].mean_iou_absent_zero
    with (tmp_path / "glas_IoU_metric_results.csv").open() as file:
        assert [r["class"] for r in csv.DictReader(file)] == ["Other", "G.O"]
