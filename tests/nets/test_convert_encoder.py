"""The reader of legacy torch checkpoints: it reads tensors, runs nothing, and checks every length."""

import importlib.util
import io
import pickle
import struct
import sys
import types
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

_PATH = Path(__file__).parents[2] / "benchmarks" / "convert_encoder.py"
_SPEC = importlib.util.spec_from_file_location("convert_encoder", _PATH)
convert = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(convert)


class Storage:
    """Stands for a torch storage while a checkpoint is written."""

    def __init__(self, key, numbers):
        self.key, self.numbers = key, numbers


class View:
    """Stands for a tensor while a checkpoint is written."""

    def __init__(self, storage, offset, shape, strides):
        self.arguments = (storage, offset, shape, strides, False, OrderedDict())

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


@pytest.fixture
def write(monkeypatch):
    """A function that writes a legacy checkpoint; torch itself is not needed."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2(*arguments):
        raise AssertionError("torch's own function must not run")

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch"})

    def written(state, storages, *, magic=convert.MAGIC, tail=b""):
        class Pickler(pickle.Pickler):
            def persistent_id(self, thing):
                if isinstance(thing, Storage):
                    return "storage", torch.FloatStorage, thing.key, "cpu", len(thing.numbers), None
                return None

        file = io.BytesIO()
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "torch", torch)
            patch.setitem(sys.modules, "torch._utils", utils)
            for thing in (magic, convert.PROTOCOL, {"little_endian": True}, state, [s.key for s in storages]):
                Pickler(file, 2).dump(thing)
        for storage in storages:
            file.write(struct.pack("<q", len(storage.numbers)))
            file.write(np.asarray(storage.numbers, "<f4").tobytes())
        return io.BytesIO(file.getvalue() + tail)

    return written


def test_tensors_are_read_in_any_order_of_their_axes(write):
    one, two = Storage("a", np.arange(12.0)), Storage("b", np.arange(3.0))
    state = OrderedDict(rows=View(one, 0, (3, 4), (4, 1)), columns=View(one, 0, (3, 4), (1, 3)),
                        part=View(one, 5, (2,), (2,)), other=View(two, 0, (3,), (1,)))  # fmt: skip
    found = convert.read_legacy(write(state, [two, one]))
    assert list(found) == ["rows", "columns", "part", "other"]
    np.testing.assert_array_equal(found["rows"], np.arange(12).reshape(3, 4))
    np.testing.assert_array_equal(found["columns"], np.arange(12).reshape(4, 3).T)
    assert found["part"].tolist() == [5, 7]
    assert found["other"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("offset", "shape", "strides"), [(0, (13,), (1,)), (9, (4,), (1,)), (0, (4, 4), (4, 1)), (-1, (2,), (1,)),
                                     (0, (2,), (-1,)), (0, (2, 2), (12, 1))]
)  # fmt: skip
def test_a_tensor_outside_its_storage_is_an_error(write, offset, shape, strides):
    storage = Storage("a", np.arange(12.0))
    with pytest.raises(pickle.UnpicklingError, match="inside its storage"):
        convert.read_legacy(write(OrderedDict(x=View(storage, offset, shape, strides)), [storage]))


def test_a_file_of_another_length_is_an_error(write):
    storage = Storage("a", np.arange(12.0))
    state = OrderedDict(x=View(storage, 0, (12,), (1,)))
    with pytest.raises(pickle.UnpicklingError, match="end after its last storage"):
        convert.read_legacy(write(state, [storage], tail=b"x"))
    whole = write(state, [storage]).getvalue()
    with pytest.raises(pickle.UnpicklingError, match="must hold 12 numbers"):
        convert.read_legacy(io.BytesIO(whole[:-4]))


def test_another_format_is_an_error(write):
    with pytest.raises(pickle.UnpicklingError, match="not a legacy torch checkpoint"):
        convert.read_legacy(write({}, [], magic=1))


class Call:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("function", [eval, getattr, Path])
def test_other_names_are_neither_imported_nor_called(write, function):
    for state in (OrderedDict(x=Call(function, "1")), Call(function, "1")):
        with pytest.raises(pickle.UnpicklingError, match="is not allowed"):
            convert.read_legacy(write(state, []))


def test_a_file_with_another_checksum_is_not_opened(tmp_path):
    (tmp_path / "other.pth").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(SystemExit, match="must hold a checkpoint of SHA-256"):
        convert.read_source(tmp_path / "other.pth")


def test_torchs_own_legacy_file_is_read(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed; a hand-made file is read instead")
    state = OrderedDict(a=torch.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1), n=torch.tensor(7))
    torch.save(state, tmp_path / "x.pth", _use_new_zipfile_serialization=False)
    with (tmp_path / "x.pth").open("rb") as file:
        found = convert.read_legacy(file)
    assert all(np.array_equal(found[name], state[name].numpy()) for name in state)


def test_every_layer_has_its_name_in_the_checkpoint():
    found = {convert.source_of(name) for name in convert.layer_names()}
    assert len(found) == len(convert.layer_names()) == 96
    assert {"_conv_stem", "_bn0", "_blocks.0._depthwise_conv", "_blocks.15._bn2"} <= found
