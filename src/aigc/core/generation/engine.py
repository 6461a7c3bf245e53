"""A checkpoint into an engine: requests in, finished rows out, whoever runs the model."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Protocol

import torch
from transformers import PreTrainedModel

from aigc.core.generation import loop
from aigc.core.generation.choosing import Chooser
from aigc.core.generation.infilling import Infilling, Middle
from aigc.core.generation.loop import Watch
from aigc.core.generation.openvino import open_stepper
from aigc.core.generation.prompts import prompt_ids
from aigc.core.generation.refusals import refuse
from aigc.core.generation.remote import Remote
from aigc.core.generation.request import Decoding, Drawn, Request
from aigc.core.generation.searching import Searching
from aigc.core.generation.slots import TorchStepper, start_ids
from aigc.core.generation.speculation import Speculation, check_vocabularies
from aigc.core.generation.stepper import Stepper
from aigc.core.generation.vllm import Vllm
from aigc.core.model import checkpoints
from aigc.core.model.checkpoints import context_of
from aigc.core.model.families import Kind
from aigc.core.tokens.text import TextCodec
from aigc.errors import AigcError

__all__ = ["Engine", "EngineName", "Local", "PrecisionName", "draw_freely", "local", "open_engine"]

EngineName = Literal["auto", "torch", "openvino", "vllm"]
PrecisionName = Literal["auto", "fp32", "bf16", "int8"]
WRITERS: tuple[Kind, ...] = ("decoder", "encoder_decoder", "encoder")
WORTH_CONVERTING = 20_000_000  # parameters of a model, at least, for which `auto` converts it to OpenVINO
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Engine(Protocol):
    """Who continues prompts."""

    @property
    def name(self) -> str:
        """Who runs the model and in which precision, as it is told: `torch fp32`."""

    @property
    def codec(self) -> TextCodec:
        """The checkpoint's."""

    @property
    def quality(self) -> str:
        """How near it comes to the model in fp32, in words; nothing where it was not measured."""

    def request(self, text: str, *, seed: int, key: int = 0) -> Request:
        """A prompt as the model reads it.

        Raises:
            AigcError: it is none for this checkpoint.
        """

    def room_for(self, prompt_tokens: int) -> int:
        """New tokens that fit behind a prompt of so many tokens; 0 or less: the prompt is too long."""

    def draw(
        self, requests: Iterable[Request | None], decoding: Decoding, watch: Watch | None = None
    ) -> Iterator[tuple[Request, Drawn]]:
        """Finished rows, each as it is finished. The same requests in the same order give the same bytes.

        Args:
            requests: taken as places become free. None stands for "none has come yet": what is under way goes on meanwhile; where
                nothing is, the next one is asked for again at once.
            watch: is told each piece of text as it is settled.
        """


class Local:
    """An engine over a Stepper of this process, for causal models and encoder-decoders."""

    def __init__(
        self, name: str, stepper: Stepper, codec: TextCodec, *, vocabulary: int, device: torch.device, start: Sequence[int] = ()
    ) -> None:
        """
        Args:
            vocabulary: width of the logits.
            device: where they are.
            start: see `loop.draw`.
        """
        self.name = name
        self.codec = codec
        self.stepper = stepper
        self.vocabulary = vocabulary
        self.device = device
        self.start = list(start)
        self._last: tuple[Decoding, Chooser] | None = None
        self.quality = ""  # how near it comes to the model in fp32, in words, where it was measured

    def request(self, text: str, *, seed: int, key: int = 0) -> Request:
        """See Engine; what an encoder reads ends like a document, as in training."""
        ids = prompt_ids(self.codec, text)
        return Request([*ids, self.codec.end] if self.start else ids, seed, key)

    def room_for(self, prompt_tokens: int) -> int:
        """See Engine."""
        if self.start:
            return self.stepper.context - len(self.start) if prompt_tokens <= self.stepper.context else 0
        return self.stepper.context - prompt_tokens

    def chooser(self, decoding: Decoding) -> Chooser:
        """Who chooses tokens so.

        Raises:
            AigcError: they cannot be chosen so.
        """
        if self._last is None or self._last[0] != decoding:  # phrases and constraints take a while to build
            refuse(decoding, f"engine {self.name}", ("beams", "contrastive"))
            made = Chooser(self.codec, decoding, vocabulary=self.vocabulary, device=self.device, start=self.start)
            self._last = decoding, made
        return self._last[1]

    def draw(
        self, requests: Iterable[Request | None], decoding: Decoding, watch: Watch | None = None
    ) -> Iterator[tuple[Request, Drawn]]:
        """See Engine."""
        if isinstance(self.stepper, Speculation):
            self.stepper.follow(decoding)
        return loop.draw(self.stepper, self.chooser(decoding), requests, start=self.start, watch=watch)


@dataclass(frozen=True)
class Setup:
    """How a checkpoint is run.

    Attributes:
        kind: `auto` takes vllm on a GPU and openvino on a CPU, where they are installed and can run the checkpoint; else torch.
        precision: of the weights; `auto` is fp32 on CPUs, where rows are those of transformers, and bf16 on GPUs.
        device: as torch calls it.
        slots: sequences at once.
        cache: where converted models are kept.
        search: whether decoding has beams or is contrastive, which torch alone does.
        draft: a checkpoint that guesses so many tokens ahead.
    """

    kind: EngineName = "auto"
    precision: PrecisionName = "auto"
    device: str = "cpu"
    slots: int = 16
    cache: Path = Path("~/.cache/aigc")
    search: bool = False
    draft: tuple[str, int] | None = None


def open_engine(start: str, setup: Setup) -> Engine:
    """Load a checkpoint for generation.

    Args:
        start: a checkpoint folder, a folder of adapters, a .gguf file or a hub name.

    Raises:
        AigcError: it cannot be loaded, is not installed, or cannot do what is asked.
    """
    kind, precision, search = setup.kind, setup.precision, setup.search
    gpu = setup.device.startswith("cuda")
    if kind == "vllm" or (kind == "auto" and gpu and find_spec("vllm") and not search and setup.draft is None):
        return _vllm(start, setup)
    model, codec = checkpoints.load(start, torch.device(setup.device), kinds=WRITERS)
    model.eval().requires_grad_(False)
    known = _kind(model)
    causal = known == "decoder"
    able = causal and not search and setup.device == "cpu"
    if kind == "openvino" and not able:
        what = "beams and contrastive search" if search else f"{known.replace('_', '-')} models" if not causal else setup.device
        raise AigcError(f"engine openvino is for causal models on CPUs, and not for {what}: take engine torch")
    worth = precision == "int8" or sum(parameter.numel() for parameter in model.parameters()) >= WORTH_CONVERTING
    if kind == "openvino" or (kind == "auto" and able and worth and find_spec("openvino")):
        return Middle(_openvino(model, codec, setup))
    if precision == "int8":
        raise AigcError("precision int8 needs engine openvino, and a causal model on a CPU: pip install 'aigc[openvino]'")
    if precision == "auto":
        precision = "bf16" if gpu else "fp32"
    model.to(DTYPES[precision])
    if known == "encoder":
        return Infilling(model, codec, rows=setup.slots)
    if search:
        searching = Searching(model, codec, rows=setup.slots)
        return Middle(searching) if causal else searching
    engine = _torch(model, codec, precision, setup)
    return Middle(engine) if causal else engine


def open_cluster(start: str, setup: Setup, *, size: int) -> Engine:
    """Engines on the machines of a Ray cluster, each of which opens the checkpoint once; causal checkpoints only.

    Args:
        size: requests that a worker draws at a time.

    Raises:
        AigcError: the checkpoint's tokenizer or config cannot be loaded.
    """
    context = context_of(checkpoints.config_of(start))
    draws = partial(_draw_there, start, setup)
    return Middle(Remote(f"ray {setup.kind} {setup.precision}", checkpoints.codec_of(start), draws, context=context, size=size))


def _draw_there(start: str, setup: Setup, requests: Sequence[Request], decoding: Decoding) -> list[tuple[Request, Drawn]]:
    return list(_opened(start, setup).draw(requests, decoding))


@cache
def _opened(start: str, setup: Setup) -> Engine:
    """In a worker, which draws with it more than once."""
    return open_engine(start, setup)


def _kind(model: PreTrainedModel) -> Kind:
    if model.config.is_encoder_decoder:
        return "encoder_decoder"
    return "encoder" if type(model).__name__.endswith(("ForMaskedLM", "ForPreTraining")) else "decoder"


def _torch(model: PreTrainedModel, codec: TextCodec, precision: str, setup: Setup) -> Local:
    stepper: Stepper = TorchStepper(model, setup.slots, pack=True)
    device = next(model.parameters()).device
    if setup.draft is not None:
        small, theirs = checkpoints.load(setup.draft[0], device)
        check_vocabularies(codec, theirs, setup.draft[0])
        stepper = Speculation(stepper, TorchStepper(small.eval().to(model.dtype), setup.slots, pack=True), setup.draft[1])
    width = model.get_output_embeddings().weight.shape[0]
    return Local(f"torch {precision}", stepper, codec, vocabulary=width, device=device, start=start_ids(model))


def _openvino(model: PreTrainedModel, codec: TextCodec, setup: Setup) -> Local:
    precision = "fp32" if setup.precision == "auto" else setup.precision
    cache, slots = setup.cache.expanduser(), setup.slots
    first, quality = open_stepper(model, codec, cache=cache, slots=slots, precision=precision)
    stepper: Stepper = first
    if setup.draft is not None:
        small, theirs = checkpoints.load(setup.draft[0])
        check_vocabularies(codec, theirs, setup.draft[0])
        second, _ = open_stepper(small, theirs, cache=cache, slots=slots, precision=precision)
        stepper = Speculation(first, second, setup.draft[1])
    width = model.get_output_embeddings().weight.shape[0]
    engine = Local(f"openvino {precision}", stepper, codec, vocabulary=width, device=torch.device("cpu"))
    engine.quality = str(quality)
    return engine


def _vllm(start: str, setup: Setup) -> Engine:
    if setup.precision == "int8":
        raise AigcError("precision int8 is for engine openvino")
    dtype = {"auto": "auto", "fp32": "float32", "bf16": "bfloat16"}[setup.precision]
    devices = max(1, torch.cuda.device_count())
    return Middle(Vllm(start, checkpoints.codec_of(start), slots=setup.slots, dtype=dtype, devices=devices))


@contextmanager
def local(model: PreTrainedModel, codec: TextCodec, *, slots: int = 16, dtype: torch.dtype | None = None) -> Iterator[Local]:
    """The torch engine over a model that may be in training: its mode is left as it was.

    Args:
        dtype: of autocast; None for none.
    """
    training = model.training
    model.eval()
    try:
        stepper = TorchStepper(model, slots, dtype=dtype)
        yield Local("torch", stepper, codec, vocabulary=stepper.vocabulary, device=stepper.device, start=start_ids(model))
    finally:
        model.train(training)


def draw_freely(model: PreTrainedModel, codec: TextCodec, *, count: int, max_tokens: int, seed: int) -> list[Drawn]:
    """What a causal model says of its own accord. It may be in training: mode and attention are left as they were."""
    requests = [Request(codec.start or [codec.end], seed + number, key=number) for number in range(count)]
    with local(model, codec, slots=min(count, 16)) as engine:
        drawn = engine.draw(requests, Decoding(max_tokens, temperature=0.8, top_k=50, top_p=0.95))
        found = {request.key: one for request, one in drawn}
    return [found[number] for number in range(count)]
