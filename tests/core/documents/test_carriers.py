"""Whoever carries the tasks gives the same results in the same order, takes no more than it can carry, and tells what failed."""

import json
import multiprocessing
import operator
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.documents.engine import Engine, engine_of, local, threads
from aigc.core.documents.files import expand
from aigc.errors import AigcError
from command import Aigc

ARRIVES_WRAPPED = "engine.py: the error of a task arrives wrapped in a RayTaskError, with its traceback as the message"


def texts(count: int, *, units: int) -> list[str]:
    """Texts that have nothing in common, in turn Chinese and English."""
    draw = random.Random(5)
    words = ["".join(draw.choices("bcdfghklmnprst", k=2) + draw.choices("aeiou", k=2)) for _ in range(500)]
    zh = ["".join(chr(draw.randrange(0x4E00, 0x9FA5)) for _ in range(units)) + "。" for _ in range(count)]
    return [" ".join(draw.choices(words, k=units)) + "." if i % 2 else zh[i] for i in range(count)]


@pytest.fixture(scope="module")
def ray_engine() -> Iterator[Engine]:
    """A Ray of one machine, which is gone after the module."""
    ray = pytest.importorskip("ray", reason="ray is not installed")
    pytest.importorskip("daft", reason="daft is not installed")
    yield engine_of("ray")
    ray.shutdown()


def test_an_engine_is_known_by_its_name() -> None:
    assert engine_of("local") is local
    assert engine_of("ray") is not local


def slow_at_first(task: int) -> int:
    """In a module, so that a process can be told of it."""
    time.sleep(0.001 * (task % 3))
    return -task


@pytest.mark.parametrize("engine", [local, threads])
@settings(max_examples=25, deadline=None)
@given(tasks=st.lists(st.integers(), max_size=40))
def test_results_come_in_the_order_of_the_tasks(engine: Engine, tasks: list[int]) -> None:
    assert list(engine(slow_at_first, tasks)) == [-task for task in tasks]


def dies(task: int) -> int:
    """Ends its process where it has one of its own."""
    if task == 6 and multiprocessing.parent_process() is not None:
        os._exit(9)
    return task


def test_a_process_that_is_killed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _process: {0, 1}, raising=False)
    with pytest.raises(AigcError, match="a worker process was killed"):
        list(local(dies, range(10)))
    assert list(local(slow_at_first, range(10))) == [-task for task in range(10)], "and others take its place"


def test_tasks_are_taken_only_as_fast_as_they_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _process: {0, 1, 2}, raising=False)
    taken: list[int] = []

    def source() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = local(operator.neg, source())
    assert not taken, "nothing is read before somebody asks"
    assert next(results) == 0
    assert len(taken) <= 3 + 2, "a corpus that is larger than memory must not be read ahead"
    assert list(results) == [-number for number in range(1, 100)]


def test_an_error_stops_the_rest() -> None:
    seen: list[int] = []

    def second_fails(task: int) -> int:
        seen.append(task)
        if task == 1:
            raise AigcError("task 1 is broken")
        return task

    with pytest.raises(AigcError, match="task 1 is broken"):
        list(threads(second_fails, range(1000)))
    assert len(seen) < 1000, "what comes after a failure is not worked on"


def test_who_stops_asking_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    results = local(operator.neg, range(1000))
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


@pytest.mark.parametrize("missing", ["ray", "daft"])
def test_ray_without_its_packages_is_one_line(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in ("ray", "daft"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    other = {"ray": "daft", "daft": "ray"}[missing]
    monkeypatch.setitem(sys.modules, other, sys)  # anything that can be imported: Ray itself takes seconds
    with pytest.raises(AigcError, match=rf"working on Ray needs {missing}: pip install 'aigc\[ray\]'"):
        list(engine_of("ray")(operator.neg, [1]))


def test_ray_gives_what_threads_give(ray_engine: Engine) -> None:
    for tasks in (list(range(9, 0, -1)), [], [7]):
        assert list(ray_engine(operator.neg, tasks)) == list(local(operator.neg, tasks))


def test_ray_takes_tasks_in_rounds(ray_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aigc.core.documents.engine.ROUND", 3)
    taken: list[int] = []

    def source() -> Iterator[int]:
        for number in range(7):
            taken.append(number)
            yield number

    results = ray_engine(operator.neg, source())
    assert next(results) == 0
    assert taken == [0, 1, 2]
    assert list(results) == [-1, -2, -3, -4, -5, -6]


@pytest.mark.parametrize(("function", "task", "error"), [(expand, ["nothing.jsonl"], AigcError), (operator.neg, "x", TypeError)])
def test_the_error_of_a_task_arrives_from_ray_as_it_was_raised(
    ray_engine: Engine, function: Callable[[object], object], task: object, error: type[Exception]
) -> None:
    with pytest.raises(error):
        list(ray_engine(function, [task]))


def test_clean_on_ray_writes_what_one_machine_writes(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    pytest.importorskip("daft", reason="daft is not installed")
    rows: list[dict[str, object]] = [
        {"id": f"d{i}", "text": text, "topic": f"t{i % 3}"} for i, text in enumerate(texts(60, units=60))
    ]
    rows += [row | {"id": f"{row['id']}-copy"} for row in rows[:9]]
    rows += [row | {"id": f"{row['id']}-near", "text": f"{row['text']} 再见 bye"} for row in rows[9:18]]
    rows += [row | {"id": f"{row['id']}-tagged", "text": f"<p>{row['text']}</p>", "n": i} for i, row in enumerate(rows[18:27])]
    for name, some, more in (("a", rows[::2], "{broken\n"), ("b", rows[1::2], "")):
        (tmp_path / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in some) + more, "utf-8")
    rules = "[preset: default, outlier: words, contained]"
    (tmp_path / "p.yaml").write_text(f"name: p\nclean: {{input: [a.jsonl, b.jsonl], max_failed: 0.1, rules: {rules}}}\n", "utf-8")
    aigc = Aigc(tmp_path)
    told = [aigc("clean", "p.yaml", *words) for words in (["name=local"], ["name=ray", "clean.engine=ray"])]
    assert [one.returncode for one in told] == [0, 0], told
    assert told[0].stderr.count("\n") == told[1].stderr.count("\n"), "Ray and Daft keep quiet"
    here, there = (tmp_path / "runs" / name / "clean" for name in ("local", "ray"))
    report = json.loads((here / "report.json").read_text("utf-8"))
    assert report == json.loads((there / "report.json").read_text("utf-8"))
    assert sum(sum(step["dropped"].values()) > 0 for step in report["steps"] if "dropped" in step) >= 2, "there was work to do"
    for name in ("documents-00000.parquet", "ledger.parquet", "failed.jsonl"):
        assert (here / name).read_bytes() == (there / name).read_bytes(), name
