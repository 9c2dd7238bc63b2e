"""Files and folders appear whole or not at all: at every moment the old or the new one stands in its place."""

import subprocess
import sys

import pytest

from replications.harness import files
from replications.harness.store import ROOT


def texts(folder):
    return {file.name: file.read_text() for file in folder.iterdir()}


@pytest.fixture(params=[True, False], ids=["in one step", "where folders cannot be exchanged"])
def folder(tmp_path, monkeypatch, request):
    if not request.param:
        monkeypatch.setattr(files, "_exchange", lambda a, b: False)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_text("old")
    (tmp_path / "full" / "gone").write_text("old")
    return tmp_path / "full"


def change(new):
    (new / "a").write_text("new")
    (new / "b").write_text("new")
    (new / "gone").unlink()


def test_the_new_folder_takes_the_place_of_the_old_one_and_nothing_is_left(folder):
    with files.replaced(folder) as new:
        change(new)
        assert texts(folder) == {"a": "old", "gone": "old"}
    assert texts(folder) == {"a": "new", "b": "new"}
    assert list(folder.parent.iterdir()) == [folder]


def test_a_block_that_does_not_end_well_changes_nothing(folder):
    def interrupted():
        with files.replaced(folder) as new:
            change(new)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert texts(folder) == {"a": "old", "gone": "old"}
    assert list(folder.parent.iterdir()) == [folder]


def test_a_folder_that_was_not_there_is_made(tmp_path):
    with files.replaced(tmp_path / "some" / "full") as new:
        (new / "a").write_text("new")
    assert texts(tmp_path / "some" / "full") == {"a": "new"}


def test_after_a_kill_the_next_one_takes_back_the_old_folder_and_clears_up(folder):
    # Killed while it wrote, and, where folders cannot be exchanged, between the two renames.
    (folder.with_name(".full.new")).mkdir()
    (folder.with_name(".full.new") / "half").write_text("new")
    folder.rename(folder.with_name(".full.old"))
    with files.replaced(folder) as new:
        assert texts(new) == {"a": "old", "gone": "old"}
    assert texts(folder) == {"a": "old", "gone": "old"}
    assert list(folder.parent.iterdir()) == [folder]


# A file


def test_a_file_takes_its_place_once_its_block_has_ended_and_nothing_is_left(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with files.atomically(path) as temporary:
        temporary.write_text("whole")
        assert temporary.suffix == path.suffix, "some writers go by the end of the name"
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_whose_block_does_not_end_well_stays_as_it_was(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def interrupted():
        with files.atomically(path) as temporary:
            temporary.write_text("ha")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_wrote_nothing_is_an_error_and_no_empty_file(tmp_path):
    with pytest.raises(FileNotFoundError), files.atomically(tmp_path / "a.txt"):
        pass
    assert list(tmp_path.iterdir()) == []


# A lock

ADD = """
import sys, time
from pathlib import Path
from replications.harness.files import locked
file = Path(sys.argv[1])
for _ in range(20):
    with locked(file.parent):
        count = int(file.read_text())
        time.sleep(0.001)
        file.write_text(str(count + 1))
"""


def test_processes_that_lock_a_folder_lose_none_of_their_changes(tmp_path):
    file = tmp_path / "count"
    file.write_text("0")
    command = [sys.executable, "-c", ADD, str(file)]
    adding = [subprocess.Popen(command, cwd=ROOT) for _ in range(3)]
    assert [process.wait() for process in adding] == [0, 0, 0]
    assert file.read_text() == "60"


def test_a_lock_ends_with_a_block_that_fails(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyError), files.locked(tmp_path / "new"):
            raise KeyError
