"""What is asked of an engine, how it is to choose, what it gives back, and what it must offer to be one."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from aigc.core.tokens.text import TextCodec

__all__ = ["Constraint", "Decoding", "Drawn", "Engine", "Phrase", "Request", "Watch", "Watermark"]


@dataclass(frozen=True)
class Constraint:
    """The form that a text must have."""

    kind: Literal["json", "regex", "choice"]
    grammar: str | tuple[str, ...]  # a JSON schema, an expression, or the texts to choose from


@dataclass(frozen=True)
class Phrase:
    """A text that is not to be written."""

    text: str
    penalty: float | None = None  # nats off the tokens that would complete it; None: it is never completed


@dataclass(frozen=True)
class Watermark:
    """A statistical mark in the choice of tokens; see transformers' watermarking."""

    kind: Literal["synthid", "greenlist"]
    key: int


@dataclass(frozen=True)
class Decoding:
    """How tokens are chosen and where a text ends, the same for all requests of a run."""

    max_tokens: int
    temperature: float = 1.0  # 0 takes the likeliest
    top_k: int = 0  # 0: all
    top_p: float = 1.0
    stops: frozenset[int] = frozenset()  # tokens that end a text beside the codec's own end
    min_tokens: int = 0  # before which no text ends
    min_p: float = 0.0  # of the likeliest token's probability (Nguyen et al. 2024)
    typical_p: float = 1.0  # locally typical sampling (Meister et al. 2023)
    repetition_penalty: float = 1.0  # Keskar et al. 2019, as transformers has it: prompt and text
    no_repeat_ngram: int = 0  # tokens; 0: none is forbidden
    contrastive: float = 0.0  # the degeneration penalty alpha of contrastive search (Su et al. 2022), with top_k candidates
    beams: int = 1
    stop_strings: tuple[str, ...] = ()
    max_characters: int | None = None
    max_sentences: int | None = None
    phrases: tuple[Phrase, ...] = ()
    constraint: Constraint | None = None
    watermark: Watermark | None = None
    likelihood: bool = False  # whether `Drawn.likelihood` is wanted


@dataclass(frozen=True)
class Request:
    """A prompt, and the seed that decides what is drawn after it."""

    prompt_ids: Sequence[int]  # at least one; those that the encoder reads, where there is one
    seed: int
    key: int = 0  # the caller's, to know it by


@dataclass(frozen=True)
class Drawn:
    """What came after a prompt."""

    text: str
    tokens: int  # new tokens, the end-of-text token not counted
    finish: str  # "end": the model ended it; "stop": a stop string; "length": a limit of the run or the model's context
    ids: tuple[int, ...] = ()
    likelihood: float | None = None  # nats: sum of the tokens' log-probabilities, the end's included, as the model gives them


class Watch(Protocol):
    """Who is told each piece of a text as it is settled."""

    def __call__(self, request: Request, piece: str, /) -> None: ...


class Engine(Protocol):
    """Who continues prompts."""

    @property
    def name(self) -> str:
        """Who runs the model and in which precision, as it is told: `torch fp32`."""

    @property
    def codec(self) -> TextCodec:
        """The checkpoint's."""

    @property
    def quality(self) -> str:
        """How near it comes to the model in fp32, or why no other engine runs it, in words; nothing where neither is known."""

    def request(self, text: str, *, seed: int, key: int = 0) -> Request:
        """A prompt as the model reads it.

        Raises:
            AigcError: it is none for this checkpoint.
        """

    def room_for(self, prompt_tokens: int) -> int:
        """New tokens that fit behind a prompt of so many tokens; 0 or less: the prompt is too long."""

    def draw(
        self, requests: Iterable[Request | None], decoding: Decoding, watch: Watch | None = None
    ) -> Iterator[tuple[Request, Drawn]]:
        """Finished rows, each as it is finished. The same requests in the same order give the same bytes.

        Args:
            requests: taken as places become free. None stands for "none has come yet": what is under way goes on meanwhile; where
                nothing is, the next one is asked for again at once.
            watch: is told each piece of text as it is settled.
        """
