"""Names tell formats, and folders give their documents but not what is said about them."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc.core.documents.files import expand, format_of, joined


@pytest.mark.parametrize(
    ("name", "format_name"),
    [
        ("a.ndjson", "jsonl"),
        ("a.feather", "arrow"),
        ("A.IPC.zst", "arrow"),
        ("a.HTM.gz", "html"),
        ("a.markdown", "md"),
        ("v1.2.md", "md"),
        ("hub:owner/name.json", "hub"),
    ],
)
def test_a_name_tells_its_format(name: str, format_name: str) -> None:
    assert format_of(Path(name)) == format_name


def test_a_folder_gives_its_documents_only(tmp_path: Path) -> None:
    for name in ("a.md", "b.html.gz", "README.md", "LICENSE.txt", "readme.zh.md", "c.txt.bak", ".d.txt", "e.gz", "f.docx"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in expand([str(tmp_path)])] == ["a.md", "b.html.gz"]
    assert [path.name for path in expand([f"{tmp_path}/README.*"])] == ["README.md"], "asked for by name, it is a document"


def test_a_data_set_of_the_hub_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"")
    assert expand(["hub:owner/name:test", str(tmp_path), "-"]) == [Path("-"), tmp_path / "a.txt", Path("hub:owner/name:test")]


@given(data=st.binary(max_size=40), head=st.integers(0, 9), sizes=st.lists(st.integers(1, 7), min_size=1))
def test_bytes_that_were_looked_at_come_first(data: bytes, head: int, sizes: list[int]) -> None:
    rest = io.BytesIO(data)
    stream = joined(rest.read(head), rest)
    assert b"".join(stream.read(size) for size in sizes) + stream.read() == data
