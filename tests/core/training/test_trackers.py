"""Trackers: what was logged can be read back, a resumed run stays one run, and no tracker ends a training or tells more than it."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aigc.core.training import trackers
from aigc.core.training.trackers import TrackerName, open_trackers
from aigc.errors import AigcError

pytest.importorskip("tensorboard", reason="needs aigc[track]")
pytest.importorskip("wandb", reason="needs aigc[track]")

CONFIG = {"learning_rate": 3e-4, "name": "新闻", "folder": Path("runs"), "model": {"layers": 2}}


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No account, no home, no proxy of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("WANDB_")] + ["HF_HUB_OFFLINE", "NETRC"]:
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")


def track(
    folder: Path, names: list[TrackerName], lines: Mapping[int, Mapping[str, float]], config: Mapping[str, Any] = CONFIG
) -> list[str]:
    """Log some lines, and give what was warned of."""
    warned: list[str] = []
    with open_trackers(names, folder, project="news", run="pretrain", config=config, warn=warned.append) as log:
        for step, values in lines.items():
            log(step, values)
    return warned


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard's own reader finds."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [(one.step, one.value) for one in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def records(path: Path) -> list[Any]:
    """The records of a W&B file: LevelDB's log format (7 bytes of W&B's own, then blocks of 32 KiB) around protobuf."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, part, found = path.read_bytes(), 7, b"", []
    assert data[:4] == b":W&B"
    while at + 7 <= len(data):
        if 32_768 - at % 32_768 < 7:
            at += 32_768 - at % 32_768
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        part += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a whole record, or the last of its parts
            record = Record()
            record.ParseFromString(part)
            found.append(record)
            part = b""
    return found


def wandb_runs(folder: Path) -> list[dict[str, Any]]:
    """The offline tries in a folder, oldest first: the run's id, its config and its lines."""
    runs = []
    for path in sorted((folder / "wandb").glob("offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime_ns):
        run: dict[str, Any] = {"lines": {}}
        for record in records(path):
            if record.HasField("run"):
                run |= {"id": record.run.run_id, "name": record.run.display_name, "project": record.run.project}
                run["config"] = {one.key: json.loads(one.value_json) for one in record.run.config.update if one.key}
            if record.HasField("history"):
                line = {one.key or one.nested_key[0]: json.loads(one.value_json) for one in record.history.item}
                run["lines"][line["_step"]] = {key: value for key, value in line.items() if key[0] != "_"}
        runs.append(run)
    return runs


LINES: dict[int, dict[str, float]] = {
    0: {"validation_loss": 10.5},
    1: {"loss": 9.25, "tokens": 4096},
    2: {"loss": 8.5, "validation_loss": 8.75},
}


def test_tensorboard_reads_what_was_logged(tmp_path: Path) -> None:
    assert track(tmp_path, ["tensorboard"], LINES) == []
    assert scalars(tmp_path) == {"validation_loss": [(0, 10.5), (2, 8.75)], "loss": [(1, 9.25), (2, 8.5)], "tokens": [(1, 4096)]}
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    (config,) = events.Tensors("config")
    shown = "".join(line.removeprefix("    ") for line in config.tensor_proto.string_val[0].decode().splitlines())
    assert json.loads(shown) == {**CONFIG, "folder": "runs"}


def test_a_step_can_be_read_before_the_run_ends(tmp_path: Path) -> None:
    with open_trackers(["tensorboard"], tmp_path, project="p", run="r", config={}, warn=print) as log:
        log(1, {"loss": 2.0})
        assert scalars(tmp_path) == {"loss": [(1, 2.0)]}


def test_steps_that_are_taken_again_take_the_place_of_the_lost_ones(tmp_path: Path) -> None:
    track(tmp_path, ["tensorboard"], {step: {"loss": float(step)} for step in range(1, 8)})
    track(tmp_path, ["tensorboard"], {step: {"loss": step + 0.5} for step in range(5, 10)})
    found = scalars(tmp_path)["loss"]
    assert found == [*((step, float(step)) for step in range(1, 5)), *((step, step + 0.5) for step in range(5, 10))]


def test_what_is_not_finite_or_not_there_is_no_failure(tmp_path: Path) -> None:
    values: dict[str, Any] = {"loss": math.nan, "gradient_norm": math.inf, "bits_per_byte": None}
    assert track(tmp_path, ["tensorboard", "wandb"], {1: values}) == []
    found = scalars(tmp_path)
    assert math.isnan(found["loss"][0][1]) and found["gradient_norm"] == [(1, math.inf)] and "bits_per_byte" not in found


def test_wandb_keeps_an_offline_run_with_config_and_lines(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert track(tmp_path, ["wandb"], LINES) == []
    (run,) = wandb_runs(tmp_path)
    assert run["lines"] == LINES
    assert {key: value for key, value in run["config"].items() if key != "_wandb"} == {**CONFIG, "folder": "runs"}
    assert (run["project"], run["name"]) == ("news", "pretrain")
    assert capfd.readouterr().out == "", "standard output is for data"


def test_wandb_gets_no_code_packages_or_machine(tmp_path: Path) -> None:
    track(tmp_path, ["wandb"], LINES)
    assert not list((tmp_path / "wandb").glob("*/files/*")), [one.name for one in (tmp_path / "wandb").glob("*/files/*")]
    assert not [path for path in tmp_path.rglob("wandb/**/*") if path.is_symlink()], "the folder will be moved"
    (path,) = (tmp_path / "wandb").glob("*/*.wandb")
    kinds = {record.WhichOneof("record_type"): record for record in records(path)}
    assert (kinds["run"].run.host, kinds["run"].run.HasField("git")) == ("", False)
    assert kinds.keys().isdisjoint({"stats", "output", "output_raw", "environment"})


def test_a_run_that_is_gone_on_with_keeps_its_id(tmp_path: Path) -> None:
    track(tmp_path, ["wandb"], {1: {"loss": 3.0}})
    track(tmp_path, ["wandb"], {2: {"loss": 2.0}})
    first, second = wandb_runs(tmp_path)
    assert first["id"] == second["id"] == (tmp_path / "wandb" / "run-id").read_text().strip()
    assert first["lines"] | second["lines"] == {1: {"loss": 3.0}, 2: {"loss": 2.0}}
    track(tmp_path / "other", ["wandb"], {})
    assert (tmp_path / "other" / "wandb" / "run-id").read_text().strip() != first["id"]


def test_the_mode_is_asked_for_or_follows_the_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fake:
        logged_in = True

        def setup(self, settings: object) -> None: ...

        def login(self, *, prompt: bool, verify: bool) -> bool:
            assert not prompt and not verify, "a run may not wait for an answer, nor ask the network"
            return self.logged_in

    assert trackers._mode(Fake(), None) == "online"
    monkeypatch.setattr(Fake, "logged_in", False)
    assert trackers._mode(Fake(), None) == "offline"
    monkeypatch.setattr(Fake, "logged_in", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert trackers._mode(Fake(), None) == "offline"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert trackers._mode(Fake(), None) == "disabled"


def test_a_tracker_that_fails_is_left_out_and_warned_of_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warned: list[str] = []
    with open_trackers(["tensorboard"], tmp_path, project="p", run="r", config={}, warn=warned.append) as log:
        log(1, {"loss": 3.0})

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(trackers._TensorBoard, "log", full)
        log(2, {"loss": 2.0})
        log(3, {"loss": 1.0})
    assert len(warned) == 1 and warned[0].startswith("tensorboard failed") and "No space left on device" in warned[0]
    assert scalars(tmp_path) == {"loss": [(1, 3.0)]}


def test_the_other_tracker_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object, **__: object) -> None:
        raise RuntimeError("the connection is gone")

    monkeypatch.setattr(trackers._Wandb, "log", lost)
    warned = track(tmp_path, ["wandb", "tensorboard"], {1: {"loss": 3.0}, 2: {"loss": 2.0}})
    assert len(warned) == 1 and warned[0].startswith("wandb failed")
    assert scalars(tmp_path) == {"loss": [(1, 3.0), (2, 2.0)]}


def test_an_error_of_the_training_is_passed_on_and_the_files_are_closed(tmp_path: Path) -> None:
    with pytest.raises(AigcError, match="the loss is nan"):
        with open_trackers(["tensorboard"], tmp_path, project="p", run="r", config={}, warn=print) as log:
            log(1, {"loss": 3.0})
            raise AigcError("the loss is nan")
    assert scalars(tmp_path) == {"loss": [(1, 3.0)]}


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_missing_package_is_one_clear_line(name: TrackerName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(AigcError, match=rf"{name} needs {name}[\w.]*: pip install 'aigc\[track\]'"):
        track(tmp_path, [name], {})


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("a file")
    with pytest.raises(AigcError, match=r"tensorboard: .*File exists"):
        track(tmp_path, ["tensorboard"], {})


def test_wandb_online_without_an_account_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    with pytest.raises(AigcError, match=r"wandb: No API key configured.*WANDB_MODE=offline"):
        track(tmp_path, ["wandb"], {})


def test_no_tracker_is_no_file(tmp_path: Path) -> None:
    assert track(tmp_path, [], LINES) == []
    assert not list(tmp_path.iterdir())


def test_tensorflow_is_not_imported_even_where_it_is_installed(tmp_path: Path) -> None:
    (tmp_path / "tensorflow.py").write_text("raise SystemExit('tensorflow was imported')")
    code = (
        "import sys, pathlib\nfrom aigc.core.training.trackers import open_trackers\n"
        "with open_trackers(['tensorboard'], pathlib.Path(sys.argv[1]), project='p', run='r', config={}, warn=print) as log:\n"
        "    log(1, {'loss': 3.0})\n"
        "assert 'tensorflow' not in sys.modules and 'torch' not in sys.modules\n"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path / "run")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert scalars(tmp_path / "run") == {"loss": [(1, 3.0)]}
