"""What a user calls a checkpoint into where it lies: a folder, a folder of adapters, a .gguf file, or a name on the model hub."""

import json
import os
from importlib.util import find_spec
from pathlib import Path

from transformers.utils import cached_file

from aigc.errors import AigcError

__all__ = ["ADAPTER", "GGUF", "adapter_of", "base_of", "place_of", "source_of", "why_not"]

ADAPTER, WEIGHTS, GGUF = "adapter_config.json", "adapter_model.safetensors", ".gguf"
QUIETLY = {f"_raise_exceptions_for_{what}": False for what in ("gated_repo", "missing_entries", "connection_errors")}


def source_of(start: str, needs: str = "config.json") -> str:
    """A folder or file that is here, as a path, or else a hub name.

    Args:
        needs: the file that a checkpoint folder must have.

    Raises:
        AigcError: it is neither.
    """
    path = Path(start).expanduser()
    if path.is_file() and path.suffix == GGUF:
        return str(path)
    if path.is_dir() and not (path / needs).exists() and not (path / ADAPTER).exists():
        raise AigcError(f"{start}: the folder is no checkpoint (it has no {needs})")
    if not path.is_dir() and (start.startswith((".", "/", "~")) or start.count("/") > 1 or start.endswith(GGUF)):
        raise AigcError(f"{start}: no such checkpoint {'file' if start.endswith(GGUF) else 'folder'}")
    return str(path) if path.is_dir() else start


def place_of(start: str, source: str) -> dict[str, str]:
    """What tells transformers where a checkpoint lies.

    Raises:
        AigcError: it is a GGUF file, and the package for these is missing.
    """
    path = Path(source)
    if path.suffix != GGUF or not path.is_file():
        return {"pretrained_model_name_or_path": source}
    if find_spec("gguf") is None:
        raise AigcError(f"{start}: a GGUF file needs the package gguf: pip install 'aigc[gguf]'")
    return {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}


def adapter_of(source: str) -> Path | None:
    """The folder of adapters that a folder or a hub name is; None where it is none."""
    if Path(source).exists():
        return Path(source) if (Path(source) / ADAPTER).exists() else None
    try:
        found = cached_file(source, ADAPTER, **QUIETLY)
        return Path(found).parent if found and cached_file(source, WEIGHTS, **QUIETLY) else None
    except (OSError, ValueError):
        return None


def base_of(folder: Path) -> str:
    """The checkpoint that adapters were made for.

    Raises:
        AigcError: they do not name it.
    """
    try:
        base = json.loads((folder / ADAPTER).read_text("utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError) as error:
        raise AigcError(f"{folder}: {ADAPTER} does not name the checkpoint that the adapters were made for") from error
    if not base:
        raise AigcError(f"{folder}: {ADAPTER} does not name the checkpoint that the adapters were made for")
    return str(base)


def why_not(start: str, is_here: bool, error: Exception) -> str:
    """The line for a checkpoint that could not be loaded."""
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if is_here:
        return f"{start}: the checkpoint cannot be loaded: {first}"
    offline = " (HF_HUB_OFFLINE=1 is set)" if os.environ.get("HF_HUB_OFFLINE") == "1" else ""
    return f"{start}: no such folder here, and the model hub did not give it{offline}: {first}"
