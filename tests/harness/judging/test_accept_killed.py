"""`accept` killed at each of its writes leaves the old accepted results or the new ones, never a mixture."""

import shutil
import subprocess
import sys

import pytest

from replications.harness.declared import experiments
from replications.harness.judging import acceptance, verdicts
from replications.harness.judging.tabulate import tabulate
from replications.harness.store import ROOT
from replications.harness.training.simulate import simulate
from tests.harness.judging.test_acceptance import CLAIMS, PAPER
from tests.harness.papers import write_paper

# Accepts again and again, each time in a process that kills itself at its next but k-th write.
SCRIPT = """
import os, shutil, signal, sys
from pathlib import Path
from replications.harness import files
from replications.harness.judging import accepted_verdicts, acceptance, verdicts
from replications.harness.store import Store

folder, keeps = Path(sys.argv[1]), sys.argv[2] == "keep"
store = Store(folder / "results", folder / "papers")
left = [0]

def deadly(function):
    def call(*arguments, **options):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        found = function(*arguments, **options)
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return found
    return call

for place, name in [(Path, "write_text"), (Path, "rename"), (Path, "replace"), (Path, "unlink"), (Path, "mkdir"),
                    (os, "mkdir"), (os, "rmdir"), (os, "unlink"), (shutil, "copy2"), (files, "_exchange")]:
    setattr(place, name, deadly(getattr(place, name)))

def state():
    return {f.name: f.read_bytes() for f in store.accepted("toy", "quick").iterdir()}

def whole():
    from replications.harness.judging import manifests
    return not manifests.damage("toy", "quick", store)

old, seen = state(), []
for k in range(1, 1000):
    child = os.fork()
    if not child:
        left[0] = k
        if keeps:
            accepted_verdicts.keep_judged(verdicts.read_verdicts("toy", "quick", store), "toy", "quick", store)
        else:
            acceptance.accept("toy", "quick", store, yes=True, say=lambda text: None, passes=0)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    now = state()
    seen.append(now == old)
    assert whole(), (k, "a mixture")
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0, status
        break
    assert os.WTERMSIG(status) == signal.SIGKILL
left = {f.name for f in store.accepted("toy", "quick").parent.iterdir()}
assert left == {"quick"}, left
assert now != old
print(k - 1, seen.count(True), seen.count(False))
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A paper that was accepted, and whose claims say something else since."""
    folder = tmp_path_factory.mktemp("accepted")
    store = write_paper(folder, PAPER, {"claims": CLAIMS})
    for cell in experiments.cells("toy", "quick", store):
        simulate(cell, store)
    for name in ("line", "same"):
        tabulate("toy", name, "quick", store)
    verdicts.judge("toy", "quick", store)
    acceptance.accept("toy", "quick", store, yes=True, say=lambda text: None, passes=0)
    changed = [{**claim, "statement": "It learns something."} for claim in CLAIMS]
    write_paper(folder, PAPER, {"claims": changed})
    verdicts.judge("toy", "quick", store)
    return store


@pytest.mark.parametrize("verb", ["accept", "keep"])
def test_killed_at_any_write_it_leaves_the_old_results_or_the_new_ones(store, tmp_path, verb):
    shutil.copytree(store.papers.parent, tmp_path, dirs_exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, str(tmp_path), verb],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    kills, old, new = map(int, done.stdout.split())
    assert kills > 20
    assert old > 15
    assert new >= 1
