"""`detect` says what label a file has, what is wrong with it, and how likely a text as it stands is without a watermark."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from aigc.core.generation.request import Watermark
from aigc.core.generation.watermarks import marker
from aigc.core.model import checkpoints, families
from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.training import train
from aigc.errors import AigcError, ConfigError
from aigc.schema import Project
from aigc.stages import detect

WORDS = [f"{a}{b}{c}" for a in ("ka", "no", "ti", "lu", "me") for b in ("ra", "so", "wi", "pu") for c in ("", "n", "st")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PreTrainedModel, TextCodec]:
    """A checkpoint that has a token for each of the words."""
    codec = train([" ".join(WORDS)] * 9, kind="bpe", family="decoder", vocabulary=500, context=64)
    torch.manual_seed(0)
    shape = families.Shape(layers=1, width=16, heads=2)
    ids = families.SpecialIds.of(codec)
    model = families.build("gpt2", shape=shape, vocabulary=codec.vocabulary, ids=ids, context=64)
    folder = tmp_path_factory.mktemp("checkpoint") / "model"
    checkpoints.save(model, codec, folder)
    return folder, model, codec


def _project(folder: Path, kind: str = "synthid", key: int = 5) -> Project:
    section = {"checkpoint": str(folder), "watermark": {"kind": kind, "key": key}}
    return Project.model_validate({"name": "p", "runs": folder.parent, "generate": section})


def _drawn(codec: TextCodec, kind: str | None, count: int = 250) -> str:
    """A text of words at random, marked with key 5."""
    width = codec.vocabulary
    mark = marker(Watermark(kind, 5), vocabulary=width, device=torch.device("cpu")) if kind else None  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(1)
    words = [ids[0] for ids in codec.encode([f" {word}" for word in WORDS]) if len(ids) == 1]
    assert len(words) > 40
    ids = [words[0]]
    for _ in range(count):
        logits = torch.full((1, width), -torch.inf)
        logits[0, words] = torch.randn(len(words), generator=generator)
        logits = logits if mark is None else mark.bias(logits, [ids])
        ids.append(int(torch.multinomial(logits.softmax(-1), 1, generator=generator)[0, 0]))
    return codec.decode(ids)


@pytest.mark.parametrize("kind", ["synthid", "greenlist"])
def test_a_marked_text_is_told_from_one_that_is_not(
    kind: str, made: tuple[Path, PreTrainedModel, TextCodec], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _, codec = made
    texts = {"marked": _drawn(codec, kind), "plain": _drawn(codec, None)}
    path = tmp_path / "s.jsonl"
    path.write_text("".join(json.dumps({"id": name, "text": text}) + "\n" for name, text in texts.items()), "utf-8")

    def found(project: Project) -> list[dict[str, Any]]:
        detect.run([path], project=project, as_json=True)
        return [json.loads(line)["watermark"] for line in capsys.readouterr().out.splitlines()]

    marked, plain = found(_project(folder, kind))
    assert marked["p_value"] < 1e-4 < 0.01 < plain["p_value"] and marked["kind"] == kind
    assert 50 < marked["tokens"] <= len(codec.encode([texts["marked"]])[0])
    assert all(one["p_value"] > 0.001 for one in found(_project(folder, kind, key=6))), "another key finds nothing"
    detect.run([path], project=_project(Path("nowhere"), kind), checkpoint=str(folder))
    shown = capsys.readouterr().out
    assert "s.jsonl:1: no label" in shown and f"watermark {kind}: p = " in shown


def test_few_tokens_are_said_to_be_few(
    made: tuple[Path, PreTrainedModel, TextCodec], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("A few words.", "utf-8")
    detect.run([tmp_path / "a.txt"], project=_project(made[0]))
    assert "a mark is easily missed" in capsys.readouterr().out


def test_labels_of_all_formats_and_their_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {
        "a.md": "---\nAIGC:\n  Label: AIGC\n  ContentProducer: Minimax Agent AI\n  ProduceID: '1'\n---\n文\n",
        "b.html": '<meta name="ai-generated" content="true"><p>x</p>',
        "c.txt": "由AI生成\n\n文。",
        "d.txt": "文。",
        "e.json": '[{"text": "x", "AIGC": {"Label": "2"}}, {"text": "y"}]',
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, "utf-8")
    detect.run([tmp_path / name for name in files])
    shown = capsys.readouterr().out.replace(f"{tmp_path}/", "")
    assert "a.md: says what no standard knows (front matter: Label AIGC, ContentProducer Minimax Agent AI, ProduceID 1)" in shown
    assert "  fault: Label is 'AIGC', and can be 1, 2 or 3" in shown and "  fault: ReservedCode1 is missing" in shown
    assert "b.html: is generated (meta)" in shown
    assert (
        "c.txt: no label, but a line that reads like one (text, at the start)\n  the reader is told at the start: 由AI生成" in shown
    )
    assert "d.txt: no label\n" in shown
    assert "e.json:1: may be generated" in shown and "e.json:2: no label" in shown


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.png", b"", "no format that can bear a label"),
        ("a", b"", "no format that can bear a label"),
        ("a.md", b"\xff\xfe", "not UTF-8"),
        ("a.docx", b"x", "no .docx"),
        ("a.json", b"{", "not valid JSON"),
        ("a.json", b"[1]", "no object with a text"),
        ("a.jsonl", b"[1]\n", "not a JSON object"),
        ("none.md", None, "no such file"),
        ("none.jsonl", None, "No such file"),
    ],
)
def test_what_cannot_be_read_is_told_and_the_rest_is_read(
    name: str, data: bytes | None, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    (tmp_path / "good.txt").write_text("x", "utf-8")
    with pytest.raises(AigcError, match="1 of 2 files could not be read"):
        detect.run([tmp_path / name, tmp_path / "good.txt"])
    told = capsys.readouterr()
    assert reason.lower() in told.err.replace("\n", " ").lower() and "good.txt: no label" in told.out


def test_a_watermark_is_looked_for_with_a_key_or_not_at_all(tmp_path: Path) -> None:
    project = Project.model_validate({"name": "p", "runs": tmp_path, "generate": {"checkpoint": "x"}})
    with pytest.raises(ConfigError, match=r"generate\.watermark: is needed"):
        detect.run([tmp_path / "a.txt"], project=project)
