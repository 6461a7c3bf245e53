"""A model into one that learns a little beside its weights, which stay as they are: low-rank adapters in peft's format."""

import copy
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftConfig, inject_adapter_in_model
from peft.utils.integrations import dequantize_module_weight
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from aigc.core.model.layers import NEW_TOKENS, PLAIN, freeze, heads_of, linear_layers, shortened
from aigc.core.model.lean import Lean
from aigc.core.model.quantised import quantise
from aigc.errors import AigcError

__all__ = ["CONFIG", "Lora", "adapted", "add", "freeze", "load_adapter", "merge", "merged", "save_adapter"]

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"  # peft's names
PREFIX = "base_model.model."  # peft's, before the names of all weights
NAME = "default"  # of the one adapter


@dataclass(frozen=True)
class Lora:
    """Which adapters: y = W x + s B A x, of which A and B are learned (Hu et al. 2021).

    Raises:
        AigcError: no such adapters can be.
    """

    rank: int = 8
    alpha: float | None = None  # s is alpha / rank; None for twice the rank
    dropout: float = 0.0  # of x before A
    targets: Sequence[str] | None = None  # names of layers; None for all linear layers of the blocks, as QLoRA has them
    dora: bool = False  # learn a magnitude for each output as well (Liu et al. 2024)
    rslora: bool = False  # s is alpha / sqrt(rank) (Kalajdzievski 2023)
    bits: int | None = None  # of the frozen weights: 4, as NF4 with quantised constants (Dettmers et al. 2023); CUDA only

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise AigcError(f"lora.rank: {self.rank} is not 1 or more")
        if self.bits not in (None, 4):
            raise AigcError(f"lora.bits: {self.bits} is not 4")


def adapted(model: nn.Module) -> bool:
    """Whether a model has adapters."""
    return any(True for _ in _layers(model))


def add(model: PreTrainedModel, lora: Lora, *, seed: int) -> PreTrainedModel:
    """Put adapters into a model, in place; it stays of its class and computes what it did, until they learn.

    All other weights take no gradient from now on, except a head that tells of whole texts (with its pooler), and the embeddings
    and the head of a model that got new tokens (`vocabulary.extend`). These are saved with the adapters.

    Args:
        seed: of A; B is 0.

    Raises:
        AigcError: the model has adapters already, has no layer of a target's name, or cannot be held in so few bits.
    """
    if adapted(model):
        raise AigcError("the checkpoint has adapters already: leave lora out to train on with them, or merge them first")
    names = linear_layers(model, lora.targets)
    if lora.bits is not None:
        quantise(model, names)
    alpha = 2 * lora.rank if lora.alpha is None else lora.alpha
    heads = heads_of(model)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=int(alpha) if alpha == int(alpha) else alpha,  # type: ignore[arg-type]
        lora_dropout=lora.dropout,
        target_modules=shortened(model, names),
        use_dora=lora.dora,
        use_rslora=lora.rslora,
        fan_in_fan_out=isinstance(model.get_submodule(names[0]), Conv1D),
        task_type=_task(model),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _inject(model, config)
    trained = [parameter for name in heads for parameter in model.get_submodule(name).parameters()]
    if getattr(model, NEW_TOKENS, 0):
        tables = (model.get_input_embeddings(), model.get_output_embeddings())
        trained += [parameter for table in tables if table is not None for parameter in table.parameters()]
    for parameter in trained:
        parameter.requires_grad = True
    model.peft_config[NAME].modules_to_save = heads or None  # they are not wrapped: a task's head has no other adapter's beside it
    return model


def merge(model: PreTrainedModel) -> PreTrainedModel:
    """Add adapters into the weights beside them, in place: a plain model of the same logits, whose weights can all be trained."""
    for name, layer in list(_layers(model)):
        plain = _plain(layer)
        with torch.no_grad():
            plain.weight.copy_(_weight(layer, plain.weight, layer.state_dict(), ""))
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, plain)
    if hasattr(model, "peft_config"):
        del model.peft_config
    return model.requires_grad_(True)


def merged(model: PreTrainedModel, state: Mapping[str, torch.Tensor] | None = None) -> PreTrainedModel:
    """A plain model to be saved, with the adapters added into its weights; the one with the adapters stays as it is.

    Args:
        state: all weights of the model, where it does not have them whole itself.
    """
    with torch.device("meta"):
        plain = type(model)(copy.deepcopy(model.config))
    with torch.no_grad():
        plain.load_state_dict(_merged_state(model, model.state_dict() if state is None else state), strict=False, assign=True)
    plain.tie_weights()
    if model.can_generate():
        plain.generation_config = model.generation_config
    return plain


def _merged_state(model: nn.Module, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """All weights of the plain model, by its names."""
    found = dict(state)
    for name, layer in _layers(model):
        own = {key: found.pop(key) for key in list(found) if key.startswith(f"{name}.")}
        beneath = layer.get_base_layer()
        weight = own[f"{name}.base_layer.weight"] if type(beneath) in PLAIN else _plain(layer).weight
        found[f"{name}.weight"] = _weight(layer, weight, own, f"{name}.").detach()
        if (bias := own.get(f"{name}.base_layer.bias")) is not None:
            found[f"{name}.bias"] = bias
    return found


def save_adapter(model: PreTrainedModel, folder: Path, base: str, state: Mapping[str, torch.Tensor] | None = None) -> None:
    """Write adapter_config.json and adapter_model.safetensors, as plain peft loads them onto the base.

    With the adapters go all weights that were trained beside them: a new head, and embeddings with new rows. For these, plain peft
    needs a base whose embeddings have as many rows (`resize_token_embeddings`).

    Args:
        base: the folder or hub name of the checkpoint that the adapters were made for.
        state: all weights of the model, where it does not have them whole itself.
    """
    folder.mkdir(parents=True, exist_ok=True)
    every = model.state_dict() if state is None else state
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad or "lora_" in name]
    kept = {f"{PREFIX}{_without_name(name)}": every[name].detach().cpu().contiguous() for name in names}
    save_file(kept, folder / WEIGHTS, metadata={"format": "pt"})
    config = model.peft_config[NAME].to_dict() | {"base_model_name_or_path": base, "inference_mode": True}
    config = {key: sorted(value) if isinstance(value, set) else value for key, value in config.items()}  # the same bytes always
    (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True), "utf-8")


def load_adapter(model: PreTrainedModel, folder: Path, base: str = "") -> PreTrainedModel:
    """Put the adapters of a folder into the model that they were made for, in place; they can be trained on.

    Args:
        base: the name under which the model was loaded (default: what the model itself says).

    Raises:
        AigcError: the folder holds no LoRA adapters, or they were made for another model.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # of settings that another version of peft knows
            config = PeftConfig.from_pretrained(str(folder))
        weights = {name.removeprefix(PREFIX): tensor for name, tensor in load_file(folder / WEIGHTS).items()}
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise AigcError(f"{folder}: the adapters cannot be read: {(str(error) or type(error).__name__).splitlines()[0]}") from error
    if not isinstance(config, LoraConfig):
        raise AigcError(f"{folder}: adapters of the kind {config.peft_type}, and only LORA is supported")
    wanted, given = config.base_model_name_or_path or "", base or model.name_or_path
    who = f"{folder}: the adapters were made for {wanted or 'another model'}, and this is {given or 'a ' + type(model).__name__}"
    if wanted and given and not _same(given, wanted):
        raise AigcError(who)
    _grow(model, weights)
    heads, config.modules_to_save, config.inference_mode = config.modules_to_save, None, False
    try:
        _inject(model, config)
    except ValueError as error:
        raise AigcError(f"{who}: it has no layers {', '.join(sorted(config.target_modules or [])[:3])}") from error
    model.peft_config[NAME].modules_to_save = heads
    own = dict(model.named_parameters(remove_duplicate=False))
    own = {_without_name(name): parameter for name, parameter in own.items()}
    needed = {name for name in own if "lora_" in name}
    if odd := sorted((weights.keys() - own.keys()) | (needed - weights.keys())):
        raise AigcError(f"{who}: {odd[0]} is in one of them only")
    with torch.no_grad():
        for name, tensor in weights.items():
            if own[name].shape != tensor.shape:
                raise AigcError(f"{who}: {name} is {list(tensor.shape)} in the one and {list(own[name].shape)} in the other")
            own[name].copy_(tensor)
            own[name].requires_grad = True
        if odd := [name for name, tensor in weights.items() if not torch.equal(own[name], tensor.to(own[name]))]:
            raise AigcError(f"{who}: its {odd[0]} is tied to another weight, of which the adapters have other values")
    return model


def _inject(model: PreTrainedModel, config: LoraConfig) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*fan_in_fan_out")
        inject_adapter_in_model(config, model, adapter_name=NAME)
    for _, layer in _layers(model):
        Lean.take(layer)


def _layers(model: nn.Module) -> Iterator[tuple[str, Any]]:
    return ((name, module) for name, module in model.named_modules() if hasattr(module, "lora_A") and NAME in module.lora_A)


def _task(model: PreTrainedModel) -> str | None:
    """What peft calls the task."""
    name = type(model).__name__
    if name.endswith("ForSequenceClassification"):
        return "SEQ_CLS"
    if model.config.is_encoder_decoder:
        return "SEQ_2_SEQ_LM"
    return "CAUSAL_LM" if model.can_generate() else None


def _plain(layer: Any) -> Any:
    """The layer beneath an adapter, with its weights in full."""
    base = layer.get_base_layer()
    if type(base) in PLAIN:
        return base
    plain = nn.Linear(base.in_features, base.out_features, bias=False, device=base.weight.device)
    plain.weight = nn.Parameter(dequantize_module_weight(base).to(torch.float32))
    plain.bias = base.bias
    return plain


def _weight(layer: Any, weight: torch.Tensor, state: Mapping[str, torch.Tensor], before: str) -> torch.Tensor:
    """W + s B A; of DoRA, with rows of the lengths that were learned: m (W + s B A) / |W + s B A| (Liu et al. 2024, equation 5)."""
    low, high = (state[f"{before}{part}.{NAME}.weight"].float() for part in ("lora_A", "lora_B"))
    turned = isinstance(layer.get_base_layer(), Conv1D)
    full: torch.Tensor = (weight.T if turned else weight).float() + layer.scaling[NAME] * (high @ low)
    if (magnitude := state.get(f"{before}lora_magnitude_vector.{NAME}.weight")) is not None:
        full *= (magnitude.float() / torch.linalg.norm(full, dim=1))[:, None]
    return (full.T if turned else full).to(weight.dtype).contiguous()


def _without_name(name: str) -> str:
    """The name of a weight in a file of peft's."""
    name = name.removesuffix(".weight") if "lora_magnitude_vector" in name else name
    return f"{name}.".replace(f".{NAME}.", ".").removesuffix(".") if "lora_" in name else name


def _grow(model: PreTrainedModel, weights: Mapping[str, torch.Tensor]) -> None:
    """As many rows of embeddings as the adapters bring along."""
    table = model.get_input_embeddings()
    name = next(name for name, module in model.named_modules() if module is table)
    rows = weights.get(f"{name}.weight")
    if rows is not None and len(rows) != table.num_embeddings:
        model.resize_token_embeddings(len(rows), mean_resizing=False)


def _same(one: str, other: str) -> bool:
    return one == other or Path(one).expanduser().resolve() == Path(other).expanduser().resolve()
