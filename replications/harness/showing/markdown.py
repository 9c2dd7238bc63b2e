"""Markdown: rows of tables, and the parts of a file that are generated."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from replications.harness.errors import UserError
from replications.harness.files import atomically

NO_BREAK = "\N{NO-BREAK SPACE}"


def row(cells: Iterable[str]) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def table(heads: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    return "\n".join([row(heads), row(["---"] * len(heads)), *(row(cells) for cells in rows)])


def filled(text: str, parts: Mapping[str, str], where: str) -> str:
    """``text`` with every part between its markers, ``<!-- NAME: begin -->`` and ``end``, put anew.

    Raises UserError for markers that are missing.
    """
    for name, part in parts.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        if begin not in text or end not in text.split(begin, 1)[1]:
            raise UserError(f"{where}: no lines {begin!r} and {end!r}")
        before, rest = text.split(begin, 1)
        text = f"{before}{begin}\n{part}\n{end}{rest.split(end, 1)[1]}"
    return text


def fill(file: Path, parts: Mapping[str, str], check: bool = False) -> bool:
    """Renew the generated parts of ``file``; with ``check`` only say whether they are true."""
    old = file.read_text(encoding="utf-8")
    new = filled(old, parts, str(file))
    if not check and new != old:
        with atomically(file) as temporary:
            temporary.write_text(new, encoding="utf-8")
    return new == old
