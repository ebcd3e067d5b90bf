"""Config of selected patches: it survives its file, and contradictions are errors."""

import json

import pytest

from hsn.config import Augmentation
from hsn.extras.maskrcnn import LEAN, PAPER
from hsn.supervision.selected import Config, Preset, preset
from hsn.taxonomies import GLAS, get


@pytest.mark.parametrize(
    "config",
    [
        preset("cpu"),
        preset("lou2022"),
        preset("cpu").replace(synthesis=Preset(steps=3)),
        preset("lou2022").replace(detector=LEAN),
    ],
)
def test_a_config_survives_its_file(config):
    assert Config.from_dict(json.loads(json.dumps(config.to_dict(), allow_nan=False))) == config


def test_the_preset_has_the_published_parameters():
    config = preset("lou2022")
    train = config.train
    assert config.detector == PAPER
    assert (config.normalization.mean, config.normalization.std) == (PAPER.mean, PAPER.std)
    assert (config.synthetic, config.synthesis, config.rounds, config.start) == (50, "paper", 1, "initial")
    assert (config.min_score, config.min_pseudo_area_um2, config.max_pseudo_area_um2) == (0.5, 0.0, None)
    assert (train.epochs, train.steps, train.batch_size, train.crop_px) == (250, 20, 6, 256)
    assert train.augmentation == Augmentation()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"classes": ("nucleus",)}, "config-classes"),
        ({"detector": PAPER}, "config-classes"),
        ({"postprocess.separation": "distance_watershed"}, "separation-unknown"),
        ({"synthesis": "huge"}, "synthesis-unknown"),
        ({"start": "again"}, "start-unknown"),
        ({"train.monitor": "loss"}, "monitor-unknown"),
        ({"synthetic": -1}, "config-range"),
        ({"rounds": -1}, "config-range"),
        ({"real_share": 0.0}, "config-range"),
        ({"real_share": 1.1}, "config-range"),
        ({"min_score": 2.0}, "config-range"),
        ({"max_overlap": -0.1}, "config-range"),
        ({"train.precision": "mixed_bfloat16"}, "config-unused"),
    ],
)
def test_a_config_that_contradicts_itself_is_an_error(changes, code, raises_code):
    with raises_code(code):
        preset("cpu").replace(**changes)


def test_taxonomies_have_two_classes(raises_code):
    assert preset("cpu").replace(taxonomies=(GLAS,)).taxonomy().names == GLAS.names
    with raises_code("taxonomy-classes"):
        preset("cpu").replace(taxonomies=(get("adp-func"),))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"detector": {"eyes": 2}}, "config-unknown-field"),
        ({"detector": 3}, "config-type"),
        ({"synthesis": {"speed": 1}}, "config-unknown-field"),
        ({"synthesis": [1]}, "config-type"),
        ({"words": 1}, "config-unknown-field"),
    ],
)
def test_an_odd_file_is_an_error(change, code, raises_code):
    with raises_code(code):
        Config.from_dict(preset("cpu").to_dict() | change)
