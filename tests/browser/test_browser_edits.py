"""Clicks land where they are seen, survive everything, and are never said to be saved when they are not."""

import json

import numpy as np
import pytest

NUCLEI = [(40, 30), (120, 30), (200, 90), (280, 150), (360, 270)]  # (x, y) of drawn nuclei


def places(page):
    return sorted(
        tuple(f["geometry"]["coordinates"]) for f in page.features() if f["geometry"]["type"] == "Point"
    )


@pytest.mark.parametrize("scale", [1, 2])
def test_clicks_undo_reload_kill_and_restart(serve, open_page, tissue, scale):
    server = serve(tissue, "--aim", "nuclei", "--mpp", "0.5", "--port", str(18310 + scale))
    page = open_page(server, scale=scale)
    for resolution, (x, y) in zip((0.3, 0.6, 1.0), NUCLEI, strict=False):
        page.go(x + 20, y + 15, resolution)
        page.click(x, y)
    page.saved()
    for (x, y), found in zip(sorted(NUCLEI[:3]), places(page), strict=True):
        assert abs(found[0] - x) < 0.5
        assert abs(found[1] - y) < 0.5
    page.press("z")
    page.saved()
    assert len(page.features()) == 2
    page.press("y")
    page.saved()
    before = places(page)
    assert len(before) == 3
    page.page.reload()
    page.ready()
    assert places(page) == before
    server.kill()
    server.start()
    page.open(server)
    assert places(page) == before
    assert all("ERR_" in error for error in page.errors)  # of the connection, while the server was gone


def test_the_image_is_drawn_where_its_coordinates_are(serve, open_page, tissue):
    page = open_page(serve(tissue, "--aim", "nuclei", "--mpp", "0.5"))
    for resolution in (0.4, 1.0):
        page.go(200, 150, resolution)
        pixels = page.pixels()
        for x, y in NUCLEI[1:4]:
            col, row = (round(value) for value in page.at(x, y))
            assert np.abs(pixels[row, col].astype(int) - (92, 62, 140)).max() < 25  # dark: a nucleus
            col, row = (round(value) for value in page.at(x + 40, y + 30))
            assert np.abs(pixels[row, col].astype(int) - (232, 190, 214)).max() < 25  # pink: between nuclei
    assert page.errors == []
    assert page.foreign == []


def test_edits_wait_in_the_page_while_the_server_is_gone(serve, open_page, tissue):
    server = serve(tissue, "--aim", "nuclei", "--mpp", "0.5", "--port", "18320")
    page = open_page(server)
    page.click(*NUCLEI[0])
    page.saved()
    server.kill()
    page.click(*NUCLEI[1])
    page.page.wait_for_selector("#alarm:has-text('NOT SAVED')")
    page.click(*NUCLEI[2])
    assert len(page.features()) == 3
    server.start()
    page.wait("hsn.sender.waiting.length === 0")
    assert page.page.locator("#alarm").is_hidden()
    stored = records(tissue)
    assert [r["op"] for r in stored] == ["put"] * 3
    assert len({r["id"] for r in stored}) == 3


def test_edits_that_were_not_saved_are_sent_after_a_reload(serve, open_page, tissue):
    server = serve(tissue, "--aim", "nuclei", "--mpp", "0.5", "--port", "18321")
    page = open_page(server)
    page.page.route("**/api/edits", lambda route: route.abort())
    page.click(*NUCLEI[0])
    page.page.wait_for_selector("#alarm:has-text('NOT SAVED')")
    page.page.unroute("**/api/edits")
    page.page.reload()
    page.ready()
    page.saved()
    page.wait("hsn.editor.features.size === 1")
    assert len(records(tissue)) == 1


def records(tissue):
    text = (tissue / "hsn-project" / "journal" / "000001.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_a_second_page_reads_only_until_the_first_is_closed(serve, open_page, tissue):
    server = serve(tissue, "--aim", "nuclei", "--mpp", "0.5")
    first, second = open_page(server), open_page(server)
    second.page.wait_for_selector("#alarm:has-text('Another page edits')")
    second.click(*NUCLEI[0])
    first.click(*NUCLEI[1])
    first.saved()
    assert len(records(tissue)) == 1
    first.page.close()
    second.wait("!hsn.editor.readOnly")
    second.wait("hsn.editor.features.size === 1")
    second.click(*NUCLEI[0])
    second.saved()
    assert len(records(tissue)) == 2


def test_brush_polygon_corner_and_removal_by_mouse(serve, open_page, tissue):
    page = open_page(serve(tissue, "--aim", "nuclei", "--mpp", "0.5"))
    page.press("2", "b")
    page.drag((100, 60), (160, 60), (160, 100))
    page.press("1", "g")
    for corner in ((180, 70), (220, 70), (220, 110)):
        page.click(*corner)
    page.page.mouse.dblclick(*page.at(180, 110))
    page.saved()
    stroke, polygon = page.features()
    assert stroke["geometry"]["type"] == "LineString"
    assert stroke["properties"]["classification"]["name"] == "Background"
    np.testing.assert_allclose(
        np.array(stroke["geometry"]["coordinates"])[[0, -1]], [(100, 60), (160, 100)], atol=1
    )
    np.testing.assert_allclose(
        polygon["geometry"]["coordinates"][0],
        [(180, 70), (220, 70), (220, 110), (180, 110), (180, 70)],
        atol=1,
    )
    page.press("v")
    page.click(200, 90)
    page.drag((220, 110), (240, 130))
    page.saved()
    moved = next(f for f in page.features() if f["geometry"]["type"] == "Polygon")["geometry"]["coordinates"][
        0
    ]
    np.testing.assert_allclose(moved[2], (240, 130), atol=1)
    page.press("Delete")
    page.saved()
    assert [f["geometry"]["type"] for f in page.features()] == ["LineString"]
    page.press("z", "z")
    page.saved()
    back = next(f for f in page.features() if f["geometry"]["type"] == "Polygon")["geometry"]["coordinates"][
        0
    ]
    np.testing.assert_allclose(back[2], (220, 110), atol=1)
    assert page.errors == []


def test_the_loop_without_a_mouse(serve, open_page, tissue):
    page = open_page(serve(tissue), ready=False)
    page.page.wait_for_selector("dialog[open] [data-aim=nuclei]")
    page.press("Enter")  # the first aim
    page.page.wait_for_selector("dialog[open] input[type=number]")
    page.page.keyboard.type("0.5")
    page.press("Enter")
    page.ready()
    page.wait("document.activeElement.id === 'map'")
    page.press("ArrowRight", "ArrowDown", "Enter", "2", "b", "ArrowLeft", "Enter")
    page.press("1", "g")
    for move in ("ArrowRight", "ArrowDown", "ArrowLeft"):
        page.press(move, move, "Enter")
    page.press("Shift+Enter")  # closes the polygon
    page.saved()
    kinds = [f["geometry"]["type"] for f in page.features()]
    assert kinds == ["Point", "LineString", "Polygon"]
    page.press("z")
    page.saved()
    assert len(page.features()) == 2
    asked = []
    page.page.route(
        "**/api/train", lambda route: (asked.append(route.request.post_data), route.fulfill(json={}))
    )
    page.press("t")
    page.wait("!document.querySelector('#train').disabled")
    assert json.loads(asked[0]) == {"long": False}
    page.press("e")
    page.page.wait_for_selector("dialog[open] #annotations-zip")
    page.press("Escape")
    page.page.focus("#map")
    page.press("PageDown")
    page.wait("hsn.image.id === 'two'")
    assert page.features() == []


def test_the_token_does_not_stay_in_the_address(serve, open_page, tissue):
    server = serve(tissue, "--aim", "nuclei", "--mpp", "0.5")
    page = open_page(server)
    assert "token" not in page.page.url
    cookies = page.context.cookies()
    assert [(c["name"], c["httpOnly"], c["sameSite"]) for c in cookies] == [
        (f"hsn-{server.port}", True, "Strict")
    ]
