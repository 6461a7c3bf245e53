"""The line that tells a reader that a text is generated: put into a text, taken out of it, found in it."""

from aigc.labels.label import Found
from aigc.schema.labels import LONGEST, is_explicit

__all__ = ["explicit_in", "noticed", "unnoticed"]


def noticed(text: str, line: str, place: str, newline: str = "\n") -> str:
    """A text with a line before or behind it, apart from it by an empty line."""
    if place == "start":
        return f"{line}{newline}{newline}{text}"
    if text.endswith(newline):
        return f"{text}{newline}{line}{newline}"
    return f"{text}{newline}{newline}{line}"


def unnoticed(text: str, line: str, place: str, newline: str = "\n") -> str:
    """The text without that line, as it was before `noticed`; the same text where the line is not there."""
    if not line:
        return text
    if place == "start":
        return text.removeprefix(f"{line}{newline}{newline}")
    behind = f"{newline}{line}{newline}"
    return text.removesuffix(behind) if text.endswith(behind) else text.removesuffix(f"{newline}{newline}{line}")


def explicit_in(text: str, where: str) -> Found | None:
    """A first or last line that seems to tell the reader, in a text whose label does not say what its notice is."""
    lines = [line.strip("> *_（）()[]【】\t") for line in text.strip().splitlines() if line.strip()]
    for line, place in zip(lines[:1] + lines[-1:], ("start", "end"), strict=True) if lines else ():
        if 0 < len(line) <= LONGEST // 2 and (is_explicit(line, "zh") or is_explicit(line, "en")):
            return Found(f"{where}, at the {place}", {}, {"notice": line, "place": place})
    return None
