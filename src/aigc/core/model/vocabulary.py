"""A checkpoint whose tokenizer cuts a language to pieces into one that has tokens for its words.

A new token's row begins as the mean of the rows of the pieces that stood for it before (Gee et al. 2022, "Fast vocabulary
transfer"), so that the model reads about what it read; a row drawn at random would spoil all that is predicted (Hewitt 2021).
"""

import copy
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import torch
from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedModel

from aigc.core.model.layers import NEW_TOKENS
from aigc.core.tokens.counts import word_counts
from aigc.core.tokens.specials import INFILL
from aigc.core.tokens.text import TextCodec
from aigc.errors import AigcError

__all__ = ["bytes_per_token", "extend", "missing_words", "with_infill"]

LONGEST = 4  # characters of a unit of scripts without spaces
SPACES = ("Ġ", "▁")  # what a space before a word is called in byte-level and in SentencePiece vocabularies
# Han, kana, Thai, Lao, Myanmar and Khmer: no spaces between words
_DENSE = (
    "\u3005\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
)
_IS_DENSE = re.compile(f"[{_DENSE}]")
_WORDS = f"[{_DENSE}]+| ?[\\p{{L}}\\p{{M}}&&[^{_DENSE}]]+"


def extend(model: PreTrainedModel, codec: TextCodec, words: Sequence[str]) -> TextCodec:
    """Add tokens to a model, in place, and to a copy of its codec. Texts without the new words give the logits that they gave.

    A word of a script with spaces is a token with the space before it, where the tokenizer keeps spaces in tokens, and is found at
    the begin of longer words too; else it is found as a whole word only. Words that are tokens already are left out.

    Args:
        words: without spaces around them.

    Raises:
        AigcError: the tokenizer is none of the tokenizers library, or puts spaces behind new tokens.
    """
    forms = _Forms(codec)
    now = codec.encode([forms.spaced(word) for word in words])
    new = [word for word, ids in zip(words, now, strict=True) if len(ids) != 1 or ids == [codec.unknown]]
    return _extended(model, codec, [forms.of(word) for word in dict.fromkeys(new)])


def with_infill(model: PreTrainedModel, codec: TextCodec) -> TextCodec:
    """A codec with tokens for a prefix, a suffix and a middle that is to be filled in; the same one where it has them."""
    if codec.infill is not None:
        return codec
    return _extended(model, codec, [AddedToken(name, special=True, normalized=False) for name in INFILL])


def missing_words(codec: TextCodec, texts: Iterable[str], *, most: int, least: int) -> list[str]:
    """What is worth a token: words, and units of one to four characters of scripts without spaces, that take the most tokens now.

    Units are those that byte pair encoding finds among the characters (Sennrich et al. 2016), each counted where it stands and
    not inside a longer one. Worth is how many tokens fewer the texts would have; of one worth, the lower code points come first.

    Args:
        texts: read once; their distinct words are held in memory.
        most: so many of them.
        least: how often one must occur.
    """
    counts = word_counts(texts, pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True))
    forms = _Forms(codec)
    dense = {word: count for word, count in counts.items() if _IS_DENSE.match(word)}
    found = _units(dense, room=4 * most, least=least)
    for word, count in counts.items():
        unit = word.strip(" ")
        if word not in dense and word in (forms.spaced(unit), f" {unit}"):  # without the space it is cut as before
            found[unit] = found.get(unit, 0) + count
    found = {unit: count for unit, count in found.items() if count >= least}
    now = codec.encode([forms.spaced(unit) for unit in found])
    saved = {unit: len(ids) - forms.tokens(unit) for unit, ids in zip(found, now, strict=True)}
    lost = {unit for unit, ids in zip(found, now, strict=True) if codec.unknown is not None and codec.unknown in ids}
    worth = {unit: found[unit] * max(saved[unit], unit in lost) for unit in found if saved[unit] > 0 or unit in lost}
    return sorted(worth, key=lambda unit: (-worth[unit], unit))[:most]


def bytes_per_token(codec: TextCodec, texts: Sequence[str]) -> float:
    """UTF-8 bytes of texts for each of their tokens: the more, the cheaper is the language."""
    return sum(len(text.encode()) for text in texts) / max(sum(map(len, codec.encode(texts))), 1)


class _Forms:
    """How words become tokens of a codec's kind."""

    def __init__(self, codec: TextCodec) -> None:
        self._names = sorted(codec.tokenizer.get_vocab())
        self._space = next((mark for mark in SPACES if sum(name.startswith(mark) for name in self._names) > 1), "")
        self._bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False) if self._space == SPACES[0] else None

    def of(self, word: str) -> AddedToken:
        if _IS_DENSE.search(word) or not word.isalpha():
            return AddedToken(word, normalized=False)
        if self._takes_space(word):
            return AddedToken(f" {word}", normalized=False)
        return AddedToken(word, single_word=True, normalized=False)

    def spaced(self, word: str) -> str:
        """As it stands in a text."""
        return f" {word}" if self._space and word.isalpha() and not _IS_DENSE.search(word) else word

    def tokens(self, word: str) -> int:
        """How many there will be of the word as it stands in a text."""
        return 2 if self.spaced(word) != word and not self._takes_space(word) else 1

    def _takes_space(self, word: str) -> bool:
        """Whether a space may stand before the word in its token: not where it begins a longer one, which would be cut."""
        if not self._space:
            return False
        name = f"{self._space}{word}" if self._bytes is None else self._bytes.pre_tokenize_str(f" {word}")[0][0]
        at = bisect_right(self._names, name)
        return at == len(self._names) or not self._names[at].startswith(name)


def _units(runs: Mapping[str, int], *, room: int, least: int) -> dict[str, int]:
    """Frequent units of runs of characters, and how often each stands for itself."""
    if not runs:
        return {}
    tokenizer = Tokenizer(models.BPE())
    alphabet = len({character for run in runs for character in run})
    trainer = trainers.BpeTrainer(vocab_size=alphabet + room, min_frequency=least, max_token_length=LONGEST, show_progress=False)
    tokenizer.train_from_iterator((run for run, count in runs.items() for _ in range(count)), trainer)
    counts: Counter[str] = Counter()
    for (_, count), encoding in zip(runs.items(), tokenizer.encode_batch(list(runs)), strict=True):
        for unit in encoding.tokens:
            counts[unit] += count
    return dict(counts)


@torch.no_grad()
def _extended(model: PreTrainedModel, codec: TextCodec, tokens: Sequence[AddedToken]) -> TextCodec:
    if not codec.tokenizer.is_fast:
        raise AigcError(
            f"the tokenizer of {codec.tokenizer.name_or_path!r} is none of the tokenizers library: it takes no new tokens"
        )
    cut = codec.encode([token.content for token in tokens])
    new = {token.content: (token, ids) for token, ids in zip(tokens, cut, strict=True)}
    tokenizer = copy.deepcopy(codec.tokenizer)
    for special in (False, True):
        if group := [token for token, _ in new.values() if token.special == special]:
            tokenizer.add_tokens(group, special_tokens=special)
    longer = TextCodec(tokenizer)
    for content in list(new)[:1]:
        text = f"a{content}a"
        if codec.decode(codec.encode([text])[0]) == text != longer.decode(longer.encode([text])[0]):
            raise AigcError(
                f"the tokenizer of {tokenizer.name_or_path!r} puts a space behind tokens that are added: it cannot be extended"
            )
    if longer.vocabulary > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(longer.vocabulary, mean_resizing=False)
    known = list(range(codec.vocabulary))
    for table in _tables(model):
        for content, (_, ids) in new.items():
            pieces = [id_ for id_ in ids if id_ != codec.unknown] or known
            table[tokenizer.convert_tokens_to_ids(content)] = table[pieces].mean(0)
    setattr(model, NEW_TOKENS, getattr(model, NEW_TOKENS, 0) + len(new))
    return longer


def _tables(model: PreTrainedModel) -> list[torch.Tensor]:
    """What has a row for each token; what is tied is there once."""
    modules = [module for module in (model.get_input_embeddings(), model.get_output_embeddings()) if module is not None]
    found = [tensor for module in modules for tensor in (module.weight, getattr(module, "bias", None)) if tensor is not None]
    return list({tensor.data_ptr(): tensor for tensor in found}.values())
