"""Zip archives from outside: looked at whole before anything is unpacked.

What a hostile archive can do is known: climb out of the folder by its names, plant links and write through
them, or unpack to more than the disk holds. `zipfile` itself never unpacks more of a member than its header
declares, so the declared sizes can be judged before.
"""

import shutil
import stat
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import PurePosixPath

from ..errors import refuse

# Deflate packs at most 1032:1. Masks drawn by program reach 100:1 in honest archives, so the ratio alone
# condemns only an archive that would also be large.
MAX_RATIO = 100
SMALL_BYTES = 256 * 2**20
MAX_MEMBERS = 100_000

_UNPACK_BY_HAND = "unpack it with a tool that you trust and give the folder"


@contextmanager
def opened(path, *, max_bytes):
    """Open a zip archive whose names and sizes are safe.

    Parameters
    ----------
    path : pathlib.Path
    max_bytes : int
        How much it may unpack to.

    Yields
    ------
    zipfile.ZipFile

    Raises
    ------
    InputError
        If it is no zip archive, is damaged or encrypted, holds a name that leaves its folder, a link or a
        device, or unpacks to too much.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
        refuse(f"{path} cannot be opened as a zip archive", expected="a whole zip file",
               received=f"a damaged or other file ({error})", remedy="download or copy it again")  # fmt: skip
    with archive:
        members = archive.infolist()
        for member in members:
            _check_member(member, path)
        _check_size(members, path, max_bytes)
        yield archive


def _check_member(member, path):
    """Refuse a member that is no plain file or folder below the archive's root."""
    name, kind = member.filename, stat.S_IFMT(member.external_attr >> 16)
    climbs = name.startswith("/") or ".." in PurePosixPath(name).parts
    if climbs or "\\" in name or ":" in name or not name.isprintable():
        refuse(f"{path} holds a name that may lead out of its folder",
               expected="plain names below one folder", received=repr(name),
               remedy=_UNPACK_BY_HAND)  # fmt: skip
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        refuse(f"{path} holds a link or a device", expected="plain files and folders", received=repr(name),
               remedy=_UNPACK_BY_HAND)  # fmt: skip
    if member.flag_bits & 1:
        refuse(f"{path} is encrypted", expected="an archive without password", received=repr(name),
               remedy=_UNPACK_BY_HAND)  # fmt: skip


def _check_size(members, path, max_bytes):
    """Refuse an archive that unpacks to too much, in bytes, in members, or against its own size."""
    unpacked = sum(member.file_size for member in members)
    packed = max(1, path.stat().st_size)
    bomb = unpacked > SMALL_BYTES and unpacked > MAX_RATIO * packed
    if unpacked > max_bytes or bomb or len(members) > MAX_MEMBERS:
        refuse(f"{path} unpacks to too much",
               expected=f"at most {max_bytes:,} bytes, {MAX_RATIO} times its size",
               received=f"{unpacked:,} bytes in {len(members):,} members, {unpacked // packed} times its"
               f" size", remedy="do not unpack it; get the original file again")  # fmt: skip


def unpack(archive, names, folder):
    """Unpack the members called `names` below `folder`, which should be a temporary one.

    A damaged member is refused; what was unpacked before it stays, for the caller to throw away.
    """
    members = [archive.getinfo(name) for name in names]
    wanted, free = sum(member.file_size for member in members), shutil.disk_usage(folder).free
    if wanted > free:
        refuse(f"{archive.filename} does not fit on the disk", expected=f"{wanted:,} bytes free at {folder}",
               received=f"{free:,}", remedy="make room or choose another disk")  # fmt: skip
    for member in members:
        with damage_refused(archive.filename, member.filename):
            archive.extract(member, folder)


@contextmanager
def damage_refused(path, name):
    """Turn what `zipfile` raises for a damaged member into a error."""
    try:
        yield
    except (OSError, EOFError, ValueError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        refuse(f"{path} is damaged", expected=f"a whole member {name!r}", received=str(error),
               remedy="download or copy it again")  # fmt: skip
