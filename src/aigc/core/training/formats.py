"""The columns of a split into the reader that makes an example of each of its rows: the data formats of the field."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import polars as pl

from aigc.core.batches.example import Example, Reader
from aigc.core.documents.conversations import Broken
from aigc.core.documents.template import fields_of, needed_fields
from aigc.core.tokens.chat import Chat
from aigc.core.training.corpus import templates
from aigc.core.training.labels import class_numbers, values
from aigc.core.training.rows import Asked, Convert, Maker, Task
from aigc.errors import AigcError

__all__ = ["Format", "format_of"]

Kind = Literal["text", "chat", "mark"]
Schema = Mapping[str, pl.DataType]
_EITHER: Sequence[Kind] = ("text", "chat")


@dataclass(frozen=True)
class Format:
    """How the rows of a split become examples."""

    name: str  # the columns, or the templates
    read: Reader
    chat: Chat | None = None  # the template that messages are rendered with, where the columns say that there are any


@dataclass(frozen=True)
class _Form:
    """A format that is known by its columns."""

    needs: Mapping[str, Sequence[Kind]]  # columns, and what each may hold
    convert: Callable[[Maker], Convert]
    takes: Sequence[str] = ()  # columns that are used where they are there
    chats: bool = False  # whether its rows are always chats

    @property
    def name(self) -> str:
        *others, last = self.needs
        return f"{', '.join(others)} and {last}" if others else last

    def fits(self, schema: Schema) -> bool:
        return all(name in schema and _kind(schema[name]) in kinds for name, kinds in self.needs.items())


_MESSAGES = _Form({"messages": _EITHER}, lambda maker: maker.messages("messages"), ("system",), chats=True)
_SHAREGPT = _Form({"conversations": _EITHER}, lambda maker: maker.messages("conversations"), ("system",), chats=True)
_PROMPTED = _Form({"prompt": _EITHER, "completion": _EITHER}, Maker.prompted)
_ALPACA = _Form({"instruction": ("text",), "output": ("text",)}, Maker.instructed, ("input", "system"), chats=True)
_PREFERRED = _Form({"chosen": _EITHER, "rejected": _EITHER}, Maker.preferred, ("prompt",))
_JUDGED = _Form({"prompt": _EITHER, "completion": _EITHER, "label": ("mark",)}, Maker.judged)

_FORMS: Mapping[Task, Sequence[_Form]] = {  # the first one that fits is taken
    "instruct": (_MESSAGES, _SHAREGPT, _PROMPTED, _ALPACA),
    "seq2seq": (_PROMPTED, _ALPACA),
    "preference": (_PREFERRED, _JUDGED),
}


def format_of(schema: Schema, asked: Asked) -> Format:
    """The format of a split. Templates of the project file go before columns.

    Of several formats the first one is taken: messages, conversations (ShareGPT), prompt and completion, instruction and output
    (Alpaca); for preferences chosen and rejected, or prompt, completion and label (KTO). A column of texts may hold chats as JSON.
    A prompt and a completion of plain text stay plain text, unless `asked.chatty`; an instruction is a message. Whole documents are
    chats where there is no template and a list of messages.

    Raises:
        AigcError: no format fits, or a template names a column that is not there. The reader raises it for broken rows, with the
            first one's id and how many there are.
    """
    if asked.task in ("classify", "regress"):
        return _labelled(schema, asked)
    if asked.task in ("language_model", "infill"):
        form = next((one for one in (_MESSAGES, _SHAREGPT) if _has_chat(schema, *one.needs)), None)
        if form is None or asked.document is not None or asked.task == "infill":
            return Format(_document(asked), templates(_checked(_document(asked), "document", schema), ""))
        return _rendered(schema, asked, form)
    if asked.task == "preference":
        forms: Sequence[_Form] = _FORMS[asked.task]
        if asked.completion is not None:
            forms = [_Form({"label": ("mark",)}, Maker.judged)]
    elif asked.prompt is not None or asked.completion is not None:
        completion, prompt = asked.completion or "{text}", asked.prompt or ""
        if not asked.chatty:
            return Format("templates", templates(_checked(completion, "completion", schema), _checked(prompt, "prompt", schema)))
        return _rendered(schema, replace(asked, completion=completion, prompt=prompt), _Form({}, Maker.filled, chats=True))
    else:
        forms = _FORMS[asked.task]
    form = next((one for one in forms if one.fits(schema)), None)
    if form is None:
        raise AigcError(_none_fits(schema, forms, asked.task))
    return _rendered(schema, asked, form)


def _rendered(schema: Schema, asked: Asked, form: _Form) -> Format:
    """A format whose rows are read one by one."""
    columns = [name for name in (*form.needs, *form.takes) if name in schema]
    for key, template in (("prompt", asked.prompt), ("completion", asked.completion)):
        columns += [name for name in fields_of(_checked(template or "", key, schema)) if name in schema and name not in columns]
    maker = Maker(asked)
    chats = asked.task != "seq2seq" and (form.chats or asked.chatty or _has_chat(schema, *form.needs))
    name = form.name if form.needs else "templates"
    return Format(name, _reader(form.convert(maker), columns, asked.task), maker.chat if chats else None)


def _reader(convert: Convert, columns: Sequence[str], task: Task) -> Reader:
    def read(frame: pl.DataFrame) -> list[Example]:
        examples: list[Example] = []
        broken: list[tuple[int, str]] = []
        for number, row in enumerate(frame.select(columns).iter_rows(named=True)):
            try:
                examples.append(convert(row))
            except Broken as error:
                broken.append((number, str(error)))
        if broken:
            number, reason = broken[0]
            name = f"id {frame['id'][number]}" if "id" in frame.columns else f"row {number}"
            more = f"; {len(broken):,} of these {len(frame):,} documents are broken" if len(broken) > 1 else ""
            raise AigcError(f"finetune: task {task}: {name}: {reason}{more}")
        return examples

    return read


def _labelled(schema: Schema, asked: Asked) -> Format:
    """The text by its template, and the label."""
    read = templates(_checked(_document(asked), "document", schema), "")
    label = asked.label
    if label is None or label not in schema:
        raise AigcError(
            f"finetune: task {asked.task}: columns found: {_found(schema)}; columns needed: {label or 'finetune.label'}"
        )

    def labelled(frame: pl.DataFrame) -> list[Example]:
        told = class_numbers(frame, label, asked.classes) if asked.task == "classify" else values(frame, label)
        return [replace(one, target=target) for one, target in zip(read(frame), told, strict=True)]

    return Format(f"{_document(asked)} and {label}", labelled)


def _document(asked: Asked) -> str:
    return "{text}" if asked.document is None else asked.document


def _checked(template: str, key: str, schema: Schema) -> str:
    if missing := [name for name in needed_fields(template) if name not in schema]:
        raise AigcError(f"finetune.{key}: columns found: {_found(schema)}; columns needed: {', '.join(missing)}")
    return template


def _none_fits(schema: Schema, forms: Sequence[_Form], task: Task) -> str:
    needed = [form.name for form in forms]
    if task != "preference":
        needed.append("templates finetune.prompt and finetune.completion")
    return f"finetune: task {task}: columns found: {_found(schema)}; columns needed: {', or '.join(needed)}"


def _found(schema: Schema) -> str:
    return ", ".join(name if _kind(kind) in _EITHER else f"{name} ({kind})" for name, kind in schema.items())


def _has_chat(schema: Schema, *columns: str) -> bool:
    return any(name in schema and _kind(schema[name]) == "chat" for name in columns)


def _kind(kind: pl.DataType) -> Kind | None:
    if kind == pl.String or isinstance(kind, pl.Categorical | pl.Enum):
        return "text"
    if isinstance(kind, pl.List) and isinstance(kind.inner, pl.Struct):
        return "chat"
    return "mark" if kind == pl.Boolean or kind.is_integer() else None
