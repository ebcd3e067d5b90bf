"""Learning from mixed annotation: loss, crops by kind, pseudo-labels, split, and one study from folder to result."""

import json

import keras
import numpy as np
import pytest

import hsn
from hsn.annotations import qupath
from hsn.annotations.annotation import Annotation, Point, Shape, Tag
from hsn.annotations.label_files import write_labels
from hsn.annotations.sampling import points_from_instances
from hsn.data import synthetic
from hsn.images.read import write
from hsn.nets import unet
from hsn.projects.study import StudyImage, new_study, write_images
from hsn.supervision.mixed import make_loss, preset
from hsn.supervision.mixed.crops import MixedCrops, count_kinds
from hsn.supervision.mixed.sources import ABSENT_TAG, MASK, POINT, PSEUDO, UNKNOWN, UNUSED
from hsn.supervision.mixed.teacher import Teacher
from hsn.supervision.mixed.training import Prepare
from hsn.supervision.mixed.validation import split_images, validate
from hsn.training.images import training_images
from hsn.training.loop import Learner, adam
from hsn.workflows import fitting

MPP, SIDE = 0.5, 96
TRAIN = {
    "epochs": 4,
    "steps": 2,
    "batch_size": 3,
    "crop_px": 32,
    "validation": (0,),
    "seed": 3,
    "warmup_steps": 0,
}


@pytest.fixture(scope="module")
def config():
    return preset("cpu").replace(mpp=MPP, image_mpp=MPP, tiling={"halo_px": 8}, train=TRAIN)


@pytest.fixture(scope="module")
def drawn():
    return [synthetic.draw_tissue(seed, (SIDE, SIDE), mpp=MPP) for seed in (4, 2, 1, 6)]


def annotations_of(drawn):
    clicks = points_from_instances(drawn[1].instances, place="inside").tolist()
    return [
        Annotation(objects=drawn[0].instances),
        Annotation(points=tuple(Point(*click) for click in clicks)),
        Annotation(tags=(Tag("Nucleus", False),)),
        Annotation(),
    ]


def samples_of(drawn, config):
    tasks = [(annotation, False) for annotation in annotations_of(drawn)]
    return training_images([d.image for d in drawn], tasks, Prepare(config, False))


def crops_of(drawn, config, **changes):
    config = config.replace(**changes)
    samples = samples_of(drawn, config)
    return MixedCrops(samples, [count_kinds(s.load()) for s in samples], config, steps=2)


def small_net(seed=1):
    return unet.build(3, depth=2, width=4, batch_norm=True, seed=seed)


# --- Loss --------------------------------------------------------------------------------------------------------


def packed(possible, weight, source, *, parts=None, shares=0.0):
    """A batch of one image of a row of pixels, as `make_loss` takes it."""
    possible, weight, source = (np.asarray(value, np.float32) for value in (possible, weight, source))
    parts = np.zeros(len(weight)) if parts is None else np.asarray(parts)
    target = np.concatenate([possible, parts[:, None]], axis=1)
    shares = np.broadcast_to(np.asarray(shares, np.float32), weight.shape)
    return target[None, None], np.stack([weight, source, shares], axis=1)[None, None]


def test_the_loss_is_the_sum_over_kinds_of_the_mean_over_their_known_pixels(config):
    p = np.array([[[[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6]]]])
    possible = [[1, 0, 0], [0, 1, 1], [0, 1, 1], [1, 0, 0]]
    target, weight = packed(possible, [2, 1, 1, 0.5], [MASK, POINT, POINT, ABSENT_TAG])
    value = make_loss(config.replace(min_known_px=1.0))(target, p, weight, None)
    expected = -2 * np.log(0.7) - (np.log(0.5) + np.log(0.9)) / 2 - 0.2 * 0.5 * np.log(0.2)
    assert float(value) == pytest.approx(expected, rel=1e-5)


def test_a_present_tag_is_pooled_over_its_tile(config):
    p = np.array([[[[0.9, 0.1, 0.0], [0.4, 0.3, 0.3]]]])
    target, weight = packed(np.zeros((2, 3)), [0, 0], [0, 0], shares=0.25)
    pool = np.log(np.mean(np.exp(5 * np.array([0.1, 0.6])))) / 5
    assert float(make_loss(config)(target, p, weight, None)) == pytest.approx(
        -0.05 * 0.25 * np.log(pool), rel=1e-4
    )


def test_few_known_pixels_do_not_outweigh_a_batch(config):
    p = np.array([[[[0.5, 0.25, 0.25]]]])
    target, weight = packed([[1, 0, 0]], [1], [POINT])
    value = float(make_loss(config.replace(min_known_px=10.0))(target, p, weight, None))
    assert value == pytest.approx(-np.log(0.5) / 10, rel=1e-5)


def test_unknown_pixels_have_no_gradient(config, drawn):
    x, target, weight, *_ = crops_of(drawn, config).batch(0, 0)
    unknown = weight[..., 0] == 0
    assert unknown.any()
    assert not unknown.all()
    other = target.copy()
    other[unknown] = np.random.default_rng(0).uniform(0, 3, other[unknown].shape)
    weights = []
    for given in (target, other):
        learner = Learner(small_net(), make_loss(config))
        learner.compile(optimizer=adam(config.train), jit_compile=False)
        learner.optimizer.learning_rate = 1e-2
        learner.train_on_batch(x, given, sample_weight=weight)
        weights.append(learner.net.get_weights())
    for one, two in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, two)
    assert any((w != s).any() for w, s in zip(weights[0], small_net().get_weights(), strict=True))


# --- Crops -------------------------------------------------------------------------------------------------------


def test_the_first_crop_is_of_the_most_precise_kind_and_batches_repeat(drawn, config):
    for seed in range(4):
        crops = crops_of(drawn, config, **{"train.seed": seed})
        x, target, weight, plain, ramp = crops.batch(0, 1)
        assert (weight[0, ..., 1] == MASK).any()
        assert ramp == 0
        np.testing.assert_array_equal(x, crops.batch(0, 1)[0])
    assert x.shape == plain.shape == (3, 32, 32, 3)
    assert target.shape == (3, 32, 32, 4)
    assert weight.shape == (3, 32, 32, 3)


def test_crops_hold_some_of_their_kind_and_kinds_follow_the_square_root_of_their_pixels(drawn, config):
    crops = crops_of(drawn, config, **{"train.batch_size": 40})
    sources = crops.batch(3, 0)[2][1:, ..., 1]
    kinds = {
        "masks": (sources == MASK).any(axis=(1, 2)).sum(),
        "tags": (sources == ABSENT_TAG).any(axis=(1, 2)).sum(),
        "nothing": np.isin(sources, (UNKNOWN, UNUSED)).all(axis=(1, 2)).sum(),
    }
    assert min(kinds.values()) >= 4, kinds
    assert max(kinds.values()) <= 20, kinds
    assert np.isin(sources, (POINT, 4, 5)).any(axis=(1, 2)).sum() >= 4


def test_images_without_annotation_are_drawn_only_when_pseudo_labels_begin(drawn, config):
    crops = crops_of(drawn, config, **{"train.batch_size": 40})
    early, late = (crops.batch(epoch, 0)[2][..., 1] for epoch in (0, 3))
    assert not np.isin(early, (UNKNOWN, UNUSED)).all(axis=(1, 2)).any()
    assert np.isin(late, (UNKNOWN, UNUSED)).all(axis=(1, 2)).any()


# --- Pseudo-labels -----------------------------------------------------------------------------------------------


def test_the_teacher_labels_unknown_pixels_that_it_is_sure_of(config):
    net = small_net()
    optimizer = adam(config.train)
    optimizer.build(net.trainable_variables)
    teacher = Teacher(net, optimizer, config.replace(pseudo_threshold=0.34))
    x = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype(np.float32)
    target, weight = np.zeros((1, 32, 32, 4), np.float32), np.zeros((1, 32, 32, 3), np.float32)
    weight[0, :8, :, 1], weight[0, 8:16, :, 1] = UNUSED, MASK
    before = teacher.complete((x, target.copy(), weight.copy(), x, 0.0))
    np.testing.assert_array_equal(before[1], target)
    _, labeled, weights = teacher.complete((x, target.copy(), weight.copy(), x, 0.5))
    np.testing.assert_array_equal(labeled[0, :16], target[0, :16])
    np.testing.assert_array_equal(weights[0, :16], weight[0, :16])
    p = keras.ops.convert_to_numpy(net(x, training=False))[0, 16:]
    sure = p.max(axis=-1) >= 0.34
    assert sure.any()
    np.testing.assert_array_equal(weights[0, 16:, :, 1] == PSEUDO, sure)
    np.testing.assert_allclose(weights[0, 16:, :, 0][sure], 0.5 * p.max(axis=-1)[sure], rtol=1e-4)
    np.testing.assert_array_equal(labeled[0, 16:, :, :3].argmax(axis=-1)[sure], p.argmax(axis=-1)[sure])


def test_the_teacher_has_the_averaged_weights(config):
    net = small_net()
    optimizer = adam(config.train)
    optimizer.build(net.trainable_variables)
    optimizer.learning_rate = 0.0
    optimizer.apply([keras.ops.zeros_like(v) for v in net.trainable_variables], net.trainable_variables)
    for variable in net.trainable_variables:
        variable.assign(variable + 1.0)  # the average still has the first weights
    teacher = Teacher(net, optimizer, config)
    teacher._update()
    for own, first in zip(teacher._copy.trainable_variables, small_net().trainable_variables, strict=True):
        np.testing.assert_allclose(own, first, atol=1e-6)


# --- Split and validation ----------------------------------------------------------------------------------------


def test_groups_are_never_divided_and_every_kind_is_on_both_sides():
    kinds = [("masks",), ("masks",), ("masks",), ("points",), ("points",), ("tags",), ("tags",), (), ()]
    groups = ["a", "a", "b", "b", "c", "d", "e", "f", None]
    for seed in range(8):
        split = split_images(kinds, groups, 0.3, seed=seed)
        assert not {groups[k] for k in split.learned} & {groups[k] for k in split.held_out}
        for kind in ("masks", "points", "tags"):
            for side in split[:2]:
                assert any(kind in kinds[k] for k in side), (seed, kind)
        assert not any(kinds[k] == () for k in split.held_out)


def test_blocks_validate_if_the_most_precise_kind_is_in_one_group(drawn, config):
    split = split_images([("masks",), ("points",)], [None, None], 0.25, seed=0)
    assert split.blocks
    record = Prepare(config.replace(**{"train.validation": 0.25}), True)(
        "a", drawn[0].image, (Annotation(objects=drawn[0].instances), True)
    )
    assert record.validating.mean() == pytest.approx(0.25, abs=0.05)
    counts = count_kinds(record)
    assert counts["masks"] == (~record.validating).sum()


def test_what_is_measured_depends_on_the_annotation(drawn, config):
    net = small_net()
    for annotation, measure in (
        (Annotation(objects=drawn[0].instances), "validation_pq"),
        (annotations_of(drawn)[1], "validation_f1"),
    ):
        samples = training_images([drawn[0].image], [(annotation, True)], Prepare(config, False))
        assert set(validate(net, samples, config)) == {"validation_loss", measure}
    tags = [(Annotation(tags=(Tag("Nucleus", present),)), True) for present in (True, False)]
    samples = training_images([d.image for d in drawn[:2]], tags, Prepare(config, False))
    assert set(validate(net, samples, config)) == {"validation_loss", "validation_auc"}


# --- One study ---------------------------------------------------------------------------------------------------


@pytest.fixture
def study(tmp_path):
    """Eight images: two with masks, two drawn in QuPath, three with tags, one with nothing."""
    folder = tmp_path / "study"
    folder.mkdir()
    for k in range(8):
        tissue = synthetic.draw_tissue(k, (48, 48), mpp=MPP)
        write(folder / f"{k}.png", tissue.image)
        if k < 2:
            write_labels(folder / f"{k}_mask.png", tissue.instances)
        elif k < 4:
            clicks = points_from_instances(tissue.instances, place="inside")[::2].tolist()
            area = Shape((np.array([[2.0, 2.0], [2.0, 20.0], [10.0, 30.0]]),), "Stroma")
            points = tuple(Point(*click, "Nucleus") for click in clicks)
            qupath.write(folder / f"{k}.geojson", Annotation(points=points, scribbles=(area,)))
    (folder / "tags.csv").write_text("name,Nucleus,Stroma\n4.png,0,1\n5.png,1,0\n6.png,,0\n")
    return folder


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*")
def test_one_study_trains_one_net_with_two_heads(study, tmp_path):
    model = hsn.fit(study, mpp=MPP, out=tmp_path / "mine", width=4, epochs=1, batch_size=2)
    assert model.card.method == "mixed"
    assert model.card.classes == ("background", "inside", "contour", "Other", "Stroma")
    assert {path.parent.name for path in (tmp_path / "mine" / "targets").glob("*/*.png")} == {
        "objects",
        "tissue",
    }
    objects = hsn.segment(study / "7.png", tmp_path / "mine", mpp=MPP)
    assert objects.instances is not None
    tissues = hsn.segment(study / "7.png", tmp_path / "mine", mpp=MPP, taxonomy="tissues")
    assert tissues.taxonomy.names == ("Other", "Stroma")
    assert tissues.labels.shape == (48, 48)
    assert "pq" in json.loads((tmp_path / "mine" / "card.json").read_text())["notes"]
    (tmp_path / "truth").mkdir()
    for k in (0, 1, 7):
        write_labels(tmp_path / "truth" / f"{k}.png", synthetic.draw_tissue(k, (48, 48), mpp=MPP).instances)
    options = {"truth": tmp_path / "truth", "by": "source", "out": tmp_path / "scores"}
    result = hsn.evaluate(tmp_path / "mine", study, **options)
    assert [row["source"] for row in result.scores["by_source"]] == ["mask"]
    mask = result.scores["by_source"][0]
    assert mask["annotated_pixels"] == mask["nearest_pixels"] == 2 * 48 * 48
    assert any("were not trained on" in sentence for sentence in result.notes)
    with pytest.raises(hsn.errors.InputError, match="path"):
        hsn.evaluate(model, study, **options)


def test_a_kind_can_be_left_out(study, monkeypatch):
    given = {name: None for name in ("tags", "points", "masks", "selected")}
    for left_out, classes in (((), 5), (("scribbles", "tags"), 3)):
        prepared = fitting.prepare(study, given, {"without": left_out}, mpp=MPP, out=study / "mine", width=4)
        assert prepared.kind == "mixed"
        assert len(prepared.setup.config.classes) == classes
    assert any(line.startswith("masks: 4 of 8 images") for line in prepared.setup.notes)


def test_a_study_folder_brings_its_classes_scales_groups_and_split(tmp_path):
    images = []
    for k in range(4):
        write(tmp_path / "images" / f"{k}.png", synthetic.draw_tissue(k, (48, 48), mpp=MPP).image)
        images.append(
            StudyImage(
                tmp_path / "images" / f"{k}.png", 0.25, f"patient {k}", ("train", "train", "val", "test")[k]
            )
        )
    classes = {"Blob": "object", "Cell sheet": "tissue"}
    study = new_study(tmp_path / "study", classes=classes, mpp=MPP)
    write_images(study, images)
    area = np.array([[2.0, 2.0], [2.0, 20.0], [10.0, 30.0]])
    drawn = Annotation(objects=(Shape((area,), "Blob"),), scribbles=(Shape((area + 20,), "Cell sheet"),))
    for k in range(3):
        qupath.write(study.folder / "annotations" / f"{k}.geojson", drawn)
    given = {name: None for name in ("tags", "points", "masks", "selected")}
    setup = fitting.prepare(study.folder, given, {}, mpp=MPP, out=tmp_path / "mine", width=4).setup
    assert setup.config.classes[3:] == ("Other", "Cell sheet")
    assert setup.config.taxonomies[0].names == ("Other", "Blob")
    assert setup.config.train.validation == (2,)
    assert [annotation.group for annotation in setup.annotations] == ["patient 0", "patient 1", "patient 2"]
    assert {annotation.mpp for annotation in setup.annotations} == {0.25}


# --- Beginning with a trained net ----------------------------------------------------------------------------------


def clicked_study(folder, drawn, clicks=6):
    study = new_study(folder, classes={"Nucleus": "object", "Background": "tissue"}, mpp=MPP)
    path = folder / "images" / "a.png"
    write(path, drawn[1].image)
    write_images(study, [StudyImage(path, MPP, None, "")])
    places = points_from_instances(drawn[1].instances, place="inside").tolist()[:clicks]
    points = tuple(Point(*place, label="Nucleus") for place in places)
    qupath.write(folder / "annotations" / "a.geojson", Annotation(points=points))
    return folder


def test_a_training_that_begins_with_a_net_takes_small_steps_and_its_post_processing(tmp_path, drawn):
    study = clicked_study(tmp_path / "study", drawn)
    fresh = fitting.prepare(study, {}, {}, mpp=MPP, out=tmp_path / "a").setup.config
    base = hsn.models.load("nuclei-cc0")
    ready = fitting.prepare(study, {}, {"steps": 7}, mpp=MPP, out=tmp_path / "b", start="nuclei-cc0").setup
    assert ready.config.train.steps == 7
    assert ready.config.train.learning_rate < fresh.train.learning_rate
    assert ready.config.pseudo_start == 0 < fresh.pseudo_start
    assert ready.config.postprocess.to_dict() == base.config["postprocess"] != fresh.postprocess.to_dict()
    np.testing.assert_array_equal(ready.net.get_weights()[0], base.net.get_weights()[0])


def test_the_last_epoch_is_kept_if_too_few_clicks_validate(tmp_path, drawn, monkeypatch):
    from hsn.supervision.mixed import validation

    points = annotations_of(drawn)[1]
    samples = training_images(
        [drawn[1].image], [(points, True)], Prepare(preset("cpu").replace(mpp=MPP, image_mpp=MPP), False)
    )
    config = preset("cpu").replace(mpp=MPP, image_mpp=MPP)
    allowed = [validation.allowed_measures(sample.load(), config) for sample in samples]
    monkeypatch.setattr(validation, "_MIN_CLICKS", len(points.points))
    assert validation.find_monitor(allowed, config) == "f1"
    monkeypatch.setattr(validation, "_MIN_CLICKS", len(points.points) + 1)
    assert validation.find_monitor(allowed, config) == "last"
