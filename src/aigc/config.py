"""A YAML file and dotted overrides into a validated Project; every error names the file, the line and the key."""

import copy
import difflib
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from aigc.errors import ConfigError
from aigc.keys import has, put
from aigc.mistakes import Place, explain
from aigc.schema import Project

__all__ = ["Written", "load", "parse_scalar", "read"]

MAX_BYTES = 1 << 20


class _Loader(yaml.SafeLoader):
    """SafeLoader with the YAML 1.2 core schema: `no` is a word, `1e-4` a number, `12:30` and `2024-01-01` are text."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
     "-+.0123456789"),
    ("merge", r"<<", "<"),
):  # fmt: skip
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


def _construct_int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node)).replace("_", "")
    return int(text, 0) if re.match(r"0[xo]", text) else int(text)


_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)


@dataclass(frozen=True)
class Written:
    """A project file as it stands, overrides put in."""

    file: Path
    text: str
    data: dict[str, Any]
    lines: dict[Place, int]

    def project(self, values: Mapping[str, Any] = types.MappingProxyType({})) -> Project:
        """The project that it describes, with other values at some of its keys.

        Raises:
            ConfigError: one line per mistake, each with file, line (where YAML knows it), key and remedy.
        """
        try:
            return self._validated(values)
        except ValidationError as error:
            messages = sorted(explain(self.file, self.lines, detail) for detail in error.errors())
            raise ConfigError("\n".join(dict.fromkeys(text for _, text in messages))) from None

    def mistakes(self, values: Mapping[str, Any]) -> list[tuple[str, str]]:
        """What is wrong with it where those values are put in, as (key, remark).

        Raises:
            ConfigError: something on the way to a key is no section.
        """
        try:
            self._validated(values)
        except ValidationError as error:
            explained = ((".".join(map(str, one["loc"])), explain(self.file, {}, one)[1]) for one in error.errors())
            return [(key, remark.removeprefix(f"{self.file}: ")) for key, remark in explained]
        return []

    def revised(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Its data, with other values at some of its keys."""
        data = copy.deepcopy(self.data)
        for key, value in values.items():
            put(data, key, value)
        return data

    def _validated(self, values: Mapping[str, Any]) -> Project:
        return Project.model_validate(self.revised(values))


def load(path: str | Path, overrides: Sequence[str] = ()) -> Project:
    """Read and validate a whole project file.

    Args:
        path: the YAML file.
        overrides: `section.key=value` words; the value is read as YAML.

    Raises:
        ConfigError: one line per mistake, each with file, line (where YAML knows it), key and remedy.
    """
    return read(path, overrides).project()


def read(path: str | Path, overrides: Sequence[str] = ()) -> Written:
    """Read a project file, and put overrides in.

    Raises:
        ConfigError: it cannot be read, is no YAML, or an override is none.
    """
    file = Path(path)
    text, data, lines = _read(file)
    for override in overrides:
        _override(data, lines, override)
    return Written(file, text, data, lines)


def parse_scalar(text: str) -> Any:
    """A value as it would be read from the file: `1e-4` is a number, `[a, b]` a list, `no` a word."""
    return yaml.load(text, Loader=_Loader)  # a SafeLoader


def _read(file: Path) -> tuple[str, dict[str, Any], dict[Place, int]]:
    if not file.exists():
        near = difflib.get_close_matches(file.name, [p.name for p in file.parent.glob("*.y*ml")], 1, 0.5)
        hint = f"; did you mean {file.parent / near[0]}?" if near else "; `aigc new NAME` writes one"
        raise ConfigError(f"{file}: no such project file{hint}")
    if file.is_dir():
        raise ConfigError(f"{file}: is a folder, not a project file")
    if file.stat().st_size > MAX_BYTES:
        raise ConfigError(f"{file}: {file.stat().st_size:,} bytes is no project file (at most {MAX_BYTES:,})")
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 text (byte {error.start:,})") from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror})") from None
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            found = "is empty" if node is None else f"holds a {'list' if isinstance(node, yaml.SequenceNode) else 'single value'}"
            raise ConfigError(f"{file}: {found}; a project file is a mapping, e.g. `name: news`")
        lines: dict[Place, int] = {}
        _locate(file, node, (), lines, set())
        return text, loader.construct_document(node), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file}:{mark.line + 1}" if mark else str(file)
        raise ConfigError(f"{where}: not valid YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: not valid YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise ConfigError(f"{file}: nested too deeply, or an alias that contains itself") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # `!!int abc`: a tag that the value does not bear
        raise ConfigError(f"{file}: not valid YAML: a value does not fit its tag ({error})") from None
    finally:
        if loader is not None:
            loader.dispose()


def _locate(file: Path, node: yaml.Node, at: Place, lines: dict[Place, int], seen: set[int]) -> None:
    """Note the line of every key and item, and refuse a key that is given twice (YAML would take the last in silence)."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        keys: dict[str, int] = {}
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in keys and name != "<<":
                path = ".".join(map(str, (*at, name)))
                raise ConfigError(f"{file}:{line}: {path}: given twice (first on line {keys[name]}); keep one")
            keys[name] = lines[(*at, name)] = line
            _locate(file, value, (*at, name), lines, seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*at, index)] = item.start_mark.line + 1
            _locate(file, item, (*at, index), lines, seen)


def _override(data: dict[str, Any], lines: dict[Place, int], override: str) -> None:
    key, equals, text = override.partition("=")
    path: Place = tuple(key.split("."))
    if not equals or not all(path):
        raise ConfigError(f"command line: {override!r} is no override; write key=value, e.g. finetune.learning_rate=1e-4")
    try:
        value = text if _is_text(text) else parse_scalar(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ConfigError(f"command line: {key}: {text!r} is not valid YAML; quote it") from None
    made = [path[:depth] for depth in range(1, len(path)) if not has(data, path[:depth])]
    try:
        put(data, key, value)
    except ConfigError as error:
        raise ConfigError(f"command line: {error}") from None
    lines |= dict.fromkeys(made, 0)
    for at in [at for at in lines if at[: len(path)] == path]:
        del lines[at]
    lines[path] = 0  # 0: it stands on the command line


def _is_text(value: str) -> bool:
    """Whether it is none of YAML's: `-` and `*.csv` are files, `{title}` and `{title}, {date}:` templates."""
    if not value.startswith("{"):
        return value == "-" or value[:1] in tuple("*&!%@`|>")
    try:
        read = parse_scalar(value)
    except yaml.YAMLError:
        return "}" in value
    return ":" not in value and bool(read)
