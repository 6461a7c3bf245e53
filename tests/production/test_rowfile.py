"""A file of rows has whole rows only, wherever the writer was stopped, and is never changed by who has no business with it."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc.errors import AigcError
from aigc.production.rowfile import RowFile

ROWS = [{"id": f"a{number}", "text": "雨" * number + "\u2028"} for number in range(5)]


def _open(path: Path, **how: Any) -> RowFile:
    return RowFile(path, key=lambda row: str(row["id"]), check=lambda row: None if "text" in row else "it has no text", **how)


def _filled(path: Path) -> bytes:
    file = _open(path)
    for row in ROWS:
        file.add(row)
    file.close()
    return path.read_bytes()


def test_rows_are_lines_and_are_found_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.jsonl"
    data = _filled(path)
    assert [json.loads(line) for line in data.splitlines()] == ROWS
    file = _open(path)
    assert len(file) == file.rows == 5
    assert [file.get(f"a{number}") for number in range(5)] == list(enumerate(ROWS))
    assert file.get("a5") is None and "a5" not in file and "a4" in file
    assert b"".join(file.lines()) == data
    file.close()


@given(cut=st.integers(0, 200))
def test_wherever_it_was_cut_off_adding_what_is_missing_makes_it_whole(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("cut") / "rows.jsonl"
    whole = _filled(path)
    assert len(whole) < 200
    path.write_bytes(whole[:cut])
    file = _open(path)
    assert path.read_bytes() == whole[: path.stat().st_size]
    for row in ROWS:
        if str(row["id"]) not in file:
            file.add(row)
    file.close()
    assert path.read_bytes() == whole


def test_nothing_is_made_before_the_first_row(tmp_path: Path) -> None:
    _open(tmp_path / "rows.jsonl").close()
    assert not (tmp_path / "rows.jsonl").exists()
    _open(tmp_path / "rows.jsonl", make=True).close()
    assert (tmp_path / "rows.jsonl").read_bytes() == b""


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("notes\n", "1: it is no row"),
        ("notes without an end", "1: it is no row"),
        ('{"id": "a", "text": "x"}\n[1]\n', "2: it is no row"),
        ('{"id": "a", "text": "x"}\n{"id": "b"}\n', "2: it has no text"),
        ('{"id": "b"}', "1: it has no text"),
    ],
)
def test_a_file_of_other_things_is_told_and_left_alone(content: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(content, "utf-8")
    with pytest.raises(AigcError, match=f"rows.jsonl:{why}"):
        _open(path)
    assert path.read_text("utf-8") == content
    path.unlink()
    _open(path, make=True).close()  # the first one let go of it


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    first = _open(tmp_path / "rows.jsonl", make=True)
    with pytest.raises(AigcError, match="another aigc is writing to it"):
        _open(tmp_path / "rows.jsonl", make=True)
    first.close()
    _open(tmp_path / "rows.jsonl", make=True).close()


def test_a_full_disk_leaves_no_half_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.jsonl"
    whole = _filled(path)
    file = _open(path)
    write = os.write

    def full(descriptor: int, data: memoryview) -> int:
        if len(data) < 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:10])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        file.add({"id": "b", "text": "a text of some length"})
    monkeypatch.undo()
    assert path.read_bytes() == whole
    file.add({"id": "b", "text": ""})
    assert path.read_bytes() == whole + b'{"id": "b", "text": ""}\n'
    file.close()


def test_a_pipe_is_written_to_and_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    file = _open(tmp_path / "pipe", make=True)
    assert not file.regular
    file.add(ROWS[1])
    assert json.loads(os.read(reader, 1000)) == ROWS[1]
    file.close()
    os.close(reader)


def test_a_folder_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(AigcError, match="cannot be written"):
        _open(tmp_path, make=True)
