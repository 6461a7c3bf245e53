"""Texts into a codec: a tokenizer of one of three kinds, with the special tokens of a family of models."""

from collections.abc import Iterable
from typing import Literal

from aigc.core.tokens.bpe import train_byte_pairs
from aigc.core.tokens.specials import Family, Specials
from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.unigram import train_unigram
from aigc.core.tokens.wordpiece import train_word_pieces

__all__ = ["Kind", "train"]

Kind = Literal["bpe", "wordpiece", "unigram"]
_TRAINERS = {"bpe": train_byte_pairs, "wordpiece": train_word_pieces, "unigram": train_unigram}


def train(
    texts: Iterable[str],
    *,
    kind: Kind,
    vocabulary: int,
    context: int,
    family: Family,
    infill: bool = False,
    sentinels: int = 0,
) -> TextCodec:
    """A tokenizer learned from texts. The same texts give the same tokenizer, however many threads there are.

    Args:
        texts: what to learn from, read once.
        kind: byte-level BPE and unigram (with bytes for what is rare) lose nothing; WordPiece drops spaces and has unknown words.
        vocabulary: the most entries, special tokens included; fewer where the texts have no more pieces.
        context: the length that plain transformers users are warned beyond.
        family: whose special tokens it has, and what stands round a text (see `Specials`).
        infill: a decoder gets tokens for a prefix, a suffix and a middle to fill in.
        sentinels: how many tokens for hidden spans an encoder-decoder gets; with any, a text has no <s> before it, as for T5.

    Raises:
        AigcError: the vocabulary has no room, or the family no use for infilling or sentinels.
    """
    specials = Specials(family, infill, sentinels, unknown=family != "decoder" or kind != "bpe", spaced=kind != "wordpiece")
    return TextCodec(specials.wrap(_TRAINERS[kind](texts, vocabulary=vocabulary, specials=specials), context))
