"""Who carries tasks: threads of this process, or a Ray cluster through Daft. The same function, the same tasks, the same results.

On one machine threads are enough: Polars, numpy and the parsers leave Python's lock while they work. Daft is imported only for
Ray and is pinned exactly, for its API moves within 0.7.
"""

import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Literal, Protocol, TypeVar

from aigc.errors import AigcError

__all__ = ["Engine", "EngineName", "engine_of", "local"]

EngineName = Literal["local", "ray"]
Task = TypeVar("Task")
Result = TypeVar("Result")


class Engine(Protocol):
    """Applies a function to tasks, many at a time, and gives the results in the order of the tasks."""

    def __call__(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """The function and the tasks must be picklable; what a task writes must lie where every worker and this process see it."""


def local(function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
    """Threads, one for each core; tasks are taken from their source only as fast as they are done."""
    workers = max(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 1)
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for task in tasks:
                waiting.append(pool.submit(function, task))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


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
        raise AigcError(f"clean.engine: ray needs {error.name}: pip install 'aigc[ray]'") from None
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
