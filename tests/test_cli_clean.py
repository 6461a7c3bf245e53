"""`aigc clean` as a person uses it: every format, odd input, a dry run, an explanation, Ctrl-C, and a page for each run."""

import gzip
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import PIPE, CompletedProcess
from typing import Any

import polars as pl
import pytest
from selectolax.lexbor import LexborHTMLParser as HTMLParser

from aigc.cli import main

WORDS = "the river stone of a cloud and paper window garden letter market winter doctor old boat that have with he she".split()
HAN = "春天来了花园里的都开今天气很好我们去公散步吧他打窗户听着外面雨声"
COMMAND = [sys.executable, "-m", "aigc", "clean", "p.yaml"]
Row = dict[str, Any]
Call = Callable[..., CompletedProcess[str]]


def rows(count: int = 24, seed: int = 1) -> list[Row]:
    """Documents in turn Chinese and English, d0, d1, ..., of which no two are alike."""
    draw = random.Random(seed)
    texts = (" ".join(draw.choices(WORDS, k=60)) + "." if i % 2 else "".join(draw.choices(HAN, k=80)) + "。" for i in range(count))
    return [{"id": f"d{i}", "text": text, "topic": f"t{i % 3}"} for i, text in enumerate(texts)]


def lines(of: Sequence[Row]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in of)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """The command within this process, which spares its start; it must leave the signals of pytest alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("aigc.signals.terminate_in_order", lambda: None)

    def call(*words: str, stdin: str = "") -> CompletedProcess[str]:
        monkeypatch.setattr("sys.argv", ["aigc", *words])
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return CompletedProcess(words, int(left.value.code or 0), out, err)

    return call


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """p.yaml with the default rules, and in.jsonl."""
    (tmp_path / "p.yaml").write_text("name: p\nclean: {input: in.jsonl}\n", "utf-8")
    (tmp_path / "in.jsonl").write_text(lines(rows()), "utf-8")
    return tmp_path


def refused(done: CompletedProcess[str], code: int) -> str:
    """The one line on stderr of a command that did not do its work."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("aigc: "), done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def worked(done: CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stderr


def report(folder: Path, name: str = "p") -> dict[str, Any]:
    """The report of a run, after a look at whether its sums add up and its page is whole."""
    here = folder / "runs" / name / "clean"
    found: dict[str, Any] = json.loads((here / "report.json").read_text("utf-8"))
    assert found["read"] == found["kept"] + found["dropped"] + found["failed"]
    assert sum(one["kept"] for one in found["languages"].values()) == found["kept"]
    assert sum(one["dropped"] for one in found["languages"].values()) == found["dropped"]
    assert f"{found['kept']:,}" in page_text(here / "report.html")
    assert not (here / "work").exists()
    return found


def page_text(path: Path) -> str:
    body = HTMLParser(path.read_text("utf-8")).css_first("body")
    assert body is not None
    return body.text()


def documents(folder: Path, name: str = "p") -> pl.DataFrame:
    return pl.read_parquet(folder / "runs" / name / "clean" / "documents-*.parquet")


def written(path: Path) -> None:
    """A small corpus in the format that the name says; txt, md and html hold the first two texts as one document."""
    table, texts = pl.DataFrame(rows()), [row["text"] for row in rows(2)]
    write: dict[str, Callable[[], object]] = {
        ".jsonl": lambda: path.write_text(lines(rows()), "utf-8"),
        ".gz": lambda: path.write_bytes(gzip.compress(lines(rows()).encode())),
        ".json": lambda: path.write_text(json.dumps(rows(), ensure_ascii=False), "utf-8"),
        ".csv": lambda: table.write_csv(path),
        ".tsv": lambda: table.write_csv(path, separator="\t"),
        ".parquet": lambda: table.write_parquet(path),
        ".arrow": lambda: table.write_ipc(path),
        **dict.fromkeys((".txt", ".md"), lambda: path.write_text("\n\n".join(texts), "utf-8")),
        ".html": lambda: path.write_text("".join(f"<p>{text}</p>" for text in texts), "utf-8"),
    }
    write[path.suffix]()


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "tsv", "parquet", "arrow", "jsonl.gz", "txt", "md", "html"])
def test_every_format(here: Call, project: Path, kind: str) -> None:
    written(project / f"in.{kind}")
    worked(here("clean", "p.yaml", f"clean.input=in.{kind}"))
    found = documents(project)
    assert report(project)["kept"] == len(found)
    if kind in ("txt", "md", "html"):
        (text,) = found["text"]
        assert all(row["text"] in text for row in rows(2))
    else:
        assert dict(found.select("id", "text").iter_rows()) == {row["id"]: row["text"] for row in rows()}


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("[word: {min: 3}]", "no rule is called 'word'; the nearest is words"),
        ("[preset: gophr]", "no preset is called 'gophr'; the nearest is gopher"),
        ("[words: {mim: 3}]", "words.mim: unknown key; the nearest is clean.rules.0.words.min"),
        ("[words: {min: {fr: 3}}]", "words.min.fr: unknown key; known here: en, zh"),
    ],
)
def test_a_typo_in_the_rules(here: Call, project: Path, rules: str, said: str) -> None:
    assert said in refused(here("clean", "p.yaml", f"clean.rules={rules}"), 2)
    assert not (project / "runs").exists()


def test_a_row_that_is_too_long_is_a_broken_row(here: Call, project: Path) -> None:
    with (project / "in.jsonl").open("a") as file:
        file.write(json.dumps({"text": "x" * (65 << 20)}) + "\n")
    assert "in.jsonl:25: a line of more than 64 MB; 1 of 25 rows" in refused(here("clean", "p.yaml"), 1)
    worked(here("clean", "p.yaml", "clean.max_failed=0.1"))
    assert (report(project)["kept"], report(project)["failed"]) == (24, 1)


def test_many_tiny_rows(here: Call, project: Path) -> None:
    (project / "in.jsonl").write_text(lines([{"id": f"t{i}", "text": f"row {i} 行"} for i in range(30_000)]), "utf-8")
    worked(here("clean", "p.yaml", "clean.rules=[whitespace, characters: {min: 7}, exact_duplicates, near_duplicates]"))
    found = report(project)
    assert (found["read"], found["kept"]) == (30_000, 30_000 - 100)
    assert documents(project)["id"].to_list() == [f"t{i}" for i in range(100, 30_000)], "in the order of the file"


def test_stdin(here: Call, project: Path) -> None:
    worked(here("clean", "p.yaml", "clean.input=-", stdin=lines(rows())))
    worked(here("clean", "p.yaml", "name=file"))
    assert documents(project).equals(documents(project, "file"))
    assert "d3: read from -:4" in here("clean", "p.yaml", "--explain", "d3").stdout


def test_columns_named_like_ours_travel_on(here: Call, project: Path) -> None:
    ours = ["row", "keeper", "similarity", "language", "han", "bound", "value", "value 0", "key", "length", "0", "rule", "origin"]
    ours += ["reason", "verdict", "number", "task", "document", "other", "hash", "digest", "redacted"]
    given = [row | {name: f"{name} {i}" for name in ours} for i, row in enumerate(rows())]
    given.append(given[0] | {"id": "copy"})
    (project / "in.jsonl").write_text(lines(given), "utf-8")
    worked(here("clean", "p.yaml", "clean.rules=[preset: default, outlier: words, contained]"))
    assert report(project)["dropped"] == 1
    kept = {row["id"]: row for row in documents(project).to_dicts()}
    assert all(kept[row["id"]][name] == row[name] for row in given if row["id"] in kept for name in ours)


def test_a_column_named_cluster_is_not_lost(here: Call, project: Path) -> None:
    (project / "in.jsonl").write_text(lines([row | {"cluster": "mine"} for row in rows()]), "utf-8")
    worked(here("clean", "p.yaml"))
    assert set(documents(project)["cluster"]) == {"mine"}


def test_a_column_named_like_our_hidden_one_is_not_lost(here: Call, project: Path) -> None:
    (project / "in.jsonl").write_text(lines([row | {"aigc:language": "mine"} for row in rows()]), "utf-8")
    worked(here("clean", "p.yaml"))
    assert set(report(project)["languages"]) == {"en", "zh"}
    assert any(set(documents(project)[name]) == {"mine"} for name in report(project)["fields"]), "by its name or another"


def test_nested_columns(here: Call, project: Path) -> None:
    nested: dict[str, list[Any]] = {
        "meta": [{"x": 1, "y": ["问"]}, {"x": None, "y": []}, None],
        "tags": [["a"], None, []],
        "none": [None] * 3,
    }
    table = pl.DataFrame(rows(3)).with_columns(pl.Series(name, values) for name, values in nested.items())
    table.write_parquet(project / "in.parquet")
    worked(here("clean", "p.yaml", "clean.input=in.parquet"))
    found = documents(project).sort("id")
    assert report(project)["kept"] == 3
    assert {name: found[name].to_list() for name in nested} == nested


def test_ids_with_a_number_sign(here: Call, project: Path) -> None:
    given = [row | {"id": f"a#{i % 4}"} for i, row in enumerate(rows())]
    (project / "in.jsonl").write_text(lines(given), "utf-8")
    assert "20 ids were used before" in worked(here("clean", "p.yaml"))
    assert documents(project)["id"].n_unique() == report(project)["kept"] == 24
    assert here("clean", "p.yaml", "--explain", "a#1").stdout == "a#1: read from in.jsonl:2\na#1: kept\n"
    assert "a#1#2: read from in.jsonl:6" in here("clean", "p.yaml", "--explain", "a#1#2").stdout


def test_two_rules_of_one_name(here: Call, project: Path) -> None:
    rules = "[words: {min: 3}, exact_duplicates, words: {min: 70}, exact_duplicates, near_duplicates, near_duplicates: 0.5]"
    worked(here("clean", "p.yaml", f"clean.rules={rules}"))
    steps = [(step["rule"], step["seen"], sum(step["dropped"].values())) for step in report(project)["steps"]]
    assert steps[:4] == [("words", 24, 0), ("exact_duplicates", 24, 0), ("words", 24, 12), ("exact_duplicates", 12, 0)]
    assert "words (2)" in page_text(project / "runs/p/clean/report.html"), "the page tells them apart"


def test_a_preset_of_another_language_is_warned_of(here: Call, project: Path) -> None:
    done = worked(here("clean", "p.yaml", "clean.rules=[preset: gopher]"))
    assert "warning: the preset gopher drops 100.0% of zh (12 of 12 documents); is it meant for such texts?" in done
    assert report(project)["languages"]["zh"] == {"read": 12, "kept": 0, "dropped": 12}
    rules = "clean.rules=[words: {min: 70}]"
    assert "warning" not in worked(here("clean", "p.yaml", rules, "name=q")), "bounds of one's own are meant"


def test_a_dry_run_leaves_only_its_page(here: Call, project: Path) -> None:
    assert "a dry run on 24 rows" in worked(here("clean", "p.yaml", "--sample", "1000")), "the corpus has no more"
    assert "a dry run on 5 rows; see runs/p/clean-sample/report.html" in worked(here("clean", "p.yaml", "--sample", "5"))
    assert [path.name for path in (project / "runs/p").iterdir()] == ["clean-sample"]
    assert [path.name for path in (project / "runs/p/clean-sample").iterdir()] == ["report.html"]
    assert "sample of 5 rows" in page_text(project / "runs/p/clean-sample/report.html")


def test_a_dry_run_takes_the_same_rows_in_any_order(here: Call, project: Path) -> None:
    plain = [{"id": row["id"], "text": row["text"]} for row in rows()]
    pages = []
    for given in (plain, plain[::-1]):
        (project / "in.jsonl").write_text(lines(given), "utf-8")
        worked(here("clean", "p.yaml", "--sample", "5"))
        pages.append((project / "runs/p/clean-sample/report.html").read_text("utf-8"))
    assert pages[0] == pages[1]


def test_explain(here: Call, project: Path) -> None:
    given = rows()
    given += [given[1] | {"id": "copy"}, {"id": "short", "text": "短"}, {"id": "tagged", "text": f"<p>{rows(3, 2)[2]['text']}</p>"}]
    (project / "in.jsonl").write_text(lines(given), "utf-8")
    worked(here("clean", "p.yaml"))
    said = {name: here("clean", "p.yaml", "--explain", name) for name in ("d3", "d1", "short", "tagged")}
    assert said["d3"].stdout == "d3: read from in.jsonl:4\nd3: kept\n"
    assert given[3]["text"] in said["d3"].stderr, "the text is for people; stdout has the decisions only"
    assert said["d1"].stdout.endswith("dropped by exact_duplicates: repeats copy (similarity 1.000)\n")
    assert said["short"].stdout.endswith("short: dropped by characters: 1 breaks min 8 (zh)\n")
    assert "tagged: edited by html_to_text\n" in said["tagged"].stdout


@pytest.mark.parametrize(("name", "hint"), [("d99", "; did you mean d9?"), ("zzz", "")])
def test_explain_an_unknown_id(here: Call, project: Path, name: str, hint: str) -> None:
    assert "there is no finished clean stage; run `aigc clean`" in refused(here("clean", "p.yaml", "--explain", name), 1)
    worked(here("clean", "p.yaml", "clean.rules=[]"))
    message = refused(here("clean", "p.yaml", "--explain", name), 1)
    assert message.endswith(f"{name!r}: no such document in runs/p/clean/ledger.parquet{hint}\n")


def test_explain_into_a_closed_pipe(here: Call, project: Path) -> None:
    worked(here("clean", "p.yaml", "clean.rules=[]"))
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*COMMAND, "--explain", "d1"], cwd=project, stdout=write, stderr=PIPE, timeout=60, check=False)
    os.close(write)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr


def test_ctrl_c_in_the_middle(project: Path) -> None:
    (project / "in.jsonl").write_text(lines(rows(20_000)), "utf-8")

    def heed_ctrl_c() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell starts background jobs, maybe pytest, with SIGINT ignored

    process = subprocess.Popen(COMMAND, cwd=project, stderr=PIPE, text=True, preexec_fn=heed_ctrl_c)
    deadline = time.monotonic() + 60
    while not (project / "runs/p/.clean.partial/work/0/000000.arrow").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert told.startswith("aigc: stopped; ")
    assert len(told.splitlines()) == 1, told
    assert not [path for path in (project / "runs/p").iterdir() if path.is_dir()], "no folder is left"
