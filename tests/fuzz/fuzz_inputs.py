"""Seeded generator of odd and hostile inputs: files, folders and options of every command."""

import io
import json
import os
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

NAMES = (
    b"a.png", b"b.png", b"c d.tif", b"gew\xe4chs.png", "漢字.png".encode(), b"=1+1.png", b"-x.png", b"n\nl.png",
    b"%s{0}.png", b"x" * 200 + b".png", "é.png".encode(), "é.png".encode(), b"a.PNG", b"a.jpg", b"a.bmp",
)  # fmt: skip
NUMBERS = ("0.25", "0.5", "-1", "0", "inf", "nan", "1e9", "1e-9", "40", "x", "1e400", "0.5,0.5", "")
WHOLES = ("1", "2", "0", "-1", "99999999999999999999", "1.5", "x")
VALUES = (
    None, True, -1, 0, 10**400, 1e308, 1e-320, float("inf"), "", "x", "../../up", "/tmp/up", "\udce4", [], {}, [[]],
    ["a"] * 1000, {"a": {"b": 1}}, "x" * 10_000, [1, 2, 3],
)  # fmt: skip
TEXTS = (
    "", "\0", "file,a\n", "file,a,b\na.png,1,0\nb.png,0,1\n", "file;a;b\na.png;1;0\n", "file,a\na.png,2\n",
    "file," + "c," * 5000 + "\n", "x,y\n1,2\n3,4\n", "row,col\n1e400,nan\n", "axis-0,axis-1\n1,2\n", "[" * 5000,
    '{"type": "Point", "coordinates": ["12", true]}', '{"type": "FeatureCollection", "features": [[]]}',
    '{"type": "MultiPoint", "coordinates": [[1, 2], [1e999, 3]]}', "<Annotations><Annotation>",
    '<!DOCTYPE a [<!ENTITY b "bbbb">]><Annotations>&b;</Annotations>', "\ufefffile,a\na.png,1\n", "a\n" * 1000,
    '<Annotations><Region><Vertex X="nan" Y="1e30"/></Region></Annotations>', "name = 1", 'name = "a/../../up"',
)  # fmt: skip


class Inputs:
    """Makes the inputs of one command in a folder.

    Parameters
    ----------
    seed : int
    folder : pathlib.Path
        An empty folder.
    model : pathlib.Path
        A trained folder, to copy and to damage.
    """

    def __init__(self, seed, folder, model):
        self.rng, self.folder, self.model = np.random.default_rng(seed), folder, model

    def pick(self, options):
        return options[int(self.rng.integers(len(options)))]

    def maybe(self, share):
        return self.rng.random() < share

    def command(self):
        """Make the inputs; return the arguments of the command."""
        make = self.pick(
            (self.segment, self.segment, self.evaluate, self.evaluate, self.fit, self.select, self.models)
        )
        return [str(argument) for argument in make()]

    # --- Commands ------------------------------------------------------------------------------------------------

    def segment(self):
        yield from ("segment", self.images("in"), "--model", self.net(), "--out", self.folder / "out")
        if self.maybe(0.3):
            yield from ("--mpp", self.pick(NUMBERS))
        if self.maybe(0.2):
            yield from ("--taxonomy", self.pick(("glas", "x", "../up", "")))
        if self.maybe(0.3):
            yield "--json"

    def evaluate(self):
        pred, truth = self.images("pred", masks=True), self.images("truth", masks=True)
        yield from ("evaluate", pred, truth, "--out", self.folder / "out")
        if self.maybe(0.2):
            yield from ("--model", self.net())
        yield from self.pick((
            ("--instances",), ("--instances", "--hausdorff"), ("--taxonomy", "nuclei"), ("--taxonomy", "glas"),
            ("--taxonomy", self.text("t.toml")), ("--taxonomy", self.text("t.json")), (), ("--size", "full"),
            ("--taxonomy", "nuclei", "--objects", "Nucleus"), ("--taxonomy", "nuclei", "--unlisted", "false_alarms"),
        ))  # fmt: skip

    def fit(self):
        data, kind = (
            self.images("data", masks=self.maybe(0.5)),
            self.pick(("tags", "masks", "points", "selected")),
        )
        for _ in range(int(self.rng.integers(3))):
            self.annotation("data")
        if kind == "tags":
            yield from ("fit", data, "--tags", self.pick(("folders", "names", self.text("tags.csv"))))
            yield from ("--net", "m1", "--width", "0.05")
        else:
            yield from ("fit", f"--{kind}", data)
        yield from ("--epochs", self.pick(("1", "1", *WHOLES)), "--out", self.folder / "out")
        yield from ("--mpp", self.pick(("0.5", "0.5", *NUMBERS)), "--seed", self.pick(("1", *WHOLES)))

    def select(self):
        yield from ("select", self.images("in"), "--out", self.folder / "out", "--n", self.pick(WHOLES))
        yield from ("--side-px", self.pick(("16", "32", *WHOLES)), "--stride-px", self.pick(("16", *WHOLES)))
        yield from ("--seed", self.pick(("1", *WHOLES)), "--min-tissue", self.pick(NUMBERS))

    def models(self):
        if self.maybe(0.5):
            yield from ("models", "show", self.net())
            return
        place = self.folder / "in"
        place.mkdir()
        kind = self.pick(("zip", "text", "folder", "bytes"))
        path = place / "release.zip"
        if kind == "zip":
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
                for name in ("../up", "/etc/up", "data/x", "data/histonet_x1.7_clrdecay_5.json", "a" * 300):
                    if self.maybe(0.6):
                        packed.writestr(name, self.pick(TEXTS))
        elif kind == "folder":
            path = place
        else:
            path.write_bytes(self.pick(TEXTS).encode() if kind == "text" else self.rng.bytes(500))
        yield from ("models", "import", path, "--home", self.folder / "out")

    # --- Files ---------------------------------------------------------------------------------------------------

    def images(self, name, *, masks=False):
        """Make a folder of images or masks, some of them odd; return its path."""
        place = self.folder / name
        place.mkdir()
        for file in dict.fromkeys([b"a.png", b"b.png", *(self.pick(NAMES) for _ in range(2))]):
            path = os.fsencode(place) + b"/" + file
            if self.maybe(0.25):
                self.odd_entry(path)
                continue
            content = self.encoded(masks)
            with open(path, "wb") as out:
                out.write(self.damaged(content) if self.maybe(0.25) else content)
        if self.maybe(0.3):
            shutil.copytree(place, self.folder / "copied", symlinks=True)
            (self.folder / "copied").rename(place / self.pick(("labels", "masks", "images", "deep")))
        return place / "a.png" if self.maybe(0.1) else place

    def odd_entry(self, path):
        """Make a link, a pipe, a device, a folder, a text, a huge header or an empty file."""
        kind = self.pick(("dangling", "loop", "pipe", "device", "folder", "text", "huge", "empty", "sparse"))
        if kind == "dangling":
            os.symlink(b"/nowhere/x.png", path)
        elif kind == "loop":
            os.symlink(os.path.dirname(path), path + b".d")
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "device":
            os.symlink(b"/dev/zero", path)
        elif kind == "folder":
            os.mkdir(path)
        else:
            content = {"text": self.pick(TEXTS).encode("utf-8", "replace"), "huge": _huge_png()}.get(
                kind, b""
            )
            with open(path, "wb") as file:
                file.write(content)
                if kind == "sparse":
                    file.truncate(2**31)

    def encoded(self, masks):
        """Return the bytes of a small image file of a random mode."""
        shape = tuple(int(side) for side in self.rng.choice([1, 15, 16, 32, 40], 2))
        if masks or self.maybe(0.2):
            pixels = self.rng.integers(0, self.pick((2, 3, 256)), shape, dtype=np.uint8) * np.uint8(
                self.pick((1, 255))
            )
            picture = Image.fromarray(pixels)
            picture = picture.convert(self.pick(("L", "L", "1", "P", "RGB", "LA", "I")))
        else:
            picture = Image.fromarray(self.rng.integers(0, 256, (*shape, 3), dtype=np.uint8))
            picture = picture.convert(self.pick(("RGB", "RGB", "RGB", "RGBA", "P", "CMYK", "LAB")))
        file = io.BytesIO()
        for kind in (self.pick(("PNG", "TIFF", "BMP", "JPEG")), "PNG", "TIFF"):
            try:
                picture.save(file, kind)
                break
            except OSError:
                file = io.BytesIO()
        return file.getvalue()

    def damaged(self, content):
        """Return bytes that are cut, or of which some are replaced."""
        if self.maybe(0.5):
            return content[: int(self.rng.integers(len(content) + 1))]
        spoiled = bytearray(content)
        for place in self.rng.integers(0, len(spoiled), 5):
            spoiled[place] = int(self.rng.integers(256))
        return bytes(spoiled)

    def text(self, name):
        """Write a text file; return its path."""
        path = self.folder / name
        path.write_bytes(self.pick(TEXTS).encode("utf-8", "replace"))
        return path

    def annotation(self, folder):
        """Write an annotation beside an image."""
        ending = self.pick((".csv", ".geojson", ".xml", ".roi", ".zip", ".txt", ".toml"))
        name = self.pick(("a", "b", "tags", "choice"))
        content = self.pick(TEXTS).encode("utf-8", "replace")
        if ending in (".roi", ".zip") and self.maybe(0.7):
            head = struct.pack(">4sHBx5h", b"Iout", 227, int(self.rng.integers(12)), 0, 1, 9, 9, 0)
            content = head.ljust(64, bytes([int(self.rng.integers(256))])) + self.rng.bytes(40)
        if ending == ".zip" and self.maybe(0.7):
            file = io.BytesIO()
            with zipfile.ZipFile(file, "w") as packed:
                packed.writestr("x.roi", content)
            content = file.getvalue()
        (self.folder / folder / f"{name}{ending}").write_bytes(content)

    def net(self):
        """Return the trained folder, or a damaged copy."""
        if self.maybe(0.4):
            return self.model
        copy = self.folder / "net"
        if not copy.exists():
            shutil.copytree(self.model, copy)
        kind = self.pick(
            ("card.json", "config.json", "card.json", "config.json", "net.keras", "missing", "device")
        )
        if kind == "net.keras":
            (copy / kind).write_bytes(self.damaged((copy / kind).read_bytes()))
        elif kind in ("missing", "device"):
            path = copy / self.pick(("card.json", "config.json", "net.keras"))
            path.unlink()
            if kind == "device":
                os.symlink("/dev/zero", path)
        else:
            data = json.loads((copy / kind).read_text())
            self.spoil(data)
            (copy / kind).write_text(json.dumps(data))
        return copy

    def spoil(self, data):
        """Replace a random value of nested plain data by a hostile one."""
        key = self.pick(list(data) if isinstance(data, dict) else range(len(data)))
        inner = data[key]
        if isinstance(inner, dict | list) and inner and self.maybe(0.8):
            self.spoil(inner)
        elif isinstance(data, dict) and self.maybe(0.1):
            data[str(self.pick(VALUES))[:50]] = data.pop(key)
        else:
            data[key] = self.pick(VALUES)


def _huge_png():
    """Return a PNG whose header states 100,000 x 100,000 pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"x") + chunk(b"IEND", b"")


def listing(folder, without):
    """Return paths, sizes and times of all entries below a folder, except below `without`."""
    found = {}
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if Path(place, name) != without]
        for name in (*folders, *names):
            state = os.lstat(os.path.join(place, name))
            found[os.path.join(place, name)] = (state.st_size, 0 if name in folders else state.st_mtime_ns)
    return found
