"""Adapters are peft's: the same steps, the same files; merged, they are weights like others."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from flats import CLASSIFIERS, NAMES, batch_of, model_of, samples_of
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora.layer import Linear
from safetensors.torch import load_file
from torch import nn
from transformers import PreTrainedModel

from aigc.core.model import adapters
from aigc.core.model.adapters import Lora
from aigc.core.model.attention import unpacked
from aigc.core.model.bodies import hidden_states
from aigc.core.model.layers import freeze
from aigc.core.model.lean import Lean
from aigc.core.model.learner import Learner
from aigc.core.model.sequences import Classes
from aigc.core.model.verification import verify
from aigc.errors import AigcError

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft's own
KINDS = [Lora(rank=4), Lora(rank=4, dora=True), Lora(rank=4, rslora=True)]
OTHERS = ["llama", "bert", "t5", "bart", "bert+pairs", *CLASSIFIERS]
TOTALS = {"token_total": 7.0, "sequence_total": 4.0}


def logits_of(model: nn.Module, family: str) -> torch.Tensor:
    """Of fixed ids, by the model's own forward."""
    ids = torch.arange(3, 27).reshape(2, 12)
    others = {"decoder_input_ids": ids.flip(0)} if family in ("t5", "bart") else {}
    with torch.no_grad():
        out = model.eval()(input_ids=ids, **others)
    found: torch.Tensor = out.prediction_logits if family == "bert+pairs" else out.logits
    return found


def learned(model: PreTrainedModel) -> PreTrainedModel:
    """As after training: what takes a gradient is elsewhere."""
    torch.manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn_like(parameter)
    return model


@pytest.mark.parametrize(
    ("family", "lora"),
    [*(("gpt2", lora) for lora in KINDS), *(("llama", lora) for lora in KINDS[1:]), *((name, KINDS[0]) for name in OTHERS)],
)
def test_an_adapter_is_there_and_back(family: str, lora: Lora, tmp_path: Path) -> None:
    model = model_of(family, sharpen=2.0)
    model.save_pretrained(tmp_path / "base")
    before = logits_of(model, family)
    assert adapters.add(model, lora, seed=1) is model
    torch.testing.assert_close(logits_of(model, family), before, atol=1e-5, rtol=1e-5)
    wanted = logits_of(learned(model), family)
    assert (wanted - before).abs().max() > 0.01

    adapters.save_adapter(model, tmp_path / "adapter", "the/base")
    plain_peft = PeftModel.from_pretrained(type(model).from_pretrained(tmp_path / "base"), tmp_path / "adapter")
    torch.testing.assert_close(logits_of(plain_peft, family), wanted, atol=1e-5, rtol=1e-5)
    base = type(model).from_pretrained(tmp_path / "base")
    base.name_or_path = ""
    torch.testing.assert_close(logits_of(adapters.load_adapter(base, tmp_path / "adapter"), family), wanted, atol=1e-5, rtol=1e-5)
    assert {name for name, p in base.named_parameters() if p.requires_grad} == {
        name for name, p in model.named_parameters() if p.requires_grad
    }

    adapters.merged(model).save_pretrained(tmp_path / "merged")
    assert adapters.adapted(model)
    torch.testing.assert_close(logits_of(type(model).from_pretrained(tmp_path / "merged"), family), wanted, atol=1e-5, rtol=1e-5)
    merged = adapters.merge(model)
    assert merged.state_dict().keys() == model_of(family).state_dict().keys()
    assert all(parameter.requires_grad for parameter in merged.parameters())
    torch.testing.assert_close(logits_of(merged, family), wanted, atol=1e-5, rtol=1e-5)


def test_the_same_files_are_written_always(tmp_path: Path) -> None:
    for name in ("one", "two"):
        adapters.save_adapter(adapters.add(model_of("llama"), Lora(), seed=3), tmp_path / name, "base")
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    other = adapters.add(model_of("llama"), Lora(), seed=4)
    drawn = load_file(tmp_path / "one" / "adapter_model.safetensors")["base_model.model.model.layers.0.mlp.up_proj.lora_A.weight"]
    assert not torch.equal(other.model.layers[0].mlp.up_proj.lora_A["default"].weight, drawn)


def test_adding_draws_nothing_from_the_callers_generator() -> None:
    model = model_of("gpt2")
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    adapters.add(model, Lora(), seed=9)
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize("family", ["gpt2", "llama", "bert", "t5", "bart"])
def test_all_linear_layers_of_the_blocks_get_one_and_the_head_none(family: str) -> None:
    model = adapters.add(model_of(family), Lora(), seed=0)
    inside = [name for name, module in model.named_modules() if isinstance(module, Linear)]
    per_layer = {"gpt2": 4, "llama": 7, "bert": 6, "t5": 18, "bart": 16}[family]  # both stacks of an encoder-decoder
    assert len(inside) == 2 * per_layer
    assert not isinstance(model.get_output_embeddings(), Linear)
    assert all("lora_" in name for name, p in model.named_parameters() if p.requires_grad)


def test_targets_are_named_by_their_endings() -> None:
    model = adapters.add(model_of("llama"), Lora(targets=["q_proj", "mlp.up_proj"]), seed=0)
    found = {name for name, module in model.named_modules() if isinstance(module, Lean)}
    assert found == {f"model.layers.{n}.{name}" for n in range(2) for name in ("self_attn.q_proj", "mlp.up_proj")}
    with pytest.raises(AigcError, match=r"no linear layer lm_head that takes an adapter; it has q_proj, k_proj"):
        adapters.add(model_of("llama"), Lora(targets=["lm_head"]), seed=0)


@pytest.mark.parametrize("family", ["gpt2", "llama", "bart"])
def test_packed_samples_do_not_see_each_other(family: str) -> None:
    verify(learned(adapters.add(model_of(family, sharpen=3.0), Lora(rank=4), seed=0)), context=48)


def plain_losses(model: nn.Module, family: str, samples: list[Any]) -> torch.Tensor:
    """The loss by transformers' own forward on each sample, and torch's cross-entropy."""
    total = torch.zeros(())
    for sample in samples:
        ids, labels = torch.tensor(sample.input_ids)[None], torch.tensor(sample.labels)
        given = {"input_ids": ids}
        if sample.source_ids is not None:
            given = {"input_ids": torch.tensor(sample.source_ids)[None], "decoder_input_ids": ids}
        logits = model(**given).logits[0]
        nats = nn.functional.cross_entropy(logits, labels, reduction="none")
        total = total + (nats * torch.tensor(sample.weights)).sum()
    return total / TOTALS["token_total"]


@pytest.mark.parametrize("family", ["gpt2", "llama", "t5"])
def test_a_step_is_that_of_peft_and_plain_torch(family: str) -> None:
    samples = samples_of(family)
    ours = adapters.add(model_of(family, sharpen=2.0), Lora(rank=4, alpha=6), seed=0)
    names = (
        ["c_attn", "c_fc", "c_proj"]
        if family == "gpt2"
        else sorted({n.rpartition(".")[2] for n, m in ours.named_modules() if isinstance(m, Linear)})
    )
    config = LoraConfig(r=4, lora_alpha=6, target_modules=names, fan_in_fan_out=family == "gpt2")
    theirs = get_peft_model(model_of(family, sharpen=2.0), config).base_model.model
    mine = {name: p for name, p in ours.named_parameters() if p.requires_grad}
    other = {name: p for name, p in theirs.named_parameters() if p.requires_grad}
    assert mine.keys() == other.keys()
    with torch.no_grad():
        for name, parameter in mine.items():
            if "lora_B" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(name))) * 0.1)
            other[name].copy_(parameter)
    optimisers = [torch.optim.AdamW(group.values(), lr=1e-3) for group in (mine, other)]
    losses = [Learner(ours)(batch_of(samples), **TOTALS).loss, plain_losses(theirs, family, samples)]
    for loss, optimiser in zip(losses, optimisers, strict=True):
        loss.backward()
        optimiser.step()
    torch.testing.assert_close(*losses, atol=1e-5, rtol=1e-5)
    for name, parameter in mine.items():
        torch.testing.assert_close(parameter.grad, other[name].grad, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(parameter, other[name], atol=1e-5, rtol=1e-5)
    assert all(p.grad is None for p in ours.parameters() if not p.requires_grad)


def both(family: str, **settings: Any) -> tuple[PreTrainedModel, PreTrainedModel]:
    """A model with lean layers, and the same one with peft's."""
    lean = learned(adapters.add(model_of(family, sharpen=2.0), Lora(rank=4, **settings), seed=0))
    theirs = copy.deepcopy(lean)
    for module in theirs.modules():
        if isinstance(module, Lean):
            module.__class__ = Linear
    return lean.train(), theirs.train()


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_lean_layers_learn_what_peft_s_learn(family: str, compiled: bool, dtype: torch.dtype | None) -> None:
    pair = both(family)
    for model in pair:
        Learner(model, dtype=dtype, compiled=compiled, backend="aot_eager")(batch_of(samples_of(family)), **TOTALS).loss.backward()
    near = {"atol": 1e-5, "rtol": 1e-4} if dtype is None else {"atol": 2e-2, "rtol": 5e-2}
    for ours, theirs in zip(*(model.parameters() for model in pair), strict=True):
        assert (ours.grad is None) == (theirs.grad is None)
        if ours.grad is not None:
            torch.testing.assert_close(ours.grad, theirs.grad, **near)


def test_lean_layers_keep_less_than_peft_s() -> None:
    kept = []
    for model in both("llama"):
        seen: dict[int, int] = {}

        def note(tensor: torch.Tensor, seen: dict[int, int] = seen) -> torch.Tensor:
            seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            hidden = hidden_states(model, batch_of(samples_of("llama")))
        kept.append(sum(seen.values()))
        assert hidden.requires_grad
    assert kept[0] <= kept[1]


def test_with_dropout_the_adapter_s_input_alone_is_dropped() -> None:
    lean, theirs = both("gpt2", dropout=0.5)
    found = []
    for model in (lean, theirs):
        torch.manual_seed(0)
        found.append(hidden_states(model, batch_of(samples_of("gpt2"))))
    torch.testing.assert_close(*found)
    assert not torch.allclose(found[0], hidden_states(lean.eval(), batch_of(samples_of("gpt2"))), atol=1e-3)


@pytest.mark.parametrize("family", CLASSIFIERS)
def test_a_task_s_head_is_trained_in_full_and_saved(family: str, tmp_path: Path) -> None:
    model = adapters.add(model_of(family), Lora(rank=2), seed=0)
    Learner(model, sequence=Classes())(batch_of(samples_of(family)), **TOTALS).loss.backward()
    name = "classifier.weight" if family == "bert+classes" else "score.weight"
    assert model.get_parameter(name).grad is not None
    adapters.save_adapter(model, tmp_path, "base")
    saved = load_file(tmp_path / "adapter_model.safetensors")
    assert torch.equal(saved[f"base_model.model.{name}"], model.get_parameter(name))
    assert ("base_model.model.bert.pooler.dense.weight" in saved) == (family == "bert+classes")


BREAK: dict[str, tuple[Callable[[Path], PreTrainedModel], str]] = {
    "of another width": (
        lambda _: model_of("llama", width=64),
        r"model.layers.0.mlp.down_proj.lora_A.weight is \[4, 96\] in the one and \[4, 192\] in the other",
    ),
    "of another family": (lambda _: model_of("gpt2"), r"it has no layers down_proj, gate_proj, k_proj"),
    "with fewer layers": (
        lambda _: model_of("llama", layers=1),
        r"model.layers.1.mlp.down_proj.lora_A.weight is in one of them only",
    ),
    "with more layers": (
        lambda _: model_of("llama", layers=3),
        r"model.layers.2.mlp.down_proj.lora_A.weight is in one of them only",
    ),
}


@pytest.mark.parametrize("name", BREAK)
def test_an_adapter_for_another_base_is_refused(name: str, tmp_path: Path) -> None:
    adapters.save_adapter(adapters.add(model_of("llama"), Lora(rank=4), seed=0), tmp_path, "her/base")
    make, why = BREAK[name]
    with pytest.raises(AigcError, match=f"made for her/base, and this is a .*: {why}"):
        adapters.load_adapter(make(tmp_path), tmp_path)


def test_an_adapter_that_names_another_base_is_refused(tmp_path: Path) -> None:
    adapters.save_adapter(adapters.add(model_of("llama"), Lora(rank=4), seed=0), tmp_path, "her/base")
    with pytest.raises(AigcError, match="the adapters were made for her/base, and this is his/base"):
        adapters.load_adapter(model_of("llama"), tmp_path, "his/base")


@pytest.mark.parametrize("content", [b"", b"{", b'{"peft_type": "LORA"}', b'{"peft_type": "IA3"}'])
def test_a_folder_that_holds_no_lora_is_one_clear_line(content: bytes, tmp_path: Path) -> None:
    if content:
        (tmp_path / "adapter_config.json").write_bytes(content)
    with pytest.raises(AigcError) as caught:
        adapters.load_adapter(model_of("llama"), tmp_path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path))


def test_adapters_are_not_put_on_adapters() -> None:
    model = adapters.add(model_of("gpt2"), Lora(), seed=0)
    with pytest.raises(AigcError, match="has adapters already"):
        adapters.add(model, Lora(), seed=0)
    adapters.add(adapters.merge(model), Lora(), seed=0)


@pytest.mark.parametrize("there", [True, False])
def test_four_bits_need_a_cuda_device_and_bitsandbytes(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setitem(__import__("sys").modules, "bitsandbytes", None)
    with pytest.raises(AigcError, match=r"lora.bits: 4 needs a CUDA device and the package bitsandbytes"):
        adapters.add(model_of("llama"), Lora(bits=4), seed=0)


@pytest.mark.parametrize(("settings", "why"), [({"rank": 0}, "lora.rank: 0"), ({"bits": 8}, "lora.bits: 8 is not 4")])
def test_what_is_no_adapter_is_refused(settings: dict[str, int], why: str) -> None:
    with pytest.raises(AigcError, match=why):
        Lora(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("family", NAMES)
def test_frozen_embeddings_and_layers_take_no_gradient(family: str) -> None:
    model = model_of(family)
    freeze(model, embeddings=True, layers=1)
    losses = Learner(model)(batch_of(samples_of(family)), **TOTALS)
    losses.loss.backward()
    first = {"gpt2": "transformer.h.0.", "llama": "model.layers.0.", "bert": "bert.encoder.layer.0.", "t5": "encoder.block.0."}
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    assert all(model.get_parameter(name).grad is None for name in frozen)
    assert any(name.startswith(first.get(family.removesuffix("+pairs"), "model.decoder.layers.0.")) for name in frozen)
    assert not model.get_input_embeddings().weight.requires_grad
    assert not [
        name
        for name in frozen
        if re.search(r"(h|layers?|block)\.1\..*(attn|attention|mlp)", name, re.IGNORECASE) and ".0.layer" not in name
    ]
    assert any(p.grad is not None for p in model.parameters())


def test_adapters_of_frozen_layers_stay_but_are_saved(tmp_path: Path) -> None:
    model = adapters.add(model_of("llama"), Lora(rank=2), seed=0)
    freeze(model, embeddings=False, layers=1)
    assert {name.split(".")[2] for name, p in model.named_parameters() if p.requires_grad} == {"1"}
    adapters.save_adapter(model, tmp_path, "")
    adapters.load_adapter(model_of("llama"), tmp_path)


def test_more_layers_than_there_are_cannot_be_frozen() -> None:
    freeze(model_of("bart"), embeddings=False, layers=2)
    with pytest.raises(AigcError, match=r"freeze.layers: 3 is more than the 2 layers of the model"):
        freeze(model_of("bart"), embeddings=False, layers=3)


def test_a_model_with_adapters_writes_as_its_merged_one() -> None:
    model = learned(adapters.add(model_of("gpt2", sharpen=2.0), Lora(rank=4), seed=0))
    ids = torch.arange(3, 9)[None]
    hidden_states(model, batch_of(samples_of("gpt2")))
    with unpacked(model):
        found = model.generate(ids, max_new_tokens=5, do_sample=False)
    assert torch.equal(found, adapters.merge(model_like(model)).generate(ids, max_new_tokens=5, do_sample=False))


def model_like(model: PreTrainedModel) -> PreTrainedModel:
    """A copy with plain attention."""
    copied = copy.deepcopy(model)
    copied.set_attn_implementation("sdpa")
    return copied
