"""A codec into the bytes that each of its tokens adds to a decoded text, which may depend on what stands before it."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from aigc.core.tokens.text import TextCodec
from aigc.errors import AigcError

__all__ = ["BYTE", "Spelling", "byte_tokens", "known_tokens", "spelling"]

BYTE = re.compile("<0x([0-9A-F]{2})>")
"""How SentencePiece's vocabularies name the bytes of what is rare."""
_WIDE = re.compile("[\u4e00-\u9fff]")
_MOST_SITUATIONS = 4
_CHUNK = 4096  # token sequences that are decoded at once


@dataclass(frozen=True)
class Spelling:
    """What each token adds to a text. Situation 0 is the begin of a text.

    A byte-level vocabulary knows one situation; SentencePiece's loses a space at the begin of a text; WordPiece puts a space before
    most tokens, but for instance none between two Han characters.
    """

    added: tuple[tuple[bytes, ...], ...]  # for each situation, each token's bytes; none for special tokens and ids without a token
    after: tuple[int, ...]  # the situation behind each token; -1: the one before it

    def next(self, situation: int, token: int) -> int:
        """The situation behind a token."""
        after = self.after[token]
        return situation if after < 0 else after


def known_tokens(codec: TextCodec) -> NDArray[np.int64]:
    """The ids that have a token, ascending."""
    return _known(codec)


def byte_tokens(codec: TextCodec) -> frozenset[int]:
    """The ids that stand for a byte each and are decoded together: what a run of them says is known only where it ends."""
    if not codec.tokenizer.is_fast or "ByteFallback" not in _decoders(codec.tokenizer.backend_tokenizer):
        return frozenset()
    return frozenset(id_ for name, id_ in codec.tokenizer.get_vocab().items() if BYTE.fullmatch(name))


@lru_cache(maxsize=4)
def _known(codec: TextCodec) -> NDArray[np.int64]:
    return np.unique(np.fromiter(codec.tokenizer.get_vocab().values(), np.int64))


@lru_cache(maxsize=4)
def spelling(codec: TextCodec) -> Spelling:
    """The bytes of all tokens; a second for a vocabulary of 50,000 that is not byte-level.

    Raises:
        AigcError: what a token adds cannot be told, since the tokenizer is no fast one, or changes what it has decoded before.
    """
    if not codec.tokenizer.is_fast:
        raise AigcError(f"the bytes of tokens: the tokenizer of {codec.tokenizer.name_or_path!r} is not fast")
    backend: Tokenizer = codec.tokenizer.backend_tokenizer
    kinds = _decoders(backend)
    special = {id_ for id_, token in backend.get_added_tokens_decoder().items() if token.special}
    names = {id_: name for name, id_ in backend.get_vocab(with_added_tokens=True).items() if id_ not in special}
    if "ByteLevel" in kinds:
        alphabet = _alphabet()
        row = [b""] * codec.vocabulary
        for id_, name in names.items():
            row[id_] = bytes(alphabet[c] for c in name) if alphabet.keys() >= set(name) else name.encode()
        return Spelling((tuple(row),), (-1,) * codec.vocabulary)
    return _probed(codec, backend, names, kinds)


def _decoders(backend: Tokenizer) -> frozenset[str]:
    """The kinds of the decoder's steps."""
    state = json.loads(backend.decoder.__getstate__()) if backend.decoder is not None else {}
    return frozenset(step["type"] for step in state.get("decoders", [state] if state else []))


def _alphabet() -> dict[str, int]:
    """The character that stands for each byte in byte-level vocabularies. Source: bytes_to_unicode (Radford et al. 2019)."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = count(256)
    return {chr(byte if byte in printable else next(others)): byte for byte in range(256)}


def _probed(codec: TextCodec, backend: Tokenizer, names: dict[int, str], kinds: frozenset[str]) -> Spelling:
    """What the decoder makes of each token behind others."""
    bytes_ = {id_: int(found[1], 16) for id_, name in names.items() if (found := BYTE.fullmatch(name))}
    if "ByteFallback" not in kinds:
        bytes_ = {}
    ids = sorted(names.keys() - bytes_.keys())
    alone = _decoded(backend, [[id_] for id_ in ids])
    tables = [alone]
    situation = dict.fromkeys(names, 1)
    first = next((id_ for id_, text in zip(ids, alone, strict=True) if text.isascii() and text.isalpha()), None)
    wide = next((id_ for id_, text in zip(ids, alone, strict=True) if _WIDE.fullmatch(text)), None)
    before = [first if first is not None else next((id_ for id_, text in zip(ids, alone, strict=True) if text), ids[0])]
    if kinds & {"WordPiece", "BPEDecoder", "CTC"} or not kinds:  # what they put between two tokens depends on both
        probes = [id_ for id_ in (first, wide) if id_ is not None]
        behind = [_behind(codec, backend, ids, probe) for probe in probes]
        signs = list(zip(*behind, strict=True)) if probes else [()] * len(ids)
        before = [ids[signs.index(sign)] for sign in dict.fromkeys(signs)]
        numbers = {sign: number for number, sign in enumerate(dict.fromkeys(signs), start=1)}
        situation |= {id_: numbers[sign] for id_, sign in zip(ids, signs, strict=True)}
        if len(before) > _MOST_SITUATIONS:
            raise AigcError(_unclear(codec))
    for anchor in before:
        head = _decoded(backend, [[anchor]])[0]
        tables.append(_tails(codec, [head] * len(ids), _decoded(backend, [[anchor, id_] for id_ in ids])))
    rows = []
    for table in tables:
        row = [b""] * codec.vocabulary
        for id_, text in zip(ids, table, strict=True):
            row[id_] = text.encode("utf-8", "surrogatepass")
        for id_, byte in bytes_.items():
            row[id_] = bytes([byte])
        rows.append(tuple(row))
    if bytes_ and (space := next((id_ for id_, byte in bytes_.items() if byte == 0x20), None)) is not None:
        rows[0] = (*rows[0][:space], _decoded(backend, [[space]])[0].encode(), *rows[0][space + 1 :])  # may be stripped there
    if all(row == rows[0] for row in rows):
        return Spelling((rows[0],), (-1,) * codec.vocabulary)
    return Spelling(tuple(rows), tuple(situation.get(id_, -1) for id_ in range(codec.vocabulary)))


def _behind(codec: TextCodec, backend: Tokenizer, ids: list[int], probe: int) -> list[str]:
    """What a token adds behind each of the ids."""
    return _tails(codec, _decoded(backend, [[id_] for id_ in ids]), _decoded(backend, [[id_, probe] for id_ in ids]))


def _decoded(backend: Tokenizer, sequences: Sequence[list[int]]) -> list[str]:
    texts: list[str] = []
    for at in range(0, len(sequences), _CHUNK):
        texts += backend.decode_batch(list(sequences[at : at + _CHUNK]), skip_special_tokens=True)
    return texts


def _tails(codec: TextCodec, heads: list[str], texts: list[str]) -> list[str]:
    if not all(text.startswith(head) for head, text in zip(heads, texts, strict=True)):
        raise AigcError(_unclear(codec))
    return [text[len(head) :] for head, text in zip(heads, texts, strict=True)]


def _unclear(codec: TextCodec) -> str:
    return f"the tokenizer of {codec.tokenizer.name_or_path!r} does not tell what a token adds to a text: ban and constrain nothing"
