"""Samples: natural order, truth by taxonomy, errors for missing truth."""

from pathlib import Path

import numpy as np

from hsn.annotations.colors import to_colors
from hsn.annotations.label_files import write_labels
from hsn.data.sample import Sample, image_paths, table_rows
from hsn.images.read import write
from hsn.taxonomies import ADP_FUNC, GLAS


def test_images_come_in_natural_order_and_nothing_else_does(tmp_path):
    for name in ("t_10.png", "t_2.png", "t_1.PNG", "notes.txt", ".hidden.png"):
        (tmp_path / name).touch()
    assert [p.name for p in image_paths(tmp_path)] == ["t_1.PNG", "t_2.png", "t_10.png"]
    assert image_paths(tmp_path / "absent") == []


def test_truth_by_colors(tmp_path):
    write(tmp_path / "mask.png", to_colors(np.array([[0, 4]]), ADP_FUNC))
    sample = Sample("a", Path("a.png"), mask_paths={"adp-func": tmp_path / "mask.png"})
    labels, known = sample.truth("adp-func")
    assert labels.tolist() == [[0, 4]]
    assert known.all()


def test_truth_by_objects_needs_a_class_for_everything_else(tmp_path, raises_code):
    write_labels(tmp_path / "glands.png", np.array([[0, 3]]))
    sample = Sample("a", Path("a.png"), instances_path=tmp_path / "glands.png", instances_of="G.O")
    assert sample.instances().tolist() == [[0, 3]]
    assert sample.truth(GLAS)[0].tolist() == [[0, 1]]
    with raises_code("truth-missing"):
        sample.truth(ADP_FUNC)


def test_missing_truth_is_an_error(raises_code):
    with raises_code("truth-missing"):
        Sample("a", Path("a.png")).instances()


def test_tables(tmp_path, raises_code):
    (tmp_path / "t.csv").write_text("\ufeffname, patient\n a ,1\n\n", encoding="utf-8")
    assert table_rows(tmp_path / "t.csv") == [["name", "patient"], ["a", "1"]]
    assert table_rows(tmp_path / "absent.csv") == []
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00")
    with raises_code("file-unreadable"):
        table_rows(tmp_path / "t.csv")
