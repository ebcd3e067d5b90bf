"""`_seg.npy` of Cellpose: its masks are read, and nothing in it is run."""

import os
import pickle

import numpy as np
import pytest

from hsn.annotations import mask_files

SHAPE = (30, 40)


def saved(masks):
    """What Cellpose saves."""
    return {
        "outlines": masks.copy(), "masks": masks, "chan_choose": [0, 0], "ismanual": np.zeros(2, bool),
        "filename": "a.png", "flows": [np.zeros((3, 4), np.uint8), [1.5]], "est_diam": np.float64(30.0),
    }  # fmt: skip


@pytest.fixture
def masks():
    """300 objects of 2 x 2 px."""
    return np.kron(np.arange(300).reshape(15, 20), np.ones((2, 2), int))


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "int64", ">i4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_masks_are_read_as_cellpose_saved_them(masks, dtype, order, tmp_path):
    np.save(tmp_path / "a_seg.npy", saved(np.array(masks, dtype=dtype, order=order)))
    np.testing.assert_array_equal(mask_files.read(tmp_path / "a_seg.npy", SHAPE), masks)


class Program:
    def __reduce__(self):
        return os.mkdir, ("ran",)


@pytest.mark.parametrize(
    "content",
    [
        {"masks": Program()},
        {"masks": np.zeros(SHAPE), "other": Program()},
        {"masks": np.array([None])},
        {"masks": "text"},
        {"flows": 1},
        [1],
    ],
    ids=["program", "hidden-program", "objects", "text", "no-masks", "list"],
)
def test_other_objects_are_one_sentence_and_nothing_runs(content, tmp_path, monkeypatch, raises_code):
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "a_seg.npy", np.array(content, dtype=object))
    with raises_code("array-pickled"):
        mask_files.read(tmp_path / "a_seg.npy", SHAPE)
    assert not (tmp_path / "ran").exists()


def test_damaged_files_are_errors_or_masks(masks, rng, tmp_path):
    from hsn.errors import InputError

    np.save(tmp_path / "a_seg.npy", saved(masks.astype(np.uint16)))
    whole = (tmp_path / "a_seg.npy").read_bytes()
    outcomes = set()
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[rng.integers(128, len(whole))] ^= rng.integers(1, 256)
        (tmp_path / "b_seg.npy").write_bytes(damaged[: rng.integers(len(whole) - 99, len(whole) + 1)])
        try:
            outcomes.add(mask_files.read(tmp_path / "b_seg.npy", SHAPE).shape)
        except InputError:
            outcomes.add("error")
    assert "error" in outcomes
    assert pickle.loads(whole[128:])  # an intact file is a pickle
