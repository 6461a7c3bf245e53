"""What a user can type: one short function per command. Nothing heavy is imported before the project file is valid."""

import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from aigc import __version__, publishing
from aigc.guard import guarded

__all__ = ["THREADS", "app", "main"]

# threads of torch that wait for each other soon sleep: those that spin slow a machine that has other work five-fold; those that
# sleep at once take 4 % longer on one that has none
THREADS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "10000"}

app = typer.Typer(
    name="aigc",
    help="From raw files to checked, generated content: one YAML project file, one command a stage.",
    epilog="Start with: aigc new news && aigc check news.yaml && aigc run news.yaml",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

File = Annotated[str, typer.Argument(metavar="FILE", help="The project file (YAML).")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Keys of the file, e.g. finetune.learning_rate=1e-4 seed=7."),
]
Proof = Annotated[bool, typer.Option("--verify-resume", help="Prove on a few steps that a killed run goes on to the same weights.")]


def _command(function: Callable[..., None]) -> Callable[..., None]:
    """Register a command."""
    return app.command()(guarded(function))


def _stage(name: str, file: str, overrides: list[str] | None, **options: Any) -> None:
    from importlib import import_module

    from aigc import config

    project = config.load(file, overrides or ())
    from aigc import lineage  # only now: nothing that a wrong project file has to wait for
    from aigc.schema import SECTIONS
    from aigc.signals import terminate_in_order

    if name in SECTIONS:
        lineage.sources(project, name)  # a missing section or file is told before anything heavy is imported
    stage = import_module(f"aigc.stages.{name}")
    terminate_in_order()
    stage.run(project, **options)


@_command
def clean(
    file: File,
    overrides: Overrides = None,
    sample: Annotated[int | None, typer.Option("--sample", min=1, metavar="ROWS", help="Report on so many rows only.")] = None,
    explain: Annotated[str | None, typer.Option("--explain", metavar="ID", help="What happened to this document.")] = None,
) -> None:
    """Raw files into documents: edits, measures and duplicates, with a ledger of every decision.

    \b
    Example:
      aigc clean configs/news.yaml clean.input='data/*.jsonl.gz'
      aigc clean configs/news.yaml --sample 2000
      aigc clean configs/news.yaml --explain news-0017
    """
    if explain is not None and sample is not None:
        raise typer.BadParameter("--sample makes a report, --explain reads one: use one of them")
    name, options = ("clean", {"sample": sample}) if explain is None else ("explain", {"document": explain})
    _stage(name, file, overrides, **options)


@_command
def split(file: File, overrides: Overrides = None) -> None:
    """Documents into train, validation and test, by a stable hash of their content.

    \b
    Example:
      aigc split configs/news.yaml split.test=0.1
    """
    _stage("split", file, overrides)


@_command
def pretrain(file: File, overrides: Overrides = None, verify_resume: Proof = False) -> None:
    """Train a tokenizer and a Transformer from nothing on the training split.

    \b
    Example:
      aigc pretrain configs/quickstart.yaml pretrain.steps=200
      aigc pretrain configs/quickstart.yaml --verify-resume
      torchrun --nproc-per-node 2 -m aigc pretrain configs/quickstart.yaml
    """
    _stage("pretrain", file, overrides, verify_resume=verify_resume)


@_command
def finetune(file: File, overrides: Overrides = None, verify_resume: Proof = False) -> None:
    """Adapt a checkpoint to a task, on the training split.

    \b
    Example:
      aigc finetune configs/news.yaml finetune.start=./my-checkpoint finetune.epochs=2
      aigc finetune configs/news.yaml finetune.lora.rank=16 finetune.merge=true
    """
    _stage("finetune", file, overrides, verify_resume=verify_resume)


@_command
def tune(file: File, overrides: Overrides = None) -> None:
    """Search for the values that a stage is best trained with: trials, and the file with the best of them.

    \b
    Example:
      aigc tune configs/news.yaml search.trials=40 search.processes=4
    """
    from aigc.search import variants

    _stage("tune", file, overrides, variants=variants.read(file, overrides or ()))


@_command
def evaluate(file: File, overrides: Overrides = None) -> None:
    """Measure the trained model on the test split, with intervals, beside the checkpoint that it began with.

    \b
    Example:
      aigc evaluate configs/news.yaml
    """
    _stage("evaluate", file, overrides)


@_command
def generate(
    file: File,
    overrides: Overrides = None,
    stream: Annotated[bool, typer.Option("--stream", help="Show the texts while they are drawn, one after the other.")] = False,
) -> None:
    """Prompts into samples that passed the rules: JSON lines in the run folder, and on stdout unless that is a terminal.

    With generate.output=a.jsonl rows go there, and rejected ones to a.rejected.jsonl. The same command again does what is missing.

    \b
    Example:
      aigc generate configs/news.yaml | jq .text
      head prompts.jsonl | aigc generate configs/news.yaml generate.prompts=- generate.output=-
    """
    _stage("generate", file, overrides, echo=not sys.stdout.isatty(), stream=stream)


@_command
def chat(file: File, overrides: Overrides = None) -> None:
    """Try the checkpoint by hand: lines from stdin, answers on stdout. Ctrl-C ends an answer, Ctrl-D the chat.

    \b
    Example:
      aigc chat configs/news.yaml generate.checkpoint=./my-checkpoint
    """
    _stage("chat", file, overrides)


@_command
def run(
    file: File,
    overrides: Overrides = None,
    force: Annotated[bool, typer.Option("--force", help="Run every stage, also what is up to date.")] = False,
) -> None:
    """Every stage that the file has, in order; what is up to date is skipped.

    \b
    Example:
      aigc run configs/quickstart.yaml seed=7
    """
    from importlib import import_module

    from aigc import config, lineage, runs
    from aigc.schema import SECTIONS
    from aigc.signals import terminate_in_order

    project = config.load(file, overrides or ())
    for name in (one for one in SECTIONS if getattr(project, one) is not None):
        why = "--force" if force else runs.why_not_current(project, name, lineage.sources(project, name))
        if why is None:
            print(f"{name}: up to date, see {runs.root(project) / name}", file=sys.stderr)
            continue
        print(f"{name}: {why}", file=sys.stderr)
        stage = import_module(f"aigc.stages.{name}")
        terminate_in_order()
        stage.run(project)


@_command
def check(
    file: File,
    overrides: Overrides = None,
    measure: Annotated[bool, typer.Option("--measure", help="Time a few steps of training, and tell how long it takes.")] = False,
) -> None:
    """Validate the file, open its inputs and print the plan; nothing is written.

    \b
    Example:
      aigc check configs/quickstart.yaml --measure
    """
    _stage("check", file, overrides, measure=measure)


@_command
def trace(
    sample_id: Annotated[str, typer.Argument(metavar="SAMPLE_ID", help="The `id` of a sample.")],
    file: File,
    overrides: Overrides = None,
) -> None:
    """Where a sample comes from: checkpoint, training split, cleaned documents, input files.

    \b
    Example:
      aigc trace 000000-0 configs/quickstart.yaml
    """
    _stage("trace", file, overrides, sample_id=sample_id)


@_command
def new(name: Annotated[str, typer.Argument(metavar="NAME", help="The project's name; NAME.yaml is written.")]) -> None:
    """Write a commented project file.

    \b
    Example:
      aigc new news
    """
    from aigc.stages import new as stage

    stage.run(name)


@_command
def schema() -> None:
    """Print the JSON Schema of the project file, for editors.

    \b
    Example:
      aigc schema > aigc.schema.json
    """
    import json

    from aigc.schema import Project

    document = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Project.model_json_schema()
    print(json.dumps(document, indent=2, ensure_ascii=False))


export, detect = _command(publishing.export), _command(publishing.detect)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"aigc {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")] = False,
) -> None:
    pass


def main() -> None:
    """The `aigc` command. `--debug` may stand anywhere and shows tracebacks."""
    if THREADS.keys().isdisjoint(os.environ):
        os.environ.update(THREADS)
    app([word for word in sys.argv[1:] if word != "--debug"], prog_name="aigc")
