"""Odd files, drawn from a seed: small images, annotations, tables and nets, and what people and disks do to them."""

import json
import os
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image
from roifile import ImagejRoi

SIDES = (1, 2, 7, 16, 33, 48, 64)
NUMBERS = (
    "0", "-1", "0.25", "0.5", "1", "2", "40", "1e9", "1e-9", "1e400", "inf", "-inf", "nan", "0x10", "1,5", "1_0", "",
    " ", "x", "9" * 400, "2147483648", "None", "true", "½", "٣",
)  # fmt: skip
NAMES = (
    "a", "b", "c", "A", "a b", "-a", "--help", "=1+1", "a.b", "a,b", "a;b", "a'b", 'a"b', "%s", "{0}", "a\nb", "a\tb",
    "é", "e\u0301", "日本", "😀", "x" * 200, "日" * 80, ".hidden", "CON", "a_mask", "mask_a", "a [1 0]", "a-[1 0 1]",
    "caf\udce9", "..a", "~", "*", "a\\b", "&lt;", "a.ome", "a.tar",
)  # fmt: skip
FOLDERS = (
    "",
    "images",
    "masks",
    "labels",
    "points",
    "train",
    "test",
    "A",
    "tumor",
    "a/b",
    "images/deep",
    "rois",
)


INSERTED = ("\0", '"', "<", "[" * 5000, "{", ",", "\ufeff", "\ud800", "=", "\n")


def pick(rng, choices):
    """Return one of the choices."""
    return choices[rng.integers(len(choices))]


def chance(rng, probability):
    """Return True with a probability."""
    return rng.random() < probability


def draw_tissue(rng, usual=0.75, shape=(64, 48)):
    """Return an image, uint8 (H, W, 3), and its objects, int32 (H, W): usually of this shape."""
    height, width = shape if chance(rng, usual) else (pick(rng, SIDES), pick(rng, SIDES))
    pixels = rng.integers(170, 256, (height, width, 3)).astype(np.uint8)
    objects = np.zeros((height, width), np.int32)
    for number in range(1, rng.integers(1, 8)):
        center = int(rng.integers(width)), int(rng.integers(height))
        cv2.circle(objects, center, int(rng.integers(2, 8)), number, -1)
    pixels[objects > 0] //= 2
    return pixels, objects


# --- Images and label images -------------------------------------------------------------------------------------


def _png(rng, path, pixels):
    Image.fromarray(pixels).save(path, "PNG")


def _gray(rng, path, pixels):
    Image.fromarray(pixels[..., 0]).save(path, "PNG")


def _rgba(rng, path, pixels):
    Image.fromarray(pixels).convert("RGBA").save(path, "PNG")


def _palette(rng, path, pixels):
    Image.fromarray(pixels).convert("P").save(path, "PNG")


def _bits(rng, path, pixels):
    Image.fromarray(pixels[..., 0] > 200).save(path, "PNG")


def _sixteen(rng, path, pixels):
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 250).save(path, "PNG")


def _jpeg(rng, path, pixels):
    Image.fromarray(pixels).save(path, "JPEG")


def _gif(rng, path, pixels):
    Image.fromarray(pixels).save(path, "GIF")


def _bmp(rng, path, pixels):
    Image.fromarray(pixels).save(path, "BMP")


def _tiff(rng, path, pixels):
    options = {
        "compression": pick(rng, (None, "zlib", "lzw")), "bigtiff": chance(rng, 0.2),
        "photometric": pick(rng, ("rgb", "rgb", "minisblack")), "byteorder": pick(rng, "<>"),
        "description": pick(rng, ("", "Aperio |MPP = 0.5", "Aperio |MPP = -3", '<OME PhysicalSizeX="nan"/>', "<OME")),
    }  # fmt: skip
    kind = pick(rng, (np.uint8, np.uint8, np.uint16, np.float32, np.int16, np.float64, bool))
    with path.open("wb") as file:
        tifffile.imwrite(file, pixels.astype(kind), **options)


def _pages(rng, path, pixels):
    with path.open("wb") as file:
        tifffile.imwrite(file, np.stack([pixels[..., 0]] * 5), photometric="minisblack")


def _huge(rng, path, pixels):
    """A small PNG that states a huge size."""
    side = int(pick(rng, (20_000, 60_000, 2**31 - 1)))
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(9999))),
    ]
    file = b"\x89PNG\r\n\x1a\n"
    for kind, content in (*parts, (b"IEND", b"")):
        file += (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )
    path.write_bytes(file)


IMAGES = (
    _png,
    _png,
    _png,
    _gray,
    _rgba,
    _palette,
    _bits,
    _sixteen,
    _jpeg,
    _gif,
    _bmp,
    _tiff,
    _tiff,
    _pages,
    _huge,
)
SUFFIXES = (".png", ".png", ".png", ".tif", ".jpg", ".bmp", ".PNG", ".tiff", ".ome.tif", ".svs", ".webp")


def write_image(rng, path, pixels):
    """Write an image: mostly as PNG, else in another format whatever its suffix is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = _png if chance(rng, 0.85) else pick(rng, IMAGES)
    writer(rng, path, pixels)
    return path


def write_objects(rng, path, objects):
    """Write objects as a label image: mostly ids in a PNG, else binary, empty, of another size or in another format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    change = rng.random()
    if change < 0.1:
        objects = (objects > 0) * int(pick(rng, (1, 128, 255)))
    elif change < 0.2:
        objects = objects[: max(1, len(objects) // 2)]
    elif change < 0.3:
        objects = np.zeros_like(objects)
    if change > 0.9:
        return write_image(rng, path, np.stack([objects.astype(np.uint8) * 40] * 3, axis=-1))
    Image.fromarray(objects.astype(np.uint16 if chance(rng, 0.3) else np.uint8)).save(path, "PNG")
    return path


# --- Texts -------------------------------------------------------------------------------------------------------


def mangle(rng, text):
    """Return a text with a few changes: other numbers, lines repeated or lost, characters inserted, a missing end."""
    for _ in range(rng.integers(0, 4)):
        words = text.split(",")
        lines = text.splitlines(keepends=True) or [""]
        place = int(rng.integers(len(text) + 1))
        changed = (
            ",".join([*words[:1], pick(rng, NUMBERS), *words[2:]]),
            "".join([*lines, pick(rng, lines)]),
            "".join(line for line in lines if chance(rng, 0.7)),
            text[:place] + pick(rng, INSERTED) + text[place:],
            text[:place],
        )  # fmt: skip
        text = pick(rng, changed)
    return text


def write_text(rng, path, text):
    """Write a text, mangled half of the time, in some encoding."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = mangle(rng, text) if chance(rng, 0.3) else text
    encoding = "utf-8" if chance(rng, 0.8) else pick(rng, ("utf-8-sig", "utf-16", "latin-1"))
    path.write_bytes(text.encode(encoding, "replace" if encoding == "latin-1" else "surrogatepass"))
    return path


def points_text(rng, suffix):
    """Return points as a CSV table or GeoJSON."""
    points = rng.uniform(0, 48, (rng.integers(1, 6), 2)).round(1).tolist()
    if suffix in (".csv", ".txt", ".tsv"):
        heading = pick(
            rng, ("x,y", "x;y", "axis-0,axis-1", "Centroid X px,Centroid Y px", "a,b", "index,x,y")
        )
        return heading + "\n" + "".join(f"{x},{y}\n" for x, y in points)
    kind = pick(rng, ("Point", "Point", "MultiPoint", "Polygon", "LineString", "Curve"))
    place = {"Point": points[0], "MultiPoint": points, "Polygon": [[*points, points[0]]]}.get(kind, points)
    feature = {"type": "Feature", "geometry": {"type": kind, "coordinates": place}}
    feature["properties"] = pick(
        rng, ({}, None, {"classification": {"name": "tumor"}}, {"classification": "x"})
    )
    return json.dumps({"type": "FeatureCollection", "features": [feature] * int(rng.integers(1, 4))})


def shapes_text(rng):
    """Return outlines, lines, boxes and clicks as GeoJSON of QuPath."""
    features = []
    for _ in range(rng.integers(1, 6)):
        row, col, side = rng.uniform(0, 40), rng.uniform(0, 30), rng.uniform(3, 12)
        corners = [[col, row], [col + side, row], [col + side, row + side], [col, row + side], [col, row]]
        kind = pick(rng, ("Polygon",) * 5 + ("MultiPolygon", "LineString"))
        place = {"Polygon": [corners], "MultiPolygon": [[corners]], "Point": corners[0]}.get(kind, corners)
        kind = pick(rng, ("Point", "Circle")) if chance(rng, 0.04) else kind
        name = pick(rng, ("Nucleus", "Nucleus", "tumor", "Ignore*", "Region*", "", "é"))
        properties = {"objectType": pick(rng, ("annotation", "detection")), "classification": {"name": name}}
        features.append({"type": "Feature", "geometry": {"type": kind, "coordinates": place},
                         "properties": properties if chance(rng, 0.9) else None})  # fmt: skip
    return json.dumps({"type": "FeatureCollection", "features": features})


def study_text(rng):
    """Return the description of a study."""
    kind, color = pick(rng, ("object", "object", "object", "tissue")), [int(rng.integers(0, 256)), 20, 30]
    head = f'name = "study"\nmpp = {pick(rng, ("0.5", "0.5", "0.5", "0.5", "nan", "40"))}\nannotator = ""\n'
    return head + f'[[classes]]\nname = "Nucleus"\ncolor = {color}\nkind = "{kind}"\n'


def write_result(folder, name, objects):
    """Write a result as `hsn segment` does."""
    from hsn.taxonomies import NUCLEI
    from hsn.types import Segmentation

    numbers = np.unique(objects, return_inverse=True)[1].reshape(objects.shape).astype(np.int32)
    labels = (numbers > 0).astype(np.int32)
    maps = np.stack([1 - labels, labels], axis=2).astype(np.float32)
    image = np.full((*labels.shape, 3), 200, np.uint8)
    Segmentation(labels, numbers, maps, np.ones(2, np.float32), NUCLEI, image, 0.5, name).save(folder)


def write_slide(rng, path):
    """Write a scan with three levels."""
    from hsn.data.synthetic_slide import draw_slide

    path.parent.mkdir(parents=True, exist_ok=True)
    draw_slide(path, (int(rng.integers(200, 700)), 600), seed=int(rng.integers(3)), side=512)
    return path


def outlines_text(rng):
    """Return outlines as Aperio XML."""
    regions = ""
    for _ in range(rng.integers(0, 4)):
        corners = rng.uniform(-5, 60, (rng.integers(3, 7) if chance(rng, 0.9) else 1, 2)).round(1).tolist()
        vertices = "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in corners)
        kind = pick(rng, NUMBERS[:6]) if chance(rng, 0.1) else "0"
        regions += f'<Region Type="{kind}"><Vertices>{vertices}</Vertices></Region>'
    return f"<Annotations><Annotation><Regions>{regions}</Regions></Annotation></Annotations>"


def write_regions(rng, path):
    """Write a zip of ImageJ regions: polygons, and headers with random bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for number in range(rng.integers(1, 4)):
            content = ImagejRoi.frompoints(rng.integers(0, 45, (int(rng.integers(3, 7)), 2))).tobytes()
            if chance(rng, 0.15):
                content = b"Iout" + struct.pack(">hbb4h", 227, int(rng.integers(0, 11)), 0, 5, 5, 20, 20)
                content += struct.pack(">H", int(rng.integers(0, 8))) + rng.bytes(int(rng.integers(0, 200)))
            name = f"{pick(rng, ('a', '../up', '/abs', 'b'))}{number}{pick(rng, ('.roi', '.roi', '.roi', '.txt'))}"
            packed.writestr(name, content)
    return path


def taxonomy_text(rng, suffix):
    """Return a taxonomy as TOML or JSON."""
    name, color = pick(rng, ("lab", "../up", "", "x" * 300)), [int(rng.integers(-1, 258)), 30, 60]
    names = pick(rng, (("a", "b"), ("a",), ("a", "a"), (), ("Other", "Nucleus")))
    if suffix == ".toml":
        return f'name = "{name}"\n' + "".join(f'[[classes]]\nname = "{c}"\ncolor = {color}\n' for c in names)
    return json.dumps({"name": name, "classes": [{"name": c, "color": color} for c in names]})


# --- Damage ------------------------------------------------------------------------------------------------------


def damage(rng, path):
    """Do something to a file that disks, copies and strangers do; return what was done."""
    content = path.read_bytes() if path.is_file() else b""
    what = pick(rng, ("cut", "flip", "noise", "empty", "folder", "gone", "loop", "pipe", "device", "link"))
    path.unlink(missing_ok=True)
    if what == "cut":
        path.write_bytes(content[: rng.integers(len(content) + 1)])
    elif what == "flip":
        flipped = np.frombuffer(content, np.uint8).copy()
        flipped[rng.integers(0, max(len(flipped), 1), min(len(flipped), 5))] ^= np.uint8(rng.integers(1, 256))
        path.write_bytes(flipped.tobytes())
    elif what in ("noise", "empty"):
        path.write_bytes(rng.bytes(500) if what == "noise" else b"")
    elif what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "link":
        other = path.with_name("linked" + path.suffix)
        other.write_bytes(content)
        path.symlink_to(other)
    else:
        target = {"gone": "/nowhere/a.png", "loop": path, "device": pick(rng, ("/dev/zero", "/dev/null"))}
        path.symlink_to(target[what])
    return what


def damage_some(rng, folder, probability):
    """Damage some files of a folder, or none."""
    for path in sorted(path for path in Path(folder).rglob("*") if path.is_file() and not path.is_symlink()):
        if chance(rng, probability):
            damage(rng, path)


def copy_net(rng, net, to):
    """Copy the folder of a net; change a value of a file in it, or damage a file, most of the time."""
    shutil.copytree(net, to, dirs_exist_ok=True)
    change = rng.random()
    if change < 0.5:
        path = to / pick(rng, ("card.json", "config.json"))
        data = json.loads(path.read_text())
        place = data
        while isinstance(place, dict | list) and place:
            inner, key = place, pick(rng, list(place) if isinstance(place, dict) else range(len(place)))
            place = inner[key]
        inner[key] = pick(
            rng, (None, -1, 0, 1e300, 10**400, "x", "../x", [], {}, True, [[]], 0.5, "x" * 5000)
        )
        path.write_text(json.dumps(data))
    elif change < 0.8:
        damage(rng, to / pick(rng, ("card.json", "config.json", "net.keras", "README.md")))
    return to
