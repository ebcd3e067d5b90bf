"""HTML reports: complete, escaped, without other files."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from hsn.exports.source import source_of
from hsn.reports.html import write_cohort, write_page
from hsn.taxonomies import GLAS, Taxonomy, TissueClass
from hsn.types import Segmentation

VOID = {"meta", "img", "rect", "br"}


class Checker(HTMLParser):
    """Collects text; every tag that opens must close."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.tags = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def parse(path):
    checker = Checker()
    checker.feed(path.read_text(encoding="utf-8"))
    assert checker.open == []
    return checker


@pytest.fixture
def result(rng):
    instances = np.zeros((90, 120), np.int32)
    for k in range(12):
        row, col = divmod(k, 4)
        instances[row * 25 + 5 : row * 25 + 12 + k, col * 25 + 5 : col * 25 + 15] = k + 1
    probability = np.where(instances > 0, 0.5 + instances / 40, 0.1)
    return Segmentation(
        labels=(instances > 0).astype(np.int32),
        instances=instances,
        probabilities=np.stack([1 - probability, probability], axis=2),
        scores=np.ones(2),
        taxonomy=Taxonomy("lab", (TissueClass("Other", (0, 0, 0)), TissueClass("<b>&'\"", (200, 0, 0)))),
        image=rng.integers(0, 256, (90, 120, 3), dtype=np.uint8),
        mpp=0.5,
        name="<script>alert(1)</script>",
    )


def test_a_page_has_numbers_pictures_and_origin(result, tmp_path):
    row = write_page(tmp_path / "a.html", source_of(result), {"model": "nuclei <i>", "seconds": 1.5})
    page = parse(tmp_path / "a.html")
    text = "|".join(page.text)
    assert row["objects"] == 12
    assert row["objects per mm2"] == pytest.approx(12 / (90 * 120 * 0.0005**2))
    assert f"{row['objects per mm2']:,.1f}" in text
    fraction = (result.instances > 0).mean()
    assert f"{100 * fraction:.2f} %" in text
    assert row["median area_um2"] == np.median(np.bincount(result.instances.ravel())[1:]) * 0.25
    for word in ("nuclei <i>", "1.5", "0.5 um/px", "<b>&'\"", "120 x 90 px"):
        assert word in text
    tags = [tag for tag, _ in page.tags]
    assert tags.count("img") == 1 + 12  # the overlay and the least sure objects
    assert tags.count("svg") == 5
    assert "script" not in tags
    assert "b" not in tags


def test_a_page_needs_no_other_file(result, tmp_path):
    write_page(tmp_path / "a.html", source_of(result), {})
    for tag, attributes in parse(tmp_path / "a.html").tags:
        assert attributes.get("src", "data:").startswith("data:"), tag
        assert "href" not in attributes


def test_the_least_sure_objects_come_first(result, tmp_path):
    write_page(tmp_path / "a.html", source_of(result), {})
    captions = re.findall(r"<figcaption>(0\.\d\d), x", (tmp_path / "a.html").read_text())
    assert captions == sorted(captions)
    assert captions[0] == f"{result.objects['score'].min():.2f}"


def test_a_result_without_objects_and_image_has_a_page(tmp_path):
    result = Segmentation(np.array([[0, 1], [1, 1]]), None, None, np.ones(2), GLAS)
    row = write_page(tmp_path / "a.html", source_of(result), {})
    assert row["objects"] is None
    assert row["G.O, fraction"] == 0.75
    parse(tmp_path / "a.html")


def test_a_cohort_has_a_row_per_image_and_quantiles(tmp_path):
    rows = [{"image": f"<{k}>", "objects": k, "model": "m"} for k in range(5)]
    write_cohort(tmp_path / "report.html", rows, links=[f"report/{k}.html" for k in range(5)])
    page = parse(tmp_path / "report.html")
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert links == [f"report/{k}.html" for k in range(5)]
    assert "<3>" in page.text
    values = [attributes["data-value"] for tag, attributes in page.tags if "data-value" in attributes]
    assert values == ["0", "1", "2", "3", "4"]
    assert "75 %" in page.text
