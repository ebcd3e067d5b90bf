"""Only the page that the user opened gets answers; no path comes from the client."""

import json

import pytest
from app_fakes import PORT, TOKEN

from hsn.app.guard import HEADERS, cookie_name

ROUTES = [
    "/",
    "/api/project",
    "/api/images/a",
    "/tiles/a/image/0/0/0",
    "/static/app.js",
    "/static/vendor/ol.js",
]
EDITS = json.dumps({"session": "s", "page": "s", "seq": 0, "edits": []})


@pytest.mark.parametrize("route", ROUTES)
def test_each_route_answers_the_page_and_refuses_whoever_lacks_the_token(client, route):
    assert client.get(route).status_code == 200
    client.cookies.clear()
    assert client.get(route).status_code == 403
    client.cookies.set(cookie_name(PORT), "wrong")
    assert client.get(route).status_code == 403


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        f"evil.example:{PORT}",
        "127.0.0.1",
        f"127.0.0.1:{PORT + 1}",
        f"localhost.evil:{PORT}",
        "",
    ],
)
def test_other_hosts_are_refused_even_with_the_token(client, route, host):
    assert client.get(route, headers={"Host": host}).status_code == 403


def test_localhost_is_the_same_host(client):
    headers = {"Host": f"localhost:{PORT}", "Cookie": f"{cookie_name(PORT)}={TOKEN}"}
    assert client.get("/api/project", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", f"http://evil.example:{PORT}", "null", f"https://127.0.0.1:{PORT}"]
)
def test_other_origins_are_refused(client, origin):
    headers = {"Origin": origin, "Content-Type": "application/json"}
    assert client.post("/api/edits", content=EDITS, headers=headers).status_code == 403
    headers["Origin"] = f"http://127.0.0.1:{PORT}"
    assert client.post("/api/edits", content=EDITS, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "application/jsonx"],
)
def test_forms_of_other_pages_are_refused_by_their_content_type(client, kind):
    assert client.post("/api/edits", content=EDITS, headers={"Content-Type": kind}).status_code == 403


def test_the_token_of_the_address_counts_more_than_a_stale_cookie(anonymous):
    anonymous.cookies.set(cookie_name(PORT), "of-an-earlier-server")
    answer = anonymous.get("/", params={"token": TOKEN})
    assert answer.status_code == 303
    assert answer.headers["location"] == "./"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert anonymous.get("/", params={"token": "wrong"}).status_code == 403


@pytest.mark.parametrize(
    "path",
    ["/static/../server.py", "/static/%2e%2e/server.py", "/static/..%2fserver.py", "/static//etc/passwd",
     "/tiles/..%2f..%2fa/image/0/0/0", "/api/images/..%2fstudy.toml", "/api/images/%2fetc%2fpasswd"],
)  # fmt: skip
def test_no_path_leads_out(client, path):
    assert client.get(path).status_code == 404


def test_every_answer_has_the_headers_of_security(client):
    for answer in (
        client.get("/"),
        client.get("/static/app.js"),
        client.get("/nothing"),
        client.get("/", headers={"Host": "x"}),
    ):
        for name, value in HEADERS.items():
            assert answer.headers[name] == value


def test_large_requests_are_refused(client, monkeypatch):
    headers = {"Content-Type": "application/json"}
    assert client.post("/api/edits", content=b" " * (2**24 + 1), headers=headers).status_code == 413
    assert client.post("/api/edits", content=b"[" * 100_000, headers=headers).status_code == 400


def test_a_script_in_the_name_of_a_class_stays_text(client, feature, put):
    name = "<script>alert(1)</script>"
    answer = client.post("/api/project", json={"aim": "nuclei", "classes": {name: "object"}})
    assert answer.status_code == 200
    edit = put(feature(name=name))
    answer = client.post("/api/edits", json={"session": "s", "page": "s", "seq": 0, "edits": [edit]})
    assert answer.json()["counts"] == {"a": {name: 1}}
    assert answer.headers["content-type"] == "application/json"
