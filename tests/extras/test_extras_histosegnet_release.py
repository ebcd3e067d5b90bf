"""A release drawn by program in the layout of the real one: random weights, the published thresholds' form."""

import io
import json
import re
import shutil
import stat
import struct
import zipfile
import zlib

import h5py
import keras
import numpy as np
import pytest
import scipy.io

from hsn import InputError, matlab
from hsn.config import Normalization
from hsn.extras.histosegnet import import_release, legacy
from hsn.extras.histosegnet.release import FILES, NAME, STEM
from hsn.limits import RELEASE_TABLE_BYTES
from hsn.models import archive, available, load
from hsn.nets import histonet
from hsn.supervision.tags.config import Config
from hsn.taxonomies import ADP_OUTPUTS

THRESHOLDS = np.linspace(1 / 3, 1, 51)
CURVES = np.full((2, 51), 0.5, object)  # a table of tables, as the release has for its ROC curves
CRF = {"morph": (1, 20, 10, 40, 50, 5), "func": (3, 40, 10, 4, 25, 5), "glas": (3, 40, 10, 4, 25, 5)}


def write_h5(path, net, change=None, root=""):
    """The legacy Keras 2.2 layout: every layer a group, listed with its weights by attributes."""
    with h5py.File(path, "w") as file:
        top = file.create_group(root) if root else file
        layers = [layer for layer in net.layers if not isinstance(layer, keras.layers.InputLayer)]
        top.attrs["layer_names"] = np.array([layer.name.encode() for layer in layers])
        for layer in layers:
            group = top.create_group(layer.name)
            names = [f"{layer.name}/{weight.name}:0" for weight in layer.weights]
            group.attrs["weight_names"] = np.array([name.encode() for name in names])
            for name, array in zip(names, layer.get_weights(), strict=True):
                group[name] = array
        if change:
            change(top)
    return path


def architecture(kinds=legacy.X1_7_LAYERS):
    config = [{"class_name": kind, "config": {"name": kind.lower()}} for kind in kinds]
    return {"class_name": "Sequential", "config": config, "keras_version": "2.2.2", "backend": "tensorflow"}


@pytest.fixture(scope="module")
def net():
    net = histonet.x1_7(seed=7)
    rng = np.random.default_rng(7)
    for layer in net.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return net


@pytest.fixture(scope="module")
def original(tmp_path_factory, net):
    """The release, unpacked; not to be changed."""
    root = tmp_path_factory.mktemp("release")
    data = root / "data"
    data.mkdir()
    (data / f"{STEM}.json").write_text(json.dumps(architecture()))
    write_h5(data / f"{STEM}.h5", net)
    content = {"optimalScoreThresh": THRESHOLDS[None], "LEVEL": 5, "XY_ROC": CURVES}
    scipy.io.savemat(data / f"{STEM}.mat", content, do_compression=True)
    for name, numbers in CRF.items():
        np.save(data / f"{name}_optimal_pcc.npy", np.array([numbers], np.int32))
    for name in ("img/01_tuning_patch/a.png", "gt/01_tuning_patch/func/a.png", "gt/02/b.bmp"):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_bytes(name.encode())
    return root


@pytest.fixture
def release(original, tmp_path):
    """The release, unpacked; for changing."""
    shutil.copytree(original, tmp_path / "release")
    return tmp_path / "release"


def packed(root, path, prefix=""):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packing:
        for file in sorted(root.rglob("*")):
            packing.write(file, prefix + str(file.relative_to(root)))
    return path


def nothing_stays(*folders):
    return not any(path for folder in folders for path in folder.rglob("*"))


# --- imported ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def imported(original, tmp_path_factory):
    return import_release(original, home=tmp_path_factory.mktemp("home"))


def test_the_imported_net_is_the_released_one(imported, net, rng):
    model = load(imported)
    patch = rng.normal(size=(1, 224, 224, 3)).astype(np.float32)
    assert np.array_equal(model.net(patch), net(patch))
    assert np.ptp(net(patch)) > 0.01  # not all saturated alike: the comparison says something
    assert model.net.count_params() == model.card.parameters == 1_753_203
    assert model.card.classes == ADP_OUTPUTS
    assert model.card.thresholds == tuple(THRESHOLDS)
    assert model.card.mpp == pytest.approx(1.2142857)
    assert sorted(path.name for path in imported.iterdir()) == [
        "README.md",
        "card.json",
        "config.json",
        "net.keras",
    ]


def test_the_config_of_the_release_is_a_config_of_tags(imported):
    config = Config.from_dict(load(imported).config)
    assert config.thresholds == tuple(THRESHOLDS)
    assert [taxonomy.name for taxonomy in config.taxonomies] == ["adp-morph", "adp-func", "glas"]
    assert config.crf["adp-morph"].gaussian == (1, 20)
    assert config.crf["adp-morph"].bilateral == (10, 40, 50)
    assert config.crf["adp-func"].mpp == config.mpp
    assert config.crf["adp-func"].replace(mpp=None) == config.crf["glas"]
    assert config.crf["glas"].gaussian == (3, 40)
    assert config.crf["glas"].bilateral == (10, 4, 25)
    assert config.crf["glas"].iterations == 5
    assert config.normalization == Normalization((193.09203,) * 3, (56.450138 + 1e-7,) * 3)
    assert (config.cam_layers, config.window_px) == (("activation_7", "dense_1"), 224)


@pytest.mark.parametrize("prefix", ["", "hsn_data/"])
def test_an_archive_is_imported_and_its_images_are_unpacked_on_request(original, tmp_path, home, prefix):
    path = packed(original, tmp_path / "hsn_data.zip", prefix)
    target = tmp_path / "work"
    (target / "img").mkdir(parents=True)
    (target / "img" / "mine.png").touch()
    assert import_release(path, data_to=target) == home / NAME
    files = {str(p.relative_to(target)): p.read_bytes() for p in target.rglob("*") if p.is_file()}
    assert files.pop("img/mine.png") == b""
    assert set(files) == {"img/01_tuning_patch/a.png", "gt/01_tuning_patch/func/a.png", "gt/02/b.bmp"}
    assert all(content == name.encode() for name, content in files.items())
    assert [path.name for path in target.iterdir() if path.name not in ("img", "gt")] == []
    assert [name for name, where, _ in available() if where.parent == home] == [NAME]
    assert load(NAME).card.name == NAME


def test_images_are_not_unpacked_by_default(original, tmp_path, home, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = packed(original, tmp_path / "hsn_data.zip")
    import_release(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["home", "hsn_data.zip"]


def test_the_data_folder_alone_is_enough(original, tmp_path):
    assert import_release(original / "data", home=tmp_path) == tmp_path / NAME


# --- refused: archives and folders -------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(release, home, name, raises_code):
    (release / "data" / name).unlink()
    with raises_code("release-incomplete") as error:
        import_release(release)
    assert f"no {name}" in str(error.value)
    assert not home.exists()


def test_an_archive_that_is_not_the_release_is_an_error(tmp_path, home, raises_code):
    with raises_code("release-incomplete"):
        import_release(tmp_path)
    with raises_code("archive-damaged"):
        import_release(tmp_path / "gone.zip")
    with raises_code("release-data-to"):
        import_release(tmp_path, data_to=tmp_path)
    (tmp_path / "a.zip").write_bytes(b"PK\3\4 and no more")
    with raises_code("archive-damaged"):
        import_release(tmp_path / "a.zip")
    assert not home.exists()


@pytest.mark.parametrize("hostile", ["../../climbed", "/tmp/climbed", "img/../../climbed", "img/link"])
def test_a_hostile_archive_leaves_nothing(original, tmp_path, home, hostile, raises_code):
    path = packed(original, tmp_path / "a.zip")
    member = zipfile.ZipInfo(hostile)
    if hostile == "img/link":
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as packing:
        packing.writestr(member, "/etc")
    target = tmp_path / "work"
    target.mkdir()
    with raises_code("archive-unsafe"):
        import_release(path, data_to=target)
    assert nothing_stays(target, home)


def test_a_bomb_among_the_images_leaves_nothing(original, tmp_path, home, monkeypatch, raises_code):
    monkeypatch.setattr(
        archive, "SMALL_ARCHIVE_BYTES", 2**20
    )  # the real bound would take a gigabyte of zeros
    monkeypatch.setattr(archive, "ARCHIVE_RATIO", 3)
    path = packed(original, tmp_path / "a.zip")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as packing:
        packing.writestr("img/zeros.png", bytes(30 * 2**20))
    target = tmp_path / "work"
    target.mkdir()
    with raises_code("archive-too-large"):
        import_release(path, data_to=target)
    assert nothing_stays(target, home)


def test_a_damaged_image_leaves_nothing(original, tmp_path, home, raises_code):
    path = packed(original, tmp_path / "a.zip")
    content = bytearray(path.read_bytes())
    content[content.index(b"gt/02/b.bmp") + 15] ^= 0xFF
    path.write_bytes(content)
    target = tmp_path / "work"
    target.mkdir()
    with raises_code("archive-damaged"):
        import_release(path, data_to=target)
    assert nothing_stays(target, home)


def test_a_place_that_cannot_be_written_is_an_error(original, tmp_path, raises_code):
    path = packed(original, tmp_path / "a.zip")
    with raises_code("folder-not-writable"):
        import_release(path, data_to=path)


# --- refused: the architecture -----------------------------------------------------------------------------


def test_newer_tables_and_input_layers_are_read(release):
    path = release / "data" / f"{STEM}.json"
    newer = architecture(("InputLayer", *legacy.X1_7_LAYERS))
    path.write_text(json.dumps(newer | {"config": {"name": "sequential_1", "layers": newer["config"]}}))
    legacy.check_architecture(path)


@pytest.mark.parametrize(
    "kinds",
    [
        legacy.X1_7_LAYERS[:-1],
        (*legacy.X1_7_LAYERS[:28], "GlobalAveragePooling2D", *legacy.X1_7_LAYERS[30:]),
        (*legacy.X1_7_LAYERS, "Lambda"),
        (*legacy.X1_7_LAYERS[:1], "BatchNormalization", "Activation", *legacy.X1_7_LAYERS[3:]),
        (),
    ],
)
def test_another_architecture_is_an_error(tmp_path, kinds, raises_code):
    (tmp_path / "a.json").write_text(json.dumps(architecture(kinds)))
    with raises_code("release-architecture"):
        legacy.check_architecture(tmp_path / "a.json")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"config": 5}', '{"config": [{}]}', "[" * 100_000, "\xff"])
def test_a_damaged_architecture_is_an_error(tmp_path, text, raises_code):
    (tmp_path / "a.json").write_text(text, encoding="latin-1")
    with raises_code("release-architecture"):
        legacy.check_architecture(tmp_path / "a.json")


# --- refused: the weights ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    return histonet.build(((2,), (3,)), 4, input_px=16, seed=1)


def copy_of(net):
    return keras.models.clone_model(net)


@pytest.mark.parametrize("root", ["", "model_weights"])
def test_weights_are_read_by_order_whatever_the_names(tmp_path, small, root):
    fresh = copy_of(small)
    fresh.get_layer("dense_1").name = "another"
    legacy.read_weights(write_h5(tmp_path / "w.h5", small, root=root), fresh)
    for one, other in zip(fresh.get_weights(), small.get_weights(), strict=True):
        assert np.array_equal(one, other)


def attribute(group, name, value):
    del group.attrs[name]
    if value is not None:
        group.attrs[name] = value


def replaced(group, value):
    name = group.attrs["weight_names"][0]
    del group[name]
    group[name] = value


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (
            lambda f: attribute(f, "layer_names", None),
            "release-weights",
            "a list `layer_names` in /; got nothing",
        ),
        (lambda f: attribute(f, "layer_names", 5), "release-weights", r"got an array of shape \(\)"),
        (lambda f: attribute(f, "layer_names", [b"gone"]), "release-weights", "a group for each"),
        (
            lambda f: attribute(f, "layer_names", f.attrs["layer_names"][:-3]),
            "release-weights",
            "hold 5 layers",
        ),
        (
            lambda f: attribute(f, "layer_names", f.attrs["layer_names"][::-1]),
            "release-weights",
            "at layer conv2d_1",
        ),
        (
            lambda f: attribute(f["dense_1"], "weight_names", None),
            "release-weights",
            "a list `weight_names` in /dense_1",
        ),
        (
            lambda f: attribute(f["dense_1"], "weight_names", [b"gone", b"too"]),
            "release-weights",
            r"dense_1.*got \[None, None",
        ),
        (
            lambda f: attribute(f["dense_1"], "weight_names", [b"\xff", b""]),
            "weights-damaged",
            "complete HDF5",
        ),
        (
            lambda f: replaced(f["dense_1"], np.zeros((3, 5))),
            "release-weights",
            r"shapes \[\(3, 4\), \(4,\)\] at layer dense_1",
        ),
        (lambda f: replaced(f["dense_1"], np.full((3, 4), np.nan)), "release-weights", "dense_1.*NaN or inf"),
        (
            lambda f: replaced(f["dense_1"], np.full((3, 4), -np.inf)),
            "release-weights",
            "dense_1.*NaN or inf",
        ),
        (lambda f: f.update({"x": h5py.ExternalLink("/etc/hosts", "/")}), "weights-unsafe", "other files"),
        (
            lambda f: f.create_dataset("x", (10**6, 10**6), "f4", chunks=True),
            "weights-unsafe",
            "declare at most",
        ),
        (lambda f: f.update({"x": "import os"}), "weights-unsafe", "hold only numbers"),
    ],
)
def test_other_damaged_and_hostile_weights_are_errors_and_change_nothing(
    tmp_path, small, change, code, words, raises_code
):
    fresh = copy_of(small)
    before = fresh.get_weights()
    with raises_code(code) as error:
        legacy.read_weights(write_h5(tmp_path / "w.h5", small, change), fresh)
    assert re.search(words, str(error.value))
    assert all(np.array_equal(one, other) for one, other in zip(before, fresh.get_weights(), strict=True))


def test_weights_cut_off_anywhere_are_errors(tmp_path, small, raises_code):
    content = write_h5(tmp_path / "w.h5", small).read_bytes()
    for part in (0.1, 0.5, 0.9):
        (tmp_path / "w.h5").write_bytes(content[: int(part * len(content))])
        with raises_code("weights-damaged"):
            legacy.read_weights(tmp_path / "w.h5", copy_of(small))


# --- refused: the thresholds -------------------------------------------------------------------------------


def mat(path, compressed=True, **content):
    scipy.io.savemat(path, content, do_compression=compressed)
    return path


@pytest.mark.parametrize("compressed", [True, False])
def test_thresholds_are_read(tmp_path, compressed):
    path = mat(tmp_path / "t.mat", compressed, LEVEL=5, optimalScoreThresh=THRESHOLDS[None], labels={"a": 1})
    assert legacy.read_thresholds(path, 51) == tuple(THRESHOLDS)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"other": THRESHOLDS[None]}, "got no table `optimalScoreThresh`"),
        ({"optimalScoreThresh": THRESHOLDS[:50]}, r"of shape \(1, 51\); got \(1, 50\)"),
        ({"optimalScoreThresh": THRESHOLDS[:, None]}, r"got \(51, 1\)"),
        ({"optimalScoreThresh": {"a": 1}}, "does not hold real numbers"),
        ({"optimalScoreThresh": CURVES[:1]}, "does not hold real numbers"),
        ({"optimalScoreThresh": "a" * 51}, "does not hold real numbers"),
        ({"optimalScoreThresh": THRESHOLDS[None] + 1j}, "does not hold real numbers"),
        ({"optimalScoreThresh": THRESHOLDS[None] + 0.01}, r"from 0 to 1; got 0\.34\d* to 1\.01"),
        ({"optimalScoreThresh": THRESHOLDS[None] - 1}, r"from 0 to 1"),
        ({"optimalScoreThresh": THRESHOLDS[None] * np.nan}, r"from 0 to 1; got nan"),
    ],
)
def test_other_tables_are_not_thresholds(tmp_path, content, words, raises_code):
    with raises_code("release-thresholds") as error:
        legacy.read_thresholds(mat(tmp_path / "t.mat", **content), 51)
    assert re.search(words, str(error.value))


@pytest.mark.parametrize("compressed", [True, False])
def test_damaged_thresholds_are_errors_or_numbers(tmp_path, rng, compressed):
    content = mat(tmp_path / "t.mat", compressed, LEVEL=5, optimalScoreThresh=THRESHOLDS[None]).read_bytes()
    outcomes = set()
    for place in range(128, len(content)):
        damaged = bytearray(content)
        damaged[place] ^= rng.integers(1, 256)
        try:
            outcomes.add(
                matlab.table(bytes(damaged), "optimalScoreThresh", max_bytes=RELEASE_TABLE_BYTES).dtype
            )
        except (ValueError, struct.error, zlib.error):  # as `read_thresholds` turns into refusals
            outcomes.add("refused")
    assert "refused" in outcomes
    assert outcomes <= {np.dtype(float), "refused"}


@pytest.mark.parametrize("compressed", [True, False])
def test_thresholds_cut_off_anywhere_are_errors(tmp_path, compressed, raises_code):
    content = mat(tmp_path / "t.mat", compressed, optimalScoreThresh=THRESHOLDS[None]).read_bytes()
    for length in range(0, len(content), 37):
        (tmp_path / "t.mat").write_bytes(content[:length])
        with raises_code("release-thresholds"):
            legacy.read_thresholds(tmp_path / "t.mat", 51)


def test_a_file_that_is_not_matlab_is_an_error(tmp_path, raises_code):
    for content in (b"", b"\x89HDF\r\n\x1a\n" * 50, b"MATLAB 5.0 MAT-file"):
        (tmp_path / "t.mat").write_bytes(content)
        with raises_code("release-thresholds"):
            legacy.read_thresholds(tmp_path / "t.mat", 51)
    (tmp_path / "t.mat").write_bytes(bytes(legacy.RELEASE_MATLAB_BYTES + 1))
    with raises_code("file-too-large"):
        legacy.read_thresholds(tmp_path / "t.mat", 51)


def element(kind, content, order="<"):
    return np.array([kind, len(content)], order + "u4").tobytes() + content


def test_a_matlab_bomb_is_an_error(tmp_path):
    head = mat(tmp_path / "t.mat", optimalScoreThresh=THRESHOLDS[None]).read_bytes()[:128]
    squeezed = zlib.compress(element(14, bytes(RELEASE_TABLE_BYTES)), 9)
    twice = zlib.compress(element(15, squeezed))
    for content, words in ((squeezed, "no table"), (twice, "element of kind 15")):
        (tmp_path / "t.mat").write_bytes(head + element(15, content))
        with pytest.raises(InputError, match=words):
            legacy.read_thresholds(tmp_path / "t.mat", 51)


def test_a_shape_that_its_numbers_do_not_fill_is_an_error(tmp_path, raises_code):
    content = mat(tmp_path / "t.mat", compressed=False, optimalScoreThresh=THRESHOLDS[None]).read_bytes()
    shape = np.array([1, 51], "<i4").tobytes()
    assert content.count(shape) == 1
    (tmp_path / "t.mat").write_bytes(content.replace(shape, np.array([1, 52], "<i4").tobytes()))
    with raises_code("release-thresholds"):
        legacy.read_thresholds(tmp_path / "t.mat", 52)


@pytest.mark.parametrize("stored", [(1, "i1"), (2, "u1"), (4, "u2"), (7, "f4"), (9, "f8")])
@pytest.mark.parametrize("order", ["<", ">"])
def test_numbers_are_read_however_matlab_stores_them(stored, order):
    def number(*values):
        return np.array(values, order + "i4").tobytes()

    code, dtype = stored
    numbers = np.array([[1, 2, 3], [4, 5, 6]])
    body = element(6, number(6, 0), order) + element(5, number(2, 3), order)
    body += (number((1 << 16) | 1)) + b"t\0\0\0"  # a name of one letter, in the head itself
    content = numbers.T.astype(order + dtype).tobytes()  # columns first
    body += element(code, content, order) + bytes(-len(content) % 8)
    head = b"MATLAB 5.0 MAT-file".ljust(126) + (b"IM" if order == "<" else b"MI")
    assert matlab.table(head + element(14, body, order), "t", max_bytes=1000).tolist() == numbers.tolist()


# --- refused: the CRF settings -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.ones((6, 1), int), r"integers of shape \(1, 6\); got int64 \(6, 1\)"),
        (np.ones((1, 6)), "got float64"),
        (np.zeros((1, 6), int), "from 1 to 999"),
        (np.full((1, 6), 1000), "from 1 to 999"),
    ],
)
def test_other_arrays_are_not_crf_settings(tmp_path, array, words, raises_code):
    np.save(tmp_path / "c.npy", array)
    with raises_code("release-crf") as error:
        legacy.read_crf(tmp_path / "c.npy")
    assert re.search(words, str(error.value))


class Trap:
    def __reduce__(self):
        return (open, ("was_here", "w"))


def test_pickled_objects_are_errors_and_not_run(tmp_path, monkeypatch, raises_code):
    monkeypatch.chdir(tmp_path)
    np.save("c.npy", np.array([[Trap()] * 6], object), allow_pickle=True)
    with raises_code("release-crf"):
        legacy.read_crf(tmp_path / "c.npy")
    assert not (tmp_path / "was_here").exists()


def test_damaged_crf_settings_are_errors(tmp_path, raises_code):
    file = io.BytesIO()
    np.save(file, np.ones((1, 6), np.int32))
    whole = file.getvalue()
    huge = whole.replace(b"(1, 6)", b"(9,6)*9"[:6])
    for content in (b"", whole[:9], whole[:-1], b"PK\3\4" * 9, huge):
        (tmp_path / "c.npy").write_bytes(content)
        with raises_code("release-crf"):
            legacy.read_crf(tmp_path / "c.npy")
    (tmp_path / "c.npy").write_bytes(bytes(5000))
    with raises_code("file-too-large"):
        legacy.read_crf(tmp_path / "c.npy")
