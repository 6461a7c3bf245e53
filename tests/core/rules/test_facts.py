"""Facts against a reference in plain Python, for texts alone, in batches and in pieces."""

import math
import re
import unicodedata
from collections import Counter
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_units import BATCHES, FRAGMENTS, TEXTS, folded, is_han, tiny, vocabulary_of, words_of

from aigc.core.rules.facts import FACTS, facts

Numbers = dict[str, float]
FULL = settings(max_examples=25, deadline=None)

COMMON = ".,;:!?'\"()-—–…‘’“”。，、；：！？（）《》〈〉「」『』【】·・〔〕□"
TERMINAL = ".!?\"'。！？…”’」』"
BULLETS = "•‣◦⁃·●○■□▪▫►▶*-–—"


def of_characters(text: str) -> Numbers:
    solid = [c for c in text if not c.isspace()]
    kinds = {c: unicodedata.category(c) for c in solid}
    letter = {c for c in solid if kinds[c][0] == "L" or is_han(c)}
    digit = {c for c in solid if kinds[c][0] == "N"} - letter
    prose = letter | digit | {c for c in solid if kinds[c][0] == "M" or c in COMMON or is_emoji(c)}
    chosen = {
        "characters": set(solid),
        "letters": letter,
        "digits": digit,
        "upper": {c for c in letter if kinds[c] == "Lu"},
        "han": {c for c in solid if is_han(c)},
        "punctuation": {c for c in solid if kinds[c][0] == "P" or c in COMMON},
        "symbols": set(solid) - prose,
    }
    return {name: sum(c in wanted for c in solid) for name, wanted in chosen.items()}


def is_emoji(c: str) -> bool:
    """Pictures, which are no noise."""
    return c in "☀☁☂☃☕☺⚡✅✨❤" or 0x1F000 <= ord(c) < 0x1FB00


def of_words(text: str) -> Numbers:
    words = [text[start:end] for start, end in words_of(text)]
    return {
        "words": len(words),
        "word_characters": sum(map(len, words)),
        "alphabetic_words": sum(any(unicodedata.category(c)[0] == "L" or is_han(c) for c in word) for word in words),
        "mixed_words": sum(
            any(unicodedata.category(c)[0] == "L" for c in word) and any(unicodedata.category(c)[0] == "N" for c in word)
            for word in words
        ),
        "longest_word": max(map(len, words), default=0),
    }


def repeats(runs: list[str], name: str) -> Numbers:
    seen: set[str] = set()
    again = []
    for run in runs:
        if folded(run) in seen:
            again.append(run)
        seen.add(folded(run))
    return {
        f"repeated_{name}": len(again),
        f"repeated_{name}_characters": sum(len(line.strip()) for run in again for line in run.split("\n")),
    }


def paragraphs_of(text: str) -> list[str]:
    """Lines between blank ones, from the first to the last character that is seen."""
    found: list[list[str]] = [[]]
    for line in text.split("\n"):
        if line.strip():
            found[-1].append(line)
        else:
            found.append([])
    return ["\n".join(lines).strip() for lines in found if lines]


def of_lines(text: str) -> Numbers:
    raw = [line.lstrip() for line in text.split("\n") if line.strip()]
    lines = [line.rstrip() for line in raw]
    ellipsis = [line.endswith(("...", "…")) for line in lines]
    return {
        "lines": len(lines),
        "terminal_lines": sum(line[-1] in TERMINAL and not cut for line, cut in zip(lines, ellipsis, strict=True)),
        "ellipsis_lines": sum(ellipsis),
        "bullet_lines": sum(line[0] in BULLETS and (not line[0].isascii() or line[1:2] == " ") for line in raw),
        "short_lines": sum(len(line) <= 30 for line in lines),
        "line_characters": sum(map(len, lines)),
        "paragraphs": len(paragraphs_of(text)),
        **repeats(lines, "lines"),
        **repeats(paragraphs_of(text), "paragraphs"),
    }


def of_marks(text: str) -> Numbers:
    dots = sum(
        text.startswith("...", i) and (i == 0 or text[i - 1] != ".") for i in range(len(text))
    )  # a row of four dots or more is one ellipsis
    sentences = 0
    for c, behind in pairwise(text + "\n"):
        if behind not in "。！？.!?":
            sentences += c in "。！？" or (c in ".!?" and (behind.isspace() or behind in "\"'”’)"))
    return {
        "hashes": text.count("#"),
        "braces": text.count("{"),
        "ellipses": len(re.findall("…+", text)) + dots,
        "sentences": sentences,
    }


def of_repetition(text: str) -> Numbers:
    words, lengths = vocabulary_of(text), [end - start for start, end in words_of(text)]
    counts = Counter(words)
    found: Numbers = {
        "unique_words": len(counts),
        "entropy_sum": sum(count * math.log(count) for count in counts.values()),
    }
    for n in range(2, 11):
        grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        times = Counter(grams)
        if n <= 4:
            found[f"top_{n}gram_characters"] = max(
                (times[gram] * sum(lengths[i : i + n]) for i, gram in enumerate(grams) if times[gram] > 1), default=0
            )
        else:
            covered: set[int] = set()
            seen: set[tuple[str, ...]] = set()
            for i, gram in enumerate(grams):
                if gram in seen:
                    covered.update(range(i, i + n))
                seen.add(gram)
            found[f"repeated_{n}gram_characters"] = sum(lengths[i] for i in covered)
    return found


def reference(text: str) -> Numbers:
    return of_characters(text) | of_words(text) | of_lines(text) | of_marks(text) | of_repetition(text)


def counted(texts: list[str]) -> list[Numbers]:
    table = facts(pl.Series(texts, dtype=pl.String), list(FACTS))
    return table.with_columns(pl.col("entropy_sum").round(9)).to_dicts()  # its last bits depend on the order of the words


def first_dots_aside(text: str) -> str:
    """Dots at the very start are a known fault: see test_an_ellipsis_counts_at_the_start_of_a_batch."""
    return " " + text if text.startswith("...") else text


SAFE = BATCHES.map(lambda texts: [first_dots_aside(text) for text in texts])
# few words, so that n-grams repeat
WORDY = st.lists(st.sampled_from(["a ", "B ", "b", "cat ", "好", "的", "か", "。", " ", "\n"]), max_size=70).map("".join)
# few lines, so that lines and paragraphs repeat
LINES = ["", " ", "好的。", "好的。 ", "Ｏk.", "ok.", "- a", "“是。”", "...", "等等……", "  x", "\u3000"]
LINED = st.lists(st.sampled_from(LINES), max_size=14).map("\n".join)


def test_the_reference_knows_every_fact() -> None:
    assert set(reference("")) == set(FACTS)


@FULL
@given(texts=SAFE | st.lists(WORDY | LINED.map(first_dots_aside), min_size=1, max_size=4))
@example(texts=["", "", ""])
@example(texts=["a\n", "\nb", "\n\n"])
@example(texts=[" ", "a", ""])
def test_facts_are_those_of_the_reference(texts: list[str]) -> None:
    for text, found in zip(texts, counted(texts), strict=True):
        assert found == pytest.approx(reference(text)), text


@FULL
@given(texts=SAFE | st.lists(WORDY, min_size=1, max_size=4), data=st.data())
def test_a_text_has_the_same_facts_alone_and_in_any_batch(texts: list[str], data: st.DataObject) -> None:
    together = counted(texts)
    for text, found in zip(texts, together, strict=True):
        assert counted([text])[0] == found
    order = data.draw(st.permutations(range(len(texts))))
    assert counted([texts[i] for i in order]) == [together[i] for i in order]


@FULL
@given(texts=SAFE | st.lists(WORDY, min_size=1, max_size=4), piece=st.integers(1, 60))
def test_the_size_of_pieces_changes_no_fact(texts: list[str], piece: int) -> None:
    whole = counted(texts)
    with tiny(piece):
        assert counted(texts) == whole


CUT_PROOF = ["characters", "letters", "digits", "upper", "han", "punctuation", "symbols", "hashes", "braces"]


@FULL
@given(texts=st.lists(TEXTS, min_size=1, max_size=4), longest=st.integers(2, 30))
def test_a_text_in_several_pieces_has_the_same_sums(texts: list[str], longest: int) -> None:
    expected = [reference(text) for text in texts]
    with tiny(min(longest, 9), longest):
        found = counted(texts)
    for text, one, other in zip(texts, found, expected, strict=True):
        assert {name: one[name] for name in CUT_PROOF} == {name: other[name] for name in CUT_PROOF}
        cuts = max(-(-len(text) // (longest - 1)) - 1, 0) if len(text) >= longest else 0
        for name in ("words", "lines"):  # a word or a line that a cut parts counts as two
            assert other[name] <= one[name] <= other[name] + cuts, name
        assert one["longest_word"] <= other["longest_word"]


def test_a_real_long_text_is_counted_whole_where_no_word_is_cut() -> None:
    line = "今天天气很好，我们去公园。Then we went home.\n"
    times = (1 << 19) // len(line) + 5
    one, many = reference(line), counted(["before", line * times, "after"])[1]
    for name in (*CUT_PROOF, "words", "word_characters", "alphabetic_words", "sentences"):
        assert many[name] == pytest.approx(one[name] * times, abs=2), name
    assert many["longest_word"] == one["longest_word"]


@pytest.mark.parametrize("name", FACTS)
def test_each_fact_alone_is_as_among_all(name: str) -> None:
    texts = ["".join(FRAGMENTS), "好的 好的\n好的 好的", "", "a b c d e f a b c d e f"]
    alone = facts(pl.Series(texts), [name])
    assert alone.columns == [name]
    assert alone[name].to_list() == pytest.approx([one[name] for one in counted(texts)])


def test_no_texts_have_no_rows() -> None:
    empty = facts(pl.Series([], dtype=pl.String), ["words", "entropy_sum"])
    assert empty.shape == (0, 2)


def test_a_counter_adds_a_column_of_its_own() -> None:
    found = facts(pl.Series(["a b", "好"]), ["words"], {"twice": lambda units: (units.first[1:] - units.first[:-1]) * 2})
    assert found.to_dicts() == [{"words": 2, "twice": 4}, {"words": 1, "twice": 2}]


def test_an_ellipsis_counts_at_the_start_of_a_batch() -> None:
    assert [one["ellipses"] for one in counted(["... and so on", "... and so on"])] == [1, 1]


def test_nothing_wanted_is_no_column() -> None:
    assert facts(pl.Series(["a", "b"]), []).columns == []
