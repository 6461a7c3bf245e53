"""Chinese words that are written wrong into the words that are meant."""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from pydantic import Field

from aigc.core.rules.edits.confusion_list import CONFUSIONS, IN_CONTEXT
from aigc.core.rules.edits.each import each
from aigc.core.rules.edits.literals import places
from aigc.core.rules.rule import Edit
from aigc.errors import AigcError

if TYPE_CHECKING:
    from aigc.core.rules.edits.correction import Corrector

__all__ = ["ChineseConfusions"]


class ChineseConfusions(Edit):
    """Correct Chinese words that are written wrong: 你因该再接再励 to 你应该再接再厉.

    The list is ours: what is wrong wherever it stands, or beside the words that show it. In 15,000 headlines and 208 pages of prose
    it fired once, rightly (亲睐); old texts are another matter, for the poets wrote 必竟. Code, addresses, tags, #topics and @names
    stay. Simplified characters only.

    A masked-language model in transformers format (a MacBERT that was trained to correct, say) can be asked as well: it replaces a
    Han character by another where it gives the first less than 0.01 and the other at least `sure`. A model that was not trained to
    correct mostly confirms what it reads.
    """

    shorthand = "words"

    words: Path | None = None
    """your own list: UTF-8, a line has what is wrong, white space, what is meant; `#` starts a comment"""
    model: str | None = None
    """a checkpoint folder, or a model's name on the hub"""
    sure: float = Field(0.95, gt=0.5, le=1)
    """model: the least probability of what it puts instead"""

    def reads(self) -> list[Path]:
        return [] if self.words is None else [self.words]

    def text(self) -> pl.Expr:
        """See Edit.

        Raises:
            AigcError: the list or the checkpoint cannot be read, or a correction of the list would be corrected itself.
        """
        matcher = _matcher(self.words)
        corrector = self._corrector()
        listed = each(matcher.corrected, where=matcher.sign)
        if corrector is None:
            return listed
        return listed.map_batches(corrector.corrected, return_dtype=pl.String)

    def _corrector(self) -> "Corrector | None":
        if self.model is None:
            return None
        from aigc.core.rules.edits.correction import corrector  # torch and transformers, only where a model is named

        return corrector(self.model, self.sure)


class _Matcher:
    def __init__(self, words: Mapping[str, str], in_context: Mapping[str, str]) -> None:
        self._right = [*words.values(), *in_context.values()]
        patterns = [*map(_whole, words), *in_context]
        self._pattern = re.compile("|".join(f"(?P<w{number}>{pattern})" for number, pattern in enumerate(patterns)))
        cores = {core for pattern in in_context for core in re.findall(r"[\u4E00-\u9FFF]{2,}", re.sub(r"\(\?.*?\)", "", pattern))}
        self.sign = "|".join(map(re.escape, sorted({*words, *cores}, key=len, reverse=True)))

    def corrected(self, text: str) -> str:
        kept = places(text)

        def right(found: re.Match[str]) -> str:
            return found[0] if kept.at(*found.span()) is not None else self._right[int((found.lastgroup or "w0")[1:])]

        return self._pattern.sub(right, text)


def _whole(word: str) -> str:
    """A word of letters matches as a whole word."""
    before, after = (r"(?<![A-Za-z0-9])" if word[0].isascii() else ""), (r"(?![A-Za-z0-9])" if word[-1].isascii() else "")
    return f"{before}{re.escape(word)}{after}"


@lru_cache(4)
def _matcher(file: Path | None) -> _Matcher:
    own = {} if file is None else _read(file)
    words = dict(sorted((CONFUSIONS | own).items(), key=lambda pair: -len(pair[0])))
    matcher = _Matcher(words, IN_CONTEXT)
    for wrong, right in own.items():
        if (again := matcher.corrected(right)) != right:
            raise AigcError(f"{file}: {wrong} would become {right}, and that {again}: a correction may hold no word of the list")
    return matcher


def _read(file: Path) -> dict[str, str]:
    try:
        lines = file.expanduser().read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise AigcError(f"{file}: the list of words cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise AigcError(f"{file}: the list of words is not UTF-8 (byte {error.start})") from error
    words: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        parts = re.sub(r"(?:^|\s)#.*", "", line).split()
        if not parts:
            continue
        if len(parts) != 2 or parts[0] == parts[1]:
            raise AigcError(
                f"{file}:{number}: a line has what is wrong, white space, and what is meant; this one is {line.strip()!r}"
            )
        words[parts[0]] = parts[1]
    return words
