"""A training command that is killed at once and run again ends with the weights of one that was never disturbed."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aigc import config
from aigc.stages import clean, split
from command import Aigc

PROJECT = """\
name: p
clean: {input: a.jsonl, rules: []}
split: {validation: 0.1, test: 0.1}
pretrain:
  tokenizer: {vocabulary: 300}
  model: {layers: 1, width: 16, heads: 2, dropout: 0.1}
  context: 16
  batch_size: 2
  steps: 150
  checkpoint_every: 10
  evaluate_every: 50
"""


def prepared(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "p.yaml").write_text(PROJECT)
    (folder / "a.jsonl").write_text("".join(f'{{"text": "Document {i} says that the river is high."}}\n' for i in range(80)))
    for stage in (clean, split):
        stage.run(config.load("p.yaml"))
    return folder


def test_killed_and_run_again_gives_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calm, killed = prepared(tmp_path / "calm", monkeypatch), prepared(tmp_path / "killed", monkeypatch)
    assert Aigc(calm)("pretrain", "p.yaml").returncode == 0
    run = killed / "runs" / "p"
    process = subprocess.Popen([sys.executable, "-m", "aigc", "pretrain", "p.yaml"], cwd=killed, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list((run / ".pretrain.partial" / "checkpoints").glob("step-*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (run / "pretrain").exists()
    again = Aigc(killed)("pretrain", "p.yaml")
    assert again.returncode == 0, again.stderr
    assert "going on from the last checkpoint" in again.stderr
    weights = [folder / "runs" / "p" / "pretrain" / "model" / "model.safetensors" for folder in (calm, killed)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
