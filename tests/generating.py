"""An engine that needs no model: texts that its seeds decide, as many at a time as it has slots, shorter ones finished first.

Run as a script, `python generating.py generate p.yaml ...` is `aigc` with this engine; STAND_IN_STEP is the seconds of a step.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from aigc.core.generation import engine as engines
from aigc.core.generation.request import Decoding, Drawn, Request

__all__ = ["WORDS", "StandIn", "install"]

WORDS = ["river", "stone", "雨", "cloud", "灯塔", "paper.", "window", "花园", "letter", "market。"]
CONTEXT = 200


class StandIn:
    """Continuous batching without a model."""

    name = "stand-in"
    quality = ""
    remembers = True  # what it was asked

    def __init__(self, slots: int = 4, step: float = 0.0) -> None:
        self.codec: Any = SimpleNamespace(tokenizer=SimpleNamespace(chat_template=None))
        self.slots, self.step = slots, step
        self.asked: list[Request] = []
        self.windows: list[int] = []

    def request(self, text: str, *, seed: int, key: int = 0) -> Request:
        """See Engine."""
        return Request([ord(letter) for letter in text] or [0], seed, key)

    def room_for(self, prompt_tokens: int) -> int:
        """See Engine."""
        return CONTEXT - prompt_tokens

    def draw(
        self, requests: Iterable[Request | None], decoding: Decoding, watch: Callable[[Request, str], None] | None = None
    ) -> Iterator[tuple[Request, Drawn]]:
        """See Engine."""
        waiting = iter(requests)
        going: list[tuple[Request, list[str], list[str]]] = []
        self.windows.append(0)
        while True:
            while len(going) < self.slots and (request := next(waiting, None)) is not None:
                if self.remembers:
                    self.asked.append(request)
                self.windows[-1] += 1
                rng = np.random.default_rng(request.seed)
                words = [WORDS[int(place)] for place in rng.integers(len(WORDS), size=rng.integers(1, 1 + decoding.max_tokens))]
                going.append((request, words, []))
            if not going:
                return
            time.sleep(self.step)
            done = []
            for one in going:
                request, words, said = one
                said.append(words[len(said)])
                if watch is not None:
                    watch(request, said[-1] + " ")
                if len(said) == len(words):
                    done.append(one)
            going = [one for one in going if one not in done]
            for request, words, _ in done:
                yield request, Drawn(" ".join(words) + " ", len(words), "end", tuple(range(len(words))))


def install() -> None:
    """Let every checkpoint be this engine."""

    def opened(start: str, setup: engines.Setup) -> StandIn:
        return StandIn(setup.slots, float(os.environ.get("STAND_IN_STEP", "0")))

    engines.open_engine = opened


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    install()
    from aigc.cli import main

    main()
