"""Config, targets and loss of masks: published values, and invalid input."""

import numpy as np
import pytest

from hsn.objects.contours import inside_to_classes, instances_to_classes
from hsn.stains.macenko import Macenko
from hsn.stains.reinhard import Reinhard
from hsn.supervision.masks import Config, make_loss, make_targets, preset
from hsn.taxonomies import ADP_FUNC, GLAS


def two_blocks():
    instances = np.zeros((24, 24), np.int32)
    instances[4:10, 3:9], instances[6:14, 14:20] = 1, 2
    return instances


def blank(instances):
    return np.zeros((*instances.shape, 3), np.uint8)


def test_the_target_equals_fullnets_training_label():
    made = make_targets(blank(two_blocks()), two_blocks(), preset("fullnet"))
    assert made.target[..., :3].sum(axis=(0, 1)).tolist() == [500, 12, 64]
    published = inside_to_classes(instances_to_classes(two_blocks()) == 1)
    np.testing.assert_array_equal(made.target[..., :3].argmax(axis=2), published)
    assert made.target[..., 3].max() == 2


def test_border_weights_equal_the_published_ones():
    weight = make_targets(blank(two_blocks()), two_blocks(), preset("fullnet")).weight
    assert [int(np.round(20 * weight[p])) for p in ((8, 11), (7, 6), (0, 0), (20, 23))] == [117, 47, 20, 20]
    assert (make_targets(blank(two_blocks()), two_blocks(), preset("unet-cryonuseg")).weight == 1).all()


def test_touching_objects_are_separated_by_contours():
    touching = np.zeros((8, 12), int)
    touching[1:7, 1:6], touching[1:7, 6:11] = 4, 9
    target = make_targets(blank(touching), touching, Config()).target
    assert target[..., 3].max() == 2
    assert target[3, 4:8, 2].tolist() == [0, 1, 1, 0]
    assert target[0, 1:11, 2].all()  # one pixel outside
    wide = make_targets(blank(touching), touching, Config(targets={"contour_px": 2})).target
    assert wide[3, 3:9, 2].tolist() == [0, 1, 1, 1, 1, 0]
    assert wide[..., 0].sum() == target[..., 0].sum()


def test_an_image_without_objects_is_background():
    nothing = np.zeros((5, 6), int)
    target, weight = make_targets(blank(nothing), nothing, preset("fullnet"))
    assert (target[..., 0] == 1).all()
    assert (weight == 1).all()


def test_the_variance_term_has_its_published_value():
    rows, columns = np.indices((8, 8))
    logits = np.stack([np.sin(c + 1 + 0.3 * rows + 0.7 * columns) for c in range(3)], axis=2)
    p = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    inside = np.zeros((8, 8), int)
    inside[1:4, 1:4], inside[5:7, 4:8], inside[7, 0] = 1, 2, 3
    target = np.concatenate([np.eye(3)[(inside > 0).astype(int)], inside[..., None]], axis=2)[None]
    of = preset("fullnet")
    with_, without = (
        float(make_loss(r)(target, p[None], np.zeros((1, 8, 8)), None))
        for r in (of, of.replace(targets={"variance_weight": 0.0}))
    )
    assert with_ == pytest.approx(0.02951038, rel=1e-4)
    assert without == 0
    doubled = make_loss(preset("fullnet").replace(targets={"variance_weight": 2.0}))(
        target, p[None], np.zeros((1, 8, 8)), None
    )
    assert float(doubled) == pytest.approx(2 * with_, rel=1e-5)


def test_unknown_pixels_do_not_change_the_loss():
    target = np.zeros((1, 2, 2, 2))
    weight = np.array([[[1.0, 0.0], [0.0, 0.0]]])
    one, other = np.full((1, 2, 2, 1), 0.3), np.full((1, 2, 2, 1), 0.9)
    other[0, 0, 0] = 0.3
    of = make_loss(preset("unet-cryonuseg"))
    assert float(of(target, one, weight, None)) == pytest.approx(float(of(target, other, weight, None)))


STAINS = (
    Reinhard((60.0, 20.0, -9.0), (15.0, 8.0, 7.0)),
    Macenko((0.55, 0.74, 0.39), (0.14, 0.81, 0.56), (2.9, 1.2)),
)


@pytest.mark.parametrize(
    "config",
    [
        preset("fullnet"),
        preset("unet-cryonuseg"),
        Config(postprocess={"separation": "marker_watershed"}, taxonomies=(GLAS,)),
        *(Config(normalization={"stain": s}) for s in STAINS),
    ],
)
def test_a_config_survives_its_file(config):
    import json

    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_taxonomies_may_be_named():
    assert Config.from_dict({"taxonomies": ["nuclei"]}).taxonomy().names == ("Other", "Nucleus")


def test_image_and_objects_of_two_sizes_are_an_error(raises_code):
    with raises_code("shape-mismatch"):
        make_targets(blank(np.zeros((4, 5))), np.zeros((5, 4), int), preset("fullnet"))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"classes": ("a", "b")}, "config-classes"),
        ({"postprocess.separation": "distance_watershed"}, "separation-unknown"),
        ({"postprocess.separation": "magic"}, "separation-unknown"),
        ({"normalization.stain": "macenko"}, "config-type"),
        ({"train.monitor": "auc"}, "monitor-unknown"),
        ({"train.crop_px": None}, "config-range"),
        ({"taxonomies": (ADP_FUNC,)}, "taxonomy-classes"),
        ({"classes": ("nucleus",)}, "separation-unknown"),
        (
            {
                "classes": ("nucleus",),
                "postprocess.separation": "distance_watershed",
                "tune_postprocess": True,
            },
            "config-unused",
        ),
    ],
)
def test_a_config_that_contradicts_itself_is_an_error(changes, code, raises_code):
    with raises_code(code):
        Config().replace(**changes)


def test_only_the_cpu_preset_augments_stains():
    assert preset("cpu").train.augmentation.stain_gain > 0
    assert preset("cpu").train.augmentation.stain_offset > 0
    assert {
        r.train.augmentation.stain_gain + r.train.augmentation.stain_offset
        for r in (preset("fullnet"), preset("unet-cryonuseg"))
    } == {0}
    assert preset("cpu").classes == preset("fullnet").classes
    assert preset("cpu").postprocess.separation == "marker_watershed"
    assert preset("cpu").targets.variance_weight == 1.0
