"""Texts into a byte-level BPE tokenizer: no text is unknown to it. Source: Sennrich et al. 2016; Radford et al. 2019 (bytes)."""

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from aigc.core.tokens.specials import Specials

__all__ = ["train_byte_pairs"]

# GPT-4's split (cl100k_base); a run of Han characters is one piece, inside which BPE finds the words
_SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def train_byte_pairs(texts: Iterable[str], *, vocabulary: int, specials: Specials) -> Tokenizer:
    """The merges that shorten the texts most.

    The trainer breaks ties by ids, which follow from the sorted bytes, so that neither threads nor hashes decide.

    Args:
        texts: what to learn from.
        vocabulary: the most entries, with the 256 bytes and the special tokens.
        specials: the special tokens.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=specials.tokens,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=24,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
