"""Contenders that train, each in a process of its own, one step of each in turn, into how fast they are.

What a process does to its heap and to its threads is part of how fast it trains: in one process, each would train in the heap of
the others. While one takes a step, the others wait and take no CPU.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median
from typing import NamedTuple

import torch

__all__ = ["Contender", "Steps", "Taken", "run"]

THREADS = 2


class Taken(NamedTuple):
    """One step of training."""

    tokens: int  # useful ones: learned, or read and no padding
    waited: float = 0.0  # seconds, for data


Steps = Iterator[Taken]


class Contender:
    """Who trains, and how it went."""

    def __init__(self, name: str, build: Callable[[], Steps], **environment: str) -> None:
        """Start its process.

        Args:
            build: called there, so pickle has to know it; each next() of what it gives takes a step.
            environment: variables that the process starts with.
        """
        self.name = name
        self.tokens: list[int] = []
        self.seconds: list[float] = []
        self.waited = 0.0
        spawn = get_context("spawn")
        self._pipe, end = spawn.Pipe()
        before = dict(os.environ)
        os.environ.update(environment)
        try:
            self._process = spawn.Process(target=_serve, args=(build, end), daemon=True)
            self._process.start()
        finally:
            os.environ.clear()
            os.environ.update(before)

    def step(self) -> None:
        """Let it take one step."""
        self._pipe.send(True)
        seconds, taken = self._pipe.recv()
        self.seconds.append(seconds)
        self.tokens.append(taken.tokens)
        self.waited += taken.waited

    def end(self) -> None:
        """Let the process end, and wait until it has."""
        self._pipe.send(False)
        self._process.join()

    def speed(self, warm: int) -> float:
        """Useful tokens a second; where each step has as many, of the median step."""
        tokens, seconds = self.tokens[warm:], self.seconds[warm:]
        return tokens[0] / median(seconds) if len(set(tokens)) == 1 else sum(tokens) / sum(seconds)

    def middle(self, warm: int) -> float:
        """Useful tokens a second, the median of the steps."""
        return median(tokens / seconds for tokens, seconds in zip(self.tokens[warm:], self.seconds[warm:], strict=True))


def run(contenders: Sequence[Contender], turns: int) -> None:
    """Let all take so many steps in turn, each time another first."""
    for turn in range(turns):
        at = turn % len(contenders)
        for one in [*contenders[at:], *contenders[:at]]:
            one.step()
        if turn == 0:
            print("first steps: " + ", ".join(f"{one.name} {one.seconds[0]:.1f} s" for one in contenders), flush=True)
    for one in contenders:
        one.end()


def _serve(build: Callable[[], Steps], pipe: Connection) -> None:
    torch.set_num_threads(THREADS)
    steps = build()
    while pipe.recv():
        started = time.perf_counter()
        taken = next(steps)
        pipe.send((time.perf_counter() - started, taken))
