"""Tokens of many sequences into logits by OpenVINO: a Stepper whose keys and values lie in blocks that sequences may share."""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from aigc.core.generation.openvino_export import GRAPH, Precision, export, fingerprint, read_paged, runtime
from aigc.core.generation.quality import Quality, measure
from aigc.core.generation.stepper import Feed
from aigc.core.model.checkpoints import context_of
from aigc.core.tokens.text import TextCodec
from aigc.errors import AigcError

__all__ = ["OpenvinoStepper", "open_stepper"]

FORMAT = 2  # of what is cached
QUALITY = "quality.json"
DEVICE = "CPU"
KINDS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}  # of products and of what is remembered
BOUNDS = {"fp32": 0.001, "bf16": 0.02, "int8": 0.02}  # how far a perplexity may be from that of fp32
FEWEST = 16  # blocks to begin with


@dataclass
class _Slot:
    blocks: list[int] = field(default_factory=list)
    tokens: int = 0


class OpenvinoStepper:
    """See Stepper; for causal models, on the CPU."""

    def __init__(self, graph: Path, *, slots: int, context: int, precision: Precision = "fp32", threads: int | None = None) -> None:
        """Compile a graph that `export` wrote.

        Args:
            threads: None for as many as torch has.

        Raises:
            AigcError: bf16 is not to be had here.
        """
        core = _core()
        threads = threads or torch.get_num_threads()
        if precision == "bf16" and "BF16" not in core.get_property(DEVICE, "OPTIMIZATION_CAPABILITIES"):
            raise AigcError("precision: bf16 was asked for, but this CPU does not multiply in it; take fp32 or int8")
        if precision == "bf16" and min(threads, _cpus()) < 2:  # 2026.4.1 divides by zero, which ends the process
            raise AigcError("precision: bf16 was asked for, but OpenVINO needs two threads for it; take fp32 or int8")
        settings = {
            "INFERENCE_PRECISION_HINT": KINDS[precision],  # else bf16 wherever the CPU has it
            "KV_CACHE_PRECISION": KINDS[precision],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # several processes would be pinned to the same cores
        }
        compiled = core.compile_model(read_paged(core, graph), DEVICE, settings)
        self._ov = runtime()
        self._request = compiled.create_infer_request()
        self._output = compiled.output(0)
        self._width = self._output.get_partial_shape()[1].get_length()
        self._context = context
        self._slots = [_Slot() for _ in range(slots)]
        ports = [port for port in compiled.inputs if "_cache." in port.get_any_name()]
        self._kinds = {port.get_any_name(): (port.element_type, _block_shape(port)) for port in ports}
        self._size = int(ports[0].get_partial_shape()[2].get_length())  # tokens of a block
        self._caches: dict[str, Any] = {}
        self._logits = torch.empty(0, self._width)
        self._inputs: dict[str, NDArray[Any]] = {}  # as they were set last
        self._owners: NDArray[np.int64] = np.zeros(0, np.int64)  # (blocks,) slots that hold each
        self._free: list[int] = []
        self._grow(max(FEWEST, 2 * slots))

    @property
    def slots(self) -> int:
        """See Stepper."""
        return len(self._slots)

    @property
    def context(self) -> int:
        """See Stepper."""
        return self._context

    def begin(self, slot: int, source_ids: Sequence[int] | None = None) -> None:
        """See Stepper."""
        assert source_ids is None, "causal models have no source"
        self.cut(slot, 0)

    def step(self, feeds: Sequence[Feed]) -> torch.Tensor:
        """See Stepper."""
        lengths = np.array([len(feed.ids) for feed in feeds], np.int32)
        past = np.array([self._slots[feed.slot].tokens for feed in feeds], np.int32)
        assert len({feed.slot for feed in feeds}) == len(feeds) > 0 and lengths.min() > 0
        assert (past + lengths).max() <= self._context
        ends = np.cumsum(lengths, dtype=np.int32)
        tables = [self._reserve(self._slots[feed.slot], len(feed.ids)) for feed in feeds]
        wanted = np.concatenate([np.arange(end - feed.wanted, end) for feed, end in zip(feeds, ends, strict=True)])
        given = {
            "input_ids": np.concatenate([np.asarray(feed.ids, np.int64) for feed in feeds]),
            "position_ids": np.arange(ends[-1], dtype=np.int64) - np.repeat(ends - lengths - past, lengths),
            "wanted": wanted if len(wanted) else np.zeros(1, np.int64),
            "past_lens": past,
            "subsequence_begins": np.concatenate([[0], ends]).astype(np.int32),
            "block_indices": np.concatenate(tables).astype(np.int32),
            "block_indices_begins": np.cumsum([0, *map(len, tables)], dtype=np.int32),
            "max_context_len": np.array((past + lengths).max(), np.int32),
        }
        for name, array in given.items():
            self._put(name, array)
        logits_WV = self._room(len(given["wanted"]))
        self._request.start_async()  # `infer` keeps an error of the plugin to itself
        self._request.wait()
        for feed in feeds:
            self._slots[feed.slot].tokens += len(feed.ids)
        return logits_WV[: len(wanted)]

    def _room(self, rows: int) -> torch.Tensor:
        """Where logits will be: memory that was used before costs less, but that of many rows is not kept."""
        if rows != len(self._logits):
            self._logits = torch.empty(rows, self._width)
            self._request.set_tensor(self._output, self._ov.Tensor(self._logits.numpy(), shared_memory=True))
        return self._logits

    def _put(self, name: str, array: NDArray[Any]) -> None:
        """Set an input; where its shape is that of the last step, which is most often so, its numbers alone."""
        last = self._inputs.get(name)
        if last is not None and last.shape == array.shape:
            np.copyto(last, array)
        else:
            self._inputs[name] = array
            self._request.set_tensor(name, self._ov.Tensor(array, shared_memory=True))

    def copy(self, source: int, target: int, tokens: int) -> None:
        """See Stepper. Blocks are shared until one of the two writes into them."""
        assert tokens <= self._slots[source].tokens
        blocks = self._slots[source].blocks[: self._blocks_of(tokens)]
        self._owners[blocks] += 1
        self.cut(target, 0)
        self._slots[target] = _Slot(blocks, tokens)

    def cut(self, slot: int, tokens: int) -> None:
        """See Stepper."""
        held = self._slots[slot]
        assert tokens <= held.tokens
        keep = self._blocks_of(tokens)
        for block in held.blocks[keep:]:
            self._release(block)
        self._slots[slot] = _Slot(held.blocks[:keep], tokens)

    def _blocks_of(self, tokens: int) -> int:
        return -(-tokens // self._size)

    def _reserve(self, held: _Slot, more: int) -> list[int]:
        """The blocks of a slot, with room for more tokens, none of those to be written being another's too."""
        for at in range(held.tokens // self._size, len(held.blocks)):
            if self._owners[shared := held.blocks[at]] > 1:
                held.blocks[at] = self._take()
                for cache in self._caches.values():
                    cache[held.blocks[at]] = cache[shared]
                self._release(shared)
        while len(held.blocks) < self._blocks_of(held.tokens + more):
            held.blocks.append(self._take())
        return held.blocks

    def _take(self) -> int:
        if not self._free:
            self._grow(2 * len(self._owners))
        block = self._free.pop()
        self._owners[block] = 1
        return block

    def _release(self, block: int) -> None:
        self._owners[block] -= 1
        if not self._owners[block]:
            self._free.append(block)

    def _grow(self, blocks: int) -> None:
        """Make room for so many blocks in all; those that are there keep their numbers."""
        before = len(self._owners)
        try:
            for name, (kind, shape) in self._kinds.items():
                tensor = self._ov.Tensor(kind, self._ov.Shape([blocks, *shape]))
                cache = tensor.data  # bf16 is seen as numbers of its width, which are only moved
                cache[before:] = 0
                if before:
                    cache[:before] = self._caches[name]
                self._request.set_tensor(name, tensor)
                self._caches[name] = cache
        except (MemoryError, RuntimeError) as error:
            tokens = blocks * self._size
            raise AigcError(
                f"no memory for keys and values of {tokens:,} tokens; a smaller generate.batch_size needs less"
            ) from error
        self._owners = np.concatenate([self._owners, np.zeros(blocks - before, np.int64)])
        self._free += range(blocks - 1, before - 1, -1)


@cache
def _core() -> Any:
    """One for the process, which is never closed.

    On CPUs with AMX its plugin gives the thread another stack for signals, and takes back the one before when it is closed; of two
    that are closed in the order of their making, the second takes back a stack that is gone, and the next Ctrl-C is a crash.
    """
    return runtime().Core()


def open_stepper(
    model: PreTrainedModel,
    codec: TextCodec,
    *,
    cache: Path,
    slots: int,
    precision: Precision = "fp32",
    threads: int | None = None,
) -> tuple[OpenvinoStepper, Quality]:
    """A model as a Stepper of OpenVINO, with how near it comes; converted once for its weights, precision and OpenVINO's version.

    Args:
        model: causal, in fp32.
        cache: a folder to keep converted models in.
        threads: None for as many as torch has.

    Raises:
        AigcError: OpenVINO is not installed; the model cannot be converted; what came out is too far from it: perplexities must be
            within 2 % of those of the model in fp32 (0.1 % where the precision is fp32).
    """
    version = runtime().get_version().split("-")[0]
    folder = cache / f"{fingerprint(model)}-{precision}-{version}-{FORMAT}"
    settings: dict[str, Any] = {"slots": slots, "context": context_of(model), "precision": precision, "threads": threads}
    if (folder / QUALITY).exists():
        quality = Quality(**json.loads((folder / QUALITY).read_text("utf-8")))
        return OpenvinoStepper(folder / GRAPH, **settings), quality
    beside = cache / f".{folder.name}.{os.getpid()}"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        export(_plain(model), beside, precision=precision)
        stepper = OpenvinoStepper(beside / GRAPH, **settings)
        quality = measure(stepper, model, codec)
        if not quality.deviation <= BOUNDS[precision]:
            bound = f"{BOUNDS[precision]:.1%} from fp32 is the limit"
            raise AigcError(
                f"engine: openvino at {precision} is not this model any more: {quality}; {bound}; take fp32 or engine: torch"
            )
        (beside / QUALITY).write_text(json.dumps(asdict(quality)), "utf-8")
        try:
            beside.rename(folder)
        except OSError:
            if not (folder / QUALITY).exists():  # as another process has been as far
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    stepper.begin(0)
    return stepper, quality


def _plain(model: PreTrainedModel) -> PreTrainedModel:
    """Adapters added into the weights, where there are some."""
    if not hasattr(model, "peft_config"):
        return model
    from aigc.core.model import adapters  # peft takes two seconds to import

    plain, buffers = adapters.merged(model), dict(model.named_buffers())
    for name, buffer in list(plain.named_buffers()):
        if buffer.is_meta:  # what is in no state, as rotary frequencies
            parent, _, child = name.rpartition(".")
            setattr(plain.get_submodule(parent), child, buffers[name])
    return plain


def _block_shape(port: Any) -> list[int]:
    return [side.get_length() for side in list(port.get_partial_shape())[1:]]


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
