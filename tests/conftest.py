"""What the tests of whole commands share."""

from pathlib import Path

import pytest

from command import Aigc
from projects import split_once


@pytest.fixture
def aigc(tmp_path: Path) -> Aigc:
    """The command, in a folder of the test's own."""
    return Aigc(tmp_path)


@pytest.fixture(scope="session")
def split_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run folders with clean and split, for `projects.tiny_project`."""
    return split_once(tmp_path_factory.mktemp("split"))
