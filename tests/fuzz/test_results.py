"""A damaged file is never taken for what it was: one line names it, or the answer is that of the whole one."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from replications.harness.store import Store
from replications.harness.training import datasets
from tests.fuzz.mistakes import damaged
from tests.fuzz.verbs import answered, call, check_answer, files, papers_in

pytestmark = [
    pytest.mark.fuzz,
    # A file is long: Hypothesis must show the failure, not complain of its length.
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),
]
TINY = Path(__file__).parents[1] / "workflow/tiny"
# What is read, the verbs that read it, and what they write.
RUNS = [
    "results/quick/tiny/runs/line/backprop.npz",
    "results/quick/tiny/runs/other/kolen_pollack.npz",
]
TABLES = ["results/quick/tiny/tables/line.csv", "results/quick/tiny/tables/other.csv"]
VERDICTS = ["results/quick/tiny/claims.json"]
READERS = {
    "runs": (RUNS, [["tabulate", "tiny", "line"], ["tabulate", "tiny", "other"]]),
    "tables": (TABLES, [["judge", "tiny"], ["summarize", "tiny"]]),
    "verdicts": (VERDICTS, [["verdicts", "tiny"]]),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The paper of the tests, run, judged and accepted."""
    folder = tmp_path_factory.mktemp("made")
    paper = folder / "papers" / "tiny"
    paper.mkdir(parents=True)
    for file in TINY.glob("*.yaml"):
        (paper / file.name).write_bytes(file.read_bytes())
    (paper / "README.md").write_bytes((TINY / "README.md").read_bytes())
    with pytest.MonkeyPatch.context() as patch, papers_in(paper.parent):
        patch.chdir(folder)
        for words in [
            ["simulate", "tiny", "line", "backprop"],
            ["simulate", "tiny", "line", "feedback_alignment"],
            ["simulate", "tiny", "other", "kolen_pollack"],
            ["tabulate", "tiny", "line"],
            ["tabulate", "tiny", "other"],
            ["judge", "tiny"],
            ["summarize", "tiny"],
            ["accept", "tiny", "--yes"],
            ["verdicts", "tiny"],  # whose page says what was accepted
        ]:
            assert call(*words) == (0, ""), words
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    """A copy of it, in which the verbs work."""
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    monkeypatch.chdir(copy)
    with papers_in(copy / "papers"):
        yield copy


@st.composite
def wrong(draw, contents):
    """(a file, other bytes for it): damaged, or those of another."""
    name = draw(st.sampled_from(sorted(contents)))
    others = [content for content in contents.values() if content != contents[name]]
    if others and draw(st.integers(0, 4)) == 0:
        return name, draw(st.sampled_from(others))
    return name, draw(damaged(contents[name]))


@pytest.mark.parametrize("kind", READERS)
def test_a_damaged_result_is_refused_or_changes_nothing(folder, fuzz, kind):
    names, lines = READERS[kind]
    contents = {name: (folder / name).read_bytes() for name in names}
    whole = files(folder)

    def check(case: tuple[str, bytes]) -> None:
        name, content = case
        (folder / name).write_bytes(content)
        expected = {**whole, folder / name: content}
        try:
            for words in lines:
                answer = call(*words)
                check_answer(answer)
                assert answer.status != 2 or Path(name).name in answer.error, answer
                assert files(folder) == expected
            if kind == "tables" and content != contents[name]:
                assert answer.status == 2
        finally:
            (folder / name).write_bytes(contents[name])

    fuzz(wrong(contents), check, 300)


def test_a_damaged_accepted_file_is_named_and_nothing_is_written(folder, fuzz):
    accepted = folder / "papers/tiny/accepted/quick"
    contents = {file.name: file.read_bytes() for file in accepted.iterdir()}
    whole = files(folder)

    def check(case: tuple[str, bytes]) -> None:
        name, content = case
        (accepted / name).write_bytes(content)
        expected = {**whole, accepted / name: content}
        try:
            for words in (["accept", "tiny"], ["readme", "--check"], ["scoreboard"], ["overview"]):
                answer = call(*words)
                check_answer(answer)
                assert answer.status, answer
                assert files(folder) == expected
        finally:
            (accepted / name).write_bytes(contents[name])

    fuzz(wrong(contents), check, 200)


def test_a_damaged_data_set_is_refused_or_the_same(mnist5k, tmp_path, fuzz):
    store = Store(data=tmp_path)
    names = ["mnist5k.npz", "mnist5k.npz.sha256"]
    contents = {name: (mnist5k / name).read_bytes() for name in names}
    for name in names:
        (tmp_path / name).write_bytes(contents[name])
    whole = datasets.load("mnist5k", store)

    def check(case: tuple[str, bytes]) -> None:
        name, content = case
        (tmp_path / name).write_bytes(content)
        found, refusal = answered(datasets.load, "mnist5k", store)
        (tmp_path / name).write_bytes(contents[name])
        if found is None:
            assert "mnist5k.npz" in refusal
        else:
            np.testing.assert_array_equal(found.train_x, whole.train_x)

    fuzz(wrong(contents), check, 100)
