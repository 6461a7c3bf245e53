"""A section that trains into its plan: sizes, memory, steps, and how long it will take."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from aigc import lineage, runs
from aigc.adaptation import finetuning
from aigc.core.documents.heap import kept
from aigc.core.documents.tables import read_tables
from aigc.core.model import checkpoints
from aigc.core.model.size import Memory, memory_of
from aigc.core.training.rehearsal import rehearse
from aigc.errors import AigcError
from aigc.preparation import Prepared, Task, prepare
from aigc.pretraining import pretraining
from aigc.schema import Project

__all__ = ["plan"]

SAMPLE = 2000  # documents that the figures are drawn from
HELD_OUT = 10  # one in so many of a sample that is not split yet is for validation
MAKERS = {"pretrain": pretraining, "finetune": finetuning}
TOKENISING = 4e6  # bytes of text a second


def plan(project: Project, name: str, sample: pl.DataFrame | None, *, measure: bool) -> list[tuple[str, str]]:
    """What training would do, as lines of a table; nothing is written.

    Args:
        name: pretrain or finetune.
        sample: documents of the input, for where the split stage was not run yet.
        measure: take a few steps, and tell the time.

    Raises:
        AigcError: the stage could not work.
    """
    try:
        task = MAKERS[name](project)
    except AigcError:  # it starts from a model that is not there yet
        return [("model", "that of pretrain, which was not run yet")]
    with tempfile.TemporaryDirectory(prefix="aigc-plan-") as folder, kept():
        split = Path(folder) / "split"
        split.mkdir()
        scales = _sampled(project, name, sample, split)
        if scales is None:
            return [("documents", "none to look at before clean and split were run")]
        if scales["train"] > 1 or (sample is not None and len(sample) >= SAMPLE):
            task = _as_far_as_seen(task, split)
            _without_unseen(getattr(task.section, "label", None), split)
        device = checkpoints.device_of(project.device)
        work = prepare(task, split, Path(folder), device=device, seed=project.seed, scale=scales["train"])
        lines = _sizes(task, work, scales["train"])
        if measure:
            lines += _times(work, scales)
        return lines


def _sampled(project: Project, name: str, sample: pl.DataFrame | None, folder: Path) -> dict[str, float] | None:
    """Write some documents as a split, and tell for each part how many times more there are; None where there are none."""
    try:
        there = runs.stage_folder(project, "split")
    except AigcError:
        there = None
    if there is not None and "split" in lineage.sources(project, name).stages:
        scales = {}
        for part in ("train", "validation"):
            some, scales[part] = _spread(sorted(there.glob(f"{part}-*.parquet")))
            some.write_parquet(folder / f"{part}-00000.parquet")
        return scales
    if sample is None or len(sample) < 2:
        return None
    held_out = pl.int_range(pl.len()) % HELD_OUT == 1
    sample.filter(~held_out).write_parquet(folder / "train-00000.parquet")
    sample.filter(held_out).write_parquet(folder / "validation-00000.parquet")
    return {"train": 1.0, "validation": 1.0}


def _spread(tables: Sequence[Path]) -> tuple[pl.DataFrame, float]:
    """Documents from all over a part of the split, and how many times more text the whole has."""
    every = max(-(-sum(map(len, read_tables(tables, ["id"]))) // SAMPLE), 1)
    some, first, whole = [pl.read_parquet(tables[0], n_rows=0)], 0, 0
    for frame in read_tables(tables):
        some.append(frame.gather_every(every, -first % every))
        first += len(frame)
        whole += _bytes(frame)
    taken = pl.concat(some, how="vertical_relaxed")
    return taken, whole / max(_bytes(taken), 1)


def _as_far_as_seen(task: Task, folder: Path) -> Task:
    """The task without those classes of its mixture that a sample happens not to have."""
    mixture = task.section.mixture
    if mixture is None:
        return task
    frame = pl.read_parquet(folder / "train-00000.parquet")
    seen = set(frame[mixture.by].cast(pl.String).fill_null("")) if mixture.by in frame.columns else set(mixture.weights)
    known = mixture.model_copy(update={"weights": {name: weight for name, weight in mixture.weights.items() if name in seen}})
    return replace(task, section=task.section.model_copy(update={"mixture": known}))


def _without_unseen(label: str | None, folder: Path) -> None:
    """Drop what a sample holds out and happens to have no training document of its class."""
    train, held = (pl.read_parquet(folder / f"{part}-00000.parquet") for part in ("train", "validation"))
    if label is not None and label in train.columns:
        held.filter(pl.col(label).is_in(train[label].unique().implode())).write_parquet(folder / "validation-00000.parquet")


def _bytes(frame: pl.DataFrame) -> int:
    return int(frame["text"].str.len_bytes().sum())


def _sizes(task: Task, work: Prepared, scale: float) -> list[tuple[str, str]]:
    one, settings, section = work.data.accounting, work.settings, task.section
    model = work.learner.model
    lengths = pl.Series([int(n) for corpus in work.data.training.corpora for n in corpus.pieces.shards.lengths])
    low, middle, high = (int(lengths.quantile(q) or 0) for q in (0.1, 0.5, 0.9))
    memory: Memory = memory_of(
        model, places=max(work.data.training.places, work.data.training.source_places), checkpointing=section.gradient_checkpointing
    )
    compiled = ", compiled" if work.facts["compiled"] else ""
    about = "" if scale == 1 else "about "
    whole, trained = work.facts["parameters"], work.facts["trained_parameters"]
    part = "" if trained == whole else f" ({trained:,} trained)"
    return [
        ("model", f"{work.facts['family']}, {whole:,} parameters{part}, {work.facts['precision']}{compiled}"),
        ("memory", f"about {memory.total / 1e9:.1f} GB: {memory}"),
        ("documents", f"{about}{round(one.documents * scale):,} of {low:,} / {middle:,} / {high:,} tokens (10 / 50 / 90 %)"),
        ("tokens", f"{about}{round(one.tokens * scale):,}, of which {one.label_share:.0%} are learned; padding {one.padding:.1%}"),
        ("longer than the context", f"{one.cut + one.truncated + one.dropped:,} of {one.documents:,} documents: "
                                    f"{one.cut:,} cut, {one.truncated:,} truncated, {one.dropped:,} dropped"),
        ("steps", f"{settings.steps:,} of {settings.accumulate * work.data.training.places:,} places"),
    ]  # fmt: skip


def _times(work: Prepared, scales: dict[str, float]) -> list[tuple[str, str]]:
    found = rehearse(work.learner, work.data, work.settings)
    seconds = found.whole(work.settings, work.data.validation_accounting.bins * scales["validation"])
    seconds += work.data.training.corpora[0].pieces.shards.text_bytes * scales["train"] / TOKENISING
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return [
        ("speed", f"{found.tokens / found.step:,.0f} tokens/s; {found.step:.2f} s a step, {found.start:.0f} s to get going"),
        ("time to the end", f"about {hours} h {minutes:02} min" if hours else f"about {minutes} min {rest:02} s"),
    ]
