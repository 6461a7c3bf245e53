"""`aigc generate` with a stand-in engine: what is written where, and that a run that was stopped ends as one that was not."""

import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aigc.errors import AigcError, Stopped
from aigc.production import production
from aigc.production.rowfile import RowFile
from aigc.schema import Project
from aigc.stages import generate
from generating import StandIn

RULES = ["whitespace", {"characters": {"min": 30}}, {"near_duplicates": {"similarity": 0.35, "ngram": 1}}, "exact_duplicates"]
Generate = Callable[..., list[StandIn]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generate:
    """Generate in the test's folder; the engines that were opened. Keys of the section are given by name."""
    monkeypatch.chdir(tmp_path)
    engines: list[StandIn] = []

    def opened(project: Project, *, slots: int | None = None) -> StandIn:
        assert project.generate is not None
        engines.append(StandIn(slots or project.generate.batch_size))
        return engines[-1]

    monkeypatch.setattr(production, "engine_of", opened)

    def call(*, seed: int = 1, echo: bool = False, stream: bool = False, **keys: Any) -> list[StandIn]:
        engines.clear()
        section = {"checkpoint": "c", "prompt": "写{topic}:", "batch_size": 2, "max_tokens": 9} | keys
        generate.run(Project.model_validate({"name": "p", "seed": seed, "generate": section}), echo=echo, stream=stream)
        return engines

    return call


def _topics(count: int) -> list[dict[str, str]]:
    return [{"topic": f"t{number}"} for number in range(count)]


def _rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(name).read_text("utf-8").splitlines()]


def _files() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(Path().rglob("*.json*")) if path.name != "manifest.json"}


def test_rows_have_their_origin_and_their_seeds(run: Generate) -> None:
    run(prompts=[{"topic": "雨", "id": "rain"}, {"topic": "sea"}], count=2, output="o.jsonl")
    rows = _rows("o.jsonl")
    assert sorted(row["id"] for row in rows) == ["000001-0", "000001-1", "rain-0", "rain-1"]
    assert all(row["model"] == "c" and row["engine"] == "stand-in" and len(row["config"]) == 16 for row in rows)
    assert len({row["seed"] for row in rows}) == 4
    assert {row["prompt"] for row in rows} == {"写雨:", "写sea:"}
    assert not Path("o.rejected.jsonl").exists()
    assert not list(Path().glob(".*"))


def test_a_file_and_the_run_folder_get_the_same_rows(run: Generate) -> None:
    run(prompts=_topics(9), rules=RULES, retries=1, output="o.jsonl")
    run(prompts=_topics(9), rules=RULES, retries=1)
    assert Path("o.jsonl").read_bytes() == Path("runs/p/generate/samples.jsonl").read_bytes()
    assert Path("o.rejected.jsonl").read_bytes() == Path("runs/p/generate/rejected.jsonl").read_bytes()
    report = json.loads(Path("runs/p/generate/report.json").read_text("utf-8"))
    assert report["samples"] == 9 == report["accepted"] + report["rejected"]
    assert report["accepted"] == len(_rows("o.jsonl"))
    assert report["rejected"] + report["drawn_again"] == len(_rows("o.rejected.jsonl"))
    assert sum(report["rejected_by"].values()) == report["rejected"]


class _Killed(BaseException):
    """What no code handles, as it handles no SIGKILL."""


def _killed_at(row: int, half: bool, monkeypatch: pytest.MonkeyPatch, run: Callable[[], object]) -> None:
    """Let a run end at that row of all that it writes."""
    add, left = RowFile.add, row

    def dying(self: RowFile, one: dict[str, Any]) -> None:
        nonlocal left
        if not left:
            if half and self._file is not None:
                data = json.dumps(one, ensure_ascii=False).encode()
                os.write(self._file.fileno(), data[: len(data) // 2])
            raise _Killed
        left -= 1
        add(self, one)

    with monkeypatch.context() as patch:
        patch.setattr(RowFile, "add", dying)
        with pytest.raises(_Killed):
            run()


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("output", ["o.jsonl", None])
def test_killed_at_any_row_and_run_again_gives_the_same_bytes(
    ordered: bool, output: str | None, run: Generate, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = [*_topics(12), {"x": 1}, *_topics(8)]

    def once() -> list[StandIn]:
        try:
            return run(prompts=prompts, rules=RULES, retries=2, count=2, ordered=ordered, output=output)
        except AigcError as error:
            assert "1 of 21 prompts could not be used" in str(error)
            return []

    once()
    whole = _files()
    written = sum(data.count(b"\n") for name, data in whole.items() if name.endswith("jsonl"))
    assert written > 55  # of three windows
    assert sum(b'"try": 2' in line for data in whole.values() for line in data.splitlines()) > 3
    for row in range(0, written, 19 if output else 31):
        for path in whole:
            Path(path).unlink()
        _killed_at(row, row % 2 > 0, monkeypatch, once)
        once()
        assert _files() == whole, row
    assert not [path for path in Path().rglob(".*") if path.name.endswith((".unfinished", ".partial"))]


def test_only_the_window_that_was_interrupted_is_drawn_again(run: Generate, monkeypatch: pytest.MonkeyPatch) -> None:
    def once() -> list[StandIn]:
        return run(prompts=_topics(64), output="o.jsonl")

    once()
    whole = Path("o.jsonl").read_bytes()
    Path("o.jsonl").unlink()
    _killed_at(37, True, monkeypatch, once)
    [engine] = once()
    assert len(engine.asked) == 32  # the third and the fourth window of 16
    assert Path("o.jsonl").read_bytes() == whole
    assert once() == []  # nothing is missing, and nothing is loaded


def test_more_prompts_and_more_samples_are_added_and_nothing_is_drawn_twice(run: Generate) -> None:
    run(prompts=_topics(20), output="o.jsonl")
    before = Path("o.jsonl").read_bytes()
    [engine] = run(prompts=_topics(23), output="o.jsonl", batch_size=4, ordered=True)
    assert len(engine.asked) == 3
    [engine] = run(prompts=_topics(23), output="o.jsonl", count=2)
    assert len(engine.asked) == 23
    assert Path("o.jsonl").read_bytes().startswith(before)
    assert sorted(row["id"] for row in _rows("o.jsonl")) == [f"{number:06d}-{n}" for number in range(23) for n in range(2)]


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"checkpoint": "d"}, "made by another checkpoint"),
        ({"temperature": 0.1}, "made with another config"),
        ({"prompt": "写 {topic}:"}, "made with another config"),
        ({"rules": ["whitespace"]}, "made with another config"),
        ({"seed": 2}, "made with another seed"),
        ({"prompts": [{"topic": "new"}, *_topics(2)]}, "row 000000-0 was written for another prompt"),
    ],
    ids=str,
)
def test_rows_of_another_origin_are_neither_mixed_nor_destroyed(keys: dict[str, Any], why: str, run: Generate) -> None:
    run(prompts=_topics(3), output="o.jsonl")
    before = Path("o.jsonl").read_bytes()
    with pytest.raises(AigcError, match=why) as told:
        run(**{"prompts": _topics(3), "output": "o.jsonl"} | keys)
    assert "remove o.jsonl" in str(told.value) and told.value.exit_code == 1
    assert Path("o.jsonl").read_bytes() == before


def test_a_banned_list_that_changed_is_another_config(run: Generate) -> None:
    Path("banned.txt").write_text("cat\n")
    run(prompts=_topics(1), banned="banned.txt", output="o.jsonl")
    run(prompts=_topics(1), banned="banned.txt", output="o.jsonl")
    Path("banned.txt").write_text("dog\n")
    with pytest.raises(AigcError, match="another config"):
        run(prompts=_topics(1), banned="banned.txt", output="o.jsonl")


def test_prompts_that_cannot_be_used_are_rows_with_a_reason(run: Generate) -> None:
    prompts = [{"topic": "a", "who": "x"}, {"topic": "b" * 300, "who": "x"}, {"topic": "c"}, {"who": "x"}]
    rule = {"missing_facts": {"fields": ["who"], "max": 9}}
    for _ in range(2):
        with pytest.raises(AigcError, match=r"3 of 4 prompts could not be used; the reasons are in o\.rejected"):
            run(prompts=prompts, count=9, rules=[rule], output="o.jsonl")
        assert len(_rows("o.jsonl")) == 9
        reasons = {row["id"]: (row["origin"], row["reason"]) for row in _rows("o.rejected.jsonl")}
        assert len(_rows("o.rejected.jsonl")) == 3
        assert reasons["000001"] == ("generate.prompts:2", "302 tokens leave no room in the model's context")
        assert "a rule needs the field 'who'; fields found: topic" in reasons["000002"][1]
        assert "the template needs the field 'topic'" in reasons["000003"][1]


@pytest.mark.parametrize("name", ["o.parquet", "o.jsonl.gz"])
def test_a_name_that_promises_another_format_is_refused(name: str, run: Generate) -> None:
    with pytest.raises(AigcError, match="rows are written as JSON lines"):
        run(prompts=_topics(1), output=name)
    assert not list(Path().iterdir())


def test_ctrl_c_says_how_to_go_on(run: Generate, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> object:
        raise KeyboardInterrupt

    run(prompts=_topics(20), output="o.jsonl")
    monkeypatch.setattr(StandIn, "draw", interrupted)
    for output, told in (("o.jsonl", "stopped after 20 accepted rows; run the same command again"), ("-", "generate.output=FILE")):
        with pytest.raises(Stopped, match=told) as stop:
            run(prompts=_topics(21), output=output)
        assert stop.value.exit_code == 130


def test_the_rows_of_a_run_that_went_on_are_all_shown(
    run: Generate, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def once() -> list[StandIn]:
        return run(prompts=_topics(20), echo=True)

    _killed_at(5, True, monkeypatch, once)
    capsys.readouterr()
    once()
    assert capsys.readouterr().out == Path("runs/p/generate/samples.jsonl").read_text("utf-8")


def test_stream_shows_texts_behind_their_prompts(run: Generate, capsys: pytest.CaptureFixture[str]) -> None:
    run(prompts=_topics(3), stream=True, echo=True, output="o.jsonl")
    rows = _rows("o.jsonl")
    assert capsys.readouterr().out == "\n\n".join(row["prompt"] + row["text"] for row in rows) + "\n"
    assert [row["id"] for row in rows] == ["000000-0", "000001-0", "000002-0"]
    Path("o.jsonl").unlink()
    for keys in ({"output": "-"}, {"output": "o.jsonl", "workers": 2}, {"best_of": {}}):
        with pytest.raises(AigcError, match="use one of them"):
            run(prompts=_topics(3), stream=True, **keys)
    assert not list(Path().rglob("*.jsonl")) and not list(Path().rglob(".*")), "nothing was begun"


def test_memory_does_not_grow_with_the_prompts(run: Generate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StandIn, "remembers", False)
    peaks = []
    for count in (100, 1000):
        Path("a.jsonl").write_text("".join(json.dumps({"topic": "x" * 50, "id": f"document {n}"}) + "\n" for n in range(count)))
        Path("o.jsonl").unlink(missing_ok=True)
        run(prompts="a.jsonl", max_tokens=3, output="o.jsonl")  # what is imported and cached
        Path("o.jsonl").unlink()
        tracemalloc.start()
        run(prompts="a.jsonl", max_tokens=3, output="o.jsonl")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(_rows("o.jsonl")) == count
    assert peaks[1] - peaks[0] < 200_000  # of a million bytes
