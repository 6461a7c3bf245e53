"""Figures of steps into the trackers that the user names: TensorBoard event files and W&B runs, beside metrics.jsonl."""

import importlib
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

from aigc.errors import AigcError

__all__ = ["Track", "TrackerName", "open_trackers"]

TrackerName = Literal["tensorboard", "wandb"]
Track = Callable[[int, Mapping[str, float]], None]
"""Takes the number of a step and its figures."""


class _Tracker(Protocol):
    def log(self, step: int, values: Mapping[str, float]) -> None: ...

    def close(self, *, failed: bool) -> None: ...


@contextmanager
def open_trackers(
    names: Sequence[TrackerName],
    folder: Path,
    *,
    project: str,
    run: str,
    config: Mapping[str, Any],
    warn: Callable[[str], None],
) -> Iterator[Track]:
    """Open the named trackers in a folder, and give a function that hands each of them a step's figures.

    Only one process of a run opens them. Call the function once a step, with steps in order, and only for steps that were
    taken now: in a folder that an earlier try was tracked in, the first of them takes the place of what is there from that
    step on. A tracker that fails later on is left out from there; training goes on.

    Args:
        folder: gets `tensorboard/` and `wandb/`; the id of the W&B run is kept there, so a run that is gone on with stays one.
        project: the project's name in W&B.
        run: the run's name in W&B.
        config: what the run was asked for; anything that is no JSON is kept as its text.
        warn: called once, with one line, for a tracker that fails.

    Raises:
        AigcError: a package is missing, or a tracker cannot be opened.
    """
    sound = json.loads(json.dumps(dict(config), default=str))
    live: dict[str, _Tracker] = {}

    def guarded(name: str, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001  (whatever a tracker meets, the training is worth more)
            what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            warn(f"{name} failed and is left out from here ({what}); metrics.jsonl has every step")
            with suppress(Exception):
                live.pop(name).close(failed=True)

    def track(step: int, values: Mapping[str, float]) -> None:
        known = {key: float(value) for key, value in values.items() if isinstance(value, int | float)}
        for opened, tracker in list(live.items()):
            guarded(opened, partial(tracker.log, step, known))

    failed = True
    try:
        for name in dict.fromkeys(names):
            if name == "tensorboard":
                live[name] = _TensorBoard(folder / "tensorboard", sound)
            else:
                live[name] = _Wandb(folder, project, run, sound)
        yield track
        failed = False
    finally:
        for opened, tracker in list(live.items()):
            guarded(opened, partial(tracker.close, failed=failed))


def _load(tracker: str, module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise AigcError(f"{tracker} needs {error.name or module}: pip install 'aigc[track]'") from None


class _TensorBoard:
    """One event file, written as it comes; TensorFlow is not imported even where it is installed.

    Source of the format: tensorboard/compat/proto/event.proto, and record_writer.py for the framing.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self._event = _load("tensorboard", "tensorboard.compat.proto.event_pb2")
        self._summary = _load("tensorboard", "tensorboard.compat.proto.summary_pb2")
        tensor = _load("tensorboard", "tensorboard.compat.proto.tensor_pb2")
        types = _load("tensorboard", "tensorboard.compat.proto.types_pb2")
        text = _load("tensorboard", "tensorboard.plugins.text.metadata")
        writer = _load("tensorboard", "tensorboard.summary.writer.record_writer")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            earlier = len(list(folder.glob("events.out.tfevents.*")))
            # TensorBoard reads the files in the order of their names
            self._file = (folder / f"events.out.tfevents.{int(time.time()):010d}.{earlier:04d}").open("xb")
        except OSError as error:
            raise AigcError(f"tensorboard: {error}") from None
        self._goes_on = earlier > 0
        self._records = writer.RecordWriter(self._file)
        shown = "\n".join(f"    {line}" for line in json.dumps(config, indent=2, ensure_ascii=False).splitlines())
        value = self._summary.Summary.Value(
            tag="config",
            metadata=text.create_summary_metadata("", ""),
            tensor=tensor.TensorProto(dtype=types.DT_STRING, string_val=[shown.encode()]),
        )
        self._write(file_version="brain.Event:2")
        self._write(step=0, summary=self._summary.Summary(value=[value]))
        self._records.flush()

    def _write(self, **fields: Any) -> None:
        self._records.write(self._event.Event(wall_time=time.time(), **fields).SerializeToString())

    def log(self, step: int, values: Mapping[str, float]) -> None:
        if self._goes_on:  # readers drop what an earlier try wrote from this step on
            self._goes_on = False
            self._write(step=step, session_log=self._event.SessionLog(status=self._event.SessionLog.START))
        figures = [self._summary.Summary.Value(tag=key, simple_value=value) for key, value in values.items()]
        self._write(step=step, summary=self._summary.Summary(value=figures))
        self._records.flush()

    def close(self, *, failed: bool) -> None:
        self._file.close()


class _Wandb:
    """A W&B run of the figures and the config alone: no console output, code, git state, packages, host or machine figures.

    The mode is WANDB_MODE where that is set; else online for a user who is logged in, and offline for all others and where
    HF_HUB_OFFLINE is set. An offline try is a folder of its own; `wandb sync --append` puts those of one run together.
    """

    def __init__(self, folder: Path, project: str, run: str, config: Mapping[str, Any]) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read when wandb's own process starts
        wandb = _load("wandb", "wandb")
        self._folder = folder / "wandb"
        settings = wandb.Settings(
            silent=True,
            console="off",
            disable_code=True,
            disable_git=True,
            host=os.environ.get("WANDB_HOST", ""),
            save_code=False,
            symlink=False,
            use_dot_wandb=False,
            x_disable_machine_info=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_save_requirements=False,
        )
        try:
            mode = _mode(wandb, settings)
            self._run = wandb.init(
                project=project,
                name=run,
                id=_run_id(self._folder / "run-id"),
                resume="allow" if mode == "online" else None,  # offline there is no one to ask
                dir=str(folder),
                mode=mode,
                config=dict(config),
                settings=settings,
            )
        except (wandb.Error, OSError, ValueError) as error:
            raise AigcError(f"wandb: {' '.join(str(error).split())}; WANDB_MODE=offline needs no account") from None

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def close(self, *, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))
        for log in self._folder.glob("*/logs/*"):
            if log.is_symlink():  # into wandb's cache: it would not outlive this folder's move
                log.unlink()


def _mode(wandb: Any, settings: Any) -> str:
    asked = os.environ.get("WANDB_MODE")
    if asked:
        return asked
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
        return "offline"
    wandb.setup(settings)
    return "online" if wandb.login(prompt=False, verify=False) else "offline"


def _run_id(path: Path) -> str:
    """The id in a file, made when it is not there; letters and digits that no other run of the project has."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(secrets.token_hex(4) + "\n", "utf-8")
        partial.replace(path)
    return path.read_text("utf-8").strip()
