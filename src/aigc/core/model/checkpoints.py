"""A folder or hub name into a model and its codec, and back."""

import os
from pathlib import Path

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from aigc.core.tokens.text import TextCodec
from aigc.errors import AigcError

__all__ = ["context_of", "device_of", "load", "save", "weights_of"]

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


def load(start: str, device: torch.device) -> tuple[PreTrainedModel, TextCodec]:
    """A causal language model and its tokenizer, in fp32.

    Weights are read from safetensors only and no code of a checkpoint is run.

    Raises:
        AigcError: it is neither a checkpoint folder nor to be had from the hub.
    """
    folder = Path(start).expanduser()
    source = str(folder) if folder.is_dir() else start
    if folder.is_dir() and not (folder / "config.json").exists():
        raise AigcError(f"{start}: the folder is no checkpoint (it has no config.json)")
    if not folder.is_dir() and (start.startswith((".", "/", "~")) or start.count("/") > 1):
        raise AigcError(f"{start}: no such checkpoint folder")
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        model, info = AutoModelForCausalLM.from_pretrained(
            source, config=config, trust_remote_code=False, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, LookupError, SafetensorError) as error:
        raise AigcError(_why(start, folder.is_dir(), error)) from error
    if info["missing_keys"]:
        names = ", ".join(sorted(info["missing_keys"])[:3])
        raise AigcError(f"{start}: the checkpoint lacks {len(info['missing_keys'])} of the weights that its config names ({names})")
    codec = TextCodec(tokenizer)
    if codec.encode(["a"]) == [[]]:
        raise AigcError(f"{start}: the checkpoint has no tokenizer files")
    return model.to(device), codec


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


def weights_of(folder: Path) -> list[Path]:
    """The weight files of a checkpoint folder."""
    return sorted(folder.glob("*.safetensors"))


def context_of(model: PreTrainedModel) -> int:
    """The longest sequence that the model was made for, in tokens."""
    return int(getattr(model.config, "max_position_embeddings", None) or 1 << 30)
