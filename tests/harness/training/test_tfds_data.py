"""Image data sets through TFDS: a prepared folder is read, a missing one prepared or explained."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replications.harness.catalogue.datasets import DATASETS
from replications.harness.errors import UserError
from replications.harness.store import ROOT, Store
from replications.harness.training import datasets, tfds_data
from tests.harness.training.prepared import SHARD, write_mnist


@contextmanager
def server(status: int | None) -> Iterator[str]:
    """A web server that answers with ``status``, or never does; its address."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if status is None:
                over.wait(30)
                return
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=served.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{served.server_port}/"
    finally:
        over.set()
        served.shutdown()
        served.server_close()
        thread.join()


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy between the probe and this machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar100"])
def test_data_that_is_not_there_is_told_within_30_s_with_all_ways_out(name, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("TFDS_MANUAL_DIR", raising=False)
    # As on a machine without TensorFlow.
    monkeypatch.setattr(
        tfds_data, "find_spec", lambda p: None if p == "tensorflow" else find_spec(p)
    )
    start = time.monotonic()
    with pytest.raises(UserError) as refused:
        datasets.write(name, tmp_path / f"{name}.npz")
    assert time.monotonic() - start < 30
    message = str(refused.value)
    version = DATASETS[name].version
    for part in (
        f"set TFDS_DATA_DIR to a folder that holds {name}/{version}",
        "pip install 'bioflax[paper]'",
        "TFDS_MANUAL_DIR",
        "the preset quick needs no download",
        "not installed",
        f"tried: {tmp_path / name / version}",
    ):
        assert part in message
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("direct")
def test_the_probe_tells_an_answer_from_a_refusal():
    with server(200) as url:
        assert tfds_data._unreachable(url) is None
    with server(503) as url:
        assert tfds_data._unreachable(url) == "HTTP status 503"
    # The server is gone: nobody listens at its port.
    assert tfds_data._unreachable(url) == "ConnectionError"


@pytest.mark.usefixtures("direct")
def test_the_probe_does_not_wait_for_a_server_that_never_answers(monkeypatch):
    assert tfds_data.PROBE_SECONDS <= 10
    monkeypatch.setattr(tfds_data, "PROBE_SECONDS", 1.0)
    start = time.monotonic()
    with server(None) as url:
        assert tfds_data._unreachable(url) == "ReadTimeout"
    assert time.monotonic() - start < 5


def test_the_probe_does_not_wait_for_a_name_server_that_never_answers(monkeypatch):
    over = threading.Event()

    def getaddrinfo(*args, **options):
        over.wait(30)
        raise OSError

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    monkeypatch.setattr(tfds_data, "PROBE_SECONDS", 0.5)
    try:
        assert tfds_data._unreachable("http://127.0.0.1:9/") == "no answer in 0.5 s"
    finally:
        over.set()


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """TFDS_DATA_DIR with a small ``mnist``."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    return write_mnist(tmp_path / "tfds")


def accept(monkeypatch: pytest.MonkeyPatch, arrays: dict[str, np.ndarray]) -> None:
    source = DATASETS["mnist"]._replace(digest=datasets.content_digest(arrays))
    monkeypatch.setitem(DATASETS, "mnist", source)


def test_a_prepared_folder_is_read_in_its_order(tiny, tmp_path, monkeypatch):
    accept(monkeypatch, tiny)
    # More than one chunk, the last of them not full.
    monkeypatch.setattr(tfds_data, "_CHUNK", 10)
    digest = datasets.write("mnist", tmp_path / "mnist.npz")
    data = datasets.load("mnist", Store(data=tmp_path))
    for name, array in tiny.items():
        np.testing.assert_array_equal(getattr(data, name), array)
    assert data.sha256 == digest
    with np.load(tmp_path / "mnist.npz") as file:
        assert (str(file["source"]), str(file["version"])) == ("tensorflow_datasets", "3.0.1")


@pytest.mark.usefixtures("tiny")
def test_reading_a_prepared_folder_does_not_load_tensorflow():
    code = (
        "import sys; from replications.harness.training import tfds_data; "
        "tfds_data.read('mnist', '3.0.1', (784,)); "
        "print(*sorted({'tensorflow_datasets', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "tensorflow_datasets"


def test_a_log_gets_no_progress_bar_and_no_warning(tiny, tmp_path, monkeypatch, capfd, caplog):
    accept(monkeypatch, tiny)
    datasets.write("mnist", tmp_path / "mnist.npz")
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


@pytest.mark.usefixtures("tiny")
def test_a_prepared_folder_with_other_data_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"tensorflow_datasets 3\.0\.1: other data than mnist"):
        datasets.write("mnist", tmp_path / "mnist.npz")
    assert not (tmp_path / "mnist.npz").exists()


def damage_shard(folder: Path) -> None:
    shard = folder / SHARD.format("test")
    shard.write_bytes(shard.read_bytes()[:1000])


def remove_shard(folder: Path) -> None:
    (folder / SHARD.format("train")).unlink()


def damage_info(folder: Path) -> None:
    (folder / "dataset_info.json").write_text("{")


def another_format(folder: Path) -> None:
    info = (folder / "dataset_info.json").read_text()
    (folder / "dataset_info.json").write_text(info.replace("array_record", "tfrecord"))


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("damage", [damage_shard, remove_shard, damage_info, another_format])
def test_a_damaged_prepared_folder_is_named_in_one_line(tmp_path, damage):
    folder = tmp_path / "tfds" / "mnist" / "3.0.1"
    damage(folder)
    with pytest.raises(UserError) as refused:
        datasets.write("mnist", tmp_path / "mnist.npz")
    assert str(refused.value).startswith(f"{folder}: cannot be read as mnist (")
    assert "set TFDS_DATA_DIR to another one" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "mnist.npz").exists()


# Preparing with TFDS's unmodified builder, from the original archives


def prepares(test: Any) -> Any:
    """A test that needs TensorFlow; the warnings are TensorFlow's own."""
    return pytest.mark.tensorflow(pytest.mark.filterwarnings("default")(test))


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


@prepares
def test_the_archives_give_the_known_content_and_a_prepared_folder(made):
    data = datasets.load("mnist", Store(data=made))
    arrays = {name: getattr(data, name) for name in datasets.ARRAYS}
    assert datasets.content_digest(arrays) == DATASETS["mnist"].digest
    info = json.loads((made / "tfds" / "mnist" / "3.0.1" / "dataset_info.json").read_text())
    assert info["fileFormat"] == "array_record"


@prepares
@pytest.mark.prepared_data("mnist")
def test_the_archives_give_the_same_bytes_as_a_folder_prepared_elsewhere(made, tmp_path):
    datasets.write("mnist", tmp_path / "mnist.npz")
    for name in ("mnist.npz", "mnist.npz.sha256"):
        assert (made / name).read_bytes() == (tmp_path / name).read_bytes()


@prepares
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


@prepares
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
