"""The run folder: a stage appears whole or not at all, says what went in and out, and knows when it is current."""

import json
from pathlib import Path

import pytest

from aigc import runs
from aigc.errors import AigcError
from aigc.runs import Sources
from aigc.schema import Project


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "a"}\n')
    return path


def project_in(folder: Path, **keys: object) -> Project:
    data = {"name": "p", "runs": folder / "runs", "clean": {"input": "in.jsonl"}, "split": {}}
    return Project.model_validate(data | keys)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return project_in(tmp_path)


def do(project: Project, source: Path, text: str = "result", *, name: str = "clean") -> Path:
    sources = Sources(files=[source]) if name == "clean" else Sources(stages=["clean"])
    with runs.stage(project, name, sources) as stage:
        (stage.folder / "out.txt").write_text(text)
        stage.rows = {"kept": 1}
    return runs.stage_folder(project, name)


def left(project: Project) -> list[str]:
    """What lies in the run folder, locks aside."""
    return sorted(path.name for path in runs.root(project).iterdir() if not path.name.endswith(".lock"))


def test_the_folder_appears_when_complete(project: Project, source: Path) -> None:
    with pytest.raises(AigcError, match="there is no finished clean stage; run `aigc clean` or `aigc run` first"):
        runs.stage_folder(project, "clean")
    with runs.stage(project, "clean", Sources(files=[source])) as stage:
        (stage.folder / "out.txt").write_text("x")
        assert not stage.final.exists()
    assert (stage.final / "out.txt").read_text() == "x"
    assert left(project) == ["clean"]
    assert sorted(path.name for path in stage.final.iterdir()) == ["manifest.json", "out.txt"]


@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt, SystemExit, AigcError])
def test_an_exception_leaves_the_old_result(project: Project, source: Path, stop: type[BaseException]) -> None:
    folder = do(project, source, "old")
    with pytest.raises(stop), runs.stage(project, "clean", Sources(files=[source])) as stage:
        (stage.folder / "out.txt").write_text("half")
        raise stop
    assert (folder / "out.txt").read_text() == "old"
    assert left(project) == ["clean"]


def test_a_second_run_replaces_the_first(project: Project, source: Path) -> None:
    do(project, source, "old")
    assert (do(project, source, "new") / "out.txt").read_text() == "new"
    assert left(project) == ["clean"]


def test_the_manifest_says_what_went_in_and_out(project: Project, source: Path) -> None:
    folder = do(project, source)
    manifest = runs.manifest_of(folder)
    assert manifest is not None
    size, digest = source.stat().st_size, runs.sha256(source)
    [entry] = manifest["inputs"]
    assert (entry["path"], entry["size"], entry["sha256"]) == (str(source), size, digest)
    assert manifest["outputs"] == [{"path": "out.txt", "size": 6, "sha256": runs.sha256(folder / "out.txt")}]
    assert manifest["config"]["input"] == ["in.jsonl"]
    assert (manifest["seed"], manifest["project"], manifest["stage"]) == (0, "p", "clean")
    assert runs.rows_of(folder) == {"kept": 1}


def test_the_manifest_names_its_upstream(project: Project, source: Path) -> None:
    clean = do(project, source)
    manifest = runs.manifest_of(do(project, source, name="split"))
    assert manifest is not None
    [upstream] = manifest["upstream"]
    assert (upstream["stage"], upstream["manifest"]) == ("clean", runs.sha256(clean / "manifest.json"))


def test_a_missing_upstream_stage(project: Project, source: Path) -> None:
    with pytest.raises(AigcError, match="no finished clean stage"):
        do(project, source, name="split")
    assert "split" not in left(project)


def test_sha256_and_digest(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert runs.sha256(tmp_path / "a").startswith("ba7816bf8f01cfea")
    assert runs.digest({"a": 1, "b": "é"}) == runs.digest({"b": "é", "a": 1}) != runs.digest({"a": 1, "b": "e"})


def begin_and_stop(project: Project, source: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        runs.stage(project, "clean", Sources(files=[source]), resume=True) as stage,
    ):
        stage.keep = True
        (stage.folder / "half.txt").write_text("half")
        raise KeyboardInterrupt


@pytest.mark.parametrize("change", ["nothing", "touch", "config", "seed", "input", "no resume"])
def test_resume_only_from_the_same_beginning(project: Project, source: Path, tmp_path: Path, change: str) -> None:
    begin_and_stop(project, source)
    assert left(project) == [".clean.partial"]
    if change == "config":
        project = project_in(tmp_path, clean={"input": "in.jsonl", "max_failed": 0.5})
    elif change == "seed":
        project = project_in(tmp_path, seed=1)
    elif change == "input":
        source.write_text('{"text": "b"}\n')
    elif change == "touch":
        source.touch()
    goes_on = change in ("nothing", "touch")
    with runs.stage(project, "clean", Sources(files=[source]), resume=change != "no resume") as stage:
        assert stage.resumed is goes_on
        assert (stage.folder / "half.txt").exists() is goes_on
    assert left(project) == ["clean"]


def test_killed_between_the_two_renames(project: Project, source: Path) -> None:
    folder = do(project, source, "old")
    folder.rename(folder.with_name(".clean.old"))
    with pytest.raises(ValueError), runs.stage(project, "clean", Sources(files=[source])):
        raise ValueError
    assert (folder / "out.txt").read_text() == "old"
    assert left(project) == ["clean"]


def test_killed_after_the_two_renames(project: Project, source: Path) -> None:
    folder = do(project, source, "new")
    folder.with_name(".clean.old").mkdir()
    do(project, source, "newer")
    assert left(project) == ["clean"]


def test_one_writer_at_a_time(project: Project, source: Path) -> None:
    with runs.stage(project, "clean", Sources(files=[source])):
        with pytest.raises(AigcError, match="clean: another aigc is writing this stage"):
            do(project, source)
    assert left(project) == ["clean"]


def why(project: Project, source: Path, name: str = "clean") -> str | None:
    return runs.why_not_current(project, name, Sources(files=[source]) if name == "clean" else Sources(stages=["clean"]))


def test_why_a_stage_must_run(project: Project, source: Path, tmp_path: Path) -> None:
    assert why(project, source) == "not run yet"
    folder = do(project, source)
    assert why(project, source) is None
    source.touch()
    assert why(project, source) is None, "the same content"
    changed = project_in(tmp_path, clean={"input": "in.jsonl", "max_failed": 0.5, "text_field": "t"})
    assert why(changed, source) == "changed: clean.max_failed, clean.text_field"
    assert why(project_in(tmp_path, seed=1), source) == "changed: seed"
    assert why(project_in(tmp_path, device="cpu"), source) is None
    assert why(project, Path("-")) == "it reads stdin"
    source.write_text('{"text": "b"}\n')
    assert why(project, source) == "changed: input files"
    (folder / "out.txt").write_text("shortened"[:3])
    assert why(project, source) == f"{folder / 'out.txt'} is missing or was changed"
    (folder / "manifest.json").write_text("{")
    assert why(project, source) == "not run yet"


def test_the_same_upstream_documents_again_change_nothing(project: Project, source: Path) -> None:
    do(project, source)
    do(project, source, name="split")
    do(project, source)
    assert why(project, source, "split") is None
    do(project, source, "other")
    assert why(project, source, "split") == "changed: clean"


def test_the_manifest_is_the_same_again(project: Project, source: Path) -> None:
    first = (do(project, source) / "manifest.json").read_text()
    assert json.loads(first) == json.loads((do(project, source) / "manifest.json").read_text())
