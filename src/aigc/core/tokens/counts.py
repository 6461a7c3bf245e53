"""Texts into how often each word and each character occurs, and which characters a vocabulary has room for."""

import json
from collections.abc import Iterable, Mapping

from tokenizers import Tokenizer, models, trainers
from tokenizers.normalizers import Normalizer
from tokenizers.pre_tokenizers import PreTokenizer

__all__ = ["character_counts", "common_characters", "word_counts"]


def word_counts(texts: Iterable[str], pre_tokenizer: PreTokenizer, normalizer: Normalizer | None = None) -> dict[str, int]:
    """How often each word occurs, the most frequent first, words of one count by their characters.

    Counted by the tokenizers library in all threads (a trainer that may not merge gives up what it has counted), and sorted,
    because its order of words differs from run to run.
    """
    counter = Tokenizer(models.BPE())
    counter.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        counter.normalizer = normalizer
    trainer = trainers.BpeTrainer(vocab_size=0, show_progress=False)
    counter.train_from_iterator(texts, trainer)
    words: dict[str, int] = json.loads(trainer.__getstate__())["BpeTrainer"]["words"]
    return dict(sorted(words.items(), key=lambda item: (-item[1], item[0])))


def character_counts(words: Mapping[str, int]) -> dict[str, int]:
    """How often each character occurs."""
    counts: dict[str, int] = {}
    for word, count in words.items():
        for character in word:
            counts[character] = counts.get(character, 0) + count
    return counts


def common_characters(counts: Mapping[str, int], room: int) -> list[str]:
    """The most frequent characters, as many as there is room for; of one count the lowest code point first."""
    return sorted(counts, key=lambda character: (-counts[character], character))[: max(room, 0)]
