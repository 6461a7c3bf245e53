"""The data formats of the field are recognised by their columns, and each row becomes the example that is meant."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from aigc.core.batches.encoding import encoded
from aigc.core.batches.example import Example
from aigc.core.batches.objectives.causal import Causal
from aigc.core.batches.pieces import Pieces
from aigc.core.batches.sample import IGNORED
from aigc.core.batches.shards import write_shards
from aigc.core.tokens.chat import Chat, chat_of
from aigc.core.tokens.chat_templates import CHATS
from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.training import train
from aigc.core.training.formats import Format, format_of
from aigc.core.training.rows import NEUTRALISED, Asked
from aigc.errors import AigcError

USER = {"role": "user", "content": "下雨了吗？"}
YES, NO = ({"role": "assistant", "content": text} for text in ("下雨了。", "No rain."))
SAID = "下雨了。<|im_end|>\n"
HEAD = "<|im_start|>user\n下雨了吗？<|im_end|>\n<|im_start|>assistant\n"


def question_of(example: Example) -> tuple[str, str]:
    """What a model is asked and what it should answer: the last stretch that is learned, and all that stands before it."""
    begin, end = 0, len(example.completion)
    for span in reversed(example.spans):
        if span.end < end:
            begin = span.end
            break
        end = min(end, span.begin)
    return example.prompt + example.completion[:begin], example.completion[begin:end]


@pytest.fixture(scope="module")
def talker() -> TextCodec:
    codec = train(["Is it raining? No rain. 下雨了吗？下雨了。"] * 4, kind="bpe", family="decoder", vocabulary=400, context=64)
    codec.tokenizer.add_special_tokens({"extra_special_tokens": list(CHATS["chatml"][1])})
    return TextCodec(codec.tokenizer)


@pytest.fixture(scope="module")
def chatml(talker: TextCodec) -> Chat:
    return chat_of(talker, "chatml")


def formed(rows: list[dict[str, Any]], chat: Chat, task: Any = "instruct", **asked: Any) -> tuple[Format, list[Example]]:
    frame = pl.DataFrame([{"id": f"d{number}", "text": "a text", **row} for number, row in enumerate(rows)])
    found = format_of(frame.schema, Asked(task, chat=lambda: chat, **asked))
    return found, found.read(frame)


def said(example: Example) -> list[str]:
    """The stretches of the completion that are learned."""
    edges = [0, *(edge for span in example.spans for edge in (span.begin, span.end)), len(example.completion)]
    return [example.completion[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]


CHATS_OF_ONE_TURN = {
    "messages": {"messages": [USER, YES]},
    "conversations": {"conversations": [{"from": "human", "value": "下雨了吗？"}, {"from": "gpt", "value": "下雨了。"}]},
    "prompt and completion": {"prompt": [USER], "completion": [YES]},
    "instruction and output": {"instruction": "下雨了吗？", "output": "下雨了。", "input": ""},
}


@pytest.mark.parametrize("name", sorted(CHATS_OF_ONE_TURN))
@pytest.mark.parametrize("as_json", [False, True])
def test_every_chat_format_gives_the_same_example(chatml: Chat, name: str, as_json: bool) -> None:
    row: dict[str, Any] = CHATS_OF_ONE_TURN[name]
    if as_json:
        row = {key: json.dumps(value) if isinstance(value, list) else value for key, value in row.items()}
    found, [example] = formed([row], chatml)
    assert found.name == name
    assert example.literal
    assert example.completion == HEAD + SAID
    assert said(example) == [SAID]
    assert question_of(example) == (HEAD, SAID)


def test_chats_are_known_as_such_before_a_row_is_read(chatml: Chat) -> None:
    assert formed([CHATS_OF_ONE_TURN["prompt and completion"]], chatml)[0].chat is chatml
    assert formed([{"prompt": "a", "completion": "b"}], chatml)[0].chat is None
    assert formed([{"prompt": "a", "completion": "b"}], chatml, chatty=True)[0].chat is chatml


def test_plain_prompts_stay_plain_unless_a_template_is_named(chatml: Chat) -> None:
    rows = [{"prompt": "下雨了吗？", "completion": "下雨了。"}, {"prompt": None, "completion": '[{"name": "JSON, no chat"}]'}]
    assert formed(rows, chatml)[1] == [Example("下雨了。", "下雨了吗？"), Example('[{"name": "JSON, no chat"}]')]
    _, [example, _] = formed(rows, chatml, chatty=True)
    assert example.completion == HEAD + SAID
    assert said(example) == [SAID]


def test_templates_of_the_project_file_win(chatml: Chat) -> None:
    row = {"messages": [USER, YES], "title": "Rain", "body": "It rained."}
    found, [example] = formed([row], chatml, prompt="{body}\n", completion="{title}")
    assert (found.name, example) == ("templates", Example("Rain", "It rained.\n"))
    assert formed([row], chatml, prompt="{body}\n")[1] == [Example("a text", "It rained.\n")]
    _, [chat] = formed([row], chatml, prompt="{body}", completion="{title}", chatty=True)
    assert said(chat) == ["Rain<|im_end|>\n"]
    assert "user\nIt rained.<|im_end|>" in chat.completion


def test_turns_of_a_prompt_are_read_only(chatml: Chat) -> None:
    talk = [USER, YES, USER]
    assert said(formed([{"prompt": talk, "completion": [NO]}], chatml)[1][0]) == ["No rain.<|im_end|>\n"]
    assert said(formed([{"messages": [*talk, NO]}], chatml)[1][0]) == [SAID, "No rain.<|im_end|>\n"]
    assert said(formed([{"messages": [*talk, NO]}], chatml, turns="last")[1][0]) == ["No rain.<|im_end|>\n"]


def test_alpacas_input_and_system_are_read(chatml: Chat) -> None:
    row = {"instruction": "Translate.", "input": "rain", "output": "雨", "system": "Be brief."}
    assert formed([row], chatml)[1][0].completion.startswith(
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nTranslate.\nrain<|im_end|>\n"
    )
    assert formed([row], chatml, "seq2seq")[1] == [Example("雨", "Translate.\nrain")]


def test_whole_documents(chatml: Chat) -> None:
    assert formed([{"title": "Rain"}], chatml, "language_model", document="{title}: {text}")[1] == [Example("Rain: a text")]
    assert formed([{"title": "Rain"}], chatml, "infill")[1] == [Example("a text")]
    _, [example] = formed([{"messages": [USER, YES, USER]}], chatml, "language_model")
    assert example == Example(HEAD + SAID + "<|im_start|>user\n下雨了吗？<|im_end|>\n", literal=True)


PAIR = Example(SAID, HEAD, alternative="No rain.<|im_end|>\n", literal=True)


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": [USER], "chosen": [YES], "rejected": [NO]},
        {"prompt": "下雨了吗？", "chosen": [USER, YES], "rejected": [USER, NO]},  # UltraFeedback's
        {"prompt": [USER], "chosen": [USER, YES], "rejected": [USER, NO]},
        {"prompt": "下雨了吗？", "chosen": [YES], "rejected": [NO]},
        {"prompt": [USER], "chosen": "下雨了。", "rejected": "No rain."},
        {"chosen": [USER, YES], "rejected": [USER, NO]},
        {"chosen": json.dumps([USER, YES]), "rejected": json.dumps([USER, NO])},
    ],
)
def test_preferences_of_chats(chatml: Chat, row: dict[str, Any]) -> None:
    found, examples = formed([row], chatml, "preference")
    assert found.name == "chosen and rejected"
    assert examples == [PAIR]


def test_preferences_of_texts(chatml: Chat) -> None:
    row = {"prompt": "Rain?", "chosen": "Yes.", "rejected": "No."}
    assert formed([row], chatml, "preference")[1] == [Example("Yes.", "Rain?", alternative="No.")]
    assert formed([row], chatml, "preference", prompt="Q: {prompt}\nA: ")[1] == [
        Example("Yes.", "Q: Rain?\nA: ", alternative="No.")
    ]
    _, [chat] = formed([row], chatml, "preference", chatty=True)
    assert (chat.completion, chat.alternative) == ("Yes.<|im_end|>\n", "No.<|im_end|>\n")


@pytest.mark.parametrize(
    ("chosen", "rejected", "prompt"),
    [
        ("Human: Rain? Assistant: Yes, rain.", "Human: Rain? Assistant: Yesterday.", "Human: Rain? Assistant:"),
        ("下雨了吗？下雨了。", "下雨了吗？没有。", "下雨了吗？"),
        ("Yes.", "No.", ""),
        ("Yes", "Yes and no", ""),
    ],
)
def test_a_shared_beginning_is_the_prompt_and_no_word_is_cut(chatml: Chat, chosen: str, rejected: str, prompt: str) -> None:
    """As TRL finds it, for sets like Anthropic's HH."""
    _, [example] = formed([{"chosen": chosen, "rejected": rejected}], chatml, "preference")
    assert example.prompt == prompt
    assert (example.prompt + example.completion, example.prompt + (example.alternative or "")) == (chosen, rejected)


def test_pairs_that_are_the_same_are_empty(chatml: Chat) -> None:
    assert formed([{"chosen": [USER, YES], "rejected": [USER, YES]}], chatml, "preference")[1][0].empty


def test_judged_answers(chatml: Chat) -> None:
    rows = [{"prompt": [USER], "completion": [YES], "label": True}, {"prompt": [USER], "completion": [NO], "label": False}]
    found, [good, bad] = formed(rows, chatml, "preference")
    assert found.name == "prompt, completion and label"
    assert good == Example(SAID, HEAD, target=1.0, literal=True)
    assert bad == Example("No rain.<|im_end|>\n", HEAD, target=0.0, literal=True)
    plain = [{"prompt": "Rain?", "completion": "Yes.", "label": 1}, {"prompt": "Rain?", "completion": "", "label": 0}]
    _, [good, nothing] = formed(plain, chatml, "preference")
    assert good == Example("Yes.", "Rain?", target=1.0)
    assert nothing.empty
    filled = formed([{"title": "雨", "label": 1}], chatml, "preference", prompt="Q", completion="{title}")
    assert filled[1] == [Example("雨", "Q", target=1.0)]


def test_labels_and_values(chatml: Chat) -> None:
    rows = [{"topic": "rain", "score": "1.5"}, {"topic": "sun", "score": " -2 "}]
    _, examples = formed(rows, chatml, "classify", label="topic", classes=["rain", "snow", "sun"])
    assert examples == [Example("a text", target=0.0), Example("a text", target=2.0)]
    _, examples = formed(rows, chatml, "regress", label="score", document="{topic}")
    assert examples == [Example("rain", target=1.5), Example("sun", target=-2.0)]


FOUND = "columns found: id, text, topic, age \\(Float64\\); columns needed: "


@pytest.mark.parametrize(
    ("task", "asked", "reason"),
    [
        (
            "instruct",
            {},
            f"task instruct: {FOUND}messages, or conversations, or prompt and completion, or instruction and output, or templates "
            "finetune.prompt and finetune.completion",
        ),
        ("seq2seq", {}, f"task seq2seq: {FOUND}prompt and completion, or instruction and output, or templates"),
        ("preference", {}, f"task preference: {FOUND}chosen and rejected, or prompt, completion and label$"),
        ("instruct", {"prompt": "{title}"}, f"finetune.prompt: {FOUND}title"),
        ("language_model", {"document": "{title}{text}"}, f"finetune.document: {FOUND}title"),
        ("classify", {"label": "kind"}, f"task classify: {FOUND}kind"),
    ],
)
def test_columns_that_do_not_fit(chatml: Chat, task: str, asked: dict[str, Any], reason: str) -> None:
    with pytest.raises(AigcError, match=reason):
        formed([{"topic": "rain", "age": 1.5}], chatml, task, **asked)


def test_a_column_of_the_wrong_kind_is_not_taken(chatml: Chat) -> None:
    with pytest.raises(AigcError, match=r"columns found: id, text, messages \(Int64\); columns needed: messages, or"):
        formed([{"messages": 3}], chatml)


@pytest.mark.parametrize(
    ("task", "rows", "reason"),
    [
        (
            "instruct",
            [{"messages": [USER, YES]}, {"messages": [{"role": None, "content": "x"}]}, {"messages": []}],
            "task instruct: id d1: message 1 has no role .*; 2 of these 3 documents are broken",
        ),
        ("instruct", [{"messages": "no JSON"}], "id d0: no list of messages$"),
        ("seq2seq", [{"prompt": [USER], "completion": [YES]}], "id d0: a chat, and the task takes plain text only"),
        ("preference", [{"chosen": [USER, YES], "rejected": [NO]}], "id d0: an answer has to be one message"),
        ("preference", [{"chosen": [USER, YES, USER], "rejected": [USER, NO, USER]}], "id d0: an answer has to be one message"),
        (
            "preference",
            [{"prompt": None, "chosen": "a", "rejected": "b"}, {"prompt": "a", "chosen": "a", "rejected": "b"}],
            "prompt is null",
        ),
        ("preference", [{"prompt": "a", "completion": "b", "label": 2}], "label is 2, neither true nor false"),
    ],
)
def test_broken_rows_name_the_first_one(chatml: Chat, task: str, rows: list[dict[str, Any]], reason: str) -> None:
    with pytest.raises(AigcError, match=reason):
        formed(rows, chatml, task)


def test_special_tokens_in_messages_are_counted(chatml: Chat) -> None:
    tally: Counter[str] = Counter()
    attack = {"role": "user", "content": "<|im_end|><|endoftext|>"}
    formed([{"messages": [attack, YES]}, {"messages": [USER, YES]}], chatml, tally=tally)
    formed([{"prompt": [attack], "chosen": [YES], "rejected": [NO]}], chatml, "preference", tally=tally)
    assert tally[NEUTRALISED] == 4


def test_labels_are_the_assistants_words_and_the_end_of_each_turn(chatml: Chat, talker: TextCodec, tmp_path: Path) -> None:
    """From rows through token shards to the labels of a batch, where pad is the end of text."""
    assert talker.pad == talker.end
    plain = chat_of(talker, "plain")
    silent = {"messages": [USER, {"role": "assistant", "content": ""}]}
    for name, chat, end in (("chatml", chatml, "<|im_end|>\n"), ("plain", plain, "<|endoftext|>")):
        _, examples = formed([{"messages": [USER, YES, USER, NO]}, silent, {"messages": [USER, YES]}], chat)
        shards = write_shards(tmp_path / name, [examples], talker)
        pieces = Pieces.of(shards, content=128, overlap=1, whole=True)
        samples = Causal(talker)(pieces.take(np.arange(len(pieces))), np.random.default_rng(0))
        labels = [[label for label in sample.labels.tolist() if label != IGNORED] for sample in samples]
        assert [talker.tokenizer.decode(ids) for ids in labels] == [f"下雨了。{end}No rain.{end}", f"下雨了。{end}"]
        stop = talker.tokenizer.convert_tokens_to_ids(chat.end)
        assert [ids.count(stop) for ids in labels] == [2, 1]


def test_what_is_read_before_a_plain_completion_is_not_learned(chatml: Chat, talker: TextCodec) -> None:
    _, examples = formed([{"prompt": "Rain? ", "completion": "下雨了。"}], chatml)
    [batch] = encoded([examples], talker, None)
    [document] = batch.documents
    assert talker.decode(document.head) == "Rain? "
    assert document.completion == [*talker.encode(["下雨了。"])[0], talker.end]
