"""Token ids and labels of `aigc finetune`'s instruct and preference data against TRL's, row by row.

    python scripts/compare_trl_labels.py CHECKPOINT [--rows 400]

CHECKPOINT is a folder, a hub name or a .gguf file whose tokenizer has <|im_start|> and <|im_end|> (SmolLM2, Qwen). Needs trl.
Chats of one to four turns, Chinese and English, are made of the bundled samples. Ours go from rows through token shards to the
samples of the Causal objective; TRL's are what its SFTTrainer and DPOTrainer prepare. Exit code 1 where a row differs.
"""

import argparse
import copy
import json
import os
import random
import tempfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import polars as pl
import trl
from datasets import Dataset, disable_progress_bars
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from aigc.core.batches.objectives.causal import Causal
from aigc.core.batches.pieces import Pieces
from aigc.core.batches.sample import IGNORED
from aigc.core.batches.shards import write_shards
from aigc.core.tokens.chat import chat_of
from aigc.core.tokens.text import TextCodec
from aigc.core.training.formats import format_of
from aigc.core.training.rows import Asked

Rows = list[dict[str, Any]]
Labelled = tuple[list[int], list[int]]  # ids and labels of a row
LONGEST = 100_000  # tokens: nothing is truncated
PROMPTS = [("Write a headline for this:\n\n", "What is it about?"), ("给这篇文章写一个标题：\n", "这篇文章讲什么？")]


def main() -> None:
    """Compare, print a line for each case, and fail where any row differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--rows", type=int, default=400)
    arguments = parser.parse_args()
    disable_progress_bars()
    chats = made(arguments.rows)
    ended = [{"prompt": chat[:-1], "completion": chat[-1:]} for chat in chats]
    talks = [{"messages": chat} for chat in chats]
    pairs = [{"prompt": chat[:-1], "chosen": chat[-1:], "rejected": chats[number - 1][-1:]} for number, chat in enumerate(chats)]
    plain = [{"prompt": f"{chat[0]['content']}\n", "completion": chat[-1]["content"].strip()} for chat in chats]
    templates = Path(trl.__file__).parent / "chat_templates"
    cases: list[tuple[str, Rows, Rows, str | None, dict[str, Any]]] = [
        ("prompt/completion chats, the checkpoint's template", ended, ended, None, {}),
        ("messages, last turn, the checkpoint's template", talks, ended, None, {"turns": "last"}),
        ("messages, all turns, our chatml", talks, talks, "chatml", {}),
        ("messages, all turns, TRL's qwen2.5 template", talks, talks, "qwen2_5_training", {}),
        ("messages, all turns, TRL's qwen3 template", talks, talks, "qwen3_training", {}),
        ("plain prompt/completion", plain, plain, None, {}),
    ]
    wrong = 0
    print(f"trl {trl.__version__}; {len(chats)} chats of {sum(map(len, chats)):,} messages")
    fresh = loaded(arguments.checkpoint)
    for name, ours_rows, theirs_rows, template, asked in cases:
        tokenizer = copy.deepcopy(fresh)
        codec = TextCodec(tokenizer)
        wanted = template if template == "chatml" else "auto"
        if template is not None:
            path = templates / f"{template}.jinja"
            tokenizer.chat_template = chat_of(codec, wanted).template if template == "chatml" else path.read_text()
        mine = ours(codec, ours_rows, Asked("instruct", chat=lambda codec=codec, wanted=wanted: chat_of(codec, wanted), **asked))
        wrong += report(name, mine, supervised(tokenizer, theirs_rows), codec)
        if template is None and "turns" not in asked and name.startswith("prompt"):
            wrong += ends_are_learned(codec, chats, mine)
    odd = [
        {"messages": [chat[0], {"role": "assistant", "content": f"\n  {chat[-1]['content']}"}]} for chat in chats if len(chat) > 1
    ]
    codec = TextCodec(fresh)
    across(codec, odd, Asked("instruct", chat=lambda: chat_of(codec, "auto")))
    wrong += preferences(codec, pairs, Asked("preference", chat=lambda: chat_of(codec, "auto")))
    raise SystemExit(wrong > 0)


def made(count: int) -> list[list[dict[str, str]]]:
    """Chats of one to four turns in both languages, some with a system message, some with odd whitespace and emoji."""
    rng = random.Random(7)
    text = (files("aigc.samples") / "news.jsonl").read_text("utf-8")
    documents = [one for one in map(json.loads, text.strip().split("\n")) if one.get("title") and len(one["text"]) > 100]
    chats = []
    for number in range(count):
        chinese = number % 2
        some = [one for one in documents if any("\u4e00" <= c <= "\u9fff" for c in one["title"]) == bool(chinese)]
        messages = [{"role": "system", "content": "Be brief. 简短回答。"}] if rng.random() < 0.3 else []
        for _ in range(rng.randint(1, 4)):
            one, (first, second) = rng.choice(some), PROMPTS[chinese]
            messages.append({"role": "user", "content": first + one["text"][: rng.randint(50, 400)].strip()})
            messages.append({"role": "assistant", "content": one["title"] + rng.choice(["", "", " 🎉", "\n\n- a\n- b", "  "])})
            if rng.random() < 0.3:
                messages += [{"role": "user", "content": second}, {"role": "assistant", "content": one["text"][:80].strip()}]
        chats.append(messages)
    return chats


def loaded(checkpoint: str) -> Any:
    """The tokenizer."""
    path = Path(checkpoint)
    if path.suffix == ".gguf":
        return AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    return AutoTokenizer.from_pretrained(checkpoint)


def ours(codec: TextCodec, rows: Rows, asked: Asked) -> list[Labelled]:
    """Ids and labels by our way: reader, shards, pieces, objective."""
    frame = pl.DataFrame([{"id": str(number), "text": "", **row} for number, row in enumerate(rows)])
    examples = format_of(frame.schema, asked).read(frame)
    with tempfile.TemporaryDirectory() as folder:
        pieces = Pieces.of(write_shards(Path(folder), [examples], codec), content=LONGEST, overlap=1, whole=True)
        samples = Causal(codec)(pieces.take(np.arange(len(pieces))), np.random.default_rng(0))
    # TRL's labels stand at their own token, ours at the one before
    return [([*one.input_ids.tolist(), last(one.labels)], [IGNORED, *one.labels.tolist()]) for one in samples]


def last(labels: Any) -> int:
    """The last token of a document, which is only a label."""
    return int(labels[-1])


def supervised(tokenizer: Any, rows: Rows) -> list[Labelled]:
    """Ids and labels that SFTTrainer prepares."""
    found = trained(
        SFTTrainer,
        SFTConfig,
        tokenizer,
        rows,
        max_length=None,
        completion_only_loss=None,
        assistant_only_loss="messages" in rows[0],
    )
    return [(one["input_ids"], one["labels"]) for one in found]


def trained(trainer: Callable[..., Any], settings: Callable[..., Any], tokenizer: Any, rows: Rows, **values: Any) -> Any:
    """The data set that a trainer of TRL prepares for a model of no account."""
    shape = LlamaConfig(vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    models = {"model": LlamaForCausalLM(shape)} | ({"ref_model": LlamaForCausalLM(shape)} if trainer is DPOTrainer else {})
    with tempfile.TemporaryDirectory() as folder:
        asked = settings(output_dir=folder, report_to=[], use_cpu=True, bf16=False, **values)
        return trainer(**models, args=asked, train_dataset=Dataset.from_list(rows), processing_class=tokenizer).train_dataset


def report(name: str, mine: list[Labelled], theirs: list[Labelled], codec: TextCodec) -> int:
    """Print how many rows are alike; how many are not."""
    pairs = list(zip(mine, theirs, strict=True))
    ids = sum(one[0] != other[0] for one, other in pairs)
    labels = sum(one[1] != other[1] for one, other in pairs)
    learned = sum(label != IGNORED for _, row in mine for label in row)
    tokens = sum(len(row) for row, _ in mine)
    print(f"{name:<52} {len(pairs):4d} rows {tokens:8,d} tokens {learned:7,d} learned: ids differ in {ids}, labels in {labels}")
    for one, other in pairs:
        if one != other:
            both = enumerate(zip(*one, *other, strict=False))
            at = next((place for place, (a, b, c, d) in both if (a, b) != (c, d)), min(len(one[0]), len(other[0])))
            print(f"  ours   {codec.tokenizer.decode(one[0][max(at - 3, 0) : at + 5])!r} {one[1][max(at - 3, 0) : at + 5]}")
            print(f"  theirs {codec.tokenizer.decode(other[0][max(at - 3, 0) : at + 5])!r} {other[1][max(at - 3, 0) : at + 5]}")
            break
    return max(ids, labels)


def ends_are_learned(codec: TextCodec, chats: list[list[dict[str, str]]], mine: list[Labelled]) -> int:
    """Whether the labels of each row are the assistant's last words and the end of its turn."""
    chat = chat_of(codec, "auto")
    stop = codec.tokenizer.convert_tokens_to_ids(chat.end)
    wrong = 0
    for messages, (_, labels) in zip(chats, mine, strict=True):
        learned = [label for label in labels if label != IGNORED]
        wrong += codec.tokenizer.decode(learned).rstrip("\n") != messages[-1]["content"] + chat.end or learned.count(stop) != 1
    pad = "which is the pad too" if stop == codec.pad else "which is not the pad"
    print(f"{f'  learned text is the words and {chat.end}, {pad}':<52} {len(mine):4d} rows: not so in {wrong}")
    return wrong


def across(codec: TextCodec, rows: Rows, asked: Asked) -> None:
    """Answers that begin with whitespace, where a token reaches from the prompt into the answer: TRL learns it, we do not.

    Whoever asks the model gives it the prompt's tokens, so that it never has to say that token; TRL warns of it.
    """
    theirs = supervised(codec.tokenizer, [{"prompt": one["messages"][:-1], "completion": one["messages"][-1:]} for one in rows])
    pairs = list(zip(ours(codec, rows, asked), theirs, strict=True))
    ids = sum(one[0] != other[0] for one, other in pairs)
    more = sum(sum(a != b for a, b in zip(one[1], other[1], strict=True)) for one, other in pairs if one[0] == other[0])
    print(
        f"{'answers that begin with whitespace':<52} {len(rows):4d} rows: ids differ in {ids}; {more} tokens that TRL learns more"
    )


def preferences(codec: TextCodec, rows: Rows, asked: Asked) -> int:
    """Chosen and rejected ids against DPOTrainer's."""
    frame = pl.DataFrame([{"id": str(number), "text": "", **row} for number, row in enumerate(rows)])
    examples = format_of(frame.schema, asked).read(frame)
    with tempfile.TemporaryDirectory() as folder:
        shards = write_shards(Path(folder), [examples], codec)
        tokens, ends = shards.tokens.tolist(), shards.ends.tolist()
    theirs = trained(DPOTrainer, DPOConfig, codec.tokenizer, rows, max_length=None)
    wrong = 0
    for begin, end, other in zip([0, *ends[:-1]], ends, theirs, strict=True):
        expected = [*other["prompt_ids"], *other["chosen_ids"], *other["rejected_ids"]]
        wrong += tokens[begin:end] != expected
    print(f"{'prompt/chosen/rejected chats':<52} {len(rows):4d} rows {len(tokens):8,d} tokens: ids differ in {wrong}")
    return wrong


if __name__ == "__main__":
    main()
