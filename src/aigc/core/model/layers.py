"""A model of transformers into its parts, by their names: stacks of blocks, linear layers in these, heads behind them."""

from collections.abc import Sequence

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from aigc.errors import AigcError

__all__ = ["NEW_TOKENS", "PLAIN", "freeze", "heads_of", "linear_layers", "shortened"]

PLAIN = (nn.Linear, Conv1D)
NEW_TOKENS = "new_tokens"  # attribute of a model whose embeddings have rows that its checkpoint has not: how many


def freeze(model: PreTrainedModel, *, embeddings: bool, layers: int) -> None:
    """Let weights take no gradient.

    Args:
        embeddings: those of tokens (and a head that is tied to them), positions and types.
        layers: so many of the first blocks, of encoder and decoder alike; adapters in them, too.

    Raises:
        AigcError: there are not so many blocks.
    """
    found = _stacks(model)
    if any(layers > len(stack) for _, stack in found):
        most = min(len(stack) for _, stack in found)
        raise AigcError(f"freeze.layers: {layers} is more than the {most} layers of the model")
    for _, stack in found:
        for block in list(stack)[:layers]:
            block.requires_grad_(False)
    if embeddings:
        inside = {id(module) for _, stack in found for module in stack.modules()}
        for module in model.modules():
            if isinstance(module, nn.Embedding) and id(module) not in inside:
                module.requires_grad_(False)


def _stacks(model: nn.Module, before: str = "") -> list[tuple[str, nn.ModuleList]]:
    """The lists of blocks: those that lie in no other list."""
    found: list[tuple[str, nn.ModuleList]] = []
    for name, child in model.named_children():
        if isinstance(child, nn.ModuleList):
            found.append((f"{before}{name}", child))
        else:
            found += _stacks(child, f"{before}{name}.")
    return found


def linear_layers(model: PreTrainedModel, wanted: Sequence[str] | None) -> list[str]:
    """The full names of the linear layers of the blocks, or of those whose names end in the wanted ones."""
    apart = {
        id(model.get_output_embeddings()),
        *(id(module) for head in heads_of(model) for module in model.get_submodule(head).modules()),
    }
    linear = [name for name, module in model.named_modules() if isinstance(module, PLAIN) and id(module) not in apart]
    if wanted is None:
        inside = tuple(f"{stack}." for stack, _ in _stacks(model))
        return [name for name in linear if name.startswith(inside)]
    for one in wanted:
        if not any(_ends(name, one) for name in linear):
            there = ", ".join(dict.fromkeys(name.rpartition(".")[2] for name in linear))
            raise AigcError(f"lora.targets: the model has no linear layer {one} that takes an adapter; it has {there}")
    return [name for name in linear if any(_ends(name, one) for one in wanted)]


def shortened(model: nn.Module, names: Sequence[str]) -> list[str]:
    """The last parts of names, where these mean no other layers."""
    short = sorted({name.rpartition(".")[2] for name in names})
    meant = {name for name, _ in model.named_modules() if any(_ends(name, one) for one in short)}
    return short if meant == set(names) else list(names)


def heads_of(model: PreTrainedModel) -> list[str]:
    """The modules behind the body of a model that tells of whole texts, and the pooler within: both are new with the task."""
    if not type(model).__name__.endswith("ForSequenceClassification"):
        return []
    behind = [name for name, child in model.named_children() if name != model.base_model_prefix and _has_weights(child)]
    pooler = [name for name, child in model.named_modules() if _ends(name, "pooler") and _has_weights(child)]
    return behind + pooler


def _ends(name: str, ending: str) -> bool:
    return f".{name}".endswith(f".{ending}")


def _has_weights(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None
