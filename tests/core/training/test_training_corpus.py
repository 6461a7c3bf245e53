"""What of the splits is read and learned: templates, mixtures by a column, the names of documents, and what is refused."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from aigc.core.batches.objectives import table
from aigc.core.batches.sample import IGNORED, Sample
from aigc.core.tokens.text import TextCodec
from aigc.core.training.corpus import Mixture, Recipe, TrainingData, examples, load, templates, texts
from aigc.errors import AigcError

NEWS = [{"id": f"n{i}", "text": f"The river number {i} is high.", "title": f"River {i}", "source": "news"} for i in range(40)]
POEMS = [{"id": f"p{i}", "text": "春天来了，花园里的花都开了。" * 3, "title": f"花{i}", "source": "poems"} for i in range(20)]
NOTES = [{"id": f"x{i}", "text": f"note {i}", "title": "", "source": "notes"} for i in range(10)]


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """A split whose training part has two files, with classes in turns and of unequal length."""
    folder = tmp_path / "split"
    folder.mkdir()
    rows = [row for three in zip(NEWS[::4], NEWS[1::4], POEMS[::2], NOTES, strict=True) for row in three]
    rows += [*NEWS[2::4], *NEWS[3::4], *POEMS[1::2]]
    for number, part in enumerate((rows[:33], rows[33:])):
        pl.DataFrame(part).write_parquet(folder / f"train-0000{number}.parquet")
    pl.DataFrame([{"id": "v0", "text": "A held-out river.", "title": "Held out", "source": "letters"}]).write_parquet(
        folder / "validation-00000.parquet"
    )
    return folder


def recipe(codec: TextCodec, **changes: Any) -> Recipe:
    standard = {
        "read": templates("{text}"),
        "objective": table.build("causal", codec, 32),
        "whole": False,
        "context": 32,
        "rows": 2,
        "seed": 3,
    }
    return Recipe(**standard | changes)


def learned(samples: list[Sample], codec: TextCodec) -> list[str]:
    return [codec.decode([label for label in sample.labels.tolist() if label not in (IGNORED, codec.end)]) for sample in samples]


def drawn(data: TrainingData, bins: int) -> list[Sample]:
    return [sample for samples, _ in islice(data.training.bins(), bins) for sample in samples]


def test_a_template_makes_the_text_that_is_learned(split: Path, codec: TextCodec, tmp_path: Path) -> None:
    data = load(split, tmp_path / "work", codec, recipe(codec, read=templates("{title}: {text}\n")))
    [sample] = [sample for samples in data.validation.once() for sample in samples]
    assert learned([sample], codec) == ["Held out: A held-out river.\n"]
    assert data.validation_accounting.documents == 1
    assert data.accounting.documents == 70
    assert data.validation.corpora[0].pieces.shards.text_bytes == len("Held out: A held-out river.\n")


def test_a_prompt_is_read_and_not_learned(split: Path, codec: TextCodec, tmp_path: Path) -> None:
    data = load(split, tmp_path / "work", codec, recipe(codec, read=templates("{text}", "{title}\n"), whole=True))
    [sample] = [sample for samples in data.validation.once() for sample in samples]
    assert codec.decode(sample.input_ids.tolist()[1:]) == "Held out\nA held-out river."
    assert learned([sample], codec) == ["A held-out river."]
    assert sample.labels[-1] == codec.end


def test_a_column_that_is_not_text_and_one_that_is_empty(codec: TextCodec, tmp_path: Path) -> None:
    pl.DataFrame({"id": ["a", "b"], "text": ["x", None], "year": [2024, None]}).write_parquet(tmp_path / "train-00000.parquet")
    tables = [tmp_path / "train-00000.parquet"]
    assert list(texts(tables, "{text}")) == ["x", ""]
    assert next(texts(tables, "{year}: {text}")) == "2024: x"
    [[first, second]] = examples(tables, templates("{text}", "{year}"))
    assert (first.prompt, first.row, second.row) == ("2024", 0, 1)


@pytest.mark.parametrize("template", ["{headline}", "{headline}: {text}"])
def test_a_field_that_is_not_there(template: str, split: Path, codec: TextCodec, tmp_path: Path) -> None:
    with pytest.raises(AigcError, match=r"split: .*'headline'"):
        load(split, tmp_path / "work", codec, recipe(codec, read=templates(template)))


def test_documents_have_their_names(split: Path, codec: TextCodec, tmp_path: Path) -> None:
    by_text = {row["text"]: row["id"] for row in NEWS}
    for mixture in (None, Mixture("source", {"poems": 1, "notes": 2, "news": 1})):
        data = load(split, tmp_path / str(mixture is None), codec, recipe(codec, mixture=mixture))
        samples = drawn(data, 40)
        seen = 0
        for sample in samples:
            [text] = learned([sample], codec)
            [name] = data.names([sample.document])
            if name.startswith("n"):
                assert by_text[text] == name
                seen += 1
            else:
                assert text.startswith("note" if name.startswith("x") else "春天") or text in POEMS[0]["text"]
        assert seen > 5
        together = data.names(sorted({sample.document for sample in samples}))
        assert sorted(together) == sorted({name for sample in samples for name in data.names([sample.document])})


@pytest.mark.parametrize("weights", [{"news": 1, "poems": 1, "notes": 1}, {"news": 0.6, "poems": 0.1, "notes": 0.3}])
def test_a_mixture_has_its_shares_of_the_tokens(weights: dict[str, float], split: Path, codec: TextCodec, tmp_path: Path) -> None:
    data = load(split, tmp_path / "work", codec, recipe(codec, mixture=Mixture("source", weights)))
    counts = dict.fromkeys(weights, 0)
    named: dict[int, str] = {}
    for sample in drawn(data, 600):
        if sample.document not in named:
            [named[sample.document]] = data.names([sample.document])
        source = {"n": "news", "p": "poems", "x": "notes"}[named[sample.document][0]]
        counts[source] += len(sample.input_ids)
    for name, weight in weights.items():
        assert counts[name] / sum(counts.values()) == pytest.approx(weight / sum(weights.values()), abs=0.03)


def test_a_class_without_weight_is_left_out_of_training_alone(split: Path, codec: TextCodec, tmp_path: Path) -> None:
    data = load(split, tmp_path / "work", codec, recipe(codec, mixture=Mixture("source", {"news": 1, "poems": 0, "notes": 1})))
    names = data.names([sample.document for sample in drawn(data, 60)])
    assert {name[0] for name in names} == {"n", "x"}
    assert len(names) == 50
    assert data.accounting.documents == 50
    assert data.validation_accounting.documents == 1  # of a class that training does not know


@pytest.mark.parametrize(
    ("mixture", "message"),
    [
        (
            Mixture("source", {"news": 1, "poems": 1}),
            r"mixture: 'notes' is in the documents, but has no weight; source has news, notes, poems",
        ),
        (
            Mixture("source", {"news": 1, "poems": 1, "notes": 1, "prose": 1}),
            r"mixture: 'prose' has a weight, but no documents; source has news, notes, poems",
        ),
        (
            Mixture("sorce", {"news": 1}),
            r"mixture\.by: the documents have no column 'sorce'; columns found: id, text, title, source",
        ),
    ],
)
def test_a_mixture_that_does_not_fit_the_documents(
    mixture: Mixture, message: str, split: Path, codec: TextCodec, tmp_path: Path
) -> None:
    with pytest.raises(AigcError, match=message):
        load(split, tmp_path / "work", codec, recipe(codec, mixture=mixture))


def test_tokens_that_lie_there_are_used(split: Path, codec: TextCodec, tmp_path: Path) -> None:
    first = load(split, tmp_path / "work", codec, recipe(codec))
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*.bin")}
    assert times
    again = load(split, tmp_path / "work", codec, recipe(codec))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*.bin")} == times
    for one, other in zip(drawn(first, 3), drawn(again, 3), strict=True):
        np.testing.assert_array_equal(one.input_ids, other.input_ids)


@pytest.mark.parametrize(("part", "name"), [("train", "training"), ("validation", "validation")])
@pytest.mark.parametrize("rows", [0, None])
def test_a_part_without_documents(part: str, name: str, rows: int | None, split: Path, codec: TextCodec, tmp_path: Path) -> None:
    for path in split.glob(f"{part}-*.parquet"):
        frame = pl.read_parquet(path)
        path.unlink()
        if rows is not None:
            frame.clear().write_parquet(path)
    with pytest.raises(AigcError, match=rf"nothing of the {name} split can be learned \(0 documents\)"):
        load(split, tmp_path / "work", codec, recipe(codec))


def test_prompts_that_fill_the_context(split: Path, codec: TextCodec, tmp_path: Path) -> None:
    with pytest.raises(AigcError, match=r"nothing of the training split can be learned \(70 documents\)"):
        load(split, tmp_path / "work", codec, recipe(codec, read=templates("{text}", "word " * 80), whole=True))
