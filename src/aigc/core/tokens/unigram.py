"""Texts into a unigram tokenizer as SentencePiece has it: spaces are written ▁, a character it never saw is its bytes.

Source: Kudo 2018; SentencePiece's unigram_model_trainer. The tokenizers library's own trainer adds floating-point numbers in the
order of a hash table, which differs from run to run; this one gives the same tokenizer bit for bit. It differs from both in two
points: seeds are weighted by how often their words occur, and a piece's loss is taken from its expected count.
"""

import re
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from aigc.core.tokens.counts import character_counts, common_characters, word_counts
from aigc.core.tokens.lattice import Floats, Hashes, Ints, Lattice, Words, hashes, words_of
from aigc.core.tokens.specials import Specials
from aigc.errors import AigcError

__all__ = ["train_unigram"]

# Letters with the space before them, Han characters, up to three digits, and marks are apart: no name of a special token, and no
# <0x0A> of a text, is then ever one word
_SPLIT = r" ?\p{Han}+| ?[\p{L}\p{M}&&[^\p{Han}]]+| ?\p{N}{1,3}| ?[^\s\p{L}\p{M}\p{N}]+|[\r\n]+|\s+(?!\S)|\s+"
_SPACE = "▁"
_HAN = re.compile("[\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
_LONGEST_PIECE = 16  # characters (SentencePiece)
_LONGEST_HAN_PIECE = 4  # most dictionary words have two, sayings four
_LONGEST_WORD = 24  # characters of a word that is learned from whole; a longer one is cut
_MOST_CHARACTERS = 4_000_000  # of different words that are learned from, the most frequent first: memory and time stay bounded
_SEEDS = 8  # pieces to begin with, for each one that is wanted
_SHRINK = 0.75  # pieces that a round keeps (SentencePiece)
_RARE = 0.5  # expected count below which a piece is dropped (SentencePiece)
_CHARACTERS_SHARE = 0.75  # of the vocabulary that single characters may fill


def train_unigram(texts: Iterable[str], *, vocabulary: int, specials: Specials) -> Tokenizer:
    """The pieces with which the texts are most probable.

    Args:
        texts: what to learn from.
        vocabulary: the most entries, with the special tokens and 256 bytes; the rarest characters stay bytes where they do not fit.
        specials: the special tokens, the one for unknown characters among them.

    Raises:
        AigcError: the vocabulary has no room for anything but special tokens and bytes.
    """
    pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.Metaspace(replacement=_SPACE, prepend_scheme="never", split=False),
        ]
    )
    names = [token.content for token in specials.tokens]
    room = vocabulary - len(names) - 256
    if room < 4:
        raise AigcError(f"a unigram vocabulary of {vocabulary} has no room beside {len(names)} special tokens and 256 bytes")
    pieces = _learn(word_counts(texts, pre_tokenizer), room)
    entries = [(name, 0.0) for name in [*names, *(f"<0x{byte:02X}>" for byte in range(256))]]
    model = models.Unigram([*entries, *pieces], unk_id=names.index(specials.unknown_token), byte_fallback=True)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.Sequence([decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens(specials.tokens)
    return tokenizer


def _learn(words: Mapping[str, int], room: int) -> list[tuple[str, float]]:
    """At most `room` pieces with their log-probabilities, the most probable first."""
    known = common_characters(character_counts(words), int(room * _CHARACTERS_SHARE))
    stretches = _stretches(words, frozenset(known))
    if not stretches:
        return []
    longest = np.fromiter((_LONGEST_HAN_PIECE if _HAN.search(word) else _LONGEST_PIECE for word in stretches), np.int64)
    corpus = words_of(list(stretches), longest)
    counts = np.fromiter(stretches.values(), np.float64, len(stretches))
    pieces = _seeds(corpus, counts, known, _SEEDS * room)
    learned = _Pieces.of(pieces, corpus)
    wanted = max(room * 11 // 10, len(known))
    while True:
        for _ in range(2):
            learned = learned.fitted(counts, len(known))
        if len(learned.texts) <= wanted:
            break
        learned = learned.pruned(max(wanted, int(len(learned.texts) * _SHRINK)), len(known))
    return learned.top(room, len(known))


def _stretches(words: Mapping[str, int], known: frozenset[str]) -> dict[str, int]:
    """Words cut at characters that are not known and after 24 characters, as many of the most frequent as are learned from."""
    found: dict[str, int] = {}
    for word, count in words.items():
        parts = [word]
        if not known.issuperset(word):
            parts = "".join(character if character in known else "\0" for character in word).split("\0")
        for part in parts:
            for at in range(0, len(part), _LONGEST_WORD):
                stretch = part[at : at + _LONGEST_WORD]
                found[stretch] = found.get(stretch, 0) + count
    kept: dict[str, int] = {}
    left = _MOST_CHARACTERS
    for stretch, count in sorted(found.items(), key=lambda item: (-item[1], item[0])):
        left -= len(stretch)
        if left < 0 and kept:
            break
        kept[stretch] = count
    return kept


def _seeds(corpus: Words, counts: Floats, known: list[str], most: int) -> list[str]:
    """All single characters, then what occurs twice and is not always followed by the same, of the highest count times length."""
    places: list[Ints] = []
    scores: list[Floats] = []
    before: Hashes | None = None
    last: tuple[int, Ints, Ints, Floats, Ints] | None = None  # length, where, which string is there, count and place of each
    for length in range(1, int(corpus.longest.max()) + 2):
        before = hashes(corpus, length, before)
        at = np.flatnonzero((corpus.left >= length) & (corpus.longest[corpus.word] >= length))
        _, first, which = np.unique(before[at], return_index=True, return_inverse=True)
        often = np.bincount(which, counts[corpus.word[at]], minlength=len(first)).astype(np.float64)
        if last is not None and last[0] > 1:
            size, where, string, count, begin = last
            right = np.zeros(len(count), bool)
            back = np.searchsorted(where, at)  # every place with `length` characters left has one less, too
            right[string[back][often[which] == count[string[back]]]] = True
            good = (count >= 2) & ~right
            places.append(begin[good] * 32 + size)
            scores.append(count[good] * size)
        last = (length, at, which, often, at[first])
        if not len(at):
            break
    if not places:
        return list(known)
    place, score = np.concatenate(places), np.concatenate(scores)
    order = np.lexsort((place, -score))[: max(most - len(known), 0)]
    return [*known, *(corpus.text(int(at) // 32, int(at) % 32) for at in place[order])]


def _digamma(x: Floats) -> Floats:
    """The logarithmic derivative of the gamma function, by recurrence up to 7 and then its asymptotic series."""
    x = x.copy()
    result = np.zeros_like(x)
    for _ in range(7):
        small = x < 7
        result[small] -= 1 / x[small]
        x[small] += 1
    inverse = 1 / (x - 0.5) ** 2
    return result + np.log(x - 0.5) + inverse / 24 - 7 / 960 * inverse**2 + 31 / 8064 * inverse**3


class _Pieces:
    """Pieces, their log-probabilities, and where they stand in the corpus and in each other. Single characters come first."""

    def __init__(self, texts: list[str], score: Floats, owner: Ints, corpus: Lattice, each_other: Lattice) -> None:
        self.texts = texts
        self.score = score
        self.owner = owner  # number of each among the first pieces
        self.corpus = corpus
        self.each_other = each_other
        self.frequency: Floats = np.zeros(0)

    @classmethod
    def of(cls, texts: list[str], corpus: Words) -> "_Pieces":
        """All pieces begin equally probable for each of their characters."""
        sizes = np.fromiter((len(text) for text in texts), np.int64, len(texts))
        words = words_of(texts, sizes)
        hash_of = np.zeros(len(texts), np.uint64)
        before: Hashes | None = None
        for length in range(1, int(sizes.max()) + 1):
            before = hashes(words, length, before)
            hash_of[sizes == length] = before[words.starts[:-1][sizes == length]]
        score = -np.log(len(texts)) * np.ones(len(texts))
        return cls(texts, score, np.arange(len(texts)), Lattice.of(corpus, hash_of), Lattice.of(words, hash_of, whole=False))

    def _kept(self, keep: NDArray[np.bool_]) -> "_Pieces":
        number = np.where(keep, np.cumsum(keep) - 1, -1)
        texts = [text for text, there in zip(self.texts, keep.tolist(), strict=True) if there]
        kept = _Pieces(texts, self.score[keep], self.owner[keep], self.corpus.keep(number), self.each_other.keep(number))
        kept.frequency = self.frequency[keep]
        return kept

    def fitted(self, counts: Floats, characters: int) -> "_Pieces":
        """A step of expectation-maximisation, with the sparse prior of Liang and Klein 2007; rare pieces are dropped."""
        self.frequency = self.corpus.expected(np.exp(self.score), counts)
        self.frequency[:characters] = np.maximum(self.frequency[:characters], _RARE)
        kept = self._kept(self.frequency >= _RARE)
        kept.score = _digamma(kept.frequency) - _digamma(kept.frequency.sum(keepdims=True))
        return kept

    def pruned(self, size: int, characters: int) -> "_Pieces":
        """Without the pieces that the texts lose least with when each is cut into the best of the others."""
        lattice = self.each_other
        edge = lattice.best(self.score)
        total = self.frequency.sum()
        node = lattice.last[self.owner].copy()
        first = lattice.first[self.owner]
        node[:characters] = first[:characters]
        parts = np.zeros(len(node))
        instead = np.zeros(len(node))
        while (open_ := node > first).any():
            taken = edge[node[open_]]
            instead[open_] += np.log(self.frequency[lattice.piece[taken]] + self.frequency[open_])
            parts[open_] += 1
            node[open_] = lattice.start[taken]
        instead -= parts * np.log(total + self.frequency * (parts - 1))
        loss = self.frequency / total * (np.log(self.frequency) - np.log(total) - instead)
        loss[:characters] = np.inf
        keep = np.zeros(len(node), bool)
        keep[np.argsort(-loss, kind="stable")[:size]] = True
        return self._kept(keep)

    def top(self, room: int, characters: int) -> list[tuple[str, float]]:
        """The single characters and the most probable others, the most probable first."""
        rank = self.score.copy()
        rank[:characters] = np.inf
        kept = np.argsort(-rank, kind="stable")[:room]
        return sorted(((self.texts[i], float(self.score[i])) for i in kept), key=lambda entry: (-entry[1], entry[0]))
