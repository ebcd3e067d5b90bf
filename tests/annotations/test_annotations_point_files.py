"""Point files: pairs by name in common layouts; files without a partner are named."""

import pytest

from hsn.annotations.point_files import pair


@pytest.mark.parametrize(
    "names",
    [
        ("t_1.png", "t_1.csv", "t_2.png", "t_2.csv"),
        ("t_1.jpg", "t_1.geojson", "t_2.tif", "t_2.tsv"),
        ("images/t_1.png", "clicks/t_1.csv", "images/t_2.png", "clicks/t_2.json"),
        (
            "images/t_1.png",
            "labels_point/t_1_label_point.png",
            "images/t_2.png",
            "labels_point/t_2_label_point.png",
        ),
        ("images/t_1.png", "points/t_1.png", "images/t_2.png", "points/t_2.png"),
        ("t_1.tif", "t_1.tif.geojson", "t_2.png", "t_2.png.csv"),
        ("t_1.png", "t_1_points.csv", "t_2.png", "t_2-clicks.tif"),
        ("t_1.png", "t_1.points.txt", "t_2.png", "t_2 centroids.csv"),
        ("t_1.ome.tif", "t_1.ome.tif.geojson", "t_2.ome.tiff", "t_2.geojson"),
        ("t_1.png", "Points_t_1.csv", "t_2.png", "t_2_detections.geojson"),
        ("a/images/t_1.png", "a/points/t_1.csv", "b/images/t_2.png", "b/points/t_2.csv"),
    ],
)
def test_known_layouts_are_paired(tmp_path, touch, names):
    touch(*names)
    pairs = pair(tmp_path)
    assert [path.name.split(".")[0] for path in pairs.images] == ["t_1", "t_2"]
    assert [str(path.relative_to(tmp_path)) for path in pairs.annotations] == [names[1], names[3]]
    assert pairs.alone == ()


def test_every_file_that_is_alone_is_named(tmp_path, touch):
    touch("a.png", "a.csv", "b.png", "c.csv", "d.png", "d.csv", "d.geojson", ".hidden.csv", "x.pdf")
    pairs = pair(tmp_path)
    assert [path.name for path in pairs.images] == ["a.png"]
    assert {path.name: why for path, why in pairs.alone} == {
        "b.png": "has no points of its name",
        "c.csv": "has no image of its name",
        **dict.fromkeys(
            ("d.png", "d.csv", "d.geojson"), "is ambiguous: 1 image and 2 files of points have this name"
        ),
    }


def test_a_folder_without_pairs_is_refused_and_says_why(tmp_path, touch, raises_code):
    with raises_code("pairs-missing"):
        pair(tmp_path)
    touch("a.png", "b.csv")
    with raises_code("pairs-missing"):
        pair(tmp_path)
