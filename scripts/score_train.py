"""What counting alone tells of a validation split, beside what a pretrained model does: nats per token and bits per byte.

    python scripts/score_train.py runs/poems [--document "{title}\\n{text}"]

Counts are of the training split, in the tokens of the run's own tokenizer: how often a token occurs (unigram), and how often it
follows the one before it (bigram, with absolute discounting down to the unigram: Ney, Essen & Kneser 1994). Every token but a
document's first is told, the end included, as in causal training; with a masked model only the unigram compares, roughly.
"""

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from aigc.core.model import checkpoints
from aigc.core.tokens.text import TextCodec
from aigc.core.training.corpus import examples, templates

DISCOUNT = 0.75


def tokens_of(split: Path, part: str, document: str, codec: TextCodec) -> Iterator[np.ndarray]:
    """The ids of each document with start and end."""
    for batch in examples(sorted(split.glob(f"{part}-*.parquet")), templates(document)):
        for ids in codec.encode([example.completion for example in batch]):
            yield np.array([*(codec.start or [codec.end]), *ids, codec.end], np.int64)


def main() -> None:
    """Count, tell, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--document", default="{text}")
    given = parser.parse_args()
    codec = checkpoints.codec_of(str(given.run / "pretrain" / "model"))
    size = codec.vocabulary
    document = given.document.replace("\\n", "\n")
    counts = np.zeros(size)
    pairs = []
    for ids in tokens_of(given.run / "split", "train", document, codec):
        counts += np.bincount(ids[1:], minlength=size)
        pairs.append(ids[:-1] * size + ids[1:])
    keys, seen = np.unique(np.concatenate(pairs), return_counts=True)
    before = np.bincount(keys // size, weights=seen, minlength=size)
    kinds = np.bincount(keys // size, minlength=size)
    unigram = (counts + 1) / (counts.sum() + size)
    nats, told, text_bytes = np.zeros(2), 0, 0
    for ids in tokens_of(given.run / "split", "validation", document, codec):
        first, second = ids[:-1], ids[1:]
        place = np.minimum(np.searchsorted(keys, first * size + second), len(keys) - 1)
        hits = np.where(keys[place] == first * size + second, seen[place], 0)
        total = np.maximum(before[first], 1)
        bigram = (
            np.maximum(hits - DISCOUNT, 0) / total
            + np.where(before[first] > 0, DISCOUNT * kinds[first] / total, 1) * unigram[second]
        )
        nats -= np.log(unigram[second]).sum(), np.log(bigram).sum()
        told += len(second)
        text_bytes += int(codec.byte_lengths[second].sum())
    for name, value in zip(("unigram", "bigram"), nats, strict=True):
        print(f"{name:12} {value / told:8.3f} nats per token {value / math.log(2) / text_bytes:8.3f} bits per byte")
    for line in (given.run / "pretrain" / "metrics.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        if "validation_loss" in row:
            more = f" pairs {row['sequence_accuracy']:.3f}" if "sequence_accuracy" in row else ""
            print(
                f"step {row['step']:7} {row['validation_loss']:8.3f} nats per token {row['bits_per_byte']:8.3f} bits per byte{more}"
            )


if __name__ == "__main__":
    main()
