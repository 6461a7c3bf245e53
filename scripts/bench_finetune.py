"""Finetuning by us and by Hugging Face's Trainer with peft, step by step in turn, into useful tokens a second.

    pip install -c constraints.txt -e . accelerate peft greenlet
    python scripts/bench_finetune.py news_en.jsonl.gz                       # titles from articles, LoRA and full, GPT-2's shape
    python scripts/bench_finetune.py news_en.jsonl.gz --family llama
    python scripts/bench_finetune.py news_en.jsonl.gz --what documents      # whole documents instead of completions after prompts

All contenders adapt the same checkpoint (6 layers x 384, random weights) on the same token ids, articles of real length cut so that
prompt and completion fit into 512 tokens. Useful tokens are those that are read and no padding. The Trainer runs with its defaults
(8 documents a step, DataCollatorForSeq2Seq pads them to the longest; fp32, or bf16=True); ours with 8 x 512 tokens a step, in the
precisions that `precision: auto` chooses from. LoRA is of rank 8 on all linear layers for both.
"""

import argparse
import gzip
import json
import os
import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import transformers
from bench_race import Contender, Steps, Taken, run
from bench_train import shape
from bench_train_peers import BATCH, VOCABULARY
from greenlet import getcurrent, greenlet
from transformers import (
    DataCollatorForSeq2Seq,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from aigc.cli import THREADS
from aigc.core.batches.feed import feed
from aigc.core.batches.objectives.causal import Causal
from aigc.core.batches.pieces import Pieces
from aigc.core.batches.shards import Shards
from aigc.core.batches.stream import START, Corpus, Stream
from aigc.core.documents.heap import kept
from aigc.core.model import adapters, families
from aigc.core.model.learner import Learner
from aigc.core.tokens import training as tokenizers
from aigc.core.tokens.text import TextCodec
from aigc.core.training.loop import train
from aigc.core.training.optimiser import adamw
from aigc.core.training.replicas import Replicas

CONTEXT, RANK, MOST = 512, 8, 3000
RATE = {"full": 5e-5, "LoRA": 2e-4}


@dataclass(frozen=True)
class Document:
    """Token ids with start and end, and how many of them are read only."""

    ids: list[int]
    unlearned: int


def documents_of(files: list[str], what: str) -> tuple[list[Document], TextCodec]:
    """Articles, each with its title behind it, or alone; id 0 starts, ends and pads."""
    rows = []
    for name in files:
        with gzip.open(name, "rt", encoding="utf-8") as file:
            rows += [json.loads(line) for line in file]
    rows = random.Random(0).sample(rows, min(len(rows), MOST))
    texts = [row["text"] for row in rows]
    codec = tokenizers.train(texts, kind="bpe", vocabulary=VOCABULARY, context=CONTEXT, family="decoder")
    if what == "documents":
        return [Document([0, *ids, 0][:CONTEXT], 1) for ids in codec.encode(texts)], codec
    titles = codec.encode([row["title"] for row in rows])
    found = []
    for article, title in zip(codec.encode([f"{text}\n" for text in texts]), titles, strict=True):
        prompt = [0, *article][: CONTEXT - len(title) - 1]
        found.append(Document([*prompt, *title, 0], len(prompt)))
    return found, codec


def stream_of(documents: Sequence[Document], codec: TextCodec) -> Stream:
    """Batches of 8 x 512 tokens, as `aigc finetune` makes them."""
    ends = np.cumsum([len(one.ids) for one in documents])
    tokens = np.concatenate([np.asarray(one.ids, np.uint16) for one in documents])
    unlearned = np.array([one.unlearned for one in documents], np.int32)
    shards = Shards(tokens, ends, unlearned, np.arange(len(documents)), np.zeros(0, np.int64), 1)
    objective = Causal(codec)
    pieces = Pieces.of(shards, content=objective.content(CONTEXT), overlap=objective.overlap, whole=True)
    return Stream.of([Corpus(pieces, 1.0)], objective, context=CONTEXT, rows=BATCH, pad=codec.pad, seed=0)


def checkpoint(family: str) -> PreTrainedModel:
    """The checkpoint that all adapt: transformers' own class with weights from a seed."""
    torch.manual_seed(0)
    ids = families.SpecialIds(start=0, end=0, pad=0)
    return families.build(family, shape=shape(), vocabulary=VOCABULARY, ids=ids, context=CONTEXT)


def ours(
    family: str,
    documents: Sequence[Document],
    codec: TextCodec,
    how: str,
    *,
    dtype: torch.dtype | None = None,
    compiled: bool = False,
) -> Steps:
    """The loop that `aigc finetune` runs."""
    with kept():
        yield from _ours(family, stream_of(documents, codec), how, dtype=dtype, compiled=compiled)


def _ours(family: str, stream: Stream, how: str, *, dtype: torch.dtype | None, compiled: bool) -> Steps:
    model = checkpoint(family)
    if how == "LoRA":
        adapters.add(model, adapters.Lora(rank=RANK), seed=0)
    learner = Learner(model, dtype=dtype, compiled=compiled)
    optimiser = adamw(learner, weight_decay=0.0)
    with feed(stream, START, accumulate=1) as batches:
        for step in train(
            learner,
            batches,
            optimiser,
            learning_rate=lambda _: RATE[how],
            clip=1.0,
            numbers=range(10**9),
            seed=0,
            replicas=Replicas(),
        ):
            yield Taken(step.tokens)


class Rows(torch.utils.data.Dataset[dict[str, list[int]]]):
    """Documents as a data set for the Trainer."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents = documents

    def __len__(self) -> int:
        return len(self._documents)

    def __getitem__(self, i: int) -> dict[str, list[int]]:
        one = self._documents[i]
        return {
            "input_ids": one.ids,
            "attention_mask": [1] * len(one.ids),
            "labels": [-100] * one.unlearned + one.ids[one.unlearned :],
        }


def trainer(family: str, documents: Sequence[Document], tokenizer: PreTrainedTokenizerFast, how: str, *, bf16: bool) -> Steps:
    """Hugging Face's Trainer with its defaults, and peft's adapters; it is stopped between two steps by a callback."""
    transformers.utils.logging.set_verbosity_error()
    hub, seen = getcurrent(), [0]
    pads = DataCollatorForSeq2Seq(tokenizer)

    def collate(rows: list[dict[str, list[int]]]) -> Any:
        seen[0] = sum(len(row["input_ids"]) for row in rows)
        return pads(rows)

    class Stop(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: object, **__: object) -> None:
            hub.switch(seen[0])

    model: torch.nn.Module = checkpoint(family)
    if how == "LoRA":
        from peft import LoraConfig, get_peft_model

        config = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM")
        config.fan_in_fan_out = family == "gpt2"
        model = get_peft_model(model, config)
    arguments = TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=BATCH,
        learning_rate=RATE[how],
        max_steps=10**6,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        use_cpu=not torch.cuda.is_available(),
        bf16=bf16,
        disable_tqdm=True,
    )
    work = Trainer(model=model, args=arguments, train_dataset=Rows(documents), data_collator=collate, callbacks=[Stop()])
    side = greenlet(lambda: work.train())
    while True:
        yield Taken(side.switch())


def race(contenders: Sequence[Contender], rounds: int, warm: int, bases: Sequence[str]) -> None:
    """All in turn, then a table: speed over all rounds, that of the median step, and their ratios to the Trainer's."""
    run(contenders, warm + rounds)
    known = [one for one in contenders if one.name in bases]
    print(f"{'':26}{'useful tokens/s':>16}{'median step':>13}" + "".join(f"{'x ' + one.name:>26}" for one in known))
    for one in contenders:
        ratios = "".join(f"{one.middle(warm) / base.middle(warm):26.2f}" for base in known)
        print(f"{one.name:26}{one.speed(warm):16,.0f}{one.middle(warm):13,.0f}{ratios}", flush=True)


def compare(how: str, family: str, documents: Sequence[Document], codec: TextCodec, given: argparse.Namespace) -> None:
    """One way to adapt, by all."""
    bf16 = torch.bfloat16
    peer = "Trainer + peft" if how == "LoRA" else "Trainer"
    peers, mine = partial(trainer, family, documents, codec.tokenizer, how), partial(ours, family, documents, codec, how)
    makers: dict[str, Callable[[], Steps]] = {
        f"{peer} fp32": partial(peers, bf16=False),
        f"{peer} bf16": partial(peers, bf16=True),
        "aigc fp32": mine,
        "aigc fp32 + compile": partial(mine, compiled=True),
        "aigc bf16": partial(mine, dtype=bf16),
        "aigc bf16 + compile": partial(mine, dtype=bf16, compiled=True),
    }
    print(f"\n{how}, {family}, {given.what}")
    asked = {name: make for name, make in makers.items() if peer in name or given.only in name}
    contenders = [Contender(name, make, **(THREADS if name.startswith("aigc") else {})) for name, make in asked.items()]
    race(contenders, given.rounds, given.warm, [f"{peer} fp32", f"{peer} bf16"])


def main() -> None:
    """LoRA and full finetuning, by all contenders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--what", choices=["instruct", "documents"], default="instruct")
    parser.add_argument("--family", choices=["gpt2", "llama"], default="gpt2")
    parser.add_argument("--how", choices=["LoRA", "full", "both"], default="both")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--warm", type=int, default=3)
    parser.add_argument("--only", default="", help="contenders of ours whose name has this in it")
    given = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    torch.set_num_threads(2)
    documents, codec = documents_of(given.files, given.what)
    sizes = [len(one.ids) for one in documents]
    stream = stream_of(documents, codec)
    padding = 1 - np.mean([np.mean(sizes[at : at + BATCH]) / max(sizes[at : at + BATCH]) for at in range(0, len(sizes), BATCH)])
    print(f"{len(documents)} documents, mean {np.mean(sizes):.0f} tokens; padding {stream.accounting().padding:.2%} (ours), "
          f"{padding:.2%} (to the longest of {BATCH})")  # fmt: skip
    for how in ("LoRA", "full") if given.how == "both" else (given.how,):
        compare(how, given.family, documents, codec, given)


if __name__ == "__main__":
    main()
