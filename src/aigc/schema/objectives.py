"""What a model learns in pretraining: one section per objective, written `causal` or `masked: {share: 0.2}`."""

import difflib
from typing import Annotated, Any, Literal, Union

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, PlainSerializer
from pydantic_core import CoreSchema, PydanticCustomError

from aigc.schema.section import Section, Share

__all__ = ["FAMILIES", "OBJECTIVES", "Objective", "default_objective", "objective_model"]

Part = Annotated[Share, Field(gt=0)]


class Causal(Section):
    """The next token."""

    name: Literal["causal"] = "causal"


class Masked(Section):
    """Tokens that were masked, from both sides (BERT)."""

    name: Literal["masked"] = "masked"
    share: Part = 0.15
    """of the tokens, how many are to be told"""
    whole_words: bool = False
    """mask whole words, Chinese ones too (needs the extra `words`)"""


class MaskedNextSentence(Section):
    """Masked tokens, and whether the second of two texts follows on the first or comes from elsewhere (BERT)."""

    name: Literal["masked+next_sentence"] = "masked+next_sentence"
    share: Part = 0.15
    """of the tokens, how many are to be told"""


class MaskedSentenceOrder(Section):
    """Masked tokens, and whether two consecutive texts were swapped (ALBERT)."""

    name: Literal["masked+sentence_order"] = "masked+sentence_order"
    share: Part = 0.15
    """of the tokens, how many are to be told"""


class SpanCorruption(Section):
    """The spans that were taken out of a text (T5)."""

    name: Literal["span_corruption"] = "span_corruption"
    share: Part = 0.15
    """of the tokens, how many are taken out"""
    span: float = Field(3.0, ge=1)
    """mean length of a span"""


class Denoising(Section):
    """The whole text, from one with spans masked and sentences shuffled (BART)."""

    name: Literal["denoising"] = "denoising"
    share: Part = 0.3
    """of the tokens, how many are masked"""
    span: float = Field(3.0, gt=0)
    """mean length of a span (Poisson)"""
    shuffle: bool = True
    """put the sentences in another order"""


class NextSegment(Section):
    """The next paragraph from the one before."""

    name: Literal["next_segment"] = "next_segment"


class FillInMiddle(Section):
    """The next token, in texts of which a part has its middle at the end."""

    name: Literal["fill_in_middle"] = "fill_in_middle"
    rate: float = Field(0.5, ge=0, le=1)
    """share of the documents that are rearranged"""


OBJECTIVES: dict[str, type[Section]] = {
    "causal": Causal,
    "masked": Masked,
    "masked+next_sentence": MaskedNextSentence,
    "masked+sentence_order": MaskedSentenceOrder,
    "span_corruption": SpanCorruption,
    "denoising": Denoising,
    "next_segment": NextSegment,
    "fill_in_middle": FillInMiddle,
}
FAMILIES = {  # which kinds of Transformer an objective can train
    "causal": ("gpt2", "llama"),
    "masked": ("bert",),
    "masked+next_sentence": ("bert",),
    "masked+sentence_order": ("bert",),
    "span_corruption": ("t5", "bart"),
    "denoising": ("bart", "t5"),
    "next_segment": ("gpt2", "llama", "t5", "bart"),
    "fill_in_middle": ("gpt2", "llama"),
}


def default_objective(family: str) -> str:
    """What a family is trained on where the file does not say."""
    return {"bert": "masked", "t5": "span_corruption", "bart": "denoising"}.get(family, "causal")


def objective_model(name: str) -> Section:
    """An objective with its defaults."""
    return OBJECTIVES[name]()


def _from_yaml(value: Any) -> Any:
    """`causal`, or `masked: {share: 0.2}`, into a mapping with the name among its keys."""
    if value is None or isinstance(value, Section):
        return value
    if isinstance(value, str):
        value = {value: None}
    if not isinstance(value, dict) or len(value) != 1:
        raise PydanticCustomError("objective", "expected the name of an objective, or one name with its parameters")
    name, parameters = next(iter(value.items()))
    if name not in OBJECTIVES:
        near = difflib.get_close_matches(str(name), OBJECTIVES, 1, 0.5)
        known = f"the nearest is {near[0]}" if near else f"known: {', '.join(OBJECTIVES)}"
        raise PydanticCustomError("objective", "no objective is called {name}; {known}", {"name": repr(name), "known": known})
    if parameters is not None and not isinstance(parameters, dict):
        raise PydanticCustomError("objective", "the parameters of {name} are a mapping", {"name": str(name)})
    if parameters and "name" in parameters:
        raise PydanticCustomError("objective", "the name of {name} stands before its parameters", {"name": str(name)})
    return {**(parameters or {}), "name": name}


def _as_written(objective: Section | None) -> dict[str, Any] | None:
    parameters = {} if objective is None else objective.model_dump(mode="json")
    return None if objective is None else {parameters.pop("name"): parameters}


class _AsWritten:
    """JSON Schema of an objective as people write it, for editors."""

    @classmethod
    def __get_pydantic_json_schema__(cls, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        properties: dict[str, Any] = {}
        for name, objective in OBJECTIVES.items():
            schema = objective.model_json_schema()
            del schema["properties"]["name"]
            properties[name] = {"description": objective.__doc__, "anyOf": [schema, {"type": "null"}]}
        mapping = {"type": "object", "properties": properties, "additionalProperties": False}
        return {"anyOf": [{"enum": list(OBJECTIVES)}, mapping | {"minProperties": 1, "maxProperties": 1}]}


Objective = Annotated[
    Annotated[
        Union[  # noqa: UP007  (pydantic takes its members as they are)
            Causal,
            Masked,
            MaskedNextSentence,
            MaskedSentenceOrder,
            SpanCorruption,
            Denoising,
            NextSegment,
            FillInMiddle,
        ],
        Field(discriminator="name"),
    ],
    BeforeValidator(_from_yaml),
    PlainSerializer(_as_written),
    _AsWritten,
]
