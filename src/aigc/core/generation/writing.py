"""The tokens of a row, one by one, into its text: what of it is settled, where it ends, and why."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from aigc.core.generation.request import Decoding, Drawn, Request
from aigc.core.generation.spelling import byte_tokens
from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.units import marks_of

__all__ = ["Terms", "Trace", "Writing"]

_DRAWS = 64  # numbers that are made at once
_WINDOW = 16  # tokens that are decoded again with each new one, at most
_FRAGMENT = "\ufffd"  # what a decoder makes of a part of a character
_LONE_BREAK = re.compile(r"\n(?![^\S\n]*\n)")


class Trace(Protocol):
    """What a rule of choosing remembers of a row."""

    def take(self, token: int) -> bool:
        """Remember a token of the text; True: the text is complete with it."""


@dataclass(frozen=True)
class Terms:
    """On what texts end, the same for all rows of a run."""

    codec: TextCodec
    ends: frozenset[int]  # tokens that end a text
    stop_tokens: frozenset[int]  # special tokens whose names are stop strings
    stop_strings: tuple[str, ...]
    max_tokens: int
    min_tokens: int
    max_characters: int | None
    max_sentences: int | None
    likelihood: bool
    byte_tokens: frozenset[int]

    @classmethod
    def of(cls, codec: TextCodec, decoding: Decoding) -> "Terms":
        """What the decoding says, and the codec's own end."""
        added = codec.tokenizer.get_added_vocab() if decoding.stop_strings else {}
        named = [text for text in decoding.stop_strings if text in added and not codec.decode([added[text]])]
        return cls(
            codec,
            ends=decoding.stops | {codec.end},
            stop_tokens=frozenset(added[text] for text in named),
            stop_strings=tuple(text for text in decoding.stop_strings if text and text not in named),
            max_tokens=decoding.max_tokens,
            min_tokens=decoding.min_tokens,
            max_characters=decoding.max_characters,
            max_sentences=decoding.max_sentences,
            likelihood=decoding.likelihood,
            byte_tokens=byte_tokens(codec),
        )

    @property
    def read(self) -> bool:
        """Whether the text decides where it ends, so that it must be read with each token."""
        return bool(self.stop_strings) or self.max_characters is not None or self.max_sentences is not None


class Writing:
    """A text under way.

    It ends as if its characters came one by one, however they are cut into tokens: at the first of a whole stop string (which is
    cut off; it counts if it begins behind the first `min_tokens` tokens), of `max_characters`, and of the begin of a sentence too
    many. A sentence ends as `units.marks_of` says, or before a blank line; a single line break ends none.

    Text is settled when nothing that follows can change it: bytes that make no character yet are not, nor what may be the begin of
    a stop string. All that was settled is the begin of the final text.

    Attributes:
        request: what was asked.
        ids: the new tokens, without the end; those behind a stop string's begin, too.
        finish: as in Drawn; None while it is under way.
        traces: of the rules of choosing.
    """

    __slots__ = (
        *("_base", "_cut", "_draws", "_given", "_likelihood", "_read", "_rng", "_sentence", "_sentences", "_shown", "_stops_from"),
        *("_terms", "_text", "finish", "ids", "limit", "request", "traces"),
    )

    def __init__(self, request: Request, terms: Terms, room: int, traces: Sequence[Trace] = ()) -> None:
        self.request = request
        self.ids: list[int] = []
        self.limit = min(terms.max_tokens, room)
        self.finish: str | None = None if self.limit > 0 else "length"
        self.traces = traces
        self._terms = terms
        self._rng = np.random.default_rng(request.seed)
        self._draws: list[float] = []  # the last one comes first
        self._likelihood = 0.0
        self._text = ""  # of ids[:_read]
        self._base, self._read = 0, 0
        self._shown = ""  # of ids[_base:_read], decoded alone
        self._cut: int | None = None  # characters of the final text
        self._given = 0  # characters that fresh() gave
        self._stops_from = 0  # characters
        self._sentence, self._sentences = 0, 0  # where the last one begins, how many are before it

    def draw(self) -> float:
        """The row's next number in [0, 1): those of default_rng(seed).random(n), in order."""
        if not self._draws:
            self._draws = self._rng.random(_DRAWS)[::-1].tolist()
        return self._draws.pop()

    def take(self, token: int, likelihood: float = 0.0, *, whole: bool = False) -> None:
        """Take in the next token.

        Args:
            likelihood: the logarithm of its probability.
            whole: the text has its form with it, and can have no more.
        """
        assert self.finish is None
        terms = self._terms
        self._likelihood += likelihood
        if token in terms.ends:
            self.finish = "end"
        elif token in terms.stop_tokens and len(self.ids) >= terms.min_tokens:
            self.finish = "stop"
        else:
            self.ids.append(token)
            if whole or len(self.ids) >= self.limit:
                self.finish = "end" if whole else "length"
        if terms.read:
            self._advance()

    def close(self, finish: str) -> None:
        """End the text here, unless it has ended."""
        if self.finish is None:
            self.finish = finish
            if self._terms.read:
                self._advance()

    def fresh(self) -> str:
        """The text that was settled since the last call."""
        self._advance()
        end = self._settled()
        text = self._text[self._given : end]
        self._given = max(self._given, end)
        return text

    def drawn(self) -> Drawn:
        """The finished row."""
        assert self.finish is not None
        self._advance()
        likelihood = self._likelihood if self._terms.likelihood else None
        return Drawn(self._text[: self._cut], len(self.ids), self.finish, tuple(self.ids), likelihood)

    def _advance(self) -> None:
        """Read the tokens that were not read yet, as far as they make text."""
        if self._read == len(self.ids) or self._cut is not None:
            return
        text = self._terms.codec.decode(self.ids[self._base :])
        unclear = self.ids[-1] in self._terms.byte_tokens or text.endswith(_FRAGMENT) or not text.startswith(self._shown)
        if unclear and self.finish is None:
            return
        new = text[len(self._shown) :]
        if new:
            if len(self.ids) - self._base > _WINDOW and self.finish is None:
                self._base = self._read
                text = self._terms.codec.decode(self.ids[self._base :])
            self._read, self._shown = len(self.ids), text
            self._text += new
            if self._terms.read:
                self._end(len(self._text) - len(new))
        if len(self.ids) <= self._terms.min_tokens:
            self._stops_from = len(self._text)

    def _end(self, old: int) -> None:
        """Find where the text ends, if what is behind its first `old` characters ends it."""
        found = [*self._stop_strings(old), *self._too_long(), *self._too_many()]
        if found:
            _, self._cut, self.finish = min(found)

    def _stop_strings(self, old: int) -> list[tuple[int, int, str]]:
        """Whole stop strings: the characters it takes to see them, those before them, "stop"."""
        if len(self.ids) <= self._terms.min_tokens:
            return []
        found = []
        for stop in self._terms.stop_strings:
            at = self._text.find(stop, max(self._stops_from, old - len(stop) + 1))
            if at >= 0:
                found.append((at + len(stop), at, "stop"))
        return found

    def _too_long(self) -> list[tuple[int, int, str]]:
        most = self._terms.max_characters
        return [(most, most, "length")] if most is not None and len(self._text) >= most else []

    def _too_many(self) -> list[tuple[int, int, str]]:
        most = self._terms.max_sentences
        if most is None:
            return []
        rest = _LONE_BREAK.sub(" ", self._text[self._sentence :])
        begins = [self._sentence + begin for begin in marks_of("sentence")(rest)[1:]]
        if self._sentences + len(begins) >= most:
            begin = begins[most - self._sentences - 1]
            return [(begin + 1, len(self._text[:begin].rstrip()), "length")]
        if begins:
            self._sentence = begins[-1]
            self._sentences += len(begins)
        return []

    def _settled(self) -> int:
        """How many characters are settled."""
        if self._cut is not None:
            return self._cut
        if self.finish is not None:
            return len(self._text)
        text, end = self._text, len(self._text)
        for stop in self._terms.stop_strings:
            for size in range(min(len(stop) - 1, len(text)), 0, -1):
                if text.endswith(stop[:size]):
                    end = min(end, len(text) - size)
                    break
        if self._terms.max_sentences is not None:  # white space behind the last sentence is cut off
            end = min(end, len(text.rstrip()))
        return end
