"""Control tokens: safe or unsafe stands before each document, is read and not learned, and nothing else changes."""

import re
from typing import Any, Literal

import polars as pl
import pytest
from tokenizers import AddedToken

from aigc.core.batches.example import Example, Span
from aigc.core.rules.control import Control, ControlTally, controlled, guided
from aigc.core.rules.flags import Condition
from aigc.core.rules.measures.blocklist import BlocklistHits
from aigc.core.rules.penalties import Penalty, Tally, penalised
from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.training import train
from aigc.errors import AigcError
from conftest import CONTEXT, SENTENCES

SAFE, UNSAFE = "<|safe|>", "<|unsafe|>"
RULE = BlocklistHits(words=["zorbat"])
CONTROL = Control((Condition(RULE), Condition("harmful")), SAFE, UNSAFE)


def frame(*texts: str) -> pl.DataFrame:
    return pl.DataFrame({"id": [f"d{n}" for n in range(len(texts))], "text": texts, "harmful": [t == "bad" for t in texts]})


def run(examples: list[Example], *texts: str, **more: Any) -> tuple[list[Example], ControlTally]:
    tally = ControlTally()
    return controlled(lambda _: list(examples), CONTROL, tally, **more)(frame(*texts)), tally


def test_any_condition_makes_a_document_unsafe() -> None:
    given = [Example("a zorbat", "say: "), Example("bad"), Example("good", "zorbat? ")]
    found, tally = run(given, "a zorbat", "bad", "good")
    assert [one.prompt for one in found] == [f"{UNSAFE}say: ", UNSAFE, f"{SAFE}zorbat? "]
    assert [one.completion for one in found] == [one.completion for one in given]
    assert tally.told() == {"safe": 1, "unsafe": 2}


@pytest.mark.parametrize("example", [Example(f"a {SAFE} b"), Example("a", prompt=UNSAFE)])
def test_a_text_that_says_a_control_token_is_an_error(example: Example) -> None:
    with pytest.raises(AigcError, match=r"control: document d0 says <\|(un)?safe\|> itself; choose another token"):
        run([example], "a")


def test_in_a_chat_the_token_stands_behind_the_start_and_is_read_only() -> None:
    text = "<s>user: hi</s>bot: a zorbat</s>"
    learned = text.index("a zorbat")
    example = Example(text, literal=True, spans=(Span(0, learned, 0.0), Span(learned, learned + 1, 0.5)))
    (found,), _ = run([example], "a", start="<s>", structure=re.compile("</?s>"))
    assert found.completion == f"<s>{UNSAFE}user: hi</s>bot: a zorbat</s>"
    assert [(found.completion[one.begin : one.end], one.weight) for one in found.spans] == [
        (f"<s>{UNSAFE}user: hi</s>bot: ", 0.0),
        ("a", 0.5),
    ]


def test_in_a_chat_that_learns_all_only_the_token_is_read() -> None:
    for start, expected in (("<s>", f"<s>{SAFE}hi"), ("", f"{SAFE}<s>hi"), ("[CLS]", f"{SAFE}<s>hi")):
        found = guided(Example("<s>hi", literal=True), SAFE, start=start)
        assert found.completion == expected
        at = expected.index(SAFE)
        assert found.spans == (Span(at, at + len(SAFE), 0.0),)
    assert guided(Example("hi", prompt="<s>a", literal=True), SAFE, start="<s>").prompt == f"<s>{SAFE}a"


def test_spans_of_penalties_stay_where_they_were() -> None:
    penalty = Penalty(Condition(RULE, "span"), -1.0)
    for example in (Example("a zorbat"), Example("<s>a zorbat", literal=True)):
        inner = penalised(lambda _, one=example: [one], [penalty], Tally([penalty]))
        (found,) = controlled(inner, CONTROL, ControlTally(), start="<s>")(frame("a"))
        assert [found.completion[one.begin : one.end] for one in found.spans if one.weight < 0] == ["zorbat"]
        outer = penalised(
            controlled(lambda _, one=example: [one], CONTROL, ControlTally(), start="<s>"), [penalty], Tally([penalty])
        )
        assert outer(frame("a")) == [found]


@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "unigram"])
def test_a_token_that_is_added_and_not_special_is_one_id_before_the_document(kind: Literal["bpe", "wordpiece", "unigram"]) -> None:
    """What a text says is encoded blind to special tokens, so the control tokens must be none of them."""
    tokenizer = train(SENTENCES * 4, kind=kind, family="decoder", vocabulary=400, context=CONTEXT).tokenizer
    tokenizer.add_tokens([AddedToken(name, special=False, normalized=False) for name in (SAFE, UNSAFE)])
    codec = TextCodec(tokenizer)
    plain, controlled_ids = codec.encode([SENTENCES[0], SAFE + SENTENCES[0]])
    assert controlled_ids[0] == tokenizer.convert_tokens_to_ids(SAFE)
    assert codec.decode(controlled_ids[1:]).strip() == codec.decode(plain).strip()
    assert codec.encode([UNSAFE]) == [[tokenizer.convert_tokens_to_ids(UNSAFE)]]
