"""A folder or hub name into a model and its codec, and back."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
)

from aigc.core.model.families import Kind
from aigc.core.tokens.text import TextCodec
from aigc.errors import AigcError

__all__ = ["codec_of", "context_of", "device_of", "load", "save", "save_shared", "weights_of"]

DECODERS: tuple[Kind, ...] = ("decoder",)

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


def load(
    start: str, device: torch.device | None = None, *, kinds: Collection[Kind] = DECODERS
) -> tuple[PreTrainedModel, TextCodec]:
    """A model and its tokenizer, in fp32.

    Weights are read from safetensors only and no code of a checkpoint is run.

    Args:
        device: None for the CPU.
        kinds: what it may be.

    Raises:
        AigcError: it is neither a checkpoint folder nor to be had from the hub, or of another kind.
    """
    source = _source(start)
    folder = Path(source)
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
        kind, make = _class_of(config)
        if kind not in kinds:
            raise AigcError(
                f"{start}: a {config.model_type} model of the kind {kind.replace('_', '-')}, and this needs a {' or '.join(kinds)}"
            )
        codec = codec_of(start)
        model, info = make.from_pretrained(
            source, config=config, trust_remote_code=False, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, LookupError, SafetensorError) as error:
        raise AigcError(_why(start, folder.is_dir(), error)) from error
    if info["missing_keys"]:
        names = ", ".join(sorted(info["missing_keys"])[:3])
        raise AigcError(f"{start}: the checkpoint lacks {len(info['missing_keys'])} of the weights that its config names ({names})")
    return model.to(device or torch.device("cpu")), codec


def codec_of(start: str) -> TextCodec:
    """The tokenizer of a checkpoint folder or hub name.

    Raises:
        AigcError: there is none.
    """
    source = _source(start, needs="")
    try:
        codec = TextCodec(AutoTokenizer.from_pretrained(source, trust_remote_code=False))
    except (OSError, ValueError, RuntimeError, LookupError) as error:
        raise AigcError(_why(start, Path(source).is_dir(), error)) from error
    if codec.encode(["a"]) == [[]]:
        raise AigcError(f"{start}: the checkpoint has no tokenizer files")
    return codec


def _source(start: str, needs: str = "config.json") -> str:
    folder = Path(start).expanduser()
    if folder.is_dir() and not (folder / needs).exists():
        raise AigcError(f"{start}: the folder is no checkpoint (it has no {needs})")
    if not folder.is_dir() and (start.startswith((".", "/", "~")) or start.count("/") > 1):
        raise AigcError(f"{start}: no such checkpoint folder")
    return str(folder) if folder.is_dir() else start


def _class_of(config: PretrainedConfig) -> tuple[Kind, Any]:
    names = config.architectures or [""]
    if config.is_encoder_decoder:
        return "encoder_decoder", AutoModelForSeq2SeqLM
    if names[0].endswith("ForMaskedLM"):
        return "encoder", AutoModelForMaskedLM
    if names[0].endswith("ForPreTraining"):
        return "encoder", AutoModelForPreTraining
    return "decoder", AutoModelForCausalLM


def _why(start: str, is_folder: bool, error: Exception) -> str:
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if is_folder:
        return f"{start}: the checkpoint cannot be loaded: {first}"
    offline = " (HF_HUB_OFFLINE=1 is set)" if os.environ.get("HF_HUB_OFFLINE") == "1" else ""
    return f"{start}: no such folder here, and the model hub did not give it{offline}: {first}"


def save(model: PreTrainedModel, codec: TextCodec, folder: Path) -> None:
    """Write config.json, model.safetensors and the tokenizer: what plain transformers loads."""
    model.save_pretrained(folder)
    codec.save(folder)


def save_shared(learner: nn.Module, codec: TextCodec, folder: Path, *, writes: bool) -> None:
    """As `save`, of a Learner whose weights may be spread over processes; every process has to call it.

    Args:
        learner: has the model as its `model`.
        writes: whether this process writes.
    """
    model = learner.model
    assert isinstance(model, PreTrainedModel)
    state = None
    if any(hasattr(parameter, "full_tensor") for parameter in model.parameters()):  # in shards
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

        full = get_model_state_dict(learner, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
        once = {name for name, _ in (*model.named_parameters(), *model.named_buffers())}  # weights that are tied, too
        state = {name: tensor for key, tensor in full.items() if (name := key.removeprefix("model.")) in once}
    if writes:
        model.save_pretrained(folder, state_dict=state)
        codec.save(folder)


def weights_of(folder: Path) -> list[Path]:
    """The weight files of a checkpoint folder."""
    return sorted(folder.glob("*.safetensors"))


def context_of(model: PreTrainedModel) -> int:
    """The longest sequence that the model was made for, in tokens."""
    config = model.config
    most = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    return int(most or 1 << 30)
