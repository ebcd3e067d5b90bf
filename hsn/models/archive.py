"""Open zip archives from outside; names and sizes are checked before anything is unpacked.

A hostile archive can write outside of the folder by its names or through links, or unpack to more than the disk
holds. `zipfile` never unpacks more of a member than its header declares, so the declared sizes can be checked.
"""

import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NoReturn

from ..errors import InputError

# Deflate packs at most 1032:1. Drawn masks reach 100:1 in honest archives, so a high ratio is an error only in a
# large archive.
MAX_RATIO = 100
SMALL_BYTES = 256 * 2**20
MAX_MEMBERS = 100_000


@contextmanager
def opened(path: Path, *, max_bytes: int) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive with safe names and sizes.

    Parameters
    ----------
    path : pathlib.Path
    max_bytes : int
        Limit for the unpacked size.

    Yields
    ------
    zipfile.ZipFile

    Raises
    ------
    InputError
        "archive-damaged" for another or damaged file; "archive-unsafe" for an encrypted archive, a name that leaves
        the folder, a link or a device; "archive-too-large" if it unpacks to too much.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
        _damaged(f"{path} must be a complete zip archive", error)
    with archive:
        members = archive.infolist()
        for member in members:
            _check_member(member, path)
        _check_size(members, path, max_bytes)
        yield archive


def _damaged(must: str, error: Exception) -> NoReturn:
    raise InputError("archive-damaged", must, got=error, hint="download or copy it again") from None


def _check_member(member: zipfile.ZipInfo, path: Path) -> None:
    """Raise unless the member is a plain file or folder below the archive's root."""
    name, kind = member.filename, stat.S_IFMT(member.external_attr >> 16)
    leaves = name.startswith("/") or ".." in PurePosixPath(name).parts or "\\" in name or ":" in name
    rules = {
        "plain names below one folder": not leaves and name.isprintable(),
        "plain files and folders, without links": kind in (0, stat.S_IFREG, stat.S_IFDIR),
        "members without encryption": not member.flag_bits & 1,
    }
    for must, holds in rules.items():
        if not holds:
            raise InputError(
                "archive-unsafe",
                f"{path} must hold {must}",
                got=repr(name),
                hint="unpack it with a tool that you trust and give the folder",
            )


def _check_size(members: list[zipfile.ZipInfo], path: Path, max_bytes: int) -> None:
    """Raise if an archive unpacks to too much: in bytes, in members, or relative to its own size."""
    unpacked = sum(member.file_size for member in members)
    packed = max(1, path.stat().st_size)
    bomb = unpacked > SMALL_BYTES and unpacked > MAX_RATIO * packed
    if unpacked > max_bytes or bomb or len(members) > MAX_MEMBERS:
        raise InputError(
            "archive-too-large",
            f"{path} must unpack to at most {max_bytes:,} bytes and {MAX_RATIO} times its size",
            got=f"{unpacked:,} bytes in {len(members):,} members, {unpacked // packed} times its size",
            hint="do not unpack it; get the original file again",
        )


def unpack(archive: zipfile.ZipFile, names: Iterable[str], folder: Path) -> None:
    """Unpack the members `names` below `folder`, a temporary folder.

    Raises
    ------
    InputError
        "disk-full", or "archive-damaged"; the caller deletes what was unpacked before the damage.
    """
    members = [archive.getinfo(name) for name in names]
    size, free = sum(member.file_size for member in members), shutil.disk_usage(folder).free
    if size > free:
        raise InputError(
            "disk-full",
            f"{folder} must have {size:,} bytes free for {archive.filename}",
            got=f"{free:,}",
            hint="make room or choose another disk",
        )
    for member in members:
        with damage_reported(archive.filename, member.filename):
            archive.extract(member, folder)


@contextmanager
def damage_reported(path: object, name: str) -> Iterator[None]:
    """Convert errors of `zipfile` for a damaged member to an `InputError`, "archive-damaged"."""
    try:
        yield
    except (OSError, EOFError, ValueError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        _damaged(f"{path} must hold a complete member {name!r}", error)
