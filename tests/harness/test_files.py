"""A folder is replaced whole: at every moment the old one or the new one stands in its place."""

import pytest

from replications.harness import files


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
