"""Topic is the softmax of transformers' own classifier, whatever stands beside a text in its batch."""

from pathlib import Path

import polars as pl
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel

from aigc.core.model import adapters, checkpoints, families
from aigc.core.model.adapters import Lora
from aigc.core.rules.measures import topic
from aigc.core.rules.measures.topic import Topic
from aigc.core.tokens.text import TextCodec
from aigc.errors import AigcError
from conftest import CONTEXT

TEXTS = ["The quick brown fox.", "春天来了，花园里的花都开了。", "a", "", "rain " * 100]
LABELS = ("sport", "财经", "travel")


def classifier(family: str, codec: TextCodec) -> PreTrainedModel:
    torch.manual_seed(0)
    shape = families.Shape(layers=2, width=32, heads=2, dropout=0.0)
    model = families.build(
        family, shape=shape, vocabulary=codec.vocabulary, ids=families.SpecialIds.of(codec), context=CONTEXT, classes=len(LABELS)
    )
    model.config.update(checkpoints.Head(LABELS).settings | {"pad_token_id": codec.pad})
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() >= 2:
                parameter *= 6.0
    return model.eval()


@pytest.fixture(scope="module", params=["bert", "gpt2"])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, codec: TextCodec) -> str:
    folder = tmp_path_factory.mktemp("topic") / request.param
    checkpoints.save(classifier(request.param, codec), codec, folder)
    return str(folder)


def values(texts: list[str], checkpoint: str, *wanted: str) -> list[float]:
    frame = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    rule = Topic.model_validate({"checkpoint": checkpoint, "in": list(wanted)})
    return frame.select(value=rule.value())["value"].to_list()


def plainly(text: str, checkpoint: str, codec: TextCodec) -> list[float]:
    """Probabilities as plain transformers has them."""
    ids = AutoTokenizer.from_pretrained(checkpoint)(text, add_special_tokens=False).input_ids
    row = [*codec.start, *ids[: CONTEXT - len(codec.start) - 1], codec.end]
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint)
    with torch.inference_mode():
        return model(input_ids=torch.tensor([row])).logits.softmax(-1)[0].tolist()


def test_it_is_the_softmax_of_transformers(told: str, codec: TextCodec) -> None:
    expected = [plainly(text, told, codec) for text in TEXTS]
    for number, label in enumerate(LABELS):
        assert values(TEXTS, told, label) == pytest.approx([row[number] for row in expected], abs=1e-5)
    assert max(row[0] for row in expected) > 0.02 + min(row[0] for row in expected), "texts that are all alike would prove little"
    assert values(TEXTS, told, "sport", "travel") == pytest.approx([row[0] + row[2] for row in expected], abs=1e-5)


def test_neighbours_and_order_do_not_matter(told: str) -> None:
    together = values(TEXTS, told, "财经")
    assert values(TEXTS[::-1], told, "财经")[::-1] == pytest.approx(together, abs=1e-6)
    assert [values([text], told, "财经")[0] for text in TEXTS] == pytest.approx(together, abs=1e-6)
    assert values([], told, "sport") == []


def test_small_batches_give_the_same(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    together = values(TEXTS, told, "sport")
    monkeypatch.setattr(topic, "_BATCH", CONTEXT)
    assert values(TEXTS, told, "sport") == pytest.approx(together, abs=1e-6)


def test_adapters_tell_topics_too(tmp_path: Path, codec: TextCodec) -> None:
    checkpoints.save(classifier("gpt2", codec), codec, tmp_path / "base")
    model, _ = checkpoints.load(str(tmp_path / "base"), head=checkpoints.Head(LABELS))
    tuned = adapters.add(model, Lora(rank=2), seed=0)
    checkpoints.save(tuned, codec, tmp_path / "adapter")
    assert values(TEXTS, str(tmp_path / "adapter"), "sport") == pytest.approx(
        values(TEXTS, str(tmp_path / "base"), "sport"), abs=1e-5
    )


def test_what_cannot_work_is_told_before_the_first_batch(told: str, checkpoint: Path, tmp_path: Path) -> None:
    for folder, label, why in (
        (told, "weather", "knows no class 'weather'; its classes: sport, 财经, travel"),
        (str(checkpoint), "sport", "is no classifier"),
        (str(tmp_path / "none"), "sport", "no such checkpoint folder"),
    ):
        with pytest.raises(AigcError, match=why):
            values([], folder, label)
