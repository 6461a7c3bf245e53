"""Text into token ids and back: a tokenizer trained here, or the tokenizer of a checkpoint."""

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from aigc.core.tokens.codec import Marks
from aigc.core.tokens.lengths import byte_lengths, is_exact
from aigc.core.tokens.literal import literal
from aigc.core.tokens.specials import END_OF_TEXT, INFILL
from aigc.errors import AigcError

__all__ = ["END_OF_TEXT", "PREFIX", "TextCodec"]

PREFIX = "aigc_prefix"  # in tokenizer_config.json

_SENTINEL = re.compile(r"<extra_id_(\d+)>")
_INFILL = [
    INFILL,
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),  # StarCoder
    ("▁<PRE>", "▁<SUF>", "▁<MID>"),  # Code Llama
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # DeepSeek-Coder
]


class TextCodec:
    """A transformers tokenizer as a Codec.

    Raises:
        AigcError: the tokenizer has no end-of-text token (nor a separator, as BERT's), so that a model could never learn to stop.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.sep_token_id
        if end is None:
            raise AigcError(f"the tokenizer of {tokenizer.name_or_path!r} has no end-of-text token")
        self.tokenizer = tokenizer
        self.start: list[int] = _start(tokenizer)
        self.end: int = end
        self.pad: int = end if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        self.mask: int | None = tokenizer.mask_token_id
        self.unknown: int | None = tokenizer.unk_token_id if tokenizer.unk_token_id != end else None

    @property
    def vocabulary(self) -> int:
        """See Codec."""
        return self._vocabulary

    @cached_property
    def _vocabulary(self) -> int:
        return max(len(self.tokenizer), 1 + max(self.tokenizer.get_vocab().values(), default=-1))

    @property
    def prefix(self) -> str:
        """What a text begins with that the model is to continue: the token of safe documents, where it was trained with one."""
        return str(self.tokenizer.init_kwargs.get(PREFIX, ""))

    @cached_property
    def sentinels(self) -> list[int]:
        """See Codec."""
        found = {match: id_ for name, id_ in self.tokenizer.get_added_vocab().items() if (match := _SENTINEL.fullmatch(name))}
        return [found[match] for match in sorted(found, key=lambda match: int(match[1]))]

    @cached_property
    def infill(self) -> tuple[int, int, int] | None:
        """See Codec."""
        vocab = self.tokenizer.get_vocab()
        for prefix, suffix, middle in _INFILL:
            if prefix in vocab and suffix in vocab and middle in vocab:
                return vocab[prefix], vocab[suffix], vocab[middle]
        return None

    @cached_property
    def byte_lengths(self) -> NDArray[np.int64]:
        """See Codec; `lengths.byte_lengths` says how each kind of tokenizer is counted."""
        return byte_lengths(self._fast("lengths of tokens"), self._vocabulary)

    @cached_property
    def _literal(self) -> Tokenizer:
        return literal(self._fast("encoding"))

    @cached_property
    def _parsing(self) -> Tokenizer:
        copy = Tokenizer.from_str(self._fast("encoding").to_str())
        copy.no_truncation()
        copy.no_padding()
        copy.post_processor = None  # GPT-2's takes the spaces off what a token stands for
        return copy

    @cached_property
    def _exact(self) -> bool:
        return is_exact(self._literal)

    def _fast(self, what: str) -> Tokenizer:
        if not self.tokenizer.is_fast:
            raise AigcError(
                f"{what}: the tokenizer of {self.tokenizer.name_or_path!r} is none of the tokenizers library (not fast)"
            )
        backend: Tokenizer = self.tokenizer.backend_tokenizer
        return backend

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """See Codec. The names of special tokens inside a text are text."""
        if not self.tokenizer.is_fast:
            ids: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True).input_ids
            return ids
        return [encoding.ids for encoding in self._literal.encode_batch_fast(list(texts), add_special_tokens=False)]

    def encode_marked(self, texts: Sequence[str], marks: Marks) -> list[tuple[list[int], list[int]]]:
        """See Codec.

        Where tokens are bytes of the text, their lengths tell where each stands; else the tokenizer does, at half the speed.

        Raises:
            AigcError: the tokenizer cannot tell where in a text its tokens stand.
        """
        texts = list(texts)
        if not self._exact:
            return self._by_offsets(texts, marks)
        marked: list[tuple[list[int], list[int]]] = []
        for text, ids in zip(texts, self.encode(texts), strict=True):
            ends = np.cumsum(self.byte_lengths[np.asarray(ids, np.int64)])
            if (int(ends[-1]) if len(ids) else 0) == len(text.encode()):
                marked.append((ids, _tokens_at(ends, _bytes_before(text, marks(text)))))
            else:
                marked += self._by_offsets([text], marks)
        return marked

    def _by_offsets(self, texts: list[str], marks: Marks) -> list[tuple[list[int], list[int]]]:
        return [
            (ids, _tokens_at(np.maximum.accumulate(spans[:, 1]), np.asarray(marks(text), np.int64)))
            for text, (ids, spans) in zip(texts, self.encode_spans(texts), strict=True)
        ]

    def encode_spans(self, texts: Sequence[str], *, specials: bool = False) -> list[tuple[list[int], NDArray[np.int64]]]:
        """See Codec.

        Raises:
            AigcError: the tokenizer cannot tell where in a text its tokens stand.
        """
        encodings = (self._parsing if specials else self._literal).encode_batch(list(texts), add_special_tokens=False)
        return [(one.ids, np.asarray(one.offsets, np.int64).reshape(-1, 2)) for one in encodings]

    def decode(self, ids: Sequence[int]) -> str:
        """See Codec."""
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def save(self, folder: Path) -> None:
        """See Codec."""
        self.tokenizer.save_pretrained(folder)


def _start(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """What the tokenizer puts before a text."""
    plain, full = (tokenizer("a", add_special_tokens=add).input_ids for add in (False, True))
    for at in range(len(full) - len(plain) + 1):
        if plain and full[at : at + len(plain)] == plain:
            return list(full[:at])
    return [id_ for id_ in full[:1] if id_ in (tokenizer.bos_token_id, tokenizer.cls_token_id)]


def _bytes_before(text: str, offsets: Sequence[int]) -> NDArray[np.int64]:
    """Character offsets as byte offsets in UTF-8."""
    at = np.asarray(offsets, np.int64)
    if text.isascii() or not len(at):
        return at
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    sizes = 1 + (points > 0x7F).astype(np.int64) + (points > 0x7FF) + (points > 0xFFFF)
    before = np.concatenate([[0], np.cumsum(sizes)])
    result: NDArray[np.int64] = before[at]
    return result


def _tokens_at(ends: NDArray[np.int64], offsets: NDArray[np.int64]) -> list[int]:
    """The tokens in which the offsets lie, ascending, each once, the first one always among them."""
    if not len(ends):
        return []
    tokens = np.searchsorted(ends, offsets, side="right")
    return sorted({0, *tokens[tokens < len(ends)].tolist()})
