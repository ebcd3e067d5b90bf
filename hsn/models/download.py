"""Download archives: with progress, resumed after a break, checked against the first download."""

import http.client
import json
import queue
import shutil
import socket
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import InputError
from ..files import first_line, read_text, write_json
from ..limits import ANSWER_S, CONNECT_S, DOWNLOAD_BYTES, DOWNLOAD_STALL_BYTES, DOWNLOAD_STALL_S
from ..progress import Progress, report
from .folders import checksum

CHUNK_BYTES = 2**20
_SCHEMES = ("http", "https")


@dataclass(frozen=True)
class Archive:
    """A public archive on Google Drive.

    Attributes
    ----------
    file_id : str
        Google Drive's id of the file.
    megabytes : int
        Its size, for messages.
    page : str
        Page of the project that publishes it.
    """

    file_id: str
    megabytes: int
    page: str

    @property
    def address(self) -> str:
        """Address for a browser."""
        return f"https://drive.google.com/file/d/{self.file_id}"


# The archives that `fetch` knows by name.
ARCHIVES = {
    "histosegnet": Archive(
        "1jG1ojQKmvGjjjrRhCkaH0FDWM61tSgjL", megabytes=226, page="https://github.com/lyndonchan/hsn_v1"
    )
}


def fetch(
    source: str = "histosegnet",
    *,
    to: str | PathLike[str] = "hsn_data.zip",
    progress: Progress | None = None,
) -> Path:
    """Download a zip archive once, such as the HistoSegNet release.

    Parameters
    ----------
    source : str
        Name in `ARCHIVES` or direct http or https address of a zip archive. Named archives need the package gdown:
        ``pip install "hsn[fetch]"``. Default: the release of HistoSegNet, 226 MB.
    to : path
        The file to write. A small `.json` beside it keeps address and checksum; files that end in `.part` hold an
        incomplete download.
    progress : callable, optional
        Called with events in megabytes; `total` is None if the server does not send the size.

    Returns
    -------
    pathlib.Path
        `to`. A file that was downloaded before and has not changed is not downloaded again.

    Raises
    ------
    InputError
        "source-unknown" for another name or kind of address; "gdown-missing"; "download-failed" without a network, if
        the server refuses, or if it breaks off; "download-not-archive"; "download-changed" if the file differs from
        the first download; "file-exists" if `to` was not downloaded. After a break, the next call continues.
    """
    archive = ARCHIVES.get(source)
    if archive is None and not _is_address(source):
        raise InputError(
            "source-unknown",
            f"the source must be an address that begins with https:// or http://, or one of {', '.join(ARCHIVES)}",
            got=repr(source),
            hint="give the archive's direct address",
        )
    to = Path(to).absolute()
    part, memory = to.with_name(to.name + ".part"), to.with_name(to.name + ".json")
    known = _remembered(memory)
    if to.exists():
        _check_unchanged(to, known, memory)
        return to
    if archive is None:
        known = _download(source, part, memory, known, progress)
    else:
        _download_from_drive(archive, part, progress)
        known = known | {"url": archive.address}
    return _finish(source, part, to, memory, known)


def _finish(source: str, part: Path, to: Path, memory: Path, known: dict[str, str]) -> Path:
    """Check a complete download and give it its name."""
    if not zipfile.is_zipfile(part):
        part.unlink()
        raise InputError(
            "download-not-archive",
            f"{source} must lead to a zip file",
            got="something else, such as a page",
            hint="open the address in a browser, save the archive, and run `hsn models import FILE`",
        )
    sha256 = checksum(part)
    if known.get("sha256", sha256) != sha256:
        part.unlink()
        raise InputError(
            "download-changed",
            f"{source} must give the same file as the first time, sha256 {known['sha256'][:12]}",
            got=sha256[:12],
            hint=f"if it was renewed for a good reason, delete {memory}",
        )
    write_json(memory, known | {"sha256": sha256})
    part.replace(to)
    return to


def _check_unchanged(to: Path, known: dict[str, str], memory: Path) -> None:
    """Raise if an existing file is not the one that was downloaded."""
    if "sha256" not in known:
        raise InputError(
            "file-exists",
            f"{to} must not exist yet, or be a download of hsn",
            got="another file",
            hint="import it with `hsn models import`, or move it away",
        )
    sha256 = checksum(to)
    if sha256 != known["sha256"]:
        raise InputError(
            "download-changed",
            f"{to} must be as it was downloaded, sha256 {known['sha256'][:12]}",
            got=sha256[:12],
            hint=f"delete it and fetch again; {memory.name} may stay",
        )


def _remembered(memory: Path) -> dict[str, str]:
    """Read what is known of the file: address, version on the server, and checksum once it is complete."""
    if not memory.exists():
        return {}
    try:
        known = json.loads(read_text(memory))
        if not all(isinstance(known.get(key, ""), str) for key in ("url", "sha256", "version")):
            raise ValueError("not a table of texts")
    except (ValueError, AttributeError, RecursionError) as error:
        raise InputError(
            "download-memory",
            f"{memory} must be what hsn wrote about a download",
            got=error,
            hint="delete it and fetch again",
        ) from None
    return known


def _download_from_drive(archive: Archive, part: Path, progress: Progress | None) -> None:
    """Fill `part` through gdown, which resumes from its own partial file."""
    by_hand = f"open {archive.address} in a browser, save the file and run `hsn models import FILE`"
    try:
        import gdown  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise InputError(
            "gdown-missing",
            f"the package gdown must be installed to download {archive.megabytes} MB from Google Drive",
            got="no gdown",
            hint=f'pip install "hsn[fetch]", or {by_hand}',
        ) from None
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        gdown.download(
            id=archive.file_id,
            output=str(part),
            quiet=True,
            use_cookies=False,
            resume=True,
            timeout=CONNECT_S,
            progress=lambda done, total: _report(progress, done, total),
        )
    except (OSError, gdown.exceptions.DownloadError) as error:  # errors of requests are OSErrors
        raise InputError(
            "download-failed",
            f"{archive.address} must be reachable to download {archive.megabytes} MB",
            got=first_line(error).partition(" (Caused by")[0][:200],
            hint=f"check the connection and run it again, which continues the download, or {by_hand}",
        ) from None


def _download(
    url: str, part: Path, memory: Path, known: dict[str, str], progress: Progress | None
) -> dict[str, str]:
    """Fill `part`, continuing if the server still has the same version; return what is known of it."""
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        done = part.stat().st_size if part.exists() else 0
        opener = urllib.request.build_opener(_HttpOnly)
        request = _request(url, done, known)
        with _within(ANSWER_S, lambda: opener.open(request, timeout=CONNECT_S)) as answer:
            version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
            known = known | {"url": url, "version": version}
            write_json(memory, known)
            _receive(answer, part, done, progress)
    except InputError:
        raise
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and done:  # nothing lies beyond `done`: the part is complete
            return known
        raise _failed(url, f"{error.code} {error.reason}", "check the address") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        got = first_line(getattr(error, "reason", error))
        raise _failed(
            url, got, "check the connection and run it again, which continues the download"
        ) from None
    return known


def _is_address(source: str) -> bool:
    """Return whether a text is an http or https address."""
    try:
        parts = urlsplit(source)
        return parts.scheme in _SCHEMES and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # a malformed host or port
        return False


class _HttpOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https only, and never from https to http."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Return the request for the new address."""
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new not in _SCHEMES or (old == "https" and new == "http"):
            raise _failed(req.full_url, f"a redirect from {old} to {new or 'another kind of address'}",
                          "ask for the archive's direct address")  # fmt: skip
        fp.close()  # urllib would read the page of the redirect, which may be endless
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _report(progress: Progress | None, done: int, total: int | None) -> None:
    """Report bytes as megabytes, rounded up."""
    report(progress, "downloading (MB)", -(-done // 10**6), None if total is None else -(-total // 10**6))


def _failed(url: str, got: str, hint: str) -> InputError:
    return InputError("download-failed", f"{url} must be reachable", got=got, hint=hint)


def _request(url: str, done: int, known: dict[str, str]) -> urllib.request.Request:
    """Ask for the rest of a known version after `done` bytes, else for everything."""
    request = urllib.request.Request(url, headers={"User-Agent": "hsn", "Accept-Encoding": "identity"})
    if done and known.get("url") == url and known.get("version"):
        request.add_header("Range", f"bytes={done}-")
        request.add_header("If-Range", known["version"])  # another version comes whole: never a mixture
    return request


def _receive(answer: Any, part: Path, done: int, progress: Progress | None) -> None:
    """Write an answer to `part`, appending if the server continues, and check that all has come."""
    resumes = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {done}-")
    done = done if resumes else 0
    length = answer.headers.get("Content-Length", "")
    total = done + int(length) if length.isdecimal() else None
    room = min(shutil.disk_usage(part.parent).free, DOWNLOAD_BYTES)
    reported, window_start, window_done = done, time.monotonic(), done
    with part.open("ab" if resumes else "wb") as file:
        # `read1` returns what has arrived, so that nothing is lost if the server stalls.
        while (total or 0) <= room and done <= room and (chunk := _read(answer)):
            done += file.write(chunk)
            if done - reported >= CHUNK_BYTES:
                _report(progress, done, total)
                reported = done
            if time.monotonic() - window_start > DOWNLOAD_STALL_S:
                if done - window_done < DOWNLOAD_STALL_BYTES:
                    slow = f"{done - window_done:,} bytes in {DOWNLOAD_STALL_S} s"
                    raise _failed(answer.url, slow, "run it again later, which continues the download")
                window_start, window_done = time.monotonic(), done
    if done > reported:
        _report(progress, done, total)
    if max(done, total or 0) > room:
        raise InputError(
            "disk-full",
            f"the download must have at most {room:,} bytes to fit at {part.parent}",
            got=f"{total or done:,}",
            hint="make room, choose another disk, or check the address",
        )
    if total is not None and done < total:
        raise _failed(
            answer.url, f"{done:,} of {total:,} bytes", "run it again, which continues the download"
        )


def _read(answer: Any) -> bytes:
    """Return bytes that have arrived; `read1` also reads the lengths between the parts of an answer."""
    try:
        chunk: bytes = _within(DOWNLOAD_STALL_S, lambda: answer.read1(CHUNK_BYTES))
    except TimeoutError:
        connection = socket.socket(fileno=answer.fileno())
        try:
            connection.shutdown(socket.SHUT_RDWR)  # ends the call that still reads; closing would wait for it
        finally:
            connection.detach()
        raise
    return chunk


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """Return the result of a call that waits for a server; raise `TimeoutError` if it takes too long.

    The timeout of a socket starts again with each byte, so that a server can delay a call for ever.
    """
    results: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
    too_late = threading.Event()

    def run() -> None:
        try:
            result, failure = call(), None
        except BaseException as error:
            result, failure = None, error
        results.put((result, failure))
        late: Any = failure if result is None else result  # an answer, or the error that holds it
        if too_late.is_set() and hasattr(late, "close"):
            late.close()

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = results.get(timeout=seconds)
    except queue.Empty:
        too_late.set()
        raise TimeoutError(f"an answer that was not complete after {seconds} s") from None
    if error is not None:
        raise error
    return result
