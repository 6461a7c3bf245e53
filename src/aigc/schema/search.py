"""The section that searches for the values that a stage is best trained with."""

from decimal import Decimal
from itertools import product
from typing import Annotated, Any, Literal, Self

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from aigc.schema.section import Section

__all__ = ["Candidates", "Search", "direction_of"]

SMALLER = ("loss", "perplexity", "bits_per_byte", "nats", "error", "toxicity", "mse", "mae")
LARGER = (
    "accuracy",
    "f1",
    "precision",
    "recall",
    "rouge",
    "bleu",
    "chrf",
    "exact_match",
    "win_rate",
    "correlation",
    "spearman",
    "pearson",
    "margin",
)
MOST_POINTS = 10_000  # of a grid
FORMS = "a list of choices, {range: [low, high]}, {log: [low, high]} or {int: [low, high]}"

Direction = Literal["minimize", "maximize"]


def direction_of(metric: str) -> Direction | None:
    """Whether less or more of a metric is better, by its name; None where the name does not tell."""
    less, more = (any(word in metric for word in words) for words in (SMALLER, LARGER))
    return None if less == more else "minimize" if less else "maximize"


class Candidates(Section):
    """What a key may be: one of a list, or a number within a range."""

    choices: list[Any] | None = Field(None, min_length=1)
    """any of these"""
    range: tuple[float, float] | None = None
    """a number from the first to the second"""
    whole: tuple[int, int] | None = Field(None, alias="int")
    """a whole number from the first to the second"""
    log: bool = False
    """small numbers are tried as often as large ones: for what spreads over orders of magnitude"""
    step: float | None = Field(None, gt=0)
    """only numbers that are so far apart, from the first on"""

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        """`[4, 8]` is {choices: [4, 8]}, and {log: [1e-5, 1e-3]} is {range: [1e-5, 1e-3], log: true}."""
        if isinstance(value, list):
            return {"choices": value}
        forms = {"choices", "range", "int"}
        if isinstance(value, dict):  # as it was written, or as it was dumped
            value = {"int" if key == "whole" else key: one for key, one in value.items() if one is not None}
        if not isinstance(value, dict) or not (forms | {"log"}) & value.keys():
            raise ValueError(f"expected {FORMS}")
        if isinstance(value.get("log"), list):
            value = {**value, "range": value["log"], "log": True} if not forms & value.keys() else {**value, "log": True}
        if len(forms & value.keys()) != 1:
            raise ValueError(f"expected one of {FORMS}")
        return value

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.choices is not None:
            if self.log or self.step:
                raise ValueError("a list of choices has no log and no step")
            if any(one == other and type(one) is type(other) for i, one in enumerate(self.choices) for other in self.choices[:i]):
                raise ValueError("a choice is given twice")
            return self
        low, high = self.whole or self.range or (0, 0)
        if low >= high:
            raise ValueError(f"the first number, {low:g}, must be less than the second, {high:g}")
        if self.log and low <= 0:
            raise ValueError(f"log needs numbers above 0, and the first is {low:g}")
        if self.log and self.step:
            raise ValueError("log and step exclude each other")
        if self.step and self.ends[0] >= self.ends[1]:
            raise ValueError(f"step {self.step:g} is more than from {low:g} to {high:g}")
        if self.whole and self.step and not self.step.is_integer():
            raise ValueError(f"step {self.step:g} is no whole number")
        return self

    @property
    def ends(self) -> tuple[float, float]:
        """The first and the last number of a range, which a step may make smaller than it was written."""
        low, high = self.whole or self.range or (0.0, 0.0)
        if not self.step:
            return low, high
        first, last, step = (Decimal(str(number)) for number in (low, high, self.step))
        return low, type(high)(last - (last - first) % step)

    @property
    def extremes(self) -> list[Any]:
        """Values that must be valid for all to be: every choice, or both ends of a range and one between them."""
        if self.choices is not None:
            return self.choices
        low, high = self.ends
        return [low, high] if self.whole else [low, high, low + (self.step or (high - low) / 3.1)]

    @property
    def points(self) -> list[Any] | None:
        """All values, None where they cannot be counted."""
        if self.choices is not None:
            return self.choices
        if self.log or not (self.whole or self.step):
            return None
        first, last, step = (Decimal(str(number)) for number in (*self.ends, self.step or 1))
        kind = int if self.whole else float
        return [kind(first + i * step) for i in range(int((last - first) / step) + 1)]


_PAIR = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
_WRITTEN = {
    "anyOf": [
        {"type": "array", "minItems": 1},
        {
            "type": "object",
            "properties": {
                "choices": {"type": "array", "minItems": 1},
                "range": _PAIR,
                "int": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
                "log": {"anyOf": [{"type": "boolean"}, _PAIR]},
                "step": {"type": "number", "exclusiveMinimum": 0},
            },
            "additionalProperties": False,
        },
    ]
}
KEYS_SCHEMA = {"type": "object", "minProperties": 1, "additionalProperties": _WRITTEN}


class Search(Section):
    """Trials of a stage with other values, to find the best."""

    stage: Literal["finetune", "pretrain"] = "finetune"
    """the stage that is trained in each trial"""
    trials: int = Field(20, ge=1, le=100_000)
    """how many, those of an earlier try of the same search included"""
    metric: str = "validation_loss"
    """what is compared: a figure that metrics.jsonl has at each evaluation, such as validation_loss, bits_per_byte or macro_f1"""
    direction: Direction | None = None
    """whether less or more of it is better (default: by the metric's name)"""
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    """how values are chosen: by what earlier trials have shown (tpe), by chance, or all combinations in a random order"""
    pruner: Literal["median", "hyperband", "none"] = "median"
    """which trials end early: those worse than the median at the same evaluation, by successive halving, or none"""
    processes: int = Field(1, ge=1, le=1024)
    """trials at the same time; they share the processors, and the GPUs where there are several"""
    keys: Annotated[dict[str, Candidates], Field(min_length=1), WithJsonSchema(KEYS_SCHEMA)]
    """paths in this file, each with what it may be: a list, {range: [0, 0.2], step: 0.05}, {log: [1e-5, 1e-3]} or {int: [4, 32]}"""

    @field_validator("keys", mode="before")
    @classmethod
    def _paths_are_flat(cls, value: Any) -> Any:
        """On the command line, search.keys.finetune.epochs=[1, 2] is a key within a key."""
        return _flat(value) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _can_be_searched(self) -> Self:
        if self.direction is None and direction_of(self.metric) is None:
            raise ValueError(f"direction is needed: the name {self.metric!r} does not tell whether minimize or maximize is meant")
        for key in self.keys:
            if key.partition(".")[0] != self.stage and key != "seed":
                raise ValueError(f"keys: {key} makes no difference to a trial; the keys of {self.stage}, the stage, and seed do")
            inner = next((other for other in self.keys if other.startswith(f"{key}.")), None)
            if inner is not None:
                raise ValueError(f"keys: {inner} is a part of {key}; search one of them")
        if self.sampler == "grid":
            for key, candidates in self.keys.items():
                if candidates.points is None:
                    raise ValueError(f"keys: {key} cannot be counted, as a grid needs; give a list, or a range with step")
            if self.size > MOST_POINTS:
                raise ValueError(f"a grid of {self.size:,} combinations is too large (at most {MOST_POINTS:,}); use random")
        return self

    @property
    def better(self) -> Direction:
        """Whether less or more of the metric is better."""
        found = self.direction or direction_of(self.metric)
        assert found is not None
        return found

    @property
    def size(self) -> int:
        """How many combinations a grid has."""
        found = 1
        for candidates in self.keys.values():
            found *= len(candidates.points or ())
        return found

    @property
    def grid(self) -> list[dict[str, Any]]:
        """Every combination, the last key's values changing fastest."""
        return [dict(zip(self.keys, values, strict=True)) for values in product(*(one.points or () for one in self.keys.values()))]


def _flat(keys: dict[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in keys.items():
        nested = isinstance(value, dict) and "." not in str(name) and not {"choices", "range", "log", "int"} & value.keys()
        if nested and value:
            found |= {f"{name}.{inner}": candidates for inner, candidates in _flat(value).items()}
        else:
            found[str(name)] = value
    return found
