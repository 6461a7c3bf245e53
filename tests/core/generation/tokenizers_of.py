"""Codecs of all kinds that the tests of generation share."""

from functools import cache

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.training import train

TEXTS = [
    "The quick brown fox jumps over the lazy dog. It was 3.14, she said; we laughed!",
    'She opened the window and listened to the rain: {"name": "Ann", "age": 31}',
    "春天来了，花园里的花都开了。我们去公园散步吧！",
    "今天的天气很好，我们去公园散步吧。他打开窗户，听着外面的雨声。",
    "人工智能正在改变我们的生活。人工智能！\n今天的天气很好。",
] * 4
KINDS = ["bpe", "wordpiece", "unigram", "llama", "bert", "gpt1", "words"]


@cache
def codec_of(kind: str) -> TextCodec:
    """Our own tokenizers, and small ones as those of others are built."""
    if kind == "bpe":
        return train(iter(TEXTS), kind="bpe", vocabulary=400, context=64, family="decoder")
    if kind in ("wordpiece", "unigram"):
        return train(iter(TEXTS), kind=kind, vocabulary=420, context=64, family="decoder")  # type: ignore[arg-type]
    tokenizer = {"llama": _llama, "bert": _bert, "gpt1": _gpt1, "words": _words}[kind]()
    tokenizer.add_special_tokens([AddedToken("</s>", special=True, normalized=False)])
    return TextCodec(PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>"))


def _llama() -> Tokenizer:
    """A space before a text that is none of its, bytes for what is rare."""
    names = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *"▁abc天今好。", "▁a", "ab", "▁▁", "今天", "▁好", "c."]
    tokenizer = Tokenizer(models.BPE({name: i for i, name in enumerate(names)}, [], unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def _bert() -> Tokenizer:
    """Marks lose the space before them."""
    names = ["[UNK]", *"abc天今好。.,!'", "rain", "##y", "##a", "##天", "n't", "s", "'s"]
    tokenizer = Tokenizer(models.WordPiece({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=True)
    return tokenizer


def _gpt1() -> Tokenizer:
    """A space behind what ends a word, unless it is the last."""
    names = ["<unk>", *"abc天今好。", *(f"{c}</w>" for c in "abc天今好。."), "ab</w>", "bc"]
    tokenizer = Tokenizer(models.BPE({name: i for i, name in enumerate(names)}, [], unk_token="<unk>", end_of_word_suffix="</w>"))
    tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
    return tokenizer


def _words() -> Tokenizer:
    """No decoder: words with a space between any two."""
    return Tokenizer(models.WordLevel({name: i for i, name in enumerate(["<unk>", "a", "rain", "天", "今天", "好。"])}, "<unk>"))
