"""Logits from slots are those of each sequence alone, however it was fed, cut and copied."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from aigc.core.generation.slots import TorchStepper, start_ids
from aigc.core.generation.stepper import Feed
from aigc.errors import AigcError
from core.model.flats import CONTEXT, VOCABULARY, model_of

SLOTS = 4
SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": CONTEXT,
    "pad_token_id": 0,
}


def _model(name: str) -> PreTrainedModel:
    torch.manual_seed(0)
    others = {
        "llama, shared heads": lambda: LlamaForCausalLM(LlamaConfig(**SMALL)),
        "mistral": lambda: MistralForCausalLM(MistralConfig(**SMALL, sliding_window=6)),
        "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SMALL)),
    }
    if name not in others:
        return model_of(name, sharpen=1.0 if name == "t5" else 4.0)
    model = others[name]().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() >= 2:
                parameter *= 4
    return model


MODELS = {name: _model(name) for name in ("gpt2", "llama", "t5", "bart", "llama, shared heads", "mistral", "qwen2")}
each_model = pytest.mark.parametrize("name", MODELS)


@torch.inference_mode()
def _alone(model: PreTrainedModel, ids: list[int], source: list[int] | None) -> torch.Tensor:
    """Logits (L, V) by the model's own forward."""
    if source is None:
        return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    return model(input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([ids]), use_cache=False).logits[0]


@each_model
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_logits_are_those_of_the_sequence_alone(name: str, data: st.DataObject) -> None:
    model = MODELS[name]
    paired = model.config.is_encoder_decoder
    stepper = TorchStepper(model, SLOTS)
    token = st.integers(3, VOCABULARY - 1)
    held: dict[int, list[int]] = {}
    sources: dict[int, list[int] | None] = {}
    for _ in range(data.draw(st.integers(2, 5), label="steps")):
        for slot in range(SLOTS):
            match data.draw(st.sampled_from(["stay", "begin", "cut", "copy"]), label=f"slot {slot}"):
                case "begin":
                    sources[slot] = data.draw(st.lists(token, min_size=1, max_size=9)) if paired else None
                    stepper.begin(slot, sources[slot])
                    held[slot] = []
                case "cut" if slot in held:
                    held[slot] = held[slot][: data.draw(st.integers(0, len(held[slot])))]
                    stepper.cut(slot, len(held[slot]))
                case "copy" if held and not any(not ids for ids in held.values()):
                    other = data.draw(st.sampled_from(sorted(held)))
                    if other != slot:
                        count = data.draw(st.integers(1, len(held[other])))
                        stepper.copy(other, slot, count)
                        held[slot], sources[slot] = held[other][:count], sources[other]
        feeds = []
        for slot in data.draw(st.permutations(sorted(held))):
            room = CONTEXT - len(held[slot])
            if room and (not held[slot] or data.draw(st.booleans())):
                few = data.draw(st.sampled_from([1, 1, 2, 12]), label="tokens")
                ids = data.draw(st.lists(token, min_size=1, max_size=min(few, room)))
                feeds.append(Feed(slot, ids, wanted=data.draw(st.integers(0, len(ids)))))
        if not feeds:
            continue
        logits = stepper.step(feeds)
        expected = []
        for feed in feeds:
            held[feed.slot] = [*held[feed.slot], *feed.ids]
            alone = _alone(model, held[feed.slot], sources[feed.slot])
            expected.append(alone[len(alone) - feed.wanted :])
        torch.testing.assert_close(logits, torch.cat(expected), atol=2e-4, rtol=2e-4)


@each_model
def test_the_model_is_left_as_it_was(name: str) -> None:
    model = MODELS[name]
    before = model.config._attn_implementation
    stepper = TorchStepper(model, 1)
    stepper.begin(0, [5, 6] if model.config.is_encoder_decoder else None)
    stepper.step([Feed(0, start_ids(model) or [7])])
    assert model.config._attn_implementation == before
    assert not stepper.step([Feed(0, [8])]).requires_grad


def test_bf16_is_near_fp32() -> None:
    stepper = TorchStepper(MODELS["llama"], 2, dtype=torch.bfloat16)
    ids = list(range(5, 25))
    logits = stepper.step([Feed(1, ids, wanted=len(ids))])
    expected = _alone(MODELS["llama"], ids, None)
    assert logits.dtype == torch.float32
    assert torch.nn.functional.cosine_similarity(logits, expected).min() > 0.99


def test_what_attention_cannot_do_is_told() -> None:
    model = Gemma2ForCausalLM(Gemma2Config(**SMALL)).eval()
    with pytest.raises(AigcError, match="softcap, which the torch engine does not support"):
        TorchStepper(model, 1).step([Feed(0, [5])])


def test_a_context_that_is_over_is_not_run_past() -> None:
    stepper = TorchStepper(MODELS["gpt2"], 1)
    with pytest.raises(AssertionError, match="context"):
        stepper.step([Feed(0, [5] * (CONTEXT + 1))])
