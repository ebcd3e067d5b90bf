import json
import os
import subprocess
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest

from hsn import InputError
from hsn.models import Card, Normalization, available, folders, keras_file, load, save

CONFIG = {"classes": ["gland", "stroma"], "window_px": 8, "note": "µm"}


def small_net(outputs=2, seed=0):
    """The kinds of layers that the nets of this project are made of, small."""
    keras.utils.set_random_seed(seed)
    x = inputs = keras.Input((8, 8, 3), name="patch")
    x = keras.layers.Conv2D(16, 3, padding="same", kernel_regularizer=keras.regularizers.L2(5e-4))(x)
    x = keras.layers.BatchNormalization()(keras.layers.Activation("relu")(x))
    x = keras.layers.Concatenate()([x, keras.layers.Conv2DTranspose(4, 2, padding="same")(x)])
    inner = keras.Sequential([keras.layers.Dropout(0.3), keras.layers.MaxPooling2D(2)], name="inner")
    x = keras.layers.GlobalMaxPooling2D()(inner(x))
    return keras.Model(inputs, keras.layers.Dense(outputs, activation="sigmoid")(x), name="small")


def card_of(outputs=2):
    return Card(
        name="small",
        method="tags",
        classes=("gland", "stroma", "other")[:outputs],
        thresholds=(0.5,) * outputs,
        mpp=0.62,
        taxonomies=("glas",),
        normalization=Normalization(mean=193, std=56),
    )


@pytest.fixture(scope="module")
def net():
    return small_net()


@pytest.fixture
def folder(tmp_path, net):
    save(tmp_path / "small", net, card_of(), CONFIG)
    return tmp_path / "small"


@pytest.fixture
def patches(rng):
    return rng.normal(size=(3, 8, 8, 3)).astype(np.float32)


def resealed(folder, change):
    """Change the members of a net and make its card fit again, as an attacker would."""
    path = folder / "net.keras"
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as new:
        for name, content in members.items():
            new.writestr(name, content)
    reseal(folder)


def reseal(folder):
    card = Card.read(folder)
    card.model_copy(update={"sha256": folders.checksum(folder / "net.keras")}).write(folder)


def with_architecture(folder, change):
    def edit(members):
        architecture = json.loads(members["config.json"])
        change(architecture)
        members["config.json"] = json.dumps(architecture)

    resealed(folder, edit)


# --- saved and loaded --------------------------------------------------------------------------------------


def test_a_trained_folder_comes_back_as_it_was(folder, net, patches):
    model = load(folder)
    assert np.array_equal(model.net(patches), net(patches))
    assert model.config == CONFIG
    assert model.card.parameters == net.count_params()
    assert model.card == Card.read(folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "card.json",
        "config.json",
        "net.keras",
    ]
    assert not model.net.compiled


def test_a_compiled_and_trained_net_is_saved_without_its_optimizer(tmp_path, patches):
    net = small_net()
    net.compile("adam", "mse")
    net.fit(patches, np.zeros((3, 2)), verbose=0)
    save(tmp_path, net, card_of(), CONFIG)
    assert np.allclose(load(tmp_path).net(patches), net(patches), atol=1e-6)
    assert net.compiled
    with zipfile.ZipFile(tmp_path / "net.keras") as packed:
        assert "compile_config" not in json.loads(packed.read("config.json"))
        with packed.open("model.weights.h5") as file, h5py.File(file) as stored:
            assert "optimizer" not in stored


def test_equal_nets_have_equal_files(tmp_path):
    for name in ("one", "other"):
        inputs = keras.Input((8, 8, 3), name="image")
        shared = keras.DTypePolicy("float32")
        layers = [keras.layers.Conv2D(2, 3, dtype=shared, name=f"c{k}") for k in range(2)]
        outputs = keras.layers.GlobalAveragePooling2D(name="mean")(layers[1](layers[0](inputs)))
        built = keras.Model(inputs, outputs, name="net")
        built.set_weights([np.full(w.shape, 0.5, np.float32) for w in built.get_weights()])
        save(tmp_path / name, built, card_of(), CONFIG)
    assert (tmp_path / "one" / "net.keras").read_bytes() == (tmp_path / "other" / "net.keras").read_bytes()


def test_a_saved_net_has_no_date(folder):
    with zipfile.ZipFile(folder / "net.keras") as packed:
        assert {item.date_time for item in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert json.loads(packed.read("metadata.json"))["date_saved"].startswith("1980-01-01")


def test_half_precision_halves_the_file_and_moves_no_score_visibly(tmp_path, rng):
    net = keras.Sequential([keras.Input((300,)), keras.layers.Dense(400), keras.layers.Dense(2)])
    whole = save(tmp_path / "whole", net, card_of(), CONFIG)
    half = save(tmp_path / "half", net, card_of(), CONFIG, half=True)
    sizes = [(tmp_path / name / "net.keras").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.62 * sizes[0] < 0.62 * 4 * net.count_params()
    assert whole.sha256 != half.sha256
    x = rng.normal(size=(20, 300)).astype(np.float32)
    exact, near = net(x), load(tmp_path / "half").net(x)
    assert 0 < np.abs(exact - near).max() < 2e-3 * np.abs(exact).max()
    assert load(tmp_path / "half").net.layers[0].kernel.dtype == "float32"


def test_rounding_is_that_of_half_floats_without_their_range(rng):
    values = rng.normal(size=10_000).astype(np.float32)
    assert np.array_equal(keras_file.rounded(values), values.astype(np.float16).astype(np.float32))
    wide = np.float32([1e30, -1e-30, 70_000])
    assert np.allclose(keras_file.rounded(wide), wide, rtol=5e-4, atol=0)


def test_saving_again_replaces_the_net_and_leaves_other_files(folder, patches):
    (folder / "history.csv").write_text("epoch,loss")
    other = small_net(seed=1)
    save(folder, other, card_of(), CONFIG)
    assert np.array_equal(load(folder).net(patches), other(patches))
    assert (folder / "history.csv").exists()


def test_a_failed_save_leaves_what_was_there(folder, net, patches, monkeypatch, raises_code):
    def full(path, net, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keras_file, "write", full)
    with raises_code("disk-full"):
        save(folder, small_net(seed=1), card_of(), CONFIG)
    assert np.array_equal(load(folder).net(patches), net(patches))
    assert len(list(folder.iterdir())) == 4


@pytest.mark.slow
def test_the_same_file_gives_equal_predictions_on_jax(folder, net, patches, tmp_path):
    np.save(tmp_path / "x.npy", patches)
    program = (
        "import sys, numpy as np; from hsn.models import load; folder, x, y = sys.argv[1:]\n"
        "np.save(y, np.asarray(load(folder).net(np.load(x))))"
    )
    arguments = [str(folder), str(tmp_path / "x.npy"), str(tmp_path / "y.npy")]
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", program, *arguments], env=environment, check=True, timeout=120)
    assert np.abs(np.load(tmp_path / "y.npy") - net(patches)).max() < 1e-4


def test_an_invalid_card_or_config_is_not_saved(tmp_path, net, raises_code):
    with raises_code("card-mismatch"):
        save(tmp_path / "a", net, card_of(3), CONFIG)
    for config in ({"a": np.zeros(2)}, {"a": float("nan")}):
        with raises_code("config-invalid"):
            save(tmp_path / "a", net, card_of(), config)
    (tmp_path / "file").touch()
    with raises_code("folder-not-writable"):
        save(tmp_path / "file", net, card_of(), CONFIG)
    assert not (tmp_path / "a").exists()


# --- found -------------------------------------------------------------------------------------------------


def test_nets_are_found_by_name_where_they_ship_and_where_they_are_imported(
    tmp_path, home, net, monkeypatch, raises_code
):
    monkeypatch.setattr(folders, "PRETRAINED", tmp_path / "pretrained")
    save(tmp_path / "pretrained" / "shipped", net, card_of(), CONFIG)
    save(home / "imported", net, card_of(), CONFIG)
    save(home / "shipped", net, card_of(), {"an": "imported namesake"})
    (home / "broken").mkdir()
    (home / "broken" / "card.json").write_text("{}")
    found = [(name, where) for name, where, card in available()]
    assert found == [("shipped", tmp_path / "pretrained" / "shipped"), ("imported", home / "imported")]
    assert load("imported").config == load("shipped").config == CONFIG
    with raises_code("card-invalid"):
        load("broken")
    with raises_code("model-unknown"):
        load("glass")


def test_home_is_in_the_cache_folder_of_the_system(monkeypatch, tmp_path):
    assert folders.home() == tmp_path / "home"
    monkeypatch.delenv("HSN_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    for platform, place in (("linux", "cache"), ("win32", "local")):
        monkeypatch.setattr(folders.sys, "platform", platform)
        assert folders.home() == tmp_path / place / "hsn"
    monkeypatch.setattr(folders.sys, "platform", "darwin")
    assert folders.home().parts[-3:] == ("Library", "Caches", "hsn")


# --- refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["net.keras", "card.json", "config.json"])
def test_a_missing_file_is_named(folder, name, raises_code):
    (folder / name).unlink()
    with raises_code("file-unreadable"):
        load(folder)


def test_a_net_that_its_card_does_not_describe_is_not_opened(folder, monkeypatch, raises_code):
    with (folder / "net.keras").open("ab") as file:
        file.write(b"\0")
    monkeypatch.setattr(keras_file, "check", None)  # calling it would fail
    with raises_code("net-checksum"):
        load(folder)
    card_of().model_copy(update={"sha256": ""}).write(folder)
    with raises_code("net-checksum"):
        load(folder)


@pytest.mark.parametrize("text", ["", "[]", '{"a": NaN}', "[" * 100_000, '{"a": 1' + "0" * 5000 + "}"])
def test_an_invalid_config_is_an_error(folder, text, raises_code):
    (folder / "config.json").write_text(text)
    with raises_code("config-invalid"):
        load(folder)


def test_a_card_of_another_net_is_an_error(folder, raises_code):
    card = Card.read(folder)
    card.model_copy(update={"classes": ("a", "b", "c"), "thresholds": (0.1, 0.2, 0.3)}).write(folder)
    with raises_code("card-mismatch"):
        load(folder)
    card.model_copy(update={"parameters": 7}).write(folder)
    with raises_code("card-mismatch"):
        load(folder)


def test_code_in_a_net_is_an_error_and_not_run(folder, tmp_path, raises_code):
    witness = tmp_path / "was_here"
    inputs = keras.Input((8, 8, 3))
    name = str(witness)
    x = keras.layers.Lambda(lambda x: (__import__("pathlib").Path(name).touch(), x)[1])(inputs)
    net = keras.Model(inputs, keras.layers.GlobalMaxPooling2D()(x))
    net.save(folder / "net.keras")
    witness.unlink()
    reseal(folder)
    with raises_code("net-unsafe"):
        load(folder)
    assert not witness.exists()
    with raises_code("net-unsafe"):
        save(
            folder,
            net,
            card_of().model_copy(update={"classes": tuple("abc"), "thresholds": (0,) * 3}),
            CONFIG,
        )


@pytest.mark.parametrize(
    "node",
    [
        {"module": "builtins", "class_name": "function", "config": "eval", "registered_name": "function"},
        {"module": "keras.utils", "class_name": "get_file", "config": {}, "registered_name": None},
        {"module": "keras.layers", "class_name": "TFSMLayer", "config": {}, "registered_name": None},
        {"module": "keras.layers", "class_name": "Dense", "config": {}, "registered_name": "mine>Dense"},
        {"module": "os", "class_name": "Dense", "config": {}, "registered_name": None},
        {"module": None, "class_name": "Dense", "config": {}},
        {"module": "keras.layers", "class_name": ["Dense"], "config": {}},
        {"module": "keras.layers", "class_name": "__keras_tensor__", "config": {}},
        {"class_name": "__lambda__", "config": {"value": "4wEAAAA="}},
        {"module": "mine", "class_name": "CornerUpsampling2D", "registered_name": "hsn>CornerUpsampling2D"},
        {"module": "hsn.nets.fullnet", "class_name": "CornerUpsampling2D", "registered_name": "mine>Dense"},
        {"module": "hsn.nets.fullnet", "class_name": "build", "registered_name": "hsn>build"},
    ],
)
def test_anything_but_stock_layers_is_an_error_at_any_depth(folder, node, monkeypatch, raises_code):
    monkeypatch.setattr(keras_file, "read", None)  # Keras is not asked
    with_architecture(
        folder, lambda a: a["config"]["layers"][1]["config"].update(bias_initializer=[{"x": node}])
    )
    with raises_code("net-unsafe"):
        load(folder)


def test_the_pooled_baseline_survives_its_folder(tmp_path, rng):
    from hsn.nets import fullnet

    net = fullnet.build(layers_per_block=4, growth=2, pooled=True, seed=0)
    save(tmp_path / "pooled", net, card_of(3), CONFIG)
    image = rng.normal(size=(1, 32, 48, 3)).astype("float32")
    again = load(tmp_path / "pooled").net
    np.testing.assert_allclose(again(image, training=False), net(image, training=False), atol=1e-5)


@pytest.mark.parametrize("name", ["../evil.py", "assets/x", "model.weights.npz", "evil.py"])
def test_a_member_too_many_is_an_error(folder, name):
    resealed(folder, lambda members: members.update({name: b"x"}))
    with pytest.raises(InputError) as error:
        load(folder)
    assert error.value.code in ("archive-unsafe", "net-unsafe")


def test_a_net_that_is_a_bomb_is_an_error(folder, monkeypatch, raises_code):
    monkeypatch.setattr(keras_file, "NET_BYTES", 10_000)
    with raises_code("archive-too-large"):
        load(folder)


def test_damage_of_every_member_is_an_error(folder, raises_code):
    resealed(folder, lambda members: members.update({"config.json": b"{"}))
    with raises_code("net-damaged"):
        load(folder)
    resealed(folder, lambda members: members.update({"config.json": b"[" * 100_000}))
    with raises_code("net-damaged"):
        load(folder)
    resealed(folder, lambda members: members.update({"config.json": b"{}"}))
    with raises_code("net-damaged"):
        load(folder)
    resealed(folder, lambda members: members.update({"model.weights.h5": b"no weights"}))
    with raises_code("weights-damaged"):
        load(folder)
    (folder / "net.keras").write_bytes(b"no net")
    reseal(folder)
    with raises_code("archive-damaged"):
        load(folder)


def test_weights_that_point_elsewhere_are_errors(folder, tmp_path, raises_code):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["layers"] = h5py.ExternalLink("/etc/hosts", "/")
    resealed(folder, lambda m: m.update({"model.weights.h5": (tmp_path / "w.h5").read_bytes()}))
    with raises_code("weights-unsafe"):
        load(folder)


def test_weights_of_another_net_are_errors(folder, tmp_path, raises_code):
    small_net(3).save_weights(tmp_path / "x.weights.h5")
    resealed(folder, lambda m: m.update({"model.weights.h5": (tmp_path / "x.weights.h5").read_bytes()}))
    with raises_code("net-damaged"):
        load(folder)
