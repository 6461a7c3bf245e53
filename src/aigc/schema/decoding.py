"""What generate says of how texts are chosen: constraints, candidates, a plan, a draft model, a watermark."""

import difflib
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, ValidationError, field_validator, model_validator
from pydantic_core import CoreSchema

from aigc.core.rules.rule import Measure
from aigc.core.rules.table import RULES, rule_class
from aigc.schema.section import Section, listed

__all__ = ["BestOf", "Constrain", "Discourage", "Draft", "Plan", "Texts", "Watermark"]

_STEPS = ["title", "outline", "paragraphs"]

Texts = Annotated[list[str], BeforeValidator(listed, json_schema_input_type=str | list[str])]  # one text or several


class Constrain(Section):
    """The form that each sample must have; one of these."""

    json_schema: dict[str, Any] | Path | None = None
    """a JSON schema, or the file that holds it"""
    regex: str | None = None
    """a regular expression that the whole text matches"""
    choices: list[str] | None = Field(None, min_length=1)
    """the texts to choose from"""

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        given = [name for name in ("json_schema", "regex", "choices") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected one of json_schema, regex and choices, found {' and '.join(given) or 'none'}")
        return self


class Discourage(Section):
    """Texts that are written less often."""

    shorthand: ClassVar[str | None] = "phrases"

    phrases: list[str] | Path
    """the texts, or a file with one in each line"""
    penalty: float = Field(5.0, gt=0)
    """nats that their last token loses"""


class Draft(Section):
    """A small checkpoint that guesses ahead; what is written is as if it were not there."""

    shorthand: ClassVar[str | None] = "checkpoint"

    checkpoint: str
    """a checkpoint folder or hub name with the same vocabulary"""
    tokens: int = Field(4, ge=1, le=16)
    """guessed at once"""


class BestOf(Section):
    """Several candidates for each sample, of which the best stays."""

    shorthand: ClassVar[str | None] = "candidates"

    candidates: int = Field(4, ge=2, le=64)
    """drawn for each sample"""
    by: dict[str, float] = Field({"likelihood": 1.0}, min_length=1)
    """weights of `likelihood` (nats a token) and of measures by name, each set in proportion to its spread among the candidates;
    below 0: less is better"""

    @field_validator("by")
    @classmethod
    def _can_be_measured(cls, by: dict[str, float]) -> dict[str, float]:
        for name in by:
            if name != "likelihood":
                _check_measure(name)
        if not any(by.values()):
            raise ValueError("all weights are 0: every candidate would be as good as the others")
        return by


def _check_measure(name: str) -> None:
    """See that a measure's name alone says how to judge a sample."""
    if name not in RULES:
        near = difflib.get_close_matches(name, ["likelihood", *RULES], 1)
        raise ValueError(f"no measure is called {name!r}" + (f"; the nearest is {near[0]}" if near else ""))
    cls = rule_class(name)
    if not issubclass(cls, Measure):
        raise ValueError(f"{name} is no measure: it gives no number that candidates could be compared by")
    if not cls.on_samples:
        raise ValueError(f"{name} must have seen a whole corpus: it cannot judge candidates")
    try:
        cls()
    except ValidationError as error:
        needed = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors() if fault["loc"])
        raise ValueError(f"{name} has no value by its name alone: it needs {needed or 'parameters'}") from None


class Plan(Section):
    """A long text, written part by part; each template may use the row's fields, {prompt}, and what was written before.

    That is {title} for the outline; and {title}, {outline}, {heading}, {summary} and {written} for a section. The defaults are
    marks of Markdown, which are of no language: labels in another one than the row's lead small models astray.
    `[title, outline, paragraphs]` is a plan of these defaults; without `title` in it the row has one.
    """

    title: str | None = "{prompt}\n\n# "
    """asks for the title; null where the row has the field `title`"""
    outline: str = "{prompt}\n\n# {title}\n\n1. "
    """asks for the headings, one in each line, numbered or not"""
    section: str = "{prompt}\n\n# {title}\n\n{summary}\n\n## {heading}\n\n"
    """asks for the text of a heading"""
    sections: int = Field(6, ge=1, le=100)
    """most sections"""
    section_tokens: int = Field(300, ge=8)
    """most new tokens of a section"""
    summary_characters: int = Field(600, ge=0)
    """of what was written so far, that the next section is told"""
    retries: int = Field(0, ge=0, le=20)
    """draws again a section whose structure is at fault, at most so often"""

    @model_validator(mode="before")
    @classmethod
    def _of_steps(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        if value not in (_STEPS, _STEPS[1:]):
            raise ValueError("as a list, a plan is [title, outline, paragraphs], or [outline, paragraphs] where rows have a title")
        return {} if value == _STEPS else {"title": None}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"enum": [_STEPS, _STEPS[1:]]}, handler(core)]}


class Watermark(Section):
    """A statistical mark in the choice of tokens, which `aigc detect` finds again."""

    kind: Literal["synthid", "greenlist"] = "synthid"
    """SynthID-Text (Dathathri et al. 2024), or a green list (Kirchenbauer et al. 2023)"""
    key: int = Field(ge=0, lt=2**63)
    """the secret; whoever has it can find the mark"""
