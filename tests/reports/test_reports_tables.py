"""Tables: what is written is what was scored, to the last digit, under the release's names."""

import csv

import numpy as np
import pytest

from hsn.metrics.classes import class_scores
from hsn.reports.tables import write_ablation, write_classes, write_rows

COUNTS = np.array([[50, 7, 0], [3, 40, 0], [0, 0, 0]])


@pytest.fixture
def scores():
    return class_scores(COUNTS, ("Other", "G.O", "T"))


def rows(path):
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_each_stage_has_a_file_with_the_columns_of_the_release_first(tmp_path, scores):
    results = {stage: {"morph": scores, "func": scores} for stage in ("GradCAM", "Adjust", "CRF")}
    paths = write_ablation(tmp_path / "out", results)
    assert [p.name for p in paths] == [f"metric_results_{s}.csv" for s in ("GradCAM", "Adjust", "CRF")]
    (row,) = rows(paths[0])
    assert list(row)[:2] == ["morph_fIoU", "morph_mIoU"]
    assert float(row["func_fIoU"]) == scores.inverse_log_frequency_iou
    assert float(row["func_mIoU"]) == scores.mean_iou_absent_zero
    assert float(row["func_mIoU_of_present_classes"]) == scores.mean_iou
    assert float(row["func_frequency_weighted_IoU"]) == scores.frequency_weighted_iou
    assert float(row["func_pixel_accuracy"]) == scores.pixel_accuracy


def test_each_class_has_a_row_and_undefined_scores_are_empty(tmp_path, scores):
    write_classes(tmp_path / "func_IoU_metric_results.csv", scores)
    table = rows(tmp_path / "func_IoU_metric_results.csv")
    assert [row["class"] for row in table] == ["Other", "G.O", "T"]
    assert [int(row["pixels"]) for row in table] == [57, 43, 0]
    for column in ("iou", "dice", "precision", "recall"):
        assert [float(row[column]) for row in table[:2]] == getattr(scores, column)[:2].tolist()
        assert table[2][column] == ""


@pytest.mark.parametrize("stage", ["../CRF", "a/b", "", "C R F", "a.b"])
def test_stage_names_must_fit_into_file_names(tmp_path, stage, scores, raises_code):
    with raises_code("stage-name-invalid"):
        write_ablation(tmp_path, {stage: {"glas": scores}})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("table", [[], [{}], [{"a": 1}, {"b": 1}], [{"a": 1, "b": 2}, {"a": 1}]])
def test_rows_must_have_equal_columns(tmp_path, table, raises_code):
    with raises_code("rows-columns-mismatch"):
        write_rows(tmp_path / "t.csv", table)
