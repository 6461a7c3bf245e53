"""The text of a YAML file and the data that it should hold into a text that holds it, comments kept where they can be."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from aigc.config import parse_scalar

__all__ = ["revised"]


def revised(text: str, data: Mapping[str, Any]) -> str:
    """Change what differs in place; where the text is too clever for that (aliases, values over many lines), write it anew.

    Args:
        text: a mapping in YAML.
        data: the same mapping with other values, or with more keys; none is taken away.
    """
    new: str | None = text
    for path, value in _changes(parse_scalar(text), data):
        new = None if new is None else _edited(new, path, value)
    if new is None or _read(new) != data:
        return yaml.safe_dump(_apart(data), allow_unicode=True, sort_keys=False)
    return new


def _apart(value: Any) -> Any:
    """The same with nothing in two places, for which YAML would write an alias."""
    if isinstance(value, Mapping):
        return {key: _apart(inner) for key, inner in value.items()}
    return [_apart(inner) for inner in value] if isinstance(value, list) else value


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(key), dict):
            yield from _changes(old[key], value, (*at, key))
        elif key not in old or old[key] != value or type(old[key]) is not type(value):
            yield (*at, key), value


def _read(text: str) -> Any:
    try:
        return parse_scalar(text)
    except (yaml.YAMLError, ValueError):
        return None


def _edited(text: str, path: tuple[str, ...], value: Any) -> str | None:
    """The text with one value put in; None where that is not plain to do."""
    node: yaml.Node = yaml.compose(text, Loader=yaml.SafeLoader)  # type: ignore[assignment]  # a mapping: it has been read
    for depth, part in enumerate(path):
        if not isinstance(node, yaml.MappingNode):
            return _replaced(text, node, _nested(path[depth:], value))
        inner = next((child for key, child in node.value if key.value == part), None)
        if inner is None:
            return _inserted(text, node, _nested(path[depth:], value)[1:-1])
        node = inner
    return _replaced(text, node, _shown(value))


def _replaced(text: str, node: yaml.Node, shown: str) -> str | None:
    begin, end = node.start_mark.index, node.end_mark.index
    many_lines = not node.flow_style if isinstance(node, yaml.CollectionNode) else getattr(node, "style", None) in ("|", ">")
    if many_lines:
        return None
    return f"{text[:begin]}{'' if begin < end else ' '}{shown}{text[end:]}"  # nothing stands right behind its colon


def _inserted(text: str, node: yaml.MappingNode, shown: str) -> str | None:
    """With a key more, before the first one of a mapping."""
    if node.flow_style:
        begin = node.start_mark.index + 1
        return f"{text[:begin]}{shown}{', ' if node.value else ''}{text[begin:]}"
    mark = node.value[0][0].start_mark
    begin = mark.index - mark.column
    return f"{text[:begin]}{' ' * mark.column}{shown}\n{text[begin:]}"


def _nested(path: tuple[str, ...], value: Any) -> str:
    """`{a: {b: 1}}` for the path a, b."""
    shown = _shown(value)
    for part in reversed(path):
        shown = f"{{{part}: {shown}}}"
    return shown


def _shown(value: Any) -> str:
    """A value in one line of YAML; `1.0e-05` is a number to every reader, `1e-05` is not."""
    if isinstance(value, float):
        digits = repr(value)
        return digits if "." in digits or "e" not in digits else digits.replace("e", ".0e")
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_shown(inner)}' for key, inner in value.items())}}}"
    return json.dumps(value, ensure_ascii=False)
