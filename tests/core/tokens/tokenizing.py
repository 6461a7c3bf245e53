"""Tokenizers of every kind for every family, trained once for all tests of the room."""

from functools import cache

from aigc.core.tokens.specials import Family
from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.training import Kind, train

TEXTS = [
    "The quick brown fox jumps over the lazy dog. It was 3.14, she said; <b>we</b> [all] laughed!",
    "She opened the window and listened to the rain: “What a day!” (So they say.)",
    "春天来了，花园里的花都开了。我们去公园散步吧！",
    "今天的天气很好，我们去公园散步吧。他打开窗户，听着外面的雨声。",
    "人工智能正在改变我们的生活。人工智能！\n今天的天气很好。",
    "Rain, rain and 2024 more rain\nfell on the garden.",
] * 4
KINDS: list[Kind] = ["bpe", "wordpiece", "unigram"]
FAMILIES: list[Family] = ["decoder", "encoder", "encoder_decoder"]


@cache
def codec_of(kind: Kind, family: Family, *, extras: bool = False) -> TextCodec:
    """A codec of at most 500 entries; `extras` are infilling tokens or ten sentinels."""
    return train(
        iter(TEXTS),
        kind=kind,
        vocabulary=500,
        context=64,
        family=family,
        infill=extras and family == "decoder",
        sentinels=10 if extras and family == "encoder_decoder" else 0,
    )
