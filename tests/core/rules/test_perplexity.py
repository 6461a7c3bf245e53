"""Perplexity is exp of transformers' own loss, whatever stands beside a text in its batch."""

import math
from pathlib import Path

import polars as pl
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from aigc.core.model import checkpoints
from aigc.core.rules.measures import perplexity
from aigc.core.rules.measures.perplexity import Perplexity
from aigc.core.tokens.text import TextCodec
from aigc.errors import AigcError
from conftest import CONTEXT, MakeModel

TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "春天来了，花园里的花都开了。",
    "a",
    "她 opened 了 the window",
    "rain " * 20,
]


@pytest.fixture(scope="module")
def sharp(tmp_path_factory: pytest.TempPathFactory, tiny_model: MakeModel, codec: TextCodec) -> str:
    """A checkpoint whose losses differ widely from text to text."""
    folder = tmp_path_factory.mktemp("sharp") / "model"
    checkpoints.save(tiny_model("gpt2", sharpen=6.0), codec, folder)
    return str(folder)


def values(texts: list[str], checkpoint: str) -> list[float]:
    frame = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    return frame.select(value=Perplexity(checkpoint=checkpoint).value())["value"].to_list()


def plain_loss(text: str, checkpoint: str) -> float:
    """Mean nats per token as plain transformers has it."""
    ids = AutoTokenizer.from_pretrained(checkpoint)(text, return_tensors="pt").input_ids
    assert ids.shape[1] <= CONTEXT
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    with torch.inference_mode():
        return float(model(input_ids=ids, labels=ids).loss)


def test_it_is_exp_of_the_loss_of_transformers(sharp: str) -> None:
    expected = [math.exp(plain_loss(text, sharp)) for text in TEXTS]
    assert values(TEXTS, sharp) == pytest.approx(expected, rel=1e-4)
    assert max(expected) > 1.5 * min(expected), "texts that all have one loss would prove little"


def test_neighbours_and_order_do_not_matter(sharp: str) -> None:
    together = values(TEXTS, sharp)
    assert values(TEXTS[::-1], sharp)[::-1] == pytest.approx(together, rel=1e-5)
    assert [values([text], sharp)[0] for text in TEXTS] == pytest.approx(together, rel=1e-5)
    assert values(TEXTS, sharp) == together


def test_small_batches_give_the_same(sharp: str, monkeypatch: pytest.MonkeyPatch) -> None:
    together = values(TEXTS, sharp)
    monkeypatch.setattr(perplexity, "_BATCH", CONTEXT)
    assert values(TEXTS, sharp) == pytest.approx(together, rel=1e-5)


def test_a_long_text_is_read_in_windows_that_judge_each_token_once(sharp: str, codec: TextCodec) -> None:
    text = "Some words, 一些字, and more of them; " * 12
    ids = codec.start + codec.encode([text])[0]
    assert len(ids) > 3 * CONTEXT
    model, _ = checkpoints.load(sharp, torch.device("cpu"))
    nats, judged = 0.0, 0
    for start in range(0, len(ids) - 1, CONTEXT - 1):
        window = torch.tensor([ids[start : start + CONTEXT]])
        with torch.inference_mode():
            nats += float(model(input_ids=window, labels=window).loss) * (window.shape[1] - 1)
        judged += window.shape[1] - 1
    assert judged == len(ids) - 1
    assert values([text], sharp)[0] == pytest.approx(math.exp(nats / judged), rel=1e-4)


def test_the_empty_text_has_the_perplexity_of_knowing_nothing(checkpoint: Path, codec: TextCodec) -> None:
    assert values(["", "a"], str(checkpoint))[0] == codec.vocabulary
    assert values([], str(checkpoint)) == []


def test_the_model_is_loaded_once(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = values(TEXTS, str(checkpoint))
    monkeypatch.setattr(checkpoints, "load", lambda *_: pytest.fail("loaded again"))
    assert values(TEXTS, str(checkpoint)) == first


def test_a_wrong_checkpoint_is_told_before_the_first_batch(tmp_path: Path) -> None:
    with pytest.raises(AigcError, match="no such checkpoint folder"):
        Perplexity(checkpoint=str(tmp_path / "none")).value()


def test_broken_weights_are_an_error(tmp_path: Path, tiny_model: MakeModel, codec: TextCodec) -> None:
    model = tiny_model("gpt2")
    with torch.no_grad():
        model.get_input_embeddings().weight.fill_(float("nan"))
    checkpoints.save(model, codec, tmp_path / "model")
    with pytest.raises(AigcError, match="probabilities are not numbers"):
        values(["abc"], str(tmp_path / "model"))
