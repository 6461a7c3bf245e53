"""Tokens a second of generation, ours and the peers' on the same checkpoint and prompts, in one run.

    python scripts/bench_generate.py CHECKPOINT [--tokens 128] [--rounds 3] [--engines torch openvino] [--precisions fp32 int8]
    python scripts/bench_generate.py gpt2-6x384          # that shape with random weights
    python scripts/bench_generate.py CHECKPOINT --genai FOLDER   # OpenVINO GenAI on its own export of the checkpoint
    python scripts/bench_generate.py CHECKPOINT --only filter    # what the filter around the engine costs

Even: 1, 8 and 32 prompts of 16 to 112 tokens, all of which get `--tokens` new tokens. Ragged: 32 prompts whose texts end
by themselves after a number of tokens of their own (lognormal, median 32, sigma 0.8, at most `--tokens`), 16 at once. Greedy.
transformers.generate has a batch of 16 wait for the longest, as it does; what counts are the tokens of the texts. Rounds are
interleaved, medians are told.

Filter: the stage itself on the 32 ragged prompts, a sentence each, with the rules of configs/social.yaml: when its first row is
judged, counted from where the model is loaded, and which share of the time goes to the rules.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel, StoppingCriteria, StoppingCriteriaList

from aigc import config
from aigc.core.generation import loop
from aigc.core.generation.choosing import Chooser
from aigc.core.generation.engine import Local, Setup, open_engine
from aigc.core.generation.infilling import Middle
from aigc.core.generation.prompts import read_prompts
from aigc.core.generation.request import Decoding, Request
from aigc.core.generation.writing import Writing
from aigc.core.model import checkpoints
from aigc.core.rules.table import name_of
from aigc.core.tokens.text import TextCodec
from aigc.production.drawing import origin_of
from aigc.production.judge import Judge
from aigc.production.outcomes import Outcomes
from aigc.production.production import Production
from aigc.production.rowfile import Row
from aigc.production.sampling import windows
from aigc.schema import Project
from aigc.schema.generation import Generate

SLOTS = 16  # at once, of ragged work
SHAPE = "gpt2-6x384"


@dataclass(frozen=True)
class Work:
    """Prompts, and how many tokens each is to get."""

    name: str
    prompts: list[list[int]]
    lengths: list[int]
    slots: int

    @property
    def tokens(self) -> int:
        """New ones, in all."""
        return sum(self.lengths)


class Bounded(Chooser):
    """Ends each text after its own number of tokens, whatever the model says."""

    lengths: Sequence[int] = ()

    def begin(self, request: Request, room: int) -> Writing:
        """See Chooser."""
        return super().begin(request, min(room, self.lengths[request.key]))


class OwnLengths(StoppingCriteria):
    """The same for transformers.generate: a row is done after its own number of tokens."""

    def __init__(self, prompt_tokens: int, lengths: Sequence[int]) -> None:
        self._prompt_tokens = prompt_tokens
        self._lengths = torch.tensor(lengths)

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        """(B,) which rows are done."""
        return (input_ids.shape[1] - self._prompt_tokens) >= self._lengths


def works(codec: TextCodec, tokens: int, seed: int = 0) -> list[Work]:
    """What is measured; prompts are pieces of the bundled texts."""
    rng = np.random.default_rng(seed)
    files = [resources.files("aigc") / "samples" / name for name in ("news.jsonl", "stories.jsonl")]
    rows = [json.loads(line) for file in files for line in file.read_text("utf-8").split("\n") if line]
    ids = [one for text in codec.encode([row["text"] for row in rows if row["id"].startswith("en-")]) for one in text]

    def prompts(count: int) -> list[list[int]]:
        found = []
        for length in rng.integers(16, 113, count):
            begin = rng.integers(len(ids) - length)
            found.append(ids[begin : begin + length])
        return found

    even = [Work(f"{count} at once", prompts(count), [tokens] * count, count) for count in (1, 8, 32)]
    lengths = np.clip(rng.lognormal(np.log(32), 0.8, 32).astype(int), 1, tokens).tolist()
    return [*even, Work("ragged", prompts(32), lengths, SLOTS)]


def theirs(model: PreTrainedModel, work: Work, pad: int) -> list[list[int]]:
    """By transformers.generate, padded on the left."""
    found = []
    for first in range(0, len(work.prompts), work.slots):
        prompts = work.prompts[first : first + work.slots]
        lengths = work.lengths[first : first + work.slots]
        longest = max(map(len, prompts))
        ids_BT = torch.full((len(prompts), longest), pad)
        mask_BT = torch.zeros_like(ids_BT)
        for row, prompt in enumerate(prompts):
            ids_BT[row, longest - len(prompt) :] = torch.tensor(prompt)
            mask_BT[row, longest - len(prompt) :] = 1
        out_BT = model.generate(
            input_ids=ids_BT,
            attention_mask=mask_BT,
            max_new_tokens=max(lengths),
            do_sample=False,
            eos_token_id=None,
            pad_token_id=pad,
            stopping_criteria=StoppingCriteriaList([OwnLengths(longest, lengths)]),
        )
        found += [row[longest : longest + length].tolist() for row, length in zip(out_BT, lengths, strict=True)]
    return found


def ours(engine: Local, work: Work) -> list[list[int]]:
    """By an engine of ours, with what its `draw` does."""
    most = max(work.lengths)
    decoding = Decoding(most, temperature=0.0, min_tokens=most)
    chooser = Bounded(engine.codec, decoding, vocabulary=engine.vocabulary, device=torch.device("cpu"))
    chooser.lengths = work.lengths
    requests = [Request(prompt, 0, key=number) for number, prompt in enumerate(work.prompts)]
    found = {request.key: list(drawn.ids) for request, drawn in loop.draw(engine.stepper, chooser, requests)}
    return [found[number] for number in range(len(requests))]


def genai(folder: str, work: Work) -> Callable[[], list[list[int]]]:
    """By OpenVINO GenAI's continuous batching, called directly, with as many requests under way as all have."""
    import openvino as ov
    import openvino_genai as og

    scheduler = og.SchedulerConfig()
    scheduler.max_num_seqs = work.slots
    scheduler.cache_size = 2
    settings = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    pipeline = og.ContinuousBatchingPipeline(folder, scheduler, "CPU", settings, {})
    tensors = [ov.Tensor(np.array([prompt], np.int64)) for prompt in work.prompts]

    def config(length: int) -> Any:
        one = og.GenerationConfig()
        one.max_new_tokens, one.min_new_tokens, one.ignore_eos, one.do_sample = length, length, True, False
        return one

    configs = [config(length) for length in work.lengths]

    def run() -> list[list[int]]:
        found: list[list[int]] = [[] for _ in tensors]
        waiting, going = list(range(len(tensors))), dict[int, Any]()
        while waiting or going:
            while waiting and len(going) < work.slots:  # its own max_num_seqs bounds nothing: with 4 it is as fast as with 32
                one = waiting.pop(0)
                going[one] = pipeline.add_request(one, tensors[one], configs[one])
            pipeline.step()
            for one in [one for one, handle in going.items() if handle.get_status() == og.GenerationStatus.FINISHED]:
                found[one] = list(going.pop(one).read_all()[0].generated_ids)
        return found

    return run


@dataclass
class _Nowhere:
    """A sink that keeps nothing."""

    rows: int = 0

    def add(self, _: Row) -> None:
        """See Sink."""
        self.rows += 1


def filtered(start: str, kind: str, precision: str, texts: Sequence[str], tokens: int) -> str:
    """The stage on those prompts, in words: its first row, its time, the share of the rules."""
    social = config.load(Path(__file__).parents[1] / "configs" / "social.yaml").generate
    assert social is not None
    rules = [rule for rule in social.rules if name_of(rule) not in ("missing_facts", "copied_run")]  # the prompts are no posts
    given: dict[str, Any] = {"checkpoint": start, "prompts": list(texts), "engine": kind, "precision": precision, "rules": rules}
    section = {**given, "max_tokens": tokens, "stop": [". ", ".\n"], "temperature": 0.7}
    project = Project(name="bench", generate=Generate(**section))
    sink = _Nowhere()
    spent = first = 0.0
    judge = Judge.__call__

    def timed(self: Judge, *of: Any) -> Any:
        nonlocal spent, first
        began = time.perf_counter()
        found = judge(self, *of)
        first = first or time.perf_counter()
        spent += time.perf_counter() - began
        return found

    production = Production(project, Outcomes(origin_of(project), sink))
    production.open()
    loaded = time.perf_counter()
    with mock.patch.object(Judge, "__call__", timed):
        for window in windows(read_prompts(section["prompts"], "{prompt}"), count=4, size=8 * SLOTS):
            production.do(window)
    seconds = time.perf_counter() - loaded
    return (
        f"first row after {first - loaded:.2f} s, {4 * len(texts)} samples in {seconds:.1f} s, {sink.rows} accepted, "
        f"rules {spent:.2f} s = {100 * spent / seconds:.1f} %"
    )


def checkpoint(given: str, folder: Path) -> str:
    """The folder of a checkpoint; one of random weights is made where its shape is given."""
    if given != SHAPE:
        return given
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    torch.manual_seed(0)
    config = GPT2Config(vocab_size=50257, n_positions=512, n_embd=384, n_layer=6, n_head=6)
    GPT2LMHeadModel(config).save_pretrained(folder)
    vocabulary = {symbol: number for number, symbol in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    vocabulary |= {f"<{number}>": number for number in range(len(vocabulary), 50257)}
    backend = Tokenizer(models.BPE(vocabulary, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<50256>").save_pretrained(folder)
    return str(folder)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--engines", nargs="*", default=["torch", "openvino"])
    parser.add_argument("--precisions", nargs="*", default=["fp32", "int8"])
    parser.add_argument("--genai", help="a folder that OpenVINO GenAI loads")
    parser.add_argument("--cache", type=Path, help="where converted models are kept; by default they are converted anew")
    parser.add_argument("--only", nargs="*", help="names of works, such as ragged or '8 at once'")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as temporary:
        start = checkpoint(given.checkpoint, Path(temporary) / "model")
        model, codec = checkpoints.load(start)
        model.eval()
        every = works(codec, given.tokens)
        for work in every:
            if given.only and work.name not in given.only:
                continue
            runs: dict[str, Callable[[], list[list[int]]]] = {
                "transformers": lambda work=work: theirs(model, work, codec.pad)  # type: ignore[misc]
            }
            for kind in given.engines:
                for precision in given.precisions if kind == "openvino" else ["fp32"]:
                    engine = open_engine(
                        start, Setup(kind, precision, slots=work.slots, cache=given.cache or Path(temporary) / "cache")
                    )
                    assert isinstance(engine, Middle) and isinstance(engine.engine, Local)
                    runs[f"aigc {kind} {precision}"] = lambda engine=engine.engine, work=work: ours(engine, work)  # type: ignore[misc]
            if given.genai:
                runs["openvino genai"] = genai(given.genai, work)
            seconds: dict[str, list[float]] = {name: [] for name in runs}
            texts: dict[str, list[list[int]]] = {}
            for _ in range(given.rounds):
                for name, run in runs.items():
                    started = time.perf_counter()
                    texts[name] = run()
                    seconds[name].append(time.perf_counter() - started)
            base = statistics.median(seconds["transformers"])
            print(f"{work.name}: {len(work.prompts)} prompts, {work.tokens} new tokens")
            for name, found in seconds.items():
                median = statistics.median(found)
                same = sum(a == b for a, b in zip(texts[name], texts["transformers"], strict=True))
                ratios = statistics.median(t / s for t, s in zip(seconds["transformers"], found, strict=True))
                print(
                    f"  {name:<22} {work.tokens / median:8.1f} tokens/s   x{base / median:.2f} (round by round x{ratios:.2f})"
                    f"   {same} of {len(work.prompts)} texts as transformers'",
                    flush=True,
                )
        if not given.only or "filter" in given.only:
            texts = [codec.decode(prompt) for prompt in every[-1].prompts]
            for kind in given.engines:
                for precision in given.precisions if kind == "openvino" else ["fp32"]:
                    print(f"filter: aigc {kind} {precision}: {filtered(start, kind, precision, texts, given.tokens)}", flush=True)


if __name__ == "__main__":
    main()
