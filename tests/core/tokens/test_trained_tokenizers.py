"""Each kind of tokenizer for each family of models: same bytes, same ids as plain transformers, right special tokens."""

import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers
from tokenizing import FAMILIES, KINDS, TEXTS, codec_of
from transformers import AutoConfig, AutoTokenizer

from aigc.core.tokens.counts import word_counts
from aigc.core.tokens.specials import Family
from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.training import Kind, train
from aigc.errors import AigcError

each_kind = pytest.mark.parametrize("kind", KINDS)
each_family = pytest.mark.parametrize("family", FAMILIES)
ANY_TEXT = st.one_of(st.text(max_size=60), st.text("今天的天气很好，。 the rain\n😀", max_size=60))
NAMES = [
    "<|endoftext|>",
    "<|fim_middle|>",
    "[MASK]",
    "[UNK]",
    "[PAD]",
    "<mask>",
    "</s>",
    "<pad>",
    "<unk>",
    "<extra_id_3>",
    "<0x0A>",
]


def _bytes(codec: TextCodec) -> str:
    text: str = codec.tokenizer.backend_tokenizer.to_str()
    return text


def test_byte_pairs_for_a_decoder_stay_what_checkpoints_were_trained_with() -> None:
    ours = train(["the cat sat on the mat", "猫坐在垫子上"] * 3, kind="bpe", family="decoder", vocabulary=290, context=8)
    state = json.loads(_bytes(ours))
    model = json.dumps([state["model"]["merges"], state["pre_tokenizer"], state["post_processor"], state["added_tokens"]])
    assert hashlib.sha256(model.encode()).hexdigest()[:16] == "60f720b5b1307190"


_DIGESTS = """
import hashlib, random
from aigc.core.tokens.training import train

draw = random.Random(1)
texts = [" ".join("".join(draw.choices("abcdefg天地人", k=draw.randint(1, 6))) for _ in range(40)) for _ in range(60)]
for kind in ("bpe", "wordpiece", "unigram"):
    codec = train(texts, kind=kind, vocabulary=900, context=8, family="encoder")
    print(kind, hashlib.sha256(codec.tokenizer.backend_tokenizer.to_str().encode()).hexdigest())
"""


def test_the_same_texts_give_the_same_tokenizer_whatever_the_threads() -> None:
    """In processes of their own: hashes are seeded and threads are started once per process."""
    printed = set()
    for threads in ("1", "3"):
        environment = {**os.environ, "RAYON_NUM_THREADS": threads}
        done = subprocess.run([sys.executable, "-c", _DIGESTS], env=environment, capture_output=True, text=True, check=True)
        printed.add(done.stdout)
    assert len(printed) == 1
    assert printed.pop().count("\n") == 3


@each_kind
@each_family
@settings(max_examples=40)
@given(text=ANY_TEXT)
def test_plain_transformers_gives_the_ids_with_start_and_end(kind: Kind, family: Family, text: str) -> None:
    codec = codec_of(kind, family, extras=True)
    tail = [] if family == "decoder" else [codec.end]
    (ids,) = codec.encode([text])
    assert codec.tokenizer(text, split_special_tokens=True).input_ids == [*codec.start, *ids, *tail]


@each_kind
@each_family
@settings(max_examples=30)
@given(text=ANY_TEXT, name=st.sampled_from(NAMES))
def test_names_of_special_tokens_are_text(kind: Kind, family: Family, text: str, name: str) -> None:
    codec = codec_of(kind, family, extras=True)
    special = set(codec.tokenizer.all_special_ids) - {codec.unknown}
    for written in (f"{text}{name}{text}", f"{name} {text}", name):
        assert not special.intersection(codec.encode([written])[0])


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
@settings(max_examples=200)
@given(text=ANY_TEXT.filter(lambda text: "▁" not in text))
def test_bytes_lose_nothing(kind: Kind, text: str) -> None:
    codec = codec_of(kind, "encoder_decoder")
    (ids,) = codec.encode([text])
    assert codec.decode(ids) == text
    assert codec.unknown not in ids


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
@settings(max_examples=200)
@given(text=ANY_TEXT)
def test_lengths_of_tokens_add_up_to_the_text(kind: Kind, text: str) -> None:
    codec = codec_of(kind, "encoder")
    (ids,) = codec.encode([text])
    text = text.replace("▁", " ") if kind == "unigram" else text
    assert codec.byte_lengths[ids].sum() == len(text.encode())
    assert codec.byte_lengths.shape == (codec.vocabulary,)
    assert not codec.byte_lengths[codec.tokenizer.all_special_ids].any()


def test_lengths_of_word_pieces_leave_spaces_out() -> None:
    codec = codec_of("wordpiece", "encoder")
    (ids,) = codec.encode(["the rainrain 今天 ！"])
    assert codec.unknown not in ids
    assert codec.byte_lengths[ids].sum() == len("therainrain今天！".encode())


@each_kind
@each_family
def test_what_pads_is_an_id_of_its_own_but_for_decoders(kind: Kind, family: Family) -> None:
    codec = codec_of(kind, family)
    assert (codec.pad == codec.end) == (family == "decoder")
    assert codec.pad == 0
    assert codec.tokenizer.pad_token_id == codec.pad
    assert (codec.mask is None) == (family == "decoder")
    padded = codec.tokenizer(["the rain", "the rain, the rain"], padding=True)
    assert padded.input_ids[0][-1] == codec.pad
    assert padded.attention_mask[0][-1] == 0


def test_extra_special_tokens() -> None:
    decoder = codec_of("bpe", "decoder", extras=True)
    assert decoder.infill == tuple(
        decoder.tokenizer.convert_tokens_to_ids([f"<|fim_{part}|>" for part in ("prefix", "suffix", "middle")])
    )
    assert codec_of("bpe", "decoder").infill is None
    both = codec_of("unigram", "encoder_decoder", extras=True)
    assert both.tokenizer.convert_ids_to_tokens(both.sentinels) == [f"<extra_id_{i}>" for i in range(10)]
    assert both.tokenizer.extra_special_tokens == [f"<extra_id_{i}>" for i in range(10)]
    assert codec_of("unigram", "encoder_decoder").sentinels == []
    assert both.start == []
    assert codec_of("unigram", "encoder_decoder").start == [1]
    assert both.decode([both.sentinels[0], *both.encode(["雨"])[0], both.end]) == "雨"


@each_kind
@each_family
def test_vocabularies_are_full_and_their_ids_are_dense(kind: Kind, family: Family) -> None:
    codec = codec_of(kind, family, extras=True)
    assert 200 < codec.vocabulary <= 500
    assert sorted(codec.tokenizer.get_vocab().values()) == list(range(codec.vocabulary))


@pytest.mark.parametrize(
    ("kind", "family", "config"),
    [
        ("bpe", "decoder", {"model_type": "gpt2"}),
        ("unigram", "decoder", {"model_type": "llama"}),
        ("wordpiece", "encoder", {"model_type": "bert"}),
        ("bpe", "encoder", {"model_type": "bert"}),
        ("unigram", "encoder", {"model_type": "modernbert"}),
        ("unigram", "encoder_decoder", {"model_type": "t5"}),
        ("bpe", "encoder_decoder", {"model_type": "bart"}),
        ("wordpiece", "encoder_decoder", {"model_type": "bart"}),
    ],
)
def test_a_saved_codec_is_the_same_beside_the_config_of_a_model(
    kind: Kind, family: Family, config: dict[str, str], tmp_path: Path
) -> None:
    codec = codec_of(kind, family, extras=True)
    codec.save(tmp_path)
    AutoConfig.for_model(**config).save_pretrained(tmp_path)
    again = TextCodec(AutoTokenizer.from_pretrained(tmp_path))
    for name in ("start", "end", "pad", "mask", "unknown", "vocabulary", "sentinels", "infill"):
        assert getattr(again, name) == getattr(codec, name), name
    assert (again.byte_lengths == codec.byte_lengths).all()
    texts = [*TEXTS[:6], "", " a  b ", "<mask>[MASK]</s><|endoftext|>", "no 😀 seen"]
    assert again.encode(texts) == codec.encode(texts)
    assert [again.decode(ids) for ids in again.encode(texts)] == [codec.decode(ids) for ids in codec.encode(texts)]
    assert again.tokenizer("the rain", "今天").input_ids == codec.tokenizer("the rain", "今天").input_ids
    assert again.tokenizer.model_input_names == codec.tokenizer.model_input_names


def test_an_encoder_tells_the_second_text_of_a_pair() -> None:
    tokenizer = codec_of("wordpiece", "encoder").tokenizer
    pair = tokenizer("the rain", "今天")
    first, second = tokenizer("the rain").input_ids, tokenizer("今天").input_ids
    assert pair.input_ids == [*first, *second[1:]]
    assert pair.token_type_ids == [0] * len(first) + [1] * (len(second) - 1)


@each_kind
@pytest.mark.parametrize("family", ["encoder", "encoder_decoder"])
def test_a_mask_in_plain_transformers_takes_the_space_before_it(kind: Kind, family: Family) -> None:
    codec = codec_of(kind, family)
    ids = codec.tokenizer(f"the {codec.tokenizer.mask_token} rain", add_special_tokens=False).input_ids
    assert ids == [*codec.encode(["the"])[0], codec.mask, *codec.encode([" rain"])[0]]


def test_word_pieces_are_words_and_single_han_characters() -> None:
    codec = codec_of("wordpiece", "encoder")
    tokens = codec.tokenizer.convert_ids_to_tokens(codec.encode(["Rain, 今天的天气很好。X\u4e01"])[0])
    assert tokens[2:-2] == ["今", "天", "的", "天", "气", "很", "好", "。"]
    assert tokens[-1] == "[UNK]"
    assert codec.decode(codec.encode(["今天的天气很好，the rain 好。"])[0]) == "今天的天气很好， the rain 好。"
    assert not any(len(token) > 1 and token[0] == "今" for token in codec.tokenizer.get_vocab())


def test_unigram_pieces_of_chinese_are_words() -> None:
    draw = random.Random(1)
    words = "今天 天气 我们 散步 公园 下雨 吃饭 学校 很 好 的 去".split()
    texts = ["".join(draw.choices(words, k=9)) for _ in range(300)]
    codec = train(texts, kind="unigram", vocabulary=261 + 20 + 8, context=8, family="encoder")
    pieces = [codec.decode([id_]) for id_ in codec.encode(["今天我们去公园散步，天气很好"])[0]]
    assert "|".join(pieces[:5] + pieces[-3:]) == "今天|我们|去|公园|散步|天气|很|好"
    assert max(len(piece) for piece in codec.tokenizer.get_vocab() if "\u4e00" <= piece[-1] <= "\u9fff") <= 4


@pytest.mark.parametrize("kind", ["wordpiece", "unigram"])
def test_a_long_text_without_spaces_or_marks_is_no_trouble(kind: Kind) -> None:
    draw = random.Random(1)
    text = "".join(draw.choices("天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏", k=60_000))
    codec = train([text], kind=kind, vocabulary=400, context=8, family="encoder")
    assert codec.decode(codec.encode([text])[0]) == text


def test_a_small_vocabulary_keeps_the_most_frequent_characters() -> None:
    texts = ["天" * 3 + "地" * 2 + "人", *(chr(0x4E00 + i) for i in range(3000))]
    for kind, size in (("wordpiece", 40), ("unigram", 290)):
        codec = train(texts, kind=kind, vocabulary=size, context=8, family="encoder")  # type: ignore[arg-type]
        assert codec.vocabulary <= size
        assert len(codec.encode(["天"])[0]) == len(codec.encode(["地"])[0]) == 1
        assert codec.unknown not in codec.encode(["天地"])[0]


@each_kind
def test_nothing_to_learn_from_is_still_a_tokenizer(kind: Kind) -> None:
    codec = train([], kind=kind, vocabulary=300, context=8, family="encoder")
    assert codec.encode([""]) == [[]]
    assert codec.vocabulary >= 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "wordpiece", "vocabulary": 6, "family": "encoder"}, "a vocabulary of 6 has no room"),
        ({"kind": "unigram", "vocabulary": 260, "family": "encoder"}, "a unigram vocabulary of 260 has no room"),
        ({"kind": "bpe", "vocabulary": 300, "family": "encoder", "infill": True}, "infilling tokens are for a decoder"),
        ({"kind": "bpe", "vocabulary": 300, "family": "decoder", "sentinels": 3}, "sentinels are for an encoder-decoder"),
    ],
)
def test_what_cannot_be_trained_is_an_error(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(AigcError, match=message):
        train(["a"], context=8, **arguments)  # type: ignore[arg-type]


def test_words_are_counted_in_a_fixed_order() -> None:
    counts = word_counts(["b a b", "c a", "é"], pre_tokenizers.WhitespaceSplit())
    assert list(counts.items()) == [("a", 2), ("b", 2), ("c", 1), ("é", 1)]
