import json
import re

import pytest

from hsn.models import Card, Normalization

CARD = Card(
    name="mine",
    method="tags",
    classes=("gland", "stroma"),
    thresholds=(0.5, 0.25),
    mpp=0.62,
    taxonomies=("glas",),
    normalization=Normalization(mean=193, std=56),
    scores={"mIoU, GlaS test A": 0.7},
    license="research only · µm",
)


def changed(**fields):
    return json.dumps(json.loads(CARD.model_dump_json()) | fields)


def test_a_card_is_written_and_read_back(tmp_path):
    CARD.write(tmp_path)
    assert Card.read(tmp_path) == CARD
    assert "µm" in (tmp_path / "card.json").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["card.json"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"color": "red"}, "color: Extra inputs"),
        ({"mpp": "0.62"}, "mpp: Input should be a valid number"),
        ({"mpp": 0}, "mpp: Input should be greater than 0"),
        ({"mpp": float("nan")}, "mpp: Input should be a finite number"),
        ({"method": "dreams"}, "method: Input should be 'tags'"),
        ({"thresholds": [0.5]}, "1 thresholds for 2 classes"),
        ({"thresholds": [0.5, 1.5]}, r"thresholds.1: Input should be less than or equal to 1"),
        ({"classes": ["gland", "gland"]}, "a class is named twice"),
        ({"classes": [], "thresholds": []}, "classes: Tuple should have at least 1"),
        ({"sha256": "abc"}, "sha256: String should match"),
        ({"name": "../up"}, "name: String should match"),
        ({"normalization": {"mean": 0, "std": 0}}, "normalization.std: Input should be greater"),
        ({"parameters": -1}, "parameters: Input should be greater"),
    ],
)
def test_an_invalid_card_is_an_error_that_names_the_field(tmp_path, fields, words, raises_code):
    (tmp_path / "card.json").write_text(changed(**fields))
    with raises_code("card-invalid") as error:
        Card.read(tmp_path)
    assert re.search(words, str(error.value))


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000])
def test_a_card_that_is_not_a_table_is_an_error(text, raises_code):
    with raises_code("card-invalid"):
        Card.parse(text)


def test_a_missing_a_huge_and_a_binary_card_are_errors(tmp_path, raises_code):
    with raises_code("file-not-readable"):
        Card.read(tmp_path)
    (tmp_path / "card.json").write_bytes(b"\xff\xfe\xff")
    with raises_code("file-not-text"):
        Card.read(tmp_path)
    (tmp_path / "card.json").write_bytes(b" " * 10_000_001)
    with raises_code("file-too-large"):
        Card.read(tmp_path)


@pytest.mark.parametrize("version", [2, 7])
def test_a_card_of_a_newer_format_asks_for_a_newer_hsn(version, raises_code):
    with raises_code("card-newer") as error:
        Card.parse(changed(format=version, shape="not known yet"))
    assert f"got format {version}; update hsn" in str(error.value)


@pytest.mark.parametrize("version", [0.5, "1", True, None, -1])
def test_a_format_that_is_not_a_whole_number_is_an_error(version, raises_code):
    with raises_code("card-invalid"):
        Card.parse(changed(format=version))


def test_fields_of_the_first_format_are_renamed():
    fields = json.loads(CARD.model_dump_json())
    del fields["format"]
    for old, new in {"supervision": "method", "normalisation": "normalization", "licence": "license"}.items():
        fields[old] = fields.pop(new)
    assert Card.parse(json.dumps(fields)) == CARD
    assert json.loads(CARD.model_dump_json())["format"] == 1


def test_old_names_of_fields_still_work_with_a_warning():
    with pytest.warns(DeprecationWarning, match="use Card.license"):
        assert CARD.licence == CARD.license
    with pytest.raises(AttributeError):
        CARD.colour  # noqa: B018
