"""Where sentences, paragraphs and words begin, and which tokens begin them."""

import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizing import FAMILIES, KINDS, codec_of

from aigc.core.tokens import units
from aigc.core.tokens.specials import Family
from aigc.core.tokens.training import Kind
from aigc.core.tokens.units import Unit, marks_of
from aigc.errors import AigcError

MIXED = st.one_of(st.text(max_size=60), st.text("今天，。！？…”\"') .!?3aB\n\r\t 𠮷😀'’", max_size=60))
UNITS: list[Unit] = ["sentence", "paragraph", "word"]


@pytest.fixture
def no_dictionary(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the optional dictionary of Chinese words was not installed."""
    units._segmenter.cache_clear()
    monkeypatch.setitem(sys.modules, "rjieba", None)


def _cut(kind: Unit, text: str) -> list[str]:
    marks = marks_of(kind)(text)
    return [text[start:end] for start, end in pairwise([*marks, len(text)])]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", []),
        ("no end", ["no end"]),
        ("It is 3.14 long. Is it? Yes!", ["It is 3.14 long. ", "Is it? ", "Yes!"]),
        ('He said "Hi." She left (early.) Then', ['He said "Hi." ', "She left (early.) ", "Then"]),
        ("下雨了。“真的？”他问！好", ["下雨了。", "“真的？”", "他问！", "好"]),
        ("嗯……好吧。", ["嗯……", "好吧。"]),
        ("好吗?不好!", ["好吗?", "不好!"]),
        ("第3.5章。完", ["第3.5章。", "完"]),
        ("Title\n\nText one. Two", ["Title\n\n", "Text one. ", "Two"]),
        ("春眠不觉晓\n  处处闻啼鸟", ["春眠不觉晓\n  ", "处处闻啼鸟"]),
        ("wrapped\nline. Next\nline.\n\nEnd.\n", ["wrapped\nline. ", "Next\nline.\n\n", "End.\n"]),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert _cut("sentence", text) == sentences


@pytest.mark.parametrize(
    ("text", "paragraphs"),
    [
        ("one\ntwo\n", ["one\n", "two\n"]),
        ("one\ntwo\n \r\n\n  three", ["one\ntwo\n \r\n\n", "  three"]),
        ("\n\none", ["\n\n", "one"]),
        ("one", ["one"]),
        ("", []),
    ],
)
def test_paragraphs(text: str, paragraphs: list[str]) -> None:
    assert _cut("paragraph", text) == paragraphs


def test_words_of_english_need_no_dictionary(no_dictionary: None) -> None:
    assert _cut("word", "Don't pay 1,234.50, été-2 (now)!") == [
        "Don't ",
        "pay ",
        "1,234.50",
        ", ",
        "été",
        "-",
        "2 ",
        "(",
        "now",
        ")!",
    ]


def test_words_of_chinese_without_a_dictionary_are_an_error(no_dictionary: None) -> None:
    with pytest.raises(AigcError, match=r"pip install 'aigc\[words\]'"):
        marks_of("word")("今天")


def test_words_of_chinese() -> None:
    pytest.importorskip("rjieba")
    units._segmenter.cache_clear()
    assert _cut("word", "😀 今天我们去公园，rain 很大！") == ["😀 ", "今天", "我们", "去", "公园", "，", "rain ", "很大", "！"]


@pytest.mark.parametrize("kind", UNITS)
@settings(max_examples=200)
@given(text=MIXED)
def test_marks_ascend_from_0(kind: Unit, text: str) -> None:
    if kind == "word":
        pytest.importorskip("rjieba")
    marks = marks_of(kind)(text)
    assert marks == sorted(set(marks))
    assert marks[:1] == ([0] if text else [])
    assert all(mark < len(text) for mark in marks)


@pytest.mark.parametrize("kind", UNITS)
def test_long_runs_take_no_longer_than_others(kind: Unit) -> None:
    for run in (".", "。", "\n", " \n", "\"'", "a'", "1,", "?!"):
        text = run * (200_000 // len(run))
        assert marks_of(kind)(text)[0] == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=60)
@given(texts=st.lists(MIXED, max_size=3), seed=st.integers(0, 9))
def test_marked_ids_are_the_ids_and_marked_tokens_hold_the_marks(kind: Kind, family: Family, texts: list[str], seed: int) -> None:
    codec = codec_of(kind, family)

    def marks(text: str) -> list[int]:
        return [at for at in range(len(text)) if at * 7 % 10 >= seed]

    marked = codec.encode_marked(texts, marks)
    assert [ids for ids, _ in marked] == codec.encode(texts)
    for text, (ids, tokens) in zip(texts, marked, strict=True):
        assert tokens == sorted(set(tokens))
        assert tokens[:1] == ([0] if ids else [])
        assert all(token < len(ids) for token in tokens)
        if kind != "wordpiece":
            ends = codec.byte_lengths[ids].cumsum() if len(ids) else []
            before = [len(text[:at].replace("▁", " " if kind == "unigram" else "▁").encode()) for at in marks(text)]
            assert set(tokens) == {0, *(next(i for i, end in enumerate(ends) if end > at) for at in before)} if ids else not tokens


def test_word_pieces_are_marked_by_their_words() -> None:
    codec = codec_of("wordpiece", "encoder")
    text = " She opened the windowo.  今天 的"
    ((ids, tokens),) = codec.encode_marked([text], lambda text: [0, 1, 5, 12, 16, 23, 26, 29])
    names = codec.tokenizer.convert_ids_to_tokens(ids)
    assert [names[i].removeprefix("##")[:1] for i in tokens] == ["S", "o", "t", "w", ".", "今", "的"]
