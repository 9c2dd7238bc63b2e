"""What README.md says is so: its commands exist, its numbers are the accepted ones."""

import re
import shlex
from pathlib import Path

from replications import __main__ as cli
from replications import readme, spec

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)
LINES = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()]


def commands(program):
    """The arguments of every call of ``program`` that the README shows."""
    for line in LINES:
        for command in line.split(" && "):
            words = shlex.split(command)
            if words[: len(program)] == program:
                yield words[len(program) :]


def test_the_harness_understands_the_commands_in_the_readme():
    shown = list(commands(["python", "-m", "replications"]))
    assert shown
    for words in shown:
        cli._parser().parse_args(words)


def test_the_snakemake_targets_in_the_readme_are_papers_or_files_that_rules_make():
    named = [
        word for words in commands(["snakemake"]) for word in words if not word.startswith("-")
    ]
    papers = {name for name in named if name in spec.papers()}
    files = {name for name in named if name.startswith("results/")}
    assert papers
    assert files
    assert set(named) - papers - files <= {"all"}


def test_the_readme_shows_the_accepted_results():
    assert readme.write(ROOT / "README.md", check=True), "run `python -m replications readme`"


def test_a_readme_with_another_number_is_not_true(tmp_path):
    changed = tmp_path / "README.md"
    changed.write_text(re.sub(r"(\d)\.(\d)(\d) ± ", r"\1.\g<3>\2 ± ", TEXT, count=40))
    assert changed.read_text() != TEXT
    assert not readme.write(changed, check=True)
    readme.write(changed)
    assert changed.read_text() == TEXT
