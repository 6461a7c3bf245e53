"""Any text survives encoding and decoding, here and through the saved tokenizer."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from aigc.core.tokens.text import END_OF_TEXT, TextCodec
from aigc.core.tokens.training import train
from aigc.errors import AigcError

TEXTS = st.lists(st.text(max_size=60), max_size=5)
SAMPLES = ["", " ", "\r\n\t", "雨声。 it's 12345!", "👩‍👩‍👧 e\u0301 \x00", "  two  spaces  "]


@pytest.fixture(scope="module")
def reloaded(codec: TextCodec, tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    """The codec's tokenizer as plain transformers loads it from a folder."""
    folder: Path = tmp_path_factory.mktemp("tokenizer")
    codec.save(folder)
    return AutoTokenizer.from_pretrained(folder)


@given(texts=TEXTS)
def test_any_text_comes_back(codec: TextCodec, texts: list[str]) -> None:
    assert [codec.decode(ids) for ids in codec.encode(texts)] == texts


@given(texts=TEXTS)
def test_texts_are_encoded_one_by_one(codec: TextCodec, texts: list[str]) -> None:
    assert codec.encode(texts) == [codec.encode([text])[0] for text in texts]


@given(text=st.text(max_size=60))
def test_ids_are_in_the_vocabulary_and_never_the_end(codec: TextCodec, text: str) -> None:
    ids = codec.encode([text])[0]
    assert all(0 <= id_ < codec.vocabulary for id_ in ids)
    assert codec.end not in ids


def test_nothing_encodes_to_nothing(codec: TextCodec) -> None:
    assert codec.encode([]) == []
    assert codec.encode([""]) == [[]]
    assert codec.decode([]) == ""


def test_start_and_end_are_the_end_of_text_token(codec: TextCodec) -> None:
    assert codec.start == [codec.end]
    assert codec.tokenizer.convert_ids_to_tokens(codec.end) == END_OF_TEXT
    assert codec.decode([*codec.start, *codec.encode(["雨"])[0], codec.end]) == "雨"


def test_vocabulary_is_at_most_what_was_asked_for(codec: TextCodec) -> None:
    assert 257 < codec.vocabulary <= 400
    assert train(["a"], kind="bpe", family="decoder", vocabulary=300, context=8).vocabulary == 257


def test_learned_words_are_shorter_than_their_bytes(codec: TextCodec) -> None:
    text = "今天的天气很好"
    assert len(codec.encode([text])[0]) < len(text.encode())


def test_training_is_deterministic() -> None:
    texts = ["the cat sat on the mat", "猫坐在垫子上"] * 3
    first, second = (train(iter(texts), kind="bpe", family="decoder", vocabulary=280, context=8) for _ in range(2))
    assert first.tokenizer.get_vocab() == second.tokenizer.get_vocab()


@given(text=st.text(max_size=60))
def test_a_saved_tokenizer_gives_the_same_ids_after_the_start(
    codec: TextCodec, reloaded: PreTrainedTokenizerFast, text: str
) -> None:
    assert reloaded(text).input_ids == [*codec.start, *codec.encode([text])[0]]


@pytest.mark.parametrize("text", SAMPLES)
def test_a_reloaded_codec_is_the_same_codec(codec: TextCodec, reloaded: PreTrainedTokenizerFast, text: str) -> None:
    again = TextCodec(reloaded)
    assert (again.start, again.end, again.vocabulary) == (codec.start, codec.end, codec.vocabulary)
    assert again.encode([text]) == codec.encode([text])
    assert again.decode(again.encode([text])[0]) == text
    assert reloaded.model_max_length == codec.tokenizer.model_max_length


def test_a_tokenizer_without_an_end_is_an_error() -> None:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()))
    with pytest.raises(AigcError, match="no end-of-text token"):
        TextCodec(tokenizer)


def test_a_tokenizer_that_prepends_nothing_has_no_start(codec: TextCodec) -> None:
    bare = Tokenizer(models.WordLevel({"a": 0, "<end>": 1}, unk_token="a"))
    assert TextCodec(PreTrainedTokenizerFast(tokenizer_object=bare, eos_token="<end>")).start == []
