"""Pairing: in natural order of names, whatever a caller takes for an annotation; the rest is named."""

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
    touch("a.JPG", "in/a.txt", "b.png", "c.txt", "d.png", "x/d.tif", "d.txt", "x.pdf", "not/b.txt")
    touch(".b.txt", ".hidden/b.txt", ".e.png")
    (tmp_path / "b.txt").mkdir()  # a folder is no file
    pairs = pair_by_name(tmp_path, noted, WORDS)
    assert (names(pairs.images), names(pairs.annotations), pairs.spare) == (["a.JPG"], ["a.txt"], ())
    assert [(path.name, why) for path, why in pairs.alone] == [
        ("b.png", "has no note of its name"),
        ("c.txt", "has no image of its name"),
        *((name, "2 images and 1 sheets have this name") for name in ("d.png", "d.tif", "d.txt")),
    ]


def test_of_several_annotations_the_preferred_counts(tmp_path, touch):
    touch("a.png", "1/a.txt", "2/a.txt")
    pairs = pair_by_name(tmp_path, noted, WORDS, preferred=lambda its: (its[-1:], its[:-1]))
    assert pairs.annotations == (tmp_path / "2/a.txt",)
    assert pairs.spare == (tmp_path / "1/a.txt",)
    assert pairs.alone == ()


def test_what_else_lies_in_a_folder_can_be_left_out(tmp_path, touch):
    touch("a.png", "a.txt", "sheet.png", "old/a.png", "new/old/b.png")
    pairs = pair_by_name(tmp_path, noted, WORDS, besides=("sheet.png", "old"))
    assert pairs.images == (tmp_path / "a.png",)
    assert [path for path, _ in pairs.alone] == [tmp_path / "new/old/b.png"]


def test_a_caller_can_do_without_pairs_or_want_more(tmp_path, touch, raises_code):
    touch("a.png", "a.txt", "b.png")
    with raises_code("pairs-missing"):
        pair_by_name(tmp_path, noted, WORDS, least=2)
    (tmp_path / "a.txt").unlink()
    pairs = pair_by_name(tmp_path, noted, WORDS, least=0)
    assert (pairs.images, pairs.annotations) == ((), ())
    assert names(path for path, _ in pairs.alone) == ["a.png", "b.png"]


def test_a_folder_without_pairs_is_refused_and_says_why(tmp_path, touch, raises_code):
    with raises_code("pairs-missing"):
        pair_by_name(tmp_path, noted, WORDS)
    touch("a.png", "b.txt")
    with raises_code("pairs-missing"):
        pair_by_name(tmp_path, noted, WORDS)
    with raises_code("folder-missing"):
        pair_by_name(tmp_path / "nowhere", noted, WORDS)
