"""What the page shows: the live overlay in place, a huge slide without gaps, nothing serious for axe, exports."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from app_fakes import write_slide

from hsn.annotations import qupath

NUCLEI = [(40, 30), (120, 30), (200, 90), (280, 150), (360, 270)]  # (x, y) of drawn nuclei
AXE = Path(__file__).parent / "vendor" / "axe.min.js"


def marked(page):
    """Mark three nuclei and a stroke of background."""
    for place in NUCLEI[:3]:
        page.click(*place)
    page.press("2", "b")
    page.drag((60, 60), (340, 60))
    page.saved()
    page.wait("hsn.overlays.instantVersion > 0")


def test_the_live_overlay_appears_where_the_nuclei_are(serve, open_page, tissue):
    page = open_page(serve(tissue, "--aim", "nuclei", "--mpp", "0.5"))
    page.go(200, 150, 0.5)
    before = page.pixels().astype(int)
    marked(page)
    page.wait("Object.keys(hsn.viewer.overlays).includes('instant')")
    page.settle()
    page.page.wait_for_timeout(1500)
    changed = np.abs(page.pixels().astype(int) - before).max(axis=2)

    def change(x, y):
        col, row = (round(value) for value in page.at(x, y))
        return np.median(changed[row - 2 : row + 3, col - 2 : col + 3])

    for x, y in ((280, 150), (200, 210), (120, 270)):  # not clicked
        assert change(x, y) > 30
        assert change(x - 40, y + 30) < 12
    page.press("o")
    page.settle()
    hidden = np.abs(page.pixels().astype(int) - before).max(axis=2)
    col, row = (round(value) for value in page.at(280, 150))
    assert np.median(hidden[row - 2 : row + 3, col - 2 : col + 3]) < 12
    assert page.errors == []


def test_a_slide_of_100_000_px_has_no_blank_tile(serve, open_page, tmp_path):
    folder = tmp_path / "slides"
    folder.mkdir()
    write_slide(folder / "large.tif", side=100_000, mpp=0.25)
    page = open_page(serve(folder, "--aim", "nuclei"))
    assert page.page.inner_text("#image-facts").endswith("100000 × 100000 px")
    assert "0.25 µm/px (from the file)" in page.page.inner_text("#image-facts")
    rng = np.random.default_rng(5)
    for k in range(20):
        x, y = rng.uniform(15_000, 85_000, 2)
        page.go(x, y, 2.0 ** (k % 5))
        pixels = page.pixels()[200:500, 250:750].astype(float)
        blocks = pixels.reshape(3, 100, 5, 100, 3).std(axis=(1, 3)).max(axis=2)
        assert blocks.min() > 2, f"a blank part at {x:.0f}, {y:.0f}"
    page.click(x, y)
    page.saved()
    (found,) = page.features()
    np.testing.assert_allclose(found["geometry"]["coordinates"], (x, y), atol=0.6 * 2.0 ** (19 % 5))
    assert page.errors == []


def test_axe_finds_nothing_serious_in_the_page_and_its_dialogs(serve, open_page, tissue):
    page = open_page(serve(tissue, "--aim", "nuclei", "--mpp", "0.5"))
    page.page.evaluate(AXE.read_text(encoding="utf-8"))
    marked(page)
    page.page.click("summary")
    assert_accessible(page)
    for key in ("?", "e"):
        page.press(key)
        page.page.wait_for_selector("dialog[open]")
        assert_accessible(page)
        page.press("Escape")


def test_axe_finds_nothing_serious_in_the_question_for_the_aim(serve, open_page, tissue):
    page = open_page(serve(tissue), ready=False)
    page.page.evaluate(AXE.read_text(encoding="utf-8"))
    page.page.wait_for_selector("dialog[open]")
    assert_accessible(page)


def assert_accessible(page):
    """Check the page with axe."""
    page.page.wait_for_timeout(500)
    found = page.page.evaluate("axe.run()")["violations"]
    serious = [
        (v["id"], v["nodes"][0]["html"][:120]) for v in found if v["impact"] in ("serious", "critical")
    ]
    assert serious == []
    assert page.errors == []
    assert page.foreign == []


def test_the_export_opens_in_the_reader_of_annotations_and_comes_back(serve, open_page, tissue, tmp_path):
    page = open_page(serve(tissue, "--aim", "nuclei", "--mpp", "0.5"))
    marked(page)
    page.press("e")
    with page.page.expect_download() as download:
        page.page.click("#annotations-zip")
    archive = zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes()))
    archive.extract("annotations/one.geojson", tmp_path)
    path = tmp_path / "annotations" / "one.geojson"
    drawn = qupath.read(path)
    assert len(drawn.points) == 3
    assert drawn.scribbles[0].label == "Background"
    data = json.loads(path.read_text())
    data["features"] = data["features"][1:]
    data["features"][0]["geometry"]["coordinates"] = [55.5, 44.5]
    path.write_text(json.dumps(data))
    page.press("Escape")
    page.page.click("#import")
    page.page.set_input_files("dialog input[type=file]", str(path))
    page.page.wait_for_selector("#import-apply")
    assert "0 new, 1 changed, 2 equal" in page.page.inner_text("dialog")
    assert "remove the 1 annotations" in page.page.inner_text("dialog")
    page.page.click("#import-apply")
    page.saved()
    places = [f["geometry"]["coordinates"] for f in page.features() if f["geometry"]["type"] == "Point"]
    assert len(places) == 3
    assert [55.5, 44.5] in places
    page.press("z")
    page.saved()
    assert [55.5, 44.5] not in [f["geometry"]["coordinates"] for f in page.features()]


@pytest.mark.slow
def test_train_shows_a_curve_can_be_cancelled_and_resumed_and_gives_a_new_overlay(serve, open_page, tissue):
    page = open_page(serve(tissue, "--aim", "nuclei", "--mpp", "0.5"), nets=True)
    marked(page)
    page.page.evaluate(
        "fetch('api/train', {method: 'POST', headers: {'Content-Type': 'application/json'},"
        " body: JSON.stringify({epochs: 3})})"
    )
    page.wait("document.querySelector('svg.curve')", seconds=300)
    page.page.click("#cancel")
    page.page.wait_for_selector("#resume", timeout=60_000)
    page.page.click("#resume")
    page.page.wait_for_selector("#training-status:has-text('done')", timeout=400_000)
    page.wait("hsn.nets.chosen === '0001'", seconds=60)
    page.page.wait_for_selector("details:has-text('Numbers') tr", state="attached")
    assert "--epochs 3" in page.page.text_content("pre.command")
    page.wait("hsn.nets.count > 1", seconds=120)
    assert page.errors == []


def test_threshold_and_base_net_are_chosen_with_keys(serve, open_page, tissue):
    page = open_page(serve(tissue, "--aim", "nuclei", "--mpp", "0.5"), nets=True)
    marked(page)
    page.page.focus("#threshold")
    page.press("End")
    assert page.page.get_attribute("#threshold", "aria-valuetext") == "95 %"
    page.wait(
        "hsn.viewer.overlays.instant.getSource().getTileUrlFunction()([0, 0, 0]).includes('least=0.95')"
    )
    page.page.wait_for_selector("#base option[value=nuclei-cc0]", state="attached")
    page.page.focus("#base")
    page.page.keyboard.type("nuclei-cc0")
    page.wait("hsn.project.base === 'nuclei-cc0'")
    assert 'base = "nuclei-cc0"' in (tissue / "hsn-project" / "project.toml").read_text()
    assert "Data Science Bowl" in page.page.inner_text("#base-note")
    assert page.errors == []
