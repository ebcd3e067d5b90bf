"""Slides: scale or an error, alpha, bounds, levels, boxes that agree, one handle per process."""

import os
import pickle
import subprocess
import sys
from typing import ClassVar

import numpy as np
import openslide
import pytest
import tifffile

from hsn.images import slide as slides
from hsn.images.read import resample, write
from hsn.images.slide import is_slide, open_slide


@pytest.fixture
def image(rng):
    smooth = rng.integers(0, 255, (40, 50, 3)).astype(np.uint8)
    return resample(smooth, (700, 900))


def write_tiff(path, image, *, mpp=0.5, levels=(1, 4), tile=(128, 128), **options):
    """Write a tiled TIFF with levels, as OpenSlide's `generic-tiff` expects it."""
    with tifffile.TiffWriter(path) as writer:
        for factor in levels:
            small = image[::factor, ::factor]
            resolution = None if mpp is None else (1e4 / mpp / factor,) * 2
            unit = None if mpp is None else "CENTIMETER"
            writer.write(
                small, tile=tile, photometric="rgb", subfiletype=int(factor > 1), metadata=None,
                resolution=resolution, resolutionunit=unit, **options,
            )  # fmt: skip
    return path


def test_a_scan_has_scale_levels_and_the_pixels_of_openslide(tmp_path, image):
    path = write_tiff(tmp_path / "a.tif", image)
    slide = open_slide(path)
    assert (slide.dimensions, slide.mpp, slide.mpp_source) == ((900, 700), 0.5, "metadata")
    assert [(level.width, level.height, round(level.mpp, 2)) for level in slide.levels] == [
        (900, 700, 0.5),
        (225, 175, 2.0),
    ]
    assert slide.reader.startswith("openslide 4")
    np.testing.assert_array_equal(slide.read_region(100, 200, 300, 150), image[200:350, 100:400])


def test_a_slide_without_scale_is_an_error_unless_it_is_given(tmp_path, image, raises_code):
    path = write_tiff(tmp_path / "a.tif", image, mpp=None)
    with raises_code("slide-mpp-missing") as caught:
        open_slide(path)
    assert "--mpp" in str(caught.value)
    slide = open_slide(path, mpp=0.25)
    assert (slide.mpp, slide.mpp_source) == (0.25, "given")


def test_screen_resolution_is_not_a_scale(tmp_path, image, raises_code):
    path = write_tiff(tmp_path / "a.tif", image, mpp=25_400 / 72)
    with raises_code("slide-mpp-missing"):
        open_slide(path)


def test_oblong_pixels_are_an_error(tmp_path, image, raises_code):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(image, tile=(128, 128), photometric="rgb", metadata=None, resolution=(20000, 19000),
                     resolutionunit="CENTIMETER")  # fmt: skip
    with raises_code("slide-mpp-not-square"):
        open_slide(path)
    assert open_slide(path, mpp=0.5).mpp == 0.5


@pytest.mark.parametrize("mpp", [0.5, 0.31, 0.8, 1.7])
def test_boxes_agree_in_every_bit_and_with_the_resampled_image(tmp_path, image, mpp, rng):
    reader = open_slide(write_tiff(tmp_path / "a.tif", image, levels=(1,))).at(mpp)
    whole = reader.read(0, 0, *reader.shape[:2])
    expected = resample(image, reader.shape[:2])
    assert np.abs(whole.astype(int) - expected).max() <= 1  # OpenCV's weights have 11 bits
    for _ in range(20):
        top, left = rng.integers(0, reader.shape[0] - 40), rng.integers(0, reader.shape[1] - 60)
        np.testing.assert_array_equal(reader.read(top, left, 40, 60), whole[top : top + 40, left : left + 60])


def test_the_coarsest_level_that_is_fine_enough_is_read(tmp_path, image):
    slide = open_slide(write_tiff(tmp_path / "a.tif", image, levels=(1, 2, 4)))
    assert [slide.level_for(mpp) for mpp in (0.25, 0.5, 0.9, 1.0, 1.9, 2.0, 9.0)] == [0, 0, 0, 1, 1, 2, 2]
    assert slide.at(1.0).is_copy


def test_a_region_beyond_the_slide_is_white(tmp_path, image):
    slide = open_slide(write_tiff(tmp_path / "a.tif", image))
    region = slide.read_region(-10, 690, 30, 20)
    assert (region[10:] == 255).all()
    assert (region[:, :10] == 255).all()
    np.testing.assert_array_equal(region[:10, 10:], image[690:, :20])


def test_a_thumbnail_averages(tmp_path, image):
    slide = open_slide(write_tiff(tmp_path / "a.tif", image, levels=(1,)))
    small = slide.thumbnail(5.0)
    assert small.shape == (70, 90, 3)
    mean = image.reshape(70, 10, 90, 10, 3).mean(axis=(1, 3))
    assert np.abs(small - mean).max() <= 1


def test_a_plain_image_is_a_slide_of_one_level(tmp_path, image):
    write(tmp_path / "a.png", image)
    slide = open_slide(tmp_path / "a.png", mpp=0.5)
    assert len(slide.levels) == 1
    np.testing.assert_array_equal(slide.read_region(5, 6, 7, 8), image[6:14, 5:12])
    assert not is_slide(tmp_path / "a.png")


def test_tifffile_reads_what_openslide_does_not(tmp_path, image, monkeypatch):
    path = write_tiff(tmp_path / "a.tif", image)
    expected = open_slide(path).read_region(100, 100, 200, 100)
    monkeypatch.setattr(openslide.OpenSlide, "detect_format", lambda _: None)
    slide = open_slide(path)
    assert slide.reader.startswith("tifffile")
    np.testing.assert_array_equal(slide.read_region(100, 100, 200, 100), expected)


class FakeSlide:
    """OpenSlide's interface over an array, with transparent pixels and bounds."""

    properties: ClassVar = {
        "openslide.mpp-x": "0.5",
        "openslide.mpp-y": "0.5",
        "openslide.bounds-x": "10",
        "openslide.bounds-y": "20",
        "openslide.bounds-width": "64",
        "openslide.bounds-height": "32",
    }
    dimensions = (100, 80)
    level_dimensions = ((100, 80), (50, 40))
    failures = 0

    def __init__(self, path):
        self.rgba = np.zeros((80, 100, 4), np.uint8)
        self.rgba[20:52, 10:74] = (200, 100, 150, 255)
        self.rgba[20:30, 10:20] = 0  # not scanned: black and transparent

    def set_cache(self, cache):
        pass

    def read_region(self, place, level, size):
        if FakeSlide.failures:
            FakeSlide.failures -= 1
            raise openslide.OpenSlideError("cannot decode")
        step = 2**level
        (x, y), (w, h) = place, size
        return self.rgba[y : y + h * step : step, x : x + w * step : step]


@pytest.fixture
def fake(tmp_path, monkeypatch):
    (tmp_path / "a.mrxs").write_bytes(b"slide")
    monkeypatch.setattr(openslide, "OpenSlide", FakeSlide)
    monkeypatch.setattr(FakeSlide, "detect_format", lambda _: "mirax", raising=False)
    monkeypatch.setattr(FakeSlide, "failures", 0)
    return tmp_path / "a.mrxs"


def test_pixels_that_were_not_scanned_are_white_and_positions_start_at_the_bounds(fake):
    slide = open_slide(fake)
    assert slide.dimensions == (64, 32)
    assert [level[:2] for level in slide.levels] == [(64, 32), (32, 16)]
    pixels = slide.read_level(0, 0, 32, 64)
    assert (pixels[:10, :10] == 255).all()
    assert (pixels[10:] == (200, 100, 150)).all()
    assert (slide.read_level(0, 5, 5, 2, level=1) == (200, 100, 150)).all()


def test_a_failed_read_is_repeated_once_with_a_new_handle(fake, raises_code):
    slide = open_slide(fake)
    FakeSlide.failures = 1
    assert slide.read_level(0, 0, 4, 4).shape == (4, 4, 3)
    FakeSlide.failures = 2
    with raises_code("slide-damaged"):
        slide.read_level(0, 0, 4, 4)


def test_a_slide_can_be_sent_to_another_process_which_opens_it_anew(tmp_path, image):
    path = write_tiff(tmp_path / "a.tif", image)
    slide = open_slide(path)
    slide.read_region(0, 0, 8, 8)
    (tmp_path / "slide.pickle").write_bytes(pickle.dumps(slide))
    code = (
        "import pickle, sys; slide = pickle.load(open(sys.argv[1], 'rb'));"
        "assert slide._source is None; print(slide.read_region(0, 0, 2, 1).tolist())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "slide.pickle")]
    environment = os.environ | {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == str(image[:1, :2].tolist())


@pytest.mark.parametrize("content", [b"", b"II*\0", b"not an image", b"Aperio" * 1000])
def test_damaged_files_are_one_sentence(tmp_path, content):
    from hsn.errors import InputError

    path = tmp_path / "a.svs"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        open_slide(path)
    assert "a.svs" in str(caught.value)
    assert not is_slide(path)


def test_a_truncated_slide_is_one_sentence(tmp_path, image):
    from hsn.errors import InputError

    whole = write_tiff(tmp_path / "a.tif", image).read_bytes()
    path = tmp_path / "b.tif"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError):
        open_slide(path, mpp=0.5).read_region(0, 0, 900, 700)


def test_a_huge_slide_is_an_error(tmp_path, image, raises_code, monkeypatch):
    monkeypatch.setattr(slides, "SLIDE_PIXELS", 1000)
    with raises_code("slide-too-large"):
        open_slide(write_tiff(tmp_path / "a.tif", image))


def test_real_slides(data, raises_code):
    small = data / "slides" / "CMU-1-Small-Region.svs"
    if not small.exists():
        pytest.skip("HSN_DATA has no slides")
    slide = open_slide(small)
    assert (slide.dimensions, slide.mpp) == ((2220, 2967), 0.499)
    assert is_slide(small)
    (without,) = small.parent.glob("tcga-*.svs")
    with raises_code("slide-mpp-missing"):
        open_slide(without)
    slide = open_slide(without, mpp=0.25)
    # Downsampling factors are not whole: 2.0005.
    assert slide.at(0.5).shape == (1783, 2221, 3)
