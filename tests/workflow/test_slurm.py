"""The profile of a cluster, on a real Slurm: the same bits as here, whatever is cancelled or killed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.workflow import local_slurm

pytestmark = pytest.mark.slurm

TABLE = "results/quick/tiny/tables/line.csv"
# Of this cluster: it has no accounting, its file system is not late, and it is asked often.
HERE = [
    "--slurm-no-account",
    "--slurm-status-command=squeue",
    "--slurm-init-seconds-before-status-checks=2",
    "--latency-wait=5",
    "--jobs=2",
]


@pytest.fixture(scope="module")
def slurm():
    with local_slurm.cluster() as running:
        yield running


@pytest.fixture
def fresh(edited):
    """The paper of the tests with its accepted results, and nothing that was run."""
    for name in ("results", ".snakemake"):
        shutil.rmtree(edited.folder / name)
    return edited


@pytest.fixture
def submit():
    """Snakemake through the profile, started; it ends with the test, whatever becomes of that."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    started = []

    def start(checkout, *words: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "snakemake", *words, *HERE]
        with said(checkout).open("w") as log:
            process = subprocess.Popen(
                [*command, "--profile", "workflow/profiles/slurm"],
                cwd=checkout.folder,
                env={**os.environ, "PATH": path},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def said(checkout) -> Path:
    return checkout.folder.parent / "said.txt"


def finish(checkout, process: subprocess.Popen) -> None:
    assert process.wait(timeout=900) == 0, said(checkout).read_text()


def made(checkout) -> dict[str, bytes]:
    """All that is computed. A run's manifest says when and where, and is no result."""
    results = checkout.folder / "results" / "quick" / "tiny"
    files = {
        str(path.relative_to(results)): path.read_bytes()
        for path in sorted(results.rglob("*"))
        if path.is_file() and not path.match("runs/*/*")
    }
    return files | numbers(results, "*")


def the_cells(checkout) -> dict[str, bytes]:
    return numbers(checkout.folder / "results" / "quick" / "tiny", "line")


def numbers(results: Path, experiment: str) -> dict[str, bytes]:
    """The arrays of an experiment's runs, without what tells of the process."""
    found = {}
    for path in sorted(results.glob(f"runs/{experiment}/*.npz")):
        with np.load(path) as run:
            for name in set(run.files) - {"manifest", "sha256"}:
                found[f"{path.relative_to(results)}: {name}"] = run[name].tobytes()
    return found


def test_a_cluster_makes_every_file_of_a_local_run_bit_for_bit_in_a_job_an_experiment_and_one_for_plots(
    slurm, submit, ran, fresh
):
    before = slurm.submitted()
    finish(fresh, submit(fresh, "tiny"))
    assert made(fresh) == made(ran)
    assert len(made(ran)) > 10
    assert slurm.submitted() - before == 2 + 1


def test_a_cancelled_job_is_submitted_again(slurm, submit, ran, fresh):
    before = slurm.submitted()
    process = submit(fresh, TABLE)
    local_slurm.wait_until(slurm.running)
    slurm.cancel(*slurm.running())
    finish(fresh, process)
    assert "Trying to restart" in said(fresh).read_text()
    assert slurm.submitted() - before == 2
    assert the_cells(fresh) == the_cells(ran)


def test_after_a_killed_snakemake_and_its_cancelled_jobs_the_next_run_makes_the_same(
    slurm, submit, ran, fresh
):
    process = submit(fresh, TABLE)
    local_slurm.wait_until(slurm.running)
    process.kill()
    process.wait()
    assert slurm.running(), "the jobs of a killed Snakemake go on"
    slurm.cancel(*slurm.running())
    local_slurm.wait_until(slurm.idle)
    assert not (fresh.folder / TABLE).exists()
    finish(fresh, submit(fresh, TABLE))
    assert the_cells(fresh) == the_cells(ran)
