"""Write docs/results/*.md from the committed numbers in benchmarks/results/*.json.

    python benchmarks/results_pages.py          # write the pages
    python benchmarks/results_pages.py --check  # exit with 1 if a page is out of date

A results file has `title`, `summary`, `measured` (version and machine), `tables` (`title`, `command`, `columns`,
`rows`, optional `note`) and `findings`. A cell is a text, a number, or ``{"value", "low", "high", "unit"}``.
Files without `tables` are the output of a single command; they are not pages.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS, PAGES = ROOT / "benchmarks" / "results", ROOT / "docs" / "results"


def format_number(value):
    """Return a number as text without a leading zero: ".559"."""
    if isinstance(value, int) and value >= 1_000_000:  # "g" would write 1e+06
        return f"{value:,}"
    text = f"{value:.3f}" if isinstance(value, float) and abs(value) < 1 else f"{value:g}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def format_cell(cell):
    """Return the text of one cell."""
    if isinstance(cell, dict):
        unit = f" {cell['unit']}" if "unit" in cell else ""
        low, high = format_number(cell["low"]), format_number(cell["high"])
        return f"{format_number(cell['value'])}{unit} [{low}, {high}]"
    return cell if isinstance(cell, str) else format_number(cell)


def format_table(table):
    """Return the lines of one table with its heading and command."""
    yield f"## {table['title']}\n"
    yield f"```\n{table['command'].replace('; ', chr(10))}\n```\n"
    yield f"| {' | '.join(table['columns'])} |"
    yield "|---" * len(table["columns"]) + "|"
    for row in table["rows"]:
        yield f"| {' | '.join(map(format_cell, row))} |"
    if "note" in table:
        yield f"\n{table['note']}"
    yield ""


def format_page(name, data):
    """Return the text of one page."""
    lines = [f"# {data['title']}\n", f"{data['summary']}\n"]
    for table in data["tables"]:
        lines += format_table(table)
    if data["findings"]:
        lines += ["## Findings\n", *(f"- {finding}" for finding in data["findings"]), ""]
    lines.append(f"*Measured with: {data['measured']}. Written by `benchmarks/results_pages.py` from"
                 f" `benchmarks/results/{name}.json`.*\n")  # fmt: skip
    return "\n".join(lines)


def make_pages():
    """Return the text of every page by its path."""
    pages = {}
    for path in sorted(RESULTS.glob("*.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        if "tables" in data:
            pages[PAGES / f"{path.stem}.md"] = format_page(path.stem, data)
    return pages


def main():
    """Write or check all pages."""
    pages = make_pages()
    stale = [p for p, text in pages.items() if not p.exists() or p.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path} is out of date; run python benchmarks/results_pages.py")
        return int(bool(stale))
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(pages[path], encoding="utf-8")
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
