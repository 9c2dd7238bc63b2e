"""Image data sets through tensorflow-datasets (TFDS): read a prepared folder, or prepare it.

A prepared folder (array_record) below ``TFDS_DATA_DIR`` is read without TensorFlow and without a
network. Preparing one needs TensorFlow, and the original archives: from ``TFDS_MANUAL_DIR``, or
else from the network.
"""

import logging
import os
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from tqdm import tqdm

from replications.harness.errors import UserError

PROBE_SECONDS = 8.0
_CHUNK = 1000
# The builders use importlib_resources, which TFDS 4.9.10 does not bring with it.
_NEEDED_TO_PREPARE = ("tensorflow_datasets", "tensorflow", "importlib_resources")


def read(name: str, version: str, image: tuple[int, ...]) -> dict[str, np.ndarray]:
    """``train_x``, ``train_y``, ``test_x``, ``test_y`` in TFDS's order, which never changes.

    Raises UserError where the folder of ``TFDS_DATA_DIR`` cannot be read and cannot be prepared.
    """
    default = Path.home() / "tensorflow_datasets"
    data_dir = Path(os.environ.get("TFDS_DATA_DIR") or default).expanduser()
    folder = data_dir / name / version
    # TFDS warns that another library would decode images faster.
    logging.getLogger("absl").setLevel(logging.ERROR)
    if not (folder / "dataset_info.json").is_file():
        _prepare(name, version, data_dir)
    try:
        return {
            f"{split}_{key}": array
            for split in ("train", "test")
            for key, array in _split(f"{name}:{version}", split, data_dir, image).items()
        }
    except ImportError as error:
        raise UserError(
            f"{folder}: reading it needs `pip install 'bioflax[workflow]'` ({_line(error)})"
        ) from error
    except Exception as error:  # whatever TFDS and what it is built on raise on a bad folder
        raise UserError(
            f"{folder}: cannot be read as {name} ({_line(error)}); remove the folder or set "
            "TFDS_DATA_DIR to another one, and the data set is prepared anew"
        ) from error


def _split(name: str, split: str, data_dir: Path, image: tuple[int, ...]) -> dict[str, np.ndarray]:
    import tensorflow_datasets as tfds

    records = tfds.data_source(name, split=split, data_dir=str(data_dir), download=False)
    x = np.empty((len(records), *image), np.uint8)
    y = np.empty(len(records), np.int32)
    # In chunks, because one by one takes twice as long. The bar is for a terminal only.
    for start in tqdm(range(0, len(x), _CHUNK), f"{name} {split}", disable=None):
        chunk = range(start, min(start + _CHUNK, len(x)))
        for i, record in zip(chunk, records.__getitems__(list(chunk)), strict=True):
            x[i], y[i] = record["image"].reshape(image), record["label"]
    return {"x": x, "y": y}


def _prepare(name: str, version: str, data_dir: Path) -> None:
    """TFDS's unmodified builder, once it is clear that it can get the archives."""
    # TFDS's own place for archives that a person fetched is the default.
    manual = os.environ.get("TFDS_MANUAL_DIR") or data_dir / "downloads" / "manual"
    manual = Path(manual).expanduser()
    tried = [str(data_dir / name / version)]
    missing = [package for package in _NEEDED_TO_PREPARE if find_spec(package) is None]
    try:
        if missing:
            raise ModuleNotFoundError(f"{' and '.join(missing)} not installed")
        import tensorflow_datasets as tfds

        if not sys.stderr.isatty():
            tfds.disable_progress_bar()
        builder = tfds.builder(
            f"{name}:{version}", data_dir=str(data_dir), file_format="array_record"
        )
        archives = {manual / info.filename: url for url, info in builder.url_infos.items()}
        tried += [f"{file} ({'found' if file.is_file() else 'missing'})" for file in archives]
        absent = [url for file, url in archives.items() if not file.is_file()]
        if absent:
            tried.append(absent[0])
            # Without a network TFDS itself gives up after minutes only.
            if problem := _unreachable(absent[0]):
                raise ConnectionError(f"no network ({problem}), and not all archives are there")
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=str(manual))
        )
    except Exception as error:  # also: a damaged archive, a full disk, a download that broke off
        raise UserError(
            f"{name} {version} is not in {data_dir} and cannot be prepared: {_line(error)}; "
            f"set TFDS_DATA_DIR to a folder that holds {name}/{version} as array_record, or "
            "prepare it: that needs `pip install 'bioflax[paper]'`, and the original archives in "
            "TFDS_MANUAL_DIR or a network; the preset quick needs no download; "
            f"tried: {', '.join(tried)}"
        ) from error


def _unreachable(url: str) -> str | None:
    """Why ``url`` cannot be fetched now, or None. Looking up a host has no time limit: a thread."""
    answer: list[str | None] = []

    def ask() -> None:
        import requests

        try:
            with requests.get(url, stream=True, timeout=PROBE_SECONDS / 2) as response:
                answer.append(None if response.ok else f"HTTP status {response.status_code}")
        except requests.RequestException as error:
            answer.append(type(error).__name__)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    return answer[0] if answer else f"no answer in {PROBE_SECONDS:g} s"


def _line(error: BaseException) -> str:
    """The first line of what an error of someone else's says."""
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]
