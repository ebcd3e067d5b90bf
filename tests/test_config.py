"""Configs: types and ranges are checked for values from Python and files; older files are migrated."""

import json
from pathlib import Path

import numpy as np
import pytest

from hsn.config import FORMAT, Augmentation, Normalization, TrainConfig, migrate
from hsn.records import parse
from hsn.supervision import METHODS, masks, mixed, points, selected, tags

METHOD_OF = {"masks": masks, "points": points, "selected": selected, "tags": tags, "mixed": mixed}
FIXTURES = Path(__file__).parent / "supervision" / "fixtures" / "format0"
SHIPPED = Path(__file__).parent / "models" / "fixtures" / "format0"
PRESETS = [(name, preset) for name, method in METHOD_OF.items() for preset in method.PRESETS]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"train.epochs": 2.0}, "config-type"),
        ({"train.epochs": True}, "config-type"),
        ({"train.epochs": -1}, "config-range"),
        ({"train.batch_size": 0}, "config-range"),
        ({"train.learning_rate": "fast"}, "config-type"),
        ({"train.learning_rate": float("nan")}, "config-type"),
        ({"train.learning_rate": float("inf")}, "config-type"),
        ({"train.learning_rate": 0}, "config-range"),
        ({"train.precision": "float8"}, "precision-unknown"),
        ({"train.validation": "some"}, "config-type"),
        ({"train.augmentation.zoom": (1, 0)}, "config-range"),
        ({"train.augmentation.zoom": 1.0}, "config-type"),
        ({"train.augmentation": {"speed": 1}}, "config-unknown-field"),
        ({"train.augmentation.speed": 1}, "config-unknown-field"),
        ({"mpp": 0}, "config-range"),
        ({"image_mpp": -1.0}, "config-range"),
        ({"mpp.um": 1}, "config-unknown-field"),
        ({"tiling.tile_px": -1}, "config-range"),
        ({"tiling.tta": 4}, "tta-unknown"),
        ({"normalization.std": (1, 1, 0)}, "config-range"),
        ({"normalization.mean": (1,)}, "config-type"),
        ({"postprocess.foreground_threshold": 1.5}, "config-range"),
        ({"postprocess": 3}, "config-type"),
        ({"words": 1}, "config-unknown-field"),
    ],
)
def test_values_out_of_range_are_errors(changes, code, raises_code):
    with raises_code(code):
        masks.preset("cpu").replace(**changes)


def test_values_are_converted_to_the_type_of_their_field():
    config = masks.preset("cpu").replace(
        mpp=1, **{"train.validation": [np.int64(1), 2], "train.augmentation.zoom": [np.float32(0.5), 1]}
    )
    assert repr(config.mpp) == "1.0"
    assert config.train.validation == (1, 2)
    assert config.train.augmentation.zoom == (0.5, 1.0)
    assert json.loads(json.dumps(config.to_dict()))["train"]["validation"] == [1, 2]


def test_a_dict_changes_only_the_fields_that_it_contains():
    base = masks.preset("cpu")
    assert base.replace(train={"epochs": 2}) == base.replace(**{"train.epochs": 2})
    assert masks.Config(train={"epochs": 2}).train.augmentation == masks.Config().train.augmentation
    assert base.replace(train=TrainConfig(crop_px=32, monitor="pq")).train.augmentation == Augmentation()


@pytest.mark.parametrize(("method", "preset"), PRESETS)
def test_presets_survive_their_file(method, preset):
    config = METHOD_OF[method].preset(preset)
    data = json.loads(json.dumps(config.to_dict(), allow_nan=False))
    assert (data["format"], data["method"]) == (FORMAT, method)
    assert METHOD_OF[method].Config.from_dict(data) == config


@pytest.mark.parametrize("method", METHODS)
def test_a_preset_that_does_not_exist_is_an_error(method, raises_code):
    with raises_code("preset-unknown"):
        METHOD_OF[method].preset("huge")


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.json")), ids=lambda path: path.stem)
def test_recipes_of_format_0_equal_the_presets(path):
    method, name = path.stem.split(".")
    config = METHOD_OF[method].Config.from_dict(json.loads(path.read_text()))
    now = METHOD_OF[method].Config() if name == "default" else METHOD_OF[method].preset(name)
    now = now.replace(taxonomies=config.taxonomies) if method != "tags" else now
    if method == "tags":
        same = {k: getattr(config, k) for k in ("classes", "thresholds", "taxonomies")}
        now = now.replace(windows="cover", **same)  # overlapped since; the only changed value
    if path.stem == "selected.cpu":
        now = now.replace(synthetic=50)  # 0 since; the only changed number
    assert config == now


@pytest.mark.parametrize("folder", sorted(SHIPPED.iterdir()), ids=lambda path: path.name)
def test_shipped_recipes_of_format_0_keep_every_number(folder):
    method = METHOD_OF[json.loads((folder / "card.json").read_text())["supervision"]]
    old = json.loads((folder / "recipe.json").read_text())
    config = method.Config.from_dict(old)
    if folder.name in ("glas-masks", "glas-tags-cam"):  # the others were trained again
        shipped = Path(__file__).parents[1] / "pretrained" / folder.name / "config.json"
        assert config == method.Config.from_dict(json.loads(shipped.read_text()))

    def numbers(data):
        if isinstance(data, dict):
            return [n for k, v in data.items() if k != "taxonomies" for n in numbers(v)]
        if isinstance(data, list | tuple):
            return [n for v in data for n in numbers(v)]
        return [data] if isinstance(data, float) else []

    assert set(numbers(old)) <= set(numbers(config.to_dict()))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (None, "config-type"),
        ([], "config-type"),
        ({}, "config-type"),
        ({"taxonomies": ["nuclei"], "format": FORMAT + 1}, "config-format"),
        ({"taxonomies": ["nuclei"], "format": True}, "config-format"),
        ({"taxonomies": ["nuclei"], "format": 1, "method": "points"}, "config-method"),
        ({"taxonomies": ["nuclei"], "learning": 3}, "config-type"),
        ({"taxonomies": ["nuclei"], "learning": {"speed": 2}}, "config-unknown-field"),
        ({"taxonomies": ["nuclei"], "sigma": 1}, "config-unknown-field"),
        ({"taxonomies": 3}, "config-type"),
        ({"taxonomies": ["nuclei"], "format": 1, "inside": 0.5}, "config-unknown-field"),
    ],
)
def test_invalid_files_are_errors(data, code, raises_code):
    with raises_code(code):
        masks.Config.from_dict(data)


def test_a_recipe_of_format_0_may_lack_newer_fields():
    assert masks.Config.from_dict({"taxonomies": ["nuclei"], "learning": {"epochs": 3}}) == masks.Config(
        train={"epochs": 3}
    )


def test_fields_of_one_method_are_migrated_by_its_table():
    table = {"views": "tta", "mean": ("normalization.mean", lambda mean: (mean,) * 3)}
    assert migrate({"views": 8, "mean": 2.0}, table) == {
        "tta": 8,
        "normalization": {"mean": (2.0, 2.0, 2.0)},
    }


def test_a_missing_field_is_an_error(raises_code):
    with raises_code("config-missing-field"):
        parse(Normalization, {"mean": (1, 2, 3)})
