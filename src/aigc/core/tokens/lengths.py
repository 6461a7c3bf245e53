"""A tokenizer's vocabulary into how many bytes of text each of its tokens stands for."""

import json
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, pre_tokenizers

__all__ = ["byte_lengths", "is_exact"]

_BYTE = re.compile("<0x[0-9A-F]{2}>")
_SPACE = "▁"


def _decoders(backend: Tokenizer) -> list[dict[str, Any]]:
    """The steps of the decoder, as the tokenizer's JSON has them."""
    state = backend.decoder.__getstate__() if backend.decoder is not None else b"null"
    decoder: dict[str, Any] = json.loads(state) or {}
    steps: list[dict[str, Any]] = decoder.get("decoders", [decoder] if decoder else [])
    return steps


def is_exact(backend: Tokenizer) -> bool:
    """Whether the lengths of a text's tokens can add up to the text's: nothing is normalised, and what is rare becomes bytes."""
    return backend.normalizer is None and any(step["type"] in ("ByteLevel", "ByteFallback") for step in _decoders(backend))


def byte_lengths(backend: Tokenizer, vocabulary: int) -> NDArray[np.int64]:
    """(vocabulary,) UTF-8 bytes that each id stands for, 0 for special tokens and for ids that have no token.

    By the kind of decoder: GPT-2's characters are a byte each; SentencePiece's ▁ is a space and <0x0A> one byte; ## of WordPiece
    and </w> of BPE count nothing, so that a text without its spaces is counted. A space that a tokenizer puts before every text
    counts as one of the text.
    """
    steps = {step["type"]: step for step in _decoders(backend)}
    bytewise = "ByteLevel" in steps
    alphabet = frozenset(pre_tokenizers.ByteLevel.alphabet())
    spaced = "Metaspace" in steps or any(step["type"] == "Replace" and step.get("content") == " " for step in _decoders(backend))
    prefix = steps.get("WordPiece", {}).get("prefix", "")
    suffix = steps.get("BPEDecoder", {}).get("suffix", "")
    added = backend.get_added_tokens_decoder()
    lengths = np.zeros(vocabulary, np.int64)
    for token, number in backend.get_vocab(with_added_tokens=True).items():
        if number in added:
            lengths[number] = 0 if added[number].special else len(added[number].content.encode())
        elif bytewise:
            lengths[number] = len(token) if alphabet.issuperset(token) else len(token.encode())
        elif "ByteFallback" in steps and _BYTE.fullmatch(token):
            lengths[number] = 1
        else:
            text = token.replace(_SPACE, " ") if spaced else token
            lengths[number] = len(text.removeprefix(prefix).removesuffix(suffix).encode("utf-8", "surrogatepass"))
    return lengths
