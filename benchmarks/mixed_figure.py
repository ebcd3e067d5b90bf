"""Draw the score against the minutes of annotation: clicks, outlines, and both.

    python benchmarks/mixed_figure.py      # reads benchmarks/results/mixed.json, writes docs/mixed.png

Means over two seeds on Kumar's test images, with 95 % bootstrap intervals over images.
"""

import json
from pathlib import Path

import matplotlib.pyplot as plt

ROOT = Path(__file__).parents[1]
RESULTS, PICTURE = ROOT / "benchmarks" / "results" / "mixed.json", ROOT / "docs" / "mixed.png"
# Series: rows of the first table by the first letters of their name, color (Okabe and Ito), marker.
SERIES = {
    "clicks on 10 % of the nuclei": (("A:",), "#E69F00", "o"),
    "outlines in small regions": (("B:", "B2:"), "#0072B2", "s"),
    "both (mixed)": (("C:",), "#009E73", "D"),
}


def main():
    """Draw and save the figure."""
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))["tables"][0]["rows"]
    figure, axis = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    for label, (names, color, marker) in SERIES.items():
        chosen = [row for row in rows if row[0].startswith(names)]
        minutes, scores = [row[1] for row in chosen], [row[2] for row in chosen]
        values = [score["value"] for score in scores]
        lengths = [[v - s["low"] for v, s in zip(values, scores, strict=True)],
                   [s["high"] - v for v, s in zip(values, scores, strict=True)]]  # fmt: skip
        axis.errorbar(minutes, values, lengths, color=color, marker=marker, ms=8, capsize=4, label=label)
    axis.set_xlim(left=0)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("annotation of the training images (minutes)")
    axis.set_ylabel("AJI on 14 test images (0 to 1)")
    axis.grid(alpha=0.3)
    axis.legend(loc="lower right", frameon=False)
    figure.savefig(PICTURE, dpi=110)
    print(f"wrote {PICTURE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
