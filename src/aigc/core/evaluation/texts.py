"""Written texts and those they should have been into ROUGE, BLEU, chrF and exact matches, for Chinese and for words with spaces.

- ROUGE-1, ROUGE-2, ROUGE-L (Lin 2004): F1 of n-grams and of the longest common subsequence, the mean over documents, from 0 to 1.
  Units are Han and kana characters one by one and words elsewhere (core/rules/units.py), case and width ignored, no stemming.
  On ASCII text these are the figures of Google's rouge-score 0.1.2 with use_stemmer=False (rougeL, not rougeLsum); that package
  drops every other letter, so that café is caf and Chinese is nothing.
- BLEU (Papineni et al. 2002) and chrF (Popović 2015): of the corpus, from 0 to 100, the figures of sacrebleu's corpus_score with
  its defaults; BLEU cuts words with sacrebleu's `zh` where the reference is mostly Han, else with `13a`, document by document.
- Exact match: the share of texts that are the reference, white space at both ends aside.

A text without any unit matches nothing; where both are empty they match exactly and have nothing else in common.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
from sacrebleu.tokenizers.tokenizer_zh import TokenizerZh

from aigc.core.evaluation.intervals import Metric, mean, of_sums
from aigc.core.evaluation.overlap import Runs, longest_common, overlaps
from aigc.core.rules.units import HAN, pieces
from aigc.errors import AigcError

__all__ = ["text_metrics"]

Floats = NDArray[np.float64]

_JOINERS = "['\\-\u2010\u2011\u2019]"  # units hold them inside a word, rouge-score parts words there
_WORDS, _CHARACTERS = 4, 6  # the longest n-grams of BLEU and of chrF
_RECALL = 2  # how many times as much as precision recall counts in chrF


def _runs(sequences: Sequence[NDArray[np.uint64]]) -> Runs:
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in sequences])]).astype(np.int64)
    return Runs(np.concatenate([np.empty(0, np.uint64), *sequences]), offsets)


def _units(texts: Sequence[str]) -> tuple[Runs, NDArray[np.bool_]]:
    """Hashes of the units of D texts, and whether more than half of a text's units are Han (or kana) (D,)."""
    series = pl.Series(texts, dtype=pl.String).str.replace_all(_JOINERS, " ")
    hashes = [np.empty(0, np.uint64)]
    counts, han = np.zeros((2, len(texts)), np.int64)
    for number, units in pieces(series):
        hashes.append(units.hashes)
        part = slice(number, number + len(units))
        counts[part] += np.diff(units.first)
        han[part] += np.bincount(units.document[(units.classes[units.starts] & HAN) != 0], minlength=len(units))
    return Runs(np.concatenate(hashes), np.concatenate([[0], np.cumsum(counts)])), 2 * han > counts


def _words(texts: Sequence[str], chinese: NDArray[np.bool_], numbers: dict[str, int]) -> Runs:
    """The words of D texts as sacrebleu cuts them, each a number that `numbers` gives it."""
    zh, other = TokenizerZh(), Tokenizer13a()  # type: ignore[no-untyped-call]
    cut = [(zh if han else other)(text.rstrip()).split() for text, han in zip(texts, chinese, strict=True)]
    return _runs([np.array([numbers.setdefault(word, len(numbers)) for word in words], np.uint64) for words in cut])


def _characters(texts: Sequence[str]) -> Runs:
    """The code points of D texts, white space left out."""
    solid = ["".join(text.split()) for text in texts]
    return _runs([np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64) for text in solid])


def _f1(both: Floats, predicted: Floats, reference: Floats) -> Floats:
    """2 both / (predicted + reference), which is the harmonic mean of precision and recall; 0 where nothing is in both."""
    return np.divide(2 * both, predicted + reference, out=np.zeros(len(both)), where=both > 0)


def _rouge(predictions: Runs, references: Runs) -> dict[str, Metric]:
    found = {f"rouge{n}": mean(_f1(one.both, one.left, one.right)) for n, one in enumerate(overlaps(predictions, references, 2), 1)}
    sides = [np.split(runs.values, runs.offsets[1:-1]) for runs in (predictions, references)]
    common = [longest_common(left.tolist(), right.tolist()) for left, right in zip(*sides, strict=True)]
    sizes = (np.diff(runs.offsets).astype(np.float64) for runs in (predictions, references))
    return found | {"rougeL": mean(_f1(np.array(common, np.float64), *sizes))}


def _bleu(sums: Floats) -> Floats:
    """BLEU (B,) of sums (B, 2 + 2 * 4): words predicted, words of the references, n-grams in both, n-grams predicted.

    An order without a hit counts as 1/2, 1/4, ... of one hit (mteval-v13a's smoothing: Chen, Cherry 2014, method 3).
    """
    size, wanted, right, told = sums[:, 0], sums[:, 1], sums[:, 2 : 2 + _WORDS], sums[:, 2 + _WORDS :]
    defined = np.asarray((told > 0).all(axis=1) & (right > 0).any(axis=1))
    if not defined.all():
        return np.asarray(np.where(defined, _bleu(np.where(defined[:, None], sums, 1.0)), 0.0))
    hits = np.where(right > 0, right, 0.5 ** np.cumsum(right == 0, axis=1))
    brevity = np.minimum(1 - wanted / size, 0)
    return np.asarray(100 * np.exp(brevity + np.log(hits / told).mean(axis=1)))


def _chrf(sums: Floats) -> Floats:
    """chrF (B,) of sums (B, 3, 6): character n-grams told, of the references, in both; orders that a side lacks do not count."""
    told, wanted, both = sums.reshape(len(sums), 3, _CHARACTERS).transpose(1, 0, 2)
    there = (told > 0) & (wanted > 0)
    orders = np.maximum(there.sum(axis=1), 1)
    precision, recall = (
        np.divide(both, side, out=np.zeros(both.shape), where=there).sum(axis=1) / orders for side in (told, wanted)
    )
    below = _RECALL**2 * precision + recall
    return np.asarray(np.divide(100 * (1 + _RECALL**2) * precision * recall, below, out=np.zeros(len(sums)), where=below > 0))


def text_metrics(predictions: Sequence[str], references: Sequence[str]) -> dict[str, Metric]:
    """`exact_match`, `rouge1`, `rouge2`, `rougeL`, `bleu` and `chrf` as metrics of V documents.

    Args:
        predictions: what was written.
        references: what should have been written, one for each.

    Raises:
        AigcError: no documents.
        ValueError: not as many predictions as references.
    """
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions):,} predictions, but {len(references):,} references")
    if not references:
        raise AigcError("there is nothing to measure: no documents to evaluate on")
    (told, _), (wanted, chinese) = _units(predictions), _units(references)
    numbers: dict[str, int] = {}
    cut = partial(_words, chinese=chinese, numbers=numbers)
    words = overlaps(cut(predictions), cut(references), _WORDS)
    characters = overlaps(_characters(predictions), _characters(references), _CHARACTERS)
    bleu = [words[0].left, words[0].right, *(one.both for one in words), *(one.left for one in words)]
    # as sacrebleu counts: n-grams beside a reference that has none are left out
    chrf = [
        *(one.left * (one.right > 0) for one in characters),
        *(one.right for one in characters),
        *(one.both for one in characters),
    ]
    return {
        "exact_match": mean([a.strip() == b.strip() for a, b in zip(predictions, references, strict=True)]),
        **_rouge(told, wanted),
        "bleu": of_sums(np.stack(bleu, axis=1), _bleu),
        "chrf": of_sums(np.stack(chrf, axis=1), _chrf),
    }
