"""Requests over the machines of a Ray cluster: an engine on each, every one of which draws some of them."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice

from aigc.core.documents.engine import engine_of
from aigc.core.generation.loop import Watch
from aigc.core.generation.prompts import prompt_ids
from aigc.core.generation.request import Decoding, Drawn, Request
from aigc.core.tokens.text import TextCodec

__all__ = ["Draws", "Remote"]

Draws = Callable[[Sequence[Request], Decoding], list[tuple[Request, Drawn]]]
"""What a worker does with some requests; picklable."""

_one_at_a_time = threading.Lock()  # a worker may be handed two tasks at once, and has one engine


class Remote:
    """An engine whose draws are made elsewhere; causal checkpoints only. Here is but the tokenizer.

    Requests that are drawn together are the same as on one machine whose windows are as large, and so are the rows.
    """

    def __init__(self, name: str, codec: TextCodec, draws: Draws, *, context: int, size: int) -> None:
        """
        Args:
            draws: runs on the workers, one call at a time on each.
            context: most tokens of prompt and text.
            size: requests of a task.
        """
        self.name = name
        self.quality = ""
        self.codec = codec
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


def _drawn(draws: Draws, decoding: Decoding, requests: Sequence[Request]) -> list[tuple[Request, Drawn]]:
    with _one_at_a_time:
        return draws(requests, decoding)
