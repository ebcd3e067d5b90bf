import json

import pytest

from hsn import InputError
from hsn.models import Card, Normalization

CARD = Card(
    name="mine",
    supervision="tags",
    classes=("gland", "stroma"),
    thresholds=(0.5, 0.25),
    mpp=0.62,
    taxonomies=("glas",),
    normalization=Normalization(mean=193, std=56),
    scores={"mIoU, GlaS test A": 0.7},
    licence="research only · µm",
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
        ({"supervision": "dreams"}, "supervision: Input should be 'tags'"),
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
def test_an_odd_card_is_refused_in_words(tmp_path, fields, words):
    (tmp_path / "card.json").write_text(changed(**fields))
    with pytest.raises(
        InputError, match=rf"card\.json is no card of a trained net.*{words}.*mend or replace"
    ):
        Card.read(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000])
def test_what_is_no_table_is_refused(text):
    with pytest.raises(InputError, match="no card of a trained net"):
        Card.parse(text)


def test_a_missing_a_huge_and_a_binary_card_are_refused(tmp_path):
    with pytest.raises(
        InputError, match=r"card\.json cannot be read; expected a file, received No such file"
    ):
        Card.read(tmp_path)
    (tmp_path / "card.json").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match=r"card\.json is no text file; expected UTF-8"):
        Card.read(tmp_path)
    (tmp_path / "card.json").write_bytes(b" " * 10_000_001)
    with pytest.raises(InputError, match=r"too large.*at most 10,000,000 bytes, received 10,000,001"):
        Card.read(tmp_path)
