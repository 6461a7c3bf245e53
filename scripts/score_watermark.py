"""How often a watermark is found in texts of 200 tokens, and how often where there is none.

    python scripts/score_watermark.py CHECKPOINT [--samples 64] [--tokens 200] [--top-k 0 50] [--temperature 1.0] [--language en]

Texts are continued from the first 16 tokens of the bundled news and stories, decoded, and encoded anew without their
prompt, as a detector sees them. Found is what has a p-value below 1 %. False alarms are counted on unmarked texts, with many keys.
"""

import argparse
import json
import re
import time
from importlib.resources import files
from pathlib import Path

import torch
from transformers import DynamicCache, PreTrainedModel

from aigc.core.generation.request import Watermark
from aigc.core.generation.watermarks import Marker, marker
from aigc.core.model import checkpoints
from aigc.core.tokens.text import TextCodec

PROMPT = 16  # tokens
KEYS = 50  # with which each unmarked text is tested
LEVEL = 0.01


def prompts(codec: TextCodec, count: int, language: str) -> torch.Tensor:
    """(count, PROMPT) ids of the beginnings of documents in a language, over and over where they are too few."""
    folder = Path(str(files("aigc") / "samples"))
    rows = [json.loads(line) for name in ("news", "stories") for line in (folder / f"{name}.jsonl").open(encoding="utf-8")]
    texts = [row["text"] for row in rows if (language == "zh") == bool(re.search("[一-鿿]", row["text"]))]
    found = [ids[:PROMPT] for ids in codec.encode(texts) if len(ids) >= PROMPT]
    return torch.tensor([found[number % len(found)] for number in range(count)])


@torch.inference_mode()
def continued(
    model: PreTrainedModel, start_BT: torch.Tensor, mark: Marker | None, given: argparse.Namespace, top_k: int, end: int
) -> list[list[int]]:
    """Draw new tokens after each start; no text ends early."""
    generator = torch.Generator().manual_seed(given.seed)
    cache = DynamicCache(config=model.config)
    ids_BT, feed = start_BT, start_BT
    for _ in range(given.tokens):
        logits_BV = model(input_ids=feed, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1].float()
        logits_BV[:, end] = -torch.inf
        logits_BV /= given.temperature
        if top_k:
            logits_BV = logits_BV.masked_fill(logits_BV < logits_BV.topk(top_k).values[:, -1:], -torch.inf)
        if mark is not None:
            logits_BV = mark.bias(logits_BV, ids_BT.tolist())
        feed = torch.multinomial(logits_BV.softmax(-1), 1, generator=generator)
        ids_BT = torch.cat([ids_BT, feed], dim=1)
    return [row[start_BT.shape[1] :] for row in ids_BT.tolist()]


def main() -> None:
    """Draw, test, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--top-k", type=int, nargs="+", default=[0, 50])
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--language", choices=["en", "zh"], default="en")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="write the texts' ids there, as JSON lines")
    given = parser.parse_args()
    model, codec = checkpoints.load(given.checkpoint)
    start_BT = prompts(codec, given.samples, given.language)
    width = int(model.get_output_embeddings().weight.shape[0])

    def made(kind: str, key: int) -> Marker:
        return marker(Watermark(kind, key), vocabulary=width, device=torch.device("cpu"))  # type: ignore[arg-type]

    rows = []
    for top_k in given.top_k:
        for kind in ("none", "synthid", "greenlist"):
            began = time.monotonic()
            mark = None if kind == "none" else made(kind, 1)
            drawn = continued(model, start_BT, mark, given, top_k, codec.end)
            seconds = time.monotonic() - began
            texts = codec.encode([codec.decode(ids) for ids in drawn])
            rows += [{"kind": kind, "top_k": top_k, "ids": ids} for ids in texts]
            for tested in ("synthid", "greenlist") if mark is None else (kind,):
                marks = [made(tested, 1000 + number) for number in range(KEYS)] if mark is None else [mark]
                found = [one.evidence(ids) for one in marks for ids in texts]
                hits = sum(one.p_value < LEVEL for one in found)
                z = sorted(one.z for one in found)
                print(
                    f"top_k {top_k:3}  marked {kind:9}  tested {tested:9}  p < {LEVEL}: {hits} of {len(found)} "
                    f"({hits / len(found):.1%})  "
                    f"z median {z[len(z) // 2]:.1f}, least {z[0]:.1f}  tokens {sum(one.tokens for one in found) / len(found):.0f}  "
                    f"{given.samples * given.tokens / seconds:.0f} tokens/s",
                    flush=True,
                )
    if given.keep:
        given.keep.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


if __name__ == "__main__":
    main()
