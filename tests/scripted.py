"""An engine that answers from a script, for what is written part by part."""

from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

from aigc.core.generation.request import Decoding, Drawn, Request, Watch


class Scripted:
    """Each character is a token. It remembers what it was asked, call by call, and answers in another order."""

    name = "scripted"

    def __init__(self, answer: Callable[[str, int], str], *, context: int = 100_000) -> None:
        self.codec: Any = SimpleNamespace(tokenizer=SimpleNamespace(chat_template=None))
        self.answer = answer
        self.context = context
        self.calls: list[list[str]] = []
        self.requests: list[Request] = []
        self.decodings: list[Decoding] = []

    def request(self, text: str, *, seed: int, key: int = 0) -> Request:
        return Request([ord(char) for char in text] or [0], seed, key)

    def room_for(self, prompt_tokens: int) -> int:
        return self.context - prompt_tokens

    def draw(self, requests: Iterable[Request], decoding: Decoding, watch: Watch | None = None) -> Iterator[tuple[Request, Drawn]]:
        asked = list(requests)
        prompts = ["".join(map(chr, one.prompt_ids)) for one in asked]
        self.calls.append(prompts)
        self.requests += asked
        self.decodings.append(decoding)
        for request, prompt in reversed(list(zip(asked, prompts, strict=True))):
            room = min(decoding.max_tokens, self.room_for(len(request.prompt_ids)))
            assert room > 0, "a prompt that does not fit was sent"
            whole = self.answer(prompt, request.seed)
            text = whole[:room]
            if watch is not None:
                watch(request, text)
            yield request, Drawn(text, len(text), "end" if text == whole else "length")
