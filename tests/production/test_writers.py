"""How a sample is written: the best of several draws, a plan, one draw of any family; stopped and gone on with, too."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aigc.core.documents.reading import rows_of
from aigc.core.generation.prompts import Prompt
from aigc.core.generation.request import Decoding
from aigc.core.training.formats import format_of
from aigc.core.training.rows import Asked
from aigc.errors import AigcError
from aigc.production import production, writers
from aigc.production.asking import continuing
from aigc.production.drawing import engine_of
from aigc.production.rowfile import RowFile
from aigc.production.sampling import Sample
from aigc.production.writers import best_of, planned, preferences
from aigc.schema import Project
from aigc.schema.decoding import BestOf, Plan
from aigc.stages import generate
from command import Aigc
from generating import StandIn
from scripted import Scripted

GENERATING = Path(__file__).parents[1] / "generating.py"
SHORTEST = BestOf.model_validate({"candidates": 3, "by": {"characters": -1}})
Run = Callable[..., list[StandIn]]


def _samples(count: int) -> list[Sample]:
    return [Sample(Prompt(f"p{number}", f"写{number}："), 0) for number in range(count)]


def test_the_best_of_several_stays_and_the_row_says_them_all() -> None:
    engine = Scripted(lambda prompt, seed: "雨" * (seed % 7 + 1))
    written = list(best_of(engine, SHORTEST, Decoding(20), seed=1, ask=continuing(engine))(_samples(4), 0))  # type: ignore[arg-type]
    assert sorted(sample.id for sample, _, _ in written) == ["p0-0", "p1-0", "p2-0", "p3-0"]
    assert len({request.seed for request in engine.requests}) == 12, "each candidate has a seed of its own"
    asked = {request.seed: number // 3 for number, request in enumerate(engine.requests)}
    for sample, drawn, row in written:
        texts = [one["text"] for one in row["candidates"]]
        own = [seed for seed, place in asked.items() if f"p{place}-0" == sample.id]
        assert texts == ["雨" * (seed % 7 + 1) for seed in own], "in the order of their seeds, whoever was finished first"
        assert drawn.text == min(texts, key=len)
        assert max(row["candidates"], key=lambda one: one["score"])["text"] == drawn.text


def test_the_sample_is_the_one_that_its_pairs_prefer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "scores", lambda *_: [[-1.0, 0.50001, 0.50004]])  # the same, as far as the row tells
    engine = Scripted(lambda prompt, seed: f"雨{seed}")
    ((_, drawn, row),) = best_of(engine, SHORTEST, Decoding(20), seed=1, ask=continuing(engine))(_samples(1), 0)  # type: ignore[arg-type]
    (pair,) = preferences({"prompt": "写0：", **row})
    assert pair["chosen"] == drawn.text == row["candidates"][1]["text"]


def test_candidates_of_another_try_are_others_and_depend_on_nothing_else() -> None:
    def texts(samples: list[Sample], attempt: int) -> dict[str, Any]:
        engine = Scripted(lambda prompt, seed: "x" * (seed % 97))
        write = best_of(engine, SHORTEST, Decoding(99), seed=1, ask=continuing(engine))  # type: ignore[arg-type]
        return {one.id: row for one, _, row in write(samples, attempt)}

    both = texts(_samples(2), 0)
    assert texts(_samples(2)[1:], 0) == {"p1-0": both["p1-0"]}
    assert texts(_samples(2), 1)["p1-0"] != both["p1-0"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Generate in the test's folder; the engines that were opened."""
    monkeypatch.chdir(tmp_path)
    engines: list[StandIn] = []

    def opened(project: Project, *, slots: int | None = None) -> StandIn:
        assert project.generate is not None
        engines.append(StandIn(slots or project.generate.batch_size))
        return engines[-1]

    monkeypatch.setattr(production, "engine_of", opened)

    def call(**keys: Any) -> list[StandIn]:
        engines.clear()
        section = {"checkpoint": "c", "prompt": "写{topic}:", "batch_size": 2, "max_tokens": 9} | keys
        generate.run(Project.model_validate({"name": "p", "seed": 1, "generate": section}))
        return engines

    return call


class _Killed(BaseException):
    """What no code handles, as it handles no SIGKILL."""


def _killed_at(row: int, monkeypatch: pytest.MonkeyPatch, once: Callable[[], object]) -> None:
    add, left = RowFile.add, row

    def dying(self: RowFile, one: dict[str, Any]) -> None:
        nonlocal left
        if not left:
            if self._file is not None:
                os.write(self._file.fileno(), json.dumps(one, ensure_ascii=False).encode()[:40])
            raise _Killed
        left -= 1
        add(self, one)

    with monkeypatch.context() as patch:
        patch.setattr(RowFile, "add", dying)
        with pytest.raises(_Killed):
            once()


def _files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path().glob("*.jsonl")}


MANY = {"prompts": [{"topic": f"t{number}"} for number in range(20)], "output": "o.jsonl", "retries": 1}
RULES = [{"characters": {"min": 20}}, {"near_duplicates": {"similarity": 0.35, "ngram": 1}}]


@pytest.mark.parametrize(
    "way",
    [
        {"best_of": {"candidates": 3, "by": {"characters": 1, "unique_words": 0.5}}, "rules": RULES},
        {"plan": {"sections": 2, "section_tokens": 8, "retries": 1}, "rules": [{"characters": {"min": 60}}]},
    ],
    ids=["best_of", "plan"],
)
def test_killed_and_run_again_the_files_are_the_same(way: dict[str, Any], run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def once() -> list[StandIn]:
        return run(**MANY, **way)

    once()
    whole = _files()
    written = sum(data.count(b"\n") for name, data in whole.items() if name in ("o.jsonl", "o.rejected.jsonl"))
    assert written > 20 and b'"try": 1' in whole["o.jsonl"] + whole["o.rejected.jsonl"]
    assert ("o.preferences.jsonl" in whole) == ("best_of" in way)
    for row in (0, 7, 18, written - 1):
        for name in whole:
            Path(name).unlink()
        _killed_at(row, monkeypatch, once)
        assert "o.preferences.jsonl" not in _files(), "half of them would look like all"
        once()
        assert _files() == whole, row
    assert once() == []


def test_finetune_reads_the_preferences(run: Run) -> None:
    run(**MANY, best_of={"candidates": 4, "by": {"characters": 1}})
    samples = {row["prompt"]: row for _, row in rows_of(Path("o.jsonl")) if isinstance(row, dict)}
    frame = pl.DataFrame([row for _, row in rows_of(Path("o.preferences.jsonl"))])
    form = format_of(frame.schema, Asked("preference"))
    read = form.read(frame)
    assert form.name == "chosen and rejected" and len(read) > 30
    for one in read:
        texts = [candidate["text"] for candidate in samples[one.prompt]["candidates"]]
        assert one.completion == samples[one.prompt]["text"] == max(texts, key=len)
        assert one.alternative in texts and len(one.alternative or "") < len(one.completion)


def test_a_plan_tells_its_pieces_by_their_samples() -> None:
    said: dict[str, str] = {}

    def told(sample: Sample, attempt: int, piece: str) -> None:
        said[sample.id] = said.get(sample.id, "") + piece

    def answer(prompt: str, seed: int) -> str:
        short = "写0" in prompt
        if prompt.endswith("1. "):
            return "早市" if short else "早市\n2. 归途"
        return f"{'甲' if short else '乙'}来了。"

    write = planned(Scripted(answer), Plan(), Decoding(50), seed=1, told=told)  # type: ignore[arg-type]
    rows = {sample.id: row for sample, _, row in write(_samples(2), 0)}
    assert {name: len(row["parts"]) for name, row in rows.items()} == {"p0-0": 1, "p1-0": 2}
    assert "乙" not in said["p0-0"] and said["p1-0"].count("乙") == 3


def test_a_plan_from_the_command_line(tmp_path: Path) -> None:
    plan = {"title": None, "sections": 2, "section_tokens": 8}
    prompts = [{"title": "雨夜", "id": "rain"}, {"id": "none"}]
    section = {"checkpoint": "c", "prompt": "写：", "prompts": prompts, "plan": plan, "output": "-"}
    (tmp_path / "p.yaml").write_text(json.dumps({"name": "p", "generate": section}, ensure_ascii=False), "utf-8")
    command = [sys.executable, str(GENERATING), "generate", "p.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=120, check=False)
    (line,) = done.stdout.splitlines()
    row = json.loads(line)
    assert row["id"] == "rain-0" and row["title"] == "雨夜" and row["text"].startswith("# 雨夜\n\n")
    assert len(row["parts"]) == max(1, len(row["outline"])) <= 2
    assert done.returncode == 1
    assert "the plan asks for no title, so the row needs the field 'title'" in done.stderr


@pytest.mark.parametrize(("family", "texts"), [("t5", ["river is", "灯塔"]), ("bert", ["The [MASK] of river [MASK]", "no gap"])])
def test_other_families_write_from_the_command_line(family: str, texts: list[str], aigc: Aigc, bases: dict[str, Path]) -> None:
    section = {"checkpoint": str(bases[family]), "prompts": texts, "max_tokens": 5, "output": "o.jsonl", "count": 2}
    (aigc.folder / "p.yaml").write_text(json.dumps({"name": "p", "device": "cpu", "generate": section}), "utf-8")
    done = aigc("generate", "p.yaml")
    rows = [json.loads(line) for line in (aigc.folder / "o.jsonl").read_text("utf-8").splitlines()]
    assert {row["engine"] for row in rows} == {"torch fp32"}
    if family == "bert":
        assert [row["id"] for row in rows] == ["000000-0", "000000-1"]
        assert all(row["tokens"] == 2 and row["finish"] == "end" and "[MASK]" not in row["text"] for row in rows)
        assert done.returncode == 1 and "1 of 2 prompts could not be used" in done.stderr
        assert "the prompt has no gap" in (aigc.folder / "o.rejected.jsonl").read_text("utf-8")
    else:
        assert done.returncode == 0, done.stderr
        assert len(rows) == 4 and all(row["tokens"] <= 5 for row in rows)


def test_workers_that_nobody_can_run_are_told(tmp_path: Path, bases: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    section = {"checkpoint": str(bases["t5"]), "prompt": "x", "workers": 2, "output": "o.jsonl"}
    with pytest.raises(AigcError, match="workers run causal checkpoints"):
        generate.run(Project.model_validate({"name": "p", "device": "cpu", "generate": section}))


def test_what_is_drawn_one_by_one_is_drawn_here(bases: dict[str, Path]) -> None:
    section = {"checkpoint": str(bases["gpt2"]), "prompt": "x", "workers": 2, "engine": "torch"}
    project = Project.model_validate({"name": "p", "device": "cpu", "generate": section})
    assert engine_of(project).name == "ray torch auto"
    assert engine_of(project, slots=1).name == "torch fp32"  # as chat does
