"""Discovery: forms of annotation are recognized; several kinds are an error."""

import json
from pathlib import Path

import numpy as np
import pytest

from hsn.data.discovery import count_kinds, discover, from_lists
from hsn.data.folder_pairs import pair_folders
from hsn.data.image_files import find_images, images_of_table
from hsn.notes import collect_notes


@pytest.fixture
def touch(tmp_path):
    def touch(*names, text=""):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return touch


HABITS = {
    "label images beside": (["a.png", "a_mask.png", "b.png", "b_mask.png"], "masks"),
    "label images in a folder": (["images/a.png", "labels/a.png", "images/b.png", "labels/b.png"], "masks"),
    "Aperio XML": (["a.tif", "a.xml", "b.tif", "b.xml"], "masks"),
    "ROI zips": (["images/a.tif", "rois/a.zip", "images/b.tif", "rois/b.zip"], "masks"),
    "MATLAB of CoNSeP": (["Images/a.png", "Labels/a.mat", "Images/b.png", "Labels/b.mat"], "masks"),
    "NumPy": (["a.png", "a.npy", "b.png", "b.npy"], "masks"),
    "Cellpose": (["a.png", "a_cp_masks.png", "a_seg.npy", "b.png", "b_cp_masks.png", "b_seg.npy"], "masks"),
    "StarDist": (["a.png", "a_RoiSet.zip", "b.png", "b_RoiSet.zip"], "masks"),
    "CSV beside": (["a.png", "a.csv", "b.png", "b.csv"], "points"),
    "GeoJSON of QuPath": (["a.png", "a.png.geojson", "b.png", "b.geojson"], "points"),
    "point images": (["images/a.png", "points/a.png", "images/b.png", "points/b.png"], "points"),
    "point images of Qu": (["a.png", "labels_point/a_label_point.png", "b.png", "labels_point/b_label_point.png"],
                           "points"),
    "folders per class": (["tumor/a.png", "stroma/b.png"], "tags"),
    "names with tags": (["a-[1 0].png", "b[01].png"], "tags"),
}  # fmt: skip


OUTLINE = '{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[[0,0],[4,0],[4,4],[0,0]]]}}'
COCO = '{"images": [{"id": 1}], "annotations": [{"image_id": 1, "segmentation": [[0, 0, 4, 0, 4, 4]]}]}'


@pytest.mark.parametrize(("suffix", "text"), [(".geojson", OUTLINE), (".json", OUTLINE), (".json", COCO)])
def test_json_of_outlines_is_recognized_by_its_content(touch, suffix, text):
    touch("a.png", "b.png")
    found = discover(touch(f"a{suffix}", f"b{suffix}", text=text))
    assert (found.kind, len(found.images)) == ("masks", 2)


@pytest.mark.parametrize("habit", HABITS)
def test_every_form_of_annotation_is_recognized(touch, habit):
    names, kind = HABITS[habit]
    folder = touch(*names)
    found = discover(folder, classes=("x", "y"))
    assert found.kind == kind
    assert len(found.images) == len(found.annotations) == 2
    assert found.left_out == ()
    assert {name: count for name, count in count_kinds(folder).items() if count} == {kind: 2}


def test_a_table_of_tags_is_found_beside_the_images(touch):
    touch("a.png", "sub/b.png")
    folder = touch("tags.csv", text="name,gland,fat\na.png,1,0\nb.png,0,1\n")
    found = discover(folder)
    assert (found.kind, found.classes) == ("tags", ("gland", "fat"))
    np.testing.assert_array_equal(found.annotations, [[1, 0], [0, 1]])


def test_a_folder_of_selected_patches_is_recognized(touch):
    touch(
        "patches/a.png",
        "labels/a.png",
        "patches/b.png",
        "contact_sheet.png",
        "places/a.geojson",
        "places.geojson",
    )
    folder = touch("choice.csv", text="number,patch,image\n1,a.png,elsewhere.png\n")
    found = discover(folder)
    assert found.kind == "selected"
    assert [path.name for path in found.images] == ["a.png"]
    assert [Path(path).name for path, _ in found.left_out] == ["b.png"]


def test_two_kinds_are_a_mixture_unless_one_is_given(touch):
    folder = touch("a.png", "a_mask.png", "b.png", "b.csv", "c.png", "c.csv", "d.png", "e.csv")
    found = discover(folder)
    assert found.kind == "mixed"
    assert [path.name for path in found.images] == ["a.png", "b.png", "c.png", "d.png"]
    assert [files.masks and files.masks.name for files in found.annotations] == [
        "a_mask.png",
        None,
        None,
        None,
    ]
    assert [files.points and files.points.name for files in found.annotations] == [
        None,
        "b.csv",
        "c.csv",
        None,
    ]
    assert [(Path(path).name, why) for path, why in found.left_out] == [("e.csv", "has no image of its name")]
    assert str(found) == "found 4 images, 1 of them without annotation; left out 1"
    assert [path.name for path in discover(folder, kind="points").annotations] == ["b.csv", "c.csv"]
    assert [path.name for path in discover(folder, kind="masks").annotations] == ["a_mask.png"]


def test_selected_patches_beside_another_kind_are_an_error(touch, raises_code):
    touch("patches/a.png", "labels/a.png", "patches/b.png", "patches/b.csv")
    folder = touch("choice.csv", text="number,patch,image\n1,a.png,elsewhere.png\n")
    with raises_code("kind-ambiguous"):
        discover(folder)


def test_outlines_in_geojson_are_a_mixture_and_regions_beside_clicks_are_not(touch):
    square = {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 0]]]}
    for label, kind in (("Region*", "points"), ("Nucleus", "mixed")):
        outline = {"type": "Feature", "geometry": square, "properties": {"classification": {"name": label}}}
        click = {"type": "Point", "coordinates": [1, 1]}
        folder = touch("a.png")
        touch("a.geojson", text=json.dumps([outline, click]))
        assert discover(folder).kind == kind


def test_files_left_out_are_named_with_the_reason(touch):
    found = discover(touch("a.png", "a.csv", "b.png", "c.csv"))
    assert {Path(path).name: why for path, why in found.left_out} == {
        "b.png": "has no points of its name",
        "c.csv": "has no image of its name",
    }
    assert str(found) == "found 1 images with points; left out 2"


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["a.png", "b.png"], "annotations-missing"),
        (["images/a.png", "more/b.png"], "annotations-missing"),
        (["notes.txt"], "annotations-missing"),
    ],
)
def test_images_without_annotation_are_an_error_with_a_hint(touch, raises_code, names, code):
    with raises_code(code):
        discover(touch(*names))


def test_a_folder_that_does_not_exist_is_an_error(tmp_path, raises_code):
    with raises_code("data-missing"):
        discover(tmp_path / "nowhere")


def test_tags_are_given_as_names_or_as_numbers(raises_code):
    found = from_lists("tags", ["a.png", "b.png"], ["gland", ("fat", "gland")])
    assert found.classes == ("fat", "gland")
    np.testing.assert_array_equal(found.annotations, [[0, 1], [1, 1]])
    found = from_lists("tags", ["a.png"], np.array([[1, np.nan]]), classes=("x", "y"))
    np.testing.assert_array_equal(found.annotations, [[1, np.nan]])
    with raises_code("classes-missing"):
        from_lists("tags", ["a.png"], [[1, 0]])
    with raises_code("length-mismatch"):
        from_lists("points", ["a.png"], [])


def test_an_edited_table_of_patches_is_read(touch):
    folder = touch("a.png")
    path = folder / "choice.csv"
    path.write_text(f"number,image\n1,{folder / 'a.png'}\n2,{folder / 'gone.png'}\n3,{folder / 'a.png'}\n")
    assert images_of_table(path) == ([folder / "a.png"], 1, [])
    found, gone, failures = images_of_table(folder / "nowhere.csv")
    assert (found, gone, len(failures)) == ([], 0, 1)


@pytest.mark.parametrize("deep", [False, True])
def test_every_image_of_a_folder_is_used_or_named(touch, deep):
    folder = touch(
        "a.png", "b.svs", "c.ndpi", "d.webp", "notes.txt", "in/e.png", "in/deeper/f.png", ".hidden/g.png"
    )
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    with collect_notes() as notes:
        found, failures = find_images(folder, deep=deep)
    assert [path.name for path in found] == ["a.png", "b.svs", *(["e.png", "f.png"] if deep else [])]
    assert {Path(name).name for name, _ in failures} == {"c.ndpi", "d.webp", "gone.png"}
    assert [line.split()[0] for line in notes.sentences()] == ([] if deep else ["2"])


def test_a_folder_with_images_in_folders_below_is_refused_with_their_number(touch):
    folder = touch("in/a.png", "in/b.png")
    found, [(_, reason)] = find_images(folder)
    assert found == []
    assert "2 images in folders below" in reason


def test_linked_folders_are_searched_and_loops_end(touch):
    folder = touch("data/tumor/a.png", "store/fat/b.png") / "data"
    (folder / "fat").symlink_to(folder.parent / "store" / "fat")
    (folder / "loop").symlink_to(folder)
    assert discover(folder).classes == ("fat", "tumor")


def test_an_ambiguous_partner_is_named_as_ambiguous(touch):
    folder = touch("pred/a.png", "pred/b.png", "pred/c.png", "truth/a.bmp", "truth/a.png", "truth/b.png")
    pairs, *alone = pair_folders(folder / "pred", folder / "truth")
    assert [first.name for first, _ in pairs] == ["b.png"]
    assert [len(side) for side in alone] == [2, 2]
    reasons = {path.relative_to(folder).as_posix(): reason for side in alone for path, reason in side}
    assert set(reasons) == {"pred/a.png", "truth/a.bmp", "truth/a.png", "pred/c.png"}
    assert [name for name, reason in reasons.items() if "ambiguous" not in reason] == ["pred/c.png"]


@pytest.mark.parametrize(
    "name", ["a_mask.png", "a-labelled.tif", "a_cp_masks.png", "mask/a.png", "a.ome.tif"]
)
def test_truth_files_are_paired_with_the_names_of_common_tools(touch, name):
    folder = touch("pred/a.png", f"truth/{name}")
    assert len(pair_folders(folder / "pred", (folder / "truth" / name).parent)[0]) == 1


def test_unused_annotations_are_noted(touch):
    with collect_notes() as notes:
        found = discover(touch("a.png", "a_mask.png", "a.xml", "a.mat"))
    assert (found.kind, len(found.images), found.left_out) == ("masks", 1, ())
    assert notes.sentences()[0].startswith("2 annotation files")


def test_an_overview_beside_the_class_folders_is_left_out_with_a_note(touch):
    folder = touch(
        "overview.png", *(f"{name}/{name}{k}.png" for name in ("tumor", "stroma") for k in range(3))
    )
    with collect_notes() as notes:
        found = discover(folder)
    assert (found.kind, found.classes, len(found.images)) == ("tags", ("stroma", "tumor"), 6)
    assert "overview.png" in notes.sentences()[0]


def test_many_images_beside_folders_are_not_classes(touch, raises_code):
    with raises_code("annotations-missing"):
        discover(touch("a.png", "b.png", "old/c.png", "new/d.png"))


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (("A1.PNG", "a1_mask.png", "b.png", "b_mask.png"), "masks"),
        (("images/A1.png", "labels/a1.png", "images/b.png", "labels/b.png"), "masks"),
        (("A1.png", "a1.csv", "b.png", "B.geojson"), "points"),
    ],
)
def test_names_that_differ_in_case_only_are_paired_and_noted(touch, names, kind):
    with collect_notes() as notes:
        found = discover(touch(*names))
    assert (found.kind, len(found.images), found.left_out) == (kind, 2, ())
    assert [line for line in notes.sentences() if "case" in line]


def test_names_of_two_cases_are_not_mixed_up(touch):
    folder = touch("A.png", "a.png", "a_mask.png", "B.png", "b.png", "B.xml", "b_mask.png")
    with collect_notes() as notes:
        found = discover(folder)
    names = [(image.name, mask.name) for image, mask in zip(found.images, found.annotations, strict=True)]
    assert names == [("B.png", "B.xml"), ("a.png", "a_mask.png"), ("b.png", "b_mask.png")]
    assert not [line for line in notes.sentences() if "case" in line]


def test_truth_files_are_paired_by_names_of_another_case(touch):
    folder = touch("pred/A.png", "pred/b.png", "truth/a.PNG", "truth/b.png", "truth/B.png")
    with collect_notes() as notes:
        pairs, images, truth = pair_folders(folder / "pred", folder / "truth")
    assert [(one.name, other.name) for one, other in pairs] == [("A.png", "a.PNG"), ("b.png", "b.png")]
    assert (images, [path.name for path, _ in truth]) == ([], ["B.png"])
    assert len(notes.sentences()) == 1
