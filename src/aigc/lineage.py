"""What each stage reads: which files, and which earlier stages of the run."""

from pathlib import Path

from aigc.core.documents import files
from aigc.errors import AigcError, ConfigError
from aigc.runs import Sources
from aigc.schema import Project

__all__ = ["checkpoint_stage", "sources", "trained_stage"]


def checkpoint_stage(project: Project, name: str) -> str | None:
    """The stage whose model this stage starts from, None where the file names a checkpoint from outside.

    Raises:
        ConfigError: there is neither.
    """
    if name == "finetune":
        assert project.finetune is not None
        if project.finetune.start is not None:
            return None
        if project.pretrain is None:
            raise ConfigError("finetune.start: is needed where there is no pretrain section: a checkpoint folder or a hub name")
        return "pretrain"
    assert project.generate is not None
    if project.generate.checkpoint is not None:
        return None
    for stage in ("finetune", "pretrain"):
        if getattr(project, stage) is not None:
            return stage
    raise ConfigError("generate.checkpoint: is needed where nothing is trained: a checkpoint folder or a hub name")


def trained_stage(project: Project) -> str:
    """The stage whose model is evaluated.

    Raises:
        ConfigError: nothing is trained.
    """
    wanted = project.evaluate.model if project.evaluate is not None else None
    for stage in (wanted,) if wanted else ("finetune", "pretrain"):
        if getattr(project, stage) is not None:
            return stage
    raise ConfigError(f"evaluate: there is no section {wanted or 'finetune or pretrain'!r} in the project file: nothing is trained")


def sources(project: Project, name: str) -> Sources:
    """The files and stages that a stage reads.

    Raises:
        AigcError: a file is missing.
        ConfigError: the project file lacks what the stage needs.
    """
    if name == "evaluate":
        return Sources(stages=["split", trained_stage(project)])
    if getattr(project, name) is None:
        raise ConfigError(f"there is no section {name!r} in the project file; `aigc new NAME` writes an example of each")
    if name == "clean":
        assert project.clean is not None
        beside = sorted({path for rule in project.clean.rules for path in rule.reads()})
        for path in beside:
            if not path.exists():
                raise AigcError(f"{path}: no such file; a rule of clean needs it")
        return Sources(files=[*files.expand(project.clean.input), *beside])
    if name == "split":
        assert project.split is not None
        keep = project.split.keep
        return Sources(files=sorted(keep.expanduser().glob("*-*.parquet")) if keep else [], stages=["clean"])
    if name == "pretrain":
        assert project.pretrain is not None
        return Sources(files=_files_of(project.pretrain.tokenizer.start), stages=["split"])
    stage = checkpoint_stage(project, name)
    stages = [stage] if stage else []
    outside = None
    if name == "finetune":
        assert project.finetune is not None
        stages.insert(0, "split")
        outside = project.finetune.start
        prompts: list[Path] = []
    else:
        assert project.generate is not None
        outside = project.generate.checkpoint
        given = project.generate.prompts
        prompts = files.expand([given]) if isinstance(given, str) else []
        prompts += [path for path in project.generate.reads() if path.exists()]
    return Sources(files=[*prompts, *_files_of(outside)], stages=stages)


def _files_of(start: str | None) -> list[Path]:
    """The files of a checkpoint folder; none of what is on the hub."""
    folder = Path(start).expanduser() if start else None
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder and folder.is_dir() else []
