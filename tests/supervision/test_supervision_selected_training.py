"""Training from selected patches: all stages, rounds, synthetic pairs, and continued runs."""

import json
from dataclasses import replace

import numpy as np
import pytest
from routing import changed

from hsn import InputError, models, segment
from hsn.annotations.label_files import read_labels, write_labels
from hsn.data import synthetic
from hsn.extras import maskrcnn
from hsn.images.read import read, write
from hsn.metrics.objects import match
from hsn.metrics.table import overlaps
from hsn.nets import unet
from hsn.supervision import selected
from hsn.supervision.selected import Preset, preset, pseudo, training
from hsn.supervision.selected import synthetic as pairs_of
from hsn.supervision.selected.patches import load_patches
from hsn.supervision.selected.training import share_images
from hsn.training import object_training
from hsn.types import History

PATCHES = (0, 5, 4)  # made tissue of 64 px with whole nuclei
MPP = 0.31  # um per pixel: nuclei of 8 to 30 px
TINY = Preset(smallest_px=48, filters=(4,), critic_norm=False, steps=2, critic_steps=1, layouts=2, crop_px=32)
SMALL = maskrcnn.MaskRCNNConfig(
    blocks=(1, 1, 1, 1), width=4, pyramid=8, rpn=8, box=16, mask=8, mask_layers=1, head_norm=False, levels=(2,),
    sides_px=((8, 16),), head_levels=(2,), rois=16, tile_px=64, margin_px=8, detections=50, proposals=50,
    candidates=200, mean=(190.0, 140.0, 170.0), std=(40.0, 50.0, 40.0),
)  # fmt: skip


class Killed(Exception):  # noqa: N818 - it says what happened
    pass


def config(learning=None, **changes):
    numbers = {"epochs": 2, "steps": 2, "batch_size": 2, "crop_px": 32, "validation": (1,), "learning_rate": 5e-3,
               "min_learning_rate": 1e-3, "elastic_px": 1.0, "stain_gain": 0.1, **(learning or {})}  # fmt: skip
    wanted = {"mpp": MPP, "image_mpp": MPP, "halo_px": 8, "min_area_um2": 2.0, "synthetic": 2, "synthesis": TINY,
              "min_score": 0.0, "min_pseudo_area_um2": 0.0, **changes}  # fmt: skip
    return changed(preset("cpu"), **numbers, **wanted)


def net(seed=0):
    return unet.build(3, depth=1, width=4, batch_norm=True, seed=seed)


@pytest.fixture(scope="module")
def tissue():
    """Three annotated patches, the second validates, and two unlabeled images."""
    drawn = [synthetic.draw_tissue(seed, (64, 64), mpp=MPP) for seed in PATCHES]
    unseen = [synthetic.draw_tissue(seed, (48, 80), mpp=MPP).image for seed in (7, 8)]
    return [d.image for d in drawn] + unseen, [d.instances for d in drawn] + [None, None]


def copied(image, instances, *, out, count, **options):
    """Write darker copies of the patch instead of synthesized pairs."""
    for k in range(count):
        write(out / "pairs" / "images" / f"{k:03d}.png", image - image // (k + 5))
        write_labels(out / "pairs" / "labels" / f"{k:03d}.png", instances)


@pytest.fixture(autouse=True)
def no_synthesis(monkeypatch):
    monkeypatch.setattr(pairs_of, "synthesize", copied)


@pytest.fixture(scope="module")
def whole(tissue, tmp_path_factory):
    """An uninterrupted run."""
    out = tmp_path_factory.mktemp("selected") / "whole"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pairs_of, "synthesize", copied)
        return out, selected.fit(net(), *tissue, config(), out=out)


@pytest.mark.slow
def test_the_trained_folder_has_all_documented_files(whole, tissue):
    out, history = whole
    assert history.column("round") == [0, 0, 1, 1]
    assert history.column("epoch") == [1, 2, 1, 2]
    rounds = json.loads((out / "rounds.json").read_text())
    assert rounds["kept"] == history.epochs[history.best]["round"]
    assert [row["learned_from"] for row in rounds["rounds"]] == [
        {"real": 2, "synthetic": 4, "pseudo": 0}, {"real": 2, "synthetic": 4, "pseudo": 2},
    ]  # fmt: skip
    assert sorted(path.name for path in (out / "synthetic").iterdir()) == ["0000", "0002"]
    card = models.Card.read(out)
    assert card.method == "selected"
    assert card.notes.startswith("learned from 2 annotated patches, 4 synthetic pairs and ")
    assert f"of round {rounds['kept']} of 0 to 1 was kept" in card.notes
    for name in ("run.json", "start.weights.h5", "synthetic/", "rounds/K/", "pseudo/K/", "rounds.json"):
        assert name in (out / "training" / "README.md").read_text()
    summary = json.loads((out / "pseudo" / "1" / "summary.json").read_text())
    assert sorted(summary["images"]) == ["0003", "0004"]
    assert segment(tissue[0][3], out).instances.shape == (48, 80)


@pytest.mark.slow
def test_a_run_that_is_killed_at_every_stage_ends_with_the_same_weights(whole, tissue, tmp_path, monkeypatch):
    stages = [(pairs_of, "synthesize", 2), (object_training, "validate", 2), (pseudo, "select_pseudo_labels", 2),
              (object_training, "validate", 2), (models, "save", 1)]  # fmt: skip
    for place, name, call in stages:
        with monkeypatch.context() as patched:
            patched.setattr(place, name, dying(getattr(place, name), call))
            with pytest.raises(Killed):
                selected.fit(net(), *tissue, config(), out=tmp_path / "whole")
    for place, name in (
        (pairs_of, "synthesize"),
        (pseudo, "select_pseudo_labels"),
    ):  # what is there is not made again
        monkeypatch.setattr(place, name, dying(getattr(place, name), 1))
    history = selected.fit(net(), *tissue, config(), out=tmp_path / "whole")
    assert history.best == whole[1].best
    for mine, other in zip(history.epochs, whole[1].epochs, strict=True):
        assert mine == pytest.approx(other, rel=1e-4)
    for path in (whole[0] / "pseudo" / "1").glob("*/*.png"):
        twin = tmp_path / "whole" / path.relative_to(whole[0])
        np.testing.assert_array_equal(read_labels(path), read_labels(twin))
    one, two = (models.load(folder).net.get_weights() for folder in (whole[0], tmp_path / "whole"))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def dying(function, call):
    """Return a function that raises KeyboardInterrupt at the n-th call."""
    calls = []

    def of(*given, **options):
        calls.append(0)
        if len(calls) == call:
            raise Killed
        return function(*given, **options)

    return of


class Trained:
    """Replace the loop: each round sets all weights to its number, and gets a score of a list."""

    def __init__(self, scores):
        self.scores, self.seen = list(scores), []

    def __call__(self, system, learned, held_out, train, *, out, shares, **_):
        records = [[image.load() for image in images] for images in (learned, held_out)]
        self.seen.append((*records, shares, system.net.get_weights()))
        score = self.scores[len(self.seen) - 1]
        system.net.set_weights([np.full_like(w, len(self.seen)) for w in system.net.get_weights()])
        out.mkdir(parents=True)
        system.training_model.save_weights(out / "best.weights.h5")
        return History(({"epoch": 1, "validation_pq": score},), 0)


def test_the_round_with_the_best_validation_score_is_kept(tissue, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "fit_system", Trained([0.5, 0.7, 0.6]))
    mine = net()
    history = selected.fit(mine, *tissue, config(rounds=2), out=tmp_path / "mine")
    assert history.best == 1
    assert all((w == 2).all() for w in models.load(tmp_path / "mine").net.get_weights())
    assert all((w == 2).all() for w in mine.get_weights())
    assert models.Card.read(tmp_path / "mine").scores == {"validation_pq": 0.7}


@pytest.mark.parametrize("start", ["initial", "previous"])
def test_a_round_starts_with_the_initial_or_the_previous_weights(tissue, tmp_path, monkeypatch, start):
    loop = Trained([0.5, 0.7])
    monkeypatch.setattr(training, "fit_system", loop)
    selected.fit(net(3), *tissue, config(start=start), out=tmp_path / "mine")
    came, first, second = net(3).get_weights(), loop.seen[0][-1], loop.seen[1][-1]
    for a, b, c in zip(came, first, second, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(c, a if start == "initial" else np.ones_like(a))


def test_rounds_train_on_all_kinds_of_images_and_validate_on_annotated_ones(tissue, tmp_path, monkeypatch):
    loop = Trained([0.5, 0.7])
    monkeypatch.setattr(training, "fit_system", loop)
    images, annotations = tissue
    annotations = [np.ma.masked_array(annotations[0], np.eye(64, dtype=bool)), *annotations[1:]]
    selected.fit(net(), images, annotations, config(), out=tmp_path / "mine")
    learned, held_out, shares, _ = loop.seen[1]
    assert [record.pixels.shape[:2] for record in learned] == [(64, 64)] * 6 + [(48, 80)] * 2
    assert len(held_out) == 1
    np.testing.assert_array_equal(held_out[0].pixels, images[1])
    np.testing.assert_array_equal(held_out[0].instances, annotations[1])
    np.testing.assert_array_equal(learned[0].pixels, images[0])
    np.testing.assert_array_equal(learned[0].known, ~np.eye(64, dtype=bool))  # masked is unknown
    np.testing.assert_array_equal(learned[7].pixels, images[4])
    assert shares == [0.25] * 2 + [0.0625] * 4 + [0.125] * 2
    assert [len(seen[0]) for seen in loop.seen] == [6, 8]


def test_files_and_arrays_give_the_same_run(whole, tissue, tmp_path, monkeypatch):
    loop = Trained([0.5, 0.7])
    monkeypatch.setattr(training, "fit_system", loop)
    images, annotations = tmp_path / "images", tmp_path / "masks"
    for k, (image, instances) in enumerate(zip(*tissue, strict=True)):
        write(images / f"{k}.png", image)
        if instances is not None:
            write_labels(annotations / f"{k}.png", instances)
    files = sorted(images.iterdir()), [*sorted(annotations.iterdir()), None, None]
    selected.fit(net(), *files, config(), out=tmp_path / "mine")
    assert sorted(path.name for path in (tmp_path / "mine" / "synthetic").iterdir()) == ["0000-0", "0002-2"]
    np.testing.assert_array_equal(loop.seen[0][0][0].pixels, tissue[0][0])


def test_without_unlabeled_images_there_is_one_round(tissue, tmp_path, monkeypatch):
    loop = Trained([0.5])
    monkeypatch.setattr(training, "fit_system", loop)
    three = (side[:3] for side in tissue)
    selected.fit(net(), *three, config(synthetic=0, real_share=None), out=tmp_path / "mine")
    assert [len(side) for side in loop.seen[0][:2]] == [2, 1]
    assert loop.seen[0][2] is None
    assert not (tmp_path / "mine" / "synthetic").exists()
    assert not (tmp_path / "mine" / "pseudo").exists()


def test_a_patch_without_a_whole_nucleus_is_left_out_with_a_warning(tissue, tmp_path):
    images, annotations = (
        [np.zeros((64, 64, 3), np.uint8), *tissue[0][:2]],
        [np.zeros((64, 64), int), *tissue[1][:2]],
    )
    patches = load_patches(images, annotations, config({"validation": (2,)}))
    with pytest.warns(UserWarning, match="no synthetic pairs of patch 0000: the patch must hold a nucleus"):
        pairs = pairs_of.synthesize_pairs(patches.learned, config(), tmp_path)
    assert len(pairs) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["0001"]


def test_pairs_have_the_scale_of_the_image_and_are_rescaled_for_training(tissue, tmp_path):
    numbers = config(mpp=2 * MPP)
    patches = load_patches(*(side[:2] for side in tissue), numbers)
    pairs = [pair.load() for pair in pairs_of.synthesize_pairs(patches.learned, numbers, tmp_path)]
    assert [(pair.pixels.shape, pair.instances.shape) for pair in pairs] == [((32, 32, 3), (32, 32))] * 2
    assert all(pair.known.all() for pair in pairs)
    assert read(tmp_path / "0000" / "pairs" / "images" / "000.png").shape == (64, 64, 3)
    assert patches.learned[0].load().pixels.shape == (32, 32, 3)


def test_shares_of_real_synthetic_and_pseudo_labeled_images():
    shares = share_images(2, (4, 0, 1), 0.8)
    assert shares == pytest.approx([0.4] * 2 + [0.025] * 4 + [0.1])
    assert sum(shares) == pytest.approx(1)


def test_more_epochs_extend_the_first_round_and_repeat_the_later_ones(tissue, tmp_path):
    three = [side[:4] for side in tissue]
    first = selected.fit(net(), *three, config({"epochs": 1}, synthetic=0), out=tmp_path / "mine")
    longer = selected.fit(net(), *three, config({"epochs": 2}, synthetic=0), out=tmp_path / "mine")
    assert first.column("epoch") == [1, 1]
    assert longer.column("epoch") == [1, 2, 1, 2]
    assert longer.epochs[0] == first.epochs[0]


def test_invalid_input_is_an_error(whole, tissue, tmp_path, raises_code):
    images, annotations = tissue
    mine = {"out": tmp_path / "mine"}
    with raises_code("length-mismatch"):
        selected.fit(net(), images, annotations[:3], config(), **mine)
    with raises_code("shape-mismatch"):
        selected.fit(net(), images, [annotations[0][4:], *annotations[1:]], config(), **mine)
    with raises_code("validation-unlabeled"):
        selected.fit(net(), images, annotations, config({"validation": (3,)}), **mine)
    with raises_code("split-empty"):
        selected.fit(net(), images, [annotations[0], *[None] * 4], config({"validation": 0.2}), **mine)
    with raises_code("net-outputs"):
        selected.fit(unet.build(1, depth=1, width=4), images, annotations, config(), **mine)
    with pytest.raises(InputError, match="64 x 64"):
        selected.fit(net(), images, annotations, config(synthesis=replace(TINY, smallest_px=65)), **mine)
    with raises_code("run-other"):
        selected.fit(net(), images, annotations, config(rounds=3), out=whole[0])
    with raises_code("run-other"):
        selected.fit(net(), images, [annotations[2], *annotations[1:]], config(), out=whole[0])
    with raises_code("run-other"):
        selected.fit(unet.build(3, depth=2, width=4), images, annotations, config(), out=whole[0])


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [0, 1])
def test_a_mask_rcnn_can_replace_a_net_with_contours(tissue, tmp_path, rounds):
    numbers = {"epochs": 1, "crop_px": 64}
    mine = config(
        numbers,
        rounds=rounds,
        classes=("background", "nucleus"),
        detector=SMALL,
        mean=SMALL.mean,
        std=SMALL.std,
    )
    history = selected.fit(maskrcnn.build(SMALL, seed=0), *tissue, mine, out=tmp_path / "mine")
    assert history.column("round") == list(range(rounds + 1))
    assert np.isfinite(history.column("loss")).all()
    card = models.Card.read(tmp_path / "mine")
    assert card.classes == ("background", "nucleus")
    result = segment(tissue[0][3], tmp_path / "mine")
    assert result.instances.shape == (48, 80)
    assert result.probabilities.max() <= 1


@pytest.mark.slow
def test_a_net_trained_on_few_patches_finds_most_nuclei(tmp_path, monkeypatch):
    """Run all stages, including the synthesis."""
    monkeypatch.setattr(pairs_of, "synthesize", selected.synthesize)
    drawn = [synthetic.draw_tissue(seed, (96, 96), mpp=MPP) for seed in (0, 10, 1, 4)]  # with whole nuclei
    unseen = [synthetic.draw_tissue(seed, (96, 96), mpp=MPP).image for seed in (20, 21)]
    numbers = {"epochs": 4, "steps": 25, "batch_size": 4, "crop_px": 64}
    mine = config(numbers, min_score=0.6)
    out = tmp_path / "mine"
    images, told = [d.image for d in drawn] + unseen, [d.instances for d in drawn] + [None] * 2
    selected.fit(unet.build(3, depth=2, width=6, batch_norm=True, seed=0), images, told, mine, out=out)
    assert (out / "synthetic" / "0000" / "generators" / "0.keras").exists()
    other = synthetic.draw_tissue(9, (96, 112), mpp=MPP)
    assert match(overlaps(other.instances, segment(other.image, out).instances)).f1 > 0.5
