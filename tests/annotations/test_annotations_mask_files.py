"""Mask files: pairs by name in common layouts; files without a partner are named."""

import struct
import zipfile

import numpy as np
import pytest

from hsn.annotations.label_files import write_labels
from hsn.annotations.mask_files import as_instances, is_raster, pair, read

IDS = np.array([[0, 3, 3], [0, 0, 9]])


@pytest.mark.parametrize(
    "names",
    [
        ("train_1.bmp", "train_1_anno.bmp", "train_2.bmp", "train_2_anno.bmp"),
        ("images/train_1.tif", "labels/train_1.png", "images/train_2.tif", "labels/train_2.png"),
        ("images/train_1.png", "gt/train_1_anno.png", "images/train_2.png", "gt/train_2_anno.png"),
        ("Tissue/train_1.tif", "Annotations/train_1.xml", "Tissue/train_2.tif", "Annotations/train_2.xml"),
        ("train_1.jpg", "train_1.zip", "train_2.jpg", "train_2.roi"),
        ("train_1.png", "train_1-mask.png", "train_2.png", "train_2 label.tif"),
        ("tissue images/train_1.tif", "label masks modify/train_1.tif", "tissue images/train_2.tif",
         "label masks modify/train_2.tif"),
        ("train_1.png", "train_1_cp_masks.png", "train_2.png", "mask_train_2.png"),
        ("train_1.jpg", "train_1-labelled.png", "train_2.jpg", "train_2_Simple Segmentation.png"),
        ("images/train_1.png", "groundtruth/train_1.png", "images/train_2.png", "ground truth/train_2.png"),
        ("images/train_1.png", "segmentation/train_1.png", "images/train_2.png", "seg/train_2.png"),
        ("train_1.tif", "train_1_Object Identities.tif", "train_2.tif", "train_2-lbl.tif"),
        ("train_1.tif", "train_1_RoiSet.zip", "train_2.tif", "RoiSet_train_2.zip"),
        ("labels 2024/images/train_1.png", "labels 2024/masks/train_1.png", "labels 2024/images/train_2.png",
         "labels 2024/masks/train_2.png"),
        ("rois/train_1.png", "masks/train_1.png", "rois/train_2.png", "masks/train_2.png"),
    ],
)  # fmt: skip
def test_known_layouts_are_paired(tmp_path, touch, names):
    touch(*names)
    pairs = pair(tmp_path)
    assert [path.stem for path in pairs.images] == ["train_1", "train_2"]
    assert [str(path.relative_to(tmp_path)) for path in pairs.annotations] == [names[1], names[3]]
    assert pairs.alone == ()


def test_an_image_named_like_an_annotation_is_an_image_if_it_has_one(tmp_path, touch):
    touch("case_roi.png", "case_roi_mask.png")
    pairs = pair(tmp_path)
    assert (pairs.images, pairs.annotations) == (
        (tmp_path / "case_roi.png",),
        (tmp_path / "case_roi_mask.png",),
    )


@pytest.mark.parametrize("names", ["{}/images/1.png {}/labels/1.png", "images/{}/1.png labels/{}/1.png",
                                   "{}_images/1.png {}_labels/1.png", "{}/1.png {}/1_mask.png"])  # fmt: skip
def test_equal_names_in_train_and_test_are_paired_within_each(tmp_path, touch, names):
    for part in ("train", "test"):
        touch(*names.format(part, part).split())
    pairs = pair(tmp_path)
    assert len(pairs.images) == 2
    for image, annotation in zip(pairs.images, pairs.annotations, strict=True):
        assert ("train" in str(image.relative_to(tmp_path))) == (
            "train" in str(annotation.relative_to(tmp_path))
        )


def test_label_images_count_before_binary_masks(tmp_path, touch):
    touch("tissue images/a.png", "label masks modify/a.tif", "mask binary/a.png")
    pairs = pair(tmp_path)
    assert pairs.annotations == (tmp_path / "label masks modify/a.tif",)
    assert pairs.spare == (tmp_path / "mask binary/a.png",)


def test_composed_and_decomposed_accents_are_one_name(tmp_path, touch):
    touch("Gr\u00f6\u00dfe.png", "Gro\u0308\u00dfe_mask.png")
    assert len(pair(tmp_path).images) == 1


def test_a_label_image_in_jpeg_is_an_annotation_and_not_an_image(tmp_path, touch):
    touch("a.png", "a_mask.jpg")
    assert pair(tmp_path).annotations == (tmp_path / "a_mask.jpg",)


def test_every_file_that_is_alone_is_named(tmp_path, touch):
    touch(
        "a.png",
        "a_mask.png",
        "b.png",
        "c_mask.png",
        "d.png",
        "d_mask.png",
        "d_label.tif",
        ".hidden.png",
        "x.txt",
    )
    pairs = pair(tmp_path)
    assert [path.name for path in pairs.images] == ["a.png"]
    assert {path.name: why for path, why in pairs.alone} == {
        "b.png": "has no mask of its name",
        "c_mask.png": "has no image of its name",
        **dict.fromkeys(
            ("d.png", "d_label.tif", "d_mask.png"), "is ambiguous: 1 image and 2 masks have this name"
        ),
    }


def test_a_label_image_counts_before_outlines(tmp_path, touch):
    touch("images/a.png", "xml/a.xml", "labels/a.png", "images/b.png", "xml/b.xml", "images/c.png")
    touch("labels/c.png", "rois/c.zip", "rois/c.roi")
    pairs = pair(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in pairs.annotations] == [
        "labels/a.png", "xml/b.xml", "labels/c.png"]  # fmt: skip
    assert {path.name for path in pairs.spare} == {"a.xml", "c.zip", "c.roi"}
    assert pairs.alone == ()


def test_a_folder_without_pairs_is_refused_and_says_why(tmp_path, touch, raises_code):
    with raises_code("pairs-missing"):
        pair(tmp_path)
    touch("a.png", "b_mask.png")
    with raises_code("pairs-missing"):
        pair(tmp_path)


def test_ids_are_read_as_they_are_and_binary_masks_in_parts(tmp_path):
    write_labels(tmp_path / "ids.png", IDS)
    assert read(tmp_path / "ids.png", (2, 3)).tolist() == IDS.tolist()
    write_labels(tmp_path / "binary.png", np.where(IDS > 0, 255, 0))
    assert read(tmp_path / "binary.png", (2, 3)).tolist() == [[0, 1, 1], [0, 0, 1]]
    write_labels(tmp_path / "apart.png", np.array([[255, 0, 255]]))
    assert read(tmp_path / "apart.png", None).tolist() == [[1, 0, 2]]
    write_labels(tmp_path / "nothing.png", np.zeros((2, 3), int))
    assert read(tmp_path / "nothing.png", (2, 3)).max() == 0


def test_outlines_need_the_size_of_their_image(tmp_path):
    (tmp_path / "a.xml").write_text(
        "<Annotations><Annotation><Regions><Region><Vertices>"
        + "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in ((1, 1), (4, 1), (4, 3), (1, 3)))
        + "</Vertices></Region></Regions></Annotation></Annotations>"
    )
    assert read(tmp_path / "a.xml", (5, 6)).sum() > 4
    header = bytearray(64)
    header[:4] = b"Iout"
    struct.pack_into(">HBxhhhh", header, 4, 227, 1, 1, 1, 3, 4)  # a rectangle: rows 1-2, columns 1-3
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("one.roi", bytes(header))
    assert read(tmp_path / "a.zip", (5, 6)).sum() == 6
    assert not is_raster(tmp_path / "a.zip")


def test_a_mask_of_another_size_is_refused(tmp_path, raises_code):
    write_labels(tmp_path / "ids.png", IDS)
    with raises_code("shape-mismatch"):
        read(tmp_path / "ids.png", (4, 3))


def test_arrays_follow_the_rule_of_files():
    found = as_instances(np.array([[True, False, True]]), "an array")
    assert found.tolist() == [[1, 0, 2]]
    assert as_instances(IDS, "an array").tolist() == IDS.tolist()
