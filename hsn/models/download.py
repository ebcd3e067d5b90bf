"""Fetching the release: with progress, on from where it stopped, and the same file every time."""

import http.client
import json
import shutil
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import InputError, refuse
from ..files import atomic_write
from .bounded import in_short, read_text
from .folders import checksum

# The release's archive (226 MB) lies on a file-sharing site that the project's README links; it has no
# lasting direct address, so none is built in.
PROJECT = "https://github.com/lyndonchan/hsn_v1"

TIMEOUT_S = 30
CHUNK_BYTES = 2**20
LARGEST_BYTES = 8 * 2**30  # an endless answer must end somewhere


def fetch(url=None, *, to, progress=None):
    """Download a zip archive, such as the HistoSegNet release, once.

    Parameters
    ----------
    url : str
        Direct http or https address of the archive.
    to : path
        The file to write. Beside it stands a small `.json` that remembers address and checksum; while it is
        incomplete, a `.part`.
    progress : callable, optional
        Called as ``progress(done, total)``, in bytes, as they come; `total` is None where the server does
        not say.

    Returns
    -------
    pathlib.Path
        `to`. If it is there already and unchanged, the network is not asked.

    Raises
    ------
    InputError
        If there is no address or no network; the server refuses, breaks off, or sends no zip archive; or the
        file differs from the one that was fetched first. What has come before a break is kept, and the next
        call goes on from there.
    """
    if url is None:
        refuse("the release has no lasting address", expected="the `url` of its zip archive", received="none",
               remedy=f"open {PROJECT}, follow the download link of its README, then either give the direct "
               "address here or save the file by hand and run `hsn weights import FILE`")  # fmt: skip
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        refuse("this address cannot be fetched", expected="http:// or https://", received=repr(url),
               remedy="give the archive's direct address")  # fmt: skip
    to = Path(to)
    part, memory = to.with_name(to.name + ".part"), to.with_name(to.name + ".json")
    known = _remembered(memory)
    if to.exists():
        _check_unchanged(to, known, memory)
        return to
    known = _download(url, part, memory, known, progress)
    if not zipfile.is_zipfile(part):
        part.unlink()
        refuse(f"{url} did not lead to the archive", expected="a zip file",
               received="something else, such as a page",
               remedy="open the address in a browser, save the archive by hand, and run "
               "`hsn weights import FILE`")  # fmt: skip
    received = checksum(part)
    if known.get("sha256", received) != received:
        part.unlink()
        refuse(f"{url} no longer gives the file that it gave first",
               expected=f"sha256 {known['sha256'][:12]}", received=received[:12],
               remedy=f"if it was renewed for a good reason, delete {memory}")  # fmt: skip
    _remember(memory, known | {"sha256": received})
    part.replace(to)
    return to


def _check_unchanged(to, known, memory):
    """Refuse a file that is there but is not the one that was fetched."""
    if "sha256" not in known:
        refuse(f"{to} is there already and was not fetched", expected="no file or one fetched before",
               received="another file", remedy="import it as it is, or move it away")  # fmt: skip
    received = checksum(to)
    if received != known["sha256"]:
        refuse(f"{to} has changed since it was fetched", expected=f"sha256 {known['sha256'][:12]}",
               received=received[:12],
               remedy=f"delete it and fetch again; {memory.name} may stay")  # fmt: skip


def _remembered(memory):
    """What is known of the file: its checksum from the first time, and of a part, what it is a part of."""
    if not memory.exists():
        return {}
    try:
        known = json.loads(read_text(memory))
        if not all(isinstance(known.get(key, ""), str) for key in ("url", "sha256", "version")):
            raise ValueError("not a table of texts")
    except (ValueError, AttributeError, RecursionError) as error:
        refuse(f"{memory} is damaged", expected="what hsn remembered of a download", received=str(error),
               remedy="delete it and fetch again")  # fmt: skip
    return known


def _remember(memory, known):
    with atomic_write(memory) as temporary:
        temporary.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")


def _download(url, part, memory, known, progress):
    """Fill `part`, from where it stopped if the server still has that version; return what is known of it."""
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        done = part.stat().st_size if part.exists() else 0
        with urllib.request.urlopen(_request(url, done, known), timeout=TIMEOUT_S) as answer:
            version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
            known = known | {"url": url, "version": version}
            _remember(memory, known)
            _receive(answer, part, done, progress)
    except InputError:
        raise
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing lies beyond `done`: the part is the whole
            return known
        refuse(f"{url} is refused by its server", expected="the archive",
               received=f"{error.code} {error.reason}",
               remedy=f"look for the current link at {PROJECT}")  # fmt: skip
    except (OSError, http.client.HTTPException, ValueError) as error:
        refuse(f"{url} cannot be fetched", expected="a network and a server that answers",
               received=in_short(getattr(error, "reason", error)),
               remedy="check the connection and run it again; it goes on where it stopped")  # fmt: skip
    return known


def _request(url, done, known):
    """Ask for the rest of the version of which `done` bytes are there; otherwise for all of it."""
    request = urllib.request.Request(url, headers={"User-Agent": "hsn", "Accept-Encoding": "identity"})
    if done and known.get("url") == url and known.get("version"):
        request.add_header("Range", f"bytes={done}-")
        request.add_header("If-Range", known["version"])  # of another version all comes: no mixture
    return request


def _receive(answer, part, done, progress):
    """Write what comes, after what is there if the server goes on from it, and see that all has come."""
    goes_on = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {done}-")
    done = done if goes_on else 0
    length = answer.headers.get("Content-Length", "")
    total = done + int(length) if length.isdecimal() else None
    room = min(shutil.disk_usage(part.parent).free, LARGEST_BYTES)
    with part.open("ab" if goes_on else "wb") as file:
        while (total or 0) <= room and done <= room and (chunk := answer.read(CHUNK_BYTES)):
            done += file.write(chunk)
            if progress:
                progress(done, total)
    if max(done, total or 0) > room:
        refuse(f"{part} would not fit", expected=f"at most {room:,} bytes", received=f"{total or done:,}",
               remedy="make room, choose another disk, or check the address")  # fmt: skip
    if total is not None and done < total:
        refuse(f"{answer.url} broke off", expected=f"{total:,} bytes", received=f"{done:,}",
               remedy="run it again; it goes on where it stopped")  # fmt: skip
