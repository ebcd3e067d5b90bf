"""The decoder against tifffile, scikit-image and Pillow: stored numbers over depths, compressions and pages."""

import struct

import cv2
import numpy as np
import pytest
import skimage.io
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from hsn import InputError
from hsn.annotations.label_files import read_labels
from hsn.annotations.mask_files import read as read_instances
from hsn.notes import collect_notes
from hsn.rasters import decode, decode_pages

DTYPES = (
    "bool",
    "uint8",
    "int8",
    "uint16",
    "int16",
    "uint32",
    "int32",
    "uint64",
    "int64",
    "float32",
    "float64",
)
COMPRESSIONS = (None, "deflate", "lzma")  # what tifffile writes without other packages
PILLOW_COMPRESSIONS = (None, "tiff_lzw", "tiff_deflate", "packbits", "tiff_adobe_deflate", "zstd")
shapes = st.tuples(st.integers(1, 9), st.integers(2, 9))


@st.composite
def stored(draw, dtype):
    """Numbers of a label image in a file of this type."""
    largest = 1 if dtype == "bool" else min(np.iinfo(dtype).max if "int" in dtype else 2**24, 2**31 - 1)
    numbers = draw(arrays.arrays("int64", draw(shapes), elements=st.integers(0, largest)))
    return numbers.astype(dtype)


@given(data=st.data(), dtype=st.sampled_from(DTYPES), compression=st.sampled_from(COMPRESSIONS),
       photometric=st.sampled_from(["minisblack", "miniswhite"]), order=st.sampled_from("<>"),
       big=st.booleans(), tiled=st.booleans(), predict=st.booleans())  # fmt: skip
def test_labels_are_the_numbers_that_tifffile_stores(
    tmp_path_factory, data, dtype, compression, photometric, order, big, tiled, predict
):
    path = tmp_path_factory.mktemp("raster") / "a.tif"
    numbers = data.draw(stored(dtype))
    options = {"tile": (16, 16)} if tiled and dtype != "bool" else {}
    options |= {"predictor": True} if predict and compression and "int" in dtype and "64" not in dtype else {}
    tifffile.imwrite(
        path,
        numbers,
        photometric=photometric,
        byteorder=order,
        bigtiff=big,
        compression=compression,
        **options,
    )
    expected = tifffile.imread(path).reshape(numbers.shape).astype(int) * (255 if dtype == "bool" else 1)
    np.testing.assert_array_equal(read_labels(path), expected)
    np.testing.assert_array_equal(
        np.asarray(skimage.io.imread(path)).astype(int) * (255 if dtype == "bool" else 1), expected
    )


@given(data=st.data(), dtype=st.sampled_from(["bool", "uint8", "uint16", "int32", "float32"]),
       compression=st.sampled_from(PILLOW_COMPRESSIONS))  # fmt: skip
def test_labels_are_the_numbers_that_pillow_stores(tmp_path_factory, data, dtype, compression):
    path = tmp_path_factory.mktemp("raster") / "a.tif"
    numbers = data.draw(stored(dtype))
    Image.fromarray(numbers).save(path, compression=compression)
    np.testing.assert_array_equal(read_labels(path), numbers.astype(int) * (255 if dtype == "bool" else 1))


def png(depth, color, rows, palette=b""):
    """A PNG of packed rows."""
    import zlib

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    width = len(rows[0]) * 8 // depth
    head = struct.pack(">IIBBBBB", width, len(rows), depth, color, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    parts = [chunk(b"IHDR", head), chunk(b"PLTE", palette) if palette else b"", chunk(b"IDAT", body)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("depth", "expected"), [(1, [0, 255] * 4), (2, [0, 1, 2, 3]), (4, [5, 14])])
def test_depths_below_8_give_stored_numbers(tmp_path, depth, expected):
    packed = {1: 0b01010101, 2: 0b00011011, 4: 0x5E}[depth]
    (tmp_path / "a.png").write_bytes(png(depth, 0, [[packed]]))
    assert read_labels(tmp_path / "a.png").tolist() == [expected]


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_the_palette_index_is_the_label_whatever_the_colors(tmp_path, depth):
    packed = {1: 0b01010101, 2: 0b00011011, 4: 0x5E, 8: 0x07}[depth]
    expected = {1: [0, 1] * 4, 2: [0, 1, 2, 3], 4: [5, 14], 8: [7]}[depth]
    (tmp_path / "a.png").write_bytes(
        png(depth, 3, [[packed]], bytes([0, 0, 0]) + bytes([255, 255, 255]) * 15)
    )
    with collect_notes() as notes:
        assert read_labels(tmp_path / "a.png").tolist() == [expected]
    assert "palette" in notes.sentences()[0]


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("photometric", [0, 1])
def test_tiffs_of_2_and_4_bits_give_stored_numbers(tmp_path, bits, photometric):
    tags = [
        (256, 8 // bits),
        (257, 1),
        (258, bits),
        (259, 1),
        (262, photometric),
        (273, 8),
        (277, 1),
        (278, 1),
        (279, 1),
    ]
    body = struct.pack("<H", len(tags)) + b"".join(
        struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags
    )
    (tmp_path / "a.tif").write_bytes(b"II*\0" + struct.pack("<I", 10) + bytes([0x1B, 0]) + body + bytes(4))
    assert read_labels(tmp_path / "a.tif").tolist() == [{2: [0, 1, 2, 3], 4: [1, 11]}[bits]]


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "float32"])
def test_negative_labels_are_refused(tmp_path, dtype, raises_code):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[-1, 0, 3]]).astype(dtype))
    with raises_code("labels-negative"):
        read_labels(tmp_path / "a.tif")


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf])
def test_numbers_that_are_not_whole_are_refused(tmp_path, value, raises_code):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[value, 1]], np.float32))
    with raises_code("labels-dtype"):
        read_labels(tmp_path / "a.tif")


@pytest.mark.parametrize("compression", ["jpeg", "tiff_jpeg"])
def test_lossy_compression_of_labels_is_refused_in_every_container(tmp_path, compression, raises_code):
    path = tmp_path / ("a.jpg" if compression == "jpeg" else "a.tif")
    image = Image.fromarray(np.zeros((16, 16, 3), np.uint8))
    image.save(path, **({} if compression == "jpeg" else {"compression": compression}))
    with raises_code("labels-lossy"):
        read_labels(path)


@given(st.integers(2, 6), st.sampled_from(["uint8", "uint16"]), st.booleans())
def test_pages_with_one_object_each_are_one_label_image(tmp_path_factory, pages, dtype, with_pillow):
    path = tmp_path_factory.mktemp("raster") / "a.tif"
    stack = np.zeros((pages, 4, 3 * pages), dtype)
    for k in range(pages):
        stack[k, 1:3, 3 * k : 3 * k + 2] = 255
    if with_pillow:
        first, *rest = map(Image.fromarray, stack)
        first.save(path, save_all=True, append_images=rest)
    else:
        tifffile.imwrite(path, stack, photometric="minisblack")
    assert len(decode_pages(path)) == decode(path).pages == pages
    expected = (np.arange(1, pages + 1)[:, None, None] * (stack > 0)).sum(axis=0)
    np.testing.assert_array_equal(read_instances(path, None), expected)
    with pytest.raises(InputError) as error:
        read_labels(path)
    assert error.value.code == "labels-pages"


@pytest.mark.parametrize("change", ["overlap", "two objects", "ids"])
def test_other_pages_are_refused(tmp_path, change, raises_code):
    stack = np.zeros((2, 6, 9), np.uint8)
    stack[0, 1:3, 1:3] = stack[1, 4:5, 5:8] = 255
    if change == "overlap":
        stack[1, 2, 2:5] = stack[1, 3:5, 4] = 255
    elif change == "two objects":
        stack[1, 0, 0] = 255
    else:
        stack[1, 4, 5] = 3
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    with raises_code("labels-pages"):
        read_instances(tmp_path / "a.tif", None)


def test_smaller_copies_are_not_pages(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(np.eye(64, dtype=np.uint8))
        file.write(np.eye(32, dtype=np.uint8), subfiletype=1)
    assert decode(tmp_path / "a.tif").pages == 1
    assert read_labels(tmp_path / "a.tif").sum() == 64


@pytest.mark.parametrize("foreground", [1, 128, 254, 255, 65535])
def test_a_mask_of_one_value_is_split_into_components_with_one_note(tmp_path, foreground):
    mask = np.zeros((9, 9), np.uint16)
    mask[1:4, 1:4] = mask[5:8, 5:8] = foreground
    for name in ("a", "b"):
        tifffile.imwrite(tmp_path / f"{name}.tif", mask)
    with collect_notes() as notes:
        found = [read_instances(tmp_path / f"{name}.tif", (9, 9)) for name in ("a", "b")]
    assert [np.unique(each).tolist() for each in found] == [[0, 1, 2]] * 2
    assert len(notes.sentences()) == 1


def discs():
    yx = np.mgrid[:64, :64]
    return sum(
        ((yx[0] - r) ** 2 + (yx[1] - c) ** 2 <= 36) for r in (12, 32, 52) for c in (12, 32, 52)
    ).astype(np.uint8)


@pytest.mark.parametrize(
    "soften",
    [
        lambda mask: cv2.resize(mask * 255, (128, 128), interpolation=cv2.INTER_LINEAR),
        lambda mask: cv2.resize(mask * 255, (37, 37), interpolation=cv2.INTER_AREA),
        lambda mask: cv2.GaussianBlur(mask * 255, (0, 0), 1),
        lambda mask: cv2.GaussianBlur(mask * 255, (0, 0), 3),
        lambda mask: cv2.resize(mask * 128, (150, 150), interpolation=cv2.INTER_CUBIC),
        lambda mask: cv2.imdecode(cv2.imencode(".jpg", mask * 255)[1], cv2.IMREAD_GRAYSCALE),
    ],
    ids=["enlarged", "shrunk", "blurred", "much blurred", "cubic", "JPEG saved as PNG"],
)
def test_a_mask_with_soft_edges_is_refused_as_instances(tmp_path, soften, raises_code):
    cv2.imwrite(str(tmp_path / "a.png"), soften(discs()))
    with raises_code("labels-blurred"):
        read_instances(tmp_path / "a.png", None)


@given(st.integers(1, 60), st.integers(1, 6), st.integers(0, 99))
def test_true_instances_are_never_taken_for_soft_edges(tmp_path_factory, objects, side, seed):
    rng = np.random.default_rng(seed)
    labels = np.zeros((50, 50), np.uint8)
    for number in range(1, objects + 1):
        row, col = rng.integers(0, 50 - side, 2)
        labels[row : row + side, col : col + max(1, side - 1)] = number
    path = tmp_path_factory.mktemp("raster") / "a.png"
    Image.fromarray(labels).save(path)
    if len(np.unique(labels)) > 2:
        np.testing.assert_array_equal(read_instances(path, None), labels)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_an_alpha_channel_beside_one_color_is_the_mask(tmp_path, mode):
    mask = np.array([[0, 255, 0, 255]], np.uint8)
    image = Image.new(mode, (4, 1))
    image.putalpha(Image.fromarray(mask))
    image.save(tmp_path / "a.png")
    assert read_labels(tmp_path / "a.png").tolist() == mask.tolist()


def test_an_alpha_channel_that_hides_labels_is_refused(tmp_path, raises_code):
    pixels = np.array([[[1, 255], [2, 0]]], np.uint8)
    Image.fromarray(pixels, "LA").save(tmp_path / "hidden.png")
    Image.fromarray(np.array([[[1, 255], [0, 90]]], np.uint8), "LA").save(tmp_path / "soft.png")
    for name in ("hidden.png", "soft.png"):
        with raises_code("labels-transparent"):
            read_labels(tmp_path / name)
    Image.fromarray(np.array([[[3, 255], [0, 0], [2, 255]]], np.uint8), "LA").save(tmp_path / "clear.png")
    assert read_labels(tmp_path / "clear.png").tolist() == [[3, 0, 2]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_label_images_are_turned_upright_like_images(tmp_path, orientation):
    from PIL import ImageOps

    labels = np.arange(1, 7, dtype=np.uint8).reshape(2, 3)
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(labels).save(tmp_path / "a.png", exif=exif)
    tifffile.imwrite(tmp_path / "a.tif", labels.astype(np.uint64), extratags=[(274, 3, 1, orientation, True)])
    expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.png")))
    assert read_labels(tmp_path / "a.png").tolist() == expected.tolist()
    assert read_labels(tmp_path / "a.tif").tolist() == expected.tolist()


def test_a_second_channel_without_meaning_is_refused(tmp_path, raises_code):
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 3, 2)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", planarconfig="contig")
    with raises_code("labels-in-color"):
        read_labels(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["white.png", "fax.tif"])
def test_black_objects_on_white_are_noted(tmp_path, name):
    mask = Image.fromarray(discs() > 0) if name == "fax.tif" else Image.fromarray(255 - 255 * discs())
    options = {"compression": "group4", "tiffinfo": {262: 0}} if name == "fax.tif" else {}
    mask.save(tmp_path / name, **options)
    with collect_notes() as notes:
        read_instances(tmp_path / name, None)
    assert any("may be inverted" in sentence for sentence in notes.sentences())


def test_one_large_object_with_a_hole_is_an_object(tmp_path):
    mask = np.full((20, 20), 255, np.uint8)
    mask[5:9, 5:9] = 0
    Image.fromarray(mask).save(tmp_path / "a.png")
    assert read_instances(tmp_path / "a.png", None).sum() == 400 - 16


def test_numbers_that_may_be_classes_are_noted(tmp_path):
    labels = np.where(np.arange(64)[:, None] < 32, 1, 2) * discs()
    Image.fromarray(np.tile(labels, (1, 3)).astype(np.uint8)).save(tmp_path / "a.png")
    with collect_notes() as notes:
        read_instances(tmp_path / "a.png", None)
    assert "classes" in notes.sentences()[0]
