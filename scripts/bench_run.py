"""A command into what it cost: seconds, peak memory of all its processes, and the ids of the documents that it kept."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from bench_peers import python_of

__all__ = ["Run", "measured", "ours", "theirs"]

ROOT = Path(__file__).resolve().parent.parent
QUIET = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "PYTHONWARNINGS": "ignore",
    "UV_OFFLINE": "1",  # no peer may install packages while it is timed
    "PIP_NO_INDEX": "1",
}


@dataclass(frozen=True)
class Run:
    """What a command cost, and the ids that it kept."""

    seconds: float
    peak: float  # bytes
    kept: frozenset[str]


def processes(session: int) -> Iterator[Path]:
    """/proc folders of the processes of a session."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended
                continue
            if int(fields[3]) == session:
                yield folder


def resident(session: int) -> int:
    """Bytes that the processes of a session have resident; a page shared by n of them counts 1/n for each."""
    total = 0
    for folder in processes(session):
        try:
            lines = (folder / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def measured(command: Sequence[str | Path], log: Path, kept: Callable[[], Iterable[str]]) -> Run:
    """Run a command in a session of its own and watch its memory.

    Raises:
        CalledProcessError: it failed; `output` is the end of its log.
    """
    peak = 0
    with log.open("w") as output:
        started = time.monotonic()
        environment = {**os.environ, **QUIET}
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, env=environment, cwd=log.parent)
        ended = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not ended.wait(0.1):
                peak = max(peak, resident(process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            code = process.wait()
        finally:
            if process.poll() is None:  # we are being stopped
                os.killpg(process.pid, signal.SIGTERM)
            seconds = time.monotonic() - started
            ended.set()
            watcher.join()
    if code:
        tail = "\n".join(log.read_text("utf-8", "replace").splitlines()[-15:])
        raise subprocess.CalledProcessError(code, [str(word) for word in command], tail)
    return Run(seconds, peak, frozenset(kept()))


def ours(corpus: Path, work: Path, rules: Sequence[Any] | None) -> Run:
    """`aigc clean` over the files of a folder; None takes the default rules."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    clean: dict[str, Any] = {"input": f"{corpus}/*.jsonl"} | ({} if rules is None else {"rules": list(rules)})
    (work / "bench.yaml").write_text(yaml.safe_dump({"name": "bench", "runs": str(work), "clean": clean}), "utf-8")

    def kept() -> Iterable[str]:
        for path in (work / "bench" / "clean").glob("documents-*.parquet"):
            yield from pl.read_parquet(path, columns=["id"])["id"]

    return measured([sys.executable, "-m", "aigc", "clean", work / "bench.yaml"], work / "log", kept)


def theirs(peer: str, script: str, corpus: Path, work: Path, venvs: Path) -> Run:
    """A peer's script over the files of a folder."""
    python = python_of(peer.split()[0], venvs, ROOT / "constraints.txt").absolute()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    (work / "peer.py").write_text(script, "utf-8")

    def kept() -> Iterable[str]:
        for path in [*work.glob("kept.jsonl"), *work.glob("kept/*.jsonl")]:
            with path.open(encoding="utf-8") as file:
                yield from (json.loads(line)["id"] for line in file)

    return measured([python, work / "peer.py", corpus, work], work / "log", kept)
