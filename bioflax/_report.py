"""What a conversion says of itself."""

import dataclasses

from bioflax._rules.base import Rule


@dataclasses.dataclass(frozen=True)
class Entry:
    """What became of one module that has parameters. ``action``: converted, exact or left."""

    path: str
    layer: str
    action: str
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Report:
    """What ``convert`` did, module by module; prints as a table.

    ``exact``: the module has no weights an error could go through (normalisation), so there is
    nothing to decouple. ``left``: the module learns as before, for the reason given.
    """

    rule: Rule
    entries: tuple[Entry, ...]

    def paths(self, action: str) -> list[str]:
        """The modules that were ``"converted"``, ``"exact"`` or ``"left"``."""
        return [entry.path for entry in self.entries if entry.action == action]

    def __str__(self) -> str:
        rows = [(e.path or ".", e.layer, e.action, e.reason) for e in self.entries]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([f"{self.rule}: {len(self.paths('converted'))} layers converted", *lines])
