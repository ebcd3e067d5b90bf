"""Cluster labels: the published scores on real nuclei, and what must hold for any picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from hsn.annotations import cluster_labels as clusters
from hsn.annotations import mask_files
from hsn.annotations.cluster_labels import cluster_label
from hsn.annotations.sampling import points_from_instances, sample_points
from hsn.data import multiorgan
from hsn.images.read import read

NUCLEUS, GROUND = (120, 60, 120), (230, 190, 215)


def tissue(places, side=120, radius=11):
    """Dark disks on bright, slightly noisy ground, and where the disks are."""
    away = np.ones((side, side), bool)
    away[tuple(np.transpose(places))] = False
    inside = ndimage.distance_transform_edt(away) <= radius
    noise = np.random.default_rng(3).integers(-8, 9, (side, side, 3))
    return (np.where(inside[..., None], NUCLEUS, GROUND) + noise).astype(np.uint8), inside


PLACES = [(30, 30), (30, 80), (80, 30), (80, 85)]


@pytest.mark.parametrize("rule", ["paper", "color"])
def test_disks_on_ground_are_found(rule):
    image, inside = tissue(PLACES)
    target, weight = cluster_label(image, PLACES, rule=rule)
    nuclei, ground = (target > 0) & (weight > 0), (target == 0) & (weight > 0)
    assert not (ground & inside).any()
    assert (nuclei & ~inside).sum() < 0.1 * nuclei.sum()
    assert all(nuclei[place] for place in PLACES)


def test_by_color_more_is_known_than_by_the_paper():
    image, _ = tissue(PLACES)
    paper, color = (cluster_label(image, PLACES, rule=rule).weight for rule in ("paper", "color"))
    assert color.mean() > paper.mean()


def test_unclicked_nuclei_are_not_learned_as_background():
    places = [(r, c) for r in range(20, 200, 40) for c in range(20, 200, 40)]
    image, inside = tissue(places, side=200)
    target, weight = cluster_label(image, places[::2])
    ground = (target == 0) & (weight > 0)
    assert (ground & inside).sum() < 0.03 * inside.sum()
    assert ground.mean() > 0.3


def test_known_pixels_are_zero_or_one_and_unknown_pixels_are_not_nuclei():
    target, weight = cluster_label(*[tissue(PLACES)[0], PLACES])
    assert target.dtype == weight.dtype == np.float32
    assert set(np.unique(target)) | set(np.unique(weight)) == {0, 1}
    assert not target[weight == 0].any()


def test_black_is_unknown_or_as_in_the_paper_background():
    image, _ = tissue(PLACES)
    image[:, 100:] = 0
    for rule, known in (("color", 0), ("paper", 1)):
        target, weight = cluster_label(image, PLACES, rule=rule)
        assert (weight[:, 100:] == known).mean() > 0.97
        assert not target[:, 105:].any()


def test_black_pixels_do_not_change_what_is_seen_of_the_rest():
    image, _ = tissue(PLACES)
    wide = np.pad(image, ((0, 0), (0, 60), (0, 0)))
    alone, beside = cluster_label(image, PLACES), cluster_label(wide, PLACES)
    assert (alone.target[:, :100] == beside.target[:, :100]).all()
    assert not cluster_label(np.zeros_like(image), PLACES).weight[0, 0]


def test_a_point_without_color_around_is_marked():
    image, _ = tissue(PLACES)
    target, _ = cluster_label(image, [*PLACES, (55, 55)])
    part, _ = ndimage.label(target)
    assert 20 <= (part == part[55, 55]).sum() <= 40  # a disk of radius 3


def test_near_a_point_nothing_is_background():
    image, _ = tissue(PLACES, radius=4)
    target, weight = cluster_label(image, PLACES)
    away = ndimage.distance_transform_edt(tissue(PLACES, radius=0)[1] == 0)
    assert not ((target == 0) & (weight > 0) & (away <= 10)).any()
    assert ((target == 0) & (weight > 0) & (away < 12)).any()


def test_a_part_without_a_point_is_unknown():
    image, _ = tissue(PLACES)
    image[50:57, 50:57] = NUCLEUS  # 15 px from any click: no nucleus that anybody clicked
    target, weight = cluster_label(image, [*PLACES, (66, 53)])
    assert not (target * weight)[50:54, 50:57].any()


@pytest.mark.parametrize("points", [[(30, 30)], [(30, 30), (80, 30)], [(10, 60), (60, 60), (110, 60)]])
def test_one_point_two_points_and_a_row_of_points_are_enough(points):
    target, weight = cluster_label(tissue(PLACES)[0], points)
    assert all(target[p] and weight[p] for p in points)


@settings(max_examples=15)
@given(st.integers(0, 2**31), st.integers(1, 4))
def test_points_are_nuclei_whatever_the_picture(seed, count):
    rng = np.random.default_rng(seed)
    image = rng.integers(1, 256, (40, 50, 3), dtype=np.uint8)
    points = rng.integers(0, 40, (count, 2))
    target, weight = cluster_label(image, points, seed=seed)
    assert target[tuple(points.T)].all()
    assert weight[tuple(points.T)].all()


def test_an_image_of_one_color_gives_labels():
    target, _ = cluster_label(np.full((40, 40, 3), 99, np.uint8), [(20, 20)])
    assert target[20, 20] == 1


def test_half_the_scale_is_half_the_lengths():
    image, inside = tissue(PLACES)
    half = image[::2, ::2]
    target, weight = cluster_label(half, np.array(PLACES) / 2, scale=0.5)
    nuclei, ground = (target > 0) & (weight > 0), (target == 0) & (weight > 0)
    assert not (ground & inside[::2, ::2]).any()
    whole = cluster_label(image, PLACES).target
    assert abs(4 * nuclei.sum() / whole.sum() - 1) < 0.25


def test_the_same_seed_gives_the_same_label():
    image, _ = tissue(PLACES)
    assert (cluster_label(image, PLACES, seed=4).target == cluster_label(image, PLACES, seed=4).target).all()


def test_growing_in_boxes_is_growing_in_the_image():
    rng = np.random.default_rng(1)
    mask = ndimage.gaussian_filter(rng.random((90, 80)), 3) > 0.5
    cells = np.repeat(np.repeat(np.arange(1, 10).reshape(3, 3), 30, 0), 27, 1)[:90, :80].astype(np.int32)
    expected = np.zeros(mask.shape, bool)
    for number in range(1, 10):
        grown = ndimage.binary_dilation(mask & (cells == number), clusters._disk(5))
        filled = ndimage.binary_fill_holes(grown)
        expected |= ndimage.binary_erosion(filled, clusters._disk(7), border_value=1)
    assert (clusters._smooth_per_cell(mask, cells, 1.0) == expected).all()


def test_refusals(raises_code):
    image, _ = tissue(PLACES)
    with raises_code("points-empty"):
        cluster_label(image, [])
    with raises_code("scale-positive"):
        cluster_label(image, PLACES, scale=0)
    with raises_code("rule-unknown"):
        cluster_label(image, PLACES, rule="best")
    with raises_code("image-dtype"):
        cluster_label(image[..., 0], PLACES)
    with raises_code("points-outside"):
        cluster_label(image, [(30, 130)])


def scores(data, rule, ratio=1.0):
    """Share of known pixels that are wrong, share that is known, mean Dice of the nuclei; Kumar's training images."""
    counts, dice = np.zeros(3), []
    for one in multiorgan.list_samples(data / "multiorgan", "train"):
        truth = mask_files.read(one.instances_path, None)
        points = sample_points(points_from_instances(truth), ratio, rng_or_seed=0)
        target, weight = cluster_label(read(one.image_path), points, rule=rule)
        nuclei, known = target > 0, weight > 0
        counts += ((nuclei != (truth > 0)) & known).sum(), known.sum(), truth.size
        dice.append(2 * (nuclei & (truth > 0)).sum() / (nuclei.sum() + (truth > 0).sum()))
    return counts[0] / counts[1], counts[1] / counts[2], np.mean(dice)


@pytest.mark.slow
def test_the_published_scores_on_real_nuclei(data):
    wrong, known, dice = scores(data, "paper")
    assert wrong == pytest.approx(0.0953, abs=0.003)
    assert dice == pytest.approx(0.757, abs=0.005)
    assert known == pytest.approx(0.58, abs=0.01)


@pytest.mark.slow
def test_by_color_more_is_known_and_less_is_wrong_on_real_nuclei(data):
    wrong, known, dice = scores(data, "color")
    assert wrong < 0.053
    assert known > 0.83
    assert dice > 0.755
