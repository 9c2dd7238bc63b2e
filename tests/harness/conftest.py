"""Tests that need TensorFlow, or data that cannot travel with the project, are left out aloud."""

import os
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from replications.harness.catalogue.datasets import DATASETS
from replications.harness.training import datasets

_LEFT_OUT = pytest.StashKey[Counter[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "prepared_data(*names): needs these data sets prepared in TFDS_DATA_DIR"
    )


def _lacking(item: pytest.Item) -> Iterator[str]:
    """Why the test cannot run on this machine."""
    if item.get_closest_marker("tensorflow"):
        for package in ("tensorflow", "importlib_resources"):
            if find_spec(package) is None:
                yield f"{package} is not installed (extra `paper`)"
        if not (Path(os.environ.get("BIOFLAX_ORIGINALS", "")) / "mnist").is_dir():
            yield "BIOFLAX_ORIGINALS names no folder with the archives of MNIST in mnist/"
    prepared = item.get_closest_marker("prepared_data")
    for name in prepared.args if prepared else ():
        folder = Path(os.environ.get("TFDS_DATA_DIR", "")) / name / DATASETS[name].version
        if not (folder / "dataset_info.json").is_file():
            yield f"TFDS_DATA_DIR holds no prepared {name}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    reasons = {item: "; ".join(_lacking(item)) for item in items}
    left_out = [item for item in items if reasons[item]]
    config.stash[_LEFT_OUT] = Counter(reasons[item] for item in left_out)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not reasons[item]]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for reason, count in terminalreporter.config.stash.get(_LEFT_OUT, Counter()).items():
        terminalreporter.write_line(f"left out: {count} x {reason}")


@pytest.fixture(scope="session")
def mnist5k(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data sets with mnist5k in it. Not to be written to."""
    made = tmp_path_factory.mktemp("datasets")
    datasets.write("mnist5k", made / "mnist5k.npz")
    return made
