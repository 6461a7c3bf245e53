"""Texts in the encodings of China and the West are found and read right; where nothing is sure, nothing is guessed."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc.core.documents.encodings import codec_of, encoded, find_encoding
from aigc.core.documents.reading import Reader
from aigc.errors import AigcError

SIMPLIFIED = "春天来了，花园里的花都开了。今天天气很好，我们去公园散步，听见鸟儿在树上唱歌。"
TRADITIONAL = "春天來了，花園裡的花都開了。今天天氣很好，我們去公園散步，聽見鳥兒在樹上唱歌。"
FRENCH = "L'été dernier, le garçon est allé à l'école où il a déjà étudié. Où êtes-vous ?\n"
CASES = [
    (SIMPLIFIED, "gb18030"),
    (SIMPLIFIED, "gbk"),
    (TRADITIONAL, "gb18030"),
    (TRADITIONAL, "big5"),
    (SIMPLIFIED, "utf-16-le"),
    (SIMPLIFIED + "\n2024, ASCII\n", "utf-16-be"),
    ("Only ASCII, in two bytes each.\n", "utf-16-le"),
    (SIMPLIFIED, "utf-8"),
    (FRENCH, "cp1252"),
    ("“Curly quotes” – and a naïve résumé for €5…", "cp1252"),
    ("Die Straße führt über die Brücke nach München.", "latin-1"),
    (SIMPLIFIED, "utf-16"),
    (SIMPLIFIED, "utf-32"),
    (SIMPLIFIED, "utf-8-sig"),
]


@pytest.mark.parametrize("mode", ["file", "line"])
@pytest.mark.parametrize(("text", "encoding"), CASES)
def test_a_text_is_read_right_whatever_its_encoding(tmp_path: Path, text: str, encoding: str, mode: str) -> None:
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    batches = list(Reader(txt_documents=mode).read(tmp_path / "a.txt"))  # type: ignore[arg-type]
    lines = [line for line in text.split("\n") if line]
    assert [found for batch in batches for found in batch.documents["text"]] == ([text] if mode == "file" else lines)
    assert not [failure for batch in batches for failure in batch.failures]


@pytest.mark.parametrize(("text", "encoding"), CASES)
def test_a_table_is_read_right_whatever_its_encoding(tmp_path: Path, text: str, encoding: str) -> None:
    (tmp_path / "a.csv").write_bytes(f'id,text\n1,"{text}"\n'.encode(encoding))
    batches = list(Reader().read(tmp_path / "a.csv"))
    assert [found for batch in batches for found in batch.documents["text"]] == [text]


@pytest.mark.parametrize(("text", "codec"), [(SIMPLIFIED, "gb18030"), (TRADITIONAL, "big5hkscs"), (FRENCH, "cp1252")])
def test_a_sample_that_ends_inside_a_character_is_no_worse(text: str, codec: str) -> None:
    data = text.encode(codec)
    assert {find_encoding(data[:end], whole=False) for end in range(len(data) - 20, len(data))} == {codec}


@pytest.mark.parametrize(
    "data",
    [
        "中文".encode("gb18030"),  # two characters could be anything
        "Это русский текст, который не китайский.".encode("cp1251"),
        "これは日本語の文章です。カタカナもあります。".encode("shift_jis"),
        bytes(range(256)) * 9,
        b"\x00\x00\x00",
        b"",
        b"plain",
    ],
)
def test_what_is_not_sure_is_called_utf8_which_fails_loudly(data: bytes) -> None:
    assert find_encoding(data) == "utf-8"


def test_a_few_broken_characters_do_not_make_utf8_something_else() -> None:
    assert find_encoding((SIMPLIFIED * 2).encode() + b"\xff\xfe caf\xe9") == "utf-8"


@given(st.text())
def test_valid_utf8_is_utf8(text: str) -> None:
    found = find_encoding(text.encode())
    assert found == "utf-8" or "\0" in text or text.startswith("\ufeff")


@given(data=st.binary(max_size=200), whole=st.booleans())
def test_no_bytes_stop_the_search(data: bytes, whole: bool) -> None:
    assert codec_of(find_encoding(data, whole=whole))


@pytest.mark.parametrize("forced", ["shift_jis", "utf-16", "utf-16-le", "utf-7", "iso2022_jp"])
def test_an_encoding_that_is_named_is_used(tmp_path: Path, forced: str) -> None:
    text = "日本語の文章です。\nカタカナもあります。\n"
    (tmp_path / "a.txt").write_bytes(text.encode(forced))
    batches = list(Reader(encoding=forced, txt_documents="line").read(tmp_path / "a.txt"))
    assert [line for batch in batches for line in batch.documents["text"]] == text.splitlines()


def test_a_place_that_cannot_be_decoded_fails_its_line_only(tmp_path: Path) -> None:
    halves = ["好的\n".encode("utf-16-le"), b"\x00\xd8a\x00\n\x00", "很好\n".encode("utf-16-le"), b"\x41"]
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe" + b"".join(halves))
    batches = list(Reader(txt_documents="line").read(tmp_path / "a.txt"))
    assert [line for batch in batches for line in batch.documents["text"]] == ["好的", "很好"]
    failures = [failure for batch in batches for failure in batch.failures]
    assert [(f.origin, f.reason) for f in failures] == [(f"{tmp_path / 'a.txt'}:{n}", "not UTF-16-LE text") for n in (2, 4)]


def test_an_unknown_encoding_is_told_at_once() -> None:
    for name in ("gb-12345", "base64"):
        with pytest.raises(AigcError, match=f"unknown encoding '{name}'"):
            Reader(encoding=name)


@given(
    text=st.text(st.characters(exclude_categories=["Cs"])), size=st.integers(1, 9), codec=st.sampled_from(["utf-16-be", "utf-8"])
)
def test_no_character_is_lost_between_two_reads(text: str, size: int, codec: str) -> None:
    stream = encoded(io.BytesIO(text.encode(codec)), codec, look_at=size).stream
    found = b"".join(iter(lambda: stream.read(size), b"")).decode()
    assert found == (text.removeprefix("\ufeff") if len(text.encode(codec)[:size]) == size and size > 2 else found)
    assert text.endswith(found)
