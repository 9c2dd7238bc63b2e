"""Whatever words a command is given, it does its work, or says in one line why not and writes nothing."""

import shutil
from pathlib import Path

import pytest
from hypothesis import strategies as st

from replications.harness.catalogue.datasets import DATASETS
from replications.harness.command_line import VERBS
from replications.harness.training import costs
from tests.fuzz.verbs import call, check_answer, files, papers_in

pytestmark = pytest.mark.fuzz
TINY = Path(__file__).parents[1] / "workflow/tiny"
# Names that are right somewhere, and what is right nowhere.
RIGHT = ["tiny", "line", "other", "backprop", "kolen_pollack", "quick", "full", "map", "vmap", "png",
         *DATASETS]  # fmt: skip
WRONG = ["", " ", "tiny/", "../tiny", "-", "--", "-1", "0", "1:2", "0:99999999999", "a:b", "nan",
         "ä\udcff", "x" * 300, "\x1b[31m", "a\nb", "null", "1e400", "/dev/full", "file/x", "folder",
         "file"]  # fmt: skip
OPTIONS = sorted({name for verb in VERBS.values() for one in verb.takes for name in one.names
                  if name.startswith("--")})  # fmt: skip
words = st.one_of(st.sampled_from(RIGHT), st.sampled_from(WRONG), st.text(max_size=6))


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """A verb with what it takes, right and wrong; or anything."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.lists(st.one_of(words, st.sampled_from([*VERBS, *OPTIONS])), max_size=6))
    name = draw(st.sampled_from(sorted(VERBS)))
    line = [name]
    for one in VERBS[name].takes:
        flag = one.names[-1]
        if flag.startswith("--"):
            if draw(st.booleans()) or one.options.get("required"):
                line.append(flag)
                if one.options.get("action") != "store_true":
                    line.append(draw(words))
        elif draw(st.integers(0, 9)):
            choice = {"paper": "tiny", "papers": "tiny", "experiment": "line", "arm": "backprop"}
            right = choice.get(flag, "line")
            line.append(right if draw(st.booleans()) else draw(words))
    extra = draw(st.integers(0, 4)) == 0
    return [*line, draw(st.one_of(words, st.sampled_from(OPTIONS)))] if extra else line


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The paper of the tests in a folder of papers, and nothing that was run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setattr(costs, "ENOUGH", 1e-4)
    paper = tmp_path / "papers" / "tiny"
    paper.mkdir(parents=True)
    for file in TINY.glob("*.yaml"):
        (paper / file.name).write_bytes(file.read_bytes())
    for name in ("figures", "workflow"):
        (tmp_path / name).mkdir()
    (tmp_path / "workflow/config.yaml").write_text("papers:\n  - tiny\n")
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "folder").mkdir()
    with papers_in(paper.parent):
        yield tmp_path


def test_a_command_line_is_answered(folder, fuzz):
    def check(line: list[str]) -> None:
        before = files(folder)
        answer = call(*line)
        check_answer(answer)
        if answer.status == 2:
            assert files(folder) == before
        elif line[0] == "new":  # it would be run by whatever comes next
            assert len(files(folder)) == len(before) + 5
            for path in [folder / "figures", *(folder / "papers").iterdir()]:
                if path.name != "tiny":
                    shutil.rmtree(path)
            (folder / "figures").mkdir()

    fuzz(command_lines(), check, 900)
