"""Models of the hub compute by sample what they compute alone, or are refused."""

import pytest
import torch
from flats import CLASSIFIERS, NAMES, model_of
from transformers import AutoModelForCausalLM, MistralConfig, Qwen2Config, Qwen3Config

from aigc.core.model import precision
from aigc.core.model.verification import verify
from aigc.errors import AigcError

SMALL = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}


@pytest.mark.parametrize("name", [*(name for name in NAMES if name != "bert+pairs"), *CLASSIFIERS])
def test_families_agree_with_their_own_forward(name: str) -> None:
    model = model_of(name, sharpen=4.0).train()
    verify(model, context=48)
    assert model.training


@pytest.mark.parametrize("config", [Qwen2Config, Qwen3Config, MistralConfig])
def test_other_decoders_agree_with_their_own_forward(config: type) -> None:
    torch.manual_seed(0)
    verify(AutoModelForCausalLM.from_config(config(**SMALL)), context=64)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_that_reads_elsewhere_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(name, sharpen=4.0)
    read = model.classifier if name == "bert+classes" else model.score
    monkeypatch.setattr("aigc.core.model.verification.sequence_scores", lambda _model, hidden, _batch: read(hidden[:3]))
    with pytest.raises(AigcError, match="logits are"):
        verify(model, context=48)


def test_a_model_that_scales_its_logits_is_refused() -> None:
    from transformers import CohereConfig

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(CohereConfig(**SMALL, logit_scale=0.1, pad_token_id=0))
    with pytest.raises(AigcError, match="cohere model cannot be trained on packed samples"):
        verify(model, context=64)


def test_a_window_shorter_than_the_context_is_refused() -> None:
    model = AutoModelForCausalLM.from_config(MistralConfig(**SMALL, sliding_window=16))
    verify(model, context=16)
    with pytest.raises(AigcError, match="16 tokens back only"):
        verify(model, context=17)


def test_precision_is_that_of_the_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    for amx, avx, wanted in ((False, False, None), (True, False, torch.bfloat16), (False, True, torch.bfloat16)):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda amx=amx: amx)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda avx=avx: avx)
        assert precision.choose(cpu, "auto") == wanted
        assert precision.choose(cpu, "fp32") is None
        assert precision.choose(cpu, "bf16") == torch.bfloat16
    assert precision.choose(torch.device("mps"), "auto") is None
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    assert precision.choose(torch.device("cuda"), "auto") is None
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 0))
    assert precision.choose(torch.device("cuda"), "auto") == torch.bfloat16
