"""A place where the structure of a text is at fault."""

from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["KINDS", "Kind", "Lint"]

Kind = Literal[
    "heading_level",  # a heading is more than one level below the one before it
    "heading_number",  # numbers of headings skip or repeat
    "heading_repeated",  # a heading stands twice under the same one
    "empty_section",  # nothing under a heading
    "list_number",  # numbers of a list skip or repeat
    "enumeration",  # first without second, 其次 without 首先, three reasons of which there are two
    "unclosed",  # an open fence, quotation mark or bracket
    "ending",  # the text breaks off
    "title",  # the text says otherwise than its title
]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Lint:
    """A fault of structure."""

    kind: Kind
    begin: int  # the first character that shows it
    end: int  # behind the last one
    message: str
