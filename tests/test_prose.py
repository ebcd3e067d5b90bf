"""Prose: first lines of docstrings are instructions, and some phrases do not occur."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "hsn").rglob("*.py"), *(ROOT / "benchmarks").glob("*.py"), *ROOT.glob("demo_*.py")])
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NOT_AN_INSTRUCTION = re.compile(r"(how|what|where|which|whose)\b", re.IGNORECASE)
FORBIDDEN = re.compile(
    r"(?<!there )\b(is|are) no (?!longer)|\bof which\b|\bin (which case|whose)\b|\bthose that\b|\blikewise\b|\balike\b"
    r"|\b(the|its|each) (waist|rim|bump)s?\b|\bnow and then\b",
    re.IGNORECASE,
)


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def documented(path):
    """Yield the public functions and classes of a file, and the file itself."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        if isinstance(node, ast.Module) or public:
            yield node


def texts(path):
    """Yield the string constants of a Python file: docstrings, messages, help texts."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_first_lines_of_docstrings_are_instructions(path):
    first_lines = {
        f"{getattr(node, 'name', 'module')}: {ast.get_docstring(node).splitlines()[0]}"
        for node in documented(path)
        if NOT_AN_INSTRUCTION.match(ast.get_docstring(node) or "")
    }
    assert not first_lines


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_docstrings_and_messages_avoid_forbidden_phrases(path):
    found = {(line, hit.group()) for line, text in texts(path) for hit in FORBIDDEN.finditer(text)}
    assert not found


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_pages_avoid_forbidden_phrases(path):
    text = path.read_text(encoding="utf-8")
    if path.name == "CONTRIBUTING.md":
        text = re.sub(r'"[^"\n]*"', "", text)  # it quotes the phrases
    assert not {hit.group() for hit in FORBIDDEN.finditer(text)}
