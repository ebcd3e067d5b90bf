import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as some
from PIL import Image
from scipy.ndimage import map_coordinates

from hsn import InputError
from hsn.images.read import list_images, read, resample, write


@pytest.fixture
def picture(rng):
    return rng.integers(0, 256, (6, 9, 3), dtype=np.uint8)


def saved(path, array, mode=None, **options):
    Image.fromarray(array).convert(mode).save(path, **options)
    return path


# --- what is read -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_lossless_files_come_back_unchanged(tmp_path, picture, suffix):
    assert (read(saved(tmp_path / f"a{suffix}", picture)) == picture).all()


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiffs_come_back_unchanged(tmp_path, picture, compression):
    assert (read(saved(tmp_path / "a.tif", picture, compression=compression)) == picture).all()


def test_a_jpeg_comes_back_nearly(tmp_path, ihc):
    back = read(saved(tmp_path / "a.jpg", ihc, quality=95, subsampling=0))
    assert back.shape == ihc.shape
    assert np.abs(back.astype(int) - ihc).mean() < 2


def test_the_format_follows_from_the_first_bytes(tmp_path, picture):
    saved(tmp_path / "a.png", picture).rename(tmp_path / "a.jpg")
    assert (read(tmp_path / "a.jpg") == picture).all()


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [(3, lambda a: a[::-1, ::-1]), (6, lambda a: np.rot90(a, -1)), (8, np.rot90), (2, lambda a: a[:, ::-1])],
)
def test_a_turned_camera_is_turned_back(tmp_path, suffix, orientation, upright):
    picture = np.full((16, 32, 3), 200, np.uint8)
    picture[:8, :16] = (120, 20, 90)  # one corner in another color
    exif = Image.Exif()
    exif[274] = orientation
    back = read(saved(tmp_path / f"a{suffix}", picture, exif=exif))
    assert back.shape == upright(picture).shape
    assert np.abs(back.astype(int) - upright(picture)).mean() < 3


def test_an_opaque_alpha_channel_is_dropped(tmp_path, picture):
    assert (read(saved(tmp_path / "a.png", picture, "RGBA")) == picture).all()


def test_a_color_palette_gives_its_colors(tmp_path):
    stripes = np.zeros((4, 4, 3), np.uint8)
    stripes[::2] = (200, 30, 120)
    for name in ("a.png", "a.bmp"):
        Image.fromarray(stripes).quantize(2).save(tmp_path / name)
        assert (read(tmp_path / name) == stripes).all()


def test_one_pixel_is_an_image(tmp_path):
    write(tmp_path / "a.png", np.full((1, 1, 3), 7, np.uint8))
    assert read(tmp_path / "a.png").tolist() == [[[7, 7, 7]]]


def test_exactly_the_allowed_pixels_are_read(tmp_path, picture, raises_code):
    path = saved(tmp_path / "a.png", picture)
    assert read(path, max_pixels=54).shape == (6, 9, 3)
    with raises_code("image-too-large"):
        read(path, max_pixels=53)


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_gray_is_refused(tmp_path, picture, mode, raises_code):
    with raises_code("image-not-rgb"):
        read(saved(tmp_path / "a.png", picture, mode))


def test_a_palette_of_grays_is_refused(tmp_path, picture, raises_code):
    grey = Image.fromarray(picture).convert("L").convert("P")
    grey.save(tmp_path / "a.png")
    with raises_code("image-not-rgb"):
        read(tmp_path / "a.png")


def test_cmyk_is_refused(tmp_path, picture, raises_code):
    for name in ("a.jpg", "a.tif"):
        with raises_code("image-not-rgb"):
            read(saved(tmp_path / name, picture, "CMYK"))


def test_sixteen_bits_of_gray_are_refused(tmp_path, raises_code):
    for name in ("a.png", "a.tif"):
        Image.fromarray(np.full((3, 3), 900, np.uint16)).save(tmp_path / name)
        with raises_code("image-not-rgb"):
            read(tmp_path / name)


def test_sixteen_bits_of_color_are_refused(tmp_path, raises_code):
    import cv2

    for name in ("a.png", "a.tif"):
        cv2.imwrite(str(tmp_path / name), np.full((3, 3, 3), 900, np.uint16))
        with raises_code("image-bit-depth"):
            read(tmp_path / name)


def test_real_transparency_is_refused(tmp_path, picture, raises_code):
    veiled = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
    veiled[2, 3, 3] = 254
    with raises_code("image-transparent"):
        read(saved(tmp_path / "a.png", veiled))


def test_a_transparent_color_is_refused_only_where_it_occurs(tmp_path, picture, raises_code):
    picture[picture == 255] = 0
    path = saved(tmp_path / "a.png", picture, transparency=(255, 255, 255))
    assert (read(path) == picture).all()
    path = saved(tmp_path / "a.png", picture, transparency=tuple(int(v) for v in picture[0, 0]))
    with raises_code("image-transparent"):
        read(path)


def test_an_empty_file_is_refused(tmp_path, raises_code):
    (tmp_path / "a.png").touch()
    with raises_code("file-empty"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("start", [b"hello", b"GIF89a..", b"PK\3\4", b"\x89PNH"])
def test_files_that_are_not_images_are_refused(tmp_path, start, raises_code):
    (tmp_path / "a.png").write_bytes(start * 20)
    with raises_code("image-format"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
@pytest.mark.parametrize("part", [0.97, 0.5, 0.02])
def test_a_cut_off_file_is_refused(tmp_path, ihc, suffix, part, raises_code):
    path = saved(tmp_path / f"a{suffix}", ihc[:64, :64])
    path.write_bytes(path.read_bytes()[: max(9, int(part * path.stat().st_size))])
    with raises_code("image-damaged"):
        read(path)


@given(st.data())
def test_damaged_bytes_are_read_or_refused_but_never_crash(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    suffix = data.draw(st.sampled_from([".png", ".jpg", ".bmp", ".tif"]))
    path = saved(folder / f"a{suffix}", np.full((5, 5, 3), (200, 90, 150), np.uint8))
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=6)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        image = read(path, max_pixels=10_000)
    except InputError:
        return
    assert image.dtype == np.uint8
    assert image.shape[2] == 3


def bomb(width, height):
    """A PNG of a few hundred bytes whose header promises `width` x `height`."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(99)))
        + chunk(b"IEND", b"")
    )


def test_a_huge_image_is_refused_before_it_is_decoded(tmp_path, raises_code):
    (tmp_path / "a.png").write_bytes(bomb(20_000, 20_000))
    with raises_code("image-too-large"):
        read(tmp_path / "a.png")


def test_a_folder_and_a_missing_file_are_refused(tmp_path, raises_code):
    with raises_code("file-unreadable"):
        read(tmp_path)
    with raises_code("file-unreadable"):
        read(tmp_path / "gone.png")


# --- writing, listing ---------------------------------------------------------------------------------------


@given(some.arrays(np.uint8, st.tuples(st.integers(1, 7), st.integers(1, 7), st.just(3))))
def test_what_is_written_is_read_back(tmp_path_factory, image):
    folder = tmp_path_factory.mktemp("written")
    for name in ("a.png", "b.bmp", "c.PNG"):
        write(folder / "deeper" / name, image)
        assert (read(folder / "deeper" / name) == image).all()
    assert len(list((folder / "deeper").iterdir())) == 3  # nothing temporary stays


def test_only_lossless_rgb_is_written(tmp_path, picture, raises_code):
    with raises_code("file-suffix"):
        write(tmp_path / "a.jpg", picture)
    with raises_code("image-dtype"):
        write(tmp_path / "a.png", picture[..., 0])


def test_images_of_a_folder_are_listed_by_name(tmp_path):
    for name in ("2.tiff", "10.png", "1.JPEG", "a.bmp", "._1.png", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["1.JPEG", "10.png", "2.tiff", "a.bmp"]
    assert list_images(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]


def test_a_folder_without_images_is_refused(tmp_path, raises_code):
    (tmp_path / "notes.txt").touch()
    with raises_code("folder-without-images"):
        list_images(tmp_path)
    with raises_code("folder-missing"):
        list_images(tmp_path / "gone")


# --- resampling ---------------------------------------------------------------------------------------------


@given(
    some.arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(0, 255)),
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
)
def test_resampling_is_bilinear_between_pixel_centers(image, shape):
    where = [(np.arange(n) + 0.5) * m / n - 0.5 for n, m in zip(shape, image.shape, strict=True)]
    expected = map_coordinates(image, np.meshgrid(*where, indexing="ij"), order=1, mode="nearest")
    assert np.abs(resample(image, shape) - expected).max() < 1e-3  # OpenCV's weights are float32


def test_resampling_keeps_dtype_and_channels(ihc):
    small = resample(ihc, (200, 301))
    assert small.dtype == np.uint8
    assert small.shape == (200, 301, 3)
    exact = resample(ihc.astype(np.float32), (200, 301))
    assert np.abs(small - exact).max() <= 1
    assert resample(ihc[..., :1], (20, 30)).shape == (20, 30, 1)
    assert resample(np.zeros((5, 5, 51), np.float32), (7, 8)).shape == (7, 8, 51)


def test_what_cannot_be_resampled_is_refused(raises_code):
    with raises_code("image-not-resizable"):
        resample(np.zeros((2, 2), int), (3, 3))
    with raises_code("image-not-resizable"):
        resample(np.zeros((0, 2), np.float32), (3, 3))
    with raises_code("shape-positive"):
        resample(np.zeros((2, 2), np.float32), (0, 3))
