"""Values that stand for a mapping: `best_of: 4`, `plan: [title, outline, paragraphs]`; the schema for editors knows them."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from aigc.schema import Project
from aigc.schema.decoding import BestOf, Discourage, Draft, Plan
from aigc.schema.generation import Generate

SHORT = [
    ("best_of", 3, BestOf(candidates=3)),
    ("draft", "./small", Draft(checkpoint="./small")),
    ("discourage", ["one", "二"], Discourage(phrases=["one", "二"])),
    ("discourage", "phrases.txt", Discourage(phrases=Path("phrases.txt"))),
    ("plan", ["title", "outline", "paragraphs"], Plan()),
    ("plan", ["outline", "paragraphs"], Plan(title=None)),
]
WRONG = [
    ("best_of", "many", ("best_of", "candidates"), "valid integer"),
    ("best_of", 1, ("best_of", "candidates"), "greater than or equal to 2"),
    ("plan", ["title", "paragraphs"], ("plan",), r"a plan is \[title, outline, paragraphs\]"),
    ("plan", "long", ("plan",), "valid dictionary"),
]


@pytest.mark.parametrize(("key", "short", "meant"), SHORT)
def test_a_value_stands_for_its_mapping(key: str, short: Any, meant: Any) -> None:
    assert getattr(Generate.model_validate({key: short}), key) == meant
    assert getattr(Generate.model_validate({key: None}), key) is None
    jsonschema.validate({"name": "a", "generate": {key: short}}, Project.model_json_schema())


@pytest.mark.parametrize(("key", "wrong", "place", "message"), WRONG)
def test_what_it_cannot_stand_for_is_told(key: str, wrong: Any, place: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as raised:
        Generate.model_validate({key: wrong})
    assert raised.value.errors()[0]["loc"] == place
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"name": "a", "generate": {key: wrong}}, Project.model_json_schema())
