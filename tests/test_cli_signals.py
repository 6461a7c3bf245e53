"""Stopping `aigc clean`: by Ctrl-C, SIGTERM and SIGKILL, and two of them at the same time."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from command import Aigc

ROW = '{"text": "The river is here."}\n'
Start = Callable[[], subprocess.Popen[str]]


def _heed_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell starts background jobs, maybe pytest, with SIGINT ignored


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a clean that waits for more of its standard input."""
    (tmp_path / "p.yaml").write_text("name: p\nclean: {input: '-', rules: []}\n")
    processes: list[subprocess.Popen[str]] = []

    def call() -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        command = [sys.executable, "-m", "aigc", "clean", "p.yaml"]
        process = subprocess.Popen(command, cwd=tmp_path, stdin=pipe, stdout=pipe, stderr=pipe, text=True, preexec_fn=_heed_ctrl_c)
        processes.append(process)
        assert process.stdin is not None
        process.stdin.write(ROW)
        process.stdin.flush()
        deadline = time.monotonic() + 30
        while not (tmp_path / "runs/p/.clean.partial/failed.jsonl").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.2)  # into the read
        return process

    yield call
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_in_order(start: Start, tmp_path: Path, number: signal.Signals, code: int) -> None:
    process = start()
    process.send_signal(number)
    process.wait(20)
    stdout, stderr = process.communicate()
    assert process.returncode == code, stderr
    assert stdout == ""
    assert stderr.startswith("aigc: stopped; ")
    assert len(stderr.splitlines()) == 1, stderr
    assert not (tmp_path / "runs/p/clean").exists()
    assert not (tmp_path / "runs/p/.clean.partial").exists()


def test_after_sigkill_the_next_run_succeeds(start: Start, aigc: Aigc, tmp_path: Path) -> None:
    process = start()
    process.kill()
    process.wait(20)
    assert not (tmp_path / "runs/p/clean").exists()
    done = aigc("clean", "p.yaml", stdin=ROW)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs/p/clean/manifest.json").exists()
    assert not (tmp_path / "runs/p/.clean.partial").exists()


def test_two_at_the_same_time(start: Start, aigc: Aigc, tmp_path: Path) -> None:
    first = start()
    second = aigc("clean", "p.yaml", stdin=ROW)
    assert second.returncode == 1
    assert "runs/p/clean: another aigc is writing this stage" in second.stderr
    assert len(second.stderr.splitlines()) == 1
    _, stderr = first.communicate(timeout=30)  # the end of its input
    assert first.returncode == 0, stderr
    assert (tmp_path / "runs/p/clean/manifest.json").exists()
