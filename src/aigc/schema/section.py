"""What every section of the project file shares."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

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
