"""A window of pieces into one flat array, in which is known where each piece's text lies and where its units begin."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aigc.core.batches.objectives.ranges import Column, after
from aigc.core.batches.sample import IGNORED, Ids, Piece
from aigc.core.tokens.codec import Vocabulary
from aigc.errors import AigcError

__all__ = ["Units", "Window", "lay"]


@dataclass(frozen=True)
class Units:
    """Units of text (sentences, paragraphs, words) that fill the pieces of a window, in their order."""

    begins: Ids  # (U,) in the window's ids
    ends: Ids  # (U,)
    pieces: Ids  # (U,) the number of the piece in the window, ascending

    @property
    def lengths(self) -> Ids:
        """(U,) tokens in each unit."""
        return self.ends - self.begins


@dataclass(frozen=True)
class Window:
    """P pieces with T tokens behind each other, and the special ids behind those, so that any sample is a gather."""

    ids: Ids  # (T + S,) pieces, then the codec's start, its end, and others that were asked for
    labels: Ids  # (T + S,) the same, IGNORED where a token is not learned because it is a prompt
    documents: Ids  # (P,)
    begins: Ids  # (P,) where the text begins, behind `start`
    bodies: Ids  # (P,) where the learned text begins, behind the prompt
    ends: Ids  # (P,) where the text ends, before `end`
    marks: Ids  # (M,) where units begin, ascending
    marked: Ids  # (M,) in which piece
    start: Column  # the range of the codec's start
    end: Column  # the range of the codec's end
    others: int  # where the other ids stand, one behind the other

    def units(self, begins: Ids) -> Units:
        """The units of the pieces' texts from `begins` (P,) on; what lies before the first mark is a unit too."""
        within = (self.marks > begins[self.marked]) & (self.marks < self.ends[self.marked])
        flags = np.zeros(len(self.ids), np.bool_)
        flags[self.marks[within]] = True
        flags[begins[begins < self.ends]] = True
        firsts = np.flatnonzero(flags)
        counts = np.diff(np.searchsorted(firsts, self.ends), prepend=0)
        pieces = np.repeat(np.arange(len(begins)), counts)
        ends = np.append(firsts[1:], 0)
        lasts = np.cumsum(counts)[counts > 0] - 1
        ends[lasts] = self.ends[counts > 0]
        return Units(firsts, ends, pieces)


def lay(pieces: Sequence[Piece], codec: Vocabulary, *others: int) -> Window:
    """Lay pieces behind each other; those without any text are left out.

    Raises:
        AigcError: tokens have weights, which are not laid.
    """
    if any(piece.weights is not None for piece in pieces):
        raise AigcError(
            "some tokens have a weight of their own, which only an objective that reads from left to right can mind: "
            "this one hides or moves tokens"
        )
    starts = len(codec.start)
    pieces = [piece for piece in pieces if len(piece.ids) > starts * piece.head + piece.tail]
    specials = np.array([*codec.start, codec.end, *others], np.int64)
    bounds = after(np.array([len(piece.ids) for piece in pieces], np.int64))
    ends = bounds[1:] - np.array([piece.tail for piece in pieces], np.int64)
    begins = bounds[:-1] + starts * np.array([piece.head for piece in pieces], np.int64)
    learned = bounds[:-1] + np.array([piece.unlearned for piece in pieces], np.int64)
    bodies = np.minimum(np.maximum(learned, begins), ends)
    ids = np.concatenate([*(piece.ids for piece in pieces), specials])
    labels = ids
    prompts = np.flatnonzero(bodies > begins)
    if len(prompts):
        labels = ids.copy()
        for piece in prompts:
            labels[begins[piece] : bodies[piece]] = IGNORED
    counts = [len(piece.marks) for piece in pieces]
    marks = np.concatenate([np.zeros(0, np.int64), *(piece.marks for piece in pieces)])
    return Window(
        ids=ids,
        labels=labels,
        documents=np.array([piece.document for piece in pieces], np.int64),
        begins=begins,
        bodies=bodies,
        ends=ends,
        marks=marks + np.repeat(bounds[:-1], counts),
        marked=np.repeat(np.arange(len(pieces)), counts),
        start=(int(bounds[-1]), starts),
        end=(int(bounds[-1]) + starts, 1),
        others=int(bounds[-1]) + starts + 1,
    )
