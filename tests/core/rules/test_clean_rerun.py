"""`aigc clean` with every kind of duplicates rule: killed and run again, on one core or on two, the same bytes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from repeating import copies

from command import Aigc

PROJECT = """\
name: p
clean:
  input: "*.jsonl"
  rules:
    - whitespace
    - decontaminate: [evaluation/questions.json]
    - exact_duplicates
    - outlier: {of: words, z: 6}
    - near_duplicates: {similarity: 0.7}
    - contained
    - near_duplicates: {similarity: 0.4, ngram: 2, drop: false}
"""


def prepared(folder: Path) -> Path:
    (folder / "evaluation").mkdir(parents=True)
    (folder / "p.yaml").write_text(PROJECT, "utf-8")
    texts = copies("zh", seed=5, documents=250) + copies("en", seed=6, documents=250)
    texts += [" ".join(texts[i : i + 2]) for i in range(0, 150, 3)]  # of which many others are excerpts
    (folder / "evaluation" / "questions.json").write_text(json.dumps([{"text": text} for text in texts[::100]]), "utf-8")
    for number in range(8):
        rows = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts[number::8])
        (folder / f"{number}.jsonl").write_text(rows, "utf-8")
    return folder


def made(folder: Path) -> dict[str, bytes]:
    clean = folder / "runs" / "p" / "clean"
    return {path.name: path.read_bytes() for path in clean.iterdir() if path.name != "manifest.json"}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = prepared(tmp_path_factory.mktemp("undisturbed") / "run")
    done = Aigc(folder)("clean", "p.yaml")
    assert done.returncode == 0, done.stderr
    return made(folder)


def test_every_rule_has_something_to_say(undisturbed: dict[str, bytes]) -> None:
    assert undisturbed.keys() == {"documents-00000.parquet", "ledger.parquet", "report.json", "report.html", "failed.jsonl"}
    steps = {step["rule"]: step for step in json.loads(undisturbed["report.json"])["steps"]}
    for name in ("decontaminate", "exact_duplicates", "near_duplicates", "contained"):
        assert any((steps[name].get("dropped") or steps[name]["marked"]).values()), name


@pytest.fixture
def started(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    folder = prepared(tmp_path / "run")
    process = subprocess.Popen([sys.executable, "-m", "aigc", "clean", "p.yaml"], cwd=folder, stderr=subprocess.DEVNULL)
    yield process
    process.kill()
    process.wait()


def test_killed_in_the_middle_and_run_again(
    started: subprocess.Popen[bytes], undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    partial = folder / "runs" / "p" / ".clean.partial"
    deadline = time.monotonic() + 60
    while not (partial / "work" / "2").exists():
        assert started.poll() is None, "it must be at work when it is killed"
        assert time.monotonic() < deadline
        time.sleep(0.001)
    started.send_signal(signal.SIGKILL)
    assert started.wait(20) == -signal.SIGKILL
    assert not (folder / "runs" / "p" / "clean").exists()
    assert partial.exists()
    again = Aigc(folder)("clean", "p.yaml")
    assert again.returncode == 0, again.stderr
    assert made(folder) == undisturbed
    assert not partial.exists()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the number of cores can be set on Linux only")
def test_one_core_gives_the_bytes_of_several(undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    folder = prepared(tmp_path / "run")
    if len(cores := os.sched_getaffinity(0)) < 2:
        pytest.skip("there is only one core")
    command = [sys.executable, "-m", "aigc", "clean", "p.yaml"]
    one = {min(cores)}
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, preexec_fn=lambda: os.sched_setaffinity(0, one))
    assert done.returncode == 0, done.stderr
    assert made(folder) == undisturbed
