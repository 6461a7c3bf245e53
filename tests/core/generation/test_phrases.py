"""No banned phrase is ever in a decoded text, whatever its tokens; nothing else is lost."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers_of import KINDS, codec_of

from aigc.core.generation.phrases import Phrases, spellings
from aigc.core.generation.request import Phrase
from aigc.core.generation.spelling import spelling
from aigc.errors import AigcError

CPU = torch.device("cpu")
BANNED = ["天", "人工", "ab", "he qu", "a b", "今天", "好。", "rain", ". ", "花园里的花", "é"]


def _phrases(kind: str, texts: list[str], penalty: float | None = None) -> Phrases:
    codec = codec_of(kind)
    return Phrases(codec, [Phrase(text, penalty) for text in texts], vocabulary=codec.vocabulary, device=CPU)


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_are_what_tokens_add_to_a_text(kind: str) -> None:
    codec, spelled = codec_of(kind), spelling(codec_of(kind))
    for seed in range(300):
        rng = random.Random(seed)
        ids = [rng.randrange(codec.vocabulary) for _ in range(rng.randrange(9))]
        situation, text = 0, b""
        for token in ids:
            text += spelled.added[situation][token]
            situation = spelled.next(situation, token)
        said = text.decode(errors="replace")
        if kind not in ("unigram", "llama") or "\ufffd" not in said:  # there a run of bytes that is no text is no text as a whole
            assert said == codec.decode(ids)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(6))
def test_no_banned_phrase_is_ever_written(kind: str, seed: int) -> None:
    rng = random.Random(seed)
    codec = codec_of(kind)
    texts = rng.sample(BANNED, 3)
    phrases = _phrases(kind, texts)
    generator = torch.Generator().manual_seed(seed)
    likely = torch.zeros(codec.vocabulary)
    for text in texts:  # a model that would write them
        likely[codec.encode([text])[0]] += 3
        likely[[id_ for id_, piece in enumerate(spelling(codec).added[-1]) if piece and piece.strip() in text.encode()]] += 2
    traces = [phrases.begin([]) for _ in range(8)]
    ids: list[list[int]] = [[] for _ in traces]
    for _ in range(60):
        logits = likely + torch.randn(len(traces), codec.vocabulary, generator=generator)
        phrases.apply(logits, traces)
        for row, token in enumerate(torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0].tolist()):
            ids[row].append(token)
            traces[row].take(token)
    said = [codec.decode(row) for row in ids]
    for text in texts:
        assert not any(one in some for some in said for one in spellings(text))


@given(data=st.data(), kind=st.sampled_from(["bpe", "wordpiece", "unigram"]))
@settings(deadline=None, max_examples=60)
def test_exactly_the_tokens_that_would_complete_a_phrase_are_taken(data: st.DataObject, kind: str) -> None:
    codec = codec_of(kind)
    texts = data.draw(st.lists(st.text("abh 今天公园", min_size=1, max_size=3), min_size=1, max_size=3))
    ids = data.draw(st.lists(st.integers(0, codec.vocabulary - 1), max_size=5))
    phrases, spelled = _phrases(kind, texts), spelling(codec)
    trace = phrases.begin([])
    situation, text = 0, b""
    for token in ids:
        trace.take(token)
        text += spelled.added[situation][token]
        situation = spelled.next(situation, token)
    logits = torch.zeros(1, codec.vocabulary)
    phrases.apply(logits, [trace])
    wanted = [one.encode() for some in texts for one in spellings(some)]
    taken = [
        any((text + piece).find(one, max(0, len(text) - len(one) + 1)) >= 0 for one in wanted) and piece != b""
        for piece in spelled.added[situation]
    ]
    assert (logits[0] == -torch.inf).tolist() == taken


def test_a_discouraged_phrase_costs_its_penalty_once() -> None:
    codec = codec_of("bpe")
    phrases = Phrases(codec, [Phrase("he", 2.0), Phrase("e", 1.5), Phrase("e ", None)], vocabulary=codec.vocabulary, device=CPU)
    pieces = spelling(codec).added[0]
    trace = phrases.begin([])
    for text, lost in (("", 1.5), ("h", 2.0)):
        for byte in text.encode():
            trace.take(pieces.index(bytes([byte])))
        logits = torch.zeros(1, codec.vocabulary)
        phrases.apply(logits, [trace])
        assert logits[0, pieces.index(b"e")] == -lost
        assert logits[0, pieces.index(b"h")] == 0
    trace.take(pieces.index(b"e"))
    phrases.apply(logits, [trace])
    assert logits[0, pieces.index(b" ")] == -torch.inf


def test_latin_phrases_are_meant_in_any_case_and_chinese_ones_are_one() -> None:
    assert set(spellings("new York")) == {"new York", "new york", "New york", "New York", "NEW YORK"}
    assert spellings("天安门") == ["天安门"]


def test_an_empty_phrase_is_an_error() -> None:
    with pytest.raises(AigcError, match="empty"):
        _phrases("bpe", ["a", ""])
