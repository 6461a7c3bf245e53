"""A stream into the batches of each step, made ready in a thread while the step before is at work."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

from aigc.core.batches.batch import Batch
from aigc.core.batches.stream import Position, Stream

__all__ = ["StepBatches", "feed"]

AHEAD = 2  # steps that lie ready


@dataclass(frozen=True)
class StepBatches:
    """What one process reads in one step, and the position of the stream behind the whole step."""

    batches: list[Batch]
    behind: Position


@contextmanager
def feed(stream: Stream, start: Position, *, accumulate: int, rank: int = 0, replicas: int = 1) -> Iterator[Iterator[StepBatches]]:
    """The batches of step after step, from a position on.

    A step takes `accumulate * replicas` bins: of these, every `replicas`-th from `rank` on is this process's. So the stream does
    not depend on how many processes share it.
    """
    ready: queue.Queue[StepBatches | BaseException] = queue.Queue(AHEAD)
    closing = threading.Event()

    def work() -> None:
        try:
            bins = stream.bins(start)
            while not closing.is_set():
                step = list(islice(bins, accumulate * replicas))
                own = [stream.collate(samples) for samples, _ in step[rank::replicas]]
                _put(ready, StepBatches(own, step[-1][1]), closing)
        except BaseException as error:  # noqa: BLE001  (raised again where the batches are read)
            _put(ready, error, closing)

    thread = threading.Thread(target=work, name="feed", daemon=True)
    thread.start()
    try:
        yield _read(ready)
    finally:
        closing.set()
        thread.join()


def _put(ready: "queue.Queue[StepBatches | BaseException]", item: StepBatches | BaseException, closing: threading.Event) -> None:
    while not closing.is_set():
        try:
            ready.put(item, timeout=0.1)
        except queue.Full:
            continue
        return


def _read(ready: "queue.Queue[StepBatches | BaseException]") -> Iterator[StepBatches]:
    while True:
        item = ready.get()
        if isinstance(item, BaseException):
            raise item
        yield item
