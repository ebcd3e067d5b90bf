"""The command line and the Python function write the same config and the same weights."""

import json
from pathlib import Path

import numpy as np
import pytest

import hsn
from hsn.annotations import points as point_files
from hsn.annotations.label_files import write_labels
from hsn.annotations.sampling import points_from_instances
from hsn.images.read import read, write
from hsn.supervision.points import setup as points_setup
from hsn.supervision.selected import setup as selected_setup
from hsn.workflows.fitting import OPTIONS

MPP = 0.5
TINY = {"width": 2, "epochs": 2, "batch_size": 2, "validation": 0.25, "seed": 3}


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    """Presets with few steps."""
    points, selected = points_setup.PRESETS["cpu"](), selected_setup.PRESETS["cpu"]()
    points = points.replace(tiling={"tile_px": 64, "halo_px": 16}, train={"steps": 1}, rounds=0)
    selected = selected.replace(**{"train.steps": 1})
    monkeypatch.setitem(points_setup.PRESETS, "cpu", lambda: points)
    monkeypatch.setitem(selected_setup.PRESETS, "cpu", lambda: selected)


@pytest.fixture
def data(tissue):
    """Folders of four annotated images, by kind, and the annotations as arrays."""
    drawn = tissue("masks", 4, (48, 64), mpp=MPP)
    tissue("points", 4, (48, 64), mpp=MPP)
    tissue("chosen/patches", 4, (48, 64), mpp=MPP)
    arrays = {"images": [each.image for each in drawn], "points": [], "masks": []}
    for k, each in enumerate(drawn):
        clicks = points_from_instances(each.instances, place="inside")[:6]
        point_files.write(f"points/{k}.geojson", clicks)
        write_labels(f"masks/{k}_mask.png", each.instances)
        write_labels(f"chosen/labels/{k}.png", each.instances)
        write(f"tags/{'ab'[k % 2]}/{k}.png", each.image[:, :48])
        arrays["points"].append(point_files.read(f"points/{k}.geojson"))
        arrays["masks"].append(each.instances)
    Path("chosen/choice.csv").write_text("number,image\n")
    return arrays


def options(kind):
    own = {
        "points": {"complete": True},
        "tags": {"net": "m4", "width": 0.05},
        "masks": {"net": "unet"},
        "selected": {"net": "unet", "synthetic": 0, "rounds": 0},
    }
    return TINY | own.get(kind, {})


def flags(values):
    names = {name: f"--{name.replace('_', '-')}" for name in values}
    return [
        part
        for name, value in values.items()
        for part in ([names[name]] if value is True else [names[name], value])
    ]


def contents(folder):
    config = json.loads((folder / "config.json").read_text())
    return config, [np.asarray(w) for w in hsn.load(folder).net.get_weights()]


def assert_same(first, second):
    assert contents(first)[0] == contents(second)[0]
    for one, other in zip(contents(first)[1], contents(second)[1], strict=True):
        np.testing.assert_array_equal(one, other)


# One of the drawn images is too small for a whole nucleus; Python warns, the quiet command does not.
NO_OBJECTS = pytest.mark.filterwarnings("ignore:masks without an object")
SLOW = pytest.mark.slow  # minutes of tracing; the other two kinds run in the ordinary suite


@pytest.mark.parametrize(
    "kind",
    ["tags", *(pytest.param(kind, marks=SLOW) for kind in ("masks", "points", "selected"))],
)
@NO_OBJECTS
def test_the_command_and_the_function_write_the_same_config_and_weights(run, data, kind):
    folder = "chosen" if kind == "selected" else kind
    values = options(kind)
    result = run("fit", folder, "--mpp", MPP, "--out", "shell/mine", "--quiet", *flags(values))
    assert result.exit_code == 0
    assert result.stderr == ""
    hsn.fit(folder, mpp=MPP, out="python/mine", **values)
    assert_same(Path("shell/mine"), Path("python/mine"))


@pytest.mark.slow
@NO_OBJECTS
def test_the_default_net_of_tags_is_the_same_by_command_and_function(run, data):
    values = TINY | {"width": 0.1, "min_share": 0.1}
    assert run("fit", "tags", "--mpp", MPP, "--out", "shell/mine", "--quiet", *flags(values)).exit_code == 0
    model = hsn.fit("tags", mpp=MPP, out="python/mine", **values)
    assert model.net.get_layer("probabilities").output.shape[-1] == 2
    assert_same(Path("shell/mine"), Path("python/mine"))


@pytest.mark.slow
@NO_OBJECTS
def test_a_folder_and_arrays_train_the_same_net(data):
    hsn.fit(masks="masks", mpp=MPP, out="files/mine", **options("masks"))
    hsn.fit(data["images"], masks=data["masks"], mpp=MPP, out="arrays/mine", **options("masks"))
    assert_same(Path("files/mine"), Path("arrays/mine"))


def test_points_as_arrays_are_the_points_of_the_files(data, spy_on):
    from hsn.supervision import points

    seen = spy_on(points)
    given = []
    for images, clicks in (("points", None), (data["images"], data["points"])):
        with pytest.raises(hsn.InputError):
            hsn.fit(images, points=clicks, mpp=MPP, out="mine", **options("points"))
        given.append([each.points for each in seen["annotations"]])
    for one, other in zip(*given, strict=True):
        np.testing.assert_array_equal(one, other)


def test_segment_gives_the_same_files_as_the_command_line(run, model, images):
    assert run("segment", images, "--model", model, "--mpp", 0.62, "--out", "shell").exit_code == 0
    rows = hsn.segment(images, model, mpp=0.62, out="python")
    assert [row["name"] for row in rows] == ["a", "b", "c"]
    for name in "abc":
        for kind in ("labels", "overlay"):
            first, second = (Path(out) / kind / f"{name}.png" for out in ("shell", "python"))
            assert first.read_bytes() == second.read_bytes()
    result = hsn.segment(images / "a.png", model, mpp=0.62)
    np.testing.assert_array_equal(result.labels, hsn.segment(read(images / "a.png"), model, mpp=0.62).labels)


def test_evaluate_gives_the_scores_of_the_command_line(run, images, model):
    for name in ("a", "b", "c"):
        write_labels(f"true/{name}.png", np.eye(40, 56, dtype=int))
    said = run("evaluate", images, "true", "--model", model, "--out", "shell", "--json").said
    result = hsn.evaluate(model, images, "true", out="python")
    assert result.scores["taxonomies"]["glas"]["confusion"] == said["taxonomies"]["glas"]["confusion"]


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=pytest.mark.slow if kind == "masks" else ()) for kind in sorted(OPTIONS)],
)
def test_the_options_of_every_method_are_listed_in_options(kind):
    from dataclasses import fields
    from importlib import import_module

    setup = import_module(f"hsn.supervision.{kind}.setup")
    assert tuple(field.name for field in fields(setup.Options)) == OPTIONS[kind]
