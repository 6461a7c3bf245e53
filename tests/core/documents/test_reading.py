"""Files of every format become documents, and every row that is broken is on record with its place and reason."""

import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aigc.core.documents.files import STDIN, expand, format_of
from aigc.core.documents.reading import Failure, Reader
from aigc.errors import AigcError

PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": zstandard.ZstdCompressor().compress,
    ".xz": lzma.compress,
}
PLAIN = {
    "a.jsonl": '{"id": "1", "text": "The first."}\n{"id": "2", "text": "第二篇。"}\n',
    "a.ndjson": '{"id": "1", "text": "The first."}\n{"id": "2", "text": "第二篇。"}',
    "a.json": '[{"id": "1", "text": "The first."}, {"id": "2", "text": "第二篇。"}]',
    "a.csv": "id,text\n1,The first.\n2,第二篇。\n",
    "a.tsv": "id\ttext\n1\tThe first.\n2\t第二篇。\n",
}


def put(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def read(path: Path, **fields: str) -> tuple[list[dict[str, Any]], list[Failure]]:
    documents: list[dict[str, Any]] = []
    failures: list[Failure] = []
    for batch in Reader(**fields).read(path):
        assert batch.documents.columns[:2] == ["id", "text"]
        assert len(batch.origins) == len(batch.documents)
        origins = batch.origins.to_list()
        documents += [row | {"origin": o} for row, o in zip(batch.documents.to_dicts(), origins, strict=True)]
        failures += batch.failures
    return documents, failures


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("name", PLAIN)
def test_every_format_and_compression_gives_the_same_documents(tmp_path: Path, name: str, packing: str) -> None:
    documents, failures = read(put(tmp_path / (name + packing), PACK[packing](PLAIN[name].encode())))
    assert [(row["id"], row["text"]) for row in documents] == [("1", "The first."), ("2", "第二篇。")]
    assert not failures


@pytest.mark.parametrize("packing", PACK)
def test_a_text_file_is_one_document_that_knows_its_file(tmp_path: Path, packing: str) -> None:
    path = put(tmp_path / f"诗.txt{packing}", PACK[packing]("春眠不觉晓，\n处处闻啼鸟。\n".encode()))
    documents, failures = read(path)
    assert [row["text"] for row in documents] == ["春眠不觉晓，\n处处闻啼鸟。\n"]
    assert documents[0]["file"] == path.name
    assert not failures


def test_parquet_keeps_its_columns_and_fails_null_text_only(tmp_path: Path) -> None:
    pl.DataFrame({"text": ["one", None, "三"], "id": [7, 8, 9], "tags": [["a"], [], None]}).write_parquet(tmp_path / "a.parquet")
    documents, failures = read(tmp_path / "a.parquet")
    assert [(row["id"], row["text"], row["tags"]) for row in documents] == [("7", "one", ["a"]), ("9", "三", None)]
    assert [failure.origin for failure in failures] == [f"{tmp_path / 'a.parquet'}:2"]


def test_a_file_that_is_no_parquet_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(AigcError, match=r"a\.parquet: not a readable parquet file"):
        read(put(tmp_path / "a.parquet", "text"))


def test_a_single_json_object_is_one_document(tmp_path: Path) -> None:
    documents, _ = read(put(tmp_path / "a.json", '{\n  "text": "只有一篇",\n "year": 2024\n}'))
    assert [(row["text"], row["year"]) for row in documents] == [("只有一篇", 2024)]


def test_a_broken_json_file_is_an_error_and_a_broken_item_a_failure(tmp_path: Path) -> None:
    with pytest.raises(AigcError, match="not valid JSON"):
        read(put(tmp_path / "a.json", '[{"text": "x"}'))
    documents, failures = read(put(tmp_path / "b.json", '[{"text": "good"}, 3, {"text": "也好"}]'))
    assert [row["text"] for row in documents] == ["good", "也好"]
    assert [(f.origin, f.reason) for f in failures] == [(f"{tmp_path / 'b.json'}:2", "not a JSON object but a int")]


def test_csv_quotes_hold_newlines_and_rows_with_wrong_cells_fail_at_their_line(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", 'id,text\n1,"two\nlines, ""quoted"""\n2,extra,cell\n\n3\n4,最后一行\n')
    documents, failures = read(path)
    assert [(row["text"], row["origin"]) for row in documents] == [
        ('two\nlines, "quoted"', f"{path}:2"),
        ("最后一行", f"{path}:7"),
    ]
    assert [(f.origin, f.reason) for f in failures] == [
        (f"{path}:4", "3 cells where the header has 2"),
        (f"{path}:6", "1 cells where the header has 2"),
    ]


def test_csv_that_is_not_utf8_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(AigcError, match=r"a\.csv: not UTF-8"):
        read(put(tmp_path / "a.csv", "id,text\n1,中文\n".encode("gb18030")))


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.json", "a.txt", "a.parquet"])
def test_an_empty_file_has_no_rows_or_says_so(tmp_path: Path, name: str) -> None:
    path = put(tmp_path / name, b"")
    if name in ("a.json", "a.parquet"):
        with pytest.raises(AigcError, match=name):
            read(path)
    else:
        documents, failures = read(path)
        assert [row["text"] for row in documents] == ([""] if name == "a.txt" else [])
        assert not failures


def test_ids_from_content_do_not_depend_on_the_order(tmp_path: Path) -> None:
    lines = ['{"text": "a cat"}', '{"text": "一只猫"}', '{"text": "a dog"}']
    here, _ = read(put(tmp_path / "a.jsonl", "\n".join(lines)))
    there, _ = read(put(tmp_path / "b.jsonl", "\n".join(reversed(lines))))
    assert {row["text"]: row["id"] for row in here} == {row["text"]: row["id"] for row in there}
    assert len({row["id"] for row in here}) == 3


def test_repeated_ids_are_numbered_and_counted_across_files(tmp_path: Path) -> None:
    reader = Reader()
    path = put(tmp_path / "a.jsonl", '{"id": "x", "text": "1"}\n{"id": "x", "text": "2"}\n{"id": "", "text": "3"}')
    ids = [name for _ in range(2) for batch in reader.read(path) for name in batch.documents["id"]]
    made = ids[2]
    assert ids == ["x", "x#2", made, "x#3", "x#4", f"{made}#2"]
    assert reader.renamed_ids == 4


def test_a_named_text_field_becomes_text_and_the_old_one_stays(tmp_path: Path) -> None:
    path = put(tmp_path / "a.jsonl", '{"body": "正文", "text": "summary", "key": 5, "id": "old"}')
    documents, _ = read(path, text_field="body", id_field="key")
    assert documents == [{"id": "5", "text": "正文", "original_text": "summary", "original_id": "old", "origin": f"{path}:1"}]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b'{"text": "cut off', "not valid JSON"),
        (b'["a list"]', "not a JSON object but a list"),
        (b'{"title": "no text"}', "no text in field 'text'"),
        (b'{"text": null}', "no text in field 'text'"),
        ('{"text": "中文"}'.encode("gb18030"), "not UTF-8"),
        (b'{"text": "half \\ud800 a pair"}', "not UTF-8"),
    ],
)
def test_a_broken_row_is_a_failure_at_its_line_and_its_neighbours_stay(tmp_path: Path, row: bytes, reason: str) -> None:
    before, after = b'{"text": "before"}\n\n', '\n{"text": "之后"}\n'.encode()
    path = put(tmp_path / "a.jsonl", before + row + after)
    documents, failures = read(path)
    assert [(doc["text"], doc["origin"]) for doc in documents] == [("before", f"{path}:1"), ("之后", f"{path}:4")]
    assert [failure.origin for failure in failures] == [f"{path}:3"]
    assert reason in failures[0].reason
    assert failures[0].raw


def test_text_that_is_a_list_or_an_object_everywhere_is_no_text(tmp_path: Path) -> None:
    documents, failures = read(put(tmp_path / "a.jsonl", '{"text": ["a", "list"]}\n{"text": ["表"]}\n'))
    assert not documents
    assert [failure.reason for failure in failures] == ["no text in field 'text' (fields: text)"] * 2


def test_a_missing_field_lists_the_fields_there_are(tmp_path: Path) -> None:
    _, failures = read(put(tmp_path / "a.jsonl", '{"title": "t", "content": "c"}'))
    assert "fields: title, content" in failures[0].reason


@pytest.mark.parametrize("name", list(PLAIN))
def test_a_byte_order_mark_is_no_text(tmp_path: Path, name: str) -> None:
    documents, failures = read(put(tmp_path / name, b"\xef\xbb\xbf" + PLAIN[name].encode()))
    assert documents[0]["id"] == "1"
    assert not failures


def test_blank_lines_count_as_lines(tmp_path: Path) -> None:
    path = put(tmp_path / "a.jsonl", '\n\r\n{"text": "三"}\r\n   \n{"text": "five"}')
    assert [row["origin"] for row in read(path)[0]] == [f"{path}:3", f"{path}:5"]


def test_rows_with_other_columns_are_united(tmp_path: Path) -> None:
    documents, _ = read(put(tmp_path / "a.jsonl", '{"text": "a", "year": 1}\n{"text": "b", "题": "好", "year": 1.5}\n'))
    assert [(row["year"], row["题"]) for row in documents] == [(1.0, None), (1.5, "好")]


@pytest.mark.parametrize("packing", [".gz", ".zst", ".xz"])
def test_a_file_that_is_no_archive_names_the_file(tmp_path: Path, packing: str) -> None:
    with pytest.raises(AigcError, match=r"a\.jsonl.*the archive is damaged"):
        read(put(tmp_path / f"a.jsonl{packing}", b"no archive at all"))


@pytest.mark.parametrize("packing", [".gz", ".xz"])
def test_an_archive_that_is_cut_off_is_an_error(tmp_path: Path, packing: str) -> None:
    data = PACK[packing]("\n".join(json.dumps({"text": f"text {i}"}) for i in range(2000)).encode())
    with pytest.raises(AigcError, match=r"a\.jsonl.*the archive is damaged"):
        read(put(tmp_path / f"a.jsonl{packing}", data[: len(data) // 2]))


def test_an_unknown_extension_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(AigcError, match=r"unknown format 'docx'; known are jsonl"):
        read(put(tmp_path / "a.docx", ""))


COLUMNS: dict[str, st.SearchStrategy[Any]] = {
    "title": st.none() | st.text(max_size=5),
    "year": st.none() | st.integers(-(2**31), 2**31) | st.floats(allow_nan=False, allow_infinity=False),
    "标签": st.none() | st.lists(st.text(max_size=3), max_size=2),
    "meta": st.none() | st.fixed_dictionaries({}, optional={"a": st.integers(0, 9), "键": st.text(max_size=3)}),
}
ROWS = st.lists(st.fixed_dictionaries({}, optional=COLUMNS), max_size=8)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, data=st.data())
def test_rows_are_conserved_and_texts_survive(tmp_path: Path, rows: list[dict[str, Any]], data: st.DataObject) -> None:
    texts = [data.draw(st.none() | st.text(max_size=20)) for _ in rows]
    lines = [json.dumps(row | {"text": text}, ensure_ascii=False) for row, text in zip(rows, texts, strict=True)]
    documents, failures = read(put(tmp_path / "a.jsonl", "\n".join(lines) + data.draw(st.sampled_from(["", "\n"]))))
    assert len(documents) + len(failures) == len(rows)
    assert [row["text"] for row in documents] == [text for text in texts if text is not None]


def test_patterns_are_sorted_and_each_file_comes_once(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    a, b = put(tmp_path / "b.jsonl", ""), put(tmp_path / "inner" / "a.csv.gz", "")
    put(tmp_path / "inner" / "notes.docx", "")
    assert expand([str(a), f"{tmp_path}/*.jsonl", str(tmp_path), f"{tmp_path}/**/*.csv.gz"]) == sorted([a, b])
    assert expand(["-"]) == [STDIN]
    assert format_of(STDIN) == "jsonl"


def test_a_missing_file_is_told_with_its_nearest_name(tmp_path: Path) -> None:
    put(tmp_path / "news.jsonl", "")
    with pytest.raises(AigcError, match=r"no such file; did you mean .*news\.jsonl\?"):
        expand([f"{tmp_path}/newz.jsonl"])
    with pytest.raises(AigcError, match="no file matches"):
        expand([f"{tmp_path}/*.csv"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(AigcError, match="the folder holds no file of a known format"):
        expand([f"{tmp_path}/empty"])
