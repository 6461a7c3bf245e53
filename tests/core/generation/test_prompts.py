"""Each row is a prompt or a reason why it is none, whatever it is read from."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from aigc.core.generation.prompts import BadPrompt, Prompt, read_prompts
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
