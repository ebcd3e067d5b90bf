"""Examples in docstrings and blocks of the documents run."""

import doctest
import importlib
import importlib.util
import re
import shlex
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
    """Working folder of the documents' Python blocks: the sample data of the gallery, with few patches."""
    load_gallery().make_samples(tmp_path, patches=12)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load_gallery():
    """Return `benchmarks/gallery.py` as a module."""
    spec = importlib.util.spec_from_file_location("gallery", ROOT / "benchmarks" / "gallery.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


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
    narrow = {"width": 0.05}  # a factor
    monkeypatch.setattr(
        hsn,
        "fit",
        lambda *args, **options: fit(*args, **options | short | (narrow if "tags" in options else {})),
    )


PYTHON = sorted({document for document, _ in blocks("python")})


# They train a net for a minute.
SLOW = {"README.md", *(f"docs/gallery/{name}.md" for name in ("clicks", "few-masks", "masks", "tags"))}


# The drawn tissue of the documents does not resemble the training images of the shipped nets.
@pytest.mark.filterwarnings(
    "ignore:(stain|scale) unlike|looks out of focus|nearly blank|the objects have a median"
)
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


def test_each_row_of_the_readme_has_a_page_and_pictures_are_below_200_kb():
    """README's table links each page of the gallery; each is in the site, runs code and shows its picture."""
    script, site = load_gallery(), (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    table = (ROOT / "README.md").read_text(encoding="utf-8").split("| you have |")[1].split("\n\n")[0]
    linked = re.findall(r"docs/gallery/([\w-]+)\.md", table)
    assert len(linked) == table.count("\n") - 1
    assert set(linked) == {path.stem for path in script.PAGES.glob("*.md")} == set(script.DRAWERS)
    for name in linked:
        page = (script.PAGES / f"{name}.md").read_text(encoding="utf-8")
        assert "```python\nimport hsn\n" in page
        assert f"gallery/{name}.md" in site
    for path in script.PAGES.glob("*.png"):
        assert f"]({path.name})" in path.with_suffix(".md").read_text(encoding="utf-8")
        assert 2_000 < path.stat().st_size < script.MAX_BYTES


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

    command = words[: 2 if words[0] in ("models", "project") else 1]
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
