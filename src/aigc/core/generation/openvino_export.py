"""A causal model of transformers into an OpenVINO graph on disk, and such a graph into one whose attention reads blocks of a cache.

The model is traced over a flat batch, (N,) tokens of many sequences in a row, as N rows of one token: heads and tokens then change
places by a reshape, with nothing to move. An attention function leaves a mark where queries, keys and values meet. OpenVINO cannot
read its own PagedAttention from a file, so the mark goes into the file and the operator is put in its place when the file is read.
"""

import hashlib
import importlib
import json
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import AttentionMaskInterface

from aigc.core.model.attention import pack
from aigc.errors import AigcError

__all__ = ["GRAPH", "NAME", "Precision", "export", "fingerprint", "read_paged", "runtime"]

Precision = Literal["fp32", "bf16", "int8"]

GRAPH = "model.xml"
NAME = "paged"  # of the attention function
MARK = "ta,tb,tc->ta"  # an einsum of queries, keys and values, which no model has: attention will stand there
LAYERS = ["aigc", "layers"]  # where the graph says heads, width, scale and window of each mark
FOREIGN = ("softcap", "s_aux", "sinks")  # of other models' attention, which is not carried over


def runtime(part: str = "openvino") -> ModuleType:
    """OpenVINO, or a module of it, without its telemetry, which would send an event at the import.

    Raises:
        AigcError: it is not installed.
    """
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # it is optional: a stub takes its place
    try:
        return importlib.import_module(part)
    except ImportError as error:
        raise AigcError(f"engine: openvino needs a package that is not here: pip install 'aigc[openvino]' ({error})") from error


def fingerprint(model: PreTrainedModel) -> str:
    """What decides a model's numbers, its weights and its shape, as 16 hexadecimal digits."""
    config = {
        key: value for key, value in model.config.to_dict().items() if not key.startswith("_") and key != "transformers_version"
    }
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def export(model: PreTrainedModel, folder: Path, *, precision: Precision) -> None:
    """Write a model's graph, with its weights in fp32 or, at int8, those of its linear layers in whole numbers.

    Args:
        model: causal, in fp32, without adapters. Mode and attention are left as they were.
        folder: an empty one.

    Raises:
        AigcError: it is of a family whose attention is not to be had this way.
    """
    ov = runtime()
    layers: list[dict[str, float]] = []
    if model.get_output_embeddings() is None:
        raise AigcError(f"engine: openvino: this {model.config.model_type} model has no head of its own; take engine: torch")
    graph = _traced(model, layers)
    expected = model.config.get_text_config().num_hidden_layers
    if len(layers) != expected:
        kind = model.config.model_type
        how = f"{len(layers)} of the {expected} layers of this {kind} model attend through transformers' attention interface"
        raise AigcError(f"engine: openvino: {how}; take engine: torch")
    if precision == "int8":
        _compress(graph)
    graph.set_rt_info(json.dumps(layers), LAYERS)
    ov.save_model(graph, folder / GRAPH, compress_to_fp16=False)


def read_paged(core: Any, path: Path) -> Any:
    """A graph from disk, with PagedAttention at its marks.

    Beside `input_ids`, `position_ids` (N,) and `wanted` (W,) it takes `past_lens` (S,), `subsequence_begins` (S + 1,),
    `block_indices`, `block_indices_begins` (S + 1,), `max_context_len` () and `key_cache.L`, `value_cache.L` of each layer; it
    gives logits (W, V).

    Args:
        core: an openvino.Core.
    """
    ov, opset, operators = runtime(), runtime("openvino.opset13"), runtime("openvino.op")
    graph = core.read_model(path)
    layers = json.loads(graph.get_rt_info(LAYERS).value)
    marks = [node for node in graph.get_ordered_ops() if node.get_friendly_name().startswith(f"{NAME}.")]
    marks.sort(key=lambda node: int(node.get_friendly_name().removeprefix(f"{NAME}.")))
    assert len(marks) == len(layers)
    whole = {
        name: _parameter(name, shape, ov.Type.i32)
        for name, shape in (
            ("past_lens", [-1]),
            ("subsequence_begins", [-1]),
            ("block_indices", [-1]),
            ("block_indices_begins", [-1]),
            ("max_context_len", []),
        )
    }
    added = list(whole.values())

    def number(kind: Any, *shape: int, value: float = 0) -> Any:
        return opset.constant(np.full(shape, value), kind)

    none, zero = number(ov.Type.i32, 0), number(ov.Type.i32)
    for at, (mark, layer) in enumerate(zip(marks, layers, strict=True)):
        caches = [_parameter(f"{part}_cache.{at}", ov.PartialShape.dynamic(4), ov.Type.dynamic) for part in ("key", "value")]
        arguments = [
            *(mark.input_value(place) for place in range(3)),
            *caches,
            *(whole[name] for name in ("past_lens", "subsequence_begins", "block_indices", "block_indices_begins")),
            number(ov.Type.f32, value=layer["scale"]),
            number(ov.Type.i32, value=layer["window"]),
            number(ov.Type.f32, 0),  # slopes of ALiBi
            whole["max_context_len"],
            none,  # score aggregation window; a scalar here fails with more than one sequence
            none,  # rotated block indices
            number(ov.Type.i32, 0, 0),  # rotation deltas
            number(ov.Type.f32, 0, 0),  # rotation table
            number(ov.Type.f32, 0),  # threshold, block size and stride of sparse prefill
            zero,
            zero,
            number(ov.Type.f32, 0, 0, 0, 0),  # sinks
            zero,  # four of adaptive eviction
            none,
            none,
            none,
            none,  # token types
            number(ov.Type.u8, 0),  # bias between queries, and where it begins
            none,
        ]
        paged = operators._PagedAttentionExtension([one if isinstance(one, ov.Output) else one.output(0) for one in arguments])
        info = paged.get_rt_info()  # from which the plugin derives the shape of a block
        info["num_k_heads"] = info["num_v_heads"] = int(layer["heads"])
        info["k_head_size"] = info["v_head_size"] = int(layer["width"])
        for reader in mark.output(0).get_target_inputs():
            reader.replace_source_output(paged.output(0))
        added += caches
    graph.add_parameters(added)
    graph.validate_nodes_and_infer_types()
    return graph


def _parameter(name: str, shape: Any, kind: Any) -> Any:
    made = runtime("openvino.opset13").parameter(shape, kind, name=name)
    made.output(0).get_tensor().set_names({name})
    return made


torch.library.define(
    f"aigc::{NAME}", "(Tensor query, Tensor key, Tensor value, int heads, int width, float scale, int window) -> Tensor"
)
torch.library.impl(f"aigc::{NAME}", "CPU", lambda query, *_: torch.zeros_like(query))


def _attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """An attention function of transformers, (N, H, 1, D), for tracing only: it leaves the mark and no numbers."""
    if found := [name for name in FOREIGN if others.get(name) is not None]:
        raise AigcError(f"engine: openvino: the model's attention has {found[0]}, which is not carried over; take engine: torch")
    if value.shape[-1] != query.shape[-1]:
        raise AigcError("engine: openvino: the model's values are not as wide as its keys; take engine: torch")
    heads, width = query.shape[1], query.shape[3]
    flat = [x.flatten(1) for x in (query, key, value)]  # (N, H D)
    scale = width**-0.5 if scaling is None else scaling
    out = torch.ops.aigc.paged(*flat, key.shape[1], width, scale, sliding_window or 0)
    return out.view(-1, 1, heads, width), None


AttentionInterface.register(NAME, _attend)
AttentionMaskInterface.register(NAME, lambda *_, **__: None)


class _Flat(nn.Module):
    """A model over tokens in a row, with logits of the wanted ones."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, position_ids: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        def picked(_: nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            return given[0].index_select(0, wanted), *given[1:]

        head = self.model.get_output_embeddings().register_forward_pre_hook(picked)
        try:
            found = self.model(input_ids=input_ids[:, None], position_ids=position_ids[:, None], use_cache=False)
        finally:
            head.remove()
        logits: torch.Tensor = found.logits[:, 0]
        return logits


def _traced(model: PreTrainedModel, layers: list[dict[str, float]]) -> Any:
    """The graph with its marks; what they stand for goes into `layers`."""
    ov, opset = runtime(), runtime("openvino.opset13")
    training, before = model.training, model.config._attn_implementation

    def convert(context: Any) -> list[Any]:
        heads, width, scale, window = (context.get_values_from_const_input(place) for place in range(3, 7))
        mark = opset.einsum([context.get_input(place) for place in range(3)], MARK)
        mark.set_friendly_name(f"{NAME}.{len(layers)}")
        layers.append({"heads": heads, "width": width, "scale": scale, "window": window})
        return [mark.output(0)]

    example = {"input_ids": torch.arange(3), "position_ids": torch.arange(3), "wanted": torch.tensor([0, 2])}
    conversion = runtime("openvino.frontend.pytorch").ConversionExtension(f"aigc::{NAME}", convert)
    model.eval()
    pack(model, NAME)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the tracer, about shapes that are the same in all batches
            return ov.convert_model(_Flat(model), example_input=example, extension=[conversion])
    except (RuntimeError, TypeError, ValueError, NotImplementedError) as error:
        line = str(error.__cause__ or error).strip().splitlines()[0].removeprefix("engine: openvino: ")
        raise AigcError(f"engine: openvino: this {model.config.model_type} model cannot be converted: {line}") from error
    finally:
        pack(model, before)
        model.train(training)


def _compress(graph: Any) -> None:
    """Give the linear layers weights of 8 bits: (u8 - zero) * scale, a zero and a scale for each output (Jacob et al. 2018).

    Embeddings stay as they are, also where a linear layer has the same ones: a row of them is read, not multiplied.
    """
    ov, opset = runtime(), runtime("openvino.opset13")
    for node in graph.get_ordered_ops():
        if node.get_type_name() != "MatMul":
            continue
        source = node.input_value(1).get_node()
        if source.get_type_name() != "Constant" or len(source.get_output_shape(0)) != 2:
            continue
        weight: NDArray[np.float32] = source.data
        across = bool(node.get_attributes()["transpose_b"])
        whole, zero, scale = _quantised(weight if across else weight.T)
        spread = opset.convert(opset.constant(whole, ov.Type.u8), ov.Type.f32)
        centred = opset.subtract(spread, opset.convert(opset.constant(zero, ov.Type.u8), ov.Type.f32))
        scaled = opset.multiply(centred, opset.constant(scale, ov.Type.f32))
        linear = opset.matmul(node.input_value(0), scaled, bool(node.get_attributes()["transpose_a"]), True)
        linear.set_friendly_name(node.get_friendly_name())
        for reader in node.output(0).get_target_inputs():
            reader.replace_source_output(linear.output(0))


def _quantised(weight_OI: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]]:
    """Whole numbers (O, I), their zeros (O, 1) and scales (O, 1)."""
    low = np.minimum(weight_OI.min(1, keepdims=True), 0.0)
    high = np.maximum(weight_OI.max(1, keepdims=True), 0.0)
    scale = np.maximum((high - low) / 255.0, np.finfo(np.float32).tiny)
    zero = np.rint(-low / scale)
    whole = np.clip(np.rint(weight_OI / scale) + zero, 0, 255)
    return whole.astype(np.uint8), zero.astype(np.uint8), scale.astype(np.float32)
