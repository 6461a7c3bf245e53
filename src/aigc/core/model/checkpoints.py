"""A folder, a file or a hub name into a model and its codec, and back."""

import io
import json
import struct
from collections.abc import Collection
from contextlib import nullcontext, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from torch import nn
from transformers import (
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.utils.quantization_config import GgufConfig

from aigc.core.model.families import Kind
from aigc.core.model.sources import ADAPTER, adapter_of, base_of, place_of, source_of, why_not
from aigc.core.tokens.text import TextCodec
from aigc.errors import AigcError

__all__ = ["Head", "codec_of", "config_of", "context_of", "device_of", "load", "save", "save_shared", "weights_of"]

DECODERS: tuple[Kind, ...] = ("decoder",)
HEAD = "head.json"  # beside adapters: the classes that the head tells which lies with them
TELLS = "ForSequenceClassification"
FAULTS = (OSError, ValueError, RuntimeError, LookupError, ImportError, SafetensorError, struct.error)  # of files of others

transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()  # it warns of packed batches, which have no attention mask on purpose


def device_of(name: str) -> torch.device:
    """`auto` is the GPU where there is one.

    Raises:
        AigcError: the device is not here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise AigcError(f"device: {name} was asked for, but this torch ({torch.__version__}) finds no CUDA device")
    if name == "mps" and not torch.backends.mps.is_available():
        raise AigcError("device: mps was asked for, but it is not available here")
    return torch.device(name)


@dataclass(frozen=True)
class Head:
    """What a model tells of a whole text: one of these classes, or a value where there are none."""

    labels: tuple[str, ...] = ()

    @property
    def settings(self) -> dict[str, Any]:
        """Of a config of transformers."""
        if not self.labels:
            return {"num_labels": 1, "problem_type": "regression"}
        names = dict(enumerate(self.labels))
        told = {"id2label": names, "label2id": {name: number for number, name in names.items()}}
        return {"num_labels": len(self.labels), "problem_type": "single_label_classification", **told}


def load(
    start: str, device: torch.device | None = None, *, kinds: Collection[Kind] = DECODERS, head: Head | None = None
) -> tuple[PreTrainedModel, TextCodec]:
    """A model and its tokenizer, in fp32.

    Weights are read from safetensors and GGUF only and no code of a checkpoint is run. A folder of adapters is loaded with the
    checkpoint that they were made for; they can be trained on, and all else of the model takes no gradient.

    Args:
        start: a checkpoint folder, a folder of adapters, a .gguf file or a hub name.
        device: None for the CPU.
        kinds: what it may be.
        head: what it has to tell of whole texts, instead of tokens. A checkpoint that does not tell it yet gets a new head, drawn
            from torch's generator.

    Raises:
        AigcError: it is neither of these nor to be had from the hub, or of another kind.
    """
    source = source_of(start)
    if (adapter := adapter_of(source)) is not None:
        model, codec = _with_adapter(start, adapter, kinds, head)
        return model.to(device or torch.device("cpu")), codec
    where = place_of(start, source)
    try:
        config = AutoConfig.from_pretrained(**where, trust_remote_code=False)
        kind, make = _class_of(config)
        if kind not in kinds:
            wanted = " or ".join(kinds).replace("_", "-")
            raise AigcError(f"{start}: a {config.model_type} model of the kind {kind.replace('_', '-')}, and this needs a {wanted}")
        codec = codec_of(start)
        told = _labels(config)
        if head is not None:
            make = AutoModelForSequenceClassification
            config.update(head.settings | {"pad_token_id": codec.pad})
        elif told is not None:
            raise AigcError(f"{start}: the checkpoint tells classes or values of whole texts, and this needs one that says tokens")
        packed = "gguf_file" in where
        with redirect_stderr(io.StringIO()) if packed else nullcontext():  # a bar that transformers cannot be talked out of
            model, info = make.from_pretrained(
                **where,
                config=config,
                trust_remote_code=False,
                **({"quantization_config": GgufConfig(dequantize=True)} if packed else {"use_safetensors": True}),
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=head is not None,
            )
    except FAULTS as error:
        raise AigcError(why_not(start, Path(source).exists(), error)) from error
    _settle(start, model, info, new=head is not None and told != head.labels)
    model.name_or_path = str(Path(source).resolve()) if Path(source).exists() else source
    return model.to(device or torch.device("cpu")), codec


def _settle(start: str, model: PreTrainedModel, info: dict[str, Any], *, new: bool) -> None:
    """See that all weights were there, but for those of a new head."""
    heads = ("score.", "classifier.", "pooler.") if new else ()
    lost = {*info["missing_keys"], *(name for name, *_ in info["mismatched_keys"])}
    if missing := sorted(name for name in lost if not any(f".{name}".find(f".{head}") >= 0 for head in heads)):
        names = ", ".join(missing[:3])
        raise AigcError(f"{start}: the checkpoint lacks {len(missing)} of the weights that its config names ({names})")
    if new:  # one of as many other classes was there, maybe
        for name in ("score", "classifier"):
            if isinstance(layer := getattr(model, name, None), nn.Linear):
                with torch.no_grad():
                    layer.weight.normal_(0.0, getattr(model.config, "initializer_range", 0.02))
                    if layer.bias is not None:
                        layer.bias.zero_()
    if (packed := getattr(model, "hf_quantizer", None)) is not None:  # a GGUF file's, whose weights are in full by now
        packed.remove_quantization_config(model)


def _with_adapter(start: str, folder: Path, kinds: Collection[Kind], head: Head | None) -> tuple[PreTrainedModel, TextCodec]:
    from aigc.core.model import adapters  # peft takes two seconds to import

    base = base_of(folder)
    told = Head(tuple(json.loads((folder / HEAD).read_text("utf-8")))) if (folder / HEAD).exists() else None
    if told is not None and head is None:
        raise AigcError(f"{start}: the adapters tell classes or values of whole texts, and this needs a model that says tokens")
    if told is not None and told != head:
        raise AigcError(f"{start}: the adapters tell {_named(told)}, not {_named(head)}")
    try:
        model, _ = load(base, kinds=kinds, head=head)
    except AigcError as error:
        raise AigcError(f"{start}: these are adapters for {base}, which cannot be had: {error}") from error
    adapters.load_adapter(model, folder, base)
    return model, codec_of(start)


def _named(head: Head | None) -> str:
    return "tokens" if head is None else f"the classes {', '.join(head.labels[:5])}" if head.labels else "a value"


def codec_of(start: str) -> TextCodec:
    """The tokenizer of a checkpoint folder, a .gguf file or a hub name; of adapters without one, that of their checkpoint.

    Raises:
        AigcError: there is none.
    """
    source = source_of(start, needs="")
    folder = Path(source)
    if (folder / ADAPTER).exists() and not (folder / "tokenizer_config.json").exists():
        return codec_of(base_of(folder))
    where = place_of(start, source)
    try:
        codec = TextCodec(AutoTokenizer.from_pretrained(**where, trust_remote_code=False))
    except FAULTS as error:
        raise AigcError(why_not(start, folder.exists(), error)) from error
    if codec.encode(["a"]) == [[]]:
        raise AigcError(f"{start}: the checkpoint has no tokenizer files")
    return codec


def _labels(config: PretrainedConfig) -> tuple[str, ...] | None:
    """The classes that a checkpoint tells, none for a value; None where it says tokens."""
    if not (config.architectures or [""])[0].endswith(TELLS):
        return None
    return _names(config)


def _names(config: PretrainedConfig) -> tuple[str, ...]:
    return tuple(config.id2label[number] for number in range(config.num_labels)) if config.num_labels > 1 else ()


def _class_of(config: PretrainedConfig) -> tuple[Kind, Any]:
    names = config.architectures or [""]
    if config.is_encoder_decoder:
        return "encoder_decoder", AutoModelForSeq2SeqLM
    if names[0].endswith("ForPreTraining"):
        return "encoder", AutoModelForPreTraining
    if names[0].endswith("ForMaskedLM") or (names[0].endswith(TELLS) and type(config) in MODEL_FOR_MASKED_LM_MAPPING):
        return "encoder", AutoModelForMaskedLM
    return "decoder", AutoModelForCausalLM


def save(model: PreTrainedModel, codec: TextCodec, folder: Path, *, merged: bool = False) -> None:
    """Write config.json, model.safetensors and the tokenizer: what plain transformers loads.

    Of a model with adapters, write these alone, as plain peft loads them, and the tokenizer.

    Args:
        merged: write the plain checkpoint of a model with adapters, which are added into its weights; the model stays as it is.

    Raises:
        AigcError: there are adapters, and the model was not loaded from anywhere.
    """
    _write(model, codec, folder, None, merged=merged)


def save_shared(learner: nn.Module, codec: TextCodec, folder: Path, *, writes: bool, merged: bool = False) -> None:
    """As `save`, of a Learner whose weights may be spread over processes; every process has to call it.

    Args:
        learner: has the model as its `model`.
        writes: whether this process writes.
        merged: as of `save`.
    """
    model = learner.model
    assert isinstance(model, PreTrainedModel)
    state: dict[str, Any] | None = None
    if any(hasattr(parameter, "full_tensor") for parameter in model.parameters()):  # in shards
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

        full = get_model_state_dict(learner, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
        once = {name for name, _ in (*model.named_parameters(), *model.named_buffers())}  # weights that are tied, too
        state = {name: tensor for key, tensor in full.items() if (name := key.removeprefix("model.")) in once}
    if writes:
        _write(model, codec, folder, state, merged=merged)


def _write(model: PreTrainedModel, codec: TextCodec, folder: Path, state: dict[str, Any] | None, *, merged: bool) -> None:
    if not hasattr(model, "peft_config"):
        model.save_pretrained(folder, state_dict=state)
    else:
        from aigc.core.model import adapters

        if merged:
            adapters.merged(model, state).save_pretrained(folder)
        elif not model.name_or_path:
            raise AigcError("adapters alone cannot be written: the model beneath them was not loaded from anywhere; give merge")
        else:
            adapters.save_adapter(model, folder, model.name_or_path, state)
            if type(model).__name__.endswith(TELLS):
                (folder / HEAD).write_text(json.dumps(_names(model.config), ensure_ascii=False), "utf-8")
    codec.save(folder)


def weights_of(folder: Path) -> list[Path]:
    """The weight files of a checkpoint folder, with those that adapters need; a .gguf file is one itself."""
    if folder.is_file():
        return [folder]
    found = sorted(folder.glob("*.safetensors"))
    if (folder / ADAPTER).exists() and (base := Path(base_of(folder)).expanduser()).exists():
        found += weights_of(base)
    return found


def config_of(start: str) -> PretrainedConfig:
    """The config of a checkpoint.

    Raises:
        AigcError: it is not to be had.
    """
    source = source_of(start)
    if (adapter := adapter_of(source)) is not None:
        return config_of(base_of(adapter))
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(**place_of(start, source), trust_remote_code=False)
    except FAULTS as error:
        raise AigcError(why_not(start, Path(source).exists(), error)) from error
    return config


def context_of(model: PreTrainedModel | PretrainedConfig) -> int:
    """The longest sequence that the model was made for, in tokens."""
    config = model.config if isinstance(model, PreTrainedModel) else model
    most = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    return int(most or 1 << 30)
