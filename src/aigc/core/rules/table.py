"""The table of rules: the name in the project file, and the class; and how a list of rules is read from YAML."""

import difflib
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, GetJsonSchemaHandler, PlainSerializer, PlainValidator, ValidationError
from pydantic_core import CoreSchema, ErrorDetails, InitErrorDetails, PydanticCustomError

from aigc.core.rules.presets import PRESETS
from aigc.core.rules.rule import Rule

__all__ = ["RULES", "Rules", "name_of", "rule_class"]

RULES = {
    "repair_unicode": "edits.unicode.RepairUnicode",
    "html_to_text": "edits.html.HtmlToText",
    "markdown_to_text": "edits.markdown.MarkdownToText",
    "whitespace": "edits.unicode.Whitespace",
    "chinese_script": "edits.script.ChineseScript",
    "redact": "edits.redact.Redact",
    "keep_lines": "edits.lines.KeepLines",
    "drop_repeated_lines": "edits.lines.DropRepeatedLines",
    "finish_sentence": "edits.sentences.FinishSentence",
    "collapse_repeats": "edits.repeats.CollapseRepeats",
    "balance_marks": "edits.marks.BalanceMarks",
    "spacing": "edits.spacing.Spacing",
    "chinese_confusions": "edits.confusions.ChineseConfusions",
    "english_grammar": "edits.grammar.EnglishGrammar",
    "repair_json": "edits.json_text.RepairJson",
    "format_markdown": "edits.markdown_format.FormatMarkdown",
    "characters": "measures.characters.Characters",
    "alphanumeric_share": "measures.characters.AlphanumericShare",
    "digit_share": "measures.characters.DigitShare",
    "han_share": "measures.characters.HanShare",
    "punctuation_share": "measures.characters.PunctuationShare",
    "symbol_share": "measures.characters.SymbolShare",
    "upper_share": "measures.characters.UpperShare",
    "words": "measures.words.Words",
    "mean_word_length": "measures.words.MeanWordLength",
    "longest_word": "measures.words.LongestWord",
    "alphabetic_words": "measures.words.AlphabeticWords",
    "mixed_words": "measures.words.MixedWords",
    "unique_words": "measures.words.UniqueWords",
    "word_entropy": "measures.words.WordEntropy",
    "stop_words": "measures.words.StopWords",
    "hashes_per_word": "measures.words.HashesPerWord",
    "ellipses_per_word": "measures.words.EllipsesPerWord",
    "lines": "measures.lines.Lines",
    "mean_line_length": "measures.lines.MeanLineLength",
    "terminal_lines": "measures.lines.TerminalLines",
    "bullet_lines": "measures.lines.BulletLines",
    "ellipsis_lines": "measures.lines.EllipsisLines",
    "short_lines": "measures.lines.ShortLines",
    "line_breaks_per_word": "measures.lines.LineBreaksPerWord",
    "sentences": "measures.lines.Sentences",
    "braces": "measures.lines.Braces",
    "duplicate_lines": "measures.repetition.DuplicateLines",
    "duplicate_line_characters": "measures.repetition.DuplicateLineCharacters",
    "duplicate_paragraphs": "measures.repetition.DuplicateParagraphs",
    "duplicate_paragraph_characters": "measures.repetition.DuplicateParagraphCharacters",
    "top_ngram": "measures.repetition.TopNgram",
    "duplicate_ngrams": "measures.repetition.DuplicateNgrams",
    "phrases": "measures.phrases.Phrases",
    "language": "measures.language.Language",
    "blocklist": "measures.blocklist.BlocklistHits",
    "toxicity": "measures.toxicity.Toxicity",
    "structure_faults": "measures.structure.StructureFaults",
    "missing_facts": "measures.given.MissingFacts",
    "invented_numbers": "measures.given.InventedNumbers",
    "copied_run": "copies.rules.CopiedRun",
    "copied_share": "copies.rules.CopiedShare",
    "readability": "measures.readability.Readability",
    "topic": "measures.topic.Topic",
    "perplexity": "measures.perplexity.Perplexity",
    "outlier": "measures.outlier.Outlier",
    "exact_duplicates": "duplicates.exact.ExactDuplicates",
    "near_duplicates": "duplicates.near.NearDuplicates",
    "contained": "duplicates.contained.Contained",
    "decontaminate": "duplicates.evaluation.Decontaminate",
    "near_copies": "copies.rules.NearCopies",
}
"""Where each rule is; only those that a project file names are imported."""


def rule_class(name: str) -> type[Rule]:
    """The class of a rule in the table."""
    module, _, cls = RULES[name].rpartition(".")
    found: type[Rule] = getattr(import_module(f"aigc.core.rules.{module}"), cls)
    return found


_NAMES = {path.rpartition(".")[2]: name for name, path in RULES.items()}


def name_of(rule: Rule) -> str:
    """The rule's name in the ledger and in reports: that of the project file, and what tells it from others of the name."""
    name = _NAMES[type(rule).__name__]
    return name if rule.told_by is None else f"{name} {getattr(rule, rule.told_by)}"


def _one_rule(item: Any) -> Any:
    """`whitespace`, `redact: [email]` and `characters: {min: 20}` into the rule."""
    if isinstance(item, Rule):
        return item
    if not isinstance(item, str) and (not isinstance(item, dict) or len(item) != 1):
        raise ValueError("a rule is a name (`whitespace`) or one name with its parameters (`characters: {min: 20}`)")
    name, value = (item, {}) if isinstance(item, str) else next(iter(item.items()))
    if name == "preset":
        return _preset(value)
    if name not in RULES:
        raise PydanticCustomError("unknown_rule", "no such rule", {"rule": name})
    cls = rule_class(name)
    if value is None:
        value = {}
    elif cls.shorthand is not None and not isinstance(value, dict):
        value = {cls.shorthand: value}
    try:
        return cls.model_validate(value)
    except ValidationError as error:  # the places of the faults, with the rule's name before them
        lines = [
            InitErrorDetails(type=_kind_of(one), loc=(name, *one["loc"]), input=one["input"], ctx=one.get("ctx", {}))
            for one in error.errors(include_url=False)
        ]
        raise ValidationError.from_exception_data(cls.__name__, lines) from None


def _kind_of(error: ErrorDetails) -> str | PydanticCustomError:
    if error["type"] in ("value_error", "assertion_error"):
        return PydanticCustomError("value_error", "{message}", {"message": error["msg"]})
    return error["type"]


def _preset(name: Any) -> list[Rule]:
    if name not in PRESETS:
        near = difflib.get_close_matches(str(name), PRESETS, 1)
        hint = f"the nearest is {near[0]}" if near else f"known: {', '.join(PRESETS)}"
        raise ValueError(f"no preset is called {name!r}; {hint}")
    items = [(item, {}) if isinstance(item, str) else next(iter(item.items())) for item in PRESETS[name]]
    return [rule_class(rule).model_validate(parameters | {"preset": name}) for rule, parameters in items]


def _flat(found: list[Any]) -> list[Rule]:
    """Presets into the rules that they stand for."""
    return [rule for one in found for rule in (one if isinstance(one, list) else [one])]


def _as_written(rule: Rule) -> dict[str, Any]:
    return {_NAMES[type(rule).__name__]: rule.model_dump(mode="json", exclude_none=True, by_alias=True)}


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


def _stands_alone(rule: type[Rule]) -> bool:
    try:
        rule.model_validate({})
    except ValidationError:
        return False
    return True


class _AsWritten:
    """JSON Schema of a rule as people write it, for editors."""

    @classmethod
    def __get_pydantic_json_schema__(cls, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        classes = {name: rule_class(name) for name in RULES}
        bare = [name for name, rule in classes.items() if _stands_alone(rule)]
        properties: dict[str, Any] = {}
        for name, rule in classes.items():
            schema = _inlined(rule.model_json_schema())
            forms = [schema, {"type": "null"}]
            if rule.shorthand is not None:
                forms.append(schema["properties"][rule.shorthand])
            properties[name] = {"description": rule.summary(), "anyOf": forms}
        properties["preset"] = {"description": "A named list of rules with published bounds.", "enum": list(PRESETS)}
        mapping = {"type": "object", "properties": properties, "additionalProperties": False}
        return {"anyOf": [{"enum": bare}, mapping | {"minProperties": 1, "maxProperties": 1}]}


if TYPE_CHECKING:
    Rules = list[Rule]
else:
    _rule = Annotated[Rule, PlainValidator(_one_rule), PlainSerializer(_as_written), _AsWritten]
    Rules = Annotated[list[_rule], AfterValidator(_flat)]
    """A list of rules in a project file."""
