"""`aigc generate` among other processes: a partner that asks and waits, a reader that leaves, and a kill in the middle."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from aigc import config
from aigc.production import production
from aigc.stages import generate
from generating import StandIn

SCRIPT = Path(__file__).with_name("generating.py")
PROJECT = """
name: p
generate: {checkpoint: c, prompt: "写{topic}:", prompts: a.jsonl, max_tokens: 9, batch_size: 2, output: o.jsonl}
"""
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `aigc generate p.yaml WORDS` with the stand-in engine."""
    (tmp_path / "p.yaml").write_text(PROJECT, "utf-8")
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"topic": f"t{n}"}) + "\n" for n in range(40)), "utf-8")
    processes: list[subprocess.Popen[str]] = []

    def call(*words: str, step: float = 0.0) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), "generate", "p.yaml", *words],
            cwd=tmp_path,
            env=os.environ | {"STAND_IN_STEP": str(step)},
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        processes.append(process)
        return process

    yield call
    for process in processes:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None and not stream.closed:
                stream.close()


def _line(stream: IO[str] | None, seconds: float = 60) -> str:
    assert stream is not None
    assert select.select([stream], [], [], seconds)[0], "no answer has come"
    return stream.readline()


def test_a_partner_gets_its_answer_before_it_asks_again_and_may_leave(start: Start) -> None:
    process = start("generate.prompts=-", "generate.output=-")
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    for topic in ("雨", "sea"):
        process.stdin.write(json.dumps({"topic": topic, "id": topic}) + "\n")
        process.stdin.flush()
        row = json.loads(_line(process.stdout))
        assert row["id"] == f"{topic}-0" and row["prompt"] == f"写{topic}:"
    process.stdout.close()  # as `| head -2` does, while its prompts are still waited for
    assert process.wait(30) == 0
    assert process.stderr.read() == ""


def _rows_in(path: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_stopped_twice_and_run_again_it_ends_as_if_undisturbed(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "o.jsonl"
    for number, count, code in ((signal.SIGINT, 9, 130), (signal.SIGKILL, 21, -9)):
        process = start(step=0.03)
        _rows_in(out, count)
        process.send_signal(number)
        assert process.wait(30) == code
        assert out.read_bytes().count(b"\n") < 40
        if code > 0:
            assert process.stderr is not None
            assert "accepted rows; run the same command again to go on from there" in process.stderr.read().splitlines()[-1]
    stopped = out.read_bytes()
    assert start().wait(60) == 0
    assert out.read_bytes().startswith(stopped)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(production, "engine_of", lambda project, slots: StandIn(2))
    generate.run(config.load("p.yaml", ["generate.output=whole.jsonl"]))
    assert out.read_bytes() == Path("whole.jsonl").read_bytes()
