"""What the tests of whole commands share."""

from pathlib import Path

import pytest

from command import Aigc


@pytest.fixture
def aigc(tmp_path: Path) -> Aigc:
    """The command, in a folder of the test's own."""
    return Aigc(tmp_path)
