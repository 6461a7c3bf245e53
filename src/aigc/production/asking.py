"""A sample into what the model reads: a text to be continued, or a turn of a chat to be answered."""

from collections.abc import Callable, Iterable, Iterator

from aigc.core.documents.conversations import Broken, Message
from aigc.core.generation.request import Decoding, Drawn, Engine, Request, Watch
from aigc.core.tokens.chat import chat_of, continued
from aigc.errors import AigcError
from aigc.production.sampling import Sample

__all__ = ["Ask", "Talking", "continuing"]

Ask = Callable[[Sample, int, int], Request]
"""A sample, the seed of the draw, and the caller's key. It raises an AigcError where the sample is nothing for this checkpoint."""


def continuing(engine: Engine) -> Ask:
    """The prompt and the begin of the text, one behind the other."""
    return lambda sample, seed, key: engine.request(sample.asked, seed=seed, key=key)


class Talking:
    """An engine that is asked through its checkpoint's chat template; see Engine.

    Attributes:
        end: the token that ends an answer.

    Raises:
        AigcError: the checkpoint has no chat template, or one that cannot be used.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name, self.codec, self.quality = engine.name, engine.codec, engine.quality
        if self.codec.tokenizer.chat_template is None:
            raise AigcError("generate.chat: the checkpoint has no chat template; without chat it continues the prompt as a text")
        self._chat = chat_of(self.codec, "checkpoint")
        self.end = int(self.codec.tokenizer.convert_tokens_to_ids(self._chat.end))

    def ask(self, sample: Sample, seed: int, key: int) -> Request:
        """See Ask: the prompt is what a user says, the begin of the text the first words of the answer."""
        return self._turn(sample.prompt.text, sample.begin, seed, key)

    def request(self, text: str, *, seed: int, key: int = 0) -> Request:
        """See Engine; what stands behind the last blank line is the begin of the answer.

        Raises:
            AigcError: the template does not render it.
        """
        said, blank, begin = text.rpartition("\n\n")
        return self._turn(said if blank else text, begin if blank else "", seed, key)

    def room_for(self, prompt_tokens: int) -> int:
        """See Engine."""
        return self._engine.room_for(prompt_tokens)

    def draw(
        self, requests: Iterable[Request | None], decoding: Decoding, watch: Watch | None = None
    ) -> Iterator[tuple[Request, Drawn]]:
        """See Engine."""
        return self._engine.draw(requests, decoding, watch)

    def _turn(self, said: str, begin: str, seed: int, key: int) -> Request:
        try:
            text, _, _ = continued(self._chat, [Message("user", said)], ())
        except Broken as error:
            raise AigcError(f"generate.chat: {error}") from None
        ((ids, _),) = self.codec.encode_spans([text], specials=True)
        return Request([*ids, *self.codec.encode([begin])[0]] if begin else ids, seed, key)
