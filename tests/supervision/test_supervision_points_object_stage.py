"""The last stage of learning from points: objects from points and probabilities, and training on them."""

import numpy as np
import pytest

from hsn import models, points
from hsn.annotations.label_files import read_labels, write_labels
from hsn.annotations.sampling import points_from_instances
from hsn.data import synthetic
from hsn.nets import encoder_unet
from hsn.supervision.points import object_stage, rounds, training
from hsn.supervision.points.crops import object_crops
from hsn.supervision.points.images import load_images
from hsn.supervision.points.object_stage import find_objects
from hsn.types import History

MPP = 0.25


def config(**changes):
    changes = {"rounds": 1, "train.steps": 1, "train.crop_px": 32, "train.validation": (0,), **changes}
    tiling = {"tile_px": 64, "halo_px": 16}
    return points.preset("cpu").replace(image_mpp=MPP, tiling=tiling, **changes)


def two_disks():
    """Probability of two touching disks and of a third one apart, and the centers."""
    rows, columns = np.mgrid[:80, :120]
    centers = np.array([[30.0, 30.0], [30.0, 51.0], [30.0, 95.0]])
    inside = [np.hypot(rows - r, columns - c) < 12 for r, c in centers]
    return np.where(np.any(inside, axis=0), 0.6, 0.1), inside, centers


@pytest.mark.parametrize("detected", [True, False])
def test_touching_nuclei_are_separated_between_their_points(detected):
    foreground, inside, centers = two_disks()
    detection = None
    if detected:
        distance = np.min([np.hypot(*(np.mgrid[:80, :120] - c[:, None, None])) for c in centers], axis=0)
        detection = np.exp(-((distance / 4) ** 2))
    instances, known = find_objects(foreground, detection, centers, config())
    assert instances.max() == 3
    for k, disk in enumerate(inside, 1):
        assert (instances[disk] == k).mean() > 0.95
    assert known.all()


def test_a_part_without_a_point_is_unknown_with_a_margin():
    foreground, inside, centers = two_disks()
    instances, known = find_objects(foreground, None, centers[:2], config())
    assert instances.max() == 2
    assert not known[inside[2]].any()
    assert not known[30, 95 + 13]  # within half a micrometer
    assert known[30, 95 + 16]
    assert known[instances > 0].all()


def test_points_outside_of_the_foreground_and_small_parts_give_no_object():
    foreground, _, centers = two_disks()
    foreground[70:73, 10:13] = 0.9
    instances, known = find_objects(foreground, None, [*centers, [71, 11], [5, 5]], config())
    assert instances.max() == 3
    assert known[71, 11]


def tissue():
    drawn = [synthetic.draw_tissue(seed, (64, 80), mpp=MPP) for seed in (0, 1, 5)]
    return [d.image for d in drawn], [points_from_instances(d.instances, place="inside")[:5] for d in drawn]


def test_unknown_pixels_and_validation_pixels_have_no_weight(tmp_path):
    images, clicks = tissue()
    numbers = config(**{"train.augmentation.zoom": (1, 1), "train.augmentation.affine_jitter": 0.0,
                        "train.augmentation.rotation_deg": 0.0, "train.validation": 0.5})  # fmt: skip
    (image, *_) = load_images(images, clicks, numbers)
    instances, known = np.zeros((64, 80), np.int32), np.full((64, 80), 255, np.uint8)
    instances[:, :40], known[:, 40:] = 1, 0
    image.objects_files = tmp_path / "labels.png", tmp_path / "known.png"
    write_labels(image.objects_files[0], instances)
    write_labels(image.objects_files[1], known)
    image.val_boxes = ((0, 32, 0, 80),)
    record = image.load()
    assert (record.weight[:, 40:] == 0).all()
    assert (record.weight[:, :40] >= 1).all()
    crops = object_crops([image], numbers)
    batches = [crops.batch(0, step) for step in range(3)]
    for _, target, weight in batches:
        assert target.shape == (4, 32, 32, 4)
        learned = weight > 0
        assert (target[..., 0] < 1)[learned].all()  # all learned pixels belong to the object
    assert any((weight == 0).any() for *_, weight in batches)


@pytest.fixture
def stages(monkeypatch):
    """Replace training by one validation and a shift of all weights; return (stage, first weight, outputs, rate)."""
    ran = []

    def trained(net, loss, crops, validate, config, *, out, **_):
        first = net.get_weights()[0]
        ran.append((out.name, float(first.sum()), net.output_shape[-1], config.train.learning_rate))
        pixels, target, weight = crops.batch(0, 0)
        assert np.isfinite(float(loss(target, net(pixels, training=False), weight, pixels)))
        net.set_weights([first + 0.01, *net.get_weights()[1:]])
        out.mkdir(parents=True, exist_ok=True)
        net.save_weights(out / rounds.BEST)
        return History(({"epoch": 1, "rate": 1.0, "loss": 0.5, **validate()},), 0)

    for module in (rounds, training, object_stage):
        monkeypatch.setattr(module, "train", trained)
    return ran


def fit(out, **changes):
    images, clicks = tissue()
    net = encoder_unet.build(3, encoder_stride=4, decoder=(4,), dropout=0.0, seed=0)
    return net, points.fit(net, images, clicks, config(**changes), out=out)


def test_each_stage_starts_with_the_weights_of_the_one_before(tmp_path, stages):
    net, history = fit(tmp_path / "o")
    names, sums, outputs, rates = zip(*stages, strict=True)
    assert names == ("round-0", "round-1", "coarse", "objects")
    assert outputs == (1, 1, 2, 3)
    assert rates == (0.002, 0.002, 0.002, 0.001)
    size = net.get_weights()[0].size
    np.testing.assert_allclose(np.diff(sums), 0.01 * size, rtol=1e-3)
    assert [row["epoch"] for row in history.epochs] == [1, 2]
    assert history.best == 1


def test_only_the_last_net_is_the_result(tmp_path, stages):
    net, _ = fit(tmp_path / "o")
    model = models.load(tmp_path / "o")
    assert model.net.output_shape[-1] == 3
    np.testing.assert_array_equal(model.net.get_weights()[0], net.get_weights()[0])
    assert model.card.classes == ("background", "inside", "contour")
    labels, known = (
        read_labels(tmp_path / "o" / "objects" / kind / "0001.png") for kind in ("labels", "known")
    )
    assert labels.shape == known.shape == (64, 80)
    assert set(np.unique(known)) <= {0, 255}
    guide = (tmp_path / "o" / "training" / "README.md").read_text()
    assert "objects/known" in guide


def test_with_initial_weights_no_stage_depends_on_the_one_before(tmp_path, stages):
    fit(tmp_path / "o", start="initial")
    first = {round(total, 3) for _, total, *_ in stages}
    assert len(first) == 1


def test_outputs_must_match_the_last_stage(raises_code):
    with raises_code("config-classes"):
        points.preset("cpu").replace(object_epochs=0)
    with raises_code("config-unused"):
        points.preset("resunet18").replace(**{"postprocess.grow_um": 1.0})
    with raises_code("separation-unknown"):
        points.preset("cpu").replace(**{"postprocess.separation": "distance_watershed"})
