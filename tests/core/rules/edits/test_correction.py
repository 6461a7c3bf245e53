"""A masked-language model corrects the characters that it doubts, and only these."""

from pathlib import Path

import polars as pl
import pytest
import torch
from transformers import PreTrainedModel

from aigc.core.model import checkpoints, families
from aigc.core.rules.edits.confusions import ChineseConfusions
from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.training import train
from aigc.errors import AigcError

PAIRS = [
    ("我门去公园。", "我们去公园。"),
    ("你门好。", "你们好。"),
    ("他打开门。", "他打开门。"),
    ("门开了。", "门开了。"),
    ("我们好。", "我们好。"),
]
MORE = ["她听着外面的雨声，word。"]


@pytest.fixture(scope="module")
def characters() -> TextCodec:
    return train([text for pair in PAIRS for text in pair] + MORE, kind="wordpiece", family="encoder", vocabulary=400, context=32)


@pytest.fixture(scope="module")
def model(characters: TextCodec, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny BERT that was trained to write 们 for 门 behind 我 and 你."""
    torch.manual_seed(0)
    shape = families.Shape(layers=2, width=32, heads=2, dropout=0.0)
    ids = families.SpecialIds.of(characters)
    made: PreTrainedModel = families.build("bert", shape=shape, vocabulary=characters.vocabulary, ids=ids, context=32)
    optimizer = torch.optim.AdamW(made.parameters(), lr=1e-2)
    for _ in range(80):
        for wrong, right in PAIRS:
            rows = [[*characters.start, *characters.encode([text])[0], characters.end] for text in (wrong, right)]
            loss = made(input_ids=torch.tensor(rows[:1]), labels=torch.tensor(rows[1:])).loss
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    folder = tmp_path_factory.mktemp("mlm") / "model"
    checkpoints.save(made.eval(), characters, folder)
    return str(folder)


def edited(rule: ChineseConfusions, *texts: str) -> list[str]:
    frame = pl.DataFrame({"text": list(texts)}, schema={"text": pl.String})
    return frame.with_columns(text=rule.text())["text"].to_list()


def test_it_corrects_what_the_model_doubts(model: str) -> None:
    rule = ChineseConfusions(model=model, sure=0.9)
    assert edited(rule, *(wrong for wrong, _ in PAIRS)) == [right for _, right in PAIRS]
    assert edited(rule, *(right for _, right in PAIRS)) == [right for _, right in PAIRS]
    assert edited(rule, "word only", "") == ["word only", ""]


def test_code_and_the_list_of_words_are_as_without_a_model(model: str) -> None:
    (new,) = edited(ChineseConfusions(model=model, sure=0.9), "`我门去公园。`")
    assert new == "`我门去公园。`"


def test_a_long_text_is_read_in_windows(model: str) -> None:
    (new,) = edited(ChineseConfusions(model=model, sure=0.9), "我门去公园。" * 5)
    assert new.startswith("我们去公园。")
    assert len(new) == 30


def test_a_model_that_cannot_correct_is_one_clear_line(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(AigcError, match="this needs a encoder"):
        ChineseConfusions(model=str(checkpoint)).text()
    with pytest.raises(AigcError, match="no such checkpoint folder"):
        ChineseConfusions(model=str(tmp_path / "none")).text()
