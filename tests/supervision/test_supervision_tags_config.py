"""The config: what goes into config.json comes out of it, and nothing else is taken for one."""

import json
from dataclasses import replace

import pytest

from hsn import InputError
from hsn.supervision.tags import Config, Refinement, TrainConfig
from hsn.taxonomies import ADP_FUNC, ADP_MORPH, ADP_OUTPUTS, GLAS


def adp(**changes):
    return Config(classes=ADP_OUTPUTS, thresholds=(0.5,) * 51, taxonomies=(ADP_MORPH, ADP_FUNC), **changes)


def test_it_survives_its_file():
    config = adp(
        refinement={"adp-morph": Refinement((1, 20), (10, 40, 50), 5, 1.2)},
        learning=TrainConfig(validation=(3, 4), seed=7),
    )
    assert Config.from_dict(json.loads(json.dumps(config.as_dict()))) == config


def test_built_in_taxonomies_may_be_named():
    plain = adp().as_dict() | {"taxonomies": ["adp-morph", "adp-func"]}
    assert Config.from_dict(plain) == adp()


def test_a_taxonomy_is_found_by_name_and_the_first_is_the_default():
    assert adp().taxonomy() is ADP_MORPH
    assert adp().taxonomy("adp-func") is ADP_FUNC
    with pytest.raises(InputError, match="expected one of adp-morph, adp-func, received 'glas'"):
        adp().taxonomy("glas")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"thresholds": (0.5,)}, "a threshold per class; expected 51 thresholds, received 1"),
        ({"mpp": 0}, "`mpp` must be positive"),
        ({"refinement": {"adp-func": Refinement(mpp=-1)}}, "`refinement of adp-func mpp` must be positive"),
        ({"window_px": 0}, "`window_px` must be positive"),
        ({"std": float("nan")}, "`std` must be positive"),
        (
            {"views": 3},
            "this number of views does not exist; expected 1, or 8 with windows 'cover', received 3",
        ),
        ({"views": 8, "windows": "overlapped"}, "this number of views does not exist"),
        ({"windows": "some"}, "'cover' or 'overlapped', received 'some'"),
        ({"taxonomies": (replace(GLAS, other=None),)}, "no output for some classes of taxonomy 'glas'"),
    ],
)
def test_numbers_that_cannot_be_are_refused(changes, words):
    with pytest.raises(InputError, match=words):
        adp().changed(**changes)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: [],
        lambda d: d | {"code": "import os"},
        lambda d: {k: v for k, v in d.items() if k != "classes"},
        lambda d: d | {"refinement": {"adp-morph": {}}},
        lambda d: d | {"refinement": 5},
        lambda d: d | {"learning": {"epoch": 5}},
        lambda d: d | {"taxonomies": 3},
        lambda d: d | {"mpp": "one"},
    ],
)
def test_a_file_that_is_no_recipe_is_refused(spoil):
    with pytest.raises(InputError, match="no config of learning from tags"):
        Config.from_dict(spoil(adp().as_dict()))
