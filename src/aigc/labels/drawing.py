"""A piece into plain text, Markdown and HTML that people read, without a label yet."""

from collections.abc import Sequence
from pathlib import Path

from aigc.card import markdown as md
from aigc.labels.piece import Piece
from aigc.labels.prose import Block, Run, blocks_of
from aigc.pages.page import Html, join, plain, tag

__all__ = ["draw_html", "draw_markdown", "draw_text"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def draw_text(piece: Piece) -> str:
    """Plain text: title, text as it stands, credits."""
    parts = [piece.title] if piece.headed else []
    credits = "\n".join(f"{name}{piece.colon}{value}" for name, value in piece.credits)
    return plain("\n\n".join([*parts, piece.text, *([credits] if credits else [])])) + "\n"


def draw_markdown(piece: Piece) -> str:
    """Markdown: title, text as it stands, credits behind a rule."""
    parts = [f"# {md.inline(piece.title)}"] if piece.headed else []
    lines = [f"{name}{piece.colon}{md.inline(value, 2000)}" for name, value in piece.credits]
    credits = [f"---\n\n{md.items(lines)}"] if lines else []
    return plain("\n\n".join([*parts, piece.text, *credits])) + "\n"


def draw_html(piece: Piece) -> str:
    """A page that loads nothing and runs nothing."""
    language = "zh-CN" if piece.language == "zh" else "en"
    style = Path(__file__).with_name("piece.css").read_text("utf-8")
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">{tag("title", piece.title)}<style>{style}</style>'
    )
    title = tag("h1", piece.title) if piece.headed else ""
    credits = tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in piece.credits))
    article = tag("article", title, join(_shown(blocks_of(piece.text))), dir="auto")
    body = join([article, tag("footer", credits) if piece.credits else ""])
    return f'<!doctype html>\n<html lang="{language}"><head>{head}</head><body>{body}</body></html>\n'


def _shown(blocks: Sequence[Block]) -> list[Html]:
    shown = []
    for block in blocks:
        runs = join(map(_run, block.runs))
        if block.kind == "heading":
            shown.append(tag(f"h{max(block.level, 2)}", runs))  # the title is h1
        elif block.kind == "item":
            marker = tag("span", block.marker, class_="marker")
            shown.append(tag("p", marker, runs, class_=f"item level{min(block.level, 3)}"))
        elif block.kind == "quote":
            shown.append(tag("blockquote", tag("p", runs)))
        elif block.kind == "code":
            shown.append(tag("pre", runs))
        elif block.kind == "rule":
            shown.append(Html("<hr>"))
        else:
            shown.append(tag("p", runs))
    return shown


def _run(run: Run) -> Html:
    shown = Html("<br>").join(
        tag("code", line) if run.code and "\n" not in run.text else join([line]) for line in run.text.split("\n")
    )
    shown = Html(shown)
    if run.bold:
        shown = tag("strong", shown)
    if run.italic:
        shown = tag("em", shown)
    safe = run.link is not None and run.link.startswith(("http://", "https://", "mailto:"))
    return tag("a", shown, href=run.link, rel="nofollow") if safe else shown
