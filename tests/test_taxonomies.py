"""Taxonomies from files, as editors and systems write them."""

import json

import pytest

from hsn import taxonomies

CLASSES = [{"name": "tumor", "color": [200, 30, 60]}]
TOML = 'name = "lab"\n[[classes]]\nname = "tumor"\ncolor = [200, 30, 60]\n'
JSON = json.dumps({"name": "lab", "classes": CLASSES})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"], ids=["plain", "with a byte order mark"])
@pytest.mark.parametrize(
    ("name", "text"), [("a.toml", TOML), ("B.TOML", TOML), ("a.json", JSON), ("B.Json", JSON)]
)
def test_a_taxonomy_file_is_read_with_any_case_of_its_suffix_and_with_a_mark(tmp_path, name, text, encoding):
    (tmp_path / name).write_text(text.replace("\n", "\r\n"), encoding=encoding, newline="")
    assert taxonomies.get(str(tmp_path / name)).names == ("tumor",)


@pytest.mark.parametrize("name", ["a.txt", "a", "toml", ""])
def test_other_names_are_errors(name, raises_code):
    with raises_code("taxonomy-unknown"):
        taxonomies.get(name)
