"""What is written under a constraint has its form, with every kind of tokenizer; what is no form is an error."""

import json
import re

import pytest
import torch
from tokenizers_of import KINDS, codec_of

from aigc.core.generation.choosing import Chooser
from aigc.core.generation.request import Constraint, Decoding, Drawn, Phrase, Request
from aigc.errors import AigcError

SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer", "minimum": 0, "maximum": 99}, "b": {"enum": ["今天", "ab", None]}},
    "required": ["a", "b"],
    "additionalProperties": False,
}


def _drawn(kind: str, constraint: Constraint, *, max_tokens: int = 200, rows: int = 6, **others: object) -> list[Drawn]:
    """Texts of a model that says anything."""
    codec = codec_of(kind)
    decoding = Decoding(max_tokens, constraint=constraint, **others)  # type: ignore[arg-type]
    chooser = Chooser(codec, decoding, vocabulary=codec.vocabulary)
    writings = [chooser.begin(Request([1], seed), 10**6) for seed in range(rows)]
    generator = torch.Generator().manual_seed(0)
    while going := [writing for writing in writings if writing.finish is None]:
        chooser.choose(torch.randn(len(going), codec.vocabulary, generator=generator), going)
    return [writing.drawn() for writing in writings]


@pytest.mark.parametrize("kind", ["bpe", "unigram", "llama"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_json_is_that_of_its_schema(kind: str, temperature: float) -> None:
    for drawn in _drawn(kind, Constraint("json", json.dumps(SCHEMA)), temperature=temperature):
        assert drawn.finish == "end"
        found = json.loads(drawn.text)
        assert set(found) == {"a", "b"}
        assert 0 <= found["a"] <= 99 and isinstance(found["a"], int)
        assert found["b"] in ("今天", "ab", None)
        assert len(drawn.text) < 200, "white space without end"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("expression", ["[ab今天 ]{3,8}", "(a|今天)( a| 今|b)*", "a+|天+", r"(今天|a)\n?", "[^x/]/?"])
def test_a_text_matches_its_whole_expression(kind: str, expression: str) -> None:
    try:
        found = _drawn(kind, Constraint("regex", expression))
    except AigcError:
        pytest.fail("the expression is one")
    for drawn in found:
        if drawn.finish == "end":
            assert re.fullmatch(expression, drawn.text), drawn.text
        else:  # the tokenizer cannot spell the rest, or writes on
            assert drawn.finish == "length"
    assert any(drawn.finish == "end" for drawn in found) or kind == "words"


@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "unigram", "llama", "bert"])
def test_a_choice_is_one_of_the_texts(kind: str) -> None:
    choices = ("a", "今", "b天" if kind in ("bpe", "unigram", "llama") else "b 天")
    found = _drawn(kind, Constraint("choice", choices), rows=30)
    assert {drawn.text for drawn in found} <= {*choices}
    assert len({drawn.text for drawn in found}) > 1
    assert {drawn.finish for drawn in found} == {"end"}


def test_a_choice_that_goes_on_as_another_may_end() -> None:
    found = _drawn("bpe", Constraint("choice", ("a", 'ab"\\\n今')), rows=40)
    assert {drawn.text for drawn in found} == {"a", 'ab"\\\n今'}
    assert {drawn.finish for drawn in found} == {"end"}


def test_a_limit_may_cut_the_form_and_a_complete_one_ends() -> None:
    assert {drawn.finish for drawn in _drawn("bpe", Constraint("regex", "[ab]{9,}"), max_tokens=4)} == {"length"}
    [drawn] = _drawn("bpe", Constraint("regex", "q"), max_tokens=1, rows=1)
    assert (drawn.text, drawn.finish) == ("q", "end")
    [drawn] = _drawn("bpe", Constraint("regex", "qq"), rows=1, min_tokens=50)
    assert (drawn.text, drawn.finish) == ("qq", "end"), "a form that is complete ends before any least number of tokens"


def test_a_form_that_only_a_banned_phrase_completes_ends_unfinished() -> None:
    for drawn in _drawn("bpe", Constraint("regex", "[ab]{2}今天"), phrases=(Phrase("今天"),)):
        assert drawn.finish == "length"
        assert re.match("[ab]{2}", drawn.text)
        assert "今天" not in drawn.text


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        (Constraint("json", '{"type": "foo"}'), "constrain: .*Invalid type: foo"),
        (Constraint("json", "{"), "constrain: the JSON schema is no JSON"),
        (Constraint("json", "3"), "constrain: "),
        (Constraint("json", '{"type": "array", "uniqueItems": true}'), "constrain: .*Unimplemented keys.*uniqueItems"),
        (Constraint("regex", "a(b"), r"constrain: .*unclosed group"),
        (Constraint("regex", "(?=a)b"), r"constrain: .*look-around"),
        (Constraint("choice", ()), "constrain: there are no texts to choose from"),
    ],
)
def test_what_is_no_form_is_one_clear_line(constraint: Constraint, message: str) -> None:
    with pytest.raises(AigcError, match=f"^{message}") as caught:
        _drawn("bpe", constraint)
    assert "\n" not in str(caught.value) and "llguidance" not in str(caught.value)
