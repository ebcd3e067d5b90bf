import io
import stat
import zipfile

import h5py
import numpy as np
import pytest

from hsn.models import archive, hdf5

LARGE = 10**9


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return path


def look(path, max_bytes=LARGE):
    with archive.opened(path, max_bytes=max_bytes) as opened:
        return opened.namelist()


# --- zip archives ------------------------------------------------------------------------------------------


def test_an_honest_archive_is_unpacked(tmp_path):
    path = zipped(tmp_path / "a.zip", {"data/x.txt": "one", "img/y z.png": "two"})
    with archive.opened(path, max_bytes=6) as opened:
        archive.unpack(opened, ["img/y z.png"], tmp_path)
    assert (tmp_path / "img" / "y z.png").read_text() == "two"
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "name", ["../up.txt", "a/../../up.txt", "/etc/up.txt", "C:/up.txt", "..\\up.txt", "a\\b.txt", "a\x1b[2Jb"]
)
def test_a_name_outside_the_folder_is_an_error(tmp_path, name, raises_code):
    path = zipped(tmp_path / "a.zip", {"fine.txt": "", name: "out"})
    with raises_code("archive-unsafe"):
        look(path)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_errors(tmp_path, kind, raises_code):
    link = zipfile.ZipInfo("link")
    link.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr(link, "/etc/passwd")
    with raises_code("archive-unsafe"):
        look(tmp_path / "a.zip")


def test_folders_and_plain_modes_are_not(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.mkdir("data")
        packed.writestr("data/x", "")
    assert look(tmp_path / "a.zip") == ["data/", "data/x"]


def test_a_bomb_is_an_error(tmp_path, monkeypatch, raises_code):
    path = zipped(tmp_path / "a.zip", {"zeros": bytes(5_000_000)})
    with raises_code("archive-too-large"):
        look(path, max_bytes=4_999_999)
    assert look(path, max_bytes=5_000_000)  # a small archive may be packed tightly,
    monkeypatch.setattr(archive, "SMALL_BYTES", 4_000_000)  # a large one may not
    with raises_code("archive-too-large"):
        look(path)


def test_too_many_members_are_errors(tmp_path, monkeypatch, raises_code):
    monkeypatch.setattr(archive, "MAX_MEMBERS", 2)
    with raises_code("archive-too-large"):
        look(zipped(tmp_path / "a.zip", dict.fromkeys("abc", "")))


def test_an_encrypted_archive_is_an_error(tmp_path, raises_code):
    path = zipped(tmp_path / "a.zip", {"a": "secret"})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    with raises_code("archive-unsafe"):
        look(path)


def test_a_cut_off_archive_is_an_error(tmp_path, raises_code):
    path = zipped(tmp_path / "a.zip", {"a": "content" * 99})
    path.write_bytes(path.read_bytes()[:-30])
    with raises_code("archive-damaged"):
        look(path)
    with raises_code("archive-damaged"):
        look(tmp_path / "gone.zip")


def test_a_damaged_member_is_an_error(tmp_path, rng, raises_code):
    path = zipped(tmp_path / "a.zip", {"a": rng.bytes(1000)})
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(content)
    with (
        archive.opened(path, max_bytes=LARGE) as opened,
        raises_code("archive-damaged"),
    ):
        archive.unpack(opened, ["a"], tmp_path)


def test_a_full_disk_is_an_error_before_unpacking(tmp_path, monkeypatch, raises_code):
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 2}))
    path = zipped(tmp_path / "a.zip", {"a": "abc"})
    with (
        archive.opened(path, max_bytes=LARGE) as opened,
        raises_code("disk-full"),
    ):
        archive.unpack(opened, ["a"], tmp_path)
    assert not (tmp_path / "a").exists()


# --- HDF5 files --------------------------------------------------------------------------------------------


def written(build):
    file = io.BytesIO()
    with h5py.File(file, "w") as content:
        build(content)
    return file


def look_into(build, max_bytes=10_000):
    with hdf5.opened(written(build), "w.h5", max_bytes=max_bytes) as file:
        return list(file)


def test_plain_numbers_pass(raises_code):
    def build(file):
        file["a/b/weights"] = np.zeros((50, 50), np.float32)

    assert look_into(build, max_bytes=10_000) == ["a"]
    with raises_code("weights-unsafe"):
        look_into(build, max_bytes=9_999)


@pytest.mark.parametrize("link", [h5py.ExternalLink("/etc/hosts", "/"), h5py.SoftLink("/a")])
def test_links_are_errors(link, raises_code):
    def build(file):
        file["a/deep/link"] = link

    with raises_code("weights-unsafe"):
        look_into(build)


def test_storage_elsewhere_is_an_error(tmp_path, raises_code):
    (tmp_path / "raw").write_bytes(bytes(400))

    def external(file):
        file.create_dataset("w", (100,), "f4", external=[(str(tmp_path / "raw"), 0, 400)])

    def virtual(file):
        layout = h5py.VirtualLayout((100,), "f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "w", (100,))
        file.create_virtual_dataset("w", layout)

    for build in (external, virtual):
        with raises_code("weights-unsafe"):
            look_into(build)


def test_a_huge_dataset_is_an_error_unread(raises_code):
    def build(file):
        file.create_dataset("w", (10**7, 10**7), "f4", chunks=(1000, 1000))

    with raises_code("weights-unsafe"):
        look_into(build)


def test_texts_and_references_are_errors(raises_code):
    def text(file):
        file["w"] = "import os"

    def reference(file):
        file.create_dataset("w", (1,), h5py.ref_dtype)[0] = file.ref

    for build in (text, reference):
        with raises_code("weights-unsafe"):
            look_into(build)


def test_groups_in_a_circle_are_errors(monkeypatch, raises_code):
    monkeypatch.setattr(hdf5, "MAX_OBJECTS", 100)

    def build(file):
        file["a/b"] = file["/"]

    with raises_code("weights-unsafe"):
        look_into(build)


@pytest.mark.parametrize("part", [0, 10, 1000])
def test_a_cut_off_file_is_an_error(tmp_path, part, raises_code):
    def build(file):
        file["w"] = np.arange(1000)

    (tmp_path / "w.h5").write_bytes(written(build).getvalue()[:part])
    opening = hdf5.opened(tmp_path / "w.h5", "w.h5", max_bytes=LARGE)
    with raises_code("weights-damaged"):
        opening.__enter__()


def test_what_fails_while_it_is_read_is_an_error(raises_code):
    def build(file):
        file["w"] = np.arange(10)

    with (
        raises_code("weights-damaged"),
        hdf5.opened(written(build), "w.h5", max_bytes=LARGE) as file,
    ):
        file["gone"]
