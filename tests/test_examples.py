"""Examples in docstrings and blocks of the documents run."""

import doctest
import importlib
import re
import shlex
import shutil
import tomllib
from pathlib import Path

import pytest

from hsn import taxonomies
from hsn.models.folders import PRETRAINED

ROOT = Path(__file__).parents[1]
MAX_BLOCK_LINES = 8
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "hsn").rglob("*.py")
)
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner()
    for example in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        if "glas-tags" in example.docstring and not (PRETRAINED / "glas-tags" / "card.json").exists():
            pytest.skip("pretrained/glas-tags is not in this checkout")
        runner.run(example)
    failed, _ = runner.summarize(verbose=False)
    assert not failed


def blocks(language):
    """Fenced blocks of the documents, with the document's name."""
    for path in DOCUMENTS:
        for block in re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S):
            yield path.relative_to(ROOT).as_posix(), block


@pytest.mark.parametrize(("document", "block"), list(blocks("toml")))
def test_taxonomy_files_in_the_documents_are_taxonomies(document, block, tmp_path):
    (tmp_path / "lab.toml").write_text(block, encoding="utf-8")
    taxonomy = taxonomies.read(tmp_path / "lab.toml")
    assert len(taxonomy) == len(tomllib.loads(block)["classes"])


@pytest.fixture
def samples(tmp_path, monkeypatch):
    """Working folder of the documents' Python blocks: images, their truth, and a study with clicks."""
    images, truth = ROOT / "img" / "03_nuclei_cc0", ROOT / "gt" / "03_nuclei_cc0"
    shutil.copytree(images, tmp_path / "images", ignore=shutil.ignore_patterns("*.md"))
    shutil.copytree(truth / "labels", tmp_path / "truth")
    (tmp_path / "study").mkdir()
    for name in ("tissue_1", "tissue_2"):
        shutil.copy(images / f"{name}.png", tmp_path / "study")
        shutil.copy(truth / "clicks" / f"{name}.geojson", tmp_path / "study")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tiny_training(monkeypatch):
    """`hsn.fit` trains small nets for one epoch, whatever a document asks for; points without self-training."""
    import hsn
    from hsn.supervision.points import setup

    fit, config = hsn.fit, setup.PRESETS["cpu"]()
    train = {"steps": 1, "crop_px": 64}
    config = config.replace(tiling={"tile_px": 128, "halo_px": 16}, train=train, rounds=0)
    monkeypatch.setitem(setup.PRESETS, "cpu", lambda: config)
    short = {"epochs": 1, "width": 2, "batch_size": 2}
    monkeypatch.setattr(hsn, "fit", lambda *args, **options: fit(*args, **options | short))


PYTHON = sorted({document for document, _ in blocks("python")})


SLOW = {"README.md"}  # trains a net for a minute


@pytest.mark.parametrize(
    "document", [pytest.param(d, marks=pytest.mark.slow) if d in SLOW else d for d in PYTHON]
)
def test_python_in_a_document_runs(document, samples, tiny_training):
    """The blocks of one document run in order, in one namespace, beside sample data."""
    namespace = {}
    for name, block in blocks("python"):
        if name == document:
            assert len(block.strip().splitlines()) <= MAX_BLOCK_LINES
            exec(compile(block, document, "exec"), namespace)  # our own documents


def commands():
    """Every `hsn ...` line of the documents' shell blocks."""
    for document, block in blocks("sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["hsn"]:
                yield document, words[1:]


@pytest.mark.parametrize(("document", "words"), list(commands()), ids=lambda value: " ".join(value)[:60])
def test_command_lines_in_the_documents_have_existing_options(document, words):
    """Each command exists and knows every option that a document gives it."""
    from typer.testing import CliRunner

    from hsn.cli import app

    command = words[: 2 if words[0] == "models" else 1]
    help_ = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "300"})
    assert help_.exit_code == 0
    for word in words[len(command) :]:
        if word.startswith("-"):
            assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", help_.output), f"no option {word}"


def test_the_documents_show_a_taxonomy_and_commands():
    assert list(blocks("toml"))
    assert list(commands())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_between_documents_exist(path):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), f"{path.name} links {target}"
