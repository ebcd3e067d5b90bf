"""`hsn evaluate`: files against files, a net against truth, files without a partner."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hsn.annotations.colors import to_colors
from hsn.annotations.label_files import write_labels
from hsn.images.read import write
from hsn.reports.compare import detect_kind
from hsn.taxonomies import GLAS

TRUTH = np.array([[0, 0, 1, 1], [0, 0, 1, 1]])
SAID = np.array([[0, 1, 1, 1], [0, 1, 1, 1]])  # Other: 2 of 4 found, IoU 0.5; G.O: IoU 4 / 6


def as_labels(path, labels):
    write_labels(path.with_suffix(".png"), labels)


def as_colors(path, labels):
    write(path.with_suffix(".png"), to_colors(labels, GLAS))


def as_objects(path, labels):
    write_labels(path.with_suffix(".bmp"), 7 * labels)


@pytest.mark.parametrize("write_said", [as_labels, as_colors])
@pytest.mark.parametrize(("write_truth", "options"), [
    (as_labels, []), (as_colors, []), (as_objects, ["--objects", "G.O"]),
])  # fmt: skip
def test_every_kind_of_file_gives_the_same_scores(run, write_said, write_truth, options):
    write_said(Path("said/a"), SAID)
    write_truth(Path("true/a"), TRUTH)
    result = run("evaluate", "said", "true", "--taxonomy", "glas", "--out", "o", "--json", *options)
    assert result.exit_code == 0
    scores = result.said["taxonomies"]["glas"]["stages"]["prediction"]
    assert scores["IoU"] == pytest.approx({"Other": 0.5, "G.O": 4 / 6})
    assert scores["mIoU"] == pytest.approx(7 / 12)
    assert result.said["taxonomies"]["glas"]["confusion"] == [[2, 2], [0, 4]]
    assert {Path(f).name for f in result.said["files"]} == {
        "metric_results_prediction.csv", "glas_IoU_metric_results.csv", "confusion_matrix_glas_prediction.png",
    }  # fmt: skip
    assert all(Path(f).is_file() for f in result.said["files"])
    with open("o/metric_results_prediction.csv") as file:
        (row,) = csv.DictReader(file)
    assert float(row["glas_mIoU"]) == pytest.approx(7 / 12)


def test_the_default_output_is_tables(run):
    as_labels(Path("said/a"), SAID)
    as_labels(Path("true/a"), TRUTH)
    text = run("evaluate", "said", "true", "--taxonomy", "glas").stdout
    assert "G.O     0.6667" in text
    assert "mIoU 0.5833" in text
    assert "wrote 3 files to out/" in text
    assert Path("out/glas_IoU_metric_results.csv").is_file()


def test_a_mask_of_one_class_is_read_like_its_neighbors(run, tmp_path):
    """White is a class of ADP: a mask of only white equals a label image of 255."""
    taxonomy = "adp-func"
    for folder in ("said", "true"):
        write(Path(folder) / "white.png", np.full((4, 4, 3), 255, np.uint8))
    result = run("evaluate", "said", "true", "--taxonomy", taxonomy, "--json")
    assert result.said["taxonomies"][taxonomy]["stages"]["prediction"]["IoU"]["Background"] == 1


def test_sizes_may_differ_and_an_option_selects_the_size_of_the_scores(run):
    as_labels(Path("said/a"), SAID)
    as_labels(Path("true/a"), np.kron(TRUTH, np.ones((3, 3), int)))
    for size, pixels in (("image", 8), ("full", 72)):
        said = run("evaluate", "said", "true", "--taxonomy", "glas", "--size", size, "--json").said
        assert np.sum(said["taxonomies"]["glas"]["confusion"]) == pixels


def test_unlisted_truth_is_left_out_or_counted_as_the_release_does(run):
    painted = to_colors(TRUTH, GLAS)
    painted[0, 2:] = (9, 9, 9)
    write(Path("true/a.png"), painted)
    as_labels(Path("said/a"), TRUTH)
    iou = {}
    for rule in ("ignore", "false_alarms"):
        said = run("evaluate", "said", "true", "--taxonomy", "glas", "--unlisted", rule, "--json").said
        iou[rule] = said["taxonomies"]["glas"]["stages"]["prediction"]["IoU"]["G.O"]
    assert iou == {"ignore": 1, "false_alarms": 0.5}


def test_files_without_a_partner_are_named_and_the_rest_is_scored(run):
    for name in ("a", "b", "c"):
        as_labels(Path("said") / name, SAID)
    for name in ("a", "d"):
        as_labels(Path("true") / name, TRUTH)
    result = run("evaluate", "said", "true", "--taxonomy", "glas", "--json")
    assert result.exit_code == 1
    assert result.said["taxonomies"]["glas"]["images"] == 1
    assert set(result.said["failures"]) == {"said/b.png", "said/c.png"}
    assert "truth files have no prediction, so they are not scored: true/d.png" in result.stderr
    assert [line.split(":")[1].strip() for line in result.stderr.splitlines()[1:-1]] == [
        "said/b.png", "said/c.png",
    ]  # fmt: skip


def test_two_files_of_one_name_are_not_a_pair(run):
    for name in ("a", "b"):
        as_labels(Path("said") / name, SAID)
        as_labels(Path("true") / name, TRUTH)
    write_labels("said/b.tif", SAID)
    result = run("evaluate", "said", "true", "--taxonomy", "glas", "--json")
    assert set(result.said["failures"]) == {"said/b.png", "said/b.tif", "true/b.png"}


def test_gray_values_are_labels_if_all_are_classes_of_the_taxonomy(tmp_path):
    for value, kind in ((1, "labels"), (2, "colors")):
        write_labels(tmp_path / "a.png", np.array([[0, value]]))
        assert detect_kind([tmp_path / "a.png"], GLAS) == kind
    write_labels(tmp_path / "a.png", np.array([[0, 300]]))
    assert detect_kind([tmp_path / "a.png"], GLAS) == "labels"


def test_a_palette_of_other_colors_holds_class_indices(tmp_path):
    picture = Image.fromarray(TRUTH.astype(np.uint8)).convert("P")
    for colors, kind in (([0, 0, 0, 255, 255, 255], "labels"), (np.ravel(GLAS.colors).tolist(), "colors")):
        picture.putpalette(colors)
        picture.save(tmp_path / "a.png")
        assert detect_kind([tmp_path / "a.png"], GLAS) == kind


def test_a_damaged_file_stops_nothing(run):
    for name in ("a", "b"):
        as_labels(Path("said") / name, SAID)
        as_labels(Path("true") / name, TRUTH)
    Path("true/b.png").write_bytes(b"broken")
    result = run("evaluate", "said", "true", "--taxonomy", "glas", "--json")
    assert result.exit_code == 1
    assert result.said["taxonomies"]["glas"]["images"] == 1
    assert "true/b.png must be" in result.stderr


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["said", "true"], "taxonomy-missing"),
        (["said", "true", "--taxonomy", "gals"], "taxonomy-unknown"),
        (["said", "empty", "--taxonomy", "glas"], "folder-without-images"),
        (["said", "other", "--taxonomy", "glas"], "pairs-missing"),
        (["said", "true", "--taxonomy", "adp-func", "--objects", "T"], "truth-objects-taxonomy"),
    ],
)
def test_invalid_input_gives_one_sentence(run, options, code):
    as_labels(Path("said/a"), SAID)
    as_labels(Path("true/a"), TRUTH)
    as_labels(Path("other/z"), TRUTH)
    Path("empty").mkdir()
    result = run("evaluate", *options)
    assert (result.exit_code, result.code) == (2, code)
    assert len(result.stderr.splitlines()) == 1


def test_colors_of_another_taxonomy_are_errors(run):
    write(Path("said/a.png"), np.full((2, 2, 3), (1, 2, 3), np.uint8))
    as_colors(Path("true/a"), TRUTH[:, :2])
    result = run("evaluate", "said", "true", "--taxonomy", "glas")
    assert result.exit_code == 2
    assert "said/a.png must have colors of taxonomy 'glas'" in result.stderr


def test_a_smoothed_prediction_is_an_error(run):
    painted = to_colors(TRUTH, GLAS)
    painted[0, 1] = (2, 77, 190)
    write(Path("said/a.png"), painted)
    as_colors(Path("true/a"), TRUTH)
    result = run("evaluate", "said", "true", "--taxonomy", "glas")
    assert "1 pixels of other colors; export it without blending" in result.stderr


def test_a_net_is_scored_after_every_stage(run, model, images):
    for name in ("a", "b", "c"):
        as_objects(Path("true") / f"{name}_anno", np.kron(TRUTH, np.ones((20, 14), int)))
    Path(images / "d.png").write_text("no image")
    as_objects(Path("true/d_anno"), TRUTH)
    options = ["--model", model, "--suffix", "_anno", "--objects", "G.O", "--out", "o", "--json"]
    result = run("evaluate", images, "true", *options)
    assert result.exit_code == 1
    assert f"{images}/d.png must be a PNG, JPEG, TIFF or BMP image" in result.stderr
    glas = result.said["taxonomies"]["glas"]
    assert list(glas["stages"]) == ["GradCAM", "Adjust", "CRF"]
    assert glas["images"] == 3
    assert np.sum(glas["confusion"]) == 3 * 40 * 56
    written = {str(Path(f).relative_to("o")) for f in result.said["files"]}
    assert written > {
        "metric_results_GradCAM.csv", "metric_results_Adjust.csv", "metric_results_CRF.csv",
        "glas_IoU_metric_results.csv", "confusion_matrix_glas_CRF.png", "glas/colors/a.png", "glas/overlay/a.png",
        "glas/stages/gradcam/a.png", "glas/summary/a.png", "glas/mask_gland/a.bmp", "glas/instances_gland/a.bmp",
    }  # fmt: skip
    assert all(Path(f).is_file() for f in result.said["files"])


def test_one_folder_may_hold_images_and_truth(run, model, images):
    for name in ("a", "b", "c"):
        as_objects(images / f"{name}_anno", np.ones((40, 56), int))
    options = ["--model", model, "--suffix", "_anno", "--objects", "G.O", "--json"]
    result = run("evaluate", images, images, *options)
    assert result.exit_code == 0
    assert result.said["taxonomies"]["glas"]["images"] == 3
