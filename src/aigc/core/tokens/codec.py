"""What turns content into token ids and back: text now; images, music and meshes would satisfy the same protocol."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Codec", "Marks", "Vocabulary"]

Marks = Callable[[str], Sequence[int]]
"""The character offsets at which the units (sentences, words ...) of a text begin, ascending."""


class Vocabulary(Protocol):
    """The ids of a codec: what knows these needs no texts."""

    @property
    def vocabulary(self) -> int:
        """How many ids there are: they run from 0 to vocabulary - 1."""

    @property
    def start(self) -> list[int]:
        """The ids that every document and every prompt begins with (often none or one)."""

    @property
    def end(self) -> int:
        """The id that ends a document."""

    @property
    def pad(self) -> int:
        """The id that fills places which nobody reads; the end where a tokenizer has none of its own."""

    @property
    def mask(self) -> int | None:
        """The id that stands for a hidden token."""

    @property
    def sentinels(self) -> list[int]:
        """The ids that stand for hidden spans (T5's <extra_id_0>, <extra_id_1> ...), the first one first; often none."""

    @property
    def infill(self) -> tuple[int, int, int] | None:
        """The ids before the prefix, the suffix and the middle of a document whose middle is to be filled in."""

    @property
    def byte_lengths(self) -> NDArray[np.int64]:
        """(vocabulary,) How many UTF-8 bytes of text each id stands for; 0 for special tokens."""


class Codec(Vocabulary, Protocol):
    """Content into token ids, and back."""

    @property
    def unknown(self) -> int | None:
        """The id of what the vocabulary has no token for."""

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, without start and end."""

    def encode_marked(self, texts: Sequence[str], marks: Marks) -> list[tuple[list[int], list[int]]]:
        """The ids of each text and the indexes of the tokens at which its units begin, ascending.

        A token that straddles the begin of a unit begins that unit. A text that is not empty has index 0 among them.
        """

    def encode_spans(self, texts: Sequence[str], *, specials: bool = False) -> list[tuple[list[int], NDArray[np.int64]]]:
        """The ids of each text and the characters (L, 2) that each stands for: where they begin and where they end.

        A token that is some bytes of a character stands for all of it, so that several tokens may stand for the same one.

        Args:
            specials: take the names of special tokens inside a text for those tokens, as in a chat that a template has rendered.
        """

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some ids, start and end left out."""

    def save(self, folder: Path) -> None:
        """Write the files that transformers' AutoTokenizer loads."""
