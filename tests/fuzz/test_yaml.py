"""Whatever a YAML file says, it is taken, or refused in one line before anything runs or is written."""

from pathlib import Path

import pytest

from replications.harness.declared import config
from replications.harness.declared.experiments import papers
from replications.harness.declared.reading import read_yaml
from tests.fuzz.mistakes import mistaken
from tests.fuzz.verbs import answered, call, check_answer, files, forget, papers_in

pytestmark = pytest.mark.fuzz
PAPER = Path(__file__).with_name("paper")
KINDS = ("experiments", "claims", "published")
CONFIG = Path(__file__).parents[2] / "workflow/config.yaml"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of papers with the fuzzer's in it; here nothing else may appear."""
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "papers" / "paper"
    made.mkdir(parents=True)
    for kind in KINDS:
        (made / f"{kind}.yaml").write_bytes((PAPER / f"{kind}.yaml").read_bytes())
    with papers_in(made.parent):
        yield made


def test_the_paper_of_the_fuzzer_has_no_mistake(folder):
    for preset in config.PRESETS:
        assert call("list", "--preset", preset) == (0, "")
        answer = call("judge", "paper", "--preset", preset)
        assert "no such table" in answer.error
        check_answer(answer)


@pytest.mark.parametrize(
    ("kind", "cases"), [("experiments", 1500), ("claims", 1000), ("published", 500)]
)
def test_a_mistake_in_a_papers_files_is_one_line(folder, fuzz, kind, cases):
    file = folder / f"{kind}.yaml"

    def check(content: bytes) -> None:
        file.write_bytes(content)
        forget()
        before = files(folder.parents[1])
        for preset in config.PRESETS:
            check_answer(call("list", "--preset", preset))
            check_answer(call("judge", "paper", "--preset", preset))
        assert files(folder.parents[1]) == before

    fuzz(mistaken((PAPER / file.name).read_text(encoding="utf-8")), check, cases)


def test_a_mistake_in_the_configuration_is_one_line(tmp_path, fuzz):
    file = tmp_path / "config.yaml"

    def check(content: bytes) -> None:
        file.write_bytes(content)
        answered(lambda: config.read(read_yaml(file)))

    assert papers()
    fuzz(mistaken(CONFIG.read_text(encoding="utf-8")), check, 300)
