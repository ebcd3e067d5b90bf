import contextlib
import http.server
import io
import json
import sys
import threading
import time
import types
import zipfile

import numpy as np
import pytest

from hsn.models import download, fetch


class Server:
    """A file server on this machine that knows ranges, and misbehaves when asked to."""

    def __init__(self, content):
        self.content, self.version, self.breaks_at, self.answers = content, '"1"', None, []
        self.status, self.says_length = 200, True
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *args):
                pass

            def handle(self):
                with contextlib.suppress(ConnectionError):  # a client that has seen enough hangs up
                    super().handle()

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/hsn_data.zip"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def close(self):
        """Stop serving; harmless when called again."""
        if self.thread.is_alive():
            self.http.shutdown()  # waits for ever for a server that does not run
        self.http.server_close()

    def answer(self, request):
        start, headers = 0, request.headers
        if "Range" in headers and headers["If-Range"] == self.version:
            start = int(headers["Range"].removeprefix("bytes=").removesuffix("-"))
        status = 416 if start >= len(self.content) else 206 if start else self.status
        self.answers.append((status, start))
        body = self.content[start:]
        request.send_response(status)
        if self.version:
            request.send_header("ETag", self.version)
        if status == 206:
            request.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        if self.says_length:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body if self.breaks_at is None else body[: self.breaks_at])


@pytest.fixture
def content(rng):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("data/x", rng.bytes(3_000_000))
    return file.getvalue()


@pytest.fixture
def server(content, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(download, "CONNECT_S", 5)
    server = Server(content)
    yield server
    server.close()


@pytest.fixture
def to(tmp_path):
    return tmp_path / "downloads" / "hsn_data.zip"


def test_a_file_is_fetched_once_with_progress(server, content, to):
    steps = []
    assert fetch(server.url, to=to, progress=lambda event: steps.append((event.done, event.total))) == to
    assert to.read_bytes() == content
    assert [total for _, total in steps] == [4] * len(steps)
    assert np.all(np.diff([done for done, _ in steps]) > 0)
    assert steps[-1][0] == 4
    assert sorted(path.name for path in to.parent.iterdir()) == ["hsn_data.zip", "hsn_data.zip.json"]
    fetch(server.url, to=to)
    assert server.answers == [(200, 0)]


def test_a_broken_download_resumes(server, content, to, raises_code):
    server.breaks_at = 2_000_000
    with raises_code("download-failed"):
        fetch(server.url, to=to)
    assert not to.exists()
    server.breaks_at = None
    steps = []
    fetch(server.url, to=to, progress=lambda event: steps.append((event.done, event.total)))
    assert to.read_bytes() == content
    assert server.answers == [(200, 0), (206, 2_000_000)]
    assert steps == [(4, 4)]


@pytest.mark.parametrize("version", ['"2"', None])
def test_a_part_of_another_version_is_not_resumed(server, content, to, version, raises_code):
    server.breaks_at = 2_000_000
    with raises_code("download-failed"):
        fetch(server.url, to=to)
    server.breaks_at, server.version = None, version
    server.content = content[:100] + bytes([content[100] ^ 1]) + content[101:]
    fetch(server.url, to=to)
    assert to.read_bytes() == server.content
    assert server.answers[1] == (200, 0)


def test_a_part_from_another_address_is_not_resumed(server, content, to, raises_code):
    server.breaks_at = 2_000_000
    with raises_code("download-failed"):
        fetch(server.url, to=to)
    server.breaks_at = None
    fetch(server.url + "?mirror", to=to)
    assert to.read_bytes() == content
    assert server.answers[1] == (200, 0)


def test_a_download_killed_between_its_last_byte_and_its_name_is_completed(server, content, to):
    fetch(server.url, to=to)
    to.rename(to.with_name("hsn_data.zip.part"))
    fetch(server.url, to=to)
    assert to.read_bytes() == content
    assert server.answers[1] == (416, len(content))


def test_another_file_than_the_first_time_is_an_error(server, content, to, raises_code):
    fetch(server.url, to=to)
    to.unlink()
    server.content, server.version = content[:50] + b"?" + content[51:], '"2"'
    with raises_code("download-changed"):
        fetch(server.url, to=to)
    assert [path.name for path in to.parent.iterdir()] == ["hsn_data.zip.json"]


def test_a_file_that_changed_on_the_disk_is_an_error(server, to, raises_code):
    fetch(server.url, to=to)
    to.write_bytes(b"changed")
    with raises_code("download-changed"):
        fetch(server.url, to=to)


def test_an_existing_file_is_not_changed(server, to, raises_code):
    to.parent.mkdir()
    to.write_bytes(b"mine")
    with raises_code("file-exists"):
        fetch(server.url, to=to)
    assert to.read_bytes() == b"mine"
    assert not server.answers


def test_a_page_instead_of_the_archive_is_an_error(server, to, raises_code):
    server.content = b"<html>Sign in to download</html>"
    with raises_code("download-not-archive"):
        fetch(server.url, to=to)
    assert [path.name for path in to.parent.iterdir()] == ["hsn_data.zip.json"]


def test_the_message_of_a_refusing_server_is_quoted(server, to, raises_code):
    server.status = 404
    with raises_code("download-failed"):
        fetch(server.url, to=to)


def test_without_a_network_the_error_names_the_reason(to, server, raises_code):
    server.close()
    with raises_code("download-failed"):
        fetch(server.url, to=to)


def test_an_endless_answer_and_a_full_disk_are_errors(server, to, monkeypatch, raises_code):
    monkeypatch.setattr(download, "DOWNLOAD_BYTES", 1_000_000)
    with raises_code("disk-full"):
        fetch(server.url, to=to)
    server.says_length = False
    with raises_code("disk-full"):
        fetch(server.url, to=to)
    assert to.with_name("hsn_data.zip.part").stat().st_size < 1_000_000 + download.CHUNK_BYTES


DRIPS = {
    "head": b"HTTP/1.1 200 OK\r\nX-Drip: ",
    "length of a part": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nX-Drip: ",
}


@pytest.mark.parametrize("start", DRIPS.values(), ids=DRIPS)
def test_an_answer_that_arrives_byte_by_byte_for_ever_is_cut_off(server, to, start, monkeypatch, raises_code):
    def drip(request):
        request.wfile.write(start)
        while not ended.wait(0.02):
            request.wfile.write(b"0")

    ended = threading.Event()
    monkeypatch.setattr(server, "answer", drip)
    monkeypatch.setattr(download, "ANSWER_S", 0.3)
    monkeypatch.setattr(download, "DOWNLOAD_STALL_S", 0.3)
    began = time.monotonic()
    try:
        with raises_code("download-failed"):
            fetch(server.url, to=to)
        assert time.monotonic() - began < 5
    finally:
        ended.set()


def test_the_page_of_a_redirect_is_not_read(server, content, to, monkeypatch):
    answer = server.answer

    def redirect(request):
        if request.path != "/hsn_data.zip":
            return answer(request)
        request.send_response(302)
        request.send_header("Location", "/real.zip")
        request.end_headers()
        while True:  # an endless page
            request.wfile.write(bytes(100_000))

    monkeypatch.setattr(server, "answer", redirect)
    monkeypatch.setattr(download, "ANSWER_S", 5)
    fetch(server.url, to=to)
    assert to.read_bytes() == content


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "file://localhost/etc/passwd", "ftp://host/a.zip", "hsn_data.zip", "https://", ""],
)
def test_other_addresses_are_errors(to, url, raises_code):
    with raises_code("source-unknown"):
        fetch(url, to=to)


@pytest.mark.parametrize("text", ["", "[]", '{"sha256": 5}', "[" * 100_000])
def test_a_damaged_memory_is_an_error(server, to, text, raises_code):
    to.parent.mkdir()
    to.with_name("hsn_data.zip.json").write_text(text)
    with raises_code("download-memory"):
        fetch(server.url, to=to)


def test_the_record_of_a_download_is_plain_data(server, to):
    fetch(server.url, to=to)
    known = json.loads(to.with_name("hsn_data.zip.json").read_text())
    assert known["url"] == server.url
    assert len(known["sha256"]) == 64


# --- by name, through gdown --------------------------------------------------------------------------------


@pytest.fixture
def drive(monkeypatch, content):
    """A local stand-in for gdown that writes the archive in two parts, and can break off between them."""

    class DownloadError(Exception):
        pass

    drive = types.SimpleNamespace(content=content, error=None, calls=[])

    def download(*, id, output, resume, progress, timeout, **options):
        drive.calls.append({"id": id, "resume": resume, "timeout": timeout})
        half = len(drive.content) // 2
        with open(output, "wb") as file:
            progress(file.write(drive.content[:half]), len(drive.content))
            if drive.error:
                raise drive.error
            file.write(drive.content[half:])
        progress(len(drive.content), len(drive.content))
        return output

    module = types.SimpleNamespace(
        download=download, exceptions=types.SimpleNamespace(DownloadError=DownloadError)
    )
    monkeypatch.setitem(sys.modules, "gdown", module)
    return drive


def test_the_release_is_fetched_by_its_name(drive, content, to):
    events = []
    assert fetch(to=to, progress=events.append) == to
    assert to.read_bytes() == content
    assert drive.calls == [{"id": "1jG1ojQKmvGjjjrRhCkaH0FDWM61tSgjL", "resume": True, "timeout": 30}]
    assert [(event.done, event.total) for event in events] == [(2, 4), (4, 4)]
    assert fetch("histosegnet", to=to) == to
    assert len(drive.calls) == 1


def test_without_a_network_the_release_is_described_in_one_sentence(drive, to, raises_code):
    drive.error = ConnectionError("Max retries exceeded\nand more")
    with raises_code("download-failed") as error:
        fetch("histosegnet", to=to)
    sentence = str(error.value)
    assert "\n" not in sentence
    for part in ("226 MB", "Max retries exceeded", "continues the download", "hsn models import FILE"):
        assert part in sentence
    drive.error = None
    fetch("histosegnet", to=to)
    assert to.exists()


def test_without_gdown_the_extra_is_named(monkeypatch, to, raises_code):
    monkeypatch.setitem(sys.modules, "gdown", None)
    with raises_code("gdown-missing") as error:
        fetch("histosegnet", to=to)
    assert 'pip install "hsn[fetch]"' in str(error.value)
    assert "226 MB" in str(error.value)


def test_a_page_of_drive_instead_of_the_release_is_an_error(drive, to, raises_code):
    drive.content = b"<html>Too many users have viewed this file</html>"
    with raises_code("download-not-archive"):
        fetch("histosegnet", to=to)
    assert not to.exists()
