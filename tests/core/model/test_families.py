"""Every family is built with the weights and the config that it should have, and loads in plain transformers."""

import json
from pathlib import Path

import pytest
import torch
from flats import IDS, NAMES, VOCABULARY, batch_of, model_of, samples_of
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForPreTraining, AutoModelForSeq2SeqLM

from aigc.core.model import families, size
from aigc.core.model.bodies import hidden_states
from aigc.core.model.head import head
from aigc.core.model.learner import Learner

ALL = pytest.mark.parametrize("name", NAMES)
AUTO = {
    "gpt2": AutoModelForCausalLM,
    "llama": AutoModelForCausalLM,
    "bert": AutoModelForMaskedLM,
    "bert+pairs": AutoModelForPreTraining,
    "t5": AutoModelForSeq2SeqLM,
    "bart": AutoModelForSeq2SeqLM,
}


@ALL
def test_weights_begin_small_and_writers_to_the_residual_stream_smaller(name: str) -> None:
    model = model_of(name, width=64, heads=4)
    paths = families.FAMILIES[name.removesuffix("+pairs")].paths
    for key, parameter in model.named_parameters():
        if parameter.dim() < 2:
            assert parameter.unique().tolist() in ([0.0], [1.0]), key
            continue
        wanted = 0.02
        if ending := next((ending for ending in paths if key.endswith(ending)), None):
            wanted /= ((paths[ending] + key.startswith("decoder.")) * 2) ** 0.5
        if key.endswith("Attention.q.weight"):
            wanted /= 16**0.5
        assert parameter.std().item() == pytest.approx(wanted, rel=0.25 if parameter.numel() < 1000 else 0.06), key


@ALL
def test_embeddings_are_tied_and_rows_of_padding_are_like_all(name: str) -> None:
    model = model_of(name)
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert model.get_input_embeddings().weight[IDS.pad].std().item() == pytest.approx(0.02, rel=0.5)


@ALL
def test_size_counts_without_building(name: str) -> None:
    family = name.removesuffix("+pairs")
    for shape in (families.Shape(2, 32, 2), families.Shape(1, 48, 3, inner=80), families.Shape(3, 16, 1)):
        model = families.build(family, shape=shape, vocabulary=77, ids=IDS, context=20, pairs=name != family)
        counted = size.parameters(family, shape, vocabulary=77, context=20, pairs=name != family)
        assert counted == sum(parameter.numel() for parameter in model.parameters())


@ALL
@torch.no_grad()
def test_what_is_saved_loads_in_plain_transformers(name: str, tmp_path: Path) -> None:
    model = model_of(name, sharpen=3.0)
    Learner(model)
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    assert "packed" not in json.dumps(config)
    loaded, info = AUTO[name].from_pretrained(tmp_path, output_loading_info=True)
    assert type(loaded) is type(model)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    batch = batch_of(samples_of(name))
    ours, theirs = (head(one, hidden_states(one, batch)).logits() for one in (model, loaded.eval()))
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


def test_configs_name_the_ids() -> None:
    for name, wanted in {
        "gpt2": (0, 1, 2, None),
        "llama": (0, 1, 2, None),
        "bert": (None, None, 2, None),
        "t5": (None, 1, 2, 2),
        "bart": (0, 1, 2, 1),
    }.items():
        config = model_of(name).config
        starts = getattr(config, "decoder_start_token_id", None)
        assert (getattr(config, "bos_token_id", None), config.eos_token_id, config.pad_token_id, starts) == wanted, name
        assert config.vocab_size == VOCABULARY


def test_one_dial_decides_the_shape() -> None:
    where = {"vocabulary": 8192, "context": 512}
    assert families.shape_of("gpt2", **where) == families.Shape(6, 384, 6)
    assert families.shape_of("bert", size="base", dropout=0.1, **where) == families.Shape(12, 768, 12, dropout=0.1)
    assert families.shape_of("t5", size="tiny", **where) == families.Shape(3, 192, 3)
    assert families.shape_of("gpt2", layers=2, width=32, heads=4, **where) == families.Shape(2, 32, 4)


@pytest.mark.parametrize("family", families.FAMILIES)
def test_a_number_of_parameters_gets_the_nearest_depth(family: str) -> None:
    where = {"vocabulary": 8192, "context": 512}
    for asked in (1_000_000, 30_000_000, 120_000_000):
        shape = families.shape_of(family, size=asked, **where)
        near = [
            size.parameters(family, families.Shape(depth, 64 * depth, depth), **where)
            for depth in (shape.layers - 1, shape.layers, shape.layers + 1)
            if depth
        ]
        assert min(near, key=lambda number: abs(number - asked)) == size.parameters(family, shape, **where)


@ALL
def test_memory_is_told_by_part(name: str) -> None:
    model = model_of(name)
    numbers = sum(parameter.numel() for parameter in model.parameters())
    memory = size.memory_of(model, places=1000)
    assert (memory.weights, memory.gradients, memory.moments) == (4 * numbers, 4 * numbers, 8 * numbers)
    assert size.memory_of(model, places=1000, checkpointing=True).activations < memory.activations
    assert memory.total == sum(vars(memory).values())
    assert "activations" in str(memory)


def test_memory_of_activations_is_what_autograd_keeps() -> None:
    for name in ("gpt2", "llama", "bert", "t5", "bart"):
        counted = []
        for layers in (1, 2):
            model = model_of(name, layers=layers, width=64, heads=1)
            own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
            kept: dict[int, torch.UntypedStorage] = {}

            def pack(tensor: torch.Tensor, kept: dict[int, torch.UntypedStorage] = kept) -> torch.Tensor:
                kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
                return tensor

            with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
                samples = samples_of(name, lengths=(40,) * 25)
                if samples[0].source_ids is not None:
                    samples = [type(one)(one.document, one.input_ids, one.labels, one.input_ids) for one in samples]
                hidden = hidden_states(model, batch_of(samples, spare=0))
            counted.append(sum(storage.nbytes() for at, storage in kept.items() if at not in own))
            assert len(hidden) == 1000
        said = [size.memory_of(model_of(name, layers=n, width=64, heads=1), places=1000).activations for n in (1, 2)]
        assert said[1] - said[0] == pytest.approx(counted[1] - counted[0], rel=0.05), name


def test_work_is_six_times_the_weights_and_attention() -> None:
    shape = families.Shape(6, 384, 6)
    every = size.step_flops("gpt2", shape, vocabulary=8192, places=1000, targets=1000, length=256)
    matrices = 6 * 12 * 384 * 384 + 8192 * 384
    assert every == 6000 * matrices + 1000 * 6 * 6 * 384 * 256
    paired = size.step_flops("bart", shape, vocabulary=8192, places=500, source_places=500, targets=500, length=256)
    numbers = 6 * 2 * 12 * 384 * 384 * 500 + 6 * 2 * 384 * 384 * 1000 + 8192 * 384 * 500
    assert paired == 6 * numbers + (12 * 1000 + 6 * 500) * 6 * 384 * 256
