"""Examples into documents of token ids, with what each token weighs, a batch ahead of whoever writes them."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aigc.core.batches.example import Example, Span
from aigc.core.batches.sample import Ids
from aigc.core.tokens.codec import Codec, Marks

__all__ = ["Document", "Encoded", "encoded", "weighed"]


class Document(NamedTuple):
    """An example's tokens: `head` + `completion` + `alternative`."""

    head: list[int]  # start and prompt
    completion: list[int]  # and the end, but for a chat
    alternative: list[int]  # and the end, but for a chat; often none
    marks: list[int]  # the completion's tokens at which a unit begins
    weights: NDArray[np.float32] | None = None  # (L,) of all tokens; None for 1 each

    @property
    def first(self) -> int:
        """Tokens before the first one that is learned: all of them where none is."""
        if self.weights is None:
            return len(self.head)
        learned = np.flatnonzero(self.weights)
        return int(learned[0]) if len(learned) else len(self.weights)


@dataclass(frozen=True)
class Encoded:
    """A batch of examples with their documents."""

    examples: list[Example]  # those that have something to learn
    documents: list[Document]
    empty: int  # how many have not


def encoded(batches: Iterable[Sequence[Example]], codec: Codec, marks: Marks | None) -> Iterator[Encoded]:
    """Each batch, one ahead in a thread of its own: the tokenizer works without the interpreter's lock."""
    with ThreadPoolExecutor(1) as pool:
        waiting = None
        for batch in filter(len, batches):
            coming = pool.submit(_encode, batch, codec, marks)
            if waiting is not None:
                yield waiting.result()
            waiting = coming
        if waiting is not None:
            yield waiting.result()


def _encode(batch: Sequence[Example], codec: Codec, marks: Marks | None) -> Encoded:
    kept = [one for one in batch if not one.empty]
    if not any(one.literal or one.spans for one in kept):
        return Encoded(kept, _plain(kept, codec, marks), len(batch) - len(kept))
    plain = iter(_plain([one for one in kept if not (one.literal or one.spans)], codec, marks))
    spanned = iter(_spanned([one for one in kept if one.spans and not one.literal], codec, marks))
    chats = iter(_chats([one for one in kept if one.literal], codec))
    documents = [next(chats if one.literal else spanned if one.spans else plain) for one in kept]
    return Encoded(kept, documents, len(batch) - len(kept))


def _plain(examples: Sequence[Example], codec: Codec, marks: Marks | None) -> list[Document]:
    texts = [one.completion for one in examples]
    if marks is None:
        completions = codec.encode(texts)
        begins: list[list[int]] = [[] for _ in texts]
    else:
        marked = codec.encode_marked(texts, marks)
        completions, begins = [ids for ids, _ in marked], [tokens for _, tokens in marked]
    alternatives = _encode_some([one.alternative or "" for one in examples], codec)
    for one, ids, other in zip(examples, completions, alternatives, strict=True):
        ids.append(codec.end)
        if one.alternative is not None:
            other.append(codec.end)
    heads = [[*codec.start, *prompt] for prompt in _encode_some([one.prompt for one in examples], codec)]
    return [Document(*parts) for parts in zip(heads, completions, alternatives, begins, strict=True)]


def _spanned(examples: Sequence[Example], codec: Codec, marks: Marks | None) -> list[Document]:
    """As plain ones, with the weights of their spans; the end weighs 1, unless nothing of the completion is learned."""
    documents = _plain(examples, codec, marks)
    found = codec.encode_spans([one.completion for one in examples]) if examples else []
    for number, (one, (_, characters)) in enumerate(zip(examples, found, strict=True)):
        assert one.alternative is None, "pairs of completions have no spans"
        own = weighed(characters, one.spans)
        documents[number] = _weighted(documents[number], np.append(own, np.float32(own.any())))
    return documents


def _chats(examples: Sequence[Example], codec: Codec) -> list[Document]:
    """Chats as a template has rendered them; the spans tell what of them is learned."""
    if not examples:
        return []
    prompts = [one.prompt for one in examples]
    heads = [ids for ids, _ in codec.encode_spans(prompts, specials=True)]
    completions = _behind(prompts, heads, [one.completion for one in examples], codec)
    alternatives = _behind(prompts, heads, [one.alternative or "" for one in examples], codec)
    documents = []
    for one, head, (ids, characters), (other, _) in zip(examples, heads, completions, alternatives, strict=True):
        document = Document(head, ids, other, [])
        if one.spans:
            assert one.alternative is None, "pairs of completions have no spans"
            document = _weighted(document, weighed(characters, one.spans))
        documents.append(document)
    return documents


def _behind(prompts: Sequence[str], heads: Sequence[list[int]], texts: Sequence[str], codec: Codec) -> list[tuple[list[int], Ids]]:
    """The tokens of texts as they stand behind their prompts, whose tokens are `heads`.

    The two are tokenised together, for a tokenizer may treat the beginning of a text in its own way, and only where a token would
    reach from one into the other, the text by itself: what is read is what will be read when the model is asked.
    """
    joined = codec.encode_spans([prompt + text for prompt, text in zip(prompts, texts, strict=True)], specials=True)
    found = []
    for prompt, head, text, (ids, characters) in zip(prompts, heads, texts, joined, strict=True):
        if ids[: len(head)] == head:
            found.append((ids[len(head) :], characters[len(head) :] - len(prompt)))
        else:
            found += codec.encode_spans([text], specials=True)
    return found


def weighed(characters: Ids, spans: Sequence[Span]) -> NDArray[np.float32]:
    """(L,) What tokens weigh that stand for these characters (L, 2): as the span that they overlap, of several the lowest."""
    begins, ends = np.maximum.accumulate(characters, axis=0).T
    ends = np.maximum(ends, begins + 1)  # one that stands for nothing goes with what is behind it
    weights = np.full(len(characters), np.inf, np.float32)
    for span in spans:
        if span.begin < span.end:
            overlapping = slice(int(np.searchsorted(ends, span.begin, "right")), int(np.searchsorted(begins, span.end, "left")))
            weights[overlapping] = np.minimum(weights[overlapping], np.float32(span.weight))
    weights[np.isinf(weights)] = 1
    return weights


def _weighted(document: Document, weights: NDArray[np.float32]) -> Document:
    """With weights of the completion's tokens and its end's. What is read before has none, nor has the first token of all."""
    full = np.concatenate([np.zeros(len(document.head), np.float32), weights])
    full[:1] = 0
    return document._replace(weights=full)


def _encode_some(texts: Sequence[str], codec: Codec) -> list[list[int]]:
    """The ids of texts that are often all empty."""
    return codec.encode(texts) if any(texts) else [[] for _ in texts]
