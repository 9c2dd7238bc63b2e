"""The one kind of error a user can cause, and how it names the nearest valid choice."""

import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

# What NumPy and zipfile raise for a file that is cut, flipped, empty or something else. NumPy reads a header
# with Python's own tokenizer.
DAMAGE = (
    EOFError, KeyError, MemoryError, NotImplementedError, OSError, OverflowError, SyntaxError, TypeError,
    ValueError, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class UserError(Exception):
    """Bad input. The message is one line: what, where, the value, what is allowed."""


def damaged(file: Path, error: Exception) -> UserError:
    """The error of an accepted file that cannot be what was accepted, in one line."""
    said = str(error).splitlines() or [type(error).__name__]
    return UserError(f"{file}: damaged ({said[0]}); take it back from git")


def nearest(name: object, allowed: Iterable[str]) -> str:
    """The end of an error message: the nearest valid name, and all valid ones."""
    names = sorted(allowed)
    close = get_close_matches(str(name), names, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}(valid: {', '.join(names)})"
