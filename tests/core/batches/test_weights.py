"""What spans, chats, targets and second completions become on disk: what each token weighs, and what a document is judged by."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.batches.encoding import weighed
from aigc.core.batches.example import Example, Span
from aigc.core.batches.pieces import Pieces
from aigc.core.batches.shards import Shards, open_shards, write_references, write_shards
from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.training import train
from aigc.errors import AigcError
from conftest import SENTENCES

TURN = ("<|im_start|>", "<|im_end|>")


@pytest.fixture(scope="module")
def chatting() -> TextCodec:
    """A tokenizer with the marks of turns."""
    codec = train(SENTENCES * 4, kind="bpe", family="decoder", vocabulary=400, context=64)
    codec.tokenizer.add_special_tokens({"additional_special_tokens": list(TURN)})
    return TextCodec(codec.tokenizer)


def documents_of(shards: Shards) -> list[tuple[list[int], list[float]]]:
    """Tokens and weights of each document."""
    assert shards.weights is not None
    starts = [0, *shards.ends.tolist()]
    return [(shards.tokens[a:b].tolist(), shards.weights[a:b].tolist()) for a, b in zip(starts, shards.ends.tolist(), strict=False)]


def written(folder: Path, examples: Sequence[Example], codec: TextCodec) -> Shards:
    return write_shards(folder, [examples], codec)


characters = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(0, 2)), max_size=20)
spans = st.lists(
    st.builds(
        lambda at, size, weight: Span(at, at + size, weight), st.integers(0, 60), st.integers(0, 9), st.floats(-2, 2, width=16)
    ),
    max_size=5,
)


@given(steps=characters, some=spans)
def test_a_token_weighs_as_the_lowest_span_that_it_overlaps(steps: list[tuple[int, int, int]], some: list[Span]) -> None:
    at, tokens = 0, []
    for gap, size, more in steps:  # so many tokens more that stand for the same characters
        at += gap
        tokens += [(at, at + size)] * (1 + more)
        at += size
    found = weighed(np.array(tokens, np.int64).reshape(-1, 2), some)
    for (begin, end), weight in zip(tokens, found.tolist(), strict=True):
        over = [span.weight for span in some if max(span.begin, begin) < min(span.end, end)]
        assert weight == min(over, default=1.0)


def test_a_token_that_stands_for_nothing_goes_with_what_is_behind_it() -> None:
    assert weighed(np.array([[0, 0], [0, 2], [2, 2], [2, 3]]), [Span(0, 1, 0.0)]).tolist() == [0, 0, 1, 1]


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_the_learned_characters_are_those_that_no_span_takes(codec: TextCodec, texts: list[str], seed: int) -> None:
    rng = np.random.default_rng(seed)
    examples = []
    for row, text in enumerate(texts):
        begin, end = sorted(rng.integers(0, len(text) + 1, 2).tolist())
        examples.append(
            Example(text, "Say: " * int(rng.integers(2)), row, spans=(Span(begin, end, 0.0),) if rng.random() < 0.7 else ())
        )
    with TemporaryDirectory() as folder:
        shards = write_shards(Path(folder), [examples[:2], examples[2:]], codec)
        plain = write_shards(Path(folder) / "plain", [[Example(one.completion, one.prompt) for one in examples]], codec)
        assert shards.tokens.tolist() == plain.tokens.tolist()
        if not any(one.spans for one in examples):
            assert shards.weights is None and shards.firsts is None
            return
        for (ids, weights), one, head, first in zip(
            documents_of(shards),
            examples,
            shards.unlearned,
            shards.firsts,
            strict=True,  # type: ignore[arg-type]
        ):
            read = {at for span in one.spans for at in range(span.begin, span.end)}
            ((_, places),) = codec.encode_spans([one.completion])
            wanted = [float(not read & set(range(*place))) for place in places.tolist()]
            assert weights[head:-1] == wanted
            assert weights[-1] == float(any(wanted))  # the end, unless all of it is read only
            learned = [at for at in range(head, len(ids)) if weights[at]]
            assert first == (learned[0] if learned else len(ids))


def test_chinese_characters_of_several_tokens_are_read_only_as_a_whole(tmp_path: Path, codec: TextCodec) -> None:
    text = "好𠮷好"
    shards = written(tmp_path, [Example(text, spans=(Span(1, 2, -0.5),))], codec)
    ((ids, weights),) = documents_of(shards)
    assert codec.decode([one for one, weight in zip(ids, weights, strict=True) if weight < 0]) == "𠮷"
    assert weights.count(-0.5) == 4 and weights[-1] == 1


def test_the_end_is_learned_behind_what_is_pushed_down_and_not_behind_what_is_only_read(tmp_path: Path, codec: TextCodec) -> None:
    shards = written(tmp_path, [Example("Rain.", spans=(Span(0, 5, weight),)) for weight in (-1.0, 0.0)], codec)
    (_, pushed), (_, read) = documents_of(shards)
    assert (pushed[-1], read[-1]) == (1, 0)
    for whole in (True, False):
        pieces = Pieces.of(shards, content=20, overlap=1, whole=whole)
        assert (len(pieces), pieces.dropped, pieces.truncated) == (1, 1, 0)


def test_a_chat_is_taken_as_it_is_rendered(tmp_path: Path, chatting: TextCodec) -> None:
    text = "<|im_start|>user\n今天<|im_end|>\n<|im_start|>assistant\n下雨。<|im_end|>\n"
    begin = text.index("下")
    read = (Span(0, begin, 0.0), Span(len(text) - 1, len(text), 0.0))
    shards = written(tmp_path, [Example(text, spans=read, literal=True), Example("Rain.")], chatting)
    (ids, weights), (other, ones) = documents_of(shards)
    assert ids == chatting.tokenizer(text, add_special_tokens=False).input_ids
    learned = [one for one, weight in zip(ids, weights, strict=True) if weight]
    assert learned == chatting.tokenizer("下雨。<|im_end|>", add_special_tokens=False).input_ids
    assert other == [*chatting.start, *chatting.encode(["Rain."])[0], chatting.end]
    assert ones == [1.0] * len(other)
    assert shards.unlearned.tolist() == [0, len(chatting.start)]
    (piece, plain) = Pieces.of(shards, content=99, overlap=1, whole=True).take(np.arange(2))
    assert piece.weights is not None and piece.weights.tolist() == weights
    assert plain.weights is None


def test_the_first_token_of_a_chat_is_no_label(tmp_path: Path, chatting: TextCodec) -> None:
    shards = written(tmp_path, [Example("Rain.<|im_end|>", literal=True, spans=(Span(5, 6, 0.0),))], chatting)
    ((_, weights),) = documents_of(shards)
    assert weights[0] == 0 and shards.firsts is not None and shards.firsts.tolist() == [1]


def test_a_chat_behind_a_prompt_has_the_tokens_of_both_together(tmp_path: Path, chatting: TextCodec) -> None:
    prompt, completion = "<|im_start|>user\nRain<|im_end|>\n<|im_start|>assistant\n", "It rains.<|im_end|>\n"
    shards = written(tmp_path, [Example(completion, prompt, literal=True, spans=(Span(0, 2, 0.0),))], chatting)
    ((ids, weights),) = documents_of(shards)
    head = len(chatting.tokenizer(prompt, add_special_tokens=False).input_ids)
    assert ids == chatting.tokenizer(prompt + completion, add_special_tokens=False).input_ids
    assert shards.unlearned.tolist() == [head]
    assert chatting.tokenizer.decode([one for one, weight in zip(ids, weights, strict=True) if weight]) == completion[2:]


def test_a_token_that_would_reach_into_the_prompt_does_not(tmp_path: Path, chatting: TextCodec) -> None:
    shards = written(tmp_path, [Example("ain falls.", "The r", literal=True)], chatting)
    head, tail = (chatting.tokenizer(text, add_special_tokens=False).input_ids for text in ("The r", "ain falls."))
    whole = chatting.tokenizer("The rain falls.", add_special_tokens=False).input_ids
    assert whole[: len(head)] != head
    assert shards.tokens.tolist() == [*head, *tail]
    assert shards.unlearned.tolist() == [len(head)]
    assert shards.weights is None


def test_columns_that_come_late_are_made_up_for(tmp_path: Path, codec: TextCodec) -> None:
    batches = [
        [Example("One.", "Two: ", row=7), Example("")],
        [Example("Three.", row=8)],
        [Example("Four five.", row=9, spans=(Span(0, 4, 0.5),))],
        [Example("")],
        [Example("Six.", row=10)],
    ]
    shards = write_shards(tmp_path, batches, codec)
    assert shards.weights is not None and shards.firsts is not None
    assert len(shards.weights) == len(shards.tokens)
    before = int(shards.ends[1])
    assert (shards.weights[:before] == 1).all() and (shards.weights[int(shards.ends[2]) :] == 1).all()
    assert sorted(set(shards.weights[before : int(shards.ends[2])].tolist())) == [0.0, 0.5, 1.0]
    starts = len(codec.start)
    assert shards.firsts.tolist() == shards.unlearned.tolist() == [starts + len(codec.encode(["Two: "])[0]), *[starts] * 3]
    assert (shards.empty, shards.rows.tolist()) == (2, [7, 8, 9, 10])


def test_targets_are_told_of_whole_documents(tmp_path: Path, codec: TextCodec) -> None:
    examples = [Example("Rain.", target=2.0), Example("", target=0.5), Example("雨", target=-1.0)]
    shards = written(tmp_path, examples, codec)
    assert shards.targets is not None and shards.targets.tolist() == [2.0, 0.5, -1.0]
    assert shards.empty == 0
    pieces = Pieces.of(shards, content=20, overlap=0, whole=True)
    assert [piece.target for piece in pieces.take(np.arange(3))] == [2.0, 0.5, -1.0]


@pytest.mark.parametrize("judged", [Example("Rain.", target=1.0), Example("Rain.", alternative="Sun.")])
def test_a_target_that_only_some_have_is_an_error(judged: Example, tmp_path: Path, codec: TextCodec) -> None:
    def batches() -> Iterator[list[Example]]:
        yield [judged]
        yield [Example(""), Example("Snow.", row=3)]

    with pytest.raises(AigcError, match="row 3 of the split has neither") as error:
        write_shards(tmp_path, batches(), codec)
    assert "\n" not in str(error.value)


def test_both_completions_lie_behind_one_prompt(tmp_path: Path, codec: TextCodec) -> None:
    examples = [
        Example("Rain.", "Say: ", alternative="It is the rain."),
        Example("雨", alternative="  "),
        Example("", alternative="Rain."),
        Example("Snow.", target=1.0),
    ]
    shards = written(tmp_path, examples, codec)
    assert (shards.documents, shards.empty) == (2, 2)
    prompt, good, bad, snow = codec.encode(["Say: ", "Rain.", "It is the rain.", "Snow."])
    assert shards.tokens.tolist() == [*codec.start, *prompt, *good, 0, *bad, 0, *codec.start, *snow, 0]
    assert shards.seconds is not None and shards.seconds.tolist() == [len(bad) + 1, 0]
    pieces = Pieces.of(shards, content=99, overlap=1, whole=True)
    pair, alone = pieces.take(np.arange(2))
    assert pair.marks.tolist() == [pair.unlearned + len(good) + 1]
    assert (pair.target, alone.target, alone.marks.tolist()) == (None, 1.0, [])
    with pytest.raises(AssertionError, match="two sides"):
        Pieces.of(shards, content=99, overlap=1, whole=False)


def test_pairs_of_chats_have_no_start_and_no_end(tmp_path: Path, chatting: TextCodec) -> None:
    prompt = "<|im_start|>user\nRain<|im_end|>\n<|im_start|>assistant\n"
    shards = written(tmp_path, [Example("Yes.<|im_end|>", prompt, alternative="No.<|im_end|>", literal=True)], chatting)
    head, good, bad = (
        chatting.tokenizer(text, add_special_tokens=False).input_ids for text in (prompt, "Yes.<|im_end|>", "No.<|im_end|>")
    )
    assert shards.tokens.tolist() == [*head, *good, *bad]
    assert shards.seconds is not None and (shards.unlearned.tolist(), shards.seconds.tolist()) == ([len(head)], [len(bad)])


def test_references_are_written_beside_the_tokens(tmp_path: Path, codec: TextCodec) -> None:
    shards = written(tmp_path, [Example("Rain.", alternative="Sun."), Example("Snow.", target=0.0)], codec)
    assert shards.references is None
    values = np.array([[-1.5, -2.5], [np.nan, -3.5]], np.float32)
    write_references(tmp_path, values)
    again = open_shards(tmp_path)
    assert again.references is not None
    np.testing.assert_array_equal(again.references, values)
    pair, alone = Pieces.of(again, content=20, overlap=1, whole=True).take(np.arange(2))
    assert pair.references == (-1.5, -2.5)
    assert alone.references is not None and alone.references[1] == -3.5
    assert not list(tmp_path.glob(".references*"))
    with pytest.raises(AssertionError):
        write_references(tmp_path, values[:1])


def test_nothing_is_left_of_a_try_that_was_killed(tmp_path: Path, codec: TextCodec) -> None:
    def killed() -> Iterator[list[Example]]:
        yield [Example("Rain.", target=1.0, spans=(Span(0, 1, 0.0),))]
        yield [Example("Rain.", target=1.0)]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(tmp_path, killed(), codec)
    assert (tmp_path / "targets.bin").exists() and (tmp_path / "weights.bin").exists()
    shards = written(tmp_path, [Example("Snow.")], codec)
    assert shards.targets is None and shards.weights is None and shards.firsts is None
