"""What a user can type about texts that are finished: the commands export and detect, which need no project."""

from enum import StrEnum
from typing import Annotated

import typer

__all__ = ["Format", "detect", "export"]


class Format(StrEnum):
    """Of exported files."""

    md = "md"
    html = "html"
    docx = "docx"
    txt = "txt"


def export(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The project file, or rows (JSON lines).")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Keys of the project file, e.g. generate.label.place=end.")
    ] = None,
    project: Annotated[str | None, typer.Option("--project", metavar="YAML", help="Whose label the rows get.")] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="FOLDER", help="Where the files go.")] = None,
    format: Annotated[Format, typer.Option("--format", help="What they are.")] = Format.md,
) -> None:
    """Finished samples into files for readers, each with its label, licence and attribution; their names go to stdout.

    \b
    Example:
      aigc export configs/news.yaml --format html --to public
      aigc export samples.jsonl --project configs/news.yaml --format docx
    """
    from pathlib import Path

    from aigc import config

    rows = not file.lower().endswith((".yaml", ".yml"))
    if project is not None and not rows:
        raise typer.BadParameter("--project is for a FILE of rows, and this is a project file already")
    source = project if rows else file
    loaded = config.load(source, overrides or ()) if source is not None else None
    from aigc.stages import export as stage

    folder = Path(to) if to is not None else None
    stage.run(loaded, samples=Path(file) if rows else None, to=folder, format=format.value)


def detect(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="jsonl, json, md, html, docx or txt; - for rows on stdin.")],
    project: Annotated[str | None, typer.Option("--project", metavar="YAML", help="Whose watermark is looked for.")] = None,
    checkpoint: Annotated[
        str | None, typer.Option("--checkpoint", metavar="NAME", help="Whose tokenizer reads the texts, if not the project's.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
) -> None:
    """What files say of how they came about (labels), and whether their texts bear a watermark.

    \b
    Example:
      aigc detect public/*.html
      aigc detect story.txt --project configs/news.yaml
    """
    from pathlib import Path

    from aigc import config

    if checkpoint is not None and project is None:
        raise typer.BadParameter("--checkpoint needs --project: the watermark's key stands in the project file")
    loaded = config.load(project) if project is not None else None
    from aigc.stages import detect as stage

    stage.run([Path(file) for file in files], project=loaded, checkpoint=checkpoint, as_json=json)
