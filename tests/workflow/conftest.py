"""A copy of the repository with one more paper, on which Snakemake really runs."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from replications.harness.files import locked
from tests import warm
from tests.workflow import local_slurm

ROOT = Path(__file__).parents[2]
TINY = Path(__file__).with_name("tiny")


_LEFT_OUT = pytest.StashKey[int]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What needs a Slurm is left out aloud where none can be started."""
    needing = [item for item in items if item.get_closest_marker("slurm")]
    if needing and local_slurm.lacking():
        config.stash[_LEFT_OUT] = len(needing)
        config.hook.pytest_deselected(items=needing)
        items[:] = [item for item in items if item not in needing]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if count := terminalreporter.config.stash.get(_LEFT_OUT, 0):
        terminalreporter.write_line(f"left out: {count} x {local_slurm.lacking()}")


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status, and all that it said."""

    status: int
    said: str


@dataclass(frozen=True)
class Checkout:
    """A copy of the repository, and what can be run in it."""

    folder: Path

    def python(self, *words: str, forked: bool = True) -> Ended:
        """Run Python. A module is ``forked`` from a process that has imported it: what a module reads from the
        environment when it is imported, such a run does not see."""
        # The interpreter of the tests comes first on the path, as in an activated environment.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        # The copy's own modules, not those of the checkout that is tested.
        environment = {**os.environ, "PATH": path, "PYTHONPATH": ""}
        if forked and words[0] == "-m":
            return Ended(*warm.module([*words[1:]], self.folder, environment))
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Ended(done.returncode, done.stdout)

    def snakemake(self, *words: str) -> Ended:
        return self.python("-m", "snakemake", *words)

    def run(self, *targets: str, cores: int = 2) -> str:
        """Make the targets; what was said. A failure fails the test."""
        ended = self.snakemake(*targets, "--cores", str(cores))
        assert ended.status == 0, ended.said
        return ended.said

    def planned(self, *words: str) -> Counter[str]:
        """How many jobs of every rule a dry run lists."""
        ended = self.snakemake("--dry-run", *words)
        assert ended.status == 0, ended.said
        if "Nothing to be done" in ended.said:
            return Counter()
        _, _, table = ended.said.partition("Job stats:")
        rows = [line.split() for line in table.partition("total")[0].splitlines()[3:]]
        return Counter({name: int(count) for name, count in rows})

    def messages(self, *words: str) -> set[str]:
        """The messages of the jobs that a dry run lists."""
        said = self.snakemake("--dry-run", *words).said
        return set(re.findall(r"^Job \d+: (.*)$", said, re.MULTILINE))

    def accept(self, preset: str) -> str:
        """Accept the results of the paper of the tests, and show them in the READMEs; what was said."""
        accepted = self.python("-m", "replications", "accept", "tiny", "--preset", preset, "--yes")
        assert accepted.status == 0, accepted.said
        shown = self.python("-m", "replications", "readme")
        assert shown.status == 0, shown.said
        return accepted.said

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert old in text, f"{file} does not say {old!r}"
        path.write_text(text.replace(old, new))

    def copy(self, folder: Path) -> "Checkout":
        """The same state elsewhere, results and Snakemake's records with their times included."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Checkout(folder)


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """What a fresh clone holds: everything that git tracks or would, and nothing else."""
    folder = tmp_path_factory.mktemp("clone") / "bioflax"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], cwd=folder, check=True)
    return Checkout(folder)


@pytest.fixture(scope="session")
def planned(clone: Checkout) -> Counter[str]:
    """What a fresh clone plans by default: a dry run of seconds, looked at by several tests."""
    return clone.planned()


@pytest.fixture(scope="session")
def summary(clone: Checkout) -> list[dict[str, str]]:
    """A row for every file that some rule of the default graph writes."""
    said = clone.snakemake("--detailed-summary").said
    header, *rows = [line.split("\t") for line in said.splitlines() if "\t" in line]
    return [dict(zip(header, row, strict=False)) for row in rows]


@pytest.fixture(scope="session")
def with_paper(clone: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A clone with one more paper: a folder, its figures, and a line in the config."""
    made = clone.copy(tmp_path_factory.mktemp("with_paper") / "bioflax")
    shutil.copytree(TINY, made.folder / "replications" / "tiny")
    shutil.move(made.folder / "replications/tiny/figures.py", made.folder / "figures/tiny.py")
    made.edit("workflow/config.yaml", "papers:\n", "papers:\n  - tiny\n")
    return made


@pytest.fixture(scope="session")
def ran(with_paper: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The paper of the tests run to the end, and its results accepted. Not to be written to.

    The first worker that needs it runs it; each has a copy of its own.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    done = shared / "ran.done"
    with locked(shared / "ran.lock"):
        if not done.exists():
            shutil.rmtree(shared / "ran", ignore_errors=True)
            made = with_paper.copy(shared / "ran/bioflax")
            made.run("results/quick/tiny/claims.json")
            made.accept("quick")
            made.run("tiny")
            done.touch()
        return Checkout(shared / "ran/bioflax").copy(tmp_path_factory.mktemp("ran") / "bioflax")


@pytest.fixture
def edited(ran: Checkout, tmp_path: Path) -> Checkout:
    """A copy of the finished run, to change something in."""
    return ran.copy(tmp_path / "bioflax")
