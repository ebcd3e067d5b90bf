"""Config of tags: it survives its file, and contradictions are errors."""

import json
from dataclasses import replace

import pytest

from hsn.supervision.tags import Config, CRFConfig
from hsn.taxonomies import ADP_FUNC, ADP_MORPH, ADP_OUTPUTS, GLAS


def adp(**changes):
    return Config(classes=ADP_OUTPUTS, thresholds=(0.5,) * 51, taxonomies=(ADP_MORPH, ADP_FUNC), **changes)


def test_a_config_survives_its_file():
    config = adp(
        crf={"adp-morph": CRFConfig((1, 20), (10, 40, 50), 5, 1.2)}, train={"validation": (3, 4), "seed": 7}
    )
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_config_of_shares_survives_its_file():
    config = adp(shares={"min_share": 0.1, "second": None}, train={"optimizer": "adamw"})
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.replace(**{"shares.slope": 4.0}).shares.min_share == 0.1


def test_built_in_taxonomies_may_be_named():
    plain = adp().to_dict() | {"taxonomies": ["adp-morph", "adp-func"]}
    assert Config.from_dict(plain) == adp()


def test_a_taxonomy_is_found_by_name_and_the_first_is_the_default(raises_code):
    assert adp().taxonomy() is ADP_MORPH
    assert adp().taxonomy("adp-func") is ADP_FUNC
    with raises_code("taxonomy-unknown"):
        adp().taxonomy("glas")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"thresholds": (0.5,)}, "length-mismatch"),
        ({"crf": {"adp-func": {"mpp": -1}}}, "config-range"),
        ({"window_px": 0}, "config-range"),
        ({"tta": 3}, "tta-unknown"),
        ({"train.optimizer": "adamw"}, "config-unused"),
        ({"shares": {}, "train.steps": 3}, "config-unused"),
        ({"shares": {"min_share": 2.0}}, "config-range"),
        ({"shares": {"second": {"crop_px": 0}}}, "config-range"),
        ({"windows": "some"}, "windows-unknown"),
        ({"train.steps": 3}, "config-unused"),
        ({"taxonomies": (replace(GLAS, other=None),)}, "taxonomy-classes"),
    ],
)
def test_a_config_that_contradicts_itself_is_an_error(changes, code, raises_code):
    with raises_code(code):
        adp().replace(**changes)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda d: d | {"code": "import os"}, "config-unknown-field"),
        (lambda d: {k: v for k, v in d.items() if k != "classes"}, "length-mismatch"),
        (lambda d: d | {"crf": {"adp-morph": {"speed": 1}}}, "config-unknown-field"),
        (lambda d: d | {"crf": 5}, "config-type"),
        (lambda d: d | {"train": {"epoch": 5}}, "config-unknown-field"),
        (lambda d: d | {"taxonomies": 3}, "config-type"),
    ],
)
def test_an_odd_file_is_an_error(spoil, code, raises_code):
    with raises_code(code):
        Config.from_dict(spoil(adp().to_dict()))
