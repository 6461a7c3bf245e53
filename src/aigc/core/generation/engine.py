"""A checkpoint into an engine: who runs it, where, and in which precision."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
from transformers import PretrainedConfig, PreTrainedModel

from aigc.core.generation import loop
from aigc.core.generation.choosing import Chooser
from aigc.core.generation.infilling import Infilling, Middle
from aigc.core.generation.likeness import verify
from aigc.core.generation.openvino import open_stepper
from aigc.core.generation.prompts import prompt_ids
from aigc.core.generation.refusals import asked_of, refuse
from aigc.core.generation.request import Decoding, Drawn, Engine, Request, Watch
from aigc.core.generation.searching import Searching
from aigc.core.generation.slots import TorchStepper, start_ids
from aigc.core.generation.speculation import Speculation, check_vocabularies
from aigc.core.generation.stepper import Stepper
from aigc.core.generation.vllm import NOT_ITS_OWN, Vllm
from aigc.core.model import checkpoints
from aigc.core.model.families import Kind
from aigc.core.model.sources import GGUF, adapter_of, source_of
from aigc.core.model.vector_math import settle
from aigc.core.tokens.text import TextCodec
from aigc.errors import AigcError

__all__ = ["EngineName", "Local", "PrecisionName", "Setup", "draw_freely", "kind_of", "local", "open_engine"]

EngineName = Literal["auto", "torch", "openvino", "vllm"]
PrecisionName = Literal["auto", "fp32", "bf16", "int8"]
WRITERS: tuple[Kind, ...] = ("decoder", "encoder_decoder", "encoder")
WORTH_CONVERTING = 20_000_000  # parameters of a model, at least, for which `auto` converts it to OpenVINO
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Local:
    """An engine over a Stepper of this process, for causal models and encoder-decoders."""

    def __init__(
        self,
        name: str,
        stepper: Stepper,
        codec: TextCodec,
        *,
        vocabulary: int,
        device: torch.device,
        start: Sequence[int] = (),
        quality: str = "",
    ) -> None:
        """
        Args:
            name: see Engine; so is quality.
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
        self.quality = quality
        self._last: tuple[Decoding, Chooser] | None = None

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
        kind: `auto` takes vllm on a GPU and openvino on a CPU, where they are installed and can do what is asked; else torch.
        precision: of the weights; `auto` is fp32 on CPUs, where rows are those of transformers, and bf16 on GPUs.
        device: as torch calls it.
        slots: sequences at once.
        cache: where converted models are kept.
        decoding: how tokens are to be chosen, which not everyone can; None: in any way that all can.
        draft: a checkpoint that guesses so many tokens ahead.
    """

    kind: EngineName = "auto"
    precision: PrecisionName = "auto"
    device: str = "cpu"
    slots: int = 16
    cache: Path = Path("~/.cache/aigc")
    decoding: Decoding | None = None
    draft: tuple[str, int] | None = None

    @property
    def search(self) -> bool:
        """Whether texts are searched for, which torch alone does."""
        return bool(self.beyond(("beams", "contrastive")))

    def beyond(self, names: Sequence[str]) -> list[str]:
        """Which of these settings are asked for."""
        return [] if self.decoding is None else asked_of(self.decoding, names)


def open_engine(start: str, setup: Setup) -> Engine:
    """Load a checkpoint for generation.

    Args:
        start: a checkpoint folder, a folder of adapters, a .gguf file or a hub name.

    Raises:
        AigcError: it cannot be loaded, is not installed, or cannot do what is asked.
    """
    settle()
    gpu = setup.device.startswith("cuda")
    if setup.kind == "vllm" or (setup.kind == "auto" and gpu and _suits_vllm(start, setup)):
        return _vllm(start, setup)
    model, codec = checkpoints.load(start, torch.device(setup.device), kinds=WRITERS)
    model.eval().requires_grad_(False)
    kind = kind_of(model.config)
    if setup.draft is not None and (kind != "decoder" or setup.search):
        raise AigcError(f"generate.draft: {_alien(kind, setup)} cannot be guessed ahead: leave it out")
    able = kind == "decoder" and not setup.search and setup.device == "cpu"
    if setup.kind == "openvino" and not able:
        raise AigcError(f"engine openvino is for causal models on CPUs, and not for {_alien(kind, setup)}: take engine torch")
    why = ""
    if setup.kind == "openvino" or (setup.kind == "auto" and able and _worth(model, setup) and find_spec("openvino")):
        try:
            return Middle(_openvino(model, codec, setup))
        except AigcError as error:
            if setup.kind == "openvino" or setup.precision == "int8":
                raise
            why = f"not by openvino ({error})"
    if setup.precision == "int8":
        raise AigcError("precision int8 needs engine openvino, and a causal model on a CPU: pip install 'aigc[openvino]'")
    precision = setup.precision if setup.precision != "auto" else "bf16" if gpu else "fp32"
    model.to(DTYPES[precision])
    name = f"torch {precision}"
    if kind == "encoder":
        return Infilling(model, codec, name=name, rows=setup.slots)
    engine: Engine
    if setup.search:
        engine = Searching(model, codec, name=name, rows=setup.slots)
    else:
        engine = _torch(model, codec, name, setup, why)
    return Middle(engine) if kind == "decoder" else engine


def kind_of(config: PretrainedConfig) -> Kind:
    """What a checkpoint that can be loaded for generation is."""
    if config.is_encoder_decoder:
        return "encoder_decoder"
    return "encoder" if (config.architectures or [""])[0].endswith(("ForMaskedLM", "ForPreTraining")) else "decoder"


def _alien(kind: Kind, setup: Setup) -> str:
    """What is asked for that not everyone can do."""
    if setup.search:
        return "beams and contrastive search"
    return f"{kind.replace('_', '-')} models" if kind != "decoder" else setup.device


def _worth(model: PreTrainedModel, setup: Setup) -> bool:
    """Whether a model is to be converted where nobody said so."""
    return setup.precision == "int8" or sum(parameter.numel() for parameter in model.parameters()) >= WORTH_CONVERTING


def _suits_vllm(start: str, setup: Setup) -> bool:
    """Whether vLLM is here, runs the checkpoint and can do all that is asked."""
    if not find_spec("vllm") or setup.draft is not None or setup.precision == "int8" or setup.beyond(NOT_ITS_OWN):
        return False
    source = source_of(start)
    plain = not source.endswith(GGUF) and adapter_of(source) is None
    return plain and kind_of(checkpoints.config_of(start)) == "decoder"


def _torch(model: PreTrainedModel, codec: TextCodec, name: str, setup: Setup, why: str) -> Local:
    target = TorchStepper(model, setup.slots)
    start = start_ids(model)
    if not start:
        verify(target, model)
    stepper: Stepper = target
    if setup.draft is not None:
        small, theirs = checkpoints.load(setup.draft[0], target.device)
        check_vocabularies(codec, theirs, setup.draft[0])
        draft = TorchStepper(small.eval().to(model.dtype), setup.slots)
        verify(draft, small)
        stepper = Speculation(target, draft, setup.draft[1])
    return Local(name, stepper, codec, vocabulary=target.vocabulary, device=target.device, start=start, quality=why)


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
    name = f"openvino {precision}"
    return Local(name, stepper, codec, vocabulary=width, device=torch.device("cpu"), quality=str(quality))


def _vllm(start: str, setup: Setup) -> Engine:
    if setup.precision == "int8":
        raise AigcError("precision int8 is for engine openvino")
    if setup.draft is not None:
        raise AigcError("generate.draft is for engines torch and openvino, and not for vllm: leave it out")
    if setup.decoding is not None:
        refuse(setup.decoding, "vLLM", NOT_ITS_OWN)
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
