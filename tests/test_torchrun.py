"""`aigc pretrain` under torchrun: what a user sees, and that the result is that of one process."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file
from transformers import AutoModelForPreTraining

from command import Aigc

PROJECT = """\
name: p
clean: {input: a.jsonl, rules: []}
split: {validation: 0.1, test: 0.1}
pretrain:
  objective: masked+next_sentence
  tokenizer: {kind: wordpiece, vocabulary: 300}
  model: {family: bert, layers: 1, width: 32, heads: 2, dropout: 0.1}
  context: 64
  batch_size: 2
  steps: 60
  checkpoint_every: 5
  evaluate_every: 30
  average: 0.9
  precision: fp32
"""
WORDS = "river high water low boat stone tree house green old says that is the a over under near far runs falls and".split()


def _torchrun(folder: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "aigc", *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, encoding="utf-8")


def _own(stderr: str) -> list[str]:
    """What aigc says, without torchrun's report of processes that failed."""
    return [line for line in stderr.splitlines() if line.startswith("aigc: ")]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a project that is cleaned and split, and pretrained by one process as runs/one."""
    folder = tmp_path_factory.mktemp("torchrun")
    (folder / "p.yaml").write_text(PROJECT)
    texts = [
        " ".join(f"{' '.join(WORDS[(i * 7 + s * 5 + w * w) % len(WORDS)] for w in range(4 + s))}." for s in range(2 + i % 4))
        for i in range(80)
    ]
    (folder / "a.jsonl").write_text("".join(json.dumps({"text": f"Document {i} {text}"}) + "\n" for i, text in enumerate(texts)))
    for stage in ("clean", "split"):
        assert Aigc(folder)(stage, "p.yaml").returncode == 0
    done = Aigc(folder)("pretrain", "p.yaml", "pretrain.accumulate=2")
    assert done.returncode == 0, done.stderr
    (folder / "runs" / "p" / "pretrain").rename(folder / "one")
    return folder


def _names(run: Path) -> set[str]:
    return set(load_file(run / "model" / "model.safetensors"))


def _same_run(found: Path, wanted: Path) -> None:
    lines = [[json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()] for run in (found, wanted)]
    for one, other in zip(*lines, strict=True):
        timeless = [{name: line[name] for name in line if name not in ("tokens_per_second", "waited")} for line in (one, other)]
        assert timeless[0] == pytest.approx(timeless[1], rel=1e-5)
    assert _names(found) == _names(wanted)
    weights, others = (AutoModelForPreTraining.from_pretrained(run / "model").state_dict() for run in (found, wanted))
    assert all(float((weights[name] - others[name]).abs().max()) < 1e-4 for name in others)


def test_a_wrong_key_is_told_once(project: Path) -> None:
    process = _torchrun(project, "pretrain", "p.yaml", "pretrain.stepz=3")
    _, said = process.communicate(timeout=60)
    assert process.returncode
    assert _own(said) == ["aigc: command line: pretrain.stepz: unknown key; the nearest is pretrain.steps"]


def test_two_processes_make_one_run(project: Path) -> None:
    process = _torchrun(project, "pretrain", "p.yaml")
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    for once in ("60 steps of 128 tokens", "pretrain: validation", "done in"):
        assert said.count(once) == 1, said
    assert "Traceback" not in said
    run = project / "runs" / "p" / "pretrain"
    one = {path.relative_to(project / "one") for path in (project / "one").rglob("*")}
    assert {path.relative_to(run) for path in run.rglob("*")} == one
    _same_run(run, project / "one")
    assert not list((project / "runs" / "p").glob(".*.partial"))
    again = Aigc(project)("run", "p.yaml")  # on one process it is up to date as well
    assert "pretrain: up to date" in again.stderr


def test_sigterm_stops_two_processes_at_a_safe_point_and_one_goes_on(project: Path) -> None:
    process = _torchrun(project, "pretrain", "p.yaml", "pretrain.sharing=shard")
    partial = project / "runs" / "p" / ".pretrain.partial"
    deadline = time.monotonic() + 120
    while not list((partial / "checkpoints").glob("step-*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode
    (line,) = _own(said)
    assert line.startswith("aigc: stopped after step ")
    step = line.removeprefix("aigc: stopped after step ").split()[0]
    assert (partial / "checkpoints" / f"step-{step}" / "__1_0.distcp").exists()
    again = Aigc(project)("pretrain", "p.yaml", "pretrain.sharing=shard")
    assert again.returncode == 0, again.stderr
    assert "going on from the last checkpoint" in again.stderr
    _same_run(project / "runs" / "p" / "pretrain", project / "one")
