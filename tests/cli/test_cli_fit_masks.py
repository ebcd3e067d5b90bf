"""`hsn fit --masks`: a folder of images and masks gives a trained folder that segments objects."""

import json
from pathlib import Path

import numpy as np
import pytest

from hsn.annotations.label_files import read_labels, write_labels
from hsn.data.setup import DataSummary, FitRequest
from hsn.images.read import read, write
from hsn.stains.normalizers import fit_normalizer
from hsn.supervision import masks
from hsn.supervision.masks import preset
from hsn.supervision.masks.setup import DEFAULT_PRESET, NETS, Options, check
from hsn.taxonomies import GLAS

MPP = 0.31
QUICK = ["--width", "2", "--epochs", "2", "--batch", "2", "--mpp", str(MPP), "--validation", "0.25"]
SMALL = ["--net", "unet", *QUICK]
SQUARE = '<Vertex X="4" Y="4"/><Vertex X="20" Y="4"/><Vertex X="20" Y="20"/><Vertex X="4" Y="20"/>'


@pytest.fixture
def folder(tissue):
    """Four images of drawn tissue; three have label images in a folder of their own, one has XML."""
    for k, drawn in enumerate(tissue("masks/images", 4, (48, 64), mpp=MPP)):
        if k < 3:
            write_labels(Path(f"masks/labels/{k}.png"), drawn.instances)
    regions = f'<Regions><Region Id="1"><Vertices>{SQUARE}</Vertices></Region></Regions>'
    Path("masks/3.xml").write_text(f'<Annotations><Annotation Id="1">{regions}</Annotation></Annotations>')
    return Path("masks")


@pytest.fixture
def spy(spy_on):
    return spy_on(masks)


def test_a_folder_becomes_a_net_that_numbers_objects(run, folder):
    write(folder / "images/lonely.png", np.zeros((48, 64, 3), np.uint8))
    result = run("fit", "--masks", folder, "--out", "mine", "--json", *SMALL)
    assert result.exit_code == 1
    assert result.stderr.endswith("lonely.png: has no mask of its name\nhsn: 1 failed, named above\n")
    assert result.said["images"] == 4
    assert len(result.said["epochs"]) == 2
    assert {"validation_loss", "validation_iou", "validation_pq"} <= set(result.said["best"])
    assert all(Path(f).is_file() for f in result.said["files"])
    assert read("mine/learning.png").ndim == 3
    card, config = (json.loads(Path(f"mine/{name}.json").read_text()) for name in ("card", "config"))
    assert (card["method"], card["name"]) == ("masks", "mine")
    assert config["mpp"] == config["image_mpp"] == MPP
    pixels = np.concatenate([read(folder / f"images/{k}.png").reshape(-1, 3) for k in range(4)])
    assert config["normalization"]["mean"] == pytest.approx(pixels.mean(axis=0))
    assert config["normalization"]["std"] == pytest.approx(pixels.std(axis=0))
    train = config["train"]
    assert (train["crop_px"], train["batch_size"]) == (48, 2)
    assert train["steps"] == 3  # 4 images of 48 x 64 px, 2 crops of 48 x 48 px a step
    (one,) = run("segment", folder / "images/0.png", "--model", "mine", "--json").said
    assert one["objects"] == read_labels("out/instances/0.png").max()
    again = run("fit", "--masks", folder, "--out", "mine", "--json", *SMALL)  # is done already
    assert again.said["epochs"] == result.said["epochs"]


def test_fullnet_trains_with_the_published_numbers(run, folder, spy):
    options = ["--mpp", MPP, "--width", "3", "--taxonomy", "glas", "--seed", "5"]
    assert run("fit", "--masks", folder, "--net", "fullnet", "--out", "mine", *options).exit_code == 2
    config = spy["config"]
    assert (config.postprocess.separation, config.postprocess.overlap, config.targets.shrink_px) == (
        "components",
        "larger",
        1,
    )
    assert config.postprocess.grow_um == pytest.approx(2 * MPP)
    assert config.taxonomies == (GLAS,)
    assert (config.train.batch_size, config.train.epochs, config.train.seed) == (8, 80, 5)
    assert (spy["net"].name, spy["net"].output_shape[-1]) == ("fullnet", 3)


@pytest.mark.parametrize("method", ["reinhard", "macenko"])
def test_stain_normalization_is_applied_if_requested(run, folder, spy, method):
    assert run("fit", "--masks", folder, "--stain", method, "--out", "mine", *SMALL).exit_code == 2
    images = [read(folder / f"images/{k}.png") for k in range(4)]
    target = fit_normalizer(method, images)
    assert spy["config"].normalization.stain == target
    pixels = np.concatenate([target.normalize(image).reshape(-1, 3) for image in images])
    assert spy["config"].normalization.mean == pytest.approx(pixels.mean(axis=0))
    assert spy["config"].normalization.std == pytest.approx(pixels.std(axis=0))


def test_files_without_a_partner_and_bad_ones_are_left_out_and_named(run, folder, spy):
    write(folder / "images/lonely.png", np.zeros((48, 64, 3), np.uint8))
    write_labels(folder / "labels/other.png", np.eye(48, dtype=int))
    write_labels(folder / "labels/1.png", np.eye(47, dtype=int))
    result = run("fit", "--masks", folder, "--out", "mine", *SMALL)
    assert [path.name for path in spy["images"]] == ["0.png", "2.png", "3.png"]
    assert [path.name for path in spy["annotations"]] == ["0.png", "2.png", "3.xml"]
    assert "lonely.png: has no mask of its name" in result.stderr
    assert "other.png: has no image of its name" in result.stderr
    assert "1.png must have the size of its image, (48, 64); got (47, 47)" in result.stderr


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--masks", "masks", "--tags", "names"], "kind-ambiguous"),
        (["--masks", "masks", "--kind", "points"], "kind-ambiguous"),
        ([], "data-missing"),
        (["--tags", "names", "--classes", "a,b"], "data-missing"),
        (["elsewhere", "--masks", "masks"], "images-elsewhere"),
        (["--masks", "masks", "--window-px", "8"], "option-of-other-kind"),
        (["--masks", "masks", "--net", "m2"], "net-unknown"),
        (["--masks", "masks", "--width", "0.25"], "width-channels"),
        (["--masks", "masks", "--width", "1000000"], "width-channels"),
        (["--masks", "masks", "--stain", "vahadane"], "stain-unknown"),
        (["masks", "--tags", "names", "--stain", "macenko"], "option-of-other-kind"),
        (["--masks", "masks", "--out", "my net"], "out-name"),
        (["--masks", "masks", "--out", "x" * 101], "out-name"),
        (["--masks", "masks/images"], "pairs-missing"),
        (["--masks", "nowhere"], "folder-missing"),
        (["--masks", "masks", "--taxonomy", "adp-func"], "taxonomy-classes"),
        (["--masks", "masks", "--validation", "1"], "split-empty"),
        (["--masks", "masks", "--mpp", "0"], "mpp-range"),
    ],
)  # fmt: skip
def test_invalid_data_is_an_error_before_any_training(run, folder, options, code):
    result = run("fit", *QUICK, *(["--out", "mine"] if "--out" not in options else []), *options)
    assert (result.exit_code, result.code) == (2, code)
    assert "Traceback" not in result.stderr
    assert not Path("mine").exists()


def test_a_folder_with_only_invalid_images_is_an_error(run, folder):
    for path in (folder / "images").iterdir():
        path.write_text("no image")
    result = run("fit", "--masks", folder, "--out", "mine", *SMALL)
    assert (result.exit_code, result.code) == (2, "no-images-left")


def test_flat_images_do_not_divide_by_zero():
    seen = DataSummary()
    seen.add(0, "a.png", "a.xml", np.full((4, 6, 3), 9, np.uint8))
    assert seen.std == (1, 1, 1)
    assert (seen.mean, seen.pixels, seen.min_side_px) == ((9, 9, 9), 24, 4)


def test_every_net_for_masks_has_a_preset_whose_crops_it_can_halve():
    for net in NETS:
        check(FitRequest(mpp=0.5, net=net), Options())
        assert preset(DEFAULT_PRESET[net]).train.crop_px % 16 == 0
