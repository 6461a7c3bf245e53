"""Training by us and by the peers, step by step in turn, into tokens a second and the share of the machine's limit.

    pip install -c constraints.txt -e . accelerate litgpt greenlet
    python scripts/bench_train.py full                                  # full batches: 6 layers x 384, context 256, batch 8
    python scripts/bench_train.py documents news_en.jsonl.gz            # documents of real length, context 512; files are mixed
    python scripts/bench_train.py tokenise news_en.jsonl.gz             # text to tokens on disk
    python scripts/bench_train.py memory --gigabytes 5                  # memory of tokenising and feeding as the corpus grows

All contenders train a GPT-2 of the same shape from nothing on the same documents with AdamW and clipping, each in a process of its
own; figures are medians over the rounds, in each of which every contender takes one step. The limit is what the device reaches in a
product of fp32 matrices of the model's sizes. Peers run with their defaults: Hugging Face's Trainer in fp32, litgpt's GPT with
torch.compile.
"""

import argparse
import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from bench_documents import stream_of
from bench_race import Contender, Steps, Taken, run
from bench_train_peers import BATCH, HEADS, LAYERS, VOCABULARY, WIDTH, Rows, litgpt, trainer
from torch import nn

from aigc.cli import THREADS
from aigc.core.batches.example import Example
from aigc.core.batches.feed import feed
from aigc.core.batches.objectives.causal import Causal
from aigc.core.batches.pieces import Pieces
from aigc.core.batches.shards import write_shards
from aigc.core.batches.stream import START, Corpus, Stream
from aigc.core.documents.heap import kept
from aigc.core.model import families
from aigc.core.model.learner import Learner
from aigc.core.tokens import training as tokenizers
from aigc.core.training.loop import train
from aigc.core.training.optimiser import adamw
from aigc.core.training.replicas import Replicas


def shape() -> families.Shape:
    """The model that all train."""
    return families.Shape(layers=LAYERS, width=WIDTH, heads=HEADS, dropout=0.0)


def gpt2(context: int, family: str = "gpt2") -> nn.Module:
    """Ours, which is transformers' GPT-2."""
    torch.manual_seed(0)
    ids = families.SpecialIds(start=0, end=0, pad=0)
    return families.build(family, shape=shape(), vocabulary=VOCABULARY, ids=ids, context=context)


def ours(documents: Sequence[Sequence[int]], context: int, *, dtype: torch.dtype | None = None, compiled: bool = False) -> Steps:
    """Our own loop, as `aigc pretrain` runs it."""
    with ExitStack() as stack:
        stack.enter_context(kept())
        stream = stream_of(documents, context, VOCABULARY, rows=BATCH)
        learner = Learner(gpt2(context), dtype=dtype, compiled=compiled)
        batches = stack.enter_context(feed(stream, START, accumulate=1))
        for step in train(
            learner,
            batches,
            adamw(learner, weight_decay=0.1),
            learning_rate=lambda _: 1e-3,
            clip=1.0,
            numbers=range(10**9),
            seed=0,
            replicas=Replicas(),
        ):
            yield Taken(step.labels, step.waited)


def peak_flops(tokens: int) -> float:
    """FLOP/s of the model's largest fp32 products, the best of some tries: the limit."""
    best = 0.0
    for inner, outer in ((WIDTH, 3 * WIDTH), (WIDTH, 4 * WIDTH), (4 * WIDTH, WIDTH)):
        a, b = torch.randn(tokens, inner), torch.randn(outer, inner)
        for _ in range(20):
            started = time.perf_counter()
            nn.functional.linear(a, b)
            best = max(best, 2 * tokens * inner * outer / (time.perf_counter() - started))
    return best


def race(makers: dict[str, Callable[[], Steps]], given: argparse.Namespace, context: int) -> None:
    """All that are asked for, and the first; then a table of speeds, ratios and the share of the limit."""
    base, *others = makers
    known = [base, *(name for name in others if given.only in name)]
    contenders = [Contender(name, makers[name], **(THREADS if name.startswith("aigc") else {})) for name in known]
    run(contenders, given.warm + given.rounds)
    limit = peak_flops(BATCH * context)
    parameters = sum(p.numel() for p in gpt2(context).parameters())
    flops = 6 * parameters + 6 * LAYERS * WIDTH * context  # causal attention: half of 12 * layers * width * context
    unit = contenders[0].speed(given.warm)
    print(f"limit {limit / 1e9:.0f} GFLOP/s in fp32 products; {flops / 1e6:.0f} MFLOP a token; medians of {given.rounds} rounds")
    print(f"{'':38}{'useful tokens/s':>16}{'x ' + base:>22}{'of the limit':>14}{'waiting for data':>18}")
    for one in contenders:
        speed = one.speed(given.warm)
        waited = f"{one.waited / sum(one.seconds):18.2%}" if one.name.startswith("aigc") else ""
        print(f"{one.name:38}{speed:16,.0f}{speed / unit:22.2f}{speed * flops / limit:14.0%}{waited}", flush=True)


def full(given: argparse.Namespace) -> None:
    """Full batches: every document fills the context."""
    context = 256
    documents = np.random.default_rng(0).integers(1, VOCABULARY, (512, context + 1)).tolist()
    rows = Rows([one[:-1] for one in documents])
    makers: dict[str, Callable[[], Steps]] = {
        "HF Trainer": partial(trainer, rows, context, bf16=False, compiled=False),
        "HF Trainer bf16": partial(trainer, rows, context, bf16=True, compiled=False),
        "litgpt + compile": partial(litgpt, context, compiled=True),
        "aigc fp32": partial(ours, documents, context),
        "aigc fp32 + compile": partial(ours, documents, context, compiled=True),
        "aigc bf16": partial(ours, documents, context, dtype=torch.bfloat16),
        "aigc bf16 + compile": partial(ours, documents, context, dtype=torch.bfloat16, compiled=True),
    }
    race(makers, given, context)


def read(files: list[str], most: int) -> list[str]:
    """Texts of the files, one of each in turn, so that they are mixed half and half."""
    parts = []
    for name in files:
        with gzip.open(name, "rt", encoding="utf-8") as file:
            parts.append([json.loads(line)["text"] for line in file])
    texts = [
        text for row in zip(*(random.Random(0).sample(part, min(map(len, parts))) for part in parts), strict=True) for text in row
    ]
    return texts[:most]


def documents(given: argparse.Namespace) -> None:
    """Documents of real length: useful tokens a second."""
    context = 512
    texts = read(given.files, 3000)
    codec = tokenizers.train(texts, kind="bpe", vocabulary=VOCABULARY, context=context, family="decoder")
    ids = [[*codec.start, *one, codec.end] for one in codec.encode(texts)]
    cut = [one[:context] for one in ids]
    random.Random(1).shuffle(cut)
    chained = [token for one in ids for token in one]
    blocks = [chained[at : at + context] for at in range(0, len(chained) - context + 1, context)]
    padding = stream_of(ids, context, VOCABULARY, rows=BATCH).accounting().padding
    print(f"{len(ids)} documents, mean {np.mean([len(one) for one in ids]):.0f} tokens; padding {padding:.2%} (ours)")
    makers: dict[str, Callable[[], Steps]] = {
        "HF Trainer, padded": partial(trainer, Rows(cut), context, bf16=False, compiled=False),
        "HF Trainer, concatenated blocks": partial(trainer, Rows(blocks), context, bf16=False, compiled=False),
        "aigc fp32": partial(ours, ids, context),
        "aigc fp32 + compile": partial(ours, ids, context, compiled=True),
        "aigc bf16 + compile": partial(ours, ids, context, dtype=torch.bfloat16, compiled=True),
    }
    race(makers, given, context)


def tokenise(files: list[str]) -> None:
    """Text to tokens on disk: ours, and datasets.map with run_clm's group_texts."""
    import datasets

    texts = read(files, 10**9)
    while sum(len(text.encode()) for text in texts) < 40e6:
        texts = texts + texts
    size = sum(len(text.encode()) for text in texts)
    codec = tokenizers.train(texts[:5000], kind="bpe", vocabulary=VOCABULARY, context=512, family="decoder")
    datasets.disable_progress_bars()

    def mine(folder: Path) -> None:
        batches = ([Example(text) for text in texts[at : at + 8192]] for at in range(0, len(texts), 8192))
        write_shards(folder, batches, codec)

    def theirs(folder: Path) -> None:
        def group(batch: dict[str, list[list[int]]]) -> dict[str, list[list[int]]]:
            chained = [token for ids in batch["input_ids"] for token in ids]
            rows = [chained[at : at + 512] for at in range(0, len(chained) // 512 * 512, 512)]
            return {"input_ids": rows, "labels": [list(row) for row in rows]}

        rows = datasets.Dataset.from_dict({"text": texts})
        ids = rows.map(lambda batch: {"input_ids": codec.tokenizer(batch["text"]).input_ids}, batched=True, remove_columns=["text"])
        ids.map(group, batched=True).save_to_disk(folder)

    speeds: dict[str, list[float]] = {"aigc": [], "datasets.map + group_texts": []}
    for _ in range(3):
        for name, work in (("aigc", mine), ("datasets.map + group_texts", theirs)):
            with tempfile.TemporaryDirectory() as folder:
                started = time.perf_counter()
                work(Path(folder) / "out")
                speeds[name].append(size / 1e6 / (time.perf_counter() - started))
    for name, found in speeds.items():
        print(f"{name:30}{median(found):8.2f} MB/s{median(found) / median(speeds['datasets.map + group_texts']):8.2f} x")


def memory(gigabytes: float) -> None:
    """Peak memory of tokenising a corpus and feeding from it, each size in a process of its own."""
    for size in (gigabytes / 100, gigabytes / 10, gigabytes):
        done = subprocess.run(
            [sys.executable, __file__, "memory-of", "--gigabytes", str(size)], capture_output=True, text=True, check=True
        )
        print(f"{size:8.2f} GB of text: {done.stdout.strip()}", flush=True)


def memory_of(gigabytes: float) -> None:
    """One size; prints the peak of anonymous memory, and of all that was resident (mapped files count there)."""
    words = "the river stone cloud paper window garden letter market winter doctor old boat that have with".split()
    draw = random.Random(0)
    texts = [" ".join(draw.choices(words, k=300)) for _ in range(2000)]
    codec = tokenizers.train(texts, kind="bpe", vocabulary=1000, context=512, family="decoder")
    size = sum(len(text) for text in texts)
    work = Path(tempfile.mkdtemp())
    try:
        shards = write_shards(work, ([Example(text) for text in texts] for _ in range(round(gigabytes * 1e9 / size))), codec)
        pieces = Pieces.of(shards, content=513, overlap=1, whole=False)
        stream = Stream.of([Corpus(pieces, 1.0)], Causal(codec), context=512, rows=BATCH, pad=codec.pad, seed=0)
        stream.accounting()
        with feed(stream, START, accumulate=1) as steps:
            for _ in range(1000):
                next(steps)
        fields = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
        now = {name: int(fields[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile", "VmHWM")}
        print(f"own memory {now['RssAnon']:,.0f} MiB, mapped {now['RssFile']:,.0f} MiB, peak of both {now['VmHWM']:,.0f} MiB; "
              f"{len(shards.tokens):,} tokens on disk")  # fmt: skip
    finally:
        shutil.rmtree(work)


def main() -> None:
    """One of the comparisons above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["full", "documents", "tokenise", "memory", "memory-of"])
    parser.add_argument("files", nargs="*")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--warm", type=int, default=3)
    parser.add_argument("--only", default="", help="contenders whose name has this in it, besides the Trainer")
    parser.add_argument("--gigabytes", type=float, default=5.0)
    given = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    torch.set_num_threads(2)
    match given.what:
        case "full":
            full(given)
        case "documents":
            documents(given)
        case "tokenise":
            tokenise(given.files)
        case "memory":
            memory(given.gigabytes)
        case "memory-of":
            memory_of(given.gigabytes)


if __name__ == "__main__":
    main()
