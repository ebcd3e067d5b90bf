"""What the tests of the app share: port and token of a server, and a huge slide in a small file."""

import io
import struct

import numpy as np
from PIL import Image
from skimage import data

PORT, TOKEN = 8123, "correct-horse"
_TILE = 256


def write_slide(path, *, side, mpp):
    """Write a slide of side x side px: all tiles of a level are the same few JPEGs, in a tiled BigTIFF."""
    image = Image.fromarray(data.immunohistochemistry()).resize((768, 768))
    levels, down = [], 1
    while True:
        small = image.resize((max(_TILE, 768 // min(down, 4)),) * 2, Image.Resampling.BOX)
        across = small.width // _TILE
        boxes = [
            (c * _TILE, r * _TILE, (c + 1) * _TILE, (r + 1) * _TILE)
            for r in range(across)
            for c in range(across)
        ]
        levels.append((-(-side // down), [_jpeg(small.crop(box)) for box in boxes], across))
        if side // down <= 2 * _TILE:
            break
        down *= 4
    with open(path, "wb") as file:
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0))
        tables = [_write_tiles(file, *level) for level in levels]
        link = 8
        for number, table in enumerate(tables):
            link = _write_directory(file, link, number, *table, mpp=mpp)
    return path


def _jpeg(image):
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80, subsampling=2)
    return stream.getvalue()


def _write_tiles(file, size, tiles, across):
    places = []
    for tile in tiles:
        places.append((file.tell(), len(tile)))
        file.write(tile)
    count = -(-size // _TILE)
    index = (np.arange(count)[:, None] % across * across + np.arange(count)[None] % across).ravel()
    starts = []
    for k in (0, 1):
        starts.append(file.tell())
        file.write(np.array([place[k] for place in places], "<u8")[index].tobytes())
    return size, count * count, *starts


def _write_directory(file, link, number, size, count, offsets, lengths, *, mpp):
    if file.tell() % 2:
        file.write(b"\0")
    here = file.tell()
    shorts = struct.unpack("<Q", struct.pack("<HHHH", 8, 8, 8, 0))[0]
    per_cm = struct.unpack("<Q", struct.pack("<II", int(1e4 / mpp), 1))[0]
    tags = [
        (254, 4, 1, 1 if number else 0), (256, 4, 1, size), (257, 4, 1, size), (258, 3, 3, shorts), (259, 3, 1, 7),
        (262, 3, 1, 6), (277, 3, 1, 3), (282, 5, 1, per_cm), (283, 5, 1, per_cm), (284, 3, 1, 1), (296, 3, 1, 3),
        (322, 4, 1, _TILE), (323, 4, 1, _TILE), (324, 16, count, offsets), (325, 16, count, lengths),
        (530, 3, 2, 2 | 2 << 16),
    ]  # fmt: skip
    file.write(struct.pack("<Q", len(tags)))
    for tag in tags:
        file.write(struct.pack("<HHQQ", *tag))
    following = file.tell()
    file.write(struct.pack("<Q", 0))
    end = file.tell()
    file.seek(link)
    file.write(struct.pack("<Q", here))
    file.seek(end)
    return following
