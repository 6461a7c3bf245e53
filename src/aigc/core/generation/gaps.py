"""A prompt with gaps into the texts between them, and these with what fills the gaps into the whole text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import models

from aigc.core.generation.request import Request
from aigc.core.tokens.text import TextCodec

__all__ = ["GAP", "Gapped", "filled", "is_spaced", "parts_of"]

GAP = "[MASK]"
"""A gap in a prompt, whatever the tokenizer calls its mask; that name stands for a gap as well."""

_WIDE = (
    "\u2e80-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"  # Han, kana, the marks of their prose
)
_NO_SPACE = re.compile(rf"(?<=[{_WIDE}(\[{{]) | (?=[{_WIDE},.;:!?%)\]}}])")
_IS_WIDE = re.compile(f"[{_WIDE}]")
_NEAR = 32  # characters before a gap that are decoded with it: what stands further off does not change how they are joined


@dataclass(frozen=True)
class Gapped(Request):
    """A prompt with gaps."""

    texts: tuple[str, ...] = ()  # before the first gap, between the gaps, behind the last one


def parts_of(text: str, codec: TextCodec) -> list[str]:
    """The texts between the gaps, one more than there are gaps."""
    names = [GAP] if codec.mask is None else [GAP, codec.tokenizer.convert_ids_to_tokens(codec.mask)]
    return re.split("|".join(map(re.escape, names)), text)


def is_spaced(codec: TextCodec) -> bool:
    """Whether a mask stands for the space before a word as well, so that none is left before it."""
    return codec.mask is not None and bool(codec.tokenizer.added_tokens_decoder[codec.mask].lstrip)


def filled(texts: Sequence[str], tokens: Sequence[int], codec: TextCodec) -> str:
    """The whole text: as it was given, with a token in each gap.

    Tokens side by side are decoded together. Where the tokens of a tokenizer do not tell whether a space stands before a word
    (those of BERT's WordPiece), there is one between two words, and none beside Han characters, kana and closing marks. A token
    that goes on with the word before it takes away the space that the prompt has between them.

    Args:
        texts: of Gapped.
        tokens: one for each gap.
    """
    model = codec.tokenizer.backend_tokenizer.model
    inner = model.continuing_subword_prefix if isinstance(model, models.WordPiece) else None
    done = texts[0]
    at = 0
    while at < len(tokens):
        end = at + 1
        while end < len(tokens) and not texts[end]:
            end += 1
        near = done[-_NEAR:]
        (before,) = codec.encode([near.rstrip() if is_spaced(codec) else near])
        said = _said(before, tokens[at:end], codec)
        if inner is None:
            done = _joined(done, said)
        else:
            done = _joined_words(done, said.removeprefix(inner))
            if _is_word(done[-1:]) and _is_word(texts[end][:1]):
                done += " "
        done += texts[end]
        at = end
    return done


def _said(before: Sequence[int], tokens: Sequence[int], codec: TextCodec) -> str:
    """What some tokens say behind others."""
    known, whole = codec.decode(before), codec.decode([*before, *tokens])
    return whole[len(known) :] if whole.startswith(known) else codec.decode(tokens)


def _joined(before: str, said: str) -> str:
    """A text and what tokens say behind it."""
    if not before or before[-1].isspace():
        if _is_word(said[:1]) and not said[0].isdigit() and _is_word(before.rstrip(" ")[-1:]):
            return before.rstrip(" ") + said
        return before + said.lstrip()
    return before + said


def _joined_words(before: str, said: str) -> str:
    """As `_joined`, where `said` has a space before every word."""
    rest = _NO_SPACE.sub("", said.removeprefix(" "))
    if not said.startswith(" "):
        return _joined(before, rest)
    return before + " " * (_is_word(before[-1:]) and _is_word(rest[:1])) + rest


def _is_word(character: str) -> bool:
    """Whether it is part of a word of a language that has spaces between words."""
    return character.isalnum() and not _IS_WIDE.match(character)
