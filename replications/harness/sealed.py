"""Texts that carry their own sha256: what is read is what was written there, or is refused in one line.

The sha256 is over the text and its place in the results (preset, paper, name): a file that was put in another's
place is not that other one.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from replications.harness.errors import UserError
from replications.harness.files import atomically
from replications.harness.store import PRESETS

_KEY, _LAST_LINE = "sha256", "# sha256: "


def write_text(path: Path, text: str) -> None:
    """Write lines, whole or not at all, and as a comment below them their sha256."""
    with atomically(path) as temporary:
        sealed = f"{text}{_LAST_LINE}{_sha256(text, path)}\n"
        temporary.write_text(sealed, encoding="utf-8", newline="")


def read_text(path: Path, remedy: str) -> str:
    """Read them. Raises UserError, which ends in ``remedy``, where they are not what was written."""
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: damaged, no UTF-8 text at byte {error.start}; {remedy}") from None
    lines, found, digest = text.rpartition(_LAST_LINE)
    if not found or not digest.endswith("\n"):
        raise UserError(f"{path}: cut off, its last line is not its sha256; {remedy}")
    if _sha256(lines, path) != digest[:-1]:
        raise UserError(
            f"{path}: damaged or another's, its sha256 is not that of its last line; {remedy}"
        )
    return lines


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write a mapping, whole or not at all, with its sha256 as one key more."""
    text = json.dumps(
        {**data, _KEY: _of_json(data, path)}, indent=1, ensure_ascii=False, allow_nan=False
    )
    with atomically(path) as temporary:
        temporary.write_text(f"{text}\n", encoding="utf-8")


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """Read it, without that key. Raises UserError where there is no file, and where it is not as written."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        digest = data.pop(_KEY)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; {remedy}") from None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        said = str(error).splitlines() or [""]
        raise UserError(f"{path}: damaged ({type(error).__name__}: {said[0]}); {remedy}") from None
    if digest != _of_json(data, path):
        raise UserError(
            f"{path}: damaged or another's, its sha256 is not the one it names; {remedy}"
        )
    return dict(data)


def _of_json(data: dict[str, Any], path: Path) -> str:
    return _sha256(json.dumps(data, sort_keys=True), path)


def _sha256(text: str, path: Path) -> str:
    return hashlib.sha256(f"{_place(path)}\n{text}".encode()).hexdigest()


def _place(path: Path) -> str:
    """The path from the preset on, which stays where the folder of results is moved."""
    parts = path.absolute().parts
    presets = [i for i, part in enumerate(parts) if part in PRESETS]
    return "/".join(parts[presets[-1] if presets else -1 :])
