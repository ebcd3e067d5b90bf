import io
import json
import re
import struct
import zipfile

import numpy as np
import pytest

from hsn.models.torch_file import read_state

STATE = {
    "b.weight": np.arange(24, dtype="f4").reshape(2, 3, 4),
    "a.bias": np.float32([1.5]),
    "n": np.int64(7),
}


def safetensors(path, state, *, header=None, length=None):
    entries, body = {"__metadata__": {"format": "pt"}}, b""
    kinds = {"f4": "F32", "f2": "F16", "f8": "F64", "i8": "I64", "u2": "BF16"}
    for name, array in state.items():
        data = array.tobytes()
        kind = kinds[array.dtype.str[1:]]
        entries[name] = {
            "dtype": kind,
            "shape": array.shape,
            "data_offsets": (len(body), len(body) + len(data)),
        }
        body += data
    text = json.dumps(entries if header is None else header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + body)
    return path


def same(found, state):
    assert list(found) == list(state)
    for name, array in state.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_both_kinds_give_the_arrays_in_their_order(tmp_path):
    np.savez(tmp_path / "a.npz", **STATE)
    same(read_state(tmp_path / "a.npz"), STATE)
    np.savez_compressed(tmp_path / "b.NPZ", **STATE)
    (tmp_path / "b.NPZ.npz").rename(tmp_path / "b.NPZ")
    same(read_state(tmp_path / "b.NPZ"), STATE)
    same(read_state(safetensors(tmp_path / "c.safetensors", STATE)), STATE)
    by_column = {"x": np.asfortranarray(STATE["b.weight"][0])}
    np.savez(tmp_path / "d.npz", **by_column)
    same(read_state(tmp_path / "d.npz"), by_column)


def test_bfloat16_is_widened(tmp_path):
    stored = {"x": np.array([0x3F80, 0xC040], "<u2")}
    assert read_state(safetensors(tmp_path / "a.safetensors", stored))["x"].tolist() == [1, -3]


def npz(path, name, data):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, data)
    return path


def npy(array, shape=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=True)
    data = file.getvalue()
    return data if shape is None else data.replace(b"(2,)", shape.encode())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (npy(np.array([{}, {}])), r"got an array of object"),
        (npy(np.array(["a", "b"])), r"got an array of <U1"),
        (npy(np.ones(2), "(9,)"), r"got 16 bytes for an array of shape \(9,\)"),
        (npy(np.ones(2), "(-2,)"), r"an array of float64, \(-2,\)"),
        (b"hello", r"an entry that is not an array"),
        (b"\x93NUMPY\x09\x00", r"an entry that is not an array"),
    ],
)
def test_hostile_npz_are_errors(tmp_path, data, words, raises_code):
    with raises_code("weights-damaged") as error:
        read_state(npz(tmp_path / "net.npz", "x.npy", data))
    assert re.search(words, str(error.value))


def entry(**changes):
    return {"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **changes}}


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (entry(data_offsets=[0, 8]), r"a tensor of shape \[1\] at bytes 0 to 8 of 4"),
        (entry(shape=[2], data_offsets=[0, 8]), r"a tensor of shape \[2\] at bytes 0 to 8 of 4"),
        (entry(shape=[-1], data_offsets=[4, 0]), r"a tensor of shape"),
        (entry(data_offsets=[-4, 0]), r"a tensor of shape"),
        (entry(dtype="pickle"), r"not a table of tensors"),
        (entry(more=1), r"not a table of tensors"),
        ([1], r"not a table of tensors"),
        ({"x": 3}, r"not a table of tensors"),
    ],
)
def test_hostile_safetensors_are_errors(tmp_path, header, words, raises_code):
    path = safetensors(tmp_path / "a.safetensors", {"x": np.float32([1])}, header=header)
    with raises_code("weights-damaged") as error:
        read_state(path)
    assert re.search(words, str(error.value))


def test_other_files_are_errors(tmp_path, monkeypatch, raises_code):
    with raises_code("weights-format"):
        read_state(tmp_path / "net.pth")
    (tmp_path / "no.npz").write_bytes(b"PK nothing")
    (tmp_path / "no.safetensors").write_bytes(b"12")
    safetensors(tmp_path / "long.safetensors", STATE, length=999_999)
    for name in ("none.npz", "no.npz", "no.safetensors", "long.safetensors"):
        with raises_code("weights-damaged"):
            read_state(tmp_path / name)
    monkeypatch.setattr("hsn.models.torch_file._MAX_BYTES", 5000)
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros(9000))
    np.savez(tmp_path / "big.npz", x=np.zeros(9000))
    for name in ("bomb.npz", "big.npz"):
        with raises_code("weights-damaged") as error:
            read_state(tmp_path / name)
        assert "more than 5000 bytes" in str(error.value)
