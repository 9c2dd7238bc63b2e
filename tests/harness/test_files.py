"""Files and folders appear whole or not at all: at every moment the old or the new one stands in its place."""

import ast
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


def test_a_lock_is_anothers_until_he_lets_go_or_dies(tmp_path):
    code = """
import sys, time
from pathlib import Path
from replications.harness.files import locked
with locked(Path(sys.argv[1]), wait=False) as free:
    print(free, flush=True)
    sys.stdin.read()
"""
    words = [sys.executable, "-c", code, str(tmp_path / "lock")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    with subprocess.Popen(words, **pipes) as other:
        assert other.stdout.readline() == "True\n"
        with files.locked(tmp_path / "lock", wait=False) as free:
            assert not free
        other.kill()
    with files.locked(tmp_path / "lock", wait=False) as free:
        assert free
    with files.locked(tmp_path / "lock") as free:
        assert free


# Text

SOURCES = sorted(
    file
    for folder in ("bioflax", "figures", "replications", "workflow")
    for file in (ROOT / folder).rglob("*.py")
)


def in_the_locales_encoding(source):
    """The calls that read or write text and name no encoding, so that the locale would decide."""
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        given = {word.arg: word.value for word in call.keywords}
        words = [one.value for one in call.args if isinstance(one, ast.Constant)]
        if isinstance(given.get("mode"), ast.Constant):
            words.append(given["mode"].value)
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        of_files = name in ("read_text", "write_text", "open", "fdopen", "NamedTemporaryFile")
        # Our own modules' functions of these names, and what opens no text.
        owner = ast.unparse(call.func).rpartition(".")[0]
        if owner in ("os", "tarfile", "manifests", "sealed") or (
            name[-5:] == "_text" and not owner
        ):
            continue
        of_bytes = any(isinstance(word, str) and "b" in word and len(word) < 4 for word in words)
        of_a_process = {"text", "universal_newlines"} & given.keys()
        if ((of_files and not of_bytes) or of_a_process) and "encoding" not in given:
            yield call.lineno


def test_all_text_is_read_and_written_in_an_encoding_that_the_locale_does_not_choose():
    found = {
        str(file.relative_to(ROOT)): lines
        for file in SOURCES
        if (lines := list(in_the_locales_encoding(file.read_text(encoding="utf-8"))))
    }
    assert len(SOURCES) > 100
    assert found == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("path.read_text()", [1]),
        ("path.read_text(encoding='utf-8')", []),
        ("open('name')", [1]),
        ("open('name', 'rb')", []),
        ("path.open(mode='rb')", []),
        ("path.open('w')", [1]),
        ("subprocess.run(words, text=True)", [1]),
        ("subprocess.run(words)", []),
    ],
)
def test_a_text_in_the_locales_encoding_is_found(source, found):
    assert list(in_the_locales_encoding(source)) == found
