"""Arrow, HTML, Markdown, plain text by line and paragraph, tables with faults, and hub data sets become documents."""

import csv
import gzip
import io
import json
import socket
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aigc.core.documents import reading, rows
from aigc.core.documents.files import expand
from aigc.core.documents.formats import hub, plain, table
from aigc.core.documents.formats.hub import HubName, hub_name
from aigc.core.documents.reading import Failure, Reader, rows_of
from aigc.core.documents.source import Source
from aigc.errors import AigcError


def put(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def read(path: Path, **options: Any) -> tuple[list[dict[str, Any]], list[Failure]]:
    documents: list[dict[str, Any]] = []
    failures: list[Failure] = []
    for batch in Reader(**options).read(path):
        origins = batch.origins.to_list()
        documents += [row | {"origin": o} for row, o in zip(batch.documents.to_dicts(), origins, strict=True)]
        failures += batch.failures
    return documents, failures


def arrow(kind: str, frame: pl.DataFrame, rows_of_batch: int) -> bytes:
    out = io.BytesIO()
    table = frame.to_arrow()
    with (pa.ipc.new_file if kind == "file" else pa.ipc.new_stream)(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows_of_batch)
    return out.getvalue()


@pytest.mark.parametrize("name", ["a.arrow", "a.feather", "a.ipc.gz"])
@pytest.mark.parametrize("kind", ["file", "stream"])
def test_arrow_files_and_streams_keep_their_columns(tmp_path: Path, name: str, kind: str) -> None:
    frame = pl.DataFrame({"text": ["one", None, "三"], "id": [7, 8, 9], "tags": [["a"], [], None]})
    data = arrow(kind, frame, 2)
    documents, failures = read(put(tmp_path / name, gzip.compress(data) if name.endswith("gz") else data))
    assert [(row["id"], row["text"], row["tags"]) for row in documents] == [("7", "one", ["a"]), ("9", "三", None)]
    assert [row["origin"] for row in documents] == [f"{tmp_path / name}:1", f"{tmp_path / name}:3"]
    assert [failure.origin for failure in failures] == [f"{tmp_path / name}:2"]


def test_arrow_as_polars_writes_it_compressed_inside(tmp_path: Path) -> None:
    pl.DataFrame({"text": ["中文"] * 9000}).write_ipc(tmp_path / "a.arrow", compression="zstd")
    sizes = [len(batch.documents) for batch in Reader().read(tmp_path / "a.arrow")]
    assert sum(sizes) == 9000
    assert max(sizes) <= rows.BATCH_ROWS, "a long record batch is read in parts"


@pytest.mark.parametrize("data", [b"", b"text", b"ARROW1\0\0cut off"])
def test_a_file_that_is_no_arrow_is_a_clear_error(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(AigcError, match=r"a\.arrow: not a readable Arrow file"):
        read(put(tmp_path / "a.arrow", data))


def test_a_page_is_a_document_with_its_title(tmp_path: Path) -> None:
    page = "<html><head><TITLE lang=zh>\n 春天 &amp;\n花 </TITLE></head><body><p>正文</p></body></html>"
    documents, _ = read(put(tmp_path / "a.htm", page))
    assert [(row["text"], row["title"], row["file"]) for row in documents] == [(page, "春天 & 花", "a.htm")]
    assert read(put(tmp_path / "b.html.gz", gzip.compress(b"<p>x</p>")))[0][0]["title"] is None


def test_a_page_is_read_in_the_encoding_that_it_declares(tmp_path: Path) -> None:
    japanese = '<meta http-equiv="Content-Type" content="text/html; charset=Shift_JIS"><p>日本語の文章です'
    assert read(put(tmp_path / "a.html", japanese.encode("shift_jis")))[0][0]["text"] == japanese
    lies = "<meta charset=shift_jis><p>春天来了"
    assert read(put(tmp_path / "b.html", lies))[0][0]["text"] == lies, "valid UTF-8 is UTF-8, whatever a page says"
    two = "<meta charset=gb2312><p>朱镕基"  # the second is in GBK, not in GB 2312: browsers read it, so do we
    assert read(put(tmp_path / "c.html", two.encode("gbk")))[0][0]["text"] == two


def test_front_matter_becomes_columns_and_leaves_the_text(tmp_path: Path) -> None:
    front = "---\ntitle: 标题\nid: n1\ndraft: false\nyear: 2024\ndate: 2024-05-06\ntags: [a, b]\ntext: a summary\n---\n"
    documents, _ = read(put(tmp_path / "a.md", front + "# 正文\n\n---\nafter a rule\n"))
    row = documents[0]
    assert row["text"] == "# 正文\n\n---\nafter a rule\n"
    assert (row["id"], row["title"], row["draft"], row["year"], row["date"]) == ("n1", "标题", False, 2024, "2024-05-06")
    assert row["original_text"] == "a summary"
    assert "tags" not in row, "only scalars become columns"


@pytest.mark.parametrize(
    "text",
    [
        "# no front matter\n",
        "---\na rule above\n\n---\nand below\n",
        "---\n[broken: yaml\n---\nx",
        "---\nnever: closed\n",
        "",
        "---",
    ],
)
def test_markdown_without_front_matter_is_left_alone(tmp_path: Path, text: str) -> None:
    assert [row["text"] for row in read(put(tmp_path / "a.markdown", text))[0]] == [text]


LINES = "第一行\r\n\n　　\n第二行  \n  third\n\n\n最后一行"


def test_a_line_of_a_txt_is_a_document_at_its_line(tmp_path: Path) -> None:
    path = put(tmp_path / "a.txt", LINES)
    documents, failures = read(path, txt_documents="line")
    assert [(row["text"], row["origin"]) for row in documents] == [
        ("第一行", f"{path}:1"),
        ("第二行  ", f"{path}:4"),
        ("  third", f"{path}:5"),
        ("最后一行", f"{path}:8"),
    ]
    assert {row["file"] for row in documents} == {"a.txt"}
    assert not failures


def test_a_paragraph_of_a_txt_is_a_document_at_its_first_line(tmp_path: Path) -> None:
    path = put(tmp_path / "a.txt", LINES)
    documents, _ = read(path, txt_documents="paragraph")
    assert [(row["text"], row["origin"]) for row in documents] == [
        ("第一行", f"{path}:1"),
        ("第二行  \n  third", f"{path}:4"),
        ("最后一行", f"{path}:8"),
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.sampled_from(["", " ", "　", "a b", "字", "\r", "é,"]), max_size=12), block=st.integers(1, 9))
def test_whatever_the_blocks_paragraphs_are_the_runs_of_lines_that_are_not_blank(
    tmp_path: Path, lines: list[str], block: int
) -> None:
    path = put(tmp_path / "a.txt", "\n".join(lines))
    expected: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            expected[-1].append(line.removesuffix("\r"))
        elif expected[-1]:
            expected.append([])
    whole = plain.line_blocks
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain, "line_blocks", lambda stream: whole(stream, block=block))
        paragraphs, _ = read(path, txt_documents="paragraph")
        single, _ = read(path, txt_documents="line")
    assert [row["text"] for row in paragraphs] == ["\n".join(group) for group in expected if group]
    assert [row["text"] for row in single] == [line for group in expected for line in group]


def test_a_line_that_is_no_text_costs_only_itself_or_its_paragraph(tmp_path: Path) -> None:
    path = put(tmp_path / "a.txt", "好的文字一行\n".encode() * 20 + b"bad \xff line\n" + "然后呢\n\n好".encode())
    documents, failures = read(path, txt_documents="line")
    assert len(documents) == 22
    assert [(f.origin, f.reason) for f in failures] == [(f"{path}:21", "not UTF-8 text")]
    documents, failures = read(path, txt_documents="paragraph")
    assert [row["text"] for row in documents] == ["好"]
    assert [(f.origin, f.reason) for f in failures] == [(f"{path}:1", "not UTF-8 text")]


@pytest.mark.parametrize("mode", ["file", "line", "paragraph"])
def test_a_text_too_long_is_one_failure_and_its_neighbours_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    whole = plain.line_blocks
    monkeypatch.setattr(plain, "line_blocks", lambda stream: whole(stream, block=7, max_line=20))
    for module in (plain, reading):
        monkeypatch.setattr(module, "MAX_TEXT", 20)
    monkeypatch.setattr("aigc.core.documents.source.MAX_TEXT", 20)
    documents, failures = read(put(tmp_path / "a.txt", "one\n\n" + "x" * 50 + "\n\n三"), txt_documents=mode)
    assert [row["text"] for row in documents] == ([] if mode == "file" else ["one", "三"])
    assert [(f.origin, f.reason) for f in failures] == [(f"{tmp_path / 'a.txt'}:{1 if mode == 'file' else 3}", rows.TOO_LONG)]


def test_a_text_too_long_is_a_failure_in_tables_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_TEXT", 8)
    frame = pl.DataFrame({"text": ["四个汉字", "two", None, "四个"]})
    frame.write_parquet(tmp_path / "a.parquet")
    put(tmp_path / "a.arrow", arrow("file", frame, 9))
    for name in ("a.parquet", "a.arrow"):
        documents, failures = read(tmp_path / name)
        assert [row["text"] for row in documents] == ["two", "四个"]
        assert [(f.origin.rpartition(":")[2], f.reason[:10]) for f in failures] == [("1", "a text of "), ("3", "no text in")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_header_of_a_csv_tells_its_delimiter(tmp_path: Path, delimiter: str) -> None:
    header = delimiter.join(["id", '"a, b; c"', "text"])
    documents, failures = read(
        put(tmp_path / "a.csv", f"{header}\n" + delimiter.join(["1", "2,5;", "文"]).replace("2,5;", '"2,5;"'))
    )
    assert [(row["id"], row["text"], row["a, b; c"]) for row in documents] == [("1", "文", "2,5;")]
    assert not failures


def test_an_unclosed_quote_costs_its_own_line_only(tmp_path: Path) -> None:
    body = "".join(f"{i},row {i}\n" for i in range(3, 300))
    path = put(tmp_path / "a.csv", f'id,text\n1,"closed\nhere"\n2,"never closed\n{body}')
    found = list(table.read_table(Source(path), max_record=400))
    assert [name for part in found for name in part.frame["id"]] == ["1", *map(str, range(3, 300))]
    assert found[0].numbers.to_list()[:3] == [2, 5, 6]
    assert [(f.origin, f.reason, f.raw) for part in found for f in part.failures] == [
        (f"{path}:4", "a quote that is not closed within 400 characters", '2,"never closed\n')
    ]
    _, failures = read(path)
    assert [(f.origin, f.reason) for f in failures] == [(f"{path}:4", "a quote that is never closed")]


def test_text_after_a_closing_quote_is_a_broken_row(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", 'id,text\n1,"he said "no" to me"\n2,fine\n3,"open\n4,"quoted"\n')
    documents, failures = read(path)
    assert [row["id"] for row in documents] == ["2", "4"]
    assert [f.origin for f in failures] == [f"{path}:2", f"{path}:4"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cells=st.lists(st.tuples(st.text('ab,;"\n\r 字', max_size=8), st.text('x"\n字', max_size=5)), max_size=6),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_the_csv_module_writes_is_read_again(tmp_path: Path, cells: list[tuple[str, str]], end: str) -> None:
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([("text", "other"), *cells])
    found = list(table.read_table(Source(tmp_path / "a.csv")))
    assert [row for part in found for row in part.frame.rows()] == cells
    assert not [failure for part in found for failure in part.failures]


def test_a_column_without_a_name_keeps_it(tmp_path: Path) -> None:
    assert read(put(tmp_path / "a.csv", ",text\n7,seven\n"))[0][0][""] == "7"


def test_tables_with_old_line_ends_are_read(tmp_path: Path) -> None:
    assert [row["text"] for row in read(put(tmp_path / "a.csv", "id,text\r1,a\r2,乙\r"))[0]] == ["a", "乙"]


def test_a_row_that_cannot_be_decoded_later_names_file_line_and_encoding(tmp_path: Path) -> None:
    good = "".join(f"{i},今天天气很好，我们去公园\n" for i in range(60)).encode("gb18030")
    with pytest.raises(AigcError, match=r"a\.csv: not GB18030 text at line 62"):
        read(put(tmp_path / "a.csv", b"id,text\n" + good + b"61,\xff\xff\n"))


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_json_in_utf16_is_told_how_to_convert(tmp_path: Path, name: str) -> None:
    path = put(tmp_path / name, '{"text": "x"}'.encode("utf-16"))
    with pytest.raises(AigcError, match=r"is UTF-16.*iconv"):
        read(path)
    with pytest.raises(AigcError, match=r"is UTF-16.*iconv"):
        list(rows_of(path))


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (r'{"text": "\ud83d\ude00 ok"}', "😀 ok"),
        (r'{"text": "\ud83d alone"}', None),
        (r'{"text": "\ude00 alone"}', None),
        (r'{"text": "\\ud83d\ude00"}', None),
        (r'{"text": "\\ud83d"}', r"\ud83d"),
    ],
)
def test_half_a_pair_of_surrogates_never_becomes_text(tmp_path: Path, line: str, text: str | None) -> None:
    documents, failures = read(put(tmp_path / "a.jsonl", f'{{"text": "a"}}\n{line}\n'))
    assert [row["text"] for row in documents] == (["a"] if text is None else ["a", text])
    assert len(failures) == (text is None)


def test_two_objects_on_a_line_beside_a_blank_one_are_a_failure(tmp_path: Path) -> None:
    documents, failures = read(put(tmp_path / "a.jsonl", '{"text": "a"}{"text": "b"}\n\n{"text": "c"}'))
    assert [row["text"] for row in documents] == ["c"]
    assert len(failures) == 1


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("hub:owner/name", HubName("owner/name", None, "train")),
        ("hub:owner/name:test", HubName("owner/name", None, "test")),
        ("hub:owner/name/zh", HubName("owner/name", "zh", "train")),
        ("hub:owner/name/zh:dev", HubName("owner/name", "zh", "dev")),
    ],
)
def test_hub_names(path: str, name: HubName) -> None:
    assert expand([path]) == [Path(path)], "it is no pattern for files"
    assert hub_name(Path(path)) == name


@pytest.mark.parametrize("path", ["hub:", "hub:name", "hub:a/b/c/d", "hub:owner/", "hub:owner/name:"])
def test_a_wrong_hub_name_tells_the_right_form(path: str) -> None:
    with pytest.raises(AigcError, match="write hub:owner/name"):
        list(Reader().read(Path(path)))


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError("no network in tests")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.usefixtures("no_network")
def test_a_data_set_is_streamed_split_by_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    stream = datasets.IterableDataset.from_generator(lambda: ({"id": i, "text": f"第{i}篇" if i != 3 else None} for i in range(9)))
    asked: list[Any] = []

    def load(*names: str, **options: Any) -> Any:
        asked.append((names, options))
        return stream

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr(hub, "BATCH_ROWS", 4)
    documents, failures = read(Path("hub:owner/name/zh:test"))
    assert asked == [(("owner/name", "zh"), {"split": "test", "streaming": True})]
    assert [row["text"] for row in documents] == [f"第{i}篇" for i in range(9) if i != 3]
    assert documents[-1]["origin"] == "hub:owner/name/zh:test:9"
    assert [failure.origin for failure in failures] == ["hub:owner/name/zh:test:4"]


@pytest.mark.usefixtures("no_network")
def test_a_data_set_folder_is_opened_and_what_is_missing_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    put(tmp_path / "train.jsonl", "".join(json.dumps({"text": f"row {i}"}) + "\n" for i in range(3)))
    put(tmp_path / "test.jsonl", '{"text": "held out"}\n')
    assert [row["text"] for row in read(Path(f"hub:{tmp_path}"))[0]] == ["row 0", "row 1", "row 2"]
    assert [row["text"] for row in read(Path(f"hub:{tmp_path}:test"))[0]] == ["held out"]
    for path in (f"hub:{tmp_path}:nosplit", "hub:owner/never-there"):
        with pytest.raises(AigcError) as error:
            read(Path(path))
        assert str(error.value).startswith(f"{path}: cannot be read from the hub (")
        assert "\n" not in str(error.value)
