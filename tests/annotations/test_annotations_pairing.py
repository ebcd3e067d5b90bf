"""Pairing: natural order of names; the caller decides what is an annotation; other files are named."""

from hsn.annotations.pairing import Words, pair_by_name

WORDS = Words("note", "notes", "sheets", "texts", "a.txt")


def noted(inner):
    """A text belongs to the image of its name; in the folder `not` it is none."""
    return inner.stem if inner.suffix == ".txt" and inner.parts[0] != "not" else None


def names(paths):
    return [path.name for path in paths]


def test_names_that_share_a_beginning_are_kept_apart_and_two_comes_before_ten(tmp_path, touch):
    touch(*(f"a{k}{end}" for k in ("10", "1", "2", "2²") for end in (".png", ".txt")))
    pairs = pair_by_name(tmp_path, noted, WORDS)
    assert names(pairs.images) == ["a1.png", "a2.png", "a2².png", "a10.png"]
    assert names(pairs.annotations) == ["a1.txt", "a2.txt", "a2².txt", "a10.txt"]


def test_every_file_that_is_alone_is_named_and_hidden_ones_are_none(tmp_path, touch):
    touch("a.JPG", "in/a.txt", "b.png", "c.txt", "y/d.png", "x/d.tif", "d.txt", "x.pdf", "not/b.xlsx")
    touch(".b.txt", ".hidden/b.txt", ".e.png")
    (tmp_path / "b.txt").mkdir()  # a folder is no file
    pairs = pair_by_name(tmp_path, noted, WORDS)
    assert (names(pairs.images), names(pairs.annotations), pairs.spare) == (["a.JPG"], ["a.txt"], ())
    assert [(path.name, why) for path, why in pairs.alone] == [
        ("b.png", "has no note of its name"),
        ("c.txt", "has no image of its name"),
        *(
            (name, "is ambiguous: 2 images and 1 sheets have this name")
            for name in ("d.tif", "d.png", "d.txt")
        ),
    ]


def test_of_several_annotations_the_preferred_counts(tmp_path, touch):
    touch("a.png", "1/a.txt", "2/a.txt", "a.geojson", "b.geojson")
    pairs = pair_by_name(tmp_path, noted, WORDS, preferred=lambda its: (its[-1:], its[:-1]))
    assert pairs.annotations == (tmp_path / "2/a.txt",)
    assert pairs.spare == (tmp_path / "1/a.txt", tmp_path / "a.geojson")
    assert pairs.alone == ()


def test_other_files_and_folders_can_be_ignored(tmp_path, touch):
    touch("a.png", "a.txt", "sheet.png", "old/a.png", "new/old/b.png")
    pairs = pair_by_name(tmp_path, noted, WORDS, besides=("sheet.png", "old"))
    assert pairs.images == (tmp_path / "a.png",)
    assert [path for path, _ in pairs.alone] == [tmp_path / "new/old/b.png"]


def test_the_minimum_number_of_pairs_can_be_set(tmp_path, touch, raises_code):
    touch("a.png", "a.txt", "b.png")
    with raises_code("pairs-missing"):
        pair_by_name(tmp_path, noted, WORDS, least=2)
    (tmp_path / "a.txt").unlink()
    pairs = pair_by_name(tmp_path, noted, WORDS, least=0)
    assert (pairs.images, pairs.annotations) == ((), ())
    assert names(path for path, _ in pairs.alone) == ["a.png", "b.png"]


def test_a_folder_without_pairs_is_refused_with_reasons(tmp_path, touch, raises_code):
    with raises_code("pairs-missing"):
        pair_by_name(tmp_path, noted, WORDS)
    touch("a.png", "b.txt")
    with raises_code("pairs-missing"):
        pair_by_name(tmp_path, noted, WORDS)
    with raises_code("folder-missing"):
        pair_by_name(tmp_path / "nowhere", noted, WORDS)


def test_images_of_one_name_have_the_annotation_of_the_corresponding_folder(tmp_path, touch):
    touch("train/1.png", "train/1.txt", "test/1.png", "test/1.txt", "val/1.png")
    pairs = pair_by_name(tmp_path, noted, WORDS)
    assert [path.parent.name for path in pairs.images] == ["test", "train"]
    assert [path.parent.name for path in pairs.annotations] == ["test", "train"]
    assert pairs.alone == ((tmp_path / "val/1.png", "has no note of its name"),)


def test_linked_folders_are_followed_once_and_loops_end(tmp_path, touch):
    touch("in/a.png", "in/a.txt")
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "in")
    (folder / "same").symlink_to(tmp_path / "in")
    (folder / "loop").symlink_to(folder)
    pairs = pair_by_name(folder, noted, WORDS)
    assert (pairs.images, pairs.alone) == ((folder / "link/a.png",), ())


def test_links_to_missing_files_are_named(tmp_path, touch):
    touch("a.png", "a.txt")
    (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")
    pairs = pair_by_name(tmp_path, noted, WORDS)
    assert pairs.alone == ((tmp_path / "b.png", "is a link to a file that does not exist"),)
