import http.server
import io
import json
import threading
import zipfile

import numpy as np
import pytest

from hsn import InputError
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

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/hsn_data.zip"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

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
    server = Server(content)
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def to(tmp_path):
    return tmp_path / "downloads" / "hsn_data.zip"


def test_a_file_is_fetched_once_with_progress(server, content, to):
    steps = []
    assert fetch(server.url, to=to, progress=lambda *step: steps.append(step)) == to
    assert to.read_bytes() == content
    assert [total for _, total in steps] == [len(content)] * len(steps)
    assert np.all(np.diff([done for done, _ in steps]) > 0)
    assert steps[-1][0] == len(content)
    assert sorted(path.name for path in to.parent.iterdir()) == ["hsn_data.zip", "hsn_data.zip.json"]
    fetch(server.url, to=to)
    assert server.answers == [(200, 0)]


def test_a_broken_download_goes_on_where_it_stopped(server, content, to):
    server.breaks_at = 2_000_000
    with pytest.raises(
        InputError, match=r"^\S+zip broke off; expected 3,000,\d+ bytes, received 2,000,000; run it again"
    ):
        fetch(server.url, to=to)
    assert not to.exists()
    server.breaks_at = None
    steps = []
    fetch(server.url, to=to, progress=lambda *step: steps.append(step))
    assert to.read_bytes() == content
    assert server.answers == [(200, 0), (206, 2_000_000)]
    assert steps[0][0] > 2_000_000
    assert {total for _, total in steps} == {len(content)}


@pytest.mark.parametrize("version", ['"2"', None])
def test_a_part_of_another_version_is_not_gone_on_with(server, content, to, version):
    server.breaks_at = 2_000_000
    with pytest.raises(InputError, match="broke off"):
        fetch(server.url, to=to)
    server.breaks_at, server.version = None, version
    server.content = content[:100] + bytes([content[100] ^ 1]) + content[101:]
    fetch(server.url, to=to)
    assert to.read_bytes() == server.content
    assert server.answers[1] == (200, 0)


def test_a_part_from_another_address_is_not_gone_on_with(server, content, to):
    server.breaks_at = 2_000_000
    with pytest.raises(InputError, match="broke off"):
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


def test_another_file_than_the_first_time_is_refused(server, content, to):
    fetch(server.url, to=to)
    to.unlink()
    server.content, server.version = content[:50] + b"?" + content[51:], '"2"'
    with pytest.raises(
        InputError, match=r"no longer gives the file that it gave first.*delete .*hsn_data\.zip\.json"
    ):
        fetch(server.url, to=to)
    assert [path.name for path in to.parent.iterdir()] == ["hsn_data.zip.json"]


def test_a_file_that_changed_on_the_disk_is_refused(server, to):
    fetch(server.url, to=to)
    to.write_bytes(b"changed")
    with pytest.raises(InputError, match="has changed since it was fetched"):
        fetch(server.url, to=to)


def test_a_file_that_was_there_before_is_left_alone(server, to):
    to.parent.mkdir()
    to.write_bytes(b"mine")
    with pytest.raises(InputError, match="is there already and was not fetched"):
        fetch(server.url, to=to)
    assert to.read_bytes() == b"mine"
    assert not server.answers


def test_a_page_instead_of_the_archive_is_refused(server, to):
    server.content = b"<html>Sign in to download</html>"
    with pytest.raises(InputError, match=r"did not lead to the archive.*open the address in a browser"):
        fetch(server.url, to=to)
    assert [path.name for path in to.parent.iterdir()] == ["hsn_data.zip.json"]


def test_a_server_that_refuses_is_quoted(server, to):
    server.status = 404
    with pytest.raises(
        InputError, match=r"refused by its server; expected the archive, received 404 Not Found"
    ):
        fetch(server.url, to=to)


def test_without_a_network_it_says_so(to, server):
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(
        InputError, match=r"cannot be fetched; expected a network.*refused.*check the connection"
    ):
        fetch(server.url, to=to)


def test_an_endless_answer_and_a_full_disk_are_refused(server, to, monkeypatch):
    monkeypatch.setattr(download, "LARGEST_BYTES", 1_000_000)
    with pytest.raises(
        InputError, match=r"^\S+part would not fit; expected at most 1,000,000 bytes, received 3,000,"
    ):
        fetch(server.url, to=to)
    server.says_length = False
    with pytest.raises(InputError, match="would not fit; expected at most 1,000,000 bytes"):
        fetch(server.url, to=to)
    assert to.with_name("hsn_data.zip.part").stat().st_size < 1_000_000 + download.CHUNK_BYTES


def test_without_an_address_it_says_where_one_is_found(to):
    with pytest.raises(
        InputError, match=r"no lasting address.*github\.com/lyndonchan/hsn_v1.*hsn weights import"
    ):
        fetch(to=to)


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "file://localhost/etc/passwd", "ftp://host/a.zip", "hsn_data.zip", "https://"],
)
def test_other_addresses_are_refused(to, url):
    with pytest.raises(InputError, match=r"cannot be fetched; expected http:// or https://"):
        fetch(url, to=to)


@pytest.mark.parametrize("text", ["", "[]", '{"sha256": 5}', "[" * 100_000])
def test_a_damaged_memory_is_refused(server, to, text):
    to.parent.mkdir()
    to.with_name("hsn_data.zip.json").write_text(text)
    with pytest.raises(InputError, match=r"hsn_data\.zip\.json is damaged.*delete it and fetch again"):
        fetch(server.url, to=to)


def test_what_is_remembered_is_plain(server, to):
    fetch(server.url, to=to)
    known = json.loads(to.with_name("hsn_data.zip.json").read_text())
    assert known["url"] == server.url
    assert len(known["sha256"]) == 64
