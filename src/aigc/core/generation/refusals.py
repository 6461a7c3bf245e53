"""What is asked of texts, and how they are to be written, into one clear error where the two do not go together."""

from collections.abc import Collection
from dataclasses import fields

from transformers import PreTrainedModel

from aigc.core.generation.request import Decoding
from aigc.errors import AigcError

__all__ = ["name_of", "refuse"]

_KEYS = {"stop_strings": "stop", "phrases": "banned or discourage", "constraint": "constrain"}  # as the project file calls them
_PRECISIONS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


def name_of(model: PreTrainedModel) -> str:
    """What an engine is called that runs a model of transformers: `torch fp32`."""
    kind = str(model.dtype).removeprefix("torch.")
    return f"torch {_PRECISIONS.get(kind, kind)}"


def refuse(decoding: Decoding, who: str, names: Collection[str]) -> None:
    """See that none of some settings is asked for.

    Args:
        who: what cannot keep them, as the message begins.
        names: fields of Decoding.

    Raises:
        AigcError: some are, which the message names as the project file does.
    """
    defaults = {one.name: one.default for one in fields(Decoding)}
    found = [_KEYS.get(name, name) for name in names if getattr(decoding, name) != defaults[name]]
    if found:
        raise AigcError(f"generate: {who} cannot keep {', '.join(found)}: leave {'it' if len(found) == 1 else 'them'} out")
