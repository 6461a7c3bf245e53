"""What the tests of whole commands share."""

from pathlib import Path

import pytest
from hypothesis import settings

from command import Aigc
from projects import split_once
from tuning import bases_in, tabled_in

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

RAY = ("test_carriers", "test_remote")  # two clusters of one machine would find each other
LONG = (*RAY, "test_kill", "test_pipeline", "test_proof", "test_readme", "test_replicas", "test_torchrun")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes share the tests, a file's stay together, with what they prepare; those that take long come first."""
    items.sort(key=lambda item: item.path.stem not in LONG)
    for item in items:
        item.add_marker(pytest.mark.xdist_group("ray" if item.path.stem in RAY else str(item.path)))


@pytest.fixture
def aigc(tmp_path: Path) -> Aigc:
    """The command, in a folder of the test's own."""
    return Aigc(tmp_path)


@pytest.fixture(scope="session")
def split_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run folders with clean and split, for `projects.tiny_project`."""
    return split_once(tmp_path_factory.mktemp("split"))


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory, split_runs: Path) -> dict[str, Path]:
    """Checkpoints to finetune, by family."""
    return bases_in(tmp_path_factory.mktemp("bases"), split_runs)


@pytest.fixture(scope="session")
def tabled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run folders of documents with labels, chats and pairs, for `tuning.project_of`."""
    return tabled_in(tmp_path_factory.mktemp("tabled"))
