"""A run that was cut off goes on to the same bits, past a damaged checkpoint too, and leaves nothing behind."""

import shutil
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


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """(the whole run, the folder of one that was killed after its second checkpoint)."""
    folder = tmp_path_factory.mktemp("cut")
    whole, saved, save = run(folder / "whole", cell(seeds=1)), [], Checkpoint.save

    def save_then_die(self, *arguments):
        save(self, *arguments)
        saved.append(1)
        if len(saved) == 2:
            raise CutError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "save", save_then_die)
        with pytest.raises(CutError):
            run(folder / "cut", cell(seeds=1), checkpoint_seconds=0)
    return whole, folder / "cut"


def cut_off(data):
    return data[:-20]


def flipped(data):
    middle = len(data) // 2
    return bytes([*data[:middle], data[middle] ^ 1, *data[middle + 1 :]])


def empty(data):
    return b""


@pytest.mark.parametrize("damage", [cut_off, flipped, empty])
@pytest.mark.parametrize("which", [1, 2], ids=["the last", "both"])
def test_past_a_damaged_checkpoint_a_run_goes_on_to_the_same_bits_and_says_so(
    cut, tmp_path, capfd, damage, which
):
    whole, folder = cut
    shutil.copytree(folder, tmp_path / "b")
    states = sorted((tmp_path / "b").glob("**/state-0-0.*"), key=lambda p: int(p.suffix[1:]))
    assert len(states) == 2
    for state in states[-which:]:
        largest = max((f for f in state.rglob("*") if f.is_file()), key=lambda f: f.stat().st_size)
        largest.write_bytes(damage(largest.read_bytes()))
    resumed = run(tmp_path / "b", cell(seeds=1), checkpoint_seconds=0)
    assert_same_bits(whole, resumed)
    said = [line for line in capfd.readouterr().err.splitlines() if "damaged checkpoint" in line]
    assert len(said) == which
    (own,) = (facts for origin in resumed.manifest["origins"] for facts in origin["seeds"].values())
    assert own["resumes"] == 2 - which
    assert not list((tmp_path / "b").glob("**/.*.checkpoint"))


def test_seconds_are_summed_over_resumes(cut, tmp_path, monkeypatch):
    _, folder = cut
    shutil.copytree(folder, tmp_path / "b")
    resume = Checkpoint.resume

    def an_hour_ago(self, *arguments):
        found = resume(self, *arguments)
        self.before = self.before._replace(seconds=self.before.seconds + 3600)
        return found

    monkeypatch.setattr(Checkpoint, "resume", an_hour_ago)
    resumed = run(tmp_path / "b", cell(seeds=1), checkpoint_seconds=0)
    (own,) = resumed.manifest["origins"][0]["seeds"].values()
    assert own["wall_seconds"] > 3600
    assert own["resumes"] == 1
