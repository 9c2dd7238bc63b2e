"""Preparing a data set with TFDS's unmodified builder, from the original archives."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from replications.harness.training import datasets
from replications.harness.errors import UserError

pytestmark = [
    pytest.mark.tensorflow,
    # TensorFlow's own.
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture(scope="module")
def archives() -> Path:
    return Path(os.environ["BIOFLAX_ORIGINALS"]) / "mnist"


def close_network(patch: pytest.MonkeyPatch) -> None:
    """Every request goes to a port where nobody listens."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        patch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        patch.delenv(name, raising=False)


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty TFDS_DATA_DIR, and no network."""
    close_network(monkeypatch)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.delenv("TFDS_MANUAL_DIR", raising=False)
    return tmp_path / "tfds"


@pytest.fixture(scope="module")
def made(archives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data set from the archives, and TFDS's own folder ``tfds`` beside it."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        close_network(patch)
        patch.setenv("TFDS_DATA_DIR", str(folder / "tfds"))
        patch.setenv("TFDS_MANUAL_DIR", str(archives))
        datasets.write("mnist", folder / "mnist.npz")
    return folder


def test_the_archives_give_the_known_content_and_a_prepared_folder(made):
    data = datasets.load("mnist", made)
    arrays = {name: getattr(data, name) for name in datasets.ARRAYS}
    assert datasets.content_digest(arrays) == datasets.SOURCES["mnist"].digest
    info = json.loads((made / "tfds" / "mnist" / "3.0.1" / "dataset_info.json").read_text())
    assert info["fileFormat"] == "array_record"


@pytest.mark.prepared_data("mnist")
def test_the_archives_give_the_same_bytes_as_a_folder_prepared_elsewhere(made, tmp_path):
    datasets.write("mnist", tmp_path / "mnist.npz")
    for name in ("mnist.npz", "mnist.npz.sha256"):
        assert (made / name).read_bytes() == (tmp_path / name).read_bytes()


def test_a_missing_archive_without_a_network_is_told_within_30_s(
    archives, data_dir, tmp_path, monkeypatch
):
    shutil.copytree(archives, tmp_path / "manual")
    lost = tmp_path / "manual" / "t10k-labels-idx1-ubyte.gz"
    lost.unlink()
    monkeypatch.setenv("TFDS_MANUAL_DIR", str(tmp_path / "manual"))
    start = time.monotonic()
    with pytest.raises(UserError) as refused:
        datasets.write("mnist", tmp_path / "mnist.npz")
    assert time.monotonic() - start < 30
    for part in (
        f"mnist 3.0.1 is not in {data_dir}",
        "no network (ProxyError)",
        f"{lost} (missing)",
        "storage.googleapis.com",
        "set TFDS_DATA_DIR",
        "TFDS_MANUAL_DIR",
        "the preset quick needs no download",
    ):
        assert part in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_damaged_archive_is_refused_and_nothing_is_prepared(archives, data_dir, tmp_path):
    # Where TFDS itself looks for archives that a person has fetched.
    manual = data_dir / "downloads" / "manual"
    shutil.copytree(archives, manual)
    (manual / "train-labels-idx1-ubyte.gz").write_bytes(b"digits")
    with pytest.raises(UserError, match="NonMatchingChecksumError") as refused:
        datasets.write("mnist", tmp_path / "mnist.npz")
    assert "train-labels-idx1-ubyte.gz" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (data_dir / "mnist" / "3.0.1").exists()
    assert not (tmp_path / "mnist.npz").exists()
