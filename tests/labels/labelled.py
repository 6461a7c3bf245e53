"""Labels and settings that the tests of labels share."""

from typing import Any

from aigc.labels.label import Label, label_of
from aigc.schema.labels import Label as Settings

__all__ = ["CODE", "label", "settings"]

CODE = "001191110102MAD55U9H0F10002"  # seen in public files


def settings(**values: Any) -> Settings:
    """The section `generate.label`."""
    return Settings.model_validate({"producer": CODE} | values)


def label(number: int = 0, *, language: str = "zh", **values: Any) -> Label:
    """A label, another one for each number."""
    return label_of(settings(**values), model="m", config="c", seed=number, id=f"{number}-0", language=language, version="1")
