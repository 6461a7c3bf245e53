"""A dotted key and a value into the nested mapping that has it."""

from collections.abc import Sequence
from typing import Any

from aigc.errors import ConfigError

__all__ = ["has", "put"]


def put(data: dict[str, Any], key: str, value: Any) -> None:
    """Set the value at a dotted path, and make the sections on the way that are not there.

    Raises:
        ConfigError: something on the way is no section.
    """
    *way, last = key.split(".")
    for depth, part in enumerate(way, start=1):
        inner = data.get(part)
        if inner is None or inner is True:  # `lora: true` asks for the section with its defaults
            inner = data[part] = {}
        if not isinstance(inner, dict):
            parent = ".".join(way[:depth])
            raise ConfigError(f"{key}: {parent} is not a section; set it whole, {parent}=...")
        data = inner
    data[last] = value


def has(data: Any, path: Sequence[object]) -> bool:
    """Whether there is anything at a path, be it nothing."""
    for part in path:
        if not isinstance(data, dict) or part not in data:
            return False
        data = data[part]
    return True
