"""SIGKILL at random moments, then the same command again: the same bits, no step that the screen does not name.

``pytest`` kills a few times, ``pytest -m kills`` fifty.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.kills
# Everything that people run, in order, and how many of the fifty kills each is given.
SNAKEMAKE, REPLICATIONS = ["-m", "snakemake"], ["-m", "replications"]
COMMANDS: list[tuple[list[str], int]] = [
    ([*SNAKEMAKE, "results/quick/tiny/claims.json", "--cores", "2"], 20),
    ([*REPLICATIONS, "accept", "tiny", "--yes"], 10),
    ([*REPLICATIONS, "readme"], 5),
    ([*SNAKEMAKE, "tiny", "--cores", "2"], 10),
    ([*SNAKEMAKE, "tiny", "--report", "results/report.html"], 5),
]
# After at most so many seconds a command is killed, or within the time that it was seen to take.
LATEST = 15.0


def start(folder: Path, words: list[str]) -> subprocess.Popen:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def killed(folder: Path, words: list[str], seconds: float, alone: bool) -> bool:
    """Whether the command was still at work after so many seconds, and was killed: it ``alone``, so that its
    jobs go on, or with all that it had started."""
    process = start(folder, words)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        (os.kill if alone else os.killpg)(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def finish(checkout, words: list[str]) -> None:
    """Run the command, and where its message names a flag for this case, with that flag."""
    ended = checkout.python(*words)
    if ended.status and "--rerun-incomplete" in ended.said:
        ended = checkout.python(*words, "--rerun-incomplete")
    assert ended.status == 0, ended.said


def made(folder: Path) -> dict[str, bytes]:
    """What a run gives and what was accepted of it. Manifests say when and where, and are no result."""
    places = [folder / "results/quick/tiny", folder / "replications/tiny/accepted"]
    found = {
        str(path.relative_to(folder)): path.read_bytes()
        for place in places
        for path in sorted(place.rglob("*"))
        if path.is_file() and path.name != "manifest.json" and path.suffix != ".npz"
        if not path.name.startswith(".")  # what was being written
    }
    for path in sorted(places[0].glob("runs/*/*.npz")):
        with np.load(path) as run:
            for name in set(run.files) - {"manifest", "sha256"}:
                found[f"{path.relative_to(folder)}: {name}"] = run[name].tobytes()
    return found


def test_after_a_kill_at_any_moment_the_same_command_gives_the_same_bits(
    ran, with_paper, tmp_path, request, record_property: Callable[[str, object], None]
):
    whole = "kills" in request.config.option.markexpr
    moments = random.Random(None if whole else 0)
    checkout, count = with_paper.copy(tmp_path / "bioflax"), 0
    for words, share in COMMANDS:
        before = tmp_path / "before"
        shutil.copytree(checkout.folder, before, symlinks=True)
        wanted, latest = share if whole else 1, LATEST
        while wanted:
            seconds, alone = moments.uniform(0, latest), moments.random() < 0.3
            begun = time.monotonic()
            if killed(checkout.folder, words, seconds, alone):
                wanted, count = wanted - 1, count + 1
            else:  # it was faster: once more from where it began, and sooner
                latest = time.monotonic() - begun
                shutil.rmtree(checkout.folder)
                shutil.copytree(before, checkout.folder, symlinks=True)
        finish(checkout, words)
        shutil.rmtree(before)
    assert count == (50 if whole else len(COMMANDS))
    record_property("kills", count)
    assert made(checkout.folder) == made(ran.folder)
    assert (checkout.folder / "results/report.html").stat().st_size > 100_000
    assert sum(checkout.planned("tiny").values()) == 0
