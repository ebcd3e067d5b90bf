"""Limits: all in one place, each with a reason, and each compared before content is decoded or memory is allocated."""

import ast
import hashlib
import json
import os
import re
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

import hsn
from hsn import files, limits, taxonomies
from hsn.annotations import imagej, mask_files, points, tag_files
from hsn.errors import InputError, as_input_error, collect_failures
from hsn.models import folders
from hsn.progress import Cancelled
from hsn.rasters import decode

PACKAGE = Path(hsn.__file__).parent
NAMES = [name for name in vars(limits) if name.isupper()]
MB = 2**20


@pytest.fixture
def little_memory():
    """Fail the test if Python and NumPy allocate more than 100 MB at a time."""
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 * MB


def sparse(path, size):
    with open(path, "wb") as file:
        file.truncate(size)
    return path


# --- The file of limits ----------------------------------------------------------------------------------------


def test_every_limit_has_a_reason_beside_it():
    lines = Path(limits.__file__).read_text().splitlines()
    assigned = [line for line in lines if re.match(r"[A-Z]\w*(, [A-Z]\w*)* = ", line)]
    assert assigned
    assert [line for line in assigned if "  # " not in line] == []


def test_every_limit_is_used():
    texts = [path.read_text() for path in PACKAGE.rglob("*.py") if path.name != "limits.py"]
    assert [name for name in NAMES if not any(re.search(rf"\b{name}\b", text) for text in texts)] == []


def test_no_other_file_has_limits_of_bytes_or_pixels():
    found = []
    for path in PACKAGE.rglob("*.py"):
        if path.name == "limits.py":
            continue
        for node in ast.parse(path.read_text()).body:
            for target in getattr(node, "targets", []):
                if re.fullmatch(
                    r"_?MAX_\w*(BYTES|PIXELS|VALUES|DEPTH|PARAMETERS)\w*", getattr(target, "id", "")
                ):
                    found.append((path.relative_to(PACKAGE).as_posix(), target.id))
    assert found == []


# --- Bytes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "limit", "read"),
    [
        ("a.json", limits.CARD_BYTES, files.read_text),
        ("a.toml", limits.TAXONOMY_BYTES, taxonomies.read),
        ("a.csv", limits.TAGS_BYTES, tag_files.read_table),
        ("a.geojson", limits.POINTS_BYTES, lambda path: points.read(path, (9, 9))),
        ("a.xml", limits.XML_BYTES, lambda path: mask_files.read(path, (9, 9))),
        ("a.zip", limits.ROI_ZIP_BYTES, lambda path: mask_files.read(path, (9, 9))),
    ],
)
def test_a_file_above_its_limit_is_not_read(tmp_path, name, limit, read, raises_code, little_memory):
    with raises_code("file-too-large"):
        read(sparse(tmp_path / name, limit + 1))


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda path: os.symlink("/dev/zero", path)], ids=["pipe", "device"]
)
@pytest.mark.parametrize(
    "read",
    [files.read_text, taxonomies.read, tag_files.read_table, folders.checksum],
    ids=lambda f: f.__name__,
)
def test_pipes_and_devices_are_errors(tmp_path, make, read, raises_code):
    make(tmp_path / "a.json")
    with raises_code("file-not-regular"):
        read(tmp_path / "a.json")


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda path: os.symlink("/dev/zero", path)], ids=["pipe", "device"]
)
def test_an_image_that_is_a_pipe_or_a_device_is_an_error(tmp_path, make, raises_code):
    make(tmp_path / "a.png")
    with raises_code("file-not-regular"):
        decode(tmp_path / "a.png")


# --- Pixels and points -----------------------------------------------------------------------------------------


def test_a_mask_larger_than_its_image_is_not_decoded(tmp_path, raises_code, little_memory):
    import zlib

    side = 12_000

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"x") + chunk(b"IEND", b"")
    (tmp_path / "a_mask.png").write_bytes(content)
    with raises_code("shape-mismatch"):
        mask_files.read(tmp_path / "a_mask.png", (96, 96))


def test_curves_of_a_region_are_counted_before_they_are_sampled(tmp_path, raises_code, little_memory):
    curves = 20_000
    head = bytearray(64)
    head[:4] = b"Iout"
    struct.pack_into(">H", head, 4, 227)
    struct.pack_into(">i", head, 36, 3 + 5 * curves)
    roi = bytes(head) + struct.pack(">3f", 0, 1, 1) + struct.pack(">5f", 2, 5, 9, 9, 5) * curves
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.roi", roi)
    with raises_code("file-too-large"):
        imagej.read_outlines(tmp_path / "a.zip")


# --- Nets ------------------------------------------------------------------------------------------------------


def changed_net(source, folder, *, architecture=None, weights=None):
    """Copy a trained folder with another architecture or other weights; the checksum of the card fits."""
    folder.mkdir()
    with zipfile.ZipFile(source / "net.keras") as stored:
        members = {name: stored.read(name) for name in stored.namelist()}
    if architecture:
        members["config.json"] = architecture(members["config.json"])
    if weights:
        members["model.weights.h5"] = weights(members["model.weights.h5"])
    with zipfile.ZipFile(folder / "net.keras", "w") as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    card = json.loads((source / "card.json").read_text())
    card["sha256"] = hashlib.sha256((folder / "net.keras").read_bytes()).hexdigest()
    (folder / "card.json").write_text(json.dumps(card))
    (folder / "config.json").write_bytes((source / "config.json").read_bytes())
    return folder


def test_a_net_of_nan_is_not_loaded(tiny_model, tmp_path, raises_code):
    import io

    import h5py

    def spoil(content):
        buffer = io.BytesIO(content)
        with h5py.File(buffer, "r+") as file:

            def set_nan(_, item):
                if isinstance(item, h5py.Dataset) and item.ndim:
                    item[...] = np.nan

            file.visititems(set_nan)
        return buffer.getvalue()

    with raises_code("net-not-finite"):
        folders.load(changed_net(tiny_model, tmp_path / "net", weights=spoil))


def test_parameters_are_counted_before_they_are_allocated(tiny_model, tmp_path, monkeypatch, raises_code):
    from hsn.models import keras_file

    monkeypatch.setattr(keras_file, "PARAMETERS", 50)
    with raises_code("net-too-large"):
        folders.load(tiny_model)
    import keras

    monkeypatch.undo()
    keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(900)])  # other nets are not limited


@pytest.mark.parametrize(
    "inserted",
    [{"units": 10**12}, {"padding": [[10**9, 1]]}, {"n": 1e300}, json.loads("[" * 300 + "]" * 300)],
    ids=["units", "padding", "float", "depth"],
)
def test_an_architecture_of_huge_numbers_or_depth_is_not_opened(tiny_model, tmp_path, inserted, raises_code):
    def insert(text):
        return json.dumps(json.loads(text) | {"more": inserted}).encode()

    with raises_code("net-too-large"):
        folders.load(changed_net(tiny_model, tmp_path / "net", architecture=insert))


# --- Text ------------------------------------------------------------------------------------------------------


def test_messages_have_a_limit_and_can_be_written(tmp_path):
    error = InputError("code", "x" * 10**6, got="y" * 10**6, hint="\udce4" * 10**6)
    assert len(str(error)) <= limits.MESSAGE_CHARS + 20
    assert str(error).encode("utf-8")


def test_a_number_of_many_digits_does_not_break_the_message():
    assert "int" in str(InputError("code", "x must be small", got=10**5000, hint="give less"))


@pytest.mark.parametrize(
    "name", ["../up", "/etc/x", "a/b", "..", ".hidden", "a\\b", "", "x" * 101, "a\nb", 7]
)
def test_a_taxonomy_with_a_name_that_leaves_the_folder_is_an_error(name, raises_code):
    with raises_code("taxonomy-name"):
        taxonomies.parse({"name": name, "classes": [{"name": "a", "color": [1, 2, 3]}]})


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("peak", float("nan")),
        ("slope", 1e300),
        ("level", -1),
        ("blur_px", 1e6),
        ("blur_px", "x"),
        ("peak", True),
    ],
)
def test_numbers_of_a_rule_have_ranges(rule, value, raises_code):
    data = {
        "name": "a",
        "classes": [{"name": "b", "color": [1, 2, 3]}],
        "background": {"name": "b", rule: value},
    }
    with raises_code("taxonomy-number"):
        taxonomies.parse(data)


# --- Errors of the system ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [28, 27])
def test_a_full_disk_is_one_error_and_leaves_no_file(tmp_path, number, raises_code):
    with raises_code("disk-full"), files.atomic_write(tmp_path / "a.txt"):
        raise OSError(number, os.strerror(number))
    assert list(tmp_path.iterdir()) == []


def test_room_is_reserved_before_a_writer_that_would_crash(tmp_path, raises_code):
    with raises_code("disk-full"), files.atomic_write(tmp_path / "a.h5", size=2**62):
        raise AssertionError("the writer was called")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_ends_a_batch_and_other_errors_do_not(monkeypatch, raises_code):
    monkeypatch.delenv("HSN_TRACEBACK", raising=False)
    failures = []
    for error in (ZeroDivisionError("x"), MemoryError(), RecursionError("deep"), OSError(5, "I/O")):
        with collect_failures(failures, "a.png"):
            raise error
    assert [name for name, _ in failures] == ["a.png"] * 4
    with raises_code("disk-full"), collect_failures(failures, "a.png"):
        raise OSError(28, "full")


def test_a_cancelled_batch_ends(monkeypatch):
    monkeypatch.delenv("HSN_TRACEBACK", raising=False)
    with pytest.raises(Cancelled), collect_failures([], "a.png"):
        raise Cancelled


def test_unexpected_errors_keep_their_traceback_on_demand(monkeypatch):
    monkeypatch.setenv("HSN_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        as_input_error(ZeroDivisionError("x"))


def test_leftovers_of_dead_processes_are_removed_and_others_are_not(tmp_path):
    dead = tmp_path / ".4194999-abcd1234.a.png"  # above the largest number of a process
    alive = tmp_path / f".{os.getppid()}-abcd1234.a.png"
    for path in (dead, alive, tmp_path / ".hidden", tmp_path / "a.png"):
        path.touch()
    files.remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([alive.name, ".hidden", "a.png"])
    files.remove_leftovers(tmp_path, locked=True)
    assert not alive.exists()


@pytest.mark.parametrize("name", ["x" * 250 + ".png", "漢" * 82 + ".png"])
def test_long_names_that_the_system_allows_can_be_written(tmp_path, name):
    with files.atomic_write(tmp_path / name[-255:]) as temporary:
        temporary.write_text("done")
    assert [path.suffix for path in tmp_path.iterdir()] == [".png"]


def test_a_name_that_is_too_long_is_an_error(tmp_path, raises_code):
    with raises_code("file-name-too-long"), files.atomic_write(tmp_path / ("x" * 300)):
        pass


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, True, "1"])
def test_seeds_outside_of_the_range_are_errors(seed, raises_code):
    from hsn.checks import as_seed

    with raises_code("seed-range"):
        as_seed(seed)
