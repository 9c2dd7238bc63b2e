"""A damaged folder of tensorflow-datasets is named in one line, and no data set is written from it."""

import json
import shutil

import pytest
from hypothesis import strategies as st

from replications.harness.catalogue.datasets import DATASETS
from replications.harness.training import datasets
from tests.fuzz.mistakes import changed, damaged
from tests.fuzz.verbs import call, check_answer
from tests.harness.training.prepared import write_mnist

pytestmark = pytest.mark.fuzz


@st.composite
def folders(draw, contents):
    """name -> other bytes, or None where the file is gone."""
    name = draw(st.sampled_from(sorted(contents)))
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return {name: None}
    if kind == 1:
        other = draw(st.sampled_from(sorted(contents)))
        return {name: contents[other], other: contents[name]}
    if kind < 4 and name.endswith(".json"):
        return {name: json.dumps(draw(changed(json.loads(contents[name]))), default=str).encode()}
    return {name: draw(damaged(contents[name]))}


def test_a_damaged_prepared_folder_is_refused_or_the_same(tmp_path, monkeypatch, fuzz):
    arrays = write_mnist(tmp_path / "tfds")
    source = DATASETS["mnist"]._replace(digest=datasets.content_digest(arrays))
    monkeypatch.setitem(DATASETS, "mnist", source)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    folder, output = tmp_path / "tfds/mnist/3.0.1", tmp_path / "mnist.npz"
    words = ["dataset", "mnist", "--output", str(output)]
    assert call(*words).status == 0
    whole = output.read_bytes()
    contents = {file.name: file.read_bytes() for file in folder.iterdir()}

    def check(case: dict[str, bytes | None]) -> None:
        output.unlink(missing_ok=True)
        for name, content in case.items():
            if content is None:
                (folder / name).unlink()
            else:
                (folder / name).write_bytes(content)
        try:
            answer = call(*words)
            check_answer(answer)
            assert output.exists() == (answer.status == 0)
            assert answer.status or output.read_bytes() == whole
        finally:
            shutil.rmtree(folder)
            folder.mkdir()
            for name, content in contents.items():
                (folder / name).write_bytes(content)

    fuzz(folders(contents), check, 300)
