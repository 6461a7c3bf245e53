"""A text, Markdown or plain, Chinese or English, into the faults of its structure."""

import re
from collections.abc import Collection

from aigc.core.rules.contradictions import title_lints
from aigc.core.rules.endings import ending_lints, unclosed_lints
from aigc.core.rules.enumerations import enumeration_lints
from aigc.core.rules.headings import heading_lints
from aigc.core.rules.lint import KINDS, Kind, Lint
from aigc.core.rules.markdown_lines import lines_of, prose_of

__all__ = ["KINDS", "Kind", "Lint", "lints"]


def lints(text: str, title: str | None = None, *, kinds: Collection[Kind] = KINDS) -> list[Lint]:
    """Faults by their place in the text; see lint.py for the kinds. What stands in code is not looked at.

    Args:
        title: what the text is held against; by default its first line, where that is a heading of level 1.
        kinds: those that are wanted.
    """
    lines = lines_of(text)
    prose = prose_of(text, lines)
    found = [
        *heading_lints(lines),
        *enumeration_lints(prose, lines),
        *unclosed_lints(prose, lines),
        *ending_lints(prose, lines),
    ]
    if "title" in kinds:
        first = re.match(r"\s*# +(.+?)[ \t]*#*[ \t]*(?:\n|$)", prose)
        behind = first.end() if first else 0
        title = first[1] if title is None and first else title
        shift = [*title_lints(title, prose[behind:])] if title else []
        found += [Lint(one.kind, one.begin + behind, one.end + behind, one.message) for one in shift]
    return sorted((one for one in found if one.kind in kinds), key=lambda one: (one.begin, one.end, one.kind))
