"""Tissue classes of a slide do not depend on blocks, workers and restarts; they are those of the patch path."""

import hashlib
import itertools

import numpy as np
import pytest

import hsn
from hsn.images.slide import open_slide
from hsn.progress import Cancelled
from hsn.supervision import method_of, open_model
from hsn.wsi.run import Options, segment_slide

EVERYTHING = np.ones((1, 1), bool)


def run(slide, model, out, *, taxonomy=None, tissue=EVERYTHING, progress=None, **options):
    return segment_slide(
        open_slide(slide),
        model,
        out,
        taxonomy=taxonomy,
        tissue=tissue,
        options=Options(**options),
        progress=progress,
    )


def digests(result):
    contents = [result.labels[:].tobytes(), result.probabilities[:].tobytes()]
    contents += [(result.folder / f"exports/{kind}/small.{kind}").read_bytes() for kind in ("csv", "geojson")]
    return [hashlib.sha256(content).hexdigest() for content in contents]


@pytest.fixture(scope="module")
def whole(small_slide, tags_model, tmp_path_factory):
    """The classes of the slide in one block."""
    return run(small_slide, tags_model, tmp_path_factory.mktemp("whole"), block_px=4096)


def on_patches(slide, model, **options):
    """The result of the patch path over all pixels of a slide."""
    loaded, opened = open_model(model), open_slide(slide)
    method, config = method_of(loaded)
    image = opened.read_level(0, 0, *opened.dimensions[::-1])
    return method.segment(loaded.net, image, config, mpp=config.mpp, **options)


def assert_same_but_for_ties(found, expected, maps, *, steps=2):
    """Classes differ only where the two highest probabilities are closer than the rounding to bytes."""
    highest = np.sort(maps, axis=2)
    lead = highest[..., -1] - highest[..., -2]
    differ = found != expected
    assert differ.mean() < 2e-3
    assert lead[differ].max(initial=0) <= steps / 255


def test_the_classes_are_those_of_the_patch_path(small_slide, tags_model, whole):
    expected = on_patches(small_slide, tags_model)
    labels = whole.labels[:]
    assert set(np.unique(labels)) == {0, 1}
    assert min(np.bincount(labels.ravel())) > 20_000
    assert (labels != expected.labels).mean() < 2e-3
    np.testing.assert_allclose(
        np.moveaxis(whole.probabilities[:], 0, 2) / 255, expected.probabilities, atol=2.5 / 255
    )
    np.testing.assert_allclose(whole.summary["scores"], expected.scores, atol=1e-6)


@pytest.mark.parametrize("block_px", [256, 512])
def test_classes_do_not_depend_on_the_blocks(small_slide, tags_model, whole, tmp_path, block_px):
    assert digests(run(small_slide, tags_model, tmp_path, block_px=block_px)) == digests(whole)


@pytest.mark.slow
def test_classes_do_not_depend_on_the_workers(small_slide, tags_model, whole, tmp_path):
    assert digests(run(small_slide, tags_model, tmp_path, workers=2, block_px=256)) == digests(whole)


@pytest.mark.parametrize("stop_at", [1, 4])
def test_a_run_that_was_stopped_continues_to_the_same_classes(
    small_slide, tags_model, whole, tmp_path, stop_at
):
    counter = itertools.count()

    def stop(event):
        if next(counter) == stop_at:
            raise Cancelled

    with pytest.raises(Cancelled):
        run(small_slide, tags_model, tmp_path, block_px=256, progress=stop)
    assert digests(run(small_slide, tags_model, tmp_path, block_px=512)) == digests(whole)


def test_off_the_tissue_all_pixels_have_the_first_class(small_slide, tags_model, whole, tmp_path):
    mask = np.zeros((7, 9), bool)
    mask[:, :2] = True  # 200 px
    result = run(small_slide, tags_model, tmp_path, tissue=mask)
    labels = result.labels[:]
    assert not labels[:, 200:].any()
    assert len(list(tmp_path.glob("done/windows/*.*"))) == 3
    # Windows far from the edge of the mask have all their neighbors.
    np.testing.assert_array_equal(labels[:, :140], whole.labels[:, :140])
    assert sum(result.summary["classes_mm2"]) == pytest.approx(700 * 200 * 0.25**2 / 1e6, abs=2e-5)
    assert {*result.objects["class"]} <= {"G.O"}


def test_both_heads_of_a_net_of_mixed_annotation_run_on_slides(small_slide, mixed_model, tmp_path):
    nuclei = run(small_slide, mixed_model, tmp_path / "nuclei")
    assert nuclei.probabilities.shape[0] == 3
    assert len(nuclei.objects) > 20
    tissue = run(small_slide, mixed_model, tmp_path / "tissue", taxonomy="tissue", block_px=256)
    expected = on_patches(small_slide, mixed_model, taxonomy="tissue")
    assert tissue.instances is None
    assert tissue.counts is None
    assert_same_but_for_ties(tissue.labels[:], expected.labels, expected.probabilities)


def test_a_folder_of_slides_has_areas_of_classes_in_its_table(small_slide, tags_model, tmp_path):
    (row,) = hsn.segment([small_slide], tags_model, out=tmp_path, tissue="none")
    assert row["status"] == "done"
    assert float(row["fraction of G.O"]) + float(row["fraction of Other"]) == pytest.approx(1, abs=1e-5)
    assert float(row["mm2 of G.O"]) + float(row["mm2 of Other"]) == pytest.approx(
        float(row["tissue_mm2"]), rel=1e-3
    )
    assert float(row["seconds"]) > 0
    files = hsn.export(tmp_path, ["ome-tiff", "parquet"], tmp_path / "later")
    assert all(file.stat().st_size > 1000 for file in files)
