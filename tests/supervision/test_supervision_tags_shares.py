"""Segmentation nets from tags: the share loss, pseudo-masks, the set-up of their classes, and what they learn."""

import numpy as np
import pytest
from keras import ops

from hsn.data.discovery import from_lists
from hsn.data.setup import FitRequest
from hsn.nets import unet
from hsn.supervision import segment, tags
from hsn.supervision.tags import setup
from hsn.supervision.tags.losses import make_loss, mean_in_cells
from hsn.supervision.tags.share_training import pseudo_mask
from hsn.taxonomies import BackgroundRule, OtherRule, Taxonomy, parse

PINK, BLUE, GRAY = (230, 150, 180), (80, 60, 140), (150, 150, 150)
CLASSES = ("pink", "blue")


def taxonomy(**rules):
    names = {"pink": PINK, "blue": BLUE, "rest": GRAY, "glass": (250, 250, 250)}
    classes = [{"name": name, "color": list(color)} for name, color in names.items()]
    parsed = parse({"name": "mine", "classes": classes[: 3 + ("background" in rules)]})
    return Taxonomy("mine", parsed.classes, other=OtherRule("rest"), **rules)


def patches(count, rng, side=32):
    """Draw gray patches with a pink square, a blue one, both, or none."""
    tagged = rng.random((count, 2)) < 0.5
    images = np.full((count, side, side, 3), GRAY, np.uint8)
    labels = np.full((count, side, side), 2)
    for image, label, present in zip(images, labels, tagged, strict=True):
        for k, (color, left) in enumerate(((PINK, 0), (BLUE, side // 2))):
            row = rng.integers(0, side - 16)
            if present[k]:
                box = np.s_[row : row + 16, left : left + 16]
                image[box], label[box] = color, k
    return images + rng.integers(0, 9, images.shape, dtype=np.uint8), tagged.astype(float), labels


def prepare(images, tagged, *, taxonomies=(), classes=CLASSES, **options):
    found = from_lists("tags", list(images), tagged, classes=classes)
    request = FitRequest(mpp=1.0, name="mine", width=0.1, taxonomies=taxonomies, seed=0)
    setup.check(request, setup.Options(**options))
    return setup.prepare(found, request, setup.Options(**options))


# --- Loss ---


def test_shares_of_cells_are_means_over_their_pixels(rng):
    maps = rng.random((2, 26, 26, 3), np.float32)
    whole = ops.average_pool(maps, 6, 4)  # six cells, from border to border
    np.testing.assert_allclose(mean_in_cells(maps, (6, 6), 6 / 26), whole, atol=1e-5)
    np.testing.assert_allclose(mean_in_cells(maps, (), 1.0), maps.mean(axis=(1, 2)), atol=1e-5)
    halves = mean_in_cells(maps[:, :3, :3], (2, 2), 0.5)  # the middle row and column count half in each
    weights = np.float32([1, 0.5]) / 1.5
    expected = np.einsum("r,s,rsc->c", weights, weights, maps[0, :2, :2])
    np.testing.assert_allclose(halves[0, 0, 0], expected, atol=1e-5)


def test_the_loss_compares_the_share_with_the_definition_of_a_tag():
    config = tags.preset("cpu").replace(**{"shares.min_share": 0.1, "shares.slope": 30.0})
    maps = np.zeros((1, 10, 10, 2), np.float32)
    maps[..., 1] = 1
    maps[0, :3] = [1, 0]  # 30 % of the first class
    loss = make_loss(config)
    one, other = ([[1.0, 0.0]], [[0.0, 0.0]])
    expected = [-np.log(1 / (1 + np.exp(-sign * 30 * (0.3 - 0.1)))) for sign in (1, -1)]
    for target, value in zip((one, other), expected, strict=True):
        assert float(loss(target, maps, [[1.0, 0.0]], None)) == pytest.approx(value, rel=1e-4)


def test_an_absent_class_of_a_large_share_still_has_a_gradient():
    loss = make_loss(tags.preset("cpu").replace(**{"shares.slope": 100.0}))
    values = [float(loss([[0.0]], np.full((1, 2, 2, 1), p, np.float32), [[1.0]], None)) for p in (0.9, 1.0)]
    assert values[1] - values[0] > 5


# --- Pseudo-masks ---


def config(**changes):
    base = tags.preset("cpu").replace(
        classes=taxonomy().names,
        thresholds=(0.0,) * 3,
        taxonomies=(Taxonomy("mine", taxonomy().classes),),
        mpp=1.0,
        image_mpp=1.0,
        window_px=32,
        cam_layers=None,
        normalization={"mean": (128,) * 3, "std": (64,) * 3},
        crf={"mine": tags.CRFConfig(iterations=0)},
    )
    return base.replace(**changes)


def build(seed=0):
    return unet.build(3, depth=1, width=8, batch_norm=True, seed=seed)


def test_pseudo_masks_turn_with_the_patch_and_leave_out_unsure_pixels(rng):
    image, net = patches(1, rng)[0][0], build()
    sure = config(**{"shares.second.min_confidence": 0.0})
    mask = pseudo_mask(net, image, sure)
    assert mask.dtype == np.int32
    assert mask.min() >= 1
    turned = pseudo_mask(net, np.ascontiguousarray(np.rot90(image)), sure)
    assert (np.rot90(mask) == turned).mean() > 0.99  # rounding may decide a tie
    unsure = pseudo_mask(net, image, config(**{"shares.second.min_confidence": 1.0}))
    assert (unsure == 0).all()


# --- Training ---


@pytest.mark.parametrize("second", [None, pytest.param({"crop_px": 32}, marks=pytest.mark.slow)])
def test_a_net_trained_on_tags_alone_finds_the_pixels(tmp_path, rng, second):
    images, tagged, _ = patches(48, rng)
    rest = np.where(tagged.any(axis=1, keepdims=True), np.nan, 1)
    short = config(
        shares={"min_share": 0.1, "slope": 30.0, "second": second},
        train={"epochs": 18, "batch_size": 8, "learning_rate": 1e-2, "warmup_steps": 5},
    )
    history = tags.fit(build(), images, np.hstack([tagged, rest]), short, out=tmp_path / "net")
    assert [row["stage"] for row in history.epochs] == [1] * 18 + [2] * 18 * (second is not None)
    assert history.best >= len(history.epochs) - 18
    found, _, truth = patches(8, rng)
    correct = [(segment(i, tmp_path / "net").labels == t).mean() for i, t in zip(found, truth, strict=True)]
    assert np.mean(correct) > 0.8
    assert (tmp_path / "net" / "pseudo").exists() == (second is not None)


def test_maps_of_overlapped_windows_turn_with_the_image(rng):
    image, net = patches(1, rng, side=32)[0][0], build()
    upright, turned = (segment_maps(net, np.ascontiguousarray(i)) for i in (image, np.rot90(image)[:, ::-1]))
    np.testing.assert_allclose(np.rot90(upright)[:, ::-1], turned, atol=1e-5)
    assert np.abs(segment_maps(net, image, tta=1) - upright).max() > 1e-3


def segment_maps(net, image, tta=8):
    return tags.segment(net, image, config(windows="overlapped", tta=tta)).probabilities


# --- Set-up ---


def test_patches_without_a_tag_add_a_class_for_the_rest(rng):
    images, _, _ = patches(3, rng, side=40)
    ready = prepare(images, [[1, 0], [0, 0], [np.nan, 0]])
    assert ready.config.classes == ("pink", "blue", "other")
    np.testing.assert_array_equal(ready.annotations, [[1, 0, np.nan], [0, 0, 1], [np.nan, 0, np.nan]])
    assert (ready.config.window_px, ready.config.mpp) == (32, 40 / 32)
    assert ready.net.output_shape[-1] == 3
    assert ready.config.train.epochs == 300
    assert ready.config.shares.slope == 12
    assert prepare(images, [[1, 0], [0, 1], [1, 1]]).config.classes == CLASSES


def test_glass_and_other_are_tagged_by_the_rules_of_the_taxonomy(rng):
    images, _, _ = patches(4, rng)
    images[:2, :, :20] = 255  # two patches with glass
    rules = taxonomy(background=BackgroundRule("glass", exceptions=("pink",)))
    ready = prepare(images, [[0, 0], [1, 0], [0, 1], [0, 0]], taxonomies=(rules,), min_share=0.1)
    assert ready.config.shares.slope == pytest.approx(30)
    assert ready.config.classes == ("pink", "blue", "rest", "glass")
    assert ready.config.taxonomies[0].inferred == ()
    glass = ready.annotations[:, 3]
    np.testing.assert_array_equal(glass, [1, np.nan, 0, 0])  # pink is bright too
    np.testing.assert_array_equal(ready.annotations[:, 2], [np.nan, np.nan, np.nan, 1])


def test_cells_of_a_grid_overlap_by_their_size(rng):
    images, _, _ = patches(2, rng, side=26)
    grid = rng.integers(0, 2, (2, 6, 6, 2))
    assert prepare(images, grid, cell_px=6).config.shares.cell == pytest.approx(6 / 26)
    assert prepare(images, grid).config.shares.cell == pytest.approx(1 / 6)


@pytest.mark.parametrize(
    ("tagged", "options", "code"),
    [
        ([[1], [1]], {}, "nothing-to-learn"),
        ([[1], [np.nan]], {}, "nothing-to-learn"),
        ([[1], [0]], {"cell_px": 8}, "tags-grid"),
        ([[1], [0]], {"min_share": 1.5}, "min-share"),
    ],
)
def test_tags_that_a_segmentation_net_cannot_learn_are_an_error(rng, tagged, options, code, raises_code):
    with raises_code(code):
        prepare(patches(2, rng)[0], tagged, classes=("pink",), **options)


def test_skewed_tags_are_noted(rng):
    images = [patches(1, rng)[0][0]] * 50
    tagged = np.zeros((50, 2))
    tagged[:49, 0] = tagged[0, 1] = 1
    notes = " ".join(prepare(images, tagged).notes)
    assert "pink is absent from 2.0 %" in notes
    assert "blue is present in 2.0 %" in notes
