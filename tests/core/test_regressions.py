"""Faults that were found once, each where a row or a weight could have been lost in silence."""

import json
from pathlib import Path

import pytest
import zstandard
from transformers import GPT2Config

from aigc.core.documents.reading import Reader
from aigc.core.generation.prompts import read_prompts
from aigc.core.model import checkpoints
from aigc.core.rules.edits.html import HtmlToText
from aigc.core.rules.rule import TEXT
from aigc.core.tokens.text import TextCodec
from aigc.errors import AigcError


def read(path: Path) -> tuple[list[str], list[str]]:
    batches = list(Reader().read(path))
    return [text for b in batches for text in b.documents["text"]], [f.reason for b in batches for f in b.failures]


def test_a_zst_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    whole = zstandard.compress("".join(f'{{"text": "row {i}"}}\n' for i in range(2000)).encode())
    (tmp_path / "a.jsonl.zst").write_bytes(whole + whole)
    assert len(read(tmp_path / "a.jsonl.zst")[0]) == 4000  # two frames, one after the other
    (tmp_path / "a.jsonl.zst").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AigcError, match="damaged"):
        read(tmp_path / "a.jsonl.zst")


def test_a_list_among_texts_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text":"a"}\n{"text":["a","list"]}\n{"text":"[b]"}\n')
    texts, reasons = read(tmp_path / "a.jsonl")
    assert texts == ["a", "[b]"]
    assert reasons == ["no text in field 'text' (fields: text)"]


def test_a_lone_surrogate_deep_in_a_row_is_a_failure_and_a_pair_is_not(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text":"a","m":{"k":"\\ud800"}}\n{"text":"\\ud83d\\ude00"}\n')
    texts, reasons = read(tmp_path / "a.jsonl")
    assert texts == ["😀"]
    assert reasons == ["not UTF-8 text"]


def test_fields_without_a_common_type_do_not_stop_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text":"a","x":true}\n{"text":"b","x":1}\n{"text":"c","x":{"k":1}}\n{"text":"d","x":NaN}\n')
    texts, reasons = read(tmp_path / "a.jsonl")
    assert texts == ["a", "b", "c"]
    assert len(reasons) == 1


def test_a_csv_with_two_columns_of_one_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text,a,a\n1,x,2,3\n")
    with pytest.raises(AigcError, match="two columns are called 'a'"):
        read(tmp_path / "a.csv")


def test_a_special_token_inside_a_text_is_text(codec: TextCodec) -> None:
    ids = codec.encode(["a<|endoftext|>b"])[0]
    assert codec.end not in ids
    assert codec.decode(ids) == "a<|endoftext|>b"


def test_prompt_ids_are_unique() -> None:
    given = [{"id": "000001", "prompt": "a"}, "b", {"id": "000001", "prompt": "c"}]
    assert [prompt.id for prompt in read_prompts(given, "{prompt}")] == ["000001", "000001#2", "000001#3"]


def test_an_incomplete_checkpoint_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    device = checkpoints.device_of("cpu")
    for path in checkpoint.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["model_type"] == GPT2Config.model_type
    (tmp_path / "config.json").write_text(json.dumps(config | {"n_layer": config["n_layer"] + 1}))
    with pytest.raises(AigcError, match="lacks"):
        checkpoints.load(str(tmp_path), device)
    (tmp_path / "config.json").write_text(json.dumps(config))
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(AigcError, match="cannot be loaded"):
        checkpoints.load(str(tmp_path), device)


def test_a_line_break_tag_does_not_join_paragraphs() -> None:
    import polars as pl

    frame = pl.DataFrame({"text": ["para one\n\npara two <br> three"]}).select(HtmlToText().text())
    assert frame.select(TEXT).item() == "para one\n\npara two\nthree"
