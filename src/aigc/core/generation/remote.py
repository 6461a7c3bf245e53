"""Requests over the machines of a Ray cluster: an engine on each, every one of which draws some of them."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import islice
from pathlib import Path

from aigc.core.documents.engine import engine_of
from aigc.core.generation.engine import Setup, kind_of, open_engine
from aigc.core.generation.infilling import Middle
from aigc.core.generation.prompts import prompt_ids
from aigc.core.generation.request import Decoding, Drawn, Engine, Request, Watch
from aigc.core.model import checkpoints
from aigc.core.tokens.text import TextCodec
from aigc.errors import AigcError

__all__ = ["Draws", "Remote", "open_cluster"]

Draws = Callable[[Sequence[Request], Decoding], list[tuple[Request, Drawn]]]
"""What a worker does with some requests; picklable."""

_one_at_a_time = threading.Lock()  # a worker may be handed two tasks at once, and has one engine


class Remote:
    """An engine whose draws are made elsewhere; causal checkpoints only. Here is but the tokenizer.

    Requests that are drawn together are the same as on one machine whose windows are as large, and so are the rows.
    """

    quality = ""

    def __init__(self, name: str, codec: TextCodec, draws: Draws, *, context: int, size: int) -> None:
        """
        Args:
            name: see Engine.
            draws: runs on the workers, one call at a time on each.
            context: most tokens of prompt and text.
            size: requests of a task.
        """
        self.name, self.codec = name, codec
        self._draws, self._context, self._size = draws, context, size

    def request(self, text: str, *, seed: int, key: int = 0) -> Request:
        """See Engine."""
        return Request(prompt_ids(self.codec, text), seed, key)

    def room_for(self, prompt_tokens: int) -> int:
        """See Engine."""
        return self._context - prompt_tokens

    def draw(
        self, requests: Iterable[Request | None], decoding: Decoding, watch: Watch | None = None
    ) -> Iterator[tuple[Request, Drawn]]:
        """See Engine; rows come task by task, in order.

        Raises:
            AigcError: daft or ray is not installed, or a worker cannot draw.
        """
        assert watch is None, "what is drawn elsewhere is not told while it is"
        come = (request for request in requests if request is not None)
        tasks = iter(lambda: list(islice(come, self._size)), [])
        for rows in engine_of("ray")(partial(_drawn, self._draws, decoding), tasks):
            yield from rows


def open_cluster(start: str, setup: Setup, *, size: int) -> Engine:
    """Engines on the machines of a Ray cluster, each of which opens the checkpoint once; causal checkpoints only.

    Args:
        start: as of `open_engine`; a folder must be there under the same path on all machines.
        size: requests that a worker draws at a time.

    Raises:
        AigcError: the checkpoint's tokenizer or config cannot be loaded, or it is not causal.
    """
    config = checkpoints.config_of(start)
    if (kind := kind_of(config)) != "decoder":
        what = kind.replace("_", "-")
        raise AigcError(f"generate.workers: workers run causal checkpoints, and {start} is an {what}: leave it out")
    there = replace(setup, draft=None if setup.draft is None else (_anywhere(setup.draft[0]), setup.draft[1]))
    draws = partial(_draw_there, _anywhere(start), there)
    context = checkpoints.context_of(config)
    return Middle(Remote(f"ray {setup.kind} {setup.precision}", checkpoints.codec_of(start), draws, context=context, size=size))


def _anywhere(start: str) -> str:
    """A checkpoint as a process finds it that works in another folder."""
    path = Path(start).expanduser()
    return str(path.resolve()) if path.exists() else start


def _drawn(draws: Draws, decoding: Decoding, requests: Sequence[Request]) -> list[tuple[Request, Drawn]]:
    with _one_at_a_time:
        return draws(requests, decoding)


def _draw_there(start: str, setup: Setup, requests: Sequence[Request], decoding: Decoding) -> list[tuple[Request, Drawn]]:
    return list(_opened(start, setup).draw(requests, decoding))


@cache
def _opened(start: str, setup: Setup) -> Engine:
    """In a worker, which draws with it more than once; gaps are seen to where the requests are made."""
    engine = open_engine(start, setup)
    return engine.engine if isinstance(engine, Middle) else engine
