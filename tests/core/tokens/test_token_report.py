"""Figures of how well a tokenizer suits texts."""

import json
from collections.abc import Iterator

import pytest
from tokenizing import TEXTS, codec_of

from aigc.core.tokens.report import language_of, token_report


def test_figures_by_language() -> None:
    codec = codec_of("bpe", "decoder")
    report = token_report(codec, iter([*TEXTS, ""]))
    english = [text for text in TEXTS if text.isascii() or "“" in text]
    ids = codec.encode(english)
    assert list(report["languages"]) == ["en", "zh"]
    en = report["languages"]["en"]
    assert (en["texts"], en["tokens"]) == (len(english) + 1, sum(map(len, ids)))
    assert en["bytes"] == sum(len(text.encode()) for text in english)
    assert en["bytes_per_token"] == en["bytes"] / en["tokens"]
    assert en["vocabulary_used"] == len({id_ for text in ids for id_ in text}) / codec.vocabulary
    assert en["unknown_share"] == 0
    assert max(en["vocabulary_used"], report["languages"]["zh"]["vocabulary_used"]) < report["vocabulary_used"] < 1
    json.dumps(report)


def test_words_of_unseen_characters_are_unknown() -> None:
    report = token_report(codec_of("wordpiece", "encoder"), ["今天丁", "丁丂"])
    assert report["languages"]["zh"]["unknown_share"] == 3 / 5


def test_no_texts() -> None:
    assert token_report(codec_of("bpe", "decoder"), []) == {
        "vocabulary": codec_of("bpe", "decoder").vocabulary,
        "vocabulary_used": 0.0,
        "languages": {},
    }
    empty = token_report(codec_of("bpe", "decoder"), [""])["languages"]["en"]
    assert (empty["bytes_per_token"], empty["unknown_share"]) == (None, 0.0)


def test_texts_are_not_kept() -> None:
    alive = 0

    class Text(str):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def stream() -> Iterator[str]:
        nonlocal alive
        for _ in range(2000):
            alive += 1
            assert alive < 1000
            yield Text("the rain")

    token_report(codec_of("bpe", "decoder"), stream())


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("", "en"),
        ("123 !", "en"),
        ("今天", "zh"),
        ("天 abc", "en"),
        ("天天天 abcdefg", "zh"),
        ("天天 abcdefg", "en"),
        ("𠮷〇 ab", "zh"),
    ],
)
def test_language(text: str, language: str) -> None:
    assert language_of(text) == language
