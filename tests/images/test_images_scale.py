"""The scale of an image: given by the user, in the metadata of the file, or assumed."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from hsn.images.scale import find_scale, read_mpp

PIXELS = np.zeros((16, 16, 3), np.uint8)
APERIO = "Aperio Image Library v11.2.1\n46000x32914 JPEG/RGB Q=30|AppMag = 20|MPP = 0.4990|Left = 25.69"


def ome(attributes):
    return f'<?xml version="1.0"?><OME><Image><Pixels {attributes} SizeX="16"/></Image></OME>'


@pytest.mark.parametrize(
    ("options", "mpp"),
    [
        ({"description": APERIO}, 0.499),
        ({"description": ome('PhysicalSizeX="0.25" PhysicalSizeY="0.25"')}, 0.25),
        ({"description": ome('PhysicalSizeX="250" PhysicalSizeY="250" PhysicalSizeXUnit="nm" PhysicalSizeYUnit="nm"')},
         0.25),
        ({"resolution": (40_000, 40_000), "resolutionunit": "CENTIMETER"}, 0.25),
        ({"resolution": (50_800, 50_800), "resolutionunit": "INCH"}, 0.5),
        ({"description": "ImageJ=1.53\nunit=micron\n", "resolution": (4, 4), "resolutionunit": "NONE"}, 0.25),
        ({"description": "ImageJ=1.53\nunit=\\u00B5m\n", "resolution": (2, 2), "resolutionunit": "NONE"}, 0.5),
        ({"bigtiff": True, "resolution": (40_000, 40_000), "resolutionunit": "CENTIMETER"}, 0.25),
    ],
)  # fmt: skip
def test_the_scale_of_a_tiff_is_read(tmp_path, options, mpp):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", metadata=None, **options)
    assert read_mpp(tmp_path / "a.tif") == pytest.approx(mpp, rel=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"resolution": (72, 72), "resolutionunit": "INCH"},  # of a screen
        {"resolution": (40_000, 20_000), "resolutionunit": "CENTIMETER"},  # pixels that are not square
        {"resolution": (40_000, 40_000), "resolutionunit": "NONE"},
        {"description": ome('PhysicalSizeX="1" PhysicalSizeY="1" PhysicalSizeXUnit="pixel"')},
        {"description": ome('PhysicalSizeX="1e999" PhysicalSizeY="1e999"')},
        {"description": "|MPP = ....|"},
        {"description": "ImageJ=1.53\nunit=parsec\n", "resolution": (4, 4)},
    ],
)
def test_no_scale_is_made_up(tmp_path, options):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", metadata=None, **options)
    assert read_mpp(tmp_path / "a.tif") is None


def test_the_resolution_of_a_png_is_that_of_a_screen(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png", dpi=(25_400, 25_400))
    assert read_mpp(tmp_path / "a.png") is None


@pytest.mark.parametrize("content", [b"", b"II*\0", b"II*\0" + bytes(100), b"MM\0*\xff\xff\xff\xff"])
def test_damaged_files_have_no_scale(tmp_path, content):
    (tmp_path / "a.tif").write_bytes(content)
    assert read_mpp(tmp_path / "a.tif") is None


def test_what_the_user_gives_counts_before_the_metadata(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", metadata=None, description=APERIO)
    scales = [find_scale(tmp_path / "a.tif", mpp, default=1.0) for mpp in (None, 0.3)]
    assert [(scale.mpp, scale.source) for scale in scales] == [(0.499, "metadata"), (0.3, "given")]
    assert find_scale(PIXELS, None, default=1.0).source == "assumed"


@pytest.mark.parametrize("mpp", [0, -1, 0.01, 40, float("nan"), float("inf")])
def test_a_scale_that_no_microscope_has_is_an_error(mpp, raises_code):
    with raises_code("mpp-range"):
        find_scale(PIXELS, mpp, default=1.0)
