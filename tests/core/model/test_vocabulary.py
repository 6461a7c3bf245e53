"""New tokens cost nothing that was known: old texts give the logits that they gave, and what is new begins as what it was."""

import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from aigc.core.model import adapters, checkpoints, families, vocabulary
from aigc.core.tokens.specials import INFILL
from aigc.core.tokens.specials import Family as Side
from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.training import Kind

sys.path.append(str(Path(__file__).parents[1] / "tokens"))
from tokenizing import codec_of

from aigc.errors import AigcError

OLD = "The quick brown fox jumps; 天气很好，rain."
NEW = [
    "巴黎的春天很美，我们去巴黎看埃菲尔铁塔。埃菲尔铁塔很高。巴黎地铁。",
    "The Parliament debated a bill; parliamentary rules. An artisan.",
]
TEXTS = NEW * 10
CASES: list[tuple[Kind, Side, str]] = [
    ("bpe", "decoder", "gpt2"),
    ("bpe", "decoder", "llama"),
    ("unigram", "decoder", "llama"),
    ("wordpiece", "encoder", "bert"),
    ("unigram", "encoder_decoder", "t5"),
    ("bpe", "encoder_decoder", "bart"),
]
each_kind = pytest.mark.parametrize(("kind", "side", "family"), CASES)


def made(kind: Kind, side: Side, family: str, *, tied: bool = True) -> tuple[PreTrainedModel, TextCodec]:
    """A tiny model whose logits are far from each other, and its codec."""
    codec = codec_of(kind, side)
    torch.manual_seed(0)
    model = families.build(
        family, shape=families.Shape(2, 32, 2), vocabulary=codec.vocabulary, ids=families.SpecialIds.of(codec), context=64
    )
    if not tied:
        model.config.tie_word_embeddings = False
        model.set_output_embeddings(torch.nn.Linear(32, codec.vocabulary, bias=False))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 5.0
    return model.eval(), codec


@torch.no_grad()
def logits_of(model: PreTrainedModel, ids: list[int]) -> torch.Tensor:
    """(T, V)."""
    read = torch.tensor([ids])
    found: torch.Tensor = model(input_ids=read, **({"decoder_input_ids": read} if model.config.is_encoder_decoder else {})).logits
    return found[0]


def tables(model: PreTrainedModel) -> list[torch.Tensor]:
    return [model.get_input_embeddings().weight, model.get_output_embeddings().weight]


@each_kind
def test_texts_without_new_tokens_give_the_logits_that_they_gave(kind: Kind, side: Side, family: str) -> None:
    model, codec = made(kind, side, family)
    [ids] = codec.encode([OLD])
    before = logits_of(model, ids)
    words = vocabulary.missing_words(codec, TEXTS, most=12, least=5)
    longer = vocabulary.extend(model, codec, words)
    assert longer.encode([OLD]) == [ids]
    torch.testing.assert_close(logits_of(model, ids)[:, : codec.vocabulary], before, atol=1e-6, rtol=0)
    assert longer.vocabulary == codec.vocabulary + 12 == model.config.vocab_size
    assert tables(model)[0] is tables(model)[1]


@each_kind
def test_new_rows_are_the_means_of_the_pieces_rows(kind: Kind, side: Side, family: str) -> None:
    model, codec = made(kind, side, family)
    old = tables(model)[0].detach().clone()
    longer = vocabulary.extend(model, codec, ["埃菲尔铁塔", "Parliament"])
    for text in ("埃菲尔铁塔", " Parliament" if kind != "wordpiece" else "Parliament"):
        [[new]], [ids] = longer.encode([text]), codec.encode([text])
        pieces = [id_ for id_ in ids if id_ != codec.unknown] or list(range(codec.vocabulary))
        assert new >= codec.vocabulary
        torch.testing.assert_close(tables(model)[0][new], old[pieces].mean(0))


@each_kind
def test_texts_take_fewer_tokens_and_come_back(kind: Kind, side: Side, family: str) -> None:
    model, codec = made(kind, side, family)
    words = vocabulary.missing_words(codec, TEXTS, most=12, least=5)
    longer = vocabulary.extend(model, codec, words)
    assert vocabulary.bytes_per_token(longer, NEW) > 1.5 * vocabulary.bytes_per_token(codec, NEW)
    text = "".join(NEW)
    if kind != "wordpiece":  # which has no spaces, and unknown words
        assert longer.decode(longer.encode([text])[0]) == text


@each_kind
def test_it_is_saved_and_loaded_with_the_tokenizer(kind: Kind, side: Side, family: str, tmp_path: Path) -> None:
    model, codec = made(kind, side, family)
    longer = vocabulary.extend(model, codec, vocabulary.missing_words(codec, TEXTS, most=9, least=5))
    checkpoints.save(model, longer, tmp_path)
    loaded, read = checkpoints.load(str(tmp_path), kinds=("decoder", "encoder", "encoder_decoder"))
    assert read.encode(NEW) == longer.encode(NEW)
    assert torch.equal(tables(loaded)[1], tables(model)[1])
    assert tables(loaded)[0] is tables(loaded)[1]


def test_a_head_that_is_not_tied_gets_rows_of_its_own() -> None:
    model, codec = made("bpe", "decoder", "llama", tied=False)
    old = [table.detach().clone() for table in tables(model)]
    longer = vocabulary.extend(model, codec, ["埃菲尔铁塔"])
    [ids] = codec.encode(["埃菲尔铁塔"])
    for table, was in zip(tables(model), old, strict=True):
        torch.testing.assert_close(table[longer.encode(["埃菲尔铁塔"])[0][0]], was[ids].mean(0))
    assert not torch.equal(*tables(model))


def test_rows_that_a_checkpoint_has_to_spare_are_used() -> None:
    model, codec = made("bpe", "decoder", "gpt2")
    model.resize_token_embeddings(codec.vocabulary + 64, mean_resizing=False)
    vocabulary.extend(model, codec, ["埃菲尔铁塔"])
    assert len(tables(model)[0]) == codec.vocabulary + 64


def test_worth_is_what_the_texts_would_save() -> None:
    codec = codec_of("bpe", "decoder")
    words = vocabulary.missing_words(codec, TEXTS, most=40, least=5)
    assert {"巴黎", "埃菲", "尔铁塔", "Parliament", "parliamentary", "artisan"} <= set(words)
    assert all(len(word) <= 4 for word in words if not word.isascii())
    saved = []
    for word in words:
        model, _ = made("bpe", "decoder", "gpt2")
        longer = vocabulary.extend(model, codec, [word])
        saved.append(sum(map(len, codec.encode(TEXTS))) - sum(map(len, longer.encode(TEXTS))))
    assert saved[0] == max(saved)
    half = len(saved) // 2
    assert sum(saved[:half]) > 2 * sum(saved[half:])


@pytest.mark.parametrize(("most", "least"), [(3, 1), (100, 11), (100, 31)])
def test_most_and_least_bound_what_is_found(most: int, least: int) -> None:
    found = vocabulary.missing_words(codec_of("bpe", "decoder"), TEXTS, most=most, least=least)
    assert len(found) <= most
    assert bool(found) == (least < 31)  # 巴黎 stands there thirty times, and no word more often
    assert found == vocabulary.missing_words(codec_of("bpe", "decoder"), iter(TEXTS[::-1]), most=most, least=least)


def test_what_has_its_token_is_not_missing() -> None:
    codec = codec_of("bpe", "decoder")
    known = [
        word for word in ("the", "rain", "天气", "公园") if len(codec.encode([f" {word}" if word.isascii() else word])[0]) == 1
    ]
    assert known
    assert not set(known) & set(vocabulary.missing_words(codec, ["the rain 天气 公园 "] * 9, most=99, least=1))
    model, _ = made("bpe", "decoder", "gpt2")
    assert vocabulary.extend(model, codec, known).vocabulary == codec.vocabulary


def test_a_word_that_begins_known_ones_does_not_cut_them() -> None:
    model, codec = made("bpe", "decoder", "gpt2")
    longest = max((name for name in codec.tokenizer.get_vocab() if name.startswith("Ġ") and name[1:].isascii()), key=len)
    word = longest[1:]
    part = next(word[:size] for size in range(2, len(word)) if len(codec.encode([f" {word[:size]}"])[0]) > 1)
    longer = vocabulary.extend(model, codec, [part])
    assert longer.encode([f" {word}"]) == codec.encode([f" {word}"])
    assert longer.encode([f" {part}"])[0][-1] == codec.vocabulary


def test_infill_tokens_are_special_and_unlike_each_other() -> None:
    model, codec = made("bpe", "decoder", "gpt2")
    assert codec.infill is None
    longer = vocabulary.with_infill(model, codec)
    assert longer.infill == tuple(range(codec.vocabulary, codec.vocabulary + 3))
    assert longer.decode(list(longer.infill)) == ""
    assert longer.encode(list(INFILL)) == codec.encode(list(INFILL))  # written out in a text they are text
    rows = tables(model)[0][list(longer.infill)]
    assert not any(torch.allclose(one, other) for one, other in pairwise(rows))
    assert vocabulary.with_infill(model, longer) is longer


def test_control_tokens_are_found_in_a_text() -> None:
    model, codec = made("unigram", "decoder", "llama")
    longer = vocabulary.extend(model, codec, ["<|safe|>", "<|unsafe|>"])
    assert longer.encode(["<|safe|>rain"])[0][0] == codec.vocabulary
    assert longer.decode(longer.encode(["<|unsafe|>rain"])[0]).endswith("<|unsafe|>rain")


def test_embeddings_with_new_rows_are_trained_and_saved_with_adapters(tmp_path: Path) -> None:
    model, codec = made("bpe", "decoder", "llama")
    checkpoints.save(model, codec, tmp_path / "base")
    model, codec = checkpoints.load(str(tmp_path / "base"))
    longer = vocabulary.extend(model, codec, ["埃菲尔铁塔", "Parliament"])
    adapters.add(model, adapters.Lora(rank=2), seed=0)
    assert tables(model)[0].requires_grad
    with torch.no_grad():
        tables(model)[0].add_(torch.randn_like(tables(model)[0]))
    wanted = logits_of(model, longer.encode(NEW)[0])
    checkpoints.save(model, longer, tmp_path / "adapter")
    loaded, read = checkpoints.load(str(tmp_path / "adapter"))
    assert read.encode(NEW) == longer.encode(NEW)
    torch.testing.assert_close(logits_of(loaded, read.encode(NEW)[0]), wanted)


def test_a_tokenizer_that_puts_spaces_behind_new_tokens_is_refused() -> None:
    names = ["<unk>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "a", "b"]
    tokenizer = Tokenizer(models.BPE({name: i for i, name in enumerate(names)}, [], unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens([AddedToken("</s>", special=True, normalized=False)])
    codec = TextCodec(PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>"))
    model, _ = made("bpe", "decoder", "gpt2")
    with pytest.raises(AigcError, match="puts a space behind tokens that are added"):
        vocabulary.extend(model, codec, ["巴黎"])
