"""The bundled corpus through every stage, as a user runs it: once, and everything that holds of the result."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from command import Aigc

ROOT = Path(__file__).parents[1]
SMALL = [
    "pretrain.steps=30",
    "pretrain.model={layers: 2, width: 32, heads: 2}",
    "finetune.steps=6",
    "generate.max_tokens=40",
]
QUICKSTART = str(ROOT / "configs" / "quickstart.yaml")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `aigc run configs/quickstart.yaml` was run, with a tiny model."""
    folder = tmp_path_factory.mktemp("pipeline")
    done = Aigc(folder)("run", QUICKSTART, *SMALL)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    return folder


def read_jsonl(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_every_stage_is_complete_and_nothing_half_done_is_left(finished: Path) -> None:
    run = finished / "runs" / "quickstart"
    for stage in ("clean", "split", "pretrain", "finetune", "generate"):
        manifest = json.loads((run / stage / "manifest.json").read_text("utf-8"))
        assert manifest["stage"] == stage
        for output in manifest["outputs"]:
            assert (run / stage / output["path"]).stat().st_size == output["size"]
    assert not list(run.glob(".*.partial"))


def test_planted_faults_are_found(finished: Path) -> None:
    key = json.loads((ROOT / "src/aigc/samples/key/faults.json").read_text("utf-8"))
    clean = finished / "runs" / "quickstart" / "clean"
    documents = pl.read_parquet(clean / "documents-*.parquet")
    texts = dict(zip(documents["id"], documents["text"], strict=True))
    dropped = pl.read_parquet(clean / "ledger.parquet").filter(verdict="dropped")
    rules = dict(zip(dropped["id"], dropped["rule"], strict=True))
    keepers = dict(zip(dropped["id"], dropped["keeper"], strict=True))
    for name, planted in key.items():
        match planted["fault"]:
            case "none" | "near_duplicate":
                # an original may go when its copy is the longer one of the two
                assert name in texts or keepers[name] is not None, name
            case "html" | "mojibake":
                assert texts[name].split() == planted["clean"].split(), name
            case "personal_data":
                assert not any(secret in texts[name] for secret in planted["secrets"]), name
            case "exact_duplicate" | "exact_duplicate_but_for_white_space":
                assert (name in texts) != (planted["of"] in texts), name
            case "gibberish":
                assert rules[name] == "stop_words"
            case "too_short":
                assert rules[name] == "characters"
            case fault:
                pytest.fail(f"unknown fault {fault}")


def test_rows_are_conserved_from_file_to_split(finished: Path) -> None:
    run = finished / "runs" / "quickstart"
    rows = {stage: json.loads((run / stage / "manifest.json").read_text("utf-8"))["rows"] for stage in ("clean", "split")}
    clean, split = rows["clean"], rows["split"]
    assert clean["read"] == 386 == clean["kept"] + clean["dropped"] + clean["failed"]
    assert split["read"] == clean["kept"] == split["train"] + split["validation"] + split["test"]
    ids = [set(pl.read_parquet(run / "split" / f"{part}-*.parquet")["id"]) for part in ("train", "validation", "test")]
    assert len(set.union(*ids)) == clean["kept"]


def test_validation_loss_falls(finished: Path) -> None:
    lines = read_jsonl(finished / "runs" / "quickstart" / "pretrain" / "metrics.jsonl")
    losses = [line["validation_loss"] for line in lines if "validation_loss" in line]
    assert losses[-1] < losses[0] - 0.3  # type: ignore[operator]


def test_model_loads_with_plain_transformers_and_generates(finished: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = finished / "runs" / "quickstart" / "finetune" / "model"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    prompt = tokenizer("雨天\n", return_tensors="pt")
    assert prompt.input_ids[0, 0] == tokenizer.bos_token_id
    out = model.generate(**prompt, max_new_tokens=5, min_new_tokens=5)
    assert out.shape[1] == prompt.input_ids.shape[1] + 5


def test_samples_have_provenance_and_trace_back_to_the_files(finished: Path) -> None:
    generate = finished / "runs" / "quickstart" / "generate"
    rows = [row for name in ("samples", "rejected") for row in read_jsonl(generate / f"{name}.jsonl")]
    assert len(rows) == 8
    assert {"id", "prompt", "title", "text", "seed", "model", "config", "finish", "data", "licences"} <= set(rows[0])
    done = Aigc(finished)("trace", str(rows[0]["id"]), QUICKSTART)
    assert done.returncode == 0, done.stderr
    places = [done.stdout.index(word) for word in ("sample ", "<- finetune", "<- pretrain", "<- split", "<- clean", "posts.jsonl")]
    assert places == sorted(places)
    assert "CHANGED" not in done.stdout
    assert Aigc(finished)("trace", "nobody", QUICKSTART).returncode == 1


def test_what_a_model_learned_is_known_and_copies_of_it_are_rejected(finished: Path) -> None:
    run = finished / "runs" / "quickstart"
    learned = pl.read_parquet(run / "split" / "train-*.parquet")
    for stage in ("pretrain", "finetune"):
        assert json.loads((run / stage / "copies" / "index.json").read_text("utf-8"))["documents"] == len(learned)
    long = learned.filter(pl.col("text").str.len_chars() > 90)
    copied = [long.filter(pl.col("id").str.starts_with(language)).row(0, named=True) for language in ("en", "zh")]
    new = "Nobody has ever written that seven blue kettles argued with a ladder about the price of moonlight."
    prompts = [{"title": "x", "lead": row["text"][:80]} for row in copied] + [{"title": "x", "lead": new}]
    keys = ["generate.prompts=" + json.dumps(prompts, ensure_ascii=False), "generate.begin='{lead}'", "generate.count=1"]
    keys += ["generate.rules=[{copied_run: {max: 50}}]", "generate.output=copies.jsonl", "generate.max_tokens=4"]
    done = Aigc(finished)("generate", QUICKSTART, *SMALL, *keys)
    assert done.returncode == 0, done.stderr
    rejected = {row["id"]: row for row in read_jsonl(finished / "copies.rejected.jsonl")}
    assert [row["id"] for row in read_jsonl(finished / "copies.jsonl")] == ["000002-0"]
    for number, source in enumerate(copied):
        row = rejected[f"00000{number}-0"]
        assert row["rule"] == "copied_run" and str(row["detail"]).startswith(f"{source['id']} ("), row


def test_the_same_run_gives_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    assert Aigc(tmp_path)("run", QUICKSTART, *SMALL).returncode == 0
    for name in (
        "generate/samples.jsonl",
        "clean/documents-00000.parquet",
        "clean/ledger.parquet",
        "finetune/model/model.safetensors",
    ):
        first, second = (folder / "runs" / "quickstart" / name for folder in (finished, tmp_path))
        assert first.read_bytes() == second.read_bytes(), name


def test_a_second_run_skips_all_and_a_change_reruns_what_depends_on_it(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "runs", tmp_path / "runs")
    again = Aigc(tmp_path)("run", QUICKSTART, *SMALL)
    assert again.stderr.count("up to date") == 5
    changed = Aigc(tmp_path)("run", QUICKSTART, *SMALL, "generate.temperature=0.5")
    assert changed.stderr.count("up to date") == 4
    assert "changed: generate.temperature" in changed.stderr


def test_generate_is_a_filter(finished: Path) -> None:
    rows = [{"id": f"p{i}", "title": title} for i, title in enumerate(["A quiet harbour", "夜里的雨", "Two cats"])]
    stdin = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    keys = [f"generate.{key}" for key in ("prompts=-", "output=-", "count=1", "rules=[]", "ordered=true")]
    arguments = ("generate", QUICKSTART, *keys)
    done = Aigc(finished)(*arguments, stdin=stdin)
    assert done.returncode == 0, done.stderr
    out = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["id"] for row in out] == ["p0-0", "p1-0", "p2-0"]
    assert out[1]["prompt"] == "夜里的雨\n"


def test_generate_prints_the_rows_of_the_run_folder_for_the_next_command(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "runs", tmp_path / "runs")
    done = Aigc(tmp_path)("generate", QUICKSTART, *SMALL)
    assert done.stdout == (finished / "runs" / "quickstart" / "generate" / "samples.jsonl").read_text("utf-8")


def test_a_broken_prompt_is_told_and_the_others_are_served(finished: Path) -> None:
    stdin = '{"title": "One"}\n{"title"\n{"name": "no title"}\n'
    done = Aigc(finished)("generate", QUICKSTART, "generate.prompts=-", "generate.output=-", "generate.rules=[]", stdin=stdin)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 2  # quickstart draws two samples a prompt
    assert "-:2" in done.stderr
    assert "'title'" in done.stderr
    assert "Traceback" not in done.stderr


def test_rejected_samples_carry_the_reason(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "runs", tmp_path / "runs")
    done = Aigc(tmp_path)("generate", QUICKSTART, *SMALL, "generate.rules=[{characters: {min: 100000}}]")
    assert done.returncode == 0, done.stderr
    rejected = read_jsonl(tmp_path / "runs" / "quickstart" / "generate" / "rejected.jsonl")
    assert len(rejected) == 8
    assert all(row["rule"] == "characters" and row["bound"] == "min 100000" for row in rejected)


def test_instruct_needs_the_columns_of_its_template(finished: Path) -> None:
    done = Aigc(finished)("check", QUICKSTART, "finetune.prompt='{headline}'")
    assert done.returncode == 1
    assert "'headline'" in done.stderr
    assert "columns found" in done.stderr
