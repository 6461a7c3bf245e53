"""A tokenizer, tiny models and a checkpoint folder that the tests of core share."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from aigc.core.model import checkpoints, families
from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.training import train

SENTENCES = [
    "The quick brown fox jumps over the lazy dog.",
    "A small model learns a small language, one token at a time.",
    "She opened the window and listened to the rain.",
    "春天来了，花园里的花都开了。",
    "今天的天气很好，我们去公园散步吧。",
    "他打开窗户，听着外面的雨声。",
    "人工智能正在改变我们的生活。",
    "In 2024 there were 1,234 trains; 56 of them were late.",
    "def add(a, b):\n    return a + b\n",
]
CONTEXT = 64

MakeModel = Callable[..., PreTrainedModel]


@pytest.fixture(scope="session")
def codec() -> TextCodec:
    """A byte-level BPE of 400 tokens, learned from a few dozen sentences."""
    return train(SENTENCES * 4, kind="bpe", family="decoder", vocabulary=400, context=CONTEXT)


@pytest.fixture(scope="session")
def tiny_model(codec: TextCodec) -> MakeModel:
    """Build a model of 2 layers and width 32: `tiny_model(family, seed=..., dropout=..., context=...)`.

    `sharpen` multiplies the weights after initialisation, so that the tokens' probabilities are far apart.
    """

    def make(
        family: str = "gpt2", *, seed: int = 0, dropout: float = 0.0, context: int = CONTEXT, sharpen: float = 1.0
    ) -> PreTrainedModel:
        torch.manual_seed(seed)
        model = families.build(
            family,
            shape=families.Shape(layers=2, width=32, heads=2, dropout=dropout),
            vocabulary=codec.vocabulary,
            ids=families.SpecialIds.of(codec),
            context=context,
        )
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() >= 2:
                    parameter *= sharpen
        return model.eval()

    return make


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, tiny_model: MakeModel, codec: TextCodec) -> Path:
    """A checkpoint folder of a tiny gpt2."""
    folder = tmp_path_factory.mktemp("checkpoint") / "model"
    checkpoints.save(tiny_model("gpt2"), codec, folder)
    return folder
