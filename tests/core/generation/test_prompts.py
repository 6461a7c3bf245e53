"""Each row is a prompt or a reason why it is none, whatever it is read from."""

import json
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aigc.core.generation import prompts
from aigc.core.generation.prompts import BadPrompt, Prompt, arriving, read_prompts
from aigc.errors import AigcError

ROWS = [{"id": "a", "title": "Rain", "n": "1"}, {"id": "b", "title": "雨声", "n": "2"}]
CONTENTS = {
    "rows.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS),
    "rows.json": json.dumps(ROWS),
    "rows.csv": "id,title,n\na,Rain,1\nb,雨声,2\n",
    "rows.tsv": "id\ttitle\tn\na\tRain\t1\nb\t雨声\t2\n",
}


def _read(given: str | Sequence[str | dict[str, Any]] | None, template: str = "{prompt}") -> list[Prompt | BadPrompt]:
    return list(read_prompts(given, template))


@pytest.mark.parametrize("name", list(CONTENTS))
def test_rows_of_a_file_fill_the_template(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(CONTENTS[name], encoding="utf-8")
    expected = [Prompt("a", "{Rain}\n1"), Prompt("b", "{雨声}\n2")]
    assert _read(str(tmp_path / name), "{{{title}}}\n{n}") == expected
    assert _read(ROWS, "{{{title}}}\n{n}") == expected


def test_lines_of_a_text_file_are_prompts(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text("\ufeffOnce upon\n\n  \n 从前 \nlast", encoding="utf-8")
    assert [prompt.text for prompt in _read(str(path)) if isinstance(prompt, Prompt)] == ["Once upon", " 从前 ", "last"]


def test_texts_and_rows_may_be_mixed_in_a_list() -> None:
    found = _read(["one", {"prompt": "two", "id": "second"}, {"prompt": None}], "<{prompt}>")
    assert [prompt.text for prompt in found if isinstance(prompt, Prompt)] == ["<one>", "<two>", "<>"]
    assert found[1].id == "second"


def test_nothing_given_is_one_row_without_fields() -> None:
    [prompt] = _read(None, "Once upon a time")
    assert isinstance(prompt, Prompt)
    assert prompt.text == "Once upon a time"
    assert isinstance(_read(None, "{title}")[0], BadPrompt)
    assert _read([]) == []


def test_a_missing_field_is_a_bad_prompt_and_the_rest_goes_on() -> None:
    found = _read([{"title": "Rain"}, {"name": "x"}, {"title": "Snow"}], "{title}")
    assert [type(one) for one in found] == [Prompt, BadPrompt, Prompt]
    bad = found[1]
    assert isinstance(bad, BadPrompt)
    assert bad.origin == "generate.prompts:2"
    assert "'title'" in bad.reason and "name" in bad.reason


def test_a_broken_row_is_a_bad_prompt_that_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"prompt": "one"}\n{"prompt": \n\n[1]\n{"prompt": "\xff"}\n{"prompt": "two"}\n')
    found = _read(str(path))
    assert [type(one) for one in found] == [Prompt, BadPrompt, BadPrompt, BadPrompt, Prompt]
    origins = [one.origin for one in found if isinstance(one, BadPrompt)]
    assert origins == [f"{path}:2", f"{path}:4", f"{path}:5"]


def test_a_csv_row_with_too_many_cells_is_a_bad_prompt(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("prompt\none\ntwo,2\nthree\n", encoding="utf-8")
    found = _read(str(path))
    assert [one.text for one in found if isinstance(one, Prompt)] == ["one", "three"]
    assert [one.origin for one in found if isinstance(one, BadPrompt)] == [f"{path}:3"]


def test_ids_are_kept_and_unique(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "id": 7}\n{"prompt": "b"}\n{"prompt": "c", "id": 7}\nbroken\n{"id": ""}\n')
    found = _read(str(path))
    ids = [one.id for one in found]
    assert ids[0] == "7"
    assert len(set(ids)) == len(found) == 5
    assert [one.id for one in _read(str(path))] == ids


def test_rows_are_read_as_they_are_asked_for() -> None:
    rows = read_prompts([{"prompt": "one"}, {"prompt": "two"}], "{prompt}")
    assert next(rows) == Prompt("000000", "one")


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AigcError, match="no such file"):
        _read(str(tmp_path / "nothing.jsonl"))
    (tmp_path / "prompts.docx").touch()
    with pytest.raises(AigcError, match="unknown format"):
        _read(str(tmp_path / "prompts.docx"))


def test_fields_and_origin_come_along(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("id,title,n\na,Rain,1\n")
    [prompt] = _read(str(tmp_path / "rows.csv"), "{title}")
    assert isinstance(prompt, Prompt)
    assert prompt.fields == {"id": "a", "title": "Rain", "n": "1"}
    assert prompt.origin == f"{tmp_path / 'rows.csv'}:2"


def test_a_parquet_file_and_a_field_with_a_text_of_its_own(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": [1, 2, 3], "title": ["雨", "sea", "sky"], "tone": [None, "", "glad"]})
    frame.write_parquet(tmp_path / "rows.parquet")
    found = _read(str(tmp_path / "rows.parquet"), "{title} {tone|calm}{more|}")
    assert found == [Prompt("1", "雨 calm"), Prompt("2", "sea calm"), Prompt("3", "sky glad")]


def test_many_rows_of_one_id_are_told_apart() -> None:
    found = _read([{"prompt": "a", "id": "x#3"}, *({"prompt": "a", "id": "x"} for _ in range(20_000))])
    assert len({one.id for one in found}) == 20_001
    assert [one.id for one in found[:4]] == ["x#3", "x", "x#2", "x#4"]


class _Stdin:
    """A standard input that a test writes to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        reader, self.writer = os.pipe()
        self.stream = os.fdopen(reader, "rb")
        monkeypatch.setattr(sys, "stdin", self.stream)

    def write(self, *lines: object, end: str = "\n") -> None:
        os.write(self.writer, "".join(json.dumps(line) + end for line in lines).encode())

    def end(self) -> None:
        os.close(self.writer)


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Stdin]:
    """A standard input of the test's own."""
    one = _Stdin(monkeypatch)
    yield one
    one.stream.close()


def test_prompts_of_stdin_are_there_before_more_have_come(stdin: _Stdin) -> None:
    found = arriving("-", "{prompt}")
    for text in ("one", "two"):
        stdin.write({"prompt": text})
        one = next(found)
        assert isinstance(one, Prompt) and one.text == text
        assert next(found) is None  # while the pipe is open, and nothing more has come
    stdin.write({"prompt": "three"}, {"prompt": "four"}, [1], {"prompt": "five"}, end="\n\n")
    stdin.write({"prompt": "six"}, end="")
    stdin.end()
    assert [getattr(one, "text", None) for one in found] == ["three", "four", None, "five", "six"]


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b"\n \n"])
def test_stdin_whose_first_line_is_no_object_has_a_prompt_in_each_line(stdin: _Stdin, before: bytes) -> None:
    os.write(stdin.writer, before + "  雨 falls\r\n\n\u3000\u3000\n{on}\n".encode() + b"\xff\n[1]")
    stdin.end()
    first, second, third, fourth = (one for one in arriving("-", "{prompt}") if one is not None)
    assert isinstance(first, Prompt) and first.text == "  雨 falls"
    assert isinstance(second, Prompt) and second.text == "{on}"
    assert isinstance(third, BadPrompt) and third.reason == "not UTF-8 text"
    assert isinstance(fourth, Prompt) and fourth.text == "[1]"


def test_stdin_may_begin_with_the_mark_of_utf8_and_then_an_object(stdin: _Stdin) -> None:
    os.write(stdin.writer, b'\xef\xbb\xbf {"prompt": "one"}\nno object\n')
    stdin.end()
    first, second = (one for one in arriving("-", "{prompt}") if one is not None)
    assert isinstance(first, Prompt) and first.text == "one"
    assert isinstance(second, BadPrompt) and "not valid JSON" in second.reason


def test_between_pauses_stdin_is_waited_for(stdin: _Stdin) -> None:
    found = arriving("-", "{prompt}")
    timer = threading.Timer(4 * prompts.GRACE, stdin.write, [{"prompt": "late"}])
    timer.start()
    assert isinstance(next(found), Prompt)  # there is no pause before the first one
    timer.join()
    stdin.end()
    assert list(found) == []


def test_a_fast_pipe_has_no_pauses(stdin: _Stdin) -> None:
    rows = [{"prompt": "雨" * 20, "id": number} for number in range(3000)]

    def feed() -> None:
        for row in rows:
            stdin.write(row)
        stdin.end()

    thread = threading.Thread(target=feed)
    thread.start()
    found = [one for one in arriving("-", "{prompt}") if one is not None]
    thread.join()
    assert [one.id for one in found] == [str(number) for number in range(3000)]


def test_who_drips_prompts_gets_answers_as_well(stdin: _Stdin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompts, "GRACE", 10.0)
    monkeypatch.setattr(prompts, "PATIENCE", 0.05)
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.02):
            stdin.write({"prompt": "drop"})

    thread = threading.Thread(target=drip)
    thread.start()
    found = arriving("-", "{prompt}")
    while next(found) is not None:
        pass
    stop.set()
    thread.join()
    stdin.end()


def test_a_line_without_end_is_a_bad_prompt(stdin: _Stdin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompts, "MAX_LINE", 100)
    found = arriving("-", "{prompt}")
    stdin.write("x" * 300, {"prompt": "one"})
    stdin.write("y" * 300, end="")
    stdin.end()
    first, second, third = (one for one in found if one is not None)
    assert isinstance(first, BadPrompt) and first.origin == "-:1" and "a line of more than" in first.reason
    assert isinstance(second, Prompt) and second.text == "one"
    assert isinstance(third, BadPrompt) and third.origin == "-:3"


def test_nobody_waits_for_prompts_whose_answers_nobody_reads(stdin: _Stdin) -> None:
    reader, writer = os.pipe()
    found = arriving("-", "{prompt}", reader=writer)
    stdin.write({"prompt": "one"})
    assert isinstance(next(found), Prompt)
    assert next(found) is None
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        next(found)
    os.close(writer)
    stdin.end()
