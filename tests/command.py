"""The `aigc` command in a process of its own, as a shell would start it."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Aigc"]


@dataclass(frozen=True)
class Aigc:
    """Aigc(folder)("clean", "p.yaml", stdin="...") runs there and returns exit code, stdout and stderr."""

    folder: Path

    def __call__(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "aigc", *words]
        return subprocess.run(
            command, cwd=self.folder, input=stdin, capture_output=True, encoding="utf-8", timeout=300, check=False
        )
