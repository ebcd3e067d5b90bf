"""The first stage of partial clicks: which images need it, what its objects become, and that it is done once."""

import numpy as np
import pytest

from hsn.annotations.annotation import Annotation, Point, Shape
from hsn.annotations.sampling import points_from_instances
from hsn.data import synthetic
from hsn.nets import unet
from hsn.supervision import mixed
from hsn.supervision.mixed import others
from hsn.supervision.mixed.sources import CLUSTER, VORONOI
from hsn.supervision.mixed.target_maps import know
from hsn.supervision.mixed.training import Prepare
from hsn.training.images import training_images

MPP, SIDE = 0.5, 96
HALF = (Shape((np.array([[-0.5, -0.5], [-0.5, 47.5], [95.5, 47.5], [95.5, -0.5]]),), "Region*"),)


@pytest.fixture(scope="module")
def config():
    train = {"epochs": 2, "steps": 2, "batch_size": 2, "crop_px": 32, "validation": (1,), "warmup_steps": 0}
    return mixed.preset("cpu").replace(
        mpp=MPP, image_mpp=MPP, tiling={"halo_px": 8}, train=train, click_epochs=1
    )


@pytest.fixture(scope="module")
def drawn():
    return synthetic.draw_tissue(4, (SIDE, SIDE), mpp=MPP)


def clicks_of(drawn, **fields):
    """Half of the objects clicked; the centers of the others."""
    points = points_from_instances(drawn.instances, place="inside")
    annotation = Annotation(points=tuple(Point(*point) for point in points[::2].tolist()), **fields)
    return annotation, points[1::2]


def test_images_with_all_objects_annotated_need_no_first_stage(drawn):
    clicks, _ = clicks_of(drawn)
    assert others.has_partial_clicks(clicks)
    assert others.has_partial_clicks(clicks_of(drawn, complete_region=HALF)[0])
    assert not others.has_partial_clicks(clicks_of(drawn, objects=drawn.instances)[0])
    assert not others.has_partial_clicks(Annotation(complete_region=HALF))


def test_clicks_and_found_objects_are_all_objects(drawn, config):
    annotation, rest = clicks_of(drawn)
    shape = (SIDE, SIDE)
    alone = know(drawn.image, annotation, shape, config).heads["objects"]
    both = know(drawn.image, annotation, shape, config, found=rest).heads["objects"]
    everything = Annotation(
        points=tuple(Point(*p) for p in points_from_instances(drawn.instances, place="inside").tolist()),
        complete_region=(Shape((np.array([[-1.0, -1.0], [-1.0, 99.0], [99.0, 99.0], [99.0, -1.0]]),)),),
    )
    complete = know(drawn.image, everything, shape, config).heads["objects"]
    assert not (alone.source == VORONOI).any()
    assert (alone.source == CLUSTER).sum() < 0.5 * (both.source == CLUSTER).sum()
    assert ((both.possible == complete.possible) | (both.weight == 0)).mean() > 0.95


def test_a_complete_region_keeps_its_objects(drawn, config):
    annotation, rest = clicks_of(drawn, complete_region=HALF)
    inside = rest[rest[:, 1] < 47]
    assert len(inside)
    shape = (SIDE, SIDE)
    without = know(drawn.image, annotation, shape, config).heads["objects"]
    same = know(drawn.image, annotation, shape, config, found=inside).heads["objects"]
    np.testing.assert_array_equal(same.possible[:, :40], without.possible[:, :40])


def test_the_stage_is_done_once_and_writes_what_it_found(drawn, config, tmp_path):
    net = unet.build(3, depth=2, width=4, batch_norm=True, seed=1)
    samples = training_images([drawn.image], [(clicks_of(drawn)[0], False)], Prepare(config, False))
    calls = []

    def train(folder):
        calls.append(folder)
        folder.mkdir()
        net.save_weights(folder / others.BEST)

    for _ in range(2):
        others.find_others(net, samples, config, tmp_path / "clicks", train)
    assert len(calls) == 1
    found = others.read_found(tmp_path / "clicks", samples[0].name)
    assert found.shape[1] == 2
    assert others.read_found(tmp_path / "clicks", "another") is None


@pytest.mark.slow
def test_fit_trains_both_stages_and_resumes_after_the_first(drawn, config, tmp_path):
    second = synthetic.draw_tissue(2, (SIDE, SIDE), mpp=MPP)
    images = [drawn.image, second.image]
    annotations = [clicks_of(drawn)[0], Annotation(objects=second.instances)]

    def train(out, **options):
        net = unet.build(3, depth=2, width=4, batch_norm=True, seed=1)
        mixed.fit(net, images, annotations, config, out=out, **options)
        return [np.asarray(w) for w in net.get_weights()]

    def stop(event):
        if event.stage == "training":
            raise InterruptedError

    whole = train(tmp_path / "whole")
    with pytest.raises(InterruptedError):
        train(tmp_path / "stopped", progress=stop)
    assert (tmp_path / "stopped" / "training" / "clicks" / "found.json").exists()
    again = train(tmp_path / "stopped")
    assert all(np.array_equal(a, b) for a, b in zip(whole, again, strict=True))
