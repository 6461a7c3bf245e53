"""A project file with a search into the project of each trial, and into the file with the best values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigc import config
from aigc.errors import ConfigError
from aigc.schema import Project
from aigc.search.revision import revised

__all__ = ["Variants", "check", "read"]


@dataclass(frozen=True)
class Variants:
    """A project file as it was when the search began; what becomes of it meanwhile does not matter."""

    written: config.Written

    @property
    def file(self) -> Path:
        """Where it stands."""
        return self.written.file

    def project(self, values: Mapping[str, Any]) -> Project:
        """The project with other values at some of its keys.

        Raises:
            ConfigError: they do not go together.
        """
        return self.written.project(values)

    def text(self, values: Mapping[str, Any]) -> str:
        """The file with overrides and values put in."""
        return revised(self.written.text, self.written.revised(values))


def read(path: str | Path, overrides: Sequence[str] = ()) -> Variants:
    """Read a project file, and be certain that each value which a trial may take is valid.

    Raises:
        ConfigError: the file or its search is wrong.
    """
    written = config.read(path, overrides)
    check(written)
    return Variants(written)


def check(written: config.Written) -> None:
    """Try every choice of the file's search, and both ends of every range, beside the first value of all other keys.

    A combination may be wrong though each of its values is right (a width that the heads do not divide): then the trial fails, not
    the search, unless no combination that was tried is right.

    Raises:
        ConfigError: a key is unknown, a value is out of bounds, or no combination is valid.
    """
    search = written.project().search
    if search is None:
        return
    if search.stage not in written.data:
        raise ConfigError(f"{written.file}: search.stage: there is no section {search.stage!r} in this file")
    wrong: list[str] = []
    first = {}
    for key, candidates in search.keys.items():
        try:
            written.mistakes({key: candidates.extremes[0]})
            first[key] = candidates.extremes[0]
        except ConfigError as error:
            wrong.append(f"{_place(written, key)}: search.keys: {error}")
    together: list[str] = []
    tried = 0
    for key in first:
        for value in search.keys[key].extremes:
            tried += 1
            mistakes = [(f"{_place(written, key)}: search.keys: {remark}", _concerns(key, at, remark))
                        for at, remark in written.mistakes(first | {key: value})]  # fmt: skip
            own = [remark for remark, concerns in mistakes if concerns]
            wrong += own[:1]
            together += [remark for remark, _ in mistakes[:1] if not own]
    if wrong or len(together) == tried:
        raise ConfigError("\n".join(dict.fromkeys(wrong or together[:1])))


def _concerns(key: str, at: str, remark: str) -> bool:
    """Whether a mistake is one of this key, and not one of several keys together."""
    return f"{at}.".startswith(f"{key}.") or (f"{key}.".startswith(f"{at}.") and "unknown key" in remark)


def _place(written: config.Written, key: str) -> str:
    line = written.lines.get(("search", "keys", key), 0)  # one that is written in another way stands on the command line
    return f"{written.file}:{line}" if line else "command line"
