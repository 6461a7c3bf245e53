"""What every section of the project file shares."""

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

__all__ = ["Files", "Portion", "Section", "Share", "listed"]


def listed(value: Any) -> Any:
    """A list, where one text may stand for a list of one."""
    return [value] if isinstance(value, str) else value


def _share(value: Any) -> Any:
    """`1%` is 0.01."""
    if isinstance(value, str) and value.endswith("%"):
        try:
            return float(value[:-1]) / 100
        except ValueError:
            return value
    return value


_Number = Annotated[float, BeforeValidator(_share, json_schema_input_type=float | str)]
Share = Annotated[_Number, Field(ge=0, lt=1)]  # less than all
Portion = Annotated[_Number, Field(ge=0, le=1)]  # all at most
Files = Annotated[
    list[str], BeforeValidator(listed, json_schema_input_type=str | list[str]), Field(min_length=1)
]  # one pattern or several


class Section(BaseModel):
    """Unknown keys are errors; values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    shorthand: ClassVar[str | None] = None
    """the key that a value stands for where no mapping is written: `best_of: 4`"""

    @model_validator(mode="before")
    @classmethod
    def _spelled_out(cls, value: Any) -> Any:
        if cls.shorthand is None or value is None or isinstance(value, dict | Section):
            return value
        return {cls.shorthand: value}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core)
        if cls.shorthand is None:
            return schema
        own = handler.resolve_ref_schema(schema)
        return {"anyOf": [own["properties"][cls.shorthand], schema]}
