"""What is asked of texts, and how they are to be written, into one clear error where the two do not go together."""

from collections.abc import Collection
from dataclasses import fields

from aigc.core.generation.request import Decoding
from aigc.errors import AigcError

__all__ = ["asked_of", "refuse"]

_KEYS = {"stop_strings": "stop", "phrases": "banned or discourage", "constraint": "constrain"}  # as the project file calls them


def asked_of(decoding: Decoding, names: Collection[str]) -> list[str]:
    """Those settings that are not left at their defaults, as the project file names them.

    Args:
        names: fields of Decoding.
    """
    defaults = {one.name: one.default for one in fields(Decoding)}
    return [_KEYS.get(name, name) for name in names if getattr(decoding, name) != defaults[name]]


def refuse(decoding: Decoding, who: str, names: Collection[str]) -> None:
    """See that none of some settings is asked for.

    Args:
        who: what cannot keep them, as the message begins.
        names: fields of Decoding.

    Raises:
        AigcError: some are, which the message names.
    """
    if found := asked_of(decoding, names):
        raise AigcError(f"generate: {who} cannot keep {', '.join(found)}: leave {'it' if len(found) == 1 else 'them'} out")
