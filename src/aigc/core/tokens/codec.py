"""What turns content into token ids and back: text now; images, music and meshes would satisfy the same protocol."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

__all__ = ["Codec"]


class Codec(Protocol):
    """Content into token ids, and back."""

    @property
    def vocabulary(self) -> int:
        """How many ids there are: they run from 0 to vocabulary - 1."""

    @property
    def start(self) -> list[int]:
        """The ids that every document and every prompt begins with (often none or one)."""

    @property
    def end(self) -> int:
        """The id that ends a document."""

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, without start and end."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some ids, start and end left out."""

    def save(self, folder: Path) -> None:
        """Write the files that transformers' AutoTokenizer loads."""
