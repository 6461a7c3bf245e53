"""A form (JSON schema, regular expression, choices) into the tokens that keep a text in it."""

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from aigc.core.generation.request import Constraint
from aigc.core.generation.spelling import spelling
from aigc.core.tokens.text import TextCodec
from aigc.errors import AigcError

if TYPE_CHECKING:
    from llguidance import LLMatcher

__all__ = ["Form", "Formed"]

# A model may write JSON in one line or indented, but not white space without end, at which small models are good
_SPACES = r"\n? {0,16}"
_HEAD = '%llguidance {"no_forcing": true}\nstart: '  # any tokens that spell the form, not one tokenizer's own cutting only


class Form:
    """Forbids the tokens that would leave the form; what decides are the bytes of the decoded text.

    Expressions are those of Rust's regex (no look-around, no back-references) and match the whole text. Parsing is llguidance's.

    Raises:
        AigcError: the schema or the expression is none, or asks for what is not supported.
    """

    def __init__(
        self, codec: TextCodec, constraint: Constraint, *, ends: frozenset[int], vocabulary: int, device: torch.device
    ) -> None:
        import llguidance

        self.spelling = spelling(codec)
        self._device = device
        self._ends = torch.tensor(sorted(end for end in ends if end < vocabulary), dtype=torch.int64)
        words = sorted({piece for added in self.spelling.added for piece in added if piece})
        number = {piece: at for at, piece in enumerate(words)}
        nothing = len(words)  # what the end of a text and all that adds no bytes is called here
        self.numbers: list[NDArray[np.int64]] = [
            np.fromiter((number.get(piece, nothing) for piece in added[:vocabulary]), np.int64) for added in self.spelling.added
        ]
        self.nothing = nothing
        tokenizer = llguidance.LLTokenizer(llguidance.TokenizerWrapper(_Words(words)))
        grammar = _HEAD + _grammar(constraint)
        wrong, messages = llguidance.LLMatcher.validate_grammar_with_warnings(grammar, tokenizer)
        if wrong:
            raise AigcError(f"constrain: {_plain(messages[0])}")
        self._matcher = llguidance.LLMatcher(tokenizer, grammar, log_level=0)
        if self._matcher.is_error():
            raise AigcError(f"constrain: {_plain(self._matcher.get_error())}")

    def begin(self, context: Sequence[int]) -> "Formed":
        """A text that has nothing yet; the prompt is no part of the form."""
        return Formed(self, self._matcher.deep_copy())

    def apply(self, logits_BV: torch.Tensor, traces: Sequence["Formed"]) -> None:
        """Change the logits in place."""
        allowed = np.zeros(logits_BV.shape, np.bool_)
        for row, trace in enumerate(traces):
            allowed[row, : len(self.numbers[0])] = trace.allowed()
        allowed_BV = torch.from_numpy(allowed)
        allowed_BV[:, self._ends] = torch.tensor([[trace.whole] for trace in traces])
        logits_BV.masked_fill_(~allowed_BV.to(self._device), -torch.inf)


class Formed:
    """How far a text has come in its form."""

    def __init__(self, form: Form, matcher: "LLMatcher") -> None:
        self._form = form
        self._matcher = matcher
        self._situation = 0

    @property
    def whole(self) -> bool:
        """Whether the text has the form as it stands."""
        return self._matcher.is_accepting()

    def allowed(self) -> NDArray[np.bool_]:
        """(V,) the tokens that may follow; the end is not among them."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        words = np.unpackbits(bits, bitorder="little")[: self._form.nothing + 1].view(np.bool_)
        words[self._form.nothing] = False
        found: NDArray[np.bool_] = words[self._form.numbers[self._situation]]
        return found

    def take(self, token: int) -> bool:
        """See Trace.

        Raises:
            AigcError: the form is too complex to be followed.
        """
        numbers = self._form.numbers[self._situation]
        if token < len(numbers) and numbers[token] != self._form.nothing:
            if not self._matcher.consume_token(int(numbers[token])):
                raise AigcError(f"constrain: {_plain(self._matcher.get_error())}")
            self._situation = self._form.spelling.next(self._situation, token)
        return self._matcher.is_stopped()


class _Words:
    """The vocabulary as llguidance asks for it: the different pieces of text, and behind them the end."""

    def __init__(self, words: list[bytes]) -> None:
        self.tokens = [*words, b"</s>"]
        self.eos_token_id = len(words)
        self.bos_token_id = None
        self.special_token_ids = [len(words)]

    def __call__(self, text: bytes | str) -> list[int]:
        """Only the forcing of tokens, which is switched off, would encode a text."""
        return []


def _grammar(constraint: Constraint) -> str:
    """The body of a Lark rule."""
    if constraint.kind == "choice":
        if not constraint.grammar or isinstance(constraint.grammar, str):
            raise AigcError("constrain: there are no texts to choose from")
        return " | ".join(json.dumps(text, ensure_ascii=False) for text in constraint.grammar)
    assert isinstance(constraint.grammar, str)
    if constraint.kind == "regex":
        return "/" + re.sub(r"(\\.)|/", lambda found: found[1] or r"\/", constraint.grammar, flags=re.DOTALL) + "/"
    try:
        schema: Any = json.loads(constraint.grammar)
    except ValueError as error:
        raise AigcError(f"constrain: the JSON schema is no JSON: {error}") from None
    if schema is True:
        schema = {}
    if isinstance(schema, dict):
        schema = {**schema, "x-guidance": {"whitespace_pattern": _SPACES, **schema.get("x-guidance", {})}}
    return "%json " + json.dumps(schema)


def _plain(message: str) -> str:
    """A message of several lines, without the places in a grammar that no user wrote, as one line."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    kept = [line for line in lines if not re.match(r"\d+ \||\^+$|~+$", line)]
    return re.sub(r"^at \d+\(\d+\): ", "", ": ".join(line.rstrip(":") for line in kept))
