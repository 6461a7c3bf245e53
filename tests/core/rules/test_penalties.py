"""What is flagged gets spans over its own characters, the harshest wins, and every rule that touched a text is on record."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.batches.example import Example, Reader, Span
from aigc.core.batches.shards import write_shards
from aigc.core.rules.flags import Condition, Place
from aigc.core.rules.measures.blocklist import BlocklistHits
from aigc.core.rules.measures.characters import Characters
from aigc.core.rules.measures.toxicity import Toxicity
from aigc.core.rules.measures.words import Words
from aigc.core.rules.penalties import Penalty, Tally, penalised, settled
from aigc.core.tokens.text import TextCodec
from aigc.errors import AigcError

INSULTS = BlocklistHits(words=["zorbat", "glimpf haken", "哐噔货", "漢噔"])  # made up: no text has them by chance
PLANTED = {  # what is written, and what of it is the insult
    "The neighbour is a zorbat, they say.": ["zorbat"],
    "You Z-O-R-B-A-T! You ｚｏｒｂａｔ!": ["Z-O-R-B-A-T", "ｚｏｒｂａｔ"],
    "A glimpf\nhaken, and another z0rbat.": ["glimpf\nhaken", "z0rbat"],
    "隔壁的哐噔貨又来了，真是个汉噔。": ["哐噔貨", "汉噔"],
    "他骂了一句：哐*噔*货！": ["哐*噔*货"],
    "The market opens at nine. 市场九点开门。": [],
    "": [],
}


def reading() -> Reader:
    """A reader that takes the column text for the completion."""
    return lambda frame: [Example(text, row=row) for row, text in enumerate(frame["text"].to_list())]


def read(frame: pl.DataFrame, *penalties: Penalty, reader: Reader | None = None, **more: Any) -> tuple[list[Example], Tally]:
    tally = Tally(penalties)
    return penalised(reader or reading(), penalties, tally, **more)(frame), tally


def penalty(by: Any, weight: float = 0.0, on: Place = "document") -> Penalty:
    return Penalty(Condition(by, on), weight)


def covered(example: Example) -> list[tuple[str, float]]:
    return [(example.completion[span.begin : span.end], span.weight) for span in example.spans]


def texts(*given: str, **columns: Any) -> pl.DataFrame:
    return pl.DataFrame({"id": [f"d{n}" for n in range(len(given))], "text": list(given), **columns})


def test_spans_cover_the_planted_insults_as_they_are_written() -> None:
    examples, tally = read(texts(*PLANTED), penalty(INSULTS, -1.0, "span"))
    assert {one.completion: [text for text, _ in covered(one)] for one in examples} == PLANTED
    assert {weight for one in examples for _, weight in covered(one)} == {-1.0}
    (told,) = tally.told()["penalties"]
    flat = [insult for insults in PLANTED.values() for insult in insults]
    assert (told["documents"], told["spans"], told["characters"]) == (5, len(flat), sum(map(len, flat)))
    assert (told["rule"], told["bounds"], told["by"], told["on"]) == ("blocklist", ["max 0"], "unlikelihood", "span")
    assert tally.touched == 5
    assert all(example["flagged"] in flat for example in told["examples"])


def test_an_example_without_a_hit_is_left_as_it_was() -> None:
    kept = [Example("fine"), Example("also fine", prompt="zorbat?"), Example("", prompt="a")]
    examples, tally = read(texts("a", "b", "c"), penalty(INSULTS, -1.0, "span"), reader=lambda _: list(kept))
    assert all(one is other for one, other in zip(examples, kept, strict=True))
    assert tally.touched == 0
    assert tally.told()["documents"] == 3


def test_the_bound_decides_whether_places_are_flagged() -> None:
    rule = INSULTS.model_copy(update={"max": 1})
    examples, _ = read(texts("one zorbat", "a zorbat, a zorbat"), penalty(rule, 0.0, "span"))
    assert [covered(one) for one in examples] == [[], [("zorbat", 0.0)] * 2]


@pytest.mark.parametrize(
    ("on", "expected"),
    [("document", "Fine. A zorbat! 很好。"), ("sentence", "A zorbat! "), ("span", "zorbat")],
)
def test_a_rule_flags_texts_or_sentences_or_places(on: Place, expected: str) -> None:
    examples, _ = read(texts("Fine. A zorbat! 很好。", "Fine. 很好。"), penalty(INSULTS, 0.25, on))
    assert [covered(one) for one in examples] == [[(expected, 0.25)], []]


def test_any_measure_may_flag() -> None:
    insult = "去死吧，你们这些恶心的垃圾，滚！"
    frame = texts(f"今天天气很好，我们去公园散步。{insult}晚上回家吃饭。", "今天天气很好。")
    (first, second), _ = read(frame, penalty(Toxicity(max=0.9), 0.0, "sentence"))
    assert covered(first) == [(insult, 0.0)]
    assert covered(second) == []
    (first, second), _ = read(frame, penalty(Characters(min=10), 0.0))
    assert (covered(first), covered(second)) == ([], [("今天天气很好。", 0.0)])


def test_a_bound_may_differ_by_language() -> None:
    examples, _ = read(texts("one two three", "一二三四五"), penalty(Words.model_validate({"max": {"zh": 2}}), 0.0))
    assert [bool(one.spans) for one in examples] == [False, True]


def test_a_rule_without_places_cannot_flag_them() -> None:
    with pytest.raises(AigcError, match="toxicity judges a text and knows no places in it"):
        read(texts("a"), penalty(Toxicity(max=0.5), 0.0, "span"))


def test_the_harshest_wins() -> None:
    """Unlikelihood over masks over weights, character by character."""
    frame = texts("Fine. A zorbat here. Good.")
    order = [penalty(Characters(max=1), 0.5), penalty(INSULTS, 0.0, "sentence"), penalty(INSULTS, -2.0, "span")]
    expected = [("Fine. ", 0.5), ("A ", 0.0), ("zorbat", -2.0), (" here. ", 0.0), ("Good.", 0.5)]
    for some in (order, order[::-1]):
        (example,), tally = read(frame, *some)
        assert covered(example) == expected
        assert tally.touched == 1
        assert sorted(one["characters"] for one in tally.told()["penalties"]) == [6, 15, 26], "each as it flagged"


_SPANS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.sampled_from([-2.0, -1.0, 0.0, 0.1, 0.5])), max_size=6)


@given(before=_SPANS, more=_SPANS)
@settings(deadline=None, max_examples=100)
def test_settled_spans_are_what_each_character_says_by_itself(before: list[Any], more: list[Any]) -> None:
    old, new = ([Span(min(a, b), max(a, b), weight) for a, b, weight in spans] for spans in (before, more))
    found = settled(old, new)
    weights: dict[int, float] = {}
    for span in found:
        assert span.begin < span.end
        for at in range(span.begin, span.end):
            assert at not in weights, "disjoint"
            weights[at] = span.weight
    for at in range(12):
        here = [span.weight for span in (*old, *new) if span.begin <= at < span.end]
        is_read_only = any(span.weight == 0 and span.begin <= at < span.end for span in old)
        assert weights.get(at) == (0 if is_read_only else min(here, default=None))
    assert list(found) == sorted(found, key=lambda span: span.begin)
    assert all(one.end < other.begin or one.weight != other.weight for one, other in pairwise(found))


CHAT = "<|im_start|>user\nYou zorbat, you 哐噔货?<|im_end|>\n<|im_start|>assistant\n{}<|im_end|>\n"


def _chat(answer: str) -> Example:
    text = CHAT.format(answer)
    return Example(text, literal=True, spans=(Span(0, text.index(answer + "<|im_end|>"), 0.0),))


@pytest.mark.parametrize("on", ["span", "document"])
def test_of_a_chat_only_what_is_learned_is_touched(on: Place) -> None:
    examples = [_chat("No, you zorbat."), _chat("Let us be kind.")]
    structure = re.compile(re.escape("<|im_start|>") + "|" + re.escape("<|im_end|>"))
    (bad, good), tally = read(texts("a", "b"), penalty(INSULTS, -1.0, on), reader=lambda _: list(examples), structure=structure)
    read_only = (examples[0].completion[: examples[0].spans[0].end], 0.0)
    assert covered(bad) == [read_only, ("zorbat" if on == "span" else "No, you zorbat.", -1.0)], "nor the token that ends a turn"
    assert good is examples[1]
    assert tally.touched == 1


class TestColumns:
    """What a user says of the documents in a column."""

    def spans(self, values: Any, *given: str, dtype: Any = None, reader: Reader | None = None) -> list[list[str]]:
        frame = texts(*given).with_columns(harmful=pl.Series(values, dtype=dtype))
        examples, _ = read(frame, penalty("harmful", 0.0), reader=reader)
        return [[text for text, _ in covered(one)] for one in examples]

    @pytest.mark.parametrize(
        "values", [[True, False, None], [1, 0, None], [1.0, 0.0, float("nan")], ["true", "False", ""], ["1", "0", None]]
    )
    def test_true_means_the_whole_text(self, values: list[Any]) -> None:
        assert self.spans(values, "abc", "def", "ghi") == [["abc"], [], []]

    @pytest.mark.parametrize("as_text", [False, True])
    def test_spans_are_characters(self, as_text: bool) -> None:
        lists = [[[1, 3], [4, 5]], [], None, [[2, 2]]]
        values = [None if one is None else str(one) for one in lists] if as_text else lists
        assert self.spans(values, "一二三四五", "abc", "def", "ghi") == [["二三", "五"], [], [], []]

    def test_no_spans_at_all(self) -> None:
        assert self.spans([[], []], "abc", "def") == [[], []]
        assert self.spans([None, None], "abc", "def") == [[], []]

    def test_they_are_found_again_where_a_template_puts_something_round_the_text(self) -> None:
        def titled(frame: pl.DataFrame) -> list[Example]:
            return [Example(f"标题\n\n{text}\n") for text in frame["text"].to_list()]

        assert self.spans([[[4, 7]]], "abc zorbat", reader=titled) == [["zor"]]

    def test_else_they_are_those_of_what_is_learned(self) -> None:
        assert self.spans([[[0, 4]]], "", reader=lambda _: [Example("answer", prompt="question")]) == [["answ"]]

    def test_a_chat_has_other_characters(self) -> None:
        with pytest.raises(AigcError, match="document d0: spans of column 'harmful' cannot be found in a chat"):
            self.spans([[[0, 1]]], "nowhere", reader=lambda _: [_chat("x")])

    @pytest.mark.parametrize(
        "values", [["maybe"], [2], [0.5], [[[1, 2, 3]]], [[["a", "b"]]], [[[3, 1]]], [[[-1, 1]]], [[5, 6]], ['"a"']]
    )
    def test_anything_else_is_an_error_that_says_where(self, values: list[Any]) -> None:
        with pytest.raises(AigcError, match=r"document d0: column 'harmful' has .*; needed is true or false, or a list of \[begin"):
            self.spans(values, "abc def")

    def test_a_span_behind_the_end(self) -> None:
        with pytest.raises(
            AigcError, match="document d1: column 'harmful' has a span that ends at 9, and the text has 3 characters"
        ):
            self.spans([None, [[0, 9], [1, 2]]], "abc", "def")

    def test_a_column_that_is_not_there(self) -> None:
        with pytest.raises(AigcError, match="column 'harmful' is not in the documents; columns found: id, text"):
            read(texts("a"), penalty("harmful"))


def test_batches_add_up() -> None:
    whole = texts(*PLANTED)
    _, expected = read(whole, penalty(INSULTS, 0.5, "span"), penalty(Characters(max=30), 0.0))
    tally = Tally(expected.penalties)
    reader = penalised(reading(), tally.penalties, tally)
    for start in range(0, len(whole), 2):
        reader(whole[start : start + 2])
    assert tally.told() == expected.told()


def test_a_batch_of_nothing() -> None:
    examples, tally = read(texts().cast(pl.String), penalty(INSULTS, 0.0, "sentence"), penalty(Toxicity(max=0.5), 0.0))
    assert examples == []
    assert tally.told()["documents"] == 0


def test_the_tokens_of_a_span_are_pushed_down_and_all_others_learned(codec: TextCodec, tmp_path: Path) -> None:
    """From a text to the weights on disk: every token that stands for a character of an insult, and no other, has the weight."""
    planted = {text: insults for text, insults in PLANTED.items() if text}
    reader = penalised(reading(), [penalty(INSULTS, -1.0, "span")], Tally([penalty(INSULTS, -1.0, "span")]))
    shards = write_shards(tmp_path / "shards", [reader(texts(*planted))], codec)
    assert shards.documents == len(planted)
    assert shards.weights is not None
    for number, (text, insults) in enumerate(planted.items()):
        begin = int(shards.starts(np.array([number]))[0])
        ids, weights = shards.tokens[begin : int(shards.ends[number])], shards.weights[begin : int(shards.ends[number])]
        pushed, learned = (codec.byte_lengths[ids[chosen]].sum() for chosen in (weights < 0, weights == 1))
        wanted = sum(len(insult.encode()) for insult in insults)
        assert set(weights.tolist()) <= {0.0, 1.0, -1.0}
        assert wanted <= pushed <= wanted + 4 * len(insults), "a token that reaches over the edge counts as a whole"
        assert pushed + learned == len(text.encode())
