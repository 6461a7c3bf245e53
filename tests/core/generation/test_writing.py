"""A row's text does not depend on how it was cut into tokens, and what is settled stays."""

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers_of import KINDS, codec_of

from aigc.core.generation.request import Decoding, Drawn, Request
from aigc.core.generation.spelling import spelling
from aigc.core.generation.writing import Terms, Writing
from aigc.core.tokens.text import TextCodec

PLAIN = Decoding(max_tokens=1000)


def _written(ids: Sequence[int], decoding: Decoding = PLAIN, kind: str = "bpe", room: int = 10**6) -> tuple[Drawn, list[str]]:
    """The row, and its text as it was settled."""
    writing = Writing(Request([0], 0), Terms.of(codec_of(kind), decoding), room)
    pieces = []
    for token in ids:
        if writing.finish is None:
            writing.take(token)
            pieces.append(writing.fresh())
    writing.close("end")
    pieces.append(writing.fresh())
    drawn = writing.drawn()
    assert "".join(pieces) == drawn.text, "what was settled has changed"
    return drawn, pieces


def _cuts(text: str, codec: TextCodec) -> list[list[int]]:
    """The text in the tokenizer's own tokens, in bytes, and in both."""
    half = len(text) // 2
    whole, head = codec.encode([text, text[:half]])
    return [whole, _in_bytes(text), head + _in_bytes(text[half:])]


@cache
def _tokens_of_bytes() -> list[int]:
    added = spelling(codec_of("bpe")).added[0]
    return [added.index(bytes([byte])) for byte in range(256)]


def _in_bytes(text: str) -> list[int]:
    return [_tokens_of_bytes()[byte] for byte in text.encode()]


@pytest.mark.parametrize("kind", KINDS)
def test_the_text_is_the_decoded_one_token_by_token(kind: str) -> None:
    codec = codec_of(kind)
    for seed in range(60):
        rng = random.Random(seed)
        ids = [rng.randrange(codec.vocabulary) for _ in range(rng.randrange(1, 60))]
        ids = [id_ for id_ in ids if id_ != codec.end]
        drawn, _ = _written(ids, kind=kind)
        assert (drawn.text, drawn.ids, drawn.tokens) == (codec.decode(ids), tuple(ids), len(ids))
        read, _ = _written(ids, replace(PLAIN, max_characters=10**6), kind)
        assert read.text == drawn.text


@given(text=st.text("a 今天。.\n😀é", max_size=30), cut=st.integers(0, 2))
@settings(deadline=None)
def test_a_part_of_a_character_is_not_settled(text: str, cut: int) -> None:
    drawn, pieces = _written(_cuts(text, codec_of("bpe"))[cut])
    assert drawn.text == text
    assert "\ufffd" not in "".join(pieces)


TEXTS = st.text("aSTOP 今天。", max_size=40)
STOPS = st.lists(st.text("aSTOP今天", min_size=1, max_size=4), max_size=3)


@given(text=TEXTS, stops=STOPS, cut=st.integers(0, 2))
@settings(deadline=None, max_examples=300)
def test_the_first_whole_stop_string_ends_the_text_before_it(text: str, stops: list[str], cut: int) -> None:
    drawn, _ = _written(_cuts(text, codec_of("bpe"))[cut], replace(PLAIN, stop_strings=tuple(stops)))
    found = [(text.index(stop) + len(stop), text.index(stop)) for stop in stops if stop in text]
    assert drawn.text == (text[: min(found)[1]] if found else text)
    assert drawn.finish == ("stop" if found else "end")


@given(text=TEXTS, most=st.integers(1, 12), cut=st.integers(0, 2))
@settings(deadline=None)
def test_a_text_has_exactly_so_many_characters(text: str, most: int, cut: int) -> None:
    drawn, _ = _written(_cuts(text, codec_of("bpe"))[cut], replace(PLAIN, max_characters=most))
    assert (drawn.text, drawn.finish) == (text[:most], "length" if len(text) >= most else "end")


def test_what_may_be_a_stop_string_is_held_back_until_it_is_none() -> None:
    ids = _cuts("say STOx and STO", codec_of("bpe"))[1]
    _, pieces = _written(ids, replace(PLAIN, stop_strings=("STOP",)))
    assert pieces == [*"say ", "", "", "", "STOx", *" and ", "", "", "", "STO"]


@pytest.mark.parametrize(
    ("text", "most", "expected", "finish"),
    [
        ("春天来了。花开了！雨停了", 2, "春天来了。花开了！", "length"),
        ("他说：「来吧。」她来了。", 1, "他说：「来吧。」", "length"),
        ("等等……好。", 1, "等等……", "length"),
        ("It is 3.14, she said. We laughed!", 1, "It is 3.14, she said.", "length"),
        ('"Go!" he said. "Now."', 5, '"Go!" he said. "Now."', "end"),
        ("One line\nand the next. Two", 1, "One line\nand the next.", "length"),
        ("标题\n\n正文。第二句。", 2, "标题\n\n正文。", "length"),
        ("One. ", 1, "One. ", "end"),
        ("Wait...  No? Yes.", 2, "Wait...  No?", "length"),
    ],
)
@pytest.mark.parametrize("cut", [0, 1, 2])
def test_a_text_ends_behind_its_last_sentence(text: str, most: int, expected: str, finish: str, cut: int) -> None:
    drawn, _ = _written(_cuts(text, codec_of("bpe"))[cut], replace(PLAIN, max_sentences=most))
    assert (drawn.text, drawn.finish) == (expected, finish)


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_the_first_limit_counts(cut: int) -> None:
    ids = _cuts("春天。花开。END", codec_of("bpe"))[cut]
    texts = {
        _written(ids, replace(PLAIN, max_sentences=sentences, max_characters=characters, stop_strings=("END",)))[0].text
        for sentences, characters in [(2, 100), (9, 6), (9, 100)]
    }
    assert texts == {"春天。花开。"}
    assert _written(ids, replace(PLAIN, max_characters=7, stop_strings=("END",)))[0].text == "春天。花开。E"


def test_ends_and_limits() -> None:
    codec = codec_of("bpe")
    ids = _cuts("abcdef", codec)[1]
    assert _written([*ids, codec.end, *ids])[0] == Drawn("abcdef", 6, "end", tuple(ids))
    assert _written([*ids, ids[0]], replace(PLAIN, stops=frozenset([ids[3]])))[0] == Drawn("abc", 3, "end", tuple(ids[:3]))
    assert _written(ids, replace(PLAIN, max_tokens=4))[0].finish == "length"
    assert _written(ids, room=2)[0] == Drawn("ab", 2, "length", tuple(ids[:2]))
    assert _written(ids, room=0)[0] == Drawn("", 0, "length", ())


def test_a_stop_string_that_names_a_special_token_is_that_token() -> None:
    codec = codec_of("llama")
    [name] = [name for name in codec.tokenizer.get_added_vocab() if name == "</s>"]
    other = TextCodec(codec.tokenizer)
    other.end = -1
    terms = Terms.of(other, replace(PLAIN, stop_strings=(name,)))
    writing = Writing(Request([0], 0), terms, 9)
    writing.take(codec.end)
    assert (writing.finish, writing.ids) == ("stop", [])


def test_no_stop_string_counts_before_enough_tokens() -> None:
    ids = _cuts("a;b;c;d", codec_of("bpe"))[1]
    decoding = replace(PLAIN, stop_strings=(";",))
    assert [_written(ids, replace(decoding, min_tokens=n))[0].text for n in (0, 1, 2, 3, 4, 99)] == [
        *("a", "a", "a;b", "a;b", "a;b;c", "a;b;c;d"),
    ]


@given(seed=st.integers(0, 2**63), count=st.integers(0, 300))
@settings(deadline=None)
def test_draws_are_those_of_the_seed(seed: int, count: int) -> None:
    writing = Writing(Request([0], seed), Terms.of(codec_of("bpe"), PLAIN), 9)
    assert [writing.draw() for _ in range(count)] == np.random.default_rng(seed).random(count).tolist()
