"""The pages of docs/results show the committed numbers."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[1]


def load_script():
    spec = importlib.util.spec_from_file_location("results_pages", ROOT / "benchmarks" / "results_pages.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_each_page_equals_its_committed_results():
    pages = load_script().make_pages()
    assert pages
    for path, text in pages.items():
        assert path.read_text(encoding="utf-8") == text, (
            f"run python benchmarks/results_pages.py for {path.name}"
        )


def test_cells_show_value_and_interval():
    script = load_script()
    assert script.format_cell({"value": 0.559, "low": 0.516, "high": 0.598}) == ".559 [.516, .598]"
    assert script.format_cell(-0.009) == "-.009"
    assert script.format_cell(14) == "14"
