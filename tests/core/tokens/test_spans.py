"""Which characters each token stands for, in Chinese and in English, and which names are special tokens."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizing import FAMILIES, KINDS, codec_of

from aigc.core.tokens.specials import Family
from aigc.core.tokens.training import Kind

MIXED = st.lists(st.text("今天，。!? aB\n 𠮷😀é", max_size=40), max_size=4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=60, deadline=None)
@given(texts=MIXED)
def test_tokens_stand_for_characters_from_left_to_right(kind: Kind, family: Family, texts: list[str]) -> None:
    codec = codec_of(kind, family)
    found = codec.encode_spans(texts)
    assert [ids for ids, _ in found] == codec.encode(texts)
    for text, (ids, spans) in zip(texts, found, strict=True):
        assert spans.shape == (len(ids), 2)
        begins, ends = spans.T.tolist()
        assert begins == sorted(begins) and ends == sorted(ends)
        assert all(0 <= begin < end <= len(text) for begin, end in spans.tolist())
        covered = {at for begin, end in spans.tolist() for at in range(begin, end)}
        assert all(at in covered for at, character in enumerate(text) if not character.isspace())


def test_bytes_of_a_character_stand_for_all_of_it() -> None:
    for kind in ("bpe", "unigram"):
        ((ids, spans),) = codec_of(kind, "decoder").encode_spans(["a𠮷b"])  # type: ignore[arg-type]
        assert len(ids) >= 6
        assert [span for span in spans.tolist() if span[0] == 1][:4] == [[1, 2]] * 4


def test_names_of_special_tokens_are_text_unless_they_are_asked_for() -> None:
    codec = codec_of("bpe", "decoder", extras=True)
    assert codec.infill is not None
    text = "今<|fim_prefix|>天 rain<|endoftext|>"
    ((plain, _),) = codec.encode_spans([text])
    assert not {codec.end, *codec.infill} & set(plain)
    ((ids, spans),) = codec.encode_spans([text], specials=True)
    assert codec.decode(ids) == "今天 rain"
    assert ids == codec.tokenizer(text, add_special_tokens=False).input_ids
    assert [text[slice(*spans[ids.index(one)])] for one in (codec.infill[0], codec.end)] == ["<|fim_prefix|>", "<|endoftext|>"]


def test_a_truncated_call_of_transformers_does_not_truncate_the_codec() -> None:
    codec = codec_of("bpe", "decoder", extras=True)
    codec.tokenizer("rain " * 20, truncation=True, max_length=5, padding="max_length")
    assert codec.decode(codec.encode_spans(["rain " * 20], specials=True)[0][0]) == "rain " * 20


def test_the_space_before_a_word_belongs_to_its_token() -> None:
    codec = codec_of("bpe", "decoder", extras=True)
    for specials in (False, True):
        ((ids, spans),) = codec.encode_spans(["more rain"], specials=specials)
        assert "".join("more rain"[begin:end] for begin, end in spans.tolist()) == "more rain", ids
