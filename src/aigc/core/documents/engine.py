"""Who carries tasks: the cores of this machine, or a Ray cluster through Daft. The same function, the same tasks, the same results.

A few tasks go to threads, more to processes: numpy and Polars leave Python's lock while they work, but what is between takes a
third of the speed. Daft is imported only for Ray and is pinned exactly, for its API moves within 0.7.
"""

import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import islice
from multiprocessing import get_context
from typing import Literal, Protocol, TypeVar

from aigc.errors import AigcError

__all__ = ["Engine", "EngineName", "engine_of", "local", "threads"]

EngineName = Literal["local", "ray"]
Task = TypeVar("Task")
Result = TypeVar("Result")


class Engine(Protocol):
    """Applies a function to tasks, many at a time, and gives the results in the order of the tasks."""

    def __call__(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """The function and the tasks must be picklable; what a task writes must lie where every worker and this process see it."""


FEW = 4  # tasks that threads do, before it pays to start processes


def threads(function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
    """A thread for each core, for what is costly to hand to a process; tasks are taken only as fast as they are done."""
    return _carried(function, tasks, processes=False)


def local(function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
    """A process for each core once there are many tasks, threads before; tasks are taken only as fast as they are done.

    Raises:
        AigcError: a process was killed, for want of memory as a rule.
    """
    return _carried(function, tasks, processes=True)


def _carried(function: Callable[[Task], Result], tasks: Iterable[Task], *, processes: bool) -> Iterator[Result]:
    workers = max(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 1)
    with ExitStack() as stack:
        pool: Executor = stack.enter_context(ThreadPoolExecutor(workers))
        waiting: deque[Future[Result]] = deque()
        try:
            for number, task in enumerate(tasks):
                if number == FEW and workers > 1 and processes:
                    pool = _processes(workers)
                waiting.append(pool.submit(function, task))
                if len(waiting) > workers + 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            _processes.cache_clear()
            raise AigcError("a worker process was killed; is there enough memory?") from None
        finally:
            for future in waiting:
                future.cancel()


@cache
def _processes(workers: int) -> ProcessPoolExecutor:
    """Started once, for it takes most of a second; they end with this process."""
    return ProcessPoolExecutor(workers, get_context("spawn"), _settle)


def _settle() -> None:
    """In a new process: one core is its own, and it is the parent that hears Ctrl-C."""
    os.environ["POLARS_MAX_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)


ROUND = 512  # tasks that go to the cluster at once: the driver goes on reading in between


def _ray(function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
    """Daft on Ray: the cluster at RAY_ADDRESS, or a local one that is started for the purpose.

    Raises:
        AigcError: daft or ray is not installed.
    """
    os.environ.setdefault("DO_NOT_TRACK", "1")  # before the import: Daft's telemetry is on by default
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import daft
        import ray
    except ImportError as error:
        raise AigcError(f"working on Ray needs {error.name}: pip install 'aigc[ray]'") from None
    if not ray.is_initialized():
        with _no_signals():
            ray.init(address=os.environ.get("RAY_ADDRESS"), log_to_driver=False, logging_level="error")
    daft.set_runner_ray(noop_if_initialized=True)
    code = pickle.dumps(function)

    @daft.func(return_dtype=daft.DataType.binary())
    def run(task: bytes) -> bytes:
        try:
            return pickle.dumps((True, pickle.loads(code)(pickle.loads(task))))
        except Exception as error:  # noqa: BLE001  (raised again on the driver; Daft and Ray would wrap it)
            return pickle.dumps((False, error))

    source = iter(tasks)
    while batch := [pickle.dumps(task) for task in islice(source, ROUND)]:
        frame = daft.from_pydict({"number": list(range(len(batch))), "task": batch}).into_partitions(min(len(batch), 64))
        done = frame.with_column("result", run(daft.col("task"))).select("number", "result").sort("number").to_pydict()
        for answer in done["result"]:
            good, result = pickle.loads(answer)
            if not good:
                raise result
            yield result


@contextmanager
def _no_signals() -> Iterator[None]:
    """Put a stop off until the end: Ray's start does not survive one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    before = {number: signal.signal(number, lambda number, _: caught.append(number)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if caught:
        signal.raise_signal(caught[0])


def engine_of(name: EngineName) -> Engine:
    """The engine of that name."""
    return local if name == "local" else _ray
