"""Label images and color masks: integers and exact colors are read back, everything else is refused."""

import cv2
import numpy as np
import pytest
import tifffile

from hsn.annotations.label_files import read_color_mask, read_labels, write_labels
from hsn.images.read import write


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".PNG"])
@pytest.mark.parametrize("largest", [1, 255, 256, 65535])
def test_labels_survive_a_file(tmp_path, rng, suffix, largest):
    labels = rng.integers(0, largest + 1, (17, 23))
    labels[0, 0] = largest
    write_labels(tmp_path / f"a{suffix}", labels)
    np.testing.assert_array_equal(read_labels(tmp_path / f"a{suffix}"), labels)
    assert read_labels(tmp_path / f"a{suffix}").dtype == np.int32


def test_seventy_thousand_objects_survive_a_tiff(tmp_path):
    labels = np.arange(70_000).reshape(280, 250)
    write_labels(tmp_path / "a.tif", labels)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), labels)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), labels)


@pytest.mark.parametrize("dtype", [np.int32, np.uint32])
def test_thirty_two_bits_of_other_programs_are_read(tmp_path, dtype):
    labels = np.array([[0, 1], [65536, 2**31 - 1]])
    tifffile.imwrite(tmp_path / "a.tif", labels.astype(dtype))
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), labels)


def test_numbers_beyond_labels_are_refused(tmp_path, raises_code):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[2**31]], np.uint32))
    with raises_code("labels-too-large"):
        read_labels(tmp_path / "a.tif")


def test_bmp_holds_labels_up_to_255(tmp_path):
    write_labels(tmp_path / "a.bmp", np.array([[0, 255]]))
    assert read_labels(tmp_path / "a.bmp").tolist() == [[0, 255]]


def test_a_mask_is_written_as_0_and_1(tmp_path):
    write_labels(tmp_path / "a.bmp", np.array([[False, True]]))
    assert read_labels(tmp_path / "a.bmp").tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("name", "labels", "code"),
    [
        ("a.bmp", [[256]], "labels-too-large"),
        ("a.png", [[65536]], "labels-too-large"),
        ("a.bmp", [[65536]], "labels-too-large"),
        ("a.tif", [[2**31]], "labels-too-large"),
        ("a.png", [[-1, 3]], "labels-too-large"),
        ("a.jpg", [[1]], "file-suffix"),
        ("a", [[1]], "file-suffix"),
        ("a.png", [[0.5]], "labels-dtype"),
        ("a.png", [1, 2], "labels-dtype"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_left(tmp_path, name, labels, code, raises_code):
    with raises_code(code):
        write_labels(tmp_path / name, np.array(labels))
    assert not list(tmp_path.iterdir())


def test_ids_stored_in_three_equal_channels_are_read(tmp_path):
    ids = np.array([[0, 7], [9, 255]], np.uint8)
    cv2.imwrite(str(tmp_path / "a.bmp"), np.repeat(ids[..., None], 3, axis=2))
    np.testing.assert_array_equal(read_labels(tmp_path / "a.bmp"), ids)


def test_colors_are_refused_as_labels(tmp_path, raises_code):
    write(tmp_path / "a.png", np.array([[[0, 0, 128]]], np.uint8))
    with raises_code("labels-in-color"):
        read_labels(tmp_path / "a.png")


def test_fractions_are_refused_as_labels(tmp_path, raises_code):
    cv2.imwrite(str(tmp_path / "a.tif"), np.array([[0.5]], np.float32))
    with raises_code("labels-dtype"):
        read_labels(tmp_path / "a.tif")


def test_color_masks_are_read_in_the_order_red_green_blue(tmp_path):
    write(tmp_path / "a.png", np.array([[[1, 2, 3]]], np.uint8))
    assert read_color_mask(tmp_path / "a.png").tolist() == [[[1, 2, 3]]]


def test_transparency_is_kept(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.array([[[3, 2, 1, 9]]], np.uint8))
    assert read_color_mask(tmp_path / "a.png").tolist() == [[[1, 2, 3, 9]]]


def test_a_gray_file_is_a_color_mask_of_grays(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.array([[255, 97]], np.uint8))
    assert read_color_mask(tmp_path / "a.png").tolist() == [[[255] * 3, [97] * 3]]


def test_a_jpeg_is_refused_as_color_mask_with_any_suffix(tmp_path, raises_code):
    (tmp_path / "a.png").write_bytes(cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    with raises_code("color-mask-jpeg"):
        read_color_mask(tmp_path / "a.png")


def test_sixteen_bits_are_refused_as_color_mask(tmp_path, raises_code):
    write_labels(tmp_path / "a.png", np.array([[300]]))
    with raises_code("color-mask-dtype"):
        read_color_mask(tmp_path / "a.png")


@pytest.mark.parametrize("reader", [read_labels, read_color_mask])
@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "file-empty"),
        (b"not an image", "image-format"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "image-damaged"),
    ],
)
def test_damaged_files_are_refused(tmp_path, reader, content, code, raises_code):
    (tmp_path / "a.png").write_bytes(content)
    with raises_code(code):
        reader(tmp_path / "a.png")


@pytest.mark.parametrize("reader", [read_labels, read_color_mask])
def test_a_missing_file_is_refused(tmp_path, reader, raises_code):
    with raises_code("file-unreadable"):
        reader(tmp_path / "none.png")


def test_the_size_in_the_header_is_limited_before_pixels_are_decoded(tmp_path, raises_code):
    """A PNG header of 100000 x 100000 in 60 bytes."""
    import struct
    import zlib

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 100000, 100000, 8, 0, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(bomb)
    with raises_code("image-too-large"):
        read_labels(tmp_path / "a.png")
