"""Documents on disk: every token is there, prompts are told from what is learned, and half a folder is not taken for whole."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from aigc.core.batches.example import Example
from aigc.core.batches.pieces import Pieces
from aigc.core.batches.shards import Shards, open_shards, write_shards
from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.units import marks_of

TEXTS = ["Two words.", "...", "今天的天气很好。我们去公园。", "A first line. And a second one!\n\n下一段。"]


def documents_of(shards: Shards) -> list[list[int]]:
    starts = [0, *shards.ends.tolist()]
    return [shards.tokens[start:stop].tolist() for start, stop in pairwise(starts)]


def test_documents_are_start_prompt_completion_and_end(tmp_path: Path, codec: TextCodec) -> None:
    examples = [Example(text, "Say:\n", row) for row, text in enumerate(TEXTS)]
    shards = write_shards(tmp_path, [examples[:3], [], examples[3:]], codec)
    prompt = codec.encode(["Say:\n"])[0]
    wanted = [[*codec.start, *prompt, *ids, codec.end] for ids in codec.encode(TEXTS)]
    assert documents_of(shards) == wanted
    assert shards.unlearned.tolist() == [len(codec.start) + len(prompt)] * 4
    assert shards.rows.tolist() == [0, 1, 2, 3]
    assert shards.text_bytes == sum(len(text.encode()) for text in TEXTS)
    assert documents_of(open_shards(tmp_path)) == wanted
    assert {path.name for path in tmp_path.iterdir()} == {
        "index.json",
        *(f"{name}.bin" for name in ("tokens", "ends", "unlearned", "rows", "marks")),
    }


def test_what_has_no_completion_is_counted_and_left_out(tmp_path: Path, codec: TextCodec) -> None:
    texts = ["Two words.", "", "  \n\u3000", "雨"]
    told: list[int] = []
    batches = [[Example(text, "Say:", row)] for row, text in enumerate(texts)]
    shards = write_shards(tmp_path, batches, codec, advance=told.append)
    assert (shards.documents, shards.empty, shards.rows.tolist()) == (2, 2, [0, 3])
    assert told == [1] * 4
    assert open_shards(tmp_path).empty == 2


def test_units_are_marked_where_they_begin(tmp_path: Path, codec: TextCodec) -> None:
    shards = write_shards(tmp_path, [[Example(text) for text in TEXTS]], codec, marks_of("sentence"))
    pieces = Pieces.of(shards, content=1000, overlap=0, whole=False).take(np.arange(4))
    for piece, text in zip(pieces, TEXTS, strict=True):
        sentences = [codec.decode(part.tolist()) for part in np.split(piece.ids, piece.marks)[1:]]
        begins = [*marks_of("sentence")(text), len(text)]
        assert sentences == [text[a:b] for a, b in pairwise(begins)]


def test_a_corpus_of_nothing_is_empty(tmp_path: Path, codec: TextCodec) -> None:
    shards = write_shards(tmp_path, [[]], codec)
    assert (shards.documents, len(shards.tokens)) == (0, 0)
    assert len(Pieces.of(shards, content=8, overlap=1, whole=False)) == 0


def test_what_is_complete_is_not_made_again(tmp_path: Path, codec: TextCodec) -> None:
    write_shards(tmp_path, [[Example(TEXTS[0])]], codec)

    def never() -> Sequence[Sequence[Example]]:
        raise AssertionError("it was read again")

    assert write_shards(tmp_path, iter(never, 0), codec).documents == 1


def test_what_was_killed_is_made_anew(tmp_path: Path, codec: TextCodec) -> None:
    def killed() -> Sequence[Example]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(tmp_path, iter(killed, 0), codec)
    assert write_shards(tmp_path, [[Example(TEXTS[0]), Example(TEXTS[2])]], codec).documents == 2


def test_a_piece_says_whether_its_document_begins_and_ends_there(tmp_path: Path, codec: TextCodec) -> None:
    shards = write_shards(tmp_path, [[Example(TEXTS[2])]], codec)
    whole = documents_of(shards)[0]
    for overlap in (0, 1):
        pieces = Pieces.of(shards, content=5, overlap=overlap, whole=False)
        found = pieces.take(np.arange(len(pieces)))
        assert [piece.head for piece in found] == [True] + [False] * (len(found) - 1)
        assert [piece.tail for piece in found] == [False] * (len(found) - 1) + [True]
        assert [id_ for n, piece in enumerate(found) for id_ in piece.ids.tolist()[overlap if n else 0 :]] == whole
