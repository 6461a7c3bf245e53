"""Units against a reference in plain Python: the same words, the same n-grams, whatever the batch and the pieces."""

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aigc.core.rules import units
from aigc.core.rules.units import mixed, ngrams, pieces

FRAGMENTS = [
    *("a", "A", "b", "ｂ", "é", "e\u0301", "it's", "x-y", "the ", "cat", "1", "２", "Ⅷ", "½"),
    *("好", "好的", "天气", "々", "〇", "𠀀", "か", "ー", "ﾊ", "한", "ก็"),
    *(" ", "\u3000", "\t", "\r", "\u2028", "\x1c", "\n", "\n", "\n\n", "\n \n", "\x85", "\u200b"),
    *("。", "！", "？", "，", "“", "”", "…", "...", "..", ".", "!", "?", ",", '"', "'", "’", "-", "‐", "—", "(", "）", "·", "□"),
    *("#", "{", "}", "•", "- ", "* ", "★", "😀", "👍🏽", "+", "$", "\u0301", "\ufe0f"),
]
TEXTS = st.lists(st.sampled_from(FRAGMENTS), max_size=50).map("".join)
ANY_TEXT = st.text(st.characters(max_codepoint=0x33FFF, exclude_categories=["Cs"]), max_size=30)
BATCHES = st.lists(TEXTS | ANY_TEXT, min_size=1, max_size=5)
FULL = settings(max_examples=40, deadline=None)

JOINERS = "'-\u2010\u2011\u2019"
HAN = [(0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x3041, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9D)]


def is_han(c: str) -> bool:
    """Han and kana, each a word of its own."""
    if c in "々〇" or 0x20000 <= ord(c) < 0x34000:
        return True
    return unicodedata.category(c)[0] == "L" and any(first <= ord(c) <= last for first, last in HAN)


def is_wordly(c: str) -> bool:
    """What a run of letters and digits begins with."""
    return not is_han(c) and unicodedata.category(c)[0] in "LN"


def is_mark(c: str) -> bool:
    """What belongs to the character before it."""
    return unicodedata.category(c)[0] == "M"


def words_of(text: str) -> list[tuple[int, int]]:
    """Where each word begins and ends, found one character after the other."""
    found, i = [], 0
    while i < len(text):
        end = i + 1
        if is_wordly(text[i]):
            while end < len(text):
                joined = text[end] in JOINERS and end + 1 < len(text) and is_wordly(text[end + 1])
                if not is_wordly(text[end]) and not is_mark(text[end]) and not joined:
                    break
                end += 1
        elif is_han(text[i]):
            while end < len(text) and is_mark(text[end]):
                end += 1
        else:
            i += 1
            continue
        found.append((i, end))
        i = end
    return found


def folded(text: str) -> str:
    """What hashes do not tell apart: case, width and compatibility, of single characters."""
    out = []
    for c in text:
        one = unicodedata.normalize("NFKC", c).lower()
        out.append(one if len(one) == 1 else c)
    return "".join(out)


def vocabulary_of(text: str) -> list[str]:
    """The folded words, in order."""
    return [folded(text[start:end]) for start, end in words_of(text)]


@contextmanager
def tiny(piece: int, longest: int = 1 << 19) -> Iterator[None]:
    """Pieces of so few characters."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(units, "_PIECE", piece)
        patch.setattr(units, "_LONGEST", longest)
        yield


def found_words(texts: list[str]) -> list[list[str]]:
    """The words of each text, by way of the arrays."""
    out: list[list[str]] = []
    for number, batch in pieces(pl.Series(texts, dtype=pl.String)):
        assert number == len(out), "each text comes once, in order"
        points = "".join(map(chr, batch.points))
        for i in range(len(batch)):
            assert points[batch.borders[i] : batch.borders[i + 1] - 1] == texts[number + i]
            mine = range(batch.first[i], batch.first[i + 1])
            out.append([points[batch.starts[j] : batch.ends[j]] for j in mine])
            assert all(batch.document[j] == i for j in mine)
    return out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("It's a well-known fact", ["It's", "a", "well-known", "fact"]),
        ("It’s x‐y", ["It’s", "x‐y"]),
        ("'quoted' -dash- a--b o' 'k", ["quoted", "dash", "a", "b", "o", "k"]),
        ("今天天气好", ["今", "天", "天", "气", "好"]),
        ("我用Python3写3行", ["我", "用", "Python3", "写", "3", "行"]),
        ("中-a a-中", ["中", "a", "a", "中"]),  # a Han character is a word, never a part of one
        ("東京タワー々〇", ["東", "京", "タ", "ワ", "ー", "々", "〇"]),
        ("cafe\u0301 naïve", ["cafe\u0301", "naïve"]),
        ("한국어 текст", ["한국어", "текст"]),
        ("1,234.5 ½", ["1", "234", "5", "½"]),
        ("snake_case a@b.c", ["snake", "case", "a", "b", "c"]),
        ("a\u200bb", ["a", "b"]),
        ("……！！😀★", []),
        ("𠀀𠀁x", ["𠀀", "𠀁", "x"]),
    ],
)
def test_the_words_are_known(text: str, words: list[str]) -> None:
    assert found_words([text]) == [words]
    assert [text[a:b] for a, b in words_of(text)] == words, "the reference must agree, or it proves nothing"


@FULL
@given(texts=BATCHES)
@example(texts=["a", "", "b"])
@example(texts=["-", "a", "-", "b"])  # a joiner must not reach over the border of two texts
def test_words_are_those_of_the_reference(texts: list[str]) -> None:
    assert found_words(texts) == [[text[a:b] for a, b in words_of(text)] for text in texts]


@FULL
@given(texts=BATCHES, piece=st.integers(1, 40))
def test_the_size_of_pieces_changes_no_word(texts: list[str], piece: int) -> None:
    with tiny(piece):
        assert found_words(texts) == [[text[a:b] for a, b in words_of(text)] for text in texts]


def expected_ngrams(text: str, n: int) -> list[tuple[str, ...]]:
    words = vocabulary_of(text)
    if not words:
        return []
    return [tuple(words[i : i + n]) for i in range(max(len(words) - n + 1, 1))]


def assert_same_classes(hashes: list[int], ngrams_: list[tuple[str, ...]]) -> None:
    """Equal n-grams have equal hashes and different ones different hashes."""
    assert len(hashes) == len(ngrams_)
    assert len(set(zip(hashes, ngrams_, strict=True))) == len(set(hashes)) == len(set(ngrams_))


@FULL
@given(texts=BATCHES, n=st.integers(1, 6), piece=st.sampled_from([1, 5, 17, 1 << 17]))
def test_ngrams_are_those_of_the_reference(texts: list[str], n: int, piece: int) -> None:
    expected = [expected_ngrams(text, n) for text in texts]
    with tiny(piece):
        hashes, offsets = ngrams(pl.Series(texts, dtype=pl.String), n)
    assert np.diff(offsets).tolist() == [len(one) for one in expected]
    assert offsets[0] == 0
    assert offsets[-1] == len(hashes)
    assert_same_classes(hashes.tolist(), [gram for one in expected for gram in one])


@FULL
@given(texts=BATCHES, n=st.integers(1, 6))
def test_a_text_has_the_same_ngrams_alone_and_in_a_batch(texts: list[str], n: int) -> None:
    hashes, offsets = ngrams(pl.Series(texts, dtype=pl.String), n)
    for i, text in enumerate(texts):
        alone, _ = ngrams(pl.Series([text]), n)
        assert hashes[offsets[i] : offsets[i + 1]].tolist() == alone.tolist()


@pytest.mark.parametrize(
    ("one", "other"),
    [("Cat", "cat"), ("ＡＢＣ１", "abc1"), ("ﾊ", "ハ"), ("ΣΑ", "σα"), ("É", "é"), ("豈", "豈")],
)
def test_hashes_ignore_case_width_and_compatibility(one: str, other: str) -> None:
    hashes = [batch.hashes.tolist() for text in (one, other) for _, batch in pieces(pl.Series([text]))]
    assert hashes[0] == hashes[1] != []


@pytest.mark.parametrize(("one", "other"), [("ab", "ba"), ("a", "aa"), ("好", "号"), ("е", "e"), ("café", "cafe"), ("体", "體")])
def test_hashes_tell_other_words_apart(one: str, other: str) -> None:
    hashes = [batch.hashes.tolist() for text in (one, other) for _, batch in pieces(pl.Series([text]))]
    assert hashes[0] != hashes[1]


def test_a_run_has_its_hash_wherever_it_stands() -> None:
    ((_, batch),) = pieces(pl.Series(["abc 好的 abc", "xx abc", "好的"]))
    points = "".join(map(chr, batch.points))
    for run in ("abc", "好的"):
        starts = np.array([i for i in range(len(points)) if points.startswith(run, i)])
        hashes = batch.of_points.runs(starts, starts + len(run))
        assert len(hashes) >= 2
        assert len(set(hashes.tolist())) == 1


def test_a_long_text_comes_alone_and_whole_but_for_its_number() -> None:
    texts = ["ab", "x" * 25, "", "好" * 8, "cd"]
    with tiny(4, 8):
        found = [(number, batch) for number, batch in pieces(pl.Series(texts))]
    of_text: dict[int, str] = {}
    for number, batch in found:
        for i in range(len(batch)):
            part = "".join(map(chr, batch.points[batch.borders[i] : batch.borders[i + 1] - 1]))
            assert len(part) < 8, "a piece stays within the powers that hashes need"
            of_text[number + i] = of_text.get(number + i, "") + part
            assert len(texts[number + i]) < 8 or len(batch) == 1
    assert of_text == dict(enumerate(texts))


def test_a_second_hash_differs_by_salt_and_collides_nowhere() -> None:
    numbers = np.arange(50_000, dtype=np.uint64)
    plain, salted = mixed(numbers), mixed(numbers, 1)
    assert len(np.unique(plain)) == len(np.unique(salted)) == len(numbers)
    assert not np.any(plain == salted)


def test_no_texts_have_no_pieces() -> None:
    nothing = pl.Series([], dtype=pl.String)
    assert list(pieces(nothing)) == []
    hashes, offsets = ngrams(nothing, 3)
    assert (len(hashes), offsets.tolist()) == (0, [0])


@pytest.mark.parametrize("text", ["\U00100000", "\U000f0000", "\U000e0067", "葛\U000e0100"])
def test_private_use_tags_and_selectors_are_no_han_words(text: str) -> None:
    assert found_words([text]) == [[c for c in text if c == "葛"]]


def test_an_emoji_has_no_words() -> None:
    assert found_words(["❤️", "☀️☀️"]) == [[], []]


def test_halfwidth_kana_are_words_like_wide_ones() -> None:
    assert len(found_words(["ﾃｽﾄ"])[0]) == len(found_words(["テスト"])[0])


def test_decomposed_kana_have_as_many_words_as_composed_ones() -> None:
    composed = "がぎぐ"
    assert len(found_words([unicodedata.normalize("NFD", composed)])[0]) == len(composed)
