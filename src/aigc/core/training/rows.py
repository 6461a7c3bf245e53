"""Rows of a split into examples: a method for each format of the field."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from aigc.core.batches.example import Example, Span
from aigc.core.documents.conversations import Broken, Message, common_beginning, is_chat, messages_of
from aigc.core.documents.template import fill
from aigc.core.tokens.chat import Chat, Rendered, Turns, continued, render

__all__ = ["NEUTRALISED", "Asked", "Convert", "Maker", "Row", "Task"]

Task = Literal["language_model", "instruct", "classify", "regress", "seq2seq", "preference", "infill"]
Row = Mapping[str, Any]
Convert = Callable[[Row], Example]
"""Raises Broken."""

NEUTRALISED = "neutralised"
"""The name under which `Asked.tally` counts special tokens that stood in messages."""


@dataclass(frozen=True)
class Asked:
    """What the project file says of the data."""

    task: Task
    document: str | None = None  # templates; None where the columns decide
    prompt: str | None = None
    completion: str | None = None
    label: str | None = None  # classify, regress: a column
    classes: Sequence[str] = ()  # classify: in the order of their numbers
    turns: Turns = "all"
    chat: Callable[[], Chat] | None = None  # asked once, where there are chats
    chatty: bool = False  # a template is named: plain prompts and completions become chats as well
    tally: Counter[str] = field(default_factory=Counter)  # of what the readers did to rows


@dataclass(frozen=True)
class Maker:
    """Rows into examples, each method for one format."""

    asked: Asked

    @cached_property
    def chat(self) -> Chat:
        """The template of messages, asked for when the first one comes.

        Raises:
            Broken: the task has none.
        """
        if self.asked.chat is None or self.asked.task == "seq2seq":
            raise Broken("a chat, and the task takes plain text only")
        return self.asked.chat()

    def messages(self, column: str) -> Convert:
        """A chat."""

        def convert(row: Row) -> Example:
            return self._chat(_with_system(row, messages_of(row[column])))

        return convert

    def filled(self) -> Convert:
        """Templates of a prompt and a completion."""

        def convert(row: Row) -> Example:
            return self._sides(fill(self.asked.prompt or "", row), fill(self.asked.completion or "", row))

        return convert

    def prompted(self) -> Convert:
        """A prompt and a completion, texts or lists of messages (TRL)."""
        return lambda row: self._sides(row["prompt"], row["completion"])

    def instructed(self) -> Convert:
        """An instruction, what else it is given, and the answer (Alpaca); LLaMA-Factory joins the first two alike."""

        def convert(row: Row) -> Example:
            asked, answer = "\n".join(filter(None, (row["instruction"], row.get("input")))), row["output"] or ""
            if self.asked.task == "seq2seq":
                return Example(answer, asked)
            return self._chat(_with_system(row, (Message("user", asked), Message("assistant", answer))))

        return convert

    def preferred(self) -> Convert:
        """A chosen and a rejected answer; where no prompt fits them, the beginning that they share is one (TRL)."""

        def convert(row: Row) -> Example:
            prompt, chosen, rejected = self._prompt(row), row["chosen"], row["rejected"]
            if not (is_chat(chosen) or is_chat(rejected) or is_chat(prompt)):
                if prompt is None and "prompt" in row:
                    raise Broken("prompt is null")
                return self._plain_pair(prompt, chosen or "", rejected or "")
            better, worse = _said(chosen), _said(rejected)
            before = _said(prompt, "user") if is_chat(prompt) or len(better) == 1 else ()
            shared = common_beginning(better, worse)
            if not before or better[: len(before)] == before == worse[: len(before)]:
                before, better, worse = better[:shared], better[shared:], worse[shared:]
            return self._continued(before, better, worse)

        return convert

    def judged(self) -> Convert:
        """An answer and whether it is wanted (KTO)."""

        def convert(row: Row) -> Example:
            if row["label"] not in (0, 1):
                raise Broken(f"label is {row['label']!r}, neither true nor false")
            target = float(row["label"])
            prompt = self._prompt(row) or ""
            completion = row["completion"] if self.asked.completion is None else fill(self.asked.completion, row)
            if not (is_chat(prompt) or is_chat(completion) or self.asked.chatty):
                return _told(Example(completion or "", prompt), target)
            return _told(self._continued(_said(prompt, "user"), _said(completion), ()), target)

        return convert

    def _sides(self, prompt: Any, completion: Any) -> Example:
        """A prompt and a completion, each a text or a chat."""
        if not (is_chat(prompt) or is_chat(completion) or self.asked.chatty):
            return Example(completion or "", prompt or "")
        before = _said(prompt, "user")
        return self._chat((*before, *_said(completion)), first=len(before))

    def _chat(self, messages: Sequence[Message], first: int = 0) -> Example:
        found = render(self.chat, messages, first=first, turns=self.asked.turns, whole=self.asked.task == "language_model")
        self.asked.tally[NEUTRALISED] += found.neutralised
        return Example(found.text, spans=tuple(_read_only(found)), literal=True)

    def _plain_pair(self, prompt: str | None, chosen: str, rejected: str) -> Example:
        if prompt is None:  # as TRL does, but not within a word
            shared = next((at for at, pair in enumerate(zip(chosen, rejected, strict=False)) if pair[0] != pair[1]), None)
            prompt = _BROKEN_WORD.sub("", chosen[: min(len(chosen), len(rejected)) if shared is None else shared])
            chosen, rejected = chosen[len(prompt) :], rejected[len(prompt) :]
        if self.asked.chatty:
            return self._continued(_said(prompt, "user"), _said(chosen), _said(rejected))
        return Example(chosen, prompt, alternative=rejected)

    def _continued(self, prompt: Sequence[Message], answer: Sequence[Message], other: Sequence[Message]) -> Example:
        """An example of one answer after a prompt, or of a chosen and a rejected one."""
        answers = [one for one in (answer, other) if one]
        if not answers:  # chosen and rejected are the same
            return Example("")
        if not answer or any(len(one) != 1 or one[0].role != "assistant" for one in answers) or not prompt:
            raise Broken("an answer has to be one message of the assistant after a prompt (chosen and rejected: after the same)")
        before, texts, neutralised = continued(self.chat, prompt, [one[0] for one in answers])
        self.asked.tally[NEUTRALISED] += neutralised
        completion = texts[0] if answer[0].content.strip() else ""
        return Example(completion, before, alternative=texts[1] if other else None, literal=True)

    def _prompt(self, row: Row) -> Any:
        return row.get("prompt") if self.asked.prompt is None else fill(self.asked.prompt, row)


_BROKEN_WORD = re.compile(r"\s*[A-Za-z0-9']*\Z")  # and the space before it, which tokenizers take along


def _told(example: Example, target: float) -> Example:
    """With its target, unless there is nothing to judge."""
    return replace(example, target=target) if example.completion.strip() else example


def _said(value: Any, role: Literal["user", "assistant"] = "assistant") -> tuple[Message, ...]:
    """A chat as it is, a text as a message."""
    return messages_of(value) if is_chat(value) else (Message(role, value or ""),)


def _with_system(row: Row, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """With the message of a column `system`, as Alpaca's and ShareGPT's sets have it."""
    system = row.get("system")
    if isinstance(system, str) and system.strip() and messages[0].role != "system":
        return (Message("system", system), *messages)
    return messages


def _read_only(found: Rendered) -> Iterator[Span]:
    """What is not learned."""
    at = 0
    for begin, end in (*found.learned, (len(found.text), len(found.text))):
        if at < begin:
            yield Span(at, begin, 0.0)
        at = end
