"""Fitting from chosen patches: stages follow one another, explain themselves, and a killed run goes on."""

import json
from dataclasses import replace

import pytest

from hsn import segment
from hsn.datasets import made
from hsn.nets import maskrcnn, unet
from hsn.supervision import selected
from hsn.supervision.selected import Preset
from hsn.supervision.selected.recipe import quick

PATCHES = (0, 5, 4)  # made tissue of 64 px with whole nuclei
MPP = 0.31  # um per pixel: nuclei of 8 to 30 px
TINY = Preset(smallest_px=48, filters=(4,), critic_norm=False, steps=2, critic_steps=1, layouts=2, crop_px=32)
SMALL = maskrcnn.Numbers(
    blocks=(1, 1, 1, 1), width=4, pyramid=8, rpn=8, box=16, mask=8, mask_layers=1, head_norm=False, levels=(2,),
    sides_px=((8, 16),), head_levels=(2,), rois=16, tile_px=64, margin_px=8, detections=50, proposals=50,
    candidates=200,
)  # fmt: skip


def recipe(learning=None, **changes):
    numbers = {"epochs": 1, "steps": 2, "batch": 2, "crop_px": 32, "validation": (1,), "rate": 5e-3,
               "lowest_rate": 1e-3, "bend_px": 1.0, "stain_gain": 0.1, **(learning or {})}  # fmt: skip
    wanted = {"mpp": MPP, "image_mpp": MPP, "margin_px": 8, "least_um2": 2.0, "synthetic": 2, "preset": TINY,
              "least_score": 0.0, "least_believed_um2": 0.0, **changes}  # fmt: skip
    return quick().changed(learning=replace(quick().learning, **numbers), **wanted)


def net(seed=0):
    return unet.build(3, depth=2, width=6, batch_norm=True, seed=seed)


@pytest.fixture(scope="module")
def tissue():
    """Two annotated patches, one that validates, and two images that nobody annotated."""
    drawn = [made.tissue(seed, (64, 64), mpp=MPP) for seed in PATCHES]
    unseen = [made.tissue(seed, (48, 80), mpp=MPP).image for seed in (7, 8)]
    return [d.image for d in drawn] + unseen, [d.instances for d in drawn] + [None, None]


@pytest.fixture(scope="module")
def whole(tissue, tmp_path_factory):
    out = tmp_path_factory.mktemp("selected") / "whole"
    return out, selected.fit(net(), *tissue, recipe(), out=out)


def test_the_folder_explains_itself(whole, tissue):
    out, history = whole
    assert [row["round"] for row in history.epochs] == [0, 1]
    rounds = json.loads((out / "rounds.json").read_text())
    assert rounds["kept"] == history.epochs[history.best]["round"]
    assert [row["learned_from"] for row in rounds["rounds"]] == [
        {"real": 2, "synthetic": 4, "pseudo": 0}, {"real": 2, "synthetic": 4, "pseudo": 2},
    ]  # fmt: skip
    assert sorted(path.name for path in (out / "synthetic").iterdir()) == ["0000", "0002"]
    card = json.loads((out / "card.json").read_text())
    assert card["supervision"] == "selected"
    assert card["notes"].startswith("learned from 2 annotated patches, 4 synthetic pairs and ")
    assert f"of round {rounds['kept']} of 0 to 1 was kept" in card["notes"]
    assert "pseudo/K/" in (out / "README.txt").read_text()
    summary = json.loads((out / "pseudo" / "1" / "summary.json").read_text())
    assert sorted(summary["images"]) == ["0003", "0004"]
    result = segment(tissue[0][3], out)
    assert result.instances.shape == (48, 80)
