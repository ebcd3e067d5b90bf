import struct
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsn.annotations import imagej

POLYGON, RECTANGLE, OVAL, LINE, FREEHAND, TRACED, POINT = 0, 1, 2, 3, 7, 8, 10


def roi(kind, corners=(), box=None, *, floats=None, version=228, count=None, composite=0, cut=0):
    """One region as ImageJ writes it; corners are (x, y) of the image, box is top, left, bottom, right."""
    x, y = (np.array(corners, int).reshape(-1, 2)).T
    if box is None:
        box = (y.min(), x.min(), y.max(), x.max())
    data = bytearray(64)
    struct.pack_into(">4sHBx", data, 0, b"Iout", version, kind)
    struct.pack_into(">4H", data, 8, *(int(v) & 0xFFFF for v in box))
    struct.pack_into(">H", data, 16, (len(x) if count is None else count) & 0xFFFF)
    struct.pack_into(">i", data, 36, composite)
    data += np.concatenate([x - box[1], y - box[0]]).astype(">i2").tobytes()
    if floats is not None:
        struct.pack_into(">H", data, 50, 128)
        if kind in (RECTANGLE, OVAL):
            struct.pack_into(">4f", data, 18, *floats)
        else:
            data += np.array(floats, ">f4").T.tobytes()
    return bytes(data[: len(data) - cut])


def read(data, tmp_path, shape=(6, 8)):
    path = tmp_path / "a.roi"
    path.write_bytes(data)
    return imagej.read_instances(path, shape)


def scan(corners, shape):
    """ImageJ's filler: a centre right of the left edge, up to and with the right one, upper end of an edge in."""
    mask = np.zeros(shape, int)
    for row, col in np.ndindex(shape):
        for (x1, y1), (x2, y2) in zip(corners, corners[1:] + corners[:1], strict=True):
            if (y1 <= row + 0.5) != (y2 <= row + 0.5):
                mask[row, col] ^= x1 + (row + 0.5 - y1) * (x2 - x1) / (y2 - y1) < col + 0.5
    return mask


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 6)), min_size=3, max_size=6))
def test_polygons_are_filled_as_imagej_does_ties_included(tmp_path_factory, corners):
    found = read(roi(POLYGON, corners), tmp_path_factory.mktemp("roi"))
    np.testing.assert_array_equal(found, scan(corners, (6, 8)))


@pytest.mark.parametrize("kind", [POLYGON, FREEHAND, TRACED])
def test_whole_numbers_count_from_the_box_and_floats_from_the_image(tmp_path, kind):
    corners = [(3, 1), (6, 1), (6, 4), (3, 4)]
    expected = np.zeros((6, 8), int)
    expected[1:4, 3:6] = 1
    np.testing.assert_array_equal(read(roi(kind, corners), tmp_path), expected)
    moved = np.add(corners, [0.75, 0.0])
    np.testing.assert_array_equal(
        read(roi(kind, corners, floats=moved), tmp_path), np.roll(expected, 1, axis=1)
    )
    old = roi(kind, corners, floats=moved, version=221)
    np.testing.assert_array_equal(read(old, tmp_path), expected)


def test_rectangles_and_ovals(tmp_path):
    expected = np.zeros((6, 8), int)
    expected[1:4, 2:7] = 1
    np.testing.assert_array_equal(read(roi(RECTANGLE, box=(1, 2, 4, 7)), tmp_path), expected)
    finer = roi(RECTANGLE, box=(1, 2, 4, 7), floats=(2.6, 1.0, 4.4, 3.0))
    expected[:, 2] = 0
    np.testing.assert_array_equal(read(finer, tmp_path), expected)
    disc = read(roi(OVAL, box=(0, 0, 60, 80)), tmp_path, (60, 80))
    r, c = np.mgrid[:60, :80] + 0.5
    np.testing.assert_array_equal(disc, ((r - 30) / 30) ** 2 + ((c - 40) / 40) ** 2 < 1)


@pytest.mark.parametrize("arc", [4, 20, 500])
def test_a_rounded_rectangle_lacks_its_corners(tmp_path, arc):
    data = bytearray(roi(RECTANGLE, box=(2, 3, 42, 63)))
    struct.pack_into(">H", data, 54, arc)
    r, c = np.mgrid[:50, :70] + 0.5
    radius = np.minimum(arc, (40, 60)) / 2  # of ImageJ's corners, at most half a side
    beyond = (
        np.maximum(np.abs(r - 22) - (20 - radius[0]), 0),
        np.maximum(np.abs(c - 33) - (30 - radius[1]), 0),
    )
    expected = (beyond[0] / radius[0]) ** 2 + (beyond[1] / radius[1]) ** 2
    clear = np.abs(expected - 1) > 0.02
    found = read(bytes(data), tmp_path, (50, 70))
    np.testing.assert_array_equal(found[clear], (expected < 1)[clear])
    assert found.sum() < 40 * 60


@pytest.mark.parametrize("subtype", [1, 4])
def test_text_and_overlay_images_are_refused_as_outlines(tmp_path, subtype, raises_code):
    data = bytearray(roi(RECTANGLE, box=(0, 0, 2, 2)))
    struct.pack_into(">H", data, 48, subtype)
    with raises_code("roi-type"):
        read(bytes(data), tmp_path)


def test_the_files_that_a_mac_adds_to_a_zip_are_skipped(tmp_path):
    data = roi(RECTANGLE, box=(0, 0, 2, 4))
    entries = [
        ("a.roi", data),
        ("__MACOSX/._a.roi", b"\0\5\x16\7" * 30),
        ("in/b.roi", data),
        ("in/._b.roi", b""),
    ]
    assert len(imagej.read_outlines(zipped(tmp_path / "mac.zip", entries))) == 2


def test_places_above_15_bits_and_left_of_the_image(tmp_path):
    corners = [(40000, 0), (40002, 0), (40002, 3), (40000, 3)]
    assert np.argwhere(read(roi(POLYGON, corners), tmp_path, (2, 40010)))[:, 1].tolist() == [40000, 40001] * 2
    corners = [(-3, -2), (2, -2), (2, 1), (-3, 1)]
    assert np.argwhere(read(roi(POLYGON, corners), tmp_path)).tolist() == [[0, 0], [0, 1]]


def test_more_corners_than_the_header_can_say(tmp_path):
    corners = [(k % 7, 0 if k < 70000 else 5) for k in range(70001)]
    data = bytearray(roi(FREEHAND, corners, count=0))
    struct.pack_into(">i", data, 18, len(corners))
    path = tmp_path / "long.roi"
    path.write_bytes(data)
    assert len(imagej.read_outlines(path)[0].points) == 70001


def composite(*numbers, cut=0):
    data = roi(RECTANGLE, box=(0, 0, 6, 8), composite=len(numbers)) + np.array(numbers, ">f4").tobytes()
    return data[: len(data) - cut]


def ring(x1, y1, x2, y2):
    return (0, x1, y1, 1, x2, y1, 1, x2, y2, 1, x1, y2, 4)


def test_a_composite_is_one_object_with_its_holes_and_parts(tmp_path):
    expected = np.zeros((6, 8), int)
    expected[0:5, 0:5] = 1
    expected[1:3, 1:4] = 0
    expected[4:6, 6:8] = 1
    data = composite(*ring(0, 0, 5, 5), *ring(1, 1, 4, 3), *ring(6, 4, 8, 6))
    np.testing.assert_array_equal(read(data, tmp_path), expected)
    corners = np.zeros((6, 8), int)  # of which the way from ring to ring goes around the middle
    corners[:2, :2] = corners[:2, 6:] = corners[4:, :2] = 1
    data = composite(*ring(0, 0, 2, 2), *ring(6, 0, 8, 2), *ring(0, 4, 2, 6))
    np.testing.assert_array_equal(read(data, tmp_path), corners)


def test_a_path_goes_on_from_where_it_was_closed(tmp_path):
    square, triangle = [(0, 0), (3, 0), (3, 2), (0, 2)], [(0, 0), (8, 6), (0, 6)]
    found = read(composite(0, 0, 0, 1, 3, 0, 1, 3, 2, 1, 0, 2, 4, 1, 8, 6, 1, 0, 6), tmp_path)
    alone = [read(roi(POLYGON, corners), tmp_path) for corners in (square, triangle)]
    np.testing.assert_array_equal(found, alone[0] ^ alone[1])


def test_curves_of_a_composite(tmp_path):
    k = 30 * 4 * (np.sqrt(2) - 1) / 3  # a circle of radius 30 about (40, 30) by four cubic curves
    quarters = [
        (3, 70, 30 + k, 40 + k, 60, 40, 60),
        (3, 40 - k, 60, 10, 30 + k, 10, 30),
        (3, 10, 30 - k, 40 - k, 0, 40, 0),
        (3, 40 + k, 0, 70, 30 - k, 70, 30),
    ]
    disc = read(composite(0, 70, 30, *np.concatenate(quarters), 4), tmp_path, (60, 80))
    r, c = np.mgrid[:60, :80] + 0.5
    distance = np.hypot(r - 30, c - 40)
    clear = np.abs(distance - 30) > 0.02  # four curves are no perfect circle
    np.testing.assert_array_equal(disc[clear], distance[clear] < 30)
    bow = read(composite(0, 0, 0, 2, 4, 8, 8, 0, 4), tmp_path, (6, 8))  # a parabola, 4 px high in the middle
    assert bow.sum(axis=0).tolist() == [
        round(4 * (x + 0.5) / 4 * (2 - (x + 0.5) / 4)) if x < 8 else 0 for x in range(8)
    ]


def zipped(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names may repeat
        for name, data in entries:
            archive.writestr(name, data)
    return path


def test_a_zip_is_read_in_its_order_and_the_later_region_wins(tmp_path):
    entries = [
        ("0002.roi", roi(RECTANGLE, box=(0, 0, 2, 4))),
        ("__MACOSX/note.txt", b"other"),
        ("../../0001.ROI", roi(RECTANGLE, box=(1, 2, 3, 4))),  # a name is never a place
    ]
    found = imagej.read_instances(zipped(tmp_path / "all.zip", entries), (3, 4))
    assert found.tolist() == [[1, 1, 1, 1], [1, 1, 2, 2], [0, 0, 2, 2]]
    assert [p.name for p in tmp_path.iterdir()] == ["all.zip"]


SQUARE = [(0, 0), (2, 0), (2, 2)]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "roi-format"),
        (b"Iout" + bytes(20), "roi-format"),
        (b"P" * 80, "roi-format"),
        (roi(LINE, SQUARE), "roi-type"),
        (roi(POINT, SQUARE), "roi-type"),
        (roi(55, SQUARE), "roi-type"),
        (roi(RECTANGLE, box=(0, 0, 2, 2), composite=8), "roi-truncated"),
        (roi(RECTANGLE, box=(0, 0, 2, 2), composite=-8), "roi-truncated"),
        (composite(*ring(0, 0, 5, 5), cut=1), "roi-truncated"),
        (composite(1, 2, 2), "roi-path"),
        (composite(0, 2, 2, 9), "roi-path"),
        (composite(0, 2, 2, np.nan, 1, 1), "roi-path"),
        (composite(0, 2, 2, 3, 1, 1), "roi-path"),
        (roi(POLYGON, SQUARE, cut=1), "roi-truncated"),
        (roi(POLYGON, SQUARE, floats=SQUARE, cut=1), "roi-truncated"),
    ],
)
def test_broken_regions_are_refused(tmp_path, data, code, raises_code):
    with raises_code(code):
        read(data, tmp_path)
    with raises_code(code):
        imagej.read_outlines(zipped(tmp_path / "b.zip", [("a.roi", data)]))


def test_a_negative_count_is_refused(tmp_path, raises_code):
    data = bytearray(roi(POLYGON, SQUARE, count=0))
    struct.pack_into(">i", data, 18, -5)
    with raises_code("roi-truncated"):
        read(data, tmp_path)


def test_broken_and_hostile_zips_are_refused(tmp_path, monkeypatch, raises_code):
    with raises_code("roi-missing"):
        imagej.read_outlines(zipped(tmp_path / "none.zip", [("a.txt", b"")]))
    with raises_code("file-unreadable"):
        imagej.read_outlines(tmp_path / "nowhere.zip")
    whole = zipped(tmp_path / "whole.zip", [("a.roi", roi(POLYGON, SQUARE))]).read_bytes()
    (tmp_path / "bad.zip").write_bytes(whole[:40] + b"\xff" * 6 + whole[46:])
    with raises_code("file-unreadable"):
        imagej.read_outlines(tmp_path / "bad.zip")
    monkeypatch.setattr(imagej, "_MAX_ROI_BYTES", 1000)
    bomb = zipped(tmp_path / "bomb.zip", [("a.roi", bytes(2000))])
    with raises_code("file-too-large"):
        imagej.read_outlines(bomb)
    monkeypatch.setattr(imagej, "_MAX_ROIS", 1)
    many = zipped(tmp_path / "many.zip", [("a.roi", b"1"), ("b.roi", b"1")])
    with raises_code("file-too-large"):
        imagej.read_outlines(many)
