"""What is drawn on a cluster are the rows of one machine, in tasks of one size, and what a worker cannot do is one clear error."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aigc.core.generation import remote
from aigc.core.generation.engine import Setup, open_engine
from aigc.core.generation.remote import open_cluster
from aigc.core.generation.request import Decoding, Drawn, Engine, Phrase
from aigc.core.model import checkpoints
from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.training import train
from aigc.errors import AigcError
from core.conftest import CONTEXT, SENTENCES, MakeModel

TEXTS = ["The quick brown fox", "雨", "今天的天气很好，我们去", "a", "def add(a, b):", "He", "她打开窗户"]
WARM = Decoding(8, temperature=1.0, top_k=20)
Rows = dict[int, Drawn]


def _rows(engine: Engine, decoding: Decoding = WARM, texts: list[str] = TEXTS) -> Rows:
    requests = [engine.request(text, seed=key, key=key) for key, text in enumerate(texts)]
    return {request.key: drawn for request, drawn in engine.draw([None, *requests], decoding)}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lets this process carry the tasks; how many requests each had."""
    sizes: list[int] = []

    def carried(function: Callable[..., Any], tasks: Iterable[Any]) -> Iterator[Any]:
        for task in tasks:
            sizes.append(len(task))
            yield function(task)

    monkeypatch.setattr(remote, "engine_of", lambda name: carried)
    return sizes


def test_requests_go_in_tasks_of_one_size_and_the_engine_is_opened_once(
    here: list[int], checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def counted(start: str, setup: Setup) -> Engine:
        opened.append(start)
        return open_engine(start, setup)

    monkeypatch.setattr(remote, "open_engine", counted)
    monkeypatch.chdir(checkpoint.parent)
    engine = open_cluster(checkpoint.name, Setup("torch", slots=5), size=3)
    local = open_engine(str(checkpoint), Setup("torch", slots=5))
    assert engine.name == "ray torch auto" and engine.room_for(9) == local.room_for(9) == CONTEXT - 9
    assert _rows(engine) == _rows(local)
    assert here == [3, 3, 1]
    assert opened == [str(checkpoint.resolve())], "a worker works in another folder"


def test_a_gap_is_filled_once(here: list[int], tiny_model: MakeModel, tmp_path: Path) -> None:
    codec = train(SENTENCES * 4, kind="bpe", family="decoder", vocabulary=400, context=CONTEXT, infill=True)
    checkpoints.save(tiny_model(), codec, tmp_path)
    texts = ["春天[MASK]花都开了。", "雨"]
    found = _rows(open_cluster(str(tmp_path), Setup("torch"), size=2), texts=texts)
    assert found == _rows(open_engine(str(tmp_path), Setup("torch")), texts=texts)
    assert found[0].text.count("春天") == 1


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_only_causal_checkpoints_are_run_so(family: str, tiny_model: MakeModel, codec: TextCodec, tmp_path: Path) -> None:
    checkpoints.save(tiny_model(family), codec, tmp_path)
    with pytest.raises(AigcError, match=r"generate\.workers: workers run causal checkpoints, and .* is an encoder-decoder"):
        open_cluster(str(tmp_path), Setup(), size=2)


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    """A Ray of one machine, which is gone after the module."""
    found = pytest.importorskip("ray", reason="ray is not installed")
    pytest.importorskip("daft", reason="daft is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield
        found.shutdown()


ALONE = "AIGC_TEST_ALONE"  # set in the process that the test has to itself


@pytest.mark.skipif(ALONE in os.environ, reason="it starts the process")
def test_a_cluster_in_a_process_of_its_own() -> None:
    """Daft remembers the Ray that it met first, and other tests have shut theirs down."""
    command = [sys.executable, "-m", "pytest", "-q", "-k", "gives_the_rows", str(Path(__file__))]
    done = subprocess.run(command, env=os.environ | {ALONE: "1"}, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.skipif(ALONE not in os.environ, reason="test_a_cluster_in_a_process_of_its_own runs it")
def test_a_cluster_gives_the_rows_of_one_machine_and_says_what_it_cannot_do(ray: None, checkpoint: Path) -> None:
    setup = Setup("torch", slots=5, decoding=WARM)
    engine = open_cluster(os.path.relpath(checkpoint), setup, size=4)
    assert _rows(engine) == _rows(open_engine(str(checkpoint), setup))
    with pytest.raises(AigcError, match="one of them is empty") as told:
        _rows(engine, Decoding(8, phrases=(Phrase(""),)))
    assert type(told.value) is AigcError
