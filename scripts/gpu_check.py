"""A GPT-2-small-shaped model on one GPU, with bf16, torch.compile and packed documents: tokens a second and the share of the peak.

    python scripts/gpu_check.py [--steps 60] [--batch-size 16] [--peak 989e12]

Documents have lengths as in news; each attends to itself only. MFU counts 6 FLOP per parameter and token and the causal attention,
against the peak that is given (989e12: dense bf16 of an H100).
"""

import argparse
import sys
import time

import numpy as np
import torch
from bench_documents import stream_of

from aigc.core.batches.feed import feed
from aigc.core.batches.stream import START
from aigc.core.model import families
from aigc.core.model.learner import Learner
from aigc.core.training.loop import train
from aigc.core.training.optimiser import adamw
from aigc.core.training.replicas import Replicas

LAYERS, WIDTH, HEADS, VOCABULARY, CONTEXT = 12, 768, 12, 50304, 1024


def main() -> None:
    """Train some steps and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--peak", type=float, default=989e12)
    parser.add_argument("--device", default="cuda")
    given = parser.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        sys.exit("no CUDA device here")
    device = torch.device(given.device)
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(6.0, 0.6, 20_000), 16, 4000).astype(np.int64)
    documents = [rng.integers(1, VOCABULARY, length) for length in lengths]
    stream = stream_of(documents, CONTEXT, VOCABULARY, rows=given.batch_size)
    torch.manual_seed(0)
    shape = families.Shape(layers=LAYERS, width=WIDTH, heads=HEADS, dropout=0.0)
    ids = families.SpecialIds(start=0, end=0, pad=0)
    model = families.build("gpt2", shape=shape, vocabulary=VOCABULARY, ids=ids, context=CONTEXT).to(device)
    learner = Learner(model, dtype=torch.bfloat16, compiled=True)
    parameters = sum(p.numel() for p in model.parameters())
    found = []
    with feed(stream, START, accumulate=1) as batches:
        started = time.perf_counter()
        for step in train(
            learner,
            batches,
            adamw(learner, weight_decay=0.1),
            learning_rate=lambda _: 3e-4,
            clip=1.0,
            numbers=range(given.steps),
            seed=0,
            replicas=Replicas(),
        ):
            if step.number == 1:
                print(f"first step: {time.perf_counter() - started:.1f} s; loss {step.loss:.3f}", flush=True)
            if step.number > min(10, given.steps // 2):
                found.append(step)
    seconds = float(np.median([step.seconds for step in found]))
    per_second = float(np.mean([step.tokens for step in found])) / seconds
    mean = float(np.mean(np.minimum(lengths, CONTEXT)))
    flops = 6 * parameters + 6 * LAYERS * WIDTH * mean
    print(f"{parameters / 1e6:.0f} M parameters, {stream.places:,} tokens a step, padding {stream.accounting().padding:.2%}")
    waited = sum(step.waited for step in found) / sum(step.seconds for step in found)
    print(
        f"loss {found[-1].loss:.3f}; median step {seconds * 1e3:.1f} ms, {per_second:,.0f} tokens/s, "
        f"MFU {per_second * flops / given.peak:.1%}, waiting for data {waited:.2%}"
    )
    if device.type == "cuda":
        print(f"{torch.cuda.get_device_name()}, peak memory {torch.cuda.max_memory_allocated() / 1e9:.1f} GB")


if __name__ == "__main__":
    main()
