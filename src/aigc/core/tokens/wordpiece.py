"""Texts into a WordPiece tokenizer as BERT has it: cased, each Han character a word of its own, [UNK] for what it never saw.

Source: Devlin et al. 2019. What joins two pieces is decided by how often they stand together, as in the tokenizers library.
"""

from collections.abc import Iterable, Iterator, Mapping

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from aigc.core.tokens.counts import character_counts, common_characters, word_counts
from aigc.core.tokens.specials import Specials
from aigc.errors import AigcError

__all__ = ["train_word_pieces"]

_LONGEST_WORD = 100  # characters; a longer word is unknown (BERT)
_CHARACTERS_SHARE = 0.75  # of the vocabulary that single characters may fill
_WIDE = r"[\p{Han}\x{3000}-\x{303F}\x{FF00}-\x{FFEF}]"  # Han characters and the marks of their prose: no space between two
_PREFIX = "##"


def train_word_pieces(texts: Iterable[str], *, vocabulary: int, specials: Specials) -> Tokenizer:
    """The pieces that make up the most frequent words.

    The library's trainer numbers the pieces inside words in the order of a hash table, and breaks ties by these numbers. So the
    words are counted first, and then given to it with all pieces of one character named in order.

    Args:
        texts: what to learn from.
        vocabulary: the most entries, with the special tokens; the rarest characters are left out where they would not fit.
        specials: the special tokens, the one for unknown words among them.

    Raises:
        AigcError: the vocabulary has no room for anything but special tokens.
    """
    normalizer = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=False)
    words = word_counts(texts, pre_tokenizers.BertPreTokenizer(), normalizer)
    words = {word: count for word, count in words.items() if len(word) <= _LONGEST_WORD}
    names = [token.content for token in specials.tokens]
    room = vocabulary - len(names)
    if room < 4:
        raise AigcError(f"a vocabulary of {vocabulary} has no room beside {len(names)} special tokens")
    characters, inner = _alphabet(words, int(room * _CHARACTERS_SHARE))
    first = [*names, *inner]
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary,
        special_tokens=first,
        initial_alphabet=characters,
        limit_alphabet=len(characters),
        continuing_subword_prefix=_PREFIX,
        show_progress=False,
    )
    learner = Tokenizer(models.WordPiece(unk_token=specials.unknown_token))
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    known = set(characters)
    learner.train_from_iterator(_repeated({word: count for word, count in words.items() if known.issuperset(word)}), trainer)
    tokenizer = Tokenizer(
        models.WordPiece(
            learner.get_vocab(),
            unk_token=specials.unknown_token,
            max_input_chars_per_word=_LONGEST_WORD,
            continuing_subword_prefix=_PREFIX,
        )
    )
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.WordPiece(prefix=_PREFIX, cleanup=False),
            decoders.Fuse(),
            decoders.Replace(Regex(f"(?<={_WIDE}) (?={_WIDE})"), ""),
        ]
    )
    tokenizer.add_special_tokens(specials.tokens)
    return tokenizer


def _alphabet(words: Mapping[str, int], room: int) -> tuple[list[str], list[str]]:
    """The most frequent characters that fit, and the names of those that stand inside words; both sorted."""
    ordered = common_characters(character_counts(words), room)
    inside = {character for word in words for character in word[1:]}
    kept: list[str] = []
    for character in ordered:
        room -= 1 + (character in inside)
        if room < 0:
            break
        kept.append(character)
    return sorted(kept), sorted(_PREFIX + character for character in kept if character in inside)


def _repeated(words: Mapping[str, int]) -> Iterator[str]:
    """Each word as often as it was counted, some thousands of characters at a time."""
    for word, count in words.items():
        most = max(1, 4096 // len(word))
        for at in range(0, count, most):
            yield " ".join([word] * min(most, count - at))
