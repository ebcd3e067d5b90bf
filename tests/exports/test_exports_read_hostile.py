"""Hostile tables of objects: one sentence, and no memory for what they claim."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hsn.exports import read


def claim_rows(path):
    """Two million equal rows in some kilobytes."""
    pq.write_table(pa.table({"id": pa.array(np.zeros(2_000_000, np.int8))}), path)


def long_texts(path):
    """Two thousand rows, one of which has a text of two million letters."""
    texts = ["a" * 2_000_000, *["b"] * 2_000]
    pq.write_table(pa.table({"id": np.arange(len(texts)), "class": texts}), path)


def long_cells(path):
    path.write_text("id,class\n1," + "a" * 2_000_000 + "\n" + "2,b\n" * 2_000)


def short_geometry(path):
    """Well-known binary that claims 2^31 corners."""
    wkb = b"\1\3\0\0\0\1\0\0\0\xff\xff\xff\x7f" + bytes(32)
    pq.write_table(pa.table({"id": [1], "geometry": pa.array([wkb], pa.binary())}), path)


HOSTILE = {
    "rows.parquet": claim_rows,
    "texts.parquet": long_texts,
    "texts.csv": long_cells,
    "geometry.parquet": short_geometry,
    "text.parquet": lambda path: path.write_text("hello"),
    "cut.parquet": lambda path: path.write_bytes(b"PAR1" + b"\xff" * 8 + b"PAR1"),
    "ragged.csv": lambda path: path.write_text("id,x\n1,2,3\n"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tables_are_one_sentence(name, tmp_path, monkeypatch, raises_code):
    monkeypatch.setattr(read, "TABLE_CELLS", 10**6)
    HOSTILE[name](tmp_path / name)
    assert (tmp_path / name).stat().st_size < 3_000_000
    with raises_code("table-damaged") as caught:
        read.read_objects(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000
