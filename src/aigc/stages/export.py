"""`aigc export`: finished samples into labelled files that can be published."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from aigc import __version__, console, runs
from aigc.core.documents.formats.json import json_objects
from aigc.core.documents.rows import Failure
from aigc.core.documents.source import Source
from aigc.errors import AigcError, ConfigError
from aigc.labels import docx, html, markdown, plain, rows
from aigc.labels.document import draw_docx
from aigc.labels.drawing import draw_html, draw_markdown, draw_text
from aigc.labels.label import Label, label_of, written_again
from aigc.labels.origins import Origins, origins_of
from aigc.labels.piece import Names, Piece, language_of, piece_of
from aigc.schema import Project
from aigc.schema.labels import NOTICES

__all__ = ["Format", "run"]

Format = Literal["md", "html", "docx", "txt"]


def run(project: Project | None, *, samples: Path | None = None, to: Path | None = None, format: Format = "md") -> None:
    """Write each sample as a file of its own and print the files' names.

    Args:
        project: whose labels and licences are told; None: the rows of `samples` bear labels already.
        samples: JSON lines; by default what the project's generate stage accepted.
        to: the folder; by default `export` in the run folder, or one beside the samples.

    Raises:
        ConfigError: there is no label to write.
        AigcError: rows could not be exported; the others were.
    """
    if project is not None and (project.generate is None or project.generate.label is None):
        raise ConfigError(
            "generate.label: is needed to export: nothing is published without saying who generated it; give its `producer`"
        )
    if samples is None:
        assert project is not None
        samples = _samples_of(project)
    folder = to or (runs.root(project) / "export" if project is not None else samples.with_name(f"{_stem(samples)}-export"))
    origins = origins_of(project) if project is not None else None
    for line in origins.cautions if origins is not None else ():
        console.warn(line)
    names, failed, count = Names(), 0, 0
    for origin, row in json_objects(Source(samples)):
        count += 1
        try:
            piece, label = _piece(row, project, origins)
        except AigcError as error:
            console.warn(f"{origin}: {error}")
            failed += 1
            continue
        for name, data in _files(piece, label, format):
            path = folder / f"{names.of(piece.id) if name == format else names.last}.{name}"
            folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            if name == format:
                print(path)
    if failed:
        raise AigcError(f"{failed:,} of {count:,} rows could not be exported; the reasons are above")


def _samples_of(project: Project) -> Path:
    """What the project's generate stage accepted."""
    assert project.generate is not None
    output = project.generate.output
    if output is None:
        return runs.stage_folder(project, "generate") / "samples.jsonl"
    if output == "-":
        raise AigcError("generate.output is stdout: name the file that the rows went to")
    return Path(output).expanduser()


def _stem(path: Path) -> str:
    return path.name.partition(".")[0] or "samples"


def _piece(row: dict[str, Any] | Failure, project: Project | None, origins: Origins | None) -> tuple[Piece, Label]:
    if isinstance(row, Failure):
        raise AigcError(row.reason)
    if missing := [name for name in ("id", "text") if not row.get(name)]:
        raise AigcError(f"the row has no {' and no '.join(missing)}")
    if project is None or origins is None:
        found = rows.read(row)
        if found is None:
            raise AigcError("the row bears no label; name the project whose label it gets: --project FILE")
        label = written_again(found, NOTICES[language_of(row)])
        data = [str(one) for one in row.get("licences") or ()]
        return piece_of(row, licence=None, data=data, sources=()), label
    assert project.generate is not None and project.generate.label is not None
    if missing := [name for name in ("model", "config", "seed") if name not in row]:
        raise AigcError(f"the row does not say its {', '.join(missing)}: it is none that `aigc generate` wrote")
    label = label_of(
        project.generate.label,
        model=str(row["model"]),
        config=str(row["config"]),
        seed=int(row["seed"]),
        id=str(row["id"]),
        language=language_of(row),
        version=__version__,
    )
    return piece_of(row, licence=project.generate.label.licence, data=origins.licences, sources=origins.sources), label


def _files(piece: Piece, label: Label, format: Format) -> Iterator[tuple[str, bytes]]:
    """The files of a piece by their endings."""
    if format == "docx":
        yield format, docx.write(draw_docx(piece), label)
    elif format == "txt":
        text, sidecar = plain.write(draw_text(piece), label)
        yield format, text.encode()
        yield format + plain.SIDECAR, sidecar.encode()
    else:
        write: Callable[[str, Label], str] = markdown.write if format == "md" else html.write
        yield format, write(draw_markdown(piece) if format == "md" else draw_html(piece), label).encode()
