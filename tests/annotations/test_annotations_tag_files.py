"""Files of tags: tables, names and folders as labs have them; every gap between images and tags is named."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hsn.annotations.tag_files import from_folders, from_names, from_table, tags_from_labels
from hsn.notes import collect_notes


def table(folder, text, **options):
    path = folder / "tags.csv"
    path.write_text(text, **{"encoding": "utf-8"} | options)
    return path


def test_a_table_is_matched_by_name_not_by_order(tmp_path):
    tags = from_table(["x/b.png", "x/a.png"], table(tmp_path, "Patch Names,G.O,T\na.png,1,0\nb.png,,1\n"))
    assert tags.classes == ("G.O", "T")
    assert tags.paths == (Path("x/b.png"), Path("x/a.png"))
    np.testing.assert_array_equal(tags.tags, np.float32([[np.nan, 1], [1, 0]]))
    assert tags.tags.dtype == np.float32


@pytest.mark.parametrize("row", ["a.png", "a", "x/a.png", "x/a", "w/x/a.png"])
def test_a_row_may_leave_out_suffix_and_folders(tmp_path, row):
    assert from_table(["w/x/a.png"], table(tmp_path, f"name,c\n{row},1\n")).tags.tolist() == [[1]]


def test_folders_in_a_table_tell_equal_names_apart(tmp_path):
    rows = table(tmp_path, "name,c\nx/a.png,1\ny/a.png,0\n")
    assert from_table(["d/y/a.png", "d/x/a.png"], rows).tags.tolist() == [[0], [1]]


def test_the_row_that_writes_more_folders_wins(tmp_path):
    rows = table(tmp_path, "name,c\na.png,1\nx/a.png,0\n")
    assert from_table(["x/a.png", "y/a.png"], rows).tags.tolist() == [[0], [1]]


@pytest.mark.parametrize(
    "text", ["name;c;d\na;1;0\n", "name\tc\td\na\t1\t0\n", "name,c,d\r\n\r\na,1.0,FALSE\r\n"]
)
def test_tables_of_other_programs_are_read(tmp_path, text):
    assert from_table(["a.png"], table(tmp_path, text, encoding="utf-8-sig")).tags.tolist() == [[1, 0]]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("name,c\na.png,1\n", "tags-missing"),
        ("name,c\na.png,1\nb.png,1\nz.png,0\n", "images-missing"),
        ("name,c\na.png,1\na.png,0\nb,1\n", "table-duplicate-row"),
        ("name,c\na.png,2\nb.png,0\n", "tag-value"),
        ("name,c,d\na.png,1\nb.png,0,1\n", "tag-value"),
        ("name\na.png\n", "table-columns"),
        ("name,c,c\na.png,1,1\n", "table-columns"),
        ("name,c,\na.png,1,1\n", "table-columns"),
        ("", "table-columns"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path, text, code, raises_code):
    with raises_code(code):
        from_table(["a.png", "b.png"], table(tmp_path, text))


def test_a_refusal_names_a_few_and_counts_the_rest(tmp_path, raises_code):
    with raises_code("tags-missing"):
        from_table([f"{k}.png" for k in range(12)], table(tmp_path, "name,c\nx.png,1\n"))


def test_two_images_of_one_row_are_refused(tmp_path, raises_code):
    with raises_code("tags-ambiguous"):
        from_table(["x/a.png", "y/a.png"], table(tmp_path, "name,c\na.png,1\n"))


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", "folder"])
def test_files_that_are_not_tables_are_refused(tmp_path, content, raises_code):
    path = tmp_path / "tags.csv"
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with raises_code("file-not-regular" if content == "folder" else "file-unreadable"):
        from_table(["a.png"], path)


@given(st.lists(st.sampled_from("01"), min_size=1, max_size=6), st.sampled_from(["", " ", ",", "_"]))
def test_tags_in_names_come_back(digits, between):
    path = f"folder.[0]/x-[{between.join(digits)}].png"
    assert from_names([path], "abcdef"[: len(digits)]).tags.tolist() == [[float(d) for d in digits]]


@pytest.mark.parametrize("name", ["x.png", "x[12].png", "x[10]y.png", "x[1  0].png", "x[].png"])
def test_names_without_tags_are_refused(name, raises_code):
    with raises_code("tags-not-in-name") as error:
        from_names([name, "a[10].png"], ("c", "d"))
    assert name in str(error.value)
    assert "a[10]" not in str(error.value)


def test_names_with_another_number_of_tags_are_refused(raises_code):
    with raises_code("tags-count"):
        from_names(["a[101].png", "b[10].png"], ("c", "d"))


def test_a_copy_in_a_second_folder_is_a_second_tag(tmp_path):
    for name, content in (
        ("fat/1", b"A"),
        ("gland/1", b"A"),
        ("gland/2", b"A"),
        ("fat/3", b"B"),
        ("gland/3", b"C"),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    tagged = from_folders(sorted(tmp_path.glob("*/*")))
    assert tagged.classes == ("fat", "gland")
    found = {
        path.relative_to(tmp_path).as_posix(): tags
        for path, tags in zip(tagged.paths, tagged.tags.tolist(), strict=True)
    }
    assert found == {"fat/1": [1, 1], "fat/3": [1, 0], "gland/3": [0, 1], "gland/2": [0, 1]}


@pytest.mark.parametrize(
    ("image", "row"),
    [
        ("a.ome.tif", "a"),
        ("a.ome.tif", "a.ome.tif"),
        ("Gro\u0308\u00dfe.png", "Gr\u00f6\u00dfe.png"),
        ("=a.png", "'=a.png"),
    ],
)
def test_rows_match_names_with_two_suffixes_accents_and_apostrophes(tmp_path, image, row):
    assert from_table([image], table(tmp_path, f"name,x\n{row},1\n")).tags.tolist() == [[1]]


def test_images_beside_the_class_folders_do_not_become_a_class():
    with collect_notes() as notes:
        tagged = from_folders(["data/overview.png", "data/stroma/1.png", "data/tumor/2.png"])
    assert (tagged.classes, len(tagged.paths)) == (("stroma", "tumor"), 2)
    assert notes.sentences() == ["1 images beside the folders of classes are left out: data/overview.png"]


def test_nested_class_folders_are_refused(raises_code):
    with raises_code("folders-nested"):
        from_folders(["data/tumor/1.png", "data/tumor/high/2.png", "data/stroma/3.png"])


def test_one_folder_is_refused(raises_code):
    with raises_code("folders-too-few"):
        from_folders(["x/a.png", "x/b.png"])


def test_a_missing_copy_is_refused(tmp_path, raises_code):
    with raises_code("file-unreadable"):
        from_folders([tmp_path / "x" / "a.png", tmp_path / "y" / "a.png"])


def test_the_real_table_of_adp(tmp_path):
    root = Path(__file__).parents[2]
    images = sorted((root / "img" / "01_tuning_patch").glob("made_*.png"))
    tagged = from_table(images, root / "gt" / "01_tuning_patch" / "gt_labels.csv")
    assert tagged.tags.shape == (3, 31)
    assert [c for c, t in zip(tagged.classes, tagged.tags[0], strict=True) if t] == [
        "E.M.O", "C.D.I", "C.L", "H.E", "H.Y", "A.W", "M.M", "G.O", "T",
    ]  # fmt: skip


# --- tags from labels

labels = arrays.arrays(np.int32, (4, 5), elements=st.integers(0, 3))
known = arrays.arrays(bool, (4, 5))


@given(labels, known, st.floats(0, 1))
def test_a_class_is_present_from_its_share_on(labels, known, least):
    tags = tags_from_labels(labels, 4, min_fraction=least, valid_mask=known)
    for k in range(4):
        pixels = ((labels == k) & known).sum()
        assert tags[k] == (pixels > 0 and pixels >= least * known.sum())


@given(labels)
def test_with_fraction_zero_a_single_pixel_is_enough(labels):
    assert np.flatnonzero(tags_from_labels(labels, 4, min_fraction=0)).tolist() == np.unique(labels).tolist()


def test_each_class_may_have_its_own_share():
    tags = tags_from_labels(np.array([[0, 0, 0, 1]]), 2, min_fraction=[0.8, 0.2])
    assert tags.tolist() == [False, True]


def test_exactly_the_share_is_enough():
    assert tags_from_labels(np.array([[0, 0, 0, 1]]), 2, min_fraction=0.25).tolist() == [True, True]


def test_nothing_known_nothing_tagged():
    tags = tags_from_labels(np.zeros((2, 2), int), 2, min_fraction=0, valid_mask=np.zeros((2, 2), bool))
    assert not tags.any()


@pytest.mark.parametrize("share", [-0.1, 1.1, 5, float("nan")])
def test_a_share_outside_0_to_1_is_refused(share, raises_code):
    with raises_code("fraction-range"):
        tags_from_labels(np.zeros((2, 2), int), 2, min_fraction=share)


def test_a_foreign_label_is_refused(raises_code):
    with raises_code("labels-range"):
        tags_from_labels(np.array([[2]]), 2, min_fraction=0)
