"""A run that was cut off goes on to the same bits, and leaves nothing behind."""

from pathlib import Path

import numpy as np
import pytest

from replications.harness.training.checkpoints import Checkpoint
from tests.harness.training.runs import assert_same_bits, cell, run


class CutError(Exception):
    pass


@pytest.mark.parametrize("batching", ["map", "vmap"])
def test_a_run_that_was_cut_off_goes_on_to_the_same_bits(tmp_path, monkeypatch, batching):
    whole = run(tmp_path / "a", cell(), batching=batching)
    # The folder of results is a relative one by default.
    monkeypatch.chdir(tmp_path)
    cut = Path("b")
    saved = []
    save = Checkpoint.save

    def save_then_die(self, *arguments):
        save(self, *arguments)
        saved.append(1)
        if len(saved) == 2:
            raise CutError

    monkeypatch.setattr(Checkpoint, "save", save_then_die)
    with pytest.raises(CutError):
        run(cut, cell(), batching=batching, checkpoint_seconds=0)
    assert list(cut.glob("**/.*.checkpoint"))
    assert not list(cut.glob("**/arm.npz"))
    monkeypatch.setattr(Checkpoint, "save", save)
    resumed = run(cut, cell(), batching=batching, checkpoint_seconds=0)
    assert_same_bits(whole, resumed)
    assert not list(cut.glob("**/.*.checkpoint"))


def test_single_seeds_leave_the_unfinished_work_on_other_seeds(tmp_path, monkeypatch):
    """And a run killed while it saved goes on from the state before."""
    whole = run(tmp_path / "a", cell())
    begun, write = [], Checkpoint._write

    def die(self, path, tree):
        if path.name.startswith("state-2-2") and begun:
            raise CutError
        if path.name.startswith("state-2-2"):
            begun.append(path)
        write(self, path, tree)

    monkeypatch.setattr(Checkpoint, "_write", die)
    with pytest.raises(CutError):
        run(tmp_path / "b", cell(), checkpoint_seconds=0)
    monkeypatch.setattr(Checkpoint, "_write", write)
    run(tmp_path / "b", cell(), seeds=[7], checkpoint_seconds=0)
    left = sorted(p.name for p in tmp_path.glob("b/**/.arm.checkpoint/*/*"))
    assert left == ["done-0-0", "done-1-1", begun[0].name]
    started = []
    resume = Checkpoint.resume

    def watched(self, group, like):
        found = resume(self, group, like)
        started.append((group, found is not None))
        return found

    monkeypatch.setattr(Checkpoint, "resume", watched)
    resumed = run(tmp_path / "b", cell(), checkpoint_seconds=0)
    assert started == [([2], True)]
    assert resumed.seeds.tolist() == [0, 1, 2, 7]
    np.testing.assert_array_equal(resumed.first_losses[:3], whole.first_losses)
    for name, values in whole.measures.items():
        np.testing.assert_array_equal(resumed.measures[name][:3], values, err_msg=name)
    assert not list(tmp_path.glob("b/**/.*.checkpoint"))
