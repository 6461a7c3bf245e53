"""SIGINT and SIGTERM into an orderly stop."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Stop", "Terminated", "stop_at_safe_point", "terminate_in_order"]


class Terminated(KeyboardInterrupt):
    """SIGTERM, raised where SIGINT raises KeyboardInterrupt, so that the same code tidies up."""


def _raise(_number: int, _frame: FrameType | None) -> None:
    raise Terminated


def terminate_in_order() -> None:
    """Make SIGTERM unwind the stack like Ctrl-C instead of ending the process at once.

    To be called after the imports as well: polars takes SIGINT for itself when it is imported.
    """
    signal.signal(signal.SIGTERM, _raise)
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Stop:
    """Whether somebody asked us to stop; work that cannot stop anywhere asks between two steps."""

    signal_number: int | None = None


@contextmanager
def stop_at_safe_point() -> Iterator[Stop]:
    """While inside, the first SIGINT or SIGTERM only sets the flag; a second one stops at once."""
    stop = Stop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: FrameType | None) -> None:
        stop.signal_number = number
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in before:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
