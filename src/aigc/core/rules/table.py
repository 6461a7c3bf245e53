"""The table of rules: the name in the project file, and the class; and how a list of rules is read from YAML."""

from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import BeforeValidator, Discriminator, GetJsonSchemaHandler, PlainSerializer, Tag
from pydantic_core import CoreSchema

from aigc.core.rules.duplicates import exact
from aigc.core.rules.edits import html, redact, sentences, unicode
from aigc.core.rules.measures import counts
from aigc.core.rules.rule import Rule

__all__ = ["RULES", "Rules", "name_of"]

RULES: dict[str, type[Rule]] = {
    "repair_unicode": unicode.RepairUnicode,
    "html_to_text": html.HtmlToText,
    "whitespace": unicode.Whitespace,
    "redact": redact.Redact,
    "finish_sentence": sentences.FinishSentence,
    "characters": counts.Characters,
    "words": counts.Words,
    "mean_word_length": counts.MeanWordLength,
    "symbol_share": counts.SymbolShare,
    "stop_words": counts.StopWords,
    "exact_duplicates": exact.ExactDuplicates,
}

_NAMES = {cls: name for name, cls in RULES.items()}


def name_of(rule: Rule) -> str:
    """The rule's name in the project file, in the ledger and in reports."""
    return _NAMES[type(rule)]


def _one_rule(item: Any) -> Any:
    """`whitespace`, `redact: [email]` and `characters: {min: 20}` into one form, {name: {parameter: value}}."""
    if isinstance(item, Rule):
        return {name_of(item): item.model_dump()}
    if isinstance(item, str):
        return {item: {}}
    if not isinstance(item, dict) or len(item) != 1:
        raise ValueError("a rule is a name (`whitespace`) or one name with its parameters (`characters: {min: 20}`)")
    name, value = next(iter(item.items()))
    cls = RULES.get(name)
    if value is None:
        value = {}
    elif cls is not None and cls.shorthand is not None and not isinstance(value, dict):
        value = {cls.shorthand: value}
    return {name: value}


def _parameters(item: Any) -> Any:
    return next(iter(item.values())) if isinstance(item, dict) else item


def _tag(item: Any) -> str:
    return str(next(iter(item))) if isinstance(item, dict) else name_of(item)


def _as_written(rule: Rule) -> dict[str, Any]:
    return {name_of(rule): rule.model_dump(mode="json", exclude_none=True)}


def _inlined(schema: Any, definitions: Any = None) -> Any:
    """The schema with its definitions put in their places, for it becomes a part of another schema."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    definitions = schema.get("$defs", definitions)
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].removeprefix("#/$defs/")], definitions)
    return {key: _inlined(value, definitions) for key, value in schema.items() if key != "$defs"}


class _AsWritten:
    """JSON Schema of a rule as people write it, for editors."""

    @classmethod
    def __get_pydantic_json_schema__(cls, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        bare = [name for name, rule in RULES.items() if not any(f.is_required() for f in rule.model_fields.values())]
        properties: dict[str, Any] = {}
        for name, rule in RULES.items():
            schema = _inlined(rule.model_json_schema())
            forms = [schema, {"type": "null"}]
            if rule.shorthand is not None:
                forms.append(schema["properties"][rule.shorthand])
            properties[name] = {"description": rule.summary(), "anyOf": forms}
        mapping = {"type": "object", "properties": properties, "additionalProperties": False}
        return {"anyOf": [{"enum": bare}, mapping | {"minProperties": 1, "maxProperties": 1}]}


if TYPE_CHECKING:
    Rules = list[Rule]
else:
    _choice = Union[tuple(Annotated[cls, BeforeValidator(_parameters), Tag(name)] for name, cls in RULES.items())]  # noqa: UP007
    Rules = list[Annotated[_choice, Discriminator(_tag), BeforeValidator(_one_rule), PlainSerializer(_as_written), _AsWritten]]
    """A list of rules in a project file."""
