"""Processes that each train one trial after another, told by a pipe what to do and asked after each evaluation whether to go on."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal

from aigc.errors import AigcError, Stopped
from aigc.schema import Project

__all__ = ["Crew", "Ended", "Evaluated", "Order", "crew"]

PATIENCE = 10.0  # seconds that a process has to end by itself

Outcome = Literal["complete", "pruned", "stopped", "failed"]


@dataclass(frozen=True)
class Order:
    """A trial to train."""

    number: int
    project: Project  # in a folder of its own
    stage: str
    log: Path  # gets all that is said while it is trained


@dataclass(frozen=True)
class Evaluated:
    """A trial measured itself, and waits for `Crew.answer`."""

    number: int
    step: int
    line: dict[str, Any]  # of metrics.jsonl


@dataclass(frozen=True)
class Ended:
    """A trial has ended, and its process is free."""

    number: int
    outcome: Outcome
    remark: str = ""


@dataclass
class _Worker:
    place: int
    process: Any
    pipe: Connection
    number: int | None = None  # of the trial that it trains
    log: Path | None = None


@dataclass
class Crew:
    """Some processes, each free or at work on a trial."""

    threads: int  # of torch, for each
    workers: list[_Worker] = field(default_factory=list)

    @property
    def free(self) -> int:
        """How many more trials can be trained now."""
        return sum(worker.number is None for worker in self.workers)

    @property
    def busy(self) -> bool:
        """Whether any trial is at work."""
        return any(worker.number is not None for worker in self.workers)

    def hire(self, place: int) -> None:
        """One process more."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, place, self.threads), name=f"trials-{place}")
        process.start()
        theirs.close()
        self.workers.append(_Worker(place, process, ours))

    def give(self, order: Order) -> None:
        """Let a free process train a trial."""
        worker = next(worker for worker in self.workers if worker.number is None)
        worker.number, worker.log = order.number, order.log
        with suppress(BrokenPipeError):  # it is noticed when next one listens
            worker.pipe.send(order)

    def answer(self, number: int, *, end: bool) -> None:
        """Whether a trial that measured itself should end there."""
        self._tell(self._at_work(number), "end" if end else "go on")

    def stop(self) -> None:
        """Let every trial end behind its next step, to be gone on with later."""
        for worker in self.workers:
            if worker.number is not None:
                self._tell(worker, "stop")

    def listen(self, seconds: float) -> Iterator[Evaluated | Ended]:
        """What trials have to say, after so many seconds at most."""
        ready = wait([worker.pipe for worker in self.workers if worker.number is not None], seconds)
        for worker in [worker for worker in self.workers if worker.pipe in ready]:
            assert worker.number is not None
            try:
                said = worker.pipe.recv()
            except (EOFError, ConnectionResetError):
                yield self._lost(worker)
                continue
            if isinstance(said, Ended):
                worker.number = None
            yield said

    def close(self) -> None:
        """End all processes."""
        for worker in self.workers:
            worker.pipe.close()
            if worker.number is not None:
                worker.process.kill()
        for worker in self.workers:
            worker.process.join(PATIENCE)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.process.close()
        self.workers.clear()

    def _at_work(self, number: int) -> _Worker:
        return next(worker for worker in self.workers if worker.number == number)

    def _tell(self, worker: _Worker, word: str) -> None:
        with suppress(BrokenPipeError):
            worker.pipe.send(word)

    def _lost(self, worker: _Worker) -> Ended:
        """A process that has died gives way to a new one."""
        number = worker.number
        assert number is not None
        worker.process.join()
        code = worker.process.exitcode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        worker.process.close()
        worker.pipe.close()
        self.workers.remove(worker)
        self.hire(worker.place)
        return Ended(number, "failed", f"its process {how}; {worker.log} has what it said")


@contextmanager
def crew(processes: int) -> Iterator[Crew]:
    """So many processes, which share the threads that one would have."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = int(os.environ.get("OMP_NUM_THREADS") or cores)
    found = Crew(max(threads // processes, 1))
    try:
        for place in range(processes):
            found.hire(place)
        yield found
    finally:
        found.close()


class _Gone(BaseException):
    """The process that gives the orders is no more."""


def _work(pipe: Connection, place: int, threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of a terminal's processes: the one that gives orders decides
    import_module("torch").set_num_threads(threads)  # that one does without torch, which takes seconds to import
    while True:
        try:
            order = pipe.recv()
        except (EOFError, ConnectionResetError):
            return
        if isinstance(order, Order):  # a word to stop may come when the trial has just ended
            with suppress(BrokenPipeError, _Gone):
                pipe.send(_obey(order, pipe, place))


def _obey(order: Order, pipe: Connection, place: int) -> Ended:
    trials, torch = import_module("aigc.search.trials"), import_module("torch")
    _write_to(order.log)
    project = order.project
    if project.device in ("auto", "cuda") and torch.cuda.device_count() > 1:
        project = project.model_copy(update={"device": f"cuda:{place % torch.cuda.device_count()}"})
    stopping = False

    def watch(step: int, line: dict[str, Any]) -> bool:
        nonlocal stopping
        try:
            pipe.send(Evaluated(order.number, step, line))
            while (word := pipe.recv()) == "stop":
                stopping = True
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise _Gone from None
        return bool(word == "end")

    def interrupt(_step: int) -> bool:
        nonlocal stopping
        if not stopping and pipe.poll():
            with suppress(EOFError, ConnectionResetError):
                pipe.recv()
            stopping = True
        return stopping

    try:
        return Ended(order.number, "complete" if trials.train(project, order.stage, watch, interrupt) else "pruned")
    except Stopped:
        return Ended(order.number, "stopped")
    except AigcError as error:
        return Ended(order.number, "failed", str(error))
    except (MemoryError, torch.OutOfMemoryError):
        return Ended(order.number, "failed", "out of memory")


def _write_to(log: Path) -> None:
    """All that this process says goes into a file from here on."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
