"""A text into its most central sentences, in order, without a model."""

import re
import zlib
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from aigc.core.tokens.units import marks_of

__all__ = ["summary"]

_TERMS = 4096  # places that the terms of a sentence are hashed to
_LATEST = 1500  # sentences that are looked at: those written last
_DAMPING, _ROUNDS = 0.85, 30
_TERM = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]|[^\W_\u3400-\u4dbf\u4e00-\u9fff]+")
_HAN = re.compile(r"[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]")


def summary(text: str, *, characters: int) -> str:
    """The sentences that are likest to all others, as many as fit into so many characters; "" where none does.

    TextRank (Mihalcea and Tarau 2004): PageRank over sentences, two of which are linked by the terms that they share, over the
    logarithms of their lengths. Terms are words, and pairs of neighbouring Chinese characters. The summary is the same each time.
    """
    lines = (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    sentences = [one for line in lines for one in _sentences(line)][-_LATEST:]
    if not sentences or characters < 1:
        return ""
    order = np.argsort(-_centrality(sentences), kind="stable")
    chosen: list[int] = []
    left = characters
    for place in order.tolist():
        if len(sentences[place]) <= left:
            chosen.append(place)
            left -= len(sentences[place]) + 1
    out = ""
    for place in sorted(chosen):
        apart = out and not (_HAN.match(out[-1]) or _HAN.match(sentences[place]))
        out += (" " if apart else "") + sentences[place]
    return out


def _sentences(line: str) -> list[str]:
    begins = [*marks_of("sentence")(line), len(line)]
    return [one for a, b in zip([0, *begins[1:-1]], begins[1:], strict=True) if (one := line[a:b].strip())]


def _centrality(sentences: list[str]) -> npt.NDArray[np.float64]:
    """(S,) the rank of each sentence, rounded so that those of one rank stay in their order."""
    terms_ST = np.zeros((len(sentences), _TERMS), np.float32)
    for row, sentence in enumerate(sentences):
        for term in _terms(sentence):
            terms_ST[row, zlib.crc32(term.encode()) % _TERMS] = 1
    shared_SS = (terms_ST @ terms_ST.T).astype(np.float64)  # whole numbers, exact in float32
    sizes_S = np.log1p(terms_ST.sum(axis=1, dtype=np.float64))
    links_SS = shared_SS / np.maximum(sizes_S[:, None] + sizes_S[None, :], 1e-9)
    np.fill_diagonal(links_SS, 0)
    out_S = links_SS.sum(axis=1)
    links_SS /= np.where(out_S > 0, out_S, 1)[:, None]
    rank_S = np.full(len(sentences), 1 / len(sentences))
    for _ in range(_ROUNDS):
        rank_S = (1 - _DAMPING) / len(sentences) + _DAMPING * (rank_S @ links_SS)
    return np.round(rank_S, 9)


def _terms(sentence: str) -> set[str]:
    found = _TERM.findall(sentence.casefold())
    words = {term for term in found if not _HAN.match(term)}
    return words | {a + b for a, b in pairwise(found) if _HAN.match(a) and _HAN.match(b)}
