"""Tokenizers as checkpoints of others have them, built small: what starts, ends and pads, and what their tokens stand for."""

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.units import marks_of


def _special(tokenizer: Tokenizer, *names: str) -> None:
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])


def _template(tokenizer: Tokenizer, template: str) -> None:
    names = [name for name in template.split() if name != "$A"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=template, special_tokens=[(name, tokenizer.token_to_id(name)) for name in names]
    )


@pytest.fixture(scope="module")
def gpt2() -> TextCodec:
    """Byte-level, nothing before a text, no padding token."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({name: i for i, name in enumerate([*letters, "Ġt"])}, [("Ġ", "t")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    _special(tokenizer, "<|endoftext|>")
    end = "<|endoftext|>"
    return TextCodec(PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=end, eos_token=end, unk_token=end))


@pytest.fixture(scope="module")
def llama() -> TextCodec:
    """Metaspace with a space put before a text, bytes for what is rare."""
    names = [
        "<unk>",
        "<s>",
        "</s>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        "a",
        "天",
        "▁a",
        "▁<PRE>",
        "▁<SUF>",
        "▁<MID>",
    ]
    model = models.BPE(
        {name: i for i, name in enumerate(names)}, [("▁", "a")], unk_token="<unk>", fuse_unk=True, byte_fallback=True
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    _special(tokenizer, "<unk>", "<s>", "</s>")
    _template(tokenizer, "<s> $A")
    return TextCodec(PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"))


@pytest.fixture(scope="module")
def bert() -> TextCodec:
    """WordPiece, a separator but no end of text; truncation is baked into the tokenizer."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "rain", "##y", "今", "天", ".", "[", "]", "mask"]
    tokenizer = Tokenizer(models.WordPiece({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    _special(tokenizer, *names[:5])
    _template(tokenizer, "[CLS] $A [SEP]")
    tokenizer.enable_truncation(4)
    roles = {f"{role}_token": f"[{role.upper()}]" for role in ("pad", "unk", "cls", "sep", "mask")}
    return TextCodec(PreTrainedTokenizerFast(tokenizer_object=tokenizer, **roles))


@pytest.fixture(scope="module")
def t5() -> TextCodec:
    """Unigram whose special tokens are pieces of the model, and whose words are not split from marks."""
    scores = [
        ("<pad>", 0.0),
        ("</s>", 0.0),
        ("<unk>", 0.0),
        ("▁", -2.0),
        ("▁rain", -3.0),
        ("天", -4.0),
        *((c, -5.0) for c in "<>/sabr"),
    ]
    scores += [(f"<extra_id_{i}>", 0.0) for i in reversed(range(3))]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    _special(tokenizer, "<pad>", "</s>", "<unk>", *(f"<extra_id_{i}>" for i in range(3)))
    _template(tokenizer, "$A </s>")
    return TextCodec(PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", pad_token="<pad>", unk_token="<unk>"))


def test_gpt2(gpt2: TextCodec) -> None:
    assert (gpt2.start, gpt2.end, gpt2.pad, gpt2.mask, gpt2.unknown, gpt2.sentinels, gpt2.infill) == (
        [],
        257,
        257,
        None,
        None,
        [],
        None,
    )
    (ids,) = gpt2.encode([" the 天<|endoftext|>"])
    assert gpt2.byte_lengths[ids].tolist() == [2] + [1] * (len(" the 天<|endoftext|>".encode()) - 2)
    assert gpt2.decode([*ids, gpt2.end]) == " the 天<|endoftext|>"


def test_llama(llama: TextCodec) -> None:
    name = llama.tokenizer.convert_tokens_to_ids
    assert (llama.start, llama.end, llama.pad, llama.unknown) == ([1], 2, 2, 0)
    assert llama.infill == (name("▁<PRE>"), name("▁<SUF>"), name("▁<MID>"))
    (ids,) = llama.encode(["a\na é"])
    assert llama.tokenizer.convert_ids_to_tokens(ids) == ["▁a", "<0x0A>", "a", "▁", "<0xC3>", "<0xA9>"]
    assert llama.byte_lengths[ids].tolist() == [2, 1, 1, 1, 1, 1]
    assert llama.byte_lengths[[0, 1, 2]].tolist() == [0, 0, 0]
    assert llama.end not in llama.encode(["a</s>a"])[0]
    ((again, tokens),) = llama.encode_marked(["a\na é"], marks_of("paragraph"))
    assert (again, tokens) == (ids, [0, 2])


def test_bert(bert: TextCodec) -> None:
    assert (bert.start, bert.end, bert.pad, bert.mask, bert.unknown) == ([2], 3, 0, 4, 1)
    (ids,) = bert.encode(["Rainy 今天. [mask] [MASK] 丁 rain"])
    assert bert.tokenizer.convert_ids_to_tokens(ids) == [
        *("rain", "##y", "今", "天", ".", "[", "mask", "]", "[", "mask", "]", "[UNK]", "rain"),
    ]
    assert bert.byte_lengths.tolist() == [0, 0, 0, 0, 0, 4, 1, 3, 3, 1, 1, 1, 4]
    ((_, tokens),) = bert.encode_marked(["Rainy. 今天"], marks_of("sentence"))
    assert tokens == [0, 3]


def test_a_truncated_call_of_transformers_does_not_truncate_the_codec(bert: TextCodec) -> None:
    text = "rain " * 20
    assert len(bert.tokenizer(text, truncation=True, max_length=5, padding="max_length").input_ids) == 5
    assert len(bert.encode([text])[0]) == 20


def test_t5(t5: TextCodec) -> None:
    assert (t5.start, t5.end, t5.pad, t5.unknown) == ([], 1, 0, 2)
    assert t5.tokenizer.convert_ids_to_tokens(t5.sentinels) == ["<extra_id_0>", "<extra_id_1>", "<extra_id_2>"]
    (ids,) = t5.encode(["rain</s>天"])
    assert t5.tokenizer.convert_ids_to_tokens(ids) == ["▁rain", "<", "/", "s", ">", "天"]
    assert t5.byte_lengths[ids].tolist() == [5, 1, 1, 1, 1, 3]
    assert not set(t5.sentinels).intersection(t5.encode(["<extra_id_0> <extra_id_1>"])[0])
    assert t5.encode(["rain 天"]) == [t5.tokenizer("rain 天", add_special_tokens=False).input_ids]
    assert t5.encode(["丁"])[0][-1] == t5.unknown


def test_ids_with_a_gap_are_all_in_the_vocabulary() -> None:
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 7, "<end>": 1}, unk_token="a"))
    codec = TextCodec(PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>"))
    assert codec.vocabulary == 8
    assert codec.byte_lengths.tolist() == [1, 0, 0, 0, 0, 0, 0, 1]
