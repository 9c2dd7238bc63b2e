"""A damaged checkpoint is set aside, and the run goes on from the one before it, or from its start."""

import shutil

import pytest

from replications.harness.training.checkpoints import Checkpoint
from tests.harness.training.runs import assert_same_bits, cell, run


class CutError(Exception):
    pass


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
def test_the_run_goes_on_to_the_same_bits_and_says_so(cut, tmp_path, capfd, damage, which):
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
