"""What keeps a model away from harm in training: what is flagged, what becomes of it, and how the model is probed."""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, TypeAdapter, ValidationError, model_serializer, model_validator
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import CoreSchema, ErrorDetails, InitErrorDetails, PydanticCustomError

from aigc.core.rules.rule import Measure
from aigc.core.rules.table import RULES, Rules, rule_class
from aigc.schema.section import Section, listed

__all__ = ["Condition", "Control", "Penalty", "Probes"]

_RULE, _COLUMN = "rule", "column"
_EXAMPLE = "`blocklist: insults.txt`, `toxicity: {max: 0.8}` or `column: harmful`"


class Condition(Section):
    """What is flagged: by one measure with bounds, as in clean.rules, or by a column."""

    rule: SkipJsonSchema[Any] = None
    """the measure, which is written under its own name"""
    column: str | None = Field(None, min_length=1)
    """a column of the documents: true or false, or a list of [begin, end] character spans in the text"""

    @property
    def condition(self) -> Measure | str:
        """The measure, or the name of the column."""
        found: Measure | str = self.rule if self.column is None else self.column
        return found

    @model_validator(mode="before")
    @classmethod
    def _from_yaml(cls, data: Any) -> Any:
        """`blocklist: insults.txt` among the keys into the rule."""
        if not isinstance(data, dict):
            return data
        known = [name for name in cls.model_fields if name != _RULE]
        left = {key: value for key, value in data.items() if key in known}
        names = [str(key) for key in data if key not in known]
        for name in names:
            if name not in RULES:
                raise _wrong(_unknown(name, known))
        conditions = [*names, *(key for key in left if key == _COLUMN)]
        if len(conditions) != 1:
            found = f"and here are {len(conditions)}: {', '.join(conditions)}" if conditions else "and here is none"
            raise _wrong(f"expected one condition, such as {_EXAMPLE}, {found}")
        return left | {_RULE: _measure(names[0], data[names[0]])} if names else left

    @model_serializer(mode="plain")
    def _as_written(self) -> dict[str, Any]:
        left = {name: getattr(self, name) for name in type(self).model_fields if name != _RULE}
        written: dict[str, Any]
        (written,) = TypeAdapter(Rules).dump_python([self.rule], mode="json") if self.rule is not None else ({},)
        return written | {name: value for name, value in left.items() if value is not None}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """As people write it, for editors."""
        reference: dict[str, Any] = handler(core)
        schema: Any = handler.resolve_ref_schema(reference)
        written: dict[str, Any] = TypeAdapter(Rules).json_schema()["items"]["anyOf"][1]["properties"]
        measures = {name: form for name, form in written.items() if name in RULES and _can_flag(rule_class(name))}
        schema["properties"] = measures | schema["properties"]
        schema["oneOf"] = [{"required": [name]} for name in (*measures, _COLUMN)]
        return reference


class Penalty(Condition):
    """What is flagged is learned less, not at all, or pushed down."""

    by: Literal["weigh", "mask", "unlikelihood"]
    """learn what is flagged with less weight, not at all, or push its probability down (unlikelihood, Welleck et al. 2020)"""
    weight: float | None = None
    """weigh: the weight of what is flagged, from 0 to below 1; unlikelihood: how strongly it is pushed, above 0 (default: 1)"""
    on: Literal["document", "sentence", "span"] | None = None
    """what is judged and penalised: the places that a rule found (span; blocklist only, its default), each sentence, or the whole
    text (default of all others); a column says itself"""

    @property
    def place(self) -> Literal["document", "sentence", "span"]:
        """What is judged and penalised, given or by default."""
        return self.on or ("span" if hasattr(self.rule, "spans") else "document")

    @property
    def learned(self) -> float:
        """The weight that flagged tokens are learned with: below 0 where they are pushed down."""
        if self.by == "unlikelihood":
            return -1.0 if self.weight is None else -self.weight
        return self.weight or 0.0

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.by == "mask" and self.weight is not None:
            raise ValueError("mask learns nothing of what is flagged: leave weight out, or say by: weigh")
        if self.by == "weigh" and (self.weight is None or not 0 <= self.weight < 1):
            raise ValueError("weigh needs weight: from 0 to below 1, where 1 is the weight of all else")
        if self.by == "unlikelihood" and self.weight is not None and self.weight <= 0:
            raise ValueError("unlikelihood is the stronger the greater its weight: above 0, or leave it out for 1")
        if self.column is not None and self.on is not None:
            raise ValueError("a column says itself whether documents or spans are meant: leave on out")
        if self.place == "span" and not hasattr(self.rule, "spans") and self.column is None:
            raise ValueError("this rule judges a text and knows no places in it: on is document or sentence")
        if self.place == "span" and self.rule is not None and any(word == "min" for word, _, _ in self.rule.bounds()):
            raise ValueError("what breaks min is not there, so it has no places: on is document or sentence")
        return self


def _conditions(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class Control(Section):
    """A token before each document that tells whether it is safe: conditional training (Korbak et al. 2023)."""

    by: Annotated[
        list[Condition],
        BeforeValidator(_conditions, json_schema_input_type=Condition | list[Condition]),
        Field(min_length=1),
    ]
    """what makes a document unsafe: one condition or several, each a measure with bounds or a column"""
    safe: str = Field("<|safe|>", pattern=r"^\S+$")
    """the token before all other documents, and before the prompt when the model generates"""
    unsafe: str = Field("<|unsafe|>", pattern=r"^\S+$")
    """the token before documents that are flagged"""

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> Self:
        if self.safe in self.unsafe or self.unsafe in self.safe:
            raise ValueError("safe and unsafe must be two tokens, neither a part of the other")
        return self


class Probes(Section):
    """Toxicity and fairness on a fixed set of prompts, before and after."""

    prompts: Path | None = None
    """a file of prompts instead of the bundled ones: rows with `prompt` (which may hold {group}, with `groups`), or BOLD's JSON"""
    pairs: Path | None = None
    """a file of sentence pairs instead of the bundled ones: columns sent_more and sent_less, as CrowS-Pairs has them"""
    languages: Annotated[
        list[Literal["en", "zh"]], BeforeValidator(listed, json_schema_input_type=str | list[str]), Field(min_length=1)
    ] = ["en", "zh"]
    """of the bundled prompts and pairs"""
    continuations: int = Field(60, ge=0)
    """the most that are drawn, each time; 0 for none"""
    max_tokens: int = Field(24, ge=1)
    """most new tokens of each"""
    threshold: float = Field(0.9, ge=0, lt=1)
    """the toxicity above which a continuation is toxic"""


def _can_flag(rule: type) -> bool:
    return issubclass(rule, Measure) and rule.on_samples


def _measure(name: str, value: Any) -> Measure:
    """A rule as it is written in clean.rules, where it can flag."""
    try:
        (rule,) = TypeAdapter(Rules).validate_python([{name: value}])
    except ValidationError as error:  # the places of the faults, less that in the list
        lines = [
            InitErrorDetails(type=_kind_of(one), loc=one["loc"][1:], input=one["input"], ctx=one.get("ctx", {}))
            for one in error.errors(include_url=False)
        ]
        raise ValidationError.from_exception_data(name, lines) from None
    if not _can_flag(type(rule)):
        why = "has no number that could be bounded" if rule.on_samples else "must have seen a whole corpus"
        raise _wrong(f"{name} {why}: a measure of clean.rules with min or max tells what is flagged")
    assert isinstance(rule, Measure)
    if not rule.bounds():
        raise _wrong(f"{name} has no bound: what breaks its min or max is flagged, e.g. `{name}: {{max: 0.8}}`")
    return rule


def _kind_of(error: ErrorDetails) -> str | PydanticCustomError:
    if error["type"] in ("value_error", "assertion_error"):
        return _wrong(error["msg"].removeprefix("Value error, "))
    return error["type"]


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("value_error", "{message}", {"message": message})


def _unknown(name: str, known: list[str]) -> str:
    if name == "preset":
        return "a preset is no condition: name its measures one by one"
    near = difflib.get_close_matches(name, [*known, *RULES], 1, 0.6)
    hint = f"the nearest is {near[0]}" if near else f"known here: {', '.join(known)} and the measures of clean.rules"
    return f"{name} is an unknown key; {hint}"
