"""Finished samples become labelled files with the licences of what the model learned from; nothing is exported without a label."""

import json
from pathlib import Path
from typing import Any

import pytest

from aigc import __version__
from aigc.errors import AigcError, ConfigError
from aigc.labels import rows
from aigc.labels.files import readings, strip, write
from aigc.labels.label import label_of
from aigc.labels.origins import origins_of
from aigc.schema import Project
from aigc.schema.labels import Label
from aigc.stages import export
from command import Aigc
from projects import tiny_project

CODE = "001191110102MAD55U9H0F10002"
ROWS = [
    {"id": "000000-0", "title": "雨", "text": "今天下雨了。\n\n我们没有出门。", "model": "m", "config": "c", "seed": 1},
    {"id": "000001-0", "text": "It rained today. We stayed in.", "model": "m", "config": "c", "seed": 2},
]
FORMATS = pytest.mark.parametrize("format", ["md", "html", "docx", "txt"])


def _written(path: Path, values: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in values), "utf-8")
    return path


def _project(folder: Path, **label: Any) -> Project:
    section = {"checkpoint": "nobody/nothing", "label": {"producer": CODE} | label}
    return Project.model_validate({"name": "p", "runs": folder / "runs", "seed": 3, "generate": section})


@FORMATS
def test_each_sample_is_a_file_that_says_what_it_is(format: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = _project(tmp_path, licence="CC-BY-4.0")
    samples = _written(tmp_path / "s.jsonl", ROWS)
    export.run(project, samples=samples, to=tmp_path / "out", format=format)  # type: ignore[arg-type]
    paths = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [path.name for path in paths] == [f"000000-0.{format}", f"000001-0.{format}"]
    for path, row, words in zip(paths, ROWS, (["雨", "我们没有出门"], ["It rained"]), strict=True):
        [reading] = readings(path)
        assert project.generate is not None and project.generate.label is not None and reading.found is not None
        language = "zh" if "title" in row else "en"
        wanted = label_of(
            project.generate.label,
            model="m",
            config="c",
            seed=row["seed"],
            id=row["id"],
            language=language,
            version=__version__,  # type: ignore[arg-type]
        )
        assert dict(reading.found.fields) == wanted.fields and reading.found.faults == ()
        assert reading.found.notice == wanted.notice and wanted.notice not in reading.text
        assert all(word in reading.text for word in words)
        whole = path.read_bytes() if format != "docx" else reading.text.encode()
        assert b"CC-BY" in whole
    before = {path: path.read_bytes() for path in sorted((tmp_path / "out").iterdir())}
    export.run(project, samples=samples, to=tmp_path / "out", format=format)  # type: ignore[arg-type]
    assert {path: path.read_bytes() for path in sorted((tmp_path / "out").iterdir())} == before


@FORMATS
def test_a_file_gets_another_label_and_loses_it(format: str, tmp_path: Path) -> None:
    export.run(_project(tmp_path), samples=_written(tmp_path / "s.jsonl", ROWS[:1]), to=tmp_path, format=format)  # type: ignore[arg-type]
    path = tmp_path / f"000000-0.{format}"
    other = label_of(Label(producer="Other", place="end"), model="n", config="c", seed=1, id="1", language="en")
    write(path, other)
    [reading] = readings(path)
    assert reading.found is not None and dict(reading.found.fields) == other.fields and reading.found.place == "end"
    strip(path)
    assert [(one.found, one.text) for one in readings(path)] == [(None, reading.text)]
    assert not (tmp_path / f"{path.name}.aigc.json").exists()


def test_the_licences_of_the_training_split_are_told(tmp_path: Path, split_runs: Path) -> None:
    project = tiny_project(
        tmp_path,
        split_runs,
        pretrain={"model": {"layers": 1, "width": 16, "heads": 2}, "steps": 1},
        generate={"label": {"producer": CODE}},
    )
    origins = origins_of(project)
    assert origins.licences == ("unknown",) and len(origins.data) == 64
    assert origins.sources == ("en", "zh"), "they may ask to be named, for their licence is not known"
    assert origins.fields == {"data": origins.data[:16], "licences": ["unknown"]}
    assert "not known" in origins.cautions[0]
    export.run(project, samples=_written(tmp_path / "s.jsonl", ROWS))
    assert "训练数据来源：en; zh" in (tmp_path / "runs" / "p" / "export" / "000000-0.md").read_text("utf-8")


def test_of_a_checkpoint_from_outside_its_own_licence_is_told(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n", "utf-8")
    section = {"checkpoint": str(tmp_path / "theirs"), "label": {"producer": CODE}}
    project = Project.model_validate({"name": "p", "runs": tmp_path, "generate": section})
    origins = origins_of(project)
    assert origins.licences == ("cc-by-nc-4.0 (theirs)",) and "forbids commercial use" in origins.cautions[0] and not origins.data


def test_rows_that_bear_labels_need_no_project(tmp_path: Path) -> None:
    label = label_of(Label(producer="Me", place="end"), model="m", config="c", seed=1, id="1", language="zh")
    samples = _written(tmp_path / "s.jsonl", [rows.write(ROWS[0] | {"licences": ["MIT"]}, label)])
    export.run(None, samples=samples)
    [reading] = readings(tmp_path / "s-export" / "000000-0.md")
    assert reading.found is not None and dict(reading.found.fields) == label.fields and reading.found.companion == label.companion
    assert "MIT" in reading.text


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"id": "1", "text": "x"}, "bears no label"),
        ({"id": "1", "text": ""}, "has no text"),
        ({"text": "x"}, "has no id"),
        ({"id": "1", "text": "x", "AIGC": {"Label": "AIGC"}}, "breaks GB 45438-2025"),
    ],
)
def test_a_row_that_cannot_be_exported_is_told_and_the_others_are_written(
    row: dict[str, Any], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = rows.write(ROWS[0], label_of(Label(producer="Me"), model="m", config="c", seed=1, id="1", language="zh"))
    with pytest.raises(AigcError, match="1 of 2 rows could not be exported"):
        export.run(None, samples=_written(tmp_path / "s.jsonl", [row, good]))
    assert reason in capsys.readouterr().err.replace("\n", " ")
    assert [path.name for path in (tmp_path / "s-export").iterdir()] == ["000000-0.md"]


def test_what_was_not_generated_here_gets_no_label_of_ours(tmp_path: Path) -> None:
    with pytest.raises(AigcError, match="could not be exported"):
        export.run(_project(tmp_path), samples=_written(tmp_path / "s.jsonl", [{"id": "1", "text": "x"}]))


def test_without_a_label_in_the_project_nothing_is_exported(tmp_path: Path) -> None:
    project = Project.model_validate({"name": "p", "runs": tmp_path, "generate": {"checkpoint": "x"}})
    with pytest.raises(ConfigError, match=r"generate\.label: is needed"):
        export.run(project, samples=_written(tmp_path / "s.jsonl", ROWS))


def test_missing_samples_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(AigcError, match="cannot be read"):
        export.run(None, samples=tmp_path / "none.jsonl")
    assert not list(tmp_path.iterdir())


def test_the_command(aigc: Aigc) -> None:
    label = label_of(Label(producer="Me"), model="m", config="c", seed=1, id="1", language="zh")
    _written(aigc.folder / "s.jsonl", [rows.write(ROWS[0], label)])
    done = aigc("export", "s.jsonl", "--format", "html", "--to", "out")
    assert (done.returncode, done.stdout, done.stderr) == (0, "out/000000-0.html\n", "")
    found = aigc("detect", "out/000000-0.html", "s.jsonl")
    assert found.returncode == 0 and found.stdout.count("is generated") == 2
    assert aigc("export", "s.jsonl", "--format", "pdf").returncode == 2
    assert aigc("detect", "out/000000-0.html", "--checkpoint", "x").returncode == 2


def test_samples_of_an_output_file_are_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = _written(tmp_path / "out.jsonl", ROWS[:1])
    project = _project(tmp_path)
    assert project.generate is not None
    for output, found in ((str(samples), True), ("-", False)):
        given = project.model_copy(update={"generate": project.generate.model_copy(update={"output": output})})
        if found:
            export.run(given, to=tmp_path / "pub")
            assert capsys.readouterr().out.splitlines() == [str(tmp_path / "pub" / "000000-0.md")]
        else:
            with pytest.raises(AigcError, match="name the file"):
                export.run(given, to=tmp_path / "pub")
