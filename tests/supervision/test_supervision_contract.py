"""Properties of all methods: a tiny fit, its folder, its continuation, its memory, its progress and its errors."""

import gc
import importlib
import json
import tracemalloc
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import hsn
from hsn import models, taxonomies
from hsn.annotations.annotation import Annotation, Point, Tag
from hsn.annotations.label_files import write_labels
from hsn.annotations.sampling import points_from_instances
from hsn.data import synthetic
from hsn.images.read import write
from hsn.nets import encoder_unet, histonet, unet
from hsn.progress import Cancelled
from hsn.supervision import masks, method_of, mixed, points, selected, tags
from hsn.supervision.points import train_loop
from hsn.supervision.tags import distillation, share_training
from hsn.training import images as training_images
from hsn.training import loop, object_training
from hsn.types import History

MPP = 0.5
TRAIN = {"epochs": 2, "steps": 2, "batch_size": 2, "crop_px": 32, "validation": (0,), "seed": 3}


@dataclass
class Case:
    """A method with its smallest run."""

    method: Any
    build: Any
    images: list
    annotations: Any
    config: Any

    def fit(self, out, net=None, **changes):
        net = net or self.build()
        given = {"images": self.images, "annotations": self.annotations}
        given |= {name: changes.pop(name) for name in list(changes) if name in given}
        progress = changes.pop("progress", None)
        config = self.config.replace(**changes)
        return net, self.method.fit(net, *given.values(), config, out=out, progress=progress)


def _tissue():
    drawn = [synthetic.draw_tissue(seed, (48, 56), mpp=MPP) for seed in (0, 1, 5)]
    return [d.image for d in drawn], [d.instances for d in drawn]


def _masks():
    config = masks.preset("cpu").replace(mpp=MPP, image_mpp=MPP, tiling={"halo_px": 8}, train=TRAIN)
    return Case(masks, lambda: unet.build(3, depth=1, width=4, batch_norm=True, seed=1), *_tissue(), config)


def _selected():
    images, instances = _tissue()
    config = selected.preset("cpu").replace(
        mpp=MPP, image_mpp=MPP, tiling={"halo_px": 8}, synthetic=0, min_score=0.0, train=TRAIN
    )
    annotations = [*instances[:2], None]
    return Case(
        selected,
        lambda: unet.build(3, depth=1, width=4, batch_norm=True, seed=1),
        images,
        annotations,
        config,
    )


def _tiny_encoder_unet():
    return encoder_unet.build(3, encoder_stride=4, decoder=(4,), dropout=0.0, seed=1)


def _points():
    images, instances = _tissue()
    clicks = [points_from_instances(each, place="inside")[:6] for each in instances]
    config = points.preset("cpu").replace(
        mpp=MPP,
        image_mpp=MPP,
        tiling={"tile_px": 64, "halo_px": 16},
        rounds=0,
        detection_epochs=1,
        object_epochs=1,
        detection_batch_size=2,
        train=TRAIN,
    )
    return Case(points, _tiny_encoder_unet, images, clicks, config)


def _tags():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(6)]
    two = taxonomies.parse(
        {"name": "two", "classes": [{"name": "a", "color": [0, 0, 9]}, {"name": "b", "color": [9, 0, 0]}]}
    )
    config = tags.Config(
        classes=two.names,
        thresholds=(0.5, 0.5),
        taxonomies=(two,),
        mpp=MPP,
        image_mpp=MPP,
        window_px=32,
        cam_layers=("features", "logits"),
        train={"epochs": 2, "batch_size": 2, "validation": (0, 1), "seed": 3},
    )

    def build():
        net = histonet.build(((4,), (8,)), 2, input_px=32, seed=1)
        layers = histonet.feature_layer(net).name, histonet.logits_layer(net).name
        case.config = case.config.replace(cam_layers=layers)
        return net

    case = Case(tags, build, images, np.array([[1, 0], [0, 1]] * 3), config)
    return case


def _mixed():
    images, instances = _tissue()
    clicks = points_from_instances(instances[1], place="inside")[:6].tolist()
    annotations = [
        Annotation(objects=instances[0]),
        Annotation(points=tuple(Point(*click) for click in clicks), tags=(Tag("Nucleus", True),)),
        Annotation(objects=instances[2]),
    ]
    config = mixed.preset("cpu").replace(
        mpp=MPP, image_mpp=MPP, tiling={"halo_px": 8}, pseudo_start=0.0, train=TRAIN | {"warmup_steps": 0}
    )
    return Case(
        mixed, lambda: unet.build(3, depth=1, width=4, batch_norm=True, seed=1), images, annotations, config
    )


def _shares():
    case = _tags()
    shares = {"second": {"crop_px": 32, "min_confidence": 0.0}}
    case.build = lambda: unet.build(2, depth=1, width=4, batch_norm=True, seed=1)
    case.config = case.config.replace(cam_layers=None, shares=shares, thresholds=(0.0, 0.0))
    return case


CASES = {
    "masks": _masks, "mixed": _mixed, "points": _points, "selected": _selected, "tags": _tags, "shares": _shares
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _eager():
    """Run TensorFlow without graphs, because building them takes longer than a few steps."""
    import keras

    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow

    tensorflow.config.run_functions_eagerly(True)
    yield
    tensorflow.config.run_functions_eagerly(False)


SLOW = ("points", "selected", "shares")  # their stages are like those of masks and of tags


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in CASES],
)
def case(request):
    return CASES[request.param]()


@pytest.fixture(scope="module")
def whole(case, tmp_path_factory):
    """An uninterrupted run: its folder, net and history."""
    out = tmp_path_factory.mktemp("whole") / "net"
    return out, *case.fit(out)


def test_a_trained_folder_has_its_files_and_loads(case, whole):
    out, net, history = whole
    for name in (
        "net.keras",
        "card.json",
        "config.json",
        "README.md",
        "training/README.md",
        "training/learning.csv",
    ):
        assert (out / name).is_file(), name
    model = models.load(out)
    method, config = method_of(model)
    assert method.__name__ == case.method.__name__
    data = json.loads((out / "config.json").read_text())
    assert (data["format"], data["method"]) == (1, config.METHOD)
    assert case.method.Config.from_dict(data) == config
    assert config.train == case.config.train
    assert history.best is not None
    for one, other in zip(net.get_weights(), model.net.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("shape", [(33, 47), (64, 17)])
def test_images_of_odd_sizes_are_segmented(whole, shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    result = hsn.segment(image, whole[0])
    assert result.labels.shape == shape
    assert result.probabilities.shape[:2] == shape


def test_a_killed_run_ends_with_the_weights_of_an_uninterrupted_one(case, whole, tmp_path, monkeypatch):
    keep, calls = loop._keep, []

    def killed(*arguments):
        keep(*arguments)
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "_keep", killed)
    with pytest.raises(KeyboardInterrupt):
        case.fit(tmp_path / "net")
    monkeypatch.undo()
    net, history = case.fit(tmp_path / "net")
    assert len(history.epochs) == len(whole[2].epochs)
    for one, other in zip(net.get_weights(), whole[1].get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_finished_run_is_not_trained_again(case, whole, monkeypatch):
    def trained(*_):
        raise AssertionError("an epoch was trained")

    monkeypatch.setattr(loop, "_keep", trained)
    net, history = case.fit(whole[0])
    assert history == whole[2]
    for one, other in zip(net.get_weights(), whole[1].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("other", ["config", "images", "annotations", "weights"])
def test_another_run_in_the_folder_is_an_error_and_leaves_it_alone(case, whole, other, raises_code):
    out, net, _ = whole
    card = (out / "card.json").read_bytes()
    changes = {
        "config": {"train.seed": 4},
        "images": {"images": case.images[::-1]},
        "annotations": {"annotations": case.annotations[::-1]},
        "weights": {"net": case.build()},
    }[other]
    if other == "weights":
        changes["net"].set_weights([w + 0.5 for w in changes["net"].get_weights()])
    if other == "annotations" and case.method is selected:
        changes = {"annotations": [case.annotations[1], case.annotations[0], None]}
    with raises_code("run-other"):
        case.fit(out, **changes)
    assert (out / "card.json").read_bytes() == card
    assert case.fit(out, net=net)[1] == whole[2]  # the trained net itself is known


@pytest.mark.slow
def test_more_epochs_continue_a_run(case, tmp_path):
    short = case.fit(tmp_path / "net", **{"train.epochs": 1})[1]
    longer = case.fit(tmp_path / "net", **{"train.epochs": 2})[1]
    assert longer.epochs[0]["loss"] == short.epochs[0]["loss"]
    assert len(longer.epochs) > len(short.epochs)
    fewer = case.fit(tmp_path / "net", **{"train.epochs": 1})[1]
    assert fewer.epochs == longer.epochs


def test_progress_is_reported_and_can_cancel(case, whole, tmp_path):
    events = []

    def cancel(event):
        events.append(event)
        if event.values.get("step") == 2:
            raise Cancelled

    net = case.build()
    with pytest.raises(Cancelled):
        case.fit(tmp_path / "net", net=net, progress=cancel)
    assert "training" in events[-1].stage or case.method is points
    assert np.isfinite(events[-1].values["loss"])
    assert events[-1].total >= events[-1].done > 0
    assert not (tmp_path / "net" / "training" / "run.lock").exists()
    case.fit(tmp_path / "net", net=net)  # the same object, half trained, starts as the first time
    for one, other in zip(net.get_weights(), whole[1].get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_images_and_annotations_of_different_numbers_are_an_error(case, tmp_path, raises_code):
    with raises_code("length-mismatch"):
        case.fit(tmp_path / "net", images=case.images[:-1])
    assert not (tmp_path / "net").exists()


MEMORY_SIDE_PX, MEMORY_PIXELS = 192, 3 * 192 * 192  # bytes of an image


@pytest.fixture
def untrained(monkeypatch):
    """Replace the training loop by one batch and one validation."""

    def fit_net(net, loss, spec, *, out, **_):
        spec.batch(0, 0)
        out.mkdir(parents=True, exist_ok=True)
        net.save_weights(out / loop.BEST)
        return History(({"epoch": 1, "loss": 1.0, **spec.validate()},), 0)

    modules = [
        importlib.import_module(f"hsn.supervision.{name}.training") for name in ("masks", "mixed", "tags")
    ]
    for module in (*modules, train_loop, object_training, distillation, share_training):
        monkeypatch.setattr(module, "fit_net", fit_net)
    monkeypatch.setattr(training_images, "CACHE_BYTES", MEMORY_PIXELS)


def _files(case, folder, count):
    """Write images, and annotations that are files where the method takes files; return both."""
    folder.mkdir()
    image = synthetic.draw_tissue(0, (MEMORY_SIDE_PX, MEMORY_SIDE_PX), mpp=MPP)
    paths = [folder / f"{k}.png" for k in range(count)]
    for path in paths:
        write(path, image.image)
    write_labels(folder / "mask.png", image.instances)
    mask, clicks = folder / "mask.png", [[20.0, 20.0]]
    write_labels(folder / "background.png", np.zeros(image.instances.shape, np.uint8))
    given = points.PointAnnotation(clicks, background=folder / "background.png")
    outlined = Annotation(objects=mask)
    annotations = {masks: [mask] * count, mixed: [outlined] * count, selected: [mask] * 3 + [None] * (count - 3),
                   points: [given] * count, tags: np.array([[1, 0], [0, 1]] * (count // 2))}  # fmt: skip
    return paths, annotations[case.method]


@pytest.mark.slow
def test_memory_of_training_does_not_grow_with_the_number_of_images(case, untrained, tmp_path):
    peaks = []
    for count in (6, 6, 24):  # the first run imports and compiles
        paths, annotations = _files(case, tmp_path / f"{len(peaks)}", count)
        net = case.build()
        gc.collect()
        tracemalloc.start()
        case.fit(tmp_path / f"net-{len(peaks)}", net=net, images=paths, annotations=annotations)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] - peaks[1] < 18 * MEMORY_PIXELS / 3
