"""Report what a training gave: numbers of its stages, learning curves, doubts about its validation."""

import json

from ..types import History

CURVES = "learning.png"
MIN_CHECKED_EPOCHS = 5  # in shorter trial runs the first epoch may be the best


def count_results(kind, out):
    """Return the numbers that a method adds to those of its set-up: points, or rounds.

    Examples
    --------
    >>> count_results("masks", None)
    {}
    """
    counts = {"points": _count_points, "selected": _count_rounds}.get(kind)
    return counts(out) if counts else {}


def _count_points(out):
    """Return the numbers of clicked and of detected points, and the scores of each round."""
    counts = {"clicked": 0, "found": 0}
    for path in sorted((out / "points").glob("*.geojson")):
        for feature in json.loads(path.read_text(encoding="utf-8"))["features"]:
            counts[feature["properties"]["classification"]["name"]] += len(feature["geometry"]["coordinates"])
    rounds = sorted((out / "detection").glob("round-*/scores.json"))
    return counts | {"detection": [json.loads(path.read_text(encoding="utf-8")) for path in rounds]}


def _count_rounds(out):
    """Return the training data of each round, and a summary of its pseudo-labels."""
    rounds = json.loads((out / "rounds.json").read_text(encoding="utf-8"))
    files = sorted((out / "pseudo").glob("*/summary.json"))
    summaries = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    return rounds | {"pseudo": [{k: v for k, v in row.items() if k != "images"} for row in summaries]}


def check_history(history):
    """Return a note if the first of several epochs was kept.

    Examples
    --------
    >>> check_history(History(tuple({"epoch": k} for k in range(1, 6)), 0))
    ['epoch 1 of 5 was kept: validation scores did not improve; check annotations and validation images']
    >>> check_history(History(tuple({"epoch": k} for k in range(1, 6)), 3))
    []
    """
    if history.best is None or history.epochs[history.best]["epoch"] > 1:
        return []
    kept = history.epochs[history.best]
    parts = [name for name in ("stage", "round") if name in kept]
    count = sum(all(row[name] == kept[name] for name in parts) for row in history.epochs)
    if count < MIN_CHECKED_EPOCHS:
        return []
    return [
        f"epoch 1 of {count} was kept: validation scores did not improve; check annotations and validation images"
    ]


def draw_all_curves(out, history, stages):
    """Draw the learning curves of a run and of its stages; return the files."""
    files = [out / CURVES]
    _draw_curves(history, out.name, files[0])
    for path in sorted(out.glob(f"{stages}/history.json")) if stages else []:
        rows = json.loads(path.read_text(encoding="utf-8"))
        files.append(path.with_name(CURVES))
        stage = path.parent.relative_to(out).as_posix()
        _draw_curves(History(tuple(rows["epochs"]), rows.get("best")), f"{out.name}, {stage}", files[-1])
    return files


def _draw_curves(history, title, path):
    """Draw learning curves; epochs of several rounds are numbered consecutively."""
    from ..reports import figures

    rows = (
        {name: value for name, value in row.items() if name not in ("round", "stage")} | {"epoch": number}
        for number, row in enumerate(history.epochs, start=1)
    )
    figures.write(figures.learning_curves(History(tuple(rows), history.best), title=title), path)
