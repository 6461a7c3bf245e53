"""A model in training says something of its own accord, and is left as it was."""

import pytest
import torch

from aigc.core.generation.engine import draw_freely, local
from aigc.core.generation.request import Decoding, Request
from aigc.core.model.attention import NAME
from aigc.core.model.learner import Learner
from aigc.core.tokens.text import TextCodec
from conftest import CONTEXT, MakeModel

FAMILIES = pytest.mark.parametrize("family", ["gpt2", "llama"])


@FAMILIES
@pytest.mark.parametrize("training", [True, False])
def test_mode_and_attention_are_left_as_they_were(family: str, training: bool, tiny_model: MakeModel, codec: TextCodec) -> None:
    model = tiny_model(family, dropout=0.5 if family == "gpt2" else 0.0)
    learner = Learner(model).train(training)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.manual_seed(1)
    state = torch.get_rng_state()
    drawn = draw_freely(model, codec, count=2, max_tokens=5, seed=0)
    assert len(drawn) == 2
    assert all(module.training is training for module in learner.modules())
    assert model.config._attn_implementation == NAME
    assert torch.equal(torch.get_rng_state(), state), "training goes on with what it would have drawn"
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())


@FAMILIES
def test_it_is_what_plain_drawing_says(family: str, tiny_model: MakeModel, codec: TextCodec) -> None:
    plain, packed = tiny_model(family, sharpen=4.0), tiny_model(family, sharpen=4.0)
    Learner(packed).train()
    with local(plain, codec) as engine:
        requests = [Request(codec.start or [codec.end], 7 + i, key=i) for i in range(3)]
        drawn = engine.draw(requests, Decoding(20, temperature=0.8, top_k=50, top_p=0.95))
        found = {request.key: one for request, one in drawn}
    expected = [found[i] for i in range(3)]
    assert draw_freely(packed, codec, count=3, max_tokens=20, seed=7) == expected
    assert len({one.text for one in expected}) == 3
    assert draw_freely(packed, codec, count=1, max_tokens=20, seed=8) == expected[1:2]


def test_it_ends_with_the_context(tiny_model: MakeModel, codec: TextCodec) -> None:
    model = tiny_model("gpt2")
    Learner(model)
    assert all(one.tokens <= CONTEXT - 1 for one in draw_freely(model, codec, count=2, max_tokens=1000, seed=0))
