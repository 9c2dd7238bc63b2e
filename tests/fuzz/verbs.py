"""The verbs in this process, on a folder of papers of the fuzzer's own; and what each may answer."""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from replications.harness import command_line
from replications.harness.declared import experiments
from replications.harness.errors import UserError
from replications.harness.store import Store


class Answer(NamedTuple):
    """The exit status of a verb, and what it said to people."""

    status: int
    error: str


def call(*words: str) -> Answer:
    """Run a verb. What it raises is what a person would see as a traceback."""
    said, error = io.StringIO(), io.StringIO()
    with redirect_stdout(said), redirect_stderr(error), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.StringIO())
        try:
            status = command_line.main(list(words))
        except SystemExit as ended:
            status = int(ended.code or 0)
    return Answer(status, error.getvalue())


def check_answer(answer: Answer) -> None:
    """0: done; 1: a check failed; 2: one line that says what is wrong."""
    assert answer.status in (0, 1, 2), answer
    if answer.status == 2:
        assert answer.error.startswith("error: "), answer
        assert answer.error.count("\n") == 1, answer
        assert answer.error.endswith("\n"), answer
        assert len(answer.error) < 2000, answer


def answered(function: Callable[..., Any], *arguments: Any) -> tuple[Any, str]:
    """What a function gives, or the line in which it refuses."""
    try:
        return function(*arguments), ""
    except UserError as error:
        line = str(error)
    assert "\n" not in line
    return None, line


@contextmanager
def papers_in(folder: Path) -> Iterator[None]:
    """The verbs' folder of papers is this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "papers", property(lambda self: folder, lambda self, value: None))
        # `new` writes beside the folder of papers, and nowhere in this checkout.
        patch.setattr(command_line, "ROOT", folder.parent)
        forget()
        yield
    forget()


def forget() -> None:
    """What was read before is read again."""
    experiments.load.cache_clear()
    experiments._resolved.cache_clear()


def files(folder: Path) -> dict[Path, bytes]:
    """Every file below a folder, and what is in it."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
