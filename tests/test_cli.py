"""The command line: exit codes, what goes to stdout and what to stderr, and `aigc run`."""

import json
import re
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from command import Aigc

STAGES = ["clean", "split", "pretrain", "finetune", "tune", "evaluate", "generate"]
COMMANDS = [*STAGES, "chat", "run", "check", "trace", "new", "schema", "export", "detect"]
NOUNS = ["river", "stone", "cloud", "paper", "window", "garden", "letter", "market", "winter", "doctor"]


def rows(count: int = 30) -> str:
    return "".join(json.dumps({"title": f"t{i}", "text": f"The {NOUNS[i % 10]} number {i} is here."}) + "\n" for i in range(count))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """p.yaml with clean and split, and the 30 documents of in.jsonl."""
    (tmp_path / "in.jsonl").write_text(rows(), "utf-8")
    clean = "clean: {input: in.jsonl, rules: [whitespace, exact_duplicates]}"
    text = f"name: p\n{clean}\nsplit: {{validation: 0.2, test: 0.2}}\n"
    (tmp_path / "p.yaml").write_text(text, "utf-8")
    return tmp_path


def refused(done: CompletedProcess[str], code: int) -> str:
    """The one line on stderr of a command that did not do its work."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("aigc: ")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def worked(done: CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_version(aigc: Aigc) -> None:
    done = aigc("--version")
    assert re.fullmatch(r"aigc \d+\.\d+\.\d+\S*\n", done.stdout)
    assert done.returncode == 0


def test_help_lists_the_commands(aigc: Aigc) -> None:
    done = aigc("--help")
    assert done.returncode == 0
    assert re.findall(r"^  ([a-z]+)  +[A-Z]", done.stdout, re.MULTILINE) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_example(aigc: Aigc, command: str) -> None:
    done = aigc(command, "--help")
    assert done.returncode == 0
    assert re.search(rf"Example:\n\s+(\S.* \| )?aigc {command}\b", done.stdout)


def test_unknown_command_suggests(aigc: Aigc) -> None:
    done = aigc("claen", "p.yaml")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Did you mean 'clean'?" in done.stderr


def test_missing_argument(aigc: Aigc) -> None:
    done = aigc("clean")
    assert done.returncode == 2
    assert "Missing argument 'FILE'" in done.stderr


@pytest.mark.parametrize("command", ["clean", "split", "pretrain", "finetune", "generate", "run", "check"])
def test_config_errors(aigc: Aigc, project: Path, command: str) -> None:
    assert "missing.yaml: no such project file" in refused(aigc(command, "missing.yaml"), 2)
    assert "command line: finetune.lr: unknown key" in refused(aigc(command, "p.yaml", "finetune.lr=1"), 2)


def test_every_line_of_several_errors_is_marked(aigc: Aigc, project: Path) -> None:
    done = aigc("clean", "p.yaml", "seed=x", "zzz=1")
    assert done.returncode == 2
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["aigc", "aigc"]


def test_a_file_that_is_no_mapping(aigc: Aigc, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("- a\n")
    assert "p.yaml: holds a list" in refused(aigc("clean", "p.yaml"), 2)


@pytest.mark.parametrize("command", ["clean", "split", "pretrain", "finetune", "generate"])
def test_a_section_that_is_missing(aigc: Aigc, tmp_path: Path, command: str) -> None:
    (tmp_path / "p.yaml").write_text("name: p\n")
    assert f"no section {command!r}" in refused(aigc(command, "p.yaml"), 2)


def test_missing_input(aigc: Aigc, project: Path) -> None:
    assert "im.jsonl: no such file; did you mean in.jsonl?" in refused(aigc("clean", "p.yaml", "clean.input=im.jsonl"), 1)
    assert "d/*.csv: no file matches" in refused(aigc("clean", "p.yaml", "clean.input=d/*.csv"), 1)
    assert not (project / "runs").exists()


def test_a_stage_before_its_time(aigc: Aigc, project: Path) -> None:
    assert "runs/p/clean: there is no finished clean stage; run `aigc clean`" in refused(aigc("split", "p.yaml"), 1)


def test_a_broken_row(aigc: Aigc, project: Path) -> None:
    (project / "in.jsonl").write_text(rows(3) + '{"text": \n' + rows(3), "utf-8")
    message = refused(aigc("clean", "p.yaml"), 1)
    assert "in.jsonl:4: not valid JSON" in message
    assert "clean.max_failed" in message
    assert not (project / "runs/p/clean").exists()
    worked(aigc("clean", "p.yaml", "clean.max_failed=0.5"))


def test_an_empty_corpus(aigc: Aigc, project: Path) -> None:
    (project / "in.jsonl").write_text("")
    assert "in.jsonl: no rows" in refused(aigc("clean", "p.yaml"), 1)


def test_nothing_kept(aigc: Aigc, project: Path) -> None:
    message = refused(aigc("clean", "p.yaml", "clean.rules=[characters: {min: 1000}]"), 1)
    assert "no document was kept of 30 rows read; most went by the rule 'characters' (30)" in message


@pytest.mark.parametrize("words", [("--debug", "clean", "q.yaml"), ("clean", "q.yaml", "--debug")])
def test_debug_shows_the_traceback(aigc: Aigc, project: Path, words: tuple[str, ...]) -> None:
    done = aigc(*words)
    assert done.returncode != 0
    assert "Traceback" in done.stderr
    assert "no such project file" in done.stderr


def test_a_folder_that_cannot_be_made(aigc: Aigc, project: Path) -> None:
    (project / "runs").write_text("a file stands in the way")
    assert "runs" in refused(aigc("clean", "p.yaml"), 1)


def test_clean_writes_the_run_folder_and_nothing_on_stdout(aigc: Aigc, project: Path) -> None:
    done = aigc("clean", "p.yaml")
    assert "clean: done in" in worked(done)
    assert done.stdout == ""
    folder = project / "runs/p/clean"
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert manifest["rows"] == {"read": 30, "kept": 30, "dropped": 0, "failed": 0}
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert written - {"manifest.json"} == {output["path"] for output in manifest["outputs"]}
    assert {"ledger.parquet", "report.json", "failed.jsonl"} < written
    assert sorted(path.name for path in folder.parent.iterdir() if not path.name.endswith(".lock")) == ["clean"]


def test_clean_reads_stdin(aigc: Aigc, project: Path) -> None:
    worked(aigc("clean", "p.yaml", "clean.input='-'", stdin=rows(5)))
    assert json.loads((project / "runs/p/clean/manifest.json").read_text())["rows"]["read"] == 5


def test_run_does_what_is_needed_and_says_why(aigc: Aigc, project: Path) -> None:
    said = worked(aigc("run", "p.yaml"))
    assert "clean: not run yet" in said
    assert "split: not run yet" in said

    done = aigc("run", "p.yaml")
    assert worked(done).splitlines() == [f"{name}: up to date, see runs/p/{name}" for name in ("clean", "split")]
    assert done.stdout == ""

    said = worked(aigc("run", "p.yaml", "split.test=0.3"))
    assert "clean: up to date" in said
    assert "split: changed: split.test" in said

    said = worked(aigc("run", "p.yaml", "split.test=0.3", "seed=1"))
    assert "clean: changed: seed" in said

    (project / "in.jsonl").write_text(rows(40), "utf-8")
    said = worked(aigc("run", "p.yaml", "split.test=0.3", "seed=1"))
    assert "clean: changed: input files" in said
    assert "split: changed: clean" in said

    said = worked(aigc("run", "p.yaml", "split.test=0.3", "seed=1", "--force"))
    assert "clean: --force" in said
    assert "split: --force" in said


def test_run_notices_a_lost_output(aigc: Aigc, project: Path) -> None:
    worked(aigc("run", "p.yaml"))
    (project / "runs/p/clean/ledger.parquet").unlink()
    said = worked(aigc("run", "p.yaml"))
    assert "clean: runs/p/clean/ledger.parquet is missing or was changed" in said
    assert "split: up to date" in said, "the same documents again"
