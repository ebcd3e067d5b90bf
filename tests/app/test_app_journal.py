"""The journal loses no acknowledged record, whatever a crash leaves behind."""

import json
import os

import pytest

from hsn.app.journal import Journal

RECORDS = [{"op": "put", "name": "Nukleus ä"}, {"op": "remove"}, {"op": "put"}]


def written(folder):
    journal = Journal(folder)
    journal.append(RECORDS[:2])
    journal.append(RECORDS[2:])
    return next(folder.glob("*.jsonl"))


def test_records_come_back_in_order_with_their_numbers(tmp_path):
    written(tmp_path)
    assert list(Journal(tmp_path).read()) == [{"seq": k, **r} for k, r in enumerate(RECORDS, 1)]


def test_a_line_torn_at_any_byte_is_removed_and_the_next_line_stands_alone(tmp_path):
    path = written(tmp_path)
    whole = path.read_bytes()
    ends = [k + 1 for k, byte in enumerate(whole) if byte == ord("\n")]
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        complete = sum(end <= length for end in ends)
        journal = Journal(tmp_path)
        assert journal.seq == complete
        assert journal.append([{"op": "next"}]) == complete + 1
        assert [r["op"] for r in Journal(tmp_path).read()] == [*(r["op"] for r in RECORDS[:complete]), "next"]


def test_a_damaged_line_elsewhere_is_an_error_with_its_number(tmp_path, raises_code):
    path = written(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"seq": 2, "op"\n' + lines[2])
    with raises_code("journal-damaged") as caught:
        Journal(tmp_path)
    assert "line 2 of" in str(caught.value)


def test_a_missing_line_is_an_error(tmp_path, raises_code):
    path = written(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])
    with raises_code("journal-damaged"):
        Journal(tmp_path)


def test_a_failed_write_leaves_no_part_of_a_record(tmp_path, monkeypatch, raises_code):
    path = written(tmp_path)
    before = path.read_bytes()
    journal = Journal(tmp_path)

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with raises_code("disk-full"):
        journal.append([{"op": "lost"}])
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert journal.append([{"op": "kept"}]) == 4


def test_a_long_file_is_followed_by_a_new_one(tmp_path, monkeypatch):
    monkeypatch.setattr("hsn.app.journal._FILE_BYTES", 50)
    journal = Journal(tmp_path)
    for _ in range(5):
        journal.append([{"op": "put", "text": "x" * 40}])
    assert len(list(tmp_path.glob("*.jsonl"))) == 5
    assert Journal(tmp_path).seq == 5
    assert all(
        json.loads(line) for path in tmp_path.glob("*.jsonl") for line in path.read_text().splitlines()
    )


@pytest.mark.parametrize("junk", [b"\0\0\0", b"{", b"\xff\xfe"])
def test_bytes_without_a_line_end_are_removed(tmp_path, junk):
    path = written(tmp_path)
    path.write_bytes(path.read_bytes() + junk)
    assert Journal(tmp_path).seq == 3
