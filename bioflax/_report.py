"""What a conversion says of itself."""

import dataclasses

from bioflax._rules.base import Rule


@dataclasses.dataclass(frozen=True)
class Entry:
    """What became of some arrays of one module. ``action``: converted, exact or left."""

    path: str
    layer: str
    action: str
    reason: str = ""
    arrays: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Report:
    """What ``convert`` did, module by module; prints as a table.

    ``converted``: the error goes through ``B``. ``exact``: no error is mixed by these arrays (they
    are added, looked up, or multiply unit by unit, as in a normalisation), so there is nothing to
    decouple. ``left``: the error passes these as in backpropagation, for the reason given.
    """

    rule: Rule
    entries: tuple[Entry, ...]

    def paths(self, action: str) -> list[str]:
        """The modules that were ``"converted"``, ``"exact"`` or ``"left"``."""
        return list(dict.fromkeys(e.path for e in self.entries if e.action == action))

    def __str__(self) -> str:
        rows = [
            (e.path or ".", e.layer, e.action, ", ".join(e.arrays), e.reason) for e in self.entries
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([f"{self.rule}: {len(self.paths('converted'))} layers converted", *lines])
