"""Hostile files for every reader of masks, clicks and annotations: one sentence, bounded memory, bounded time.

Attacks: deep nesting, coordinates that are not numbers or far away, outlines of more than 10^9 pixels, rings that touch
themselves, names of zip entries that are places, XML entities, and small files that claim gigabytes.
"""

import gzip
import json
import pickle
import struct
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from hsn.annotations import mask_files, points, polygons, qupath
from hsn.annotations.annotation import fill as fill_shapes
from hsn.annotations.annotation import number_objects

SHAPE = (40, 50)
MOST_SECONDS, MOST_BYTES = 10, 700_000_000
FAR = [[-9e6, -9e6], [9e6, -9e6], [9e6, 9e6], [-9e6, 9e6]]  # 3 * 10^14 pixels
EIGHT = [[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]]
DEEP = 10**6
GIGABYTE = 2**30


def peak_bytes():
    """Largest memory of this process since `reset_peak`, in bytes; None where the system does not count it."""
    try:
        return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        return None


def reset_peak():
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return peak_bytes()


class Bounded:
    """Fails if the block needs more than `MOST_SECONDS` of the processor or `MOST_BYTES` of memory."""

    def __enter__(self):
        self.before, self.start = reset_peak(), time.process_time()

    def __exit__(self, *failure):
        assert time.process_time() - self.start < MOST_SECONDS
        if self.before is not None:
            assert peak_bytes() - self.before < MOST_BYTES


def deflated(size, start=b""):
    """Return a raw deflate stream of `start` and zeros, which has no end; a megabyte of zeros takes a kilobyte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + (packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)) * (size >> 20)


GZIP_HEAD, ZLIB_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\2\3", b"\x78\xda"


# --- Small files of each form --------------------------------------------------------------------------------------


def polygon(ring):
    return json.dumps({"type": "Polygon", "coordinates": [ring]})


def coco(segmentation, **image):
    entry = {"image_id": 1, "segmentation": segmentation}
    return json.dumps({"images": [{"id": 1, **image}], "annotations": [entry]})


def run_lengths(counts):
    return coco({"size": list(SHAPE), "counts": counts})


def aperio(inside="", ring=(), before=""):
    corners = "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in ring)
    region = f"<Region><Vertices>{corners}</Vertices></Region>"
    return f"{before}<Annotations><Annotation><Regions>{region}</Regions>{inside}</Annotation></Annotations>"


LAUGHS = (
    '<!DOCTYPE z [<!ENTITY a "' + "ha" * 40 + '">'
    + "".join(f'<!ENTITY {"abcdefghi"[k + 1]} "{("&" + "abcdefghi"[k] + ";") * 40}">' for k in range(8))
    + "]>"
)  # fmt: skip


def roi(corners, *, count=None):
    """A polygon of ImageJ with float corners."""
    corners = np.asarray(corners, ">f4").reshape(-1, 2)
    head = bytearray(64)
    struct.pack_into(">4sHBx", head, 0, b"Iout", 228, 0)
    struct.pack_into(">H", head, 16, len(corners) if count is None else 0)
    struct.pack_into(">i", head, 18, count or 0)
    struct.pack_into(">H", head, 50, 128)
    return bytes(head) + bytes(4 * len(corners)) + corners.T.tobytes()


def roi_zip(*entries):
    def make(path):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in entries:
                archive.writestr(name, data)

    return make


def claiming_zip(path):
    """One region, whose entry claims 2^31 bytes."""
    roi_zip(("a.roi", roi([[0, 0], [9, 0], [9, 9]])))(path)
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.rindex(b"PK\1\2") + 24, 2**31)
    path.write_bytes(content)


def npy(shape, descr="<f8", version=b"\x01\x00", extra=""):
    header = str({"descr": descr, "fortran_order": False, "shape": shape}).encode() + extra.encode()
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header


def matlab_element(kind, body):
    return struct.pack("<II", kind, len(body)) + body + bytes(-len(body) % 8)


def matlab(*parts, zeros=0):
    """A file of MATLAB 5 with compressed elements, each with `zeros` more bytes."""
    packed = [ZLIB_HEAD + deflated(zeros, part) if zeros else zlib.compress(part, 9) for part in parts]
    elements = b"".join(struct.pack("<II", 15, len(part)) + part for part in packed)
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + elements


def matlab_table(name, shape, numbers, claim=None):
    """The table `name`, which may claim more bytes than it has."""
    inner = matlab_element(6, struct.pack("<II", 6, 0)) + matlab_element(5, struct.pack("<ii", *shape))
    inner += matlab_element(1, name) + struct.pack("<II", 9, claim or len(numbers)) + numbers
    return struct.pack("<II", 14, (claim or len(numbers)) + len(inner) - len(numbers)) + inner


def tiff(width, height, strip, *, bits=8, samples=1, compression=1, description=b""):
    """A TIFF of one strip, whose numbers are free."""
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, compression), (262, 3, 1, 1),
            (273, 4, 1, 0), (277, 3, 1, samples), (278, 4, 1, height), (279, 4, 1, len(strip))]  # fmt: skip
    at = 8 + 2 + 12 * (len(tags) + bool(description)) + 4
    if description:
        tags.append((270, 2, len(description), at))
        tags.sort()
    data = struct.pack("<2sHIH", b"II", 42, 8, len(tags))
    for tag, kind, count, value in tags:
        value = at + len(description) if tag == 273 else value
        data += struct.pack("<HHII", tag, kind, count, value)
    return data + bytes(4) + description + strip


def ome_zarr(shape, chunks, codecs=(), chunk=b"", **attributes):
    """A folder of one label image with one stored chunk."""

    def make(path):
        import zarr

        group = zarr.open_group(path, mode="w", zarr_format=3)
        scales = [{"axes": [{"name": "y"}, {"name": "x"}], "datasets": [{"path": "0"}]}]
        group.attrs["ome"] = {"version": "0.5", "multiscales": scales, "image-label": {}} | attributes
        array = group.create_array("0", shape=shape, chunks=chunks, dtype="uint32", compressors=list(codecs))
        place = path / "0" / "c" / "0" / "0"
        place.parent.mkdir(parents=True)
        place.write_bytes(chunk)
        assert array.shape == shape

    return make


def zarr_text(text):
    def make(path):
        path.mkdir()
        (path / "zarr.json").write_text(text)

    return make


def zarr_bomb(codec):
    import zarr.codecs

    if codec == "gzip":
        return ome_zarr(SHAPE, SHAPE, [zarr.codecs.GzipCodec()], GZIP_HEAD + deflated(GIGABYTE))
    if codec == "zstd":  # a frame header that claims 2^40 bytes, and one block
        frame = b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 2**40) + b"\x01\x00\x00"
        return ome_zarr(SHAPE, SHAPE, [zarr.codecs.ZstdCodec()], frame)
    return ome_zarr(
        SHAPE,
        SHAPE,
        [zarr.codecs.BloscCodec()],
        struct.pack("<4B3I", 2, 1, 33, 4, 2**31 - 64, 2**18, 40) + bytes(24),
    )


def dicom(**values):
    """A Segmentation of a slide without pixels."""

    def make(path):
        from pydicom.dataset import Dataset, FileMetaDataset
        from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage

        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, SegmentationStorage
        meta.MediaStorageSOPInstanceUID = "2.25.1"
        file = Dataset()
        file.file_meta = meta
        given = {"SOPClassUID": SegmentationStorage, "SOPInstanceUID": "2.25.1", "Modality": "SEG", "Rows": 64,
                 "Columns": 64, "NumberOfFrames": 1, "TotalPixelMatrixRows": 40, "TotalPixelMatrixColumns": 50,
                 "PixelData": b"\0\0"}  # fmt: skip
        for name, value in (given | values).items():
            setattr(file, name, value)
        file["PixelData"].VR = "OB"
        file.save_as(path, enforce_file_format=True)

    return make


def deflated_dicom(path):
    """A Segmentation that is compressed as a whole."""
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    dicom()(path)
    content = path.read_bytes()
    start = 144 + int.from_bytes(
        content[140:144], "little"
    )  # the group before has its length in its first element
    meta = content[:start].replace(
        b"UI\x14\0" + b"1.2.840.10008.1.2.1\0", b"UI\x16\0" + DeflatedExplicitVRLittleEndian.encode()
    )
    meta = meta[:140] + (len(meta) - 144).to_bytes(4, "little") + meta[144:]
    path.write_bytes(meta + deflated(GIGABYTE, content[start:]))


NAN, HUGE = float("nan"), 1e300

MASKS = {
    # nesting
    "nested.geojson": ('{"type":"Polygon","coordinates":' + "[" * DEEP, "geojson-malformed"),
    "closed.geojson": ('{"type":"Polygon","coordinates":' + "[" * DEEP + "]" * DEEP + "}", "geojson-malformed"),
    "collections.geojson": (
        '{"type":"GeometryCollection","geometries":[' * 100 + "]}" * 100, "geojson-depth"),
    "nested.json": ('{"images":[],"annotations":' + "[" * DEEP, "coco-malformed"),
    "nested.geojson.gz": (gzip.compress(b"[" * DEEP), "geojson-malformed"),
    "nested.xml": ("<Annotations>" + "<a>" * DEEP, "xml-malformed"),
    "deep.npy": (npy("(" * 100), "array-damaged"),
    "nested.zarr": (zarr_text('{"zarr_format":3,"node_type":"group","attributes":' + "[" * DEEP), "array-damaged"),
    # coordinates
    "nan.geojson": (polygon([[NAN, 0], [9, 0], [9, 9]]), "outline-coordinates"),
    "huge.geojson": (polygon([[0, 0], [HUGE, 0], [9, 9]]), "point-coordinates"),
    "text.geojson": (polygon([["0", 0], [9, 0], [9, 9]]), "point-coordinates"),
    "digits.geojson": ('{"type":"Point","coordinates":[' + "9" * DEEP + ",0]}", "geojson-malformed"),
    "nan.json": (coco([[NAN, 0, 9, 0, 9, 9]]), "outline-coordinates"),
    "huge.json": (coco([[HUGE, 0, 9, 0, 9, 9]]), "outline-coordinates"),
    "nan.xml": (aperio(ring=[[NAN, 0], [9, 0], [9, 9]]), "outline-coordinates"),
    "huge.xml": (aperio(ring=[[HUGE, 0], [9, 0], [9, 9]]), "outline-coordinates"),
    "nan.roi": (roi([[NAN, 0], [9, 0], [9, 9]]), "outline-coordinates"),
    "huge.roi": (roi([[1e38, 0], [9, 0], [9, 9]]), "outline-coordinates"),
    "nan.npy": (npy((1, 1)) + struct.pack("<d", NAN), "label-image-invalid"),
    "huge.npy": (npy((1, 1)) + struct.pack("<d", HUGE), "label-image-invalid"),
    "nan.mat": (matlab(matlab_table(b"inst_map", (1, 1), struct.pack("<d", NAN))), "label-image-invalid"),
    # entities
    "laughs.xml": (aperio(inside="<a>&i;</a>", before=LAUGHS), "xml-doctype"),
    "external.xml": (aperio(before='<!DOCTYPE a SYSTEM "file:///etc/passwd">'), "xml-doctype"),
    # claims
    "claims.npy": (npy((10**5, 10**5)), "array-damaged"),
    "pixels.npy": (npy((10**9, 10**9), "|u1"), "array-damaged"),
    "header.npy": (b"\x93NUMPY\x03\x00\xff\xff\xff\xff{", "array-damaged"),
    "objects.npy": (npy((1,), "|O") + pickle.dumps([1]), "array-pickled"),
    "bomb.mat": (
        matlab(matlab_table(b"inst_map", (1, 2**27), b"", claim=GIGABYTE), zeros=GIGABYTE), "array-damaged"),
    "bombs.mat": (
        matlab(*[matlab_table(b"other", (1, 2**27), b"", claim=GIGABYTE)] * 30, zeros=GIGABYTE), "array-damaged"),
    "claims.mat": (matlab(matlab_table(b"inst_map", (10**4, 10**4), b"", claim=8 * 10**8)), "array-damaged"),
    "shape.mat": (matlab(matlab_table(b"inst_map", (2**31 - 1, 2**31 - 1), bytes(8))), "array-damaged"),
    "counts.json": (run_lengths([9_999_999_999]), "coco-mask"),
    "negative.json": (run_lengths([2010, -10]), "coco-mask"),
    "code.json": (run_lengths("oooooooooooo"), "coco-mask"),
    "size.json": (coco({"size": [10**9, 10**9], "counts": [10**18]}), "coco-mask"),
    "image.json": (coco([[0, 0, 9, 0, 9, 9]], height=10**9, width=10**9), "shape-mismatch"),
    "count.roi": (roi([[0, 0]], count=2**31 - 1), "roi-truncated"),
    "bomb.zip": (claiming_zip, "file-too-large"),
    "bomb.geojson.gz": (GZIP_HEAD + deflated(GIGABYTE, b"[" + b" " * 10**6), "file-too-large"),
    "size.tif": (tiff(100_000, 100_000, b""), "shape-mismatch"),
    "bits.tif": (tiff(50, 40, b"", bits=64, samples=60_000), "image-damaged"),
    "deflate.tif": (tiff(50, 40, ZLIB_HEAD + deflated(GIGABYTE), bits=64, compression=8), "image-damaged"),
    "shape.zarr": (ome_zarr((10**5, 10**5), (100, 100)), "image-too-large"),
    "chunk.zarr": (ome_zarr(SHAPE, (10**5, 10**5)), "array-damaged"),
    "gzip.zarr": (lambda path: zarr_bomb("gzip")(path), "array-damaged"),
    "zstd.zarr": (lambda path: zarr_bomb("zstd")(path), "array-damaged"),
    "blosc.zarr": (lambda path: zarr_bomb("blosc")(path), "array-damaged"),
    "size.dcm": (dicom(TotalPixelMatrixRows=10**6, TotalPixelMatrixColumns=10**6), "image-too-large"),
    "frames.dcm": (dicom(NumberOfFrames=2**31 - 1, Rows=65_535, Columns=65_535), "image-too-large"),
    "deflated.dcm": (deflated_dicom, "array-damaged"),
    "text.dcm": ("hello", "array-damaged"),
}  # fmt: skip


def write_file(path, content):
    if callable(content):
        content(path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # of pydicom, about odd values
@pytest.mark.parametrize("name", MASKS)
def test_hostile_masks_are_one_sentence_in_bounded_memory_and_time(name, tmp_path, raises_code):
    content, code = MASKS[name]
    if name.endswith(".dcm"):
        pytest.importorskip("highdicom")
    path = write_file(tmp_path / name, content)
    with Bounded(), raises_code(code) as caught:
        mask_files.read(path, SHAPE)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


# --- Files that are read -------------------------------------------------------------------------------------------

FORMS = {
    "geojson": lambda rings: json.dumps({"type": "MultiPolygon", "coordinates": [[ring] for ring in rings]}),
    "geojson.gz": lambda rings: gzip.compress(FORMS["geojson"](rings).encode()),
    "json": lambda rings: coco([np.ravel(ring).tolist() for ring in rings]),
    "xml": lambda rings: aperio(ring=rings[0]),
    "roi": lambda rings: roi(rings[0]),
}


@pytest.mark.parametrize("form", FORMS)
def test_outlines_of_many_gigapixels_are_clipped_to_the_image(form, tmp_path):
    path = write_file(tmp_path / f"a.{form}", FORMS[form]([FAR]))
    shape = (2000, 3000)
    with Bounded():
        assert (mask_files.read(path, shape) == 1).all()


@pytest.mark.parametrize("form", FORMS)
def test_a_ring_that_touches_itself_is_filled_by_the_even_odd_rule(form, tmp_path):
    path = write_file(tmp_path / f"a.{form}", FORMS[form]([EIGHT]))
    instances = mask_files.read(path, SHAPE)
    assert instances.max() == 1
    assert 20 <= np.count_nonzero(instances) <= 75  # both halves of the eight have 25 px2 and edges of 50 px


def test_a_zip_entry_with_the_name_of_a_place_is_not_written_there(tmp_path):
    folder = tmp_path / "inner"
    folder.mkdir()
    names = ["../slip.roi", "/tmp/slip.roi", "C:\\slip.roi"]
    square = roi([[0, 0], [9, 0], [9, 9], [0, 9]])
    path = write_file(folder / "a.zip", roi_zip(*[(name, square) for name in names]))
    assert (mask_files.read(path, SHAPE) > 0).sum() == 81
    assert [found.name for found in sorted(tmp_path.rglob("*"))] == ["inner", "a.zip"]


def test_a_tiff_with_entities_in_its_description_is_read(tmp_path):
    text = f'<?xml version="1.0"?>{LAUGHS}<OME>&i;</OME>'.encode() + b"\0"
    path = write_file(tmp_path / "a.tif", tiff(50, 40, bytes(2000), description=text))
    with Bounded():
        assert not mask_files.read(path, SHAPE).any()


def test_packed_geojson_is_paired_with_its_image(tmp_path):
    (tmp_path / "a.png").touch()
    write_file(tmp_path / "a.geojson.gz", FORMS["geojson.gz"]([EIGHT]))
    (tmp_path / "backup.tar.gz").touch()
    pairs = mask_files.pair(tmp_path)
    assert [path.name for path in pairs.annotations] == ["a.geojson.gz"]
    assert not pairs.alone


# --- Clicks and drawn annotations ----------------------------------------------------------------------------------

CLICKS = {
    "nested.geojson": ('{"type":"MultiPoint","coordinates":' + "[" * DEEP, "geojson-malformed"),
    "nan.geojson": ('{"type":"Point","coordinates":[NaN,1]}', "points-finite"),
    "huge.geojson": ('{"type":"Point","coordinates":[1e300,1]}', "point-coordinates"),
    "nan.csv": ("x,y\nnan,1\n", "points-finite"),
    "huge.csv": ("x,y\n1e300,1\n", "points-finite"),
    "far.csv": ("x,y\n1e30,1\n", "points-outside"),
    "quotes.csv": ('x,y\n"' + "1" * 10**6, "table-malformed"),
}
DRAWN = {
    "nested": ('{"type":"Polygon","coordinates":' + "[" * DEEP, "geojson-malformed"),
    "collections": ('{"type":"GeometryCollection","geometries":[' * 100 + "]}" * 100, "geojson-depth"),
    "nan": (polygon([[NAN, 0], [9, 0], [9, 9]]), "outline-coordinates"),
    "huge": (polygon([[HUGE, 0], [9, 0], [9, 9]]), "outline-coordinates"),
    "digits": ('{"type":"Point","coordinates":[' + "9" * DEEP + ",0]}", "geojson-malformed"),
    "large": ('{"type":"Point","coordinates":[' + "9" * 400 + ",0]}", "outline-coordinates"),
}


@pytest.mark.parametrize("name", CLICKS)
def test_hostile_clicks_are_one_sentence_in_bounded_memory_and_time(name, tmp_path, raises_code):
    content, code = CLICKS[name]
    path = write_file(tmp_path / name, content)
    with Bounded(), raises_code(code):
        points.read(path, SHAPE)


@pytest.mark.parametrize("name", DRAWN)
def test_hostile_drawings_are_one_sentence_in_bounded_memory_and_time(name, tmp_path, raises_code):
    content, code = DRAWN[name]
    path = write_file(tmp_path / "a.geojson", content)
    with Bounded(), raises_code(code):
        qupath.read(path)


def drawn(kind, coordinates, label):
    properties = {"classification": {"name": label}}
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": properties,
    }


def test_drawings_of_many_gigapixels_are_clipped_to_the_image(tmp_path):
    lines = [[[-9e6, -9e6], [9e6, 9e6]]] * 30
    features = [drawn("Polygon", [FAR], "Nucleus"), drawn("MultiLineString", lines, "Stroma")]
    path = write_file(tmp_path / "a.geojson", json.dumps({"type": "FeatureCollection", "features": features}))
    with Bounded():
        annotation = qupath.read(path)
        assert number_objects(annotation.boxes, (2000, 3000)).all()
        strokes = fill_shapes(annotation.scribbles, (2000, 3000), width_px=8)
    assert strokes.diagonal().all()
    assert not strokes[0, 100]


def test_drawings_that_cover_the_image_many_times_end_the_file(raises_code, monkeypatch):
    monkeypatch.setattr(polygons, "_MAX_COVER", 5)
    shapes = qupath.parse(json.dumps({"type": "MultiPolygon", "coordinates": [[FAR]] * 9}), "a").boxes
    with Bounded(), raises_code("outlines-overlap"):
        number_objects(shapes, (1024, 1024))
