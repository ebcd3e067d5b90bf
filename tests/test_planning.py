"""A plan from a folder to forecasts, suggested patches, files; wrong input."""

import numpy as np
import pytest

import hsn
from hsn.annotations.label_files import write_labels
from hsn.data import synthetic
from hsn.images.read import write
from hsn.workflows.planning import suggest_patches

MPP = 0.5


@pytest.fixture
def study(tmp_path):
    """Eight drawn images: four with masks, four with clicks."""
    folder = tmp_path / "study"
    for k in range(8):
        tissue = synthetic.draw_tissue(k + 20, (96, 96), mpp=MPP)
        write(folder / f"{k}.png", tissue.image)
        if k < 4:
            write_labels(folder / f"{k}_mask.png", np.maximum(tissue.instances, np.eye(96, dtype=int)))
        else:
            (folder / f"{k}.csv").write_text("row,col\n" + "".join(f"{9 * r},{50}\n" for r in range(1, 9)))
    return folder


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*")
def test_a_plan_forecasts_each_kind_and_suggests_patches(study, tmp_path):
    options = {
        "mpp": MPP,
        "out": tmp_path / "plan",
        "epochs": 1,
        "width": 4,
        "side_px": 48,
        "n": 3,
        "validation": 0.3,
    }
    result = hsn.plan(study, **options, shares=(0.25, 0.5), more_minutes=(10, 20))
    assert set(result.forecasts) == {"masks", "points"}
    assert [row["kind"] for row in result.probes] == ["all", "masks", "masks", "points", "points"]
    assert [each.minutes for each in result.forecasts["points"]] == sorted(
        each.minutes for each in result.forecasts["points"]
    )
    assert all(0 <= each.low <= each.score <= each.high <= 1 for each in result.forecasts["points"])
    assert len(result.places) == 3
    assert {path.name for path in result.files} == {"plan.csv", "next.csv", "plan.png", "plan.json"}
    again = hsn.plan(study, **options, shares=(0.25, 0.5), more_minutes=(10, 20))
    assert again.probes == result.probes


@pytest.mark.slow
def test_patches_are_where_the_net_is_unsure(rng):
    image = rng.integers(60, 200, (64, 128, 3), np.uint8)
    rows = suggest_patches([image, image[:20]], "glas-tags", 2, side_px=64, mpp=0.5, seed=0)
    assert len(rows) == 2
    assert {(row["row"], row["column"]) for row in rows} == {(0, 0), (0, 64)}
    probabilities = hsn.segment(image, "glas-tags", mpp=0.5).probabilities
    doubt = 1 - probabilities.max(axis=2)
    for row in rows:
        window = doubt[row["row"] : row["row"] + 64, row["column"] : row["column"] + 64]
        assert row["uncertainty"] == pytest.approx(window.mean(), abs=1e-6)
    assert suggest_patches([image[:20]], "glas-tags", 2, side_px=64, mpp=0.5, seed=0) == []


def test_wrong_shares_are_an_error(study, raises_code):
    for shares in ((0.5,), (0.2, 1.5), (-1, 0.5)):
        with raises_code("plan-shares"):
            hsn.plan(study, mpp=MPP, shares=shares)
