"""What pydantic says of a project file into lines for people: where it stands, what is wrong, what to write instead."""

import difflib
import types
import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from aigc.core.rules.table import RULES, rule_class
from aigc.foreign_keys import FOREIGN_KEYS
from aigc.schema import SECTIONS, Project
from aigc.schema.objectives import OBJECTIVES

__all__ = ["Place", "explain"]

Place = tuple[str | int, ...]
"""Keys and indices on the way to a value."""


def explain(file: Path, lines: dict[Place, int], detail: ErrorDetails) -> tuple[int, str]:
    """The line that an error stands on (0: none), and the message for it."""
    loc = detail["loc"]
    branches = ("number", "by language")  # of the union that a bound is
    at: Place = tuple(part for i, part in enumerate(loc) if not (part in branches and i and loc[i - 1] in ("min", "max")))
    known = at
    while known and known not in lines:
        known = known[:-1]
    line = lines.get(known)
    where = str(file) if line is None else f"{file}:{line}" if line else "command line"
    key = ".".join(map(str, at))
    kind, found = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        what = _unknown_key(at)
    elif kind == "missing":
        what = f"is needed; {_purpose(at)}" if _purpose(at) else "is needed"
    elif kind == "unknown_rule":
        what = _unknown_rule(str(detail.get("ctx", {}).get("rule", "")))
    elif kind == "too_short":
        what = "is empty"
    elif kind in ("model_type", "dict_type", "model_attributes_type"):
        what = f"expected a mapping of keys, found {_show(found)}"
    else:
        message = detail["msg"].removeprefix("Value error, ")
        shown = f", found {_show(found)}" if not isinstance(found, dict) else ""
        what = message[0].lower() + message[1:] + shown
    return line or 0, f"{where}: {key}: {what}" if key else f"{where}: {what}"


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _model_at(at: Place) -> type[BaseModel] | None:
    """The model that owns the keys at this place of the file, or None where it has no fixed keys."""
    model: type[BaseModel] | None = Project
    for part in at:
        if isinstance(part, int):
            continue
        if part in RULES:
            model = rule_class(part)
        elif part in OBJECTIVES:
            model = OBJECTIVES[part]
        elif model is not None and part in (fields := _fields(model)):
            model = _inner_model(fields[part].annotation)
    return model


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The keys that a person may write."""
    return {field.alias or name: field for name, field in model.model_fields.items() if name != "preset"}


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        return next(filter(None, map(_inner_model, typing.get_args(annotation))), None)
    return None


def _unknown_key(at: Place) -> str:
    name, parent = str(at[-1]), at[:-1]
    prefix = ".".join(map(str, (*parent, "")))
    model = _model_at(parent)
    fields = list(_fields(model)) if model else []
    ours = FOREIGN_KEYS.get(name)
    if ours in fields:
        return f"unknown key; aigc calls it {prefix}{ours}"
    near = difflib.get_close_matches(name, fields, 1, 0.6)
    if near:
        return f"unknown key; the nearest is {prefix}{near[0]}"
    wanted = {name, ours}
    owners = [f"{section}.{field}" for section, owner in SECTIONS.items() for field in owner.model_fields if field in wanted]
    if not parent and owners:
        return f"unknown key; it belongs to a section: {' or '.join(owners)}"
    if owners:
        return f"unknown key here; it belongs to `aigc {owners[0].split('.')[0]}`: {' or '.join(owners)}"
    if ours in Project.model_fields:
        return f"unknown key; aigc calls it {ours}, at the top of the file"
    if name in Project.model_fields:
        return f"unknown key here; {name} stands at the top of the file"
    return f"unknown key; known here: {', '.join(fields) or 'none'}"


def _unknown_rule(name: str) -> str:
    near = difflib.get_close_matches(name, RULES, 1, 0.5)
    return f"no rule is called {name!r}; " + (f"the nearest is {near[0]}" if near else f"known: {', '.join(RULES)}")


def _purpose(at: Place) -> str | None:
    model = _model_at(at[:-1])
    field = _fields(model).get(str(at[-1])) if model else None
    return field.description if field else None
