"""Report: results of a net on a data set, scored where there is truth; failures do not stop it."""

from dataclasses import replace

import numpy as np
import pytest

import hsn
from hsn.annotations.colors import from_colors, to_colors
from hsn.annotations.label_files import read_labels, write_labels
from hsn.data.sample import Sample
from hsn.data.synthetic import draw_tissue
from hsn.images.read import read, write
from hsn.reports import page
from hsn.reports import report as report_module
from hsn.reports.overlay import overlay_picture
from hsn.reports.report import STAGES, labels_at, object_class, write_report
from hsn.supervision import method_of
from hsn.taxonomies import GLAS


@pytest.fixture
def samples(tmp_path):
    """Two drawn fields with numbered glands."""
    made = []
    for k in range(2):
        drawn = draw_tissue(k, (64, 80))
        write(tmp_path / f"{k}.png", drawn.image)
        write_labels(tmp_path / f"{k}_anno.png", drawn.glands)
        made.append(
            Sample(f"field {k}", tmp_path / f"{k}.png", {}, tmp_path / f"{k}_anno.png", "G.O", mpp=0.62)
        )
    return made


def test_the_last_stage_equals_the_result_of_segment(tiny_model, samples, tmp_path):
    made = write_report(tiny_model, samples, out=tmp_path / "out")
    assert not made.failures
    for sample in samples:
        expected = hsn.segment(sample.image(), tiny_model, mpp=sample.mpp).labels
        stem = sample.image_path.stem
        for folder in ("colors", "stages/crf"):
            labels, known = from_colors(read(tmp_path / "out" / "glas" / folder / f"{stem}.png"), GLAS)
            assert known.all()
            np.testing.assert_array_equal(labels, expected)
        single = read_labels(tmp_path / "out" / "glas" / "mask_gland" / f"{stem}.bmp")
        np.testing.assert_array_equal(single, expected == 1)
        multi = read_labels(tmp_path / "out" / "glas" / "instances_gland" / f"{stem}.bmp")
        np.testing.assert_array_equal(multi > 0, expected == 1)


def test_every_stage_is_written_at_the_scale_of_its_sample(tiny_model, samples, tmp_path):
    finer = replace(samples[0], mpp=0.31)
    write_report(tiny_model, [finer], out=tmp_path / "out")
    model = hsn.load(tiny_model)
    method, config = method_of(model)
    stages = method.stages(model.net, finer.image(), config, mpp=0.31)
    for stage, inner in {"GradCAM": "cam", "Adjust": "adjusted", "CRF": "refined"}.items():
        labels, _ = from_colors(read(tmp_path / "out" / "glas" / "stages" / stage.lower() / "0.png"), GLAS)
        np.testing.assert_array_equal(labels, stages.labels(inner))
    assert (stages.labels("adjusted") != stages.labels("refined")).any()


def test_every_stage_is_counted_against_the_truth(tiny_model, samples, tmp_path):
    evaluation = write_report(tiny_model, samples, out=tmp_path / "out").evaluations["glas"]
    assert list(evaluation.counts) == ["GradCAM", "Adjust", "CRF"]
    assert evaluation.images == 2
    truth = np.bincount(np.concatenate([s.truth(GLAS)[0].ravel() for s in samples]))
    for counts in evaluation.counts.values():
        np.testing.assert_array_equal(counts.sum(axis=1), truth)


def test_stages_are_resized_as_maps_to_the_size_of_the_image(tiny_model, samples):
    model = hsn.load(tiny_model)
    method, config = method_of(model)
    stages = method.stages(
        model.net,
        samples[0].image(),
        config.replace(crf={config.taxonomy().name: {"mpp": 1.24}}),
        mpp=0.62,
    )
    assert stages.image.shape[:2] == (32, 40)
    for inner in STAGES.values():
        assert labels_at(stages, inner, (64, 80)).shape == (64, 80)
    np.testing.assert_array_equal(labels_at(stages, "refined", (32, 40)), stages.labels("refined"))


def test_bad_images_and_bad_truth_are_listed_as_failures(tiny_model, samples, tmp_path):
    samples[0].image_path.write_text("no image")
    broken = replace(samples[1], name="broken truth", instances_path=tmp_path / "missing.png")
    made = write_report(tiny_model, [*samples, broken], out=tmp_path / "out")
    assert made.evaluations["glas"].images == 1
    assert [name for name, _ in made.failures] == ["field 0", "broken truth"]
    assert "must be a PNG, JPEG, TIFF or BMP image" in made.failures[0][1]
    assert len(made.pages) == 1


def test_without_truth_there_are_pictures_and_no_scores(tiny_model, samples, tmp_path):
    blind = [Sample("a", samples[0].image_path)]
    made = write_report(tiny_model, blind, out=tmp_path / "out")
    assert str(made) == ""
    assert {path.parent.name for path in made.files} == {
        "gradcam", "adjust", "crf", "colors", "overlay", "summary",
    }  # fmt: skip


def test_truth_in_colors_is_scored_at_the_given_size(tiny_model, samples, tmp_path):
    painted = to_colors(np.zeros((32, 40), int), GLAS)
    painted[:16] = 9  # unknown
    write(tmp_path / "colors.png", painted)
    sample = Sample("a", samples[0].image_path, {"glas": tmp_path / "colors.png"})
    for size, pixels in (("image", 32 * 80), ("full", 16 * 40)):
        made = write_report(tiny_model, [sample], out=tmp_path / size, size=size)
        assert made.evaluations["glas"].counts["CRF"].sum() == pixels


def test_objects_are_numbered_only_if_the_samples_number_them(samples):
    assert object_class(samples, GLAS) == "G.O"
    assert object_class([replace(s, instances_of=None) for s in samples], GLAS) is None
    assert (
        object_class(
            samples, hsn.taxonomies.parse({"name": "x", "classes": [{"name": "T", "color": [1, 2, 3]}]})
        )
        is None
    )


def test_a_taxonomy_that_the_net_lacks_raises(tiny_model, samples, tmp_path, raises_code):
    with raises_code("taxonomy-unknown"):
        write_report(tiny_model, samples, out=tmp_path, taxonomies=["adp-func"])


def test_a_net_with_instances_has_one_stage_and_its_objects_are_drawn(samples, tmp_path, monkeypatch):
    model = hsn.load("glas-masks")
    drawn = []
    monkeypatch.setattr(
        report_module,
        "draw_summary",
        lambda *args, **kw: drawn.append(kw) or page.draw_summary(*args, **kw),
    )
    made = write_report(model, samples[:1], out=tmp_path / "out")
    assert not made.failures
    assert list(made.evaluations["glas"].counts) == ["prediction"]
    expected = hsn.segment(samples[0].image(), model, mpp=samples[0].mpp)
    np.testing.assert_array_equal(drawn[0]["instances"], expected.instances)
    np.testing.assert_array_equal(drawn[0]["true_instances"], samples[0].instances())
    multi = read_labels(tmp_path / "out" / "glas" / "instances_gland" / "0.bmp")
    np.testing.assert_array_equal(multi, expected.instances)
    folders = {path.parent.name for path in made.files if path.parent.parent.name == "glas"}
    assert folders == {"colors", "overlay", "summary", "mask_gland", "instances_gland"}
    picture = read(tmp_path / "out" / "glas" / "overlay" / "0.png")
    np.testing.assert_array_equal(
        picture, overlay_picture(samples[0].image(), expected.labels, GLAS, expected.instances, mpp=0.62)
    )
