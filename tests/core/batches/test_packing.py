"""Packing loses no token, learns no prompt, and mixes no two documents."""

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from aigc.core.batches.packing import IGNORED, Accounting, Batch, Packed, pack
from aigc.core.batches.shards import Example, Shards, open_shards, write_shards
from aigc.core.tokens.text import TextCodec

SEEDS = st.one_of(st.none(), st.integers(0, 2**31))
CONTEXTS = st.integers(1, 24)
# of each document: prompt tokens with the start token, completion tokens with the end-of-text token
DOCUMENTS = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 40)), min_size=1, max_size=30)


def _shards(documents: list[tuple[int, int]]) -> Shards:
    """Documents in which every token of the corpus has a number of its own."""
    lengths = [head + tail for head, tail in documents]
    tokens = np.arange(1, sum(lengths) + 1, dtype=np.uint16)
    return Shards(tokens, np.cumsum([0, *lengths]), np.array([head for head, _ in documents]), 1)


def _plain(documents: list[tuple[int, int]]) -> Shards:
    """The same without prompts: everything after the start token is learned."""
    return _shards([(1, head + tail - 1) for head, tail in documents])


def _epoch(packed: Packed) -> Batch:
    """The rows of the first epoch, as one batch."""
    batches = [packed[k] for k in range(len(packed))]
    names = ("input_ids", "position_ids", "labels")
    return Batch(*(torch.cat([getattr(batch, name) for batch in batches])[: packed.rows] for name in names))


def _pieces(batch: Batch) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Input ids and labels of each stretch of rising positions, padding left out (no document has the token 0)."""
    found = []
    for ids, positions, labels in zip(batch.input_ids, batch.position_ids, batch.labels, strict=True):
        starts = [*torch.nonzero(positions == 0).flatten().tolist(), len(positions)]
        for start, stop in pairwise(starts):
            assert positions[start:stop].tolist() == list(range(stop - start))
            if ids[start] != 0:
                found.append((ids[start:stop].numpy(), labels[start:stop].numpy()))
            else:
                assert not ids[start:].any()
                assert (labels[start:] == IGNORED).all()
    return found


def _counts_agree(batch: Batch, accounting: Accounting, shards: Shards) -> None:
    rows, context = batch.input_ids.shape
    assert accounting.documents == shards.documents
    assert accounting.rows == rows
    assert accounting.tokens == int((batch.input_ids != 0).sum())
    assert accounting.label_tokens == int((batch.labels != IGNORED).sum())
    assert accounting.padding == pytest.approx(1 - accounting.tokens / (rows * context) if rows else 1)


@given(documents=DOCUMENTS, context=CONTEXTS, seed=SEEDS, batch_size=st.integers(1, 5))
@settings(deadline=None)
def test_every_token_once_and_its_follower_as_label(
    documents: list[tuple[int, int]], context: int, seed: int | None, batch_size: int
) -> None:
    shards = _plain(documents)
    packed, accounting = pack(shards, context=context, batch_size=batch_size, seed=seed, whole=False)
    batch = _epoch(packed)
    seen: list[int] = []
    for ids, labels in _pieces(batch):
        assert labels.tolist() == (ids + 1).tolist()  # tokens are numbered, so this is the following one
        document = np.searchsorted(shards.offsets, ids[0] - 1, side="right") - 1
        assert labels[-1] - 1 < shards.offsets[document + 1]  # of the same document
        seen += ids.tolist()
    inputs = [token for i in range(shards.documents) for token in shards.tokens[slice(*shards.offsets[i : i + 2])][:-1]]
    assert sorted(seen) == inputs
    _counts_agree(batch, accounting, shards)
    assert accounting.cut == sum(sum(document) > context + 1 for document in documents)
    assert (accounting.truncated, accounting.dropped) == (0, 0)


@given(documents=DOCUMENTS, context=CONTEXTS, seed=SEEDS, batch_size=st.integers(1, 5))
@settings(deadline=None)
def test_pairs_stay_whole_and_prompts_are_not_learned(
    documents: list[tuple[int, int]], context: int, seed: int | None, batch_size: int
) -> None:
    shards = _shards(documents)
    packed, accounting = pack(shards, context=context, batch_size=batch_size, seed=seed, whole=True)
    batch = _epoch(packed) if packed.rows else Batch(*torch.zeros(3, 0, context, dtype=torch.int64))
    learned = {}
    for ids, labels in _pieces(batch):
        document = int(np.searchsorted(shards.offsets, ids[0] - 1, side="right")) - 1
        assert document not in learned  # in one piece, from its first token
        assert ids[0] - 1 == shards.offsets[document]
        head, tail = documents[document]
        assert len(ids) == min(head + tail - 1, context)
        assert (labels[: head - 1] == IGNORED).all()
        assert labels[head - 1 :].tolist() == (ids[head - 1 :] + 1).tolist()
        learned[document] = labels
    fits = [head + tail <= context + 1 for head, tail in documents]
    drops = [head > context for head, _ in documents]
    assert sorted(learned) == [i for i, drop in enumerate(drops) if not drop]
    for document, fit in enumerate(fits):
        if fit:  # its end-of-text is learned
            assert learned[document][-1] == shards.tokens[shards.offsets[document + 1] - 1]
    _counts_agree(batch, accounting, shards)
    assert accounting.dropped == sum(drops)
    assert accounting.truncated + accounting.dropped == len(fits) - sum(fits)
    assert accounting.cut == 0


def test_a_row_is_filled_as_far_as_pieces_allow() -> None:
    packed, accounting = pack(_plain([(1, n) for n in (8, 5, 3, 4, 4, 8)]), context=8, batch_size=2, seed=3, whole=False)
    assert (packed.rows, len(packed), accounting.padding) == (4, 2, 0.0)


def test_a_seed_shuffles_the_rows_anew_in_each_epoch() -> None:
    shards = _plain([(1, 7)] * 20)
    packed, other = (pack(shards, context=8, batch_size=5, seed=seed, whole=False)[0] for seed in (1, 2))
    assert (packed.rows, len(packed)) == (20, 4)
    epochs = [torch.cat([packed[k].input_ids for k in range(first, first + 4)]).tolist() for first in (0, 4, 8)]
    assert epochs[0] != epochs[1] != epochs[2]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(epochs[2])
    assert torch.cat([other[k].input_ids for k in range(4)]).tolist() != epochs[0]


@given(documents=DOCUMENTS, seed=st.integers(0, 99), batch_size=st.integers(1, 5), number=st.integers(0, 40))
@settings(deadline=None, max_examples=50)
def test_a_batch_depends_on_its_number_only(documents: list[tuple[int, int]], seed: int, batch_size: int, number: int) -> None:
    shards = _plain(documents)
    walked, fresh = (pack(shards, context=8, batch_size=batch_size, seed=seed, whole=False)[0] for _ in range(2))
    if not walked.rows:
        return
    for k in range(number + 1):
        batch = walked[k]
    for name in ("input_ids", "position_ids", "labels"):
        assert torch.equal(getattr(batch, name), getattr(fresh[number], name))
        assert getattr(batch, name).shape == (batch_size, 8)


def test_without_a_seed_an_epoch_is_the_rows_once() -> None:
    packed, _ = pack(_plain([(1, 8)] * 5), context=8, batch_size=2, seed=None, whole=False)
    assert [len(packed[k].input_ids) for k in range(len(packed))] == [2, 2, 1]
    assert _epoch(packed).input_ids[:, 0].tolist() == [1, 10, 19, 28, 37]


def test_shards_keep_ids_and_know_what_is_learned(codec: TextCodec, tmp_path: Path) -> None:
    examples = [Example("雨声。", "Rain:"), Example("no prompt"), Example("", "only a prompt")]
    written = write_shards(tmp_path / "shards", iter([examples[:2], [], examples[2:]]), codec)
    opened = open_shards(tmp_path / "shards")
    for shards in (written, opened):
        assert shards.tokens.dtype == np.uint16
        assert shards.documents == 3
        assert shards.text_bytes == len("雨声。no prompt".encode())
        for i, example in enumerate(examples):
            prompt, completion = codec.encode([example.prompt, example.completion])
            ids = shards.tokens[shards.offsets[i] : shards.offsets[i + 1]].tolist()
            assert ids == [*codec.start, *prompt, *completion, codec.end]
            assert shards.unlearned[i] == len(codec.start) + len(prompt)


def test_a_vocabulary_beyond_two_bytes_takes_four(codec: TextCodec, tmp_path: Path) -> None:
    class Wide(TextCodec):
        vocabulary = (1 << 16) + 1

    assert write_shards(tmp_path, [[Example("a")]], Wide(codec.tokenizer)).tokens.dtype == np.uint32


def test_no_documents_are_no_tokens(codec: TextCodec) -> None:
    with TemporaryDirectory() as folder:
        shards = write_shards(Path(folder), [], codec)
    assert (shards.documents, len(shards.tokens), shards.text_bytes) == (0, 0, 0)
    packed, accounting = pack(shards, context=8, batch_size=2, seed=0, whole=False)
    assert (packed.rows, len(packed), accounting.label_tokens) == (0, 0, 0)
