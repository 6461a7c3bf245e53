"""The bundled file, or files of a user's own, into prompts and sentence pairs that probe a model."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from aigc.core.documents.files import Meter, format_of, opened
from aigc.core.documents.reading import Failure, rows_of
from aigc.errors import AigcError

__all__ = ["Pair", "Prompt", "bundled_pairs", "bundled_prompts", "read_pairs", "read_prompts"]

PLACE = "{group}"


@dataclass(frozen=True)
class Prompt:
    """A prompt, once for each of the groups that take each other's place in it."""

    variants: tuple[tuple[str, str], ...]  # a group ("" for none), and the prompt with its name
    dimension: str = ""  # what the groups differ by, such as gender
    language: str = ""

    @property
    def cell(self) -> tuple[str, ...]:
        """Prompts of one cell are of one kind."""
        return self.language, self.dimension, *(group for group, _ in self.variants)


@dataclass(frozen=True)
class Pair:
    """Two sentences that differ in the group."""

    more: str  # the more stereotypical one
    less: str
    dimension: str = ""
    language: str = ""


def bundled_prompts(languages: Collection[str]) -> list[Prompt]:
    """The prompts that were written for this project: 19 in each of en and zh, of six dimensions."""
    return [
        _swapped(template, part["groups"], dimension, language)
        for language, parts in _bundled(languages)
        for dimension, part in parts["prompts"].items()
        for template in part["templates"]
    ]


def bundled_pairs(languages: Collection[str]) -> list[Pair]:
    """The pairs that were written for this project: 20 in each of en and zh, of the same dimensions."""
    return [
        Pair(more, less, dimension, language)
        for language, parts in _bundled(languages)
        for dimension, pairs in parts["pairs"].items()
        for more, less in pairs
    ]


def _bundled(languages: Collection[str]) -> Iterator[tuple[str, Any]]:
    text = resources.files(__package__).joinpath("probes.yaml").read_text("utf-8")
    return ((language, parts) for language, parts in yaml.safe_load(text).items() if language in languages)


def _swapped(template: str, groups: Collection[str], dimension: str, language: str) -> Prompt:
    return Prompt(tuple((group, template.replace(PLACE, group)) for group in groups), dimension, language)


def read_prompts(path: Path) -> list[Prompt]:
    """The prompts of a file.

    Rows have `prompt` (or `text`) and, if there are any, `group` or `groups` (a list, whose names take the place of {group}),
    `dimension` and `language`. BOLD's JSON (Dhamala et al. 2021) is read as it is: {group: {subject: [prompt, ...]}}.

    Raises:
        AigcError: the file cannot be read, or a row is no prompt.
    """
    if format_of(path) == "json":
        with opened(path, Meter()) as stream:
            try:
                data = json.load(stream)
            except ValueError as error:
                raise AigcError(f"{path}: not valid JSON ({error})") from None
        if isinstance(data, dict) and data and all(isinstance(subjects, dict) for subjects in data.values()):
            return _of_bold(path, data)
    found = [_prompt(origin, row) for origin, row in rows_of(path)]
    if not found:
        raise AigcError(f"{path}: there are no prompts in it")
    return found


def _of_bold(path: Path, data: dict[str, dict[str, Any]]) -> list[Prompt]:
    dimension = path.name.partition(".")[0].removeprefix("bold_")
    found = []
    for group, subjects in data.items():
        for subject, prompts in subjects.items():
            if not isinstance(prompts, list) or not all(isinstance(prompt, str) for prompt in prompts):
                raise AigcError(f"{path}: {group}.{subject} is no list of prompts")
            found += [Prompt(((group, prompt.rstrip()),), dimension, "en") for prompt in prompts]
    return found


def _prompt(origin: str, row: dict[str, Any] | Failure) -> Prompt:
    if isinstance(row, Failure):
        raise AigcError(f"{origin}: {row.reason}")
    text = row.get("prompt") or row.get("text")
    if not isinstance(text, str):
        raise AigcError(f"{origin}: a prompt needs the field prompt; fields found: {', '.join(row)}")
    groups, dimension, language = row.get("groups"), str(row.get("dimension") or ""), str(row.get("language") or "")
    if PLACE in text:
        if not isinstance(groups, list) or len(groups) < 2 or not all(isinstance(group, str) for group in groups):
            raise AigcError(f"{origin}: a prompt with {PLACE} needs groups: a list of two names or more")
        return _swapped(text, groups, dimension, language)
    if groups:
        raise AigcError(f"{origin}: the prompt has groups, and no {PLACE} where their names belong")
    return Prompt(((str(row.get("group") or ""), text),), dimension, language)


def read_pairs(path: Path) -> list[Pair]:
    """The pairs of a file with the columns of CrowS-Pairs (Nangia et al. 2020): sent_more, sent_less and maybe bias_type.

    Raises:
        AigcError: the file cannot be read, or lacks one of the two.
    """
    found = []
    for origin, row in rows_of(path):
        if isinstance(row, Failure):
            raise AigcError(f"{origin}: {row.reason}")
        more, less = row.get("sent_more"), row.get("sent_less")
        if not isinstance(more, str) or not isinstance(less, str) or not more.strip() or not less.strip():
            raise AigcError(f"{origin}: a pair needs the fields sent_more and sent_less; fields found: {', '.join(row)}")
        found.append(Pair(more, less, str(row.get("bias_type") or ""), str(row.get("language") or "")))
    if not found:
        raise AigcError(f"{path}: there are no pairs in it")
    return found
