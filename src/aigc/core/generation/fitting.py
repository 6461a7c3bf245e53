"""A template of a plan and what is known so far into a prompt that fits the model's context."""

from collections.abc import Iterator, Mapping
from typing import Any

from aigc.core.documents.template import fields_of, fill
from aigc.core.generation.request import Engine
from aigc.core.generation.summary import summary

__all__ = ["fitting"]

_SHARES = (1, 0.5, 0.25, 0.125, 0.0)  # of a text that is shortened
_PER_TOKEN = 12  # characters of a token, at most: what is longer than the context is not looked at


def fitting(engine: Engine, template: str, values: Mapping[str, Any], *, max_tokens: int, characters: int) -> str:
    """The template filled, with room for `max_tokens` behind it, or for half the context where that is less.

    What does not fit is shortened: first the summary, then what is written (its end stays), then the outline is left out; at last
    the beginning of the prompt is cut off.

    Args:
        values: of the fields; `written` is what the summary is of.
        characters: of the summary, at most.
    """
    context = 1 + engine.room_for(1)
    room = min(max_tokens, max(context // 2, 1))

    def fits(text: str) -> bool:
        return engine.room_for(len(engine.request(text, seed=0).prompt_ids)) >= room

    text = ""
    for given in _shortened(fields_of(template), values, characters, context * _PER_TOKEN):
        text = fill(template, given)
        if fits(text):
            return text
    while len(text) > 1 and not fits(text):
        text = text[1 + len(text) // 16 :]
    return text


def _shortened(names: list[str], values: Mapping[str, Any], characters: int, most: int) -> Iterator[dict[str, Any]]:
    """The values, ever shorter, as far as the template names them."""
    body = str(values.get("written", ""))
    given = {**values, "summary": "", "written": body[-most:]}
    if "summary" in names:
        for share in _SHARES if body else (0.0,):
            given["summary"] = summary(body, characters=int(characters * share))
            yield dict(given)
    else:
        yield dict(given)
    if "written" in names and body:
        tail = given["written"]
        for share in _SHARES[1:]:
            given["written"] = tail[len(tail) - int(len(tail) * share) :]
            yield dict(given)
    if "outline" in names:
        yield given | {"outline": ""}
