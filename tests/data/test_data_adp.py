"""The ADP tuning set: both layouts; on the real one, the pixel counts that its makers' truth has."""

import numpy as np
import pytest

from hsn.annotations.colors import resize_labels, to_colors
from hsn.data import adp
from hsn.images.read import write
from hsn.taxonomies import ADP_FUNC, ADP_MORPH

MORPH = [
    10571471, 221528, 3911039, 2267804, 1483935, 2701324, 600147, 696509, 10077671, 948032, 6911920, 1345640,
    193229, 785059, 1157817, 374547, 84452, 712405, 963751, 1585584, 184297, 121577, 2832316, 401940, 6067317,
    1023749, 778465, 28045, 6601,
]  # fmt: skip
FUNC = [6527971, 37771290, 9137722, 2863848, 2886369]
NAMES = ("070.png_crop_2.png", "070.png_crop_10.png")
LAYOUTS = {
    "release": ("img/01_tuning_patch", "gt/01_tuning_patch/morph", "gt/01_tuning_patch/func"),
    "plain": ("images_224", "mask_morph_rgb", "mask_func_rgb"),
}
TABLES = {
    "release": ("gt/01_tuning_patch/gt_labels.csv",
                "Patch Names,E.M.S,C.L,G.O\n070.png_crop_10.png,0,1,1\n070.png_crop_2.png,1,0,0\n"),
    "plain": ("image_level_tags_from_masks.csv",
              "image,taxonomy,class:area_fraction\n"
              "070.png_crop_10.png,morph,Background:0.1 C.L:0.9\n070.png_crop_10.png,func,Other:0.2 G.O:0.8\n"
              "070.png_crop_2.png,morph,E.M.S:1.0\n"),
}  # fmt: skip


@pytest.fixture(params=LAYOUTS)
def folder(request, tmp_path):
    images, morph, func = LAYOUTS[request.param]
    for label, name in enumerate(NAMES, start=1):
        write(tmp_path / images / name, np.full((8, 8, 3), 200, np.uint8))
        write(tmp_path / morph / name, to_colors(np.full((32, 32), label), ADP_MORPH))
        write(tmp_path / func / name, to_colors(np.full((32, 32), label), ADP_FUNC))
    path, text = TABLES[request.param]
    (tmp_path / path).write_text(text)
    return tmp_path


def test_both_layouts_give_the_same_samples(folder):
    samples = adp.list_samples(folder)
    assert tuple(s.name for s in samples) == NAMES
    assert [s.tags for s in samples] == [("E.M.S",), ("C.L", "G.O")]
    assert {s.group for s in samples} == {"070"}
    assert samples[0].mpp == pytest.approx(1.2142857)
    for label, sample in enumerate(samples, start=1):
        assert sample.image().shape == (8, 8, 3)
        for taxonomy in (ADP_MORPH, ADP_FUNC):
            assert (sample.truth(taxonomy)[0] == label).all()


def test_images_without_truth_or_tags_are_still_listed(tmp_path, raises_code):
    write(tmp_path / "images_224" / NAMES[0], np.zeros((8, 8, 3), np.uint8))
    (sample,) = adp.list_samples(tmp_path)
    assert sample.tags == ()
    with raises_code("truth-missing"):
        sample.truth("adp-morph")


def test_a_damaged_table_is_an_error(folder, raises_code):
    table = next(folder.rglob("*.csv"))
    table.write_text(table.read_text().splitlines()[0] + "\n070.png_crop_2.png\n")
    with raises_code("table-malformed"):
        adp.list_samples(folder)


def test_a_folder_of_something_else_is_an_error(tmp_path, raises_code):
    with raises_code("samples-missing"):
        adp.list_samples(tmp_path)


@pytest.fixture(scope="module")
def counts(data):
    """Pixels of each class and unlisted ones, per taxonomy, at full size and at 224."""
    table = {}
    for taxonomy in (ADP_MORPH, ADP_FUNC):
        full, small = np.zeros((2, len(taxonomy) + 1), int)
        for sample in adp.list_samples(data / "adp_tuning"):
            labels, known = sample.truth(taxonomy)
            for total, shape in ((full, labels.shape), (small, (224, 224))):
                seen = resize_labels(np.where(known, labels, len(taxonomy)), shape)
                total += np.bincount(seen.ravel(), minlength=len(taxonomy) + 1)
        table[taxonomy.name] = full, small
    return table


@pytest.mark.slow
def test_the_pixel_counts_of_the_real_truth(counts):
    full, small = counts["adp-morph"]
    assert full[:-1].tolist() == MORPH
    assert full[-1] == 83285 + 56100 + 9644
    assert full.sum() == small.sum() * 1088**2 // 224**2 == 59187200
    by_name = dict(zip(ADP_MORPH.names, small, strict=False))
    assert [by_name[k] for k in ("Background", "C.D.I", "C.L", "N.P", "E.M.S", "H.K", "N.G.W")] == [
        448180, 427268, 293343, 257133, 9325, 8158, 281,
    ]  # fmt: skip
    assert small[-1] == 6321
    full, small = counts["adp-func"]
    assert full.tolist() == [*FUNC, 0]
    assert small.tolist() == [276551, 1601503, 387169, 121557, 122020, 0]


def test_the_real_tuning_set(data):
    samples = adp.list_samples(data / "adp_tuning")
    assert len(samples) == 50
    assert all(len(s.mask_paths) == 2 and s.tags for s in samples)
    assert samples[0].image().shape == (224, 224, 3)
    labels, known = samples[0].truth("adp-func")
    assert labels.shape == known.shape == (1088, 1088)
    assert known.all()
