"""The `aigc` command in a process of its own, as a shell would start it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Aigc = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def aigc(tmp_path: Path) -> Aigc:
    """aigc("clean", "p.yaml", stdin="...") runs in tmp_path and returns exit code, stdout and stderr."""

    def call(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "aigc", *words]
        return subprocess.run(
            command, cwd=tmp_path, input=stdin, capture_output=True, encoding="utf-8", timeout=120, check=False
        )

    return call
