"""The words and symbols that a reader meets everywhere: in READMEs, in the report, after a run."""

from collections.abc import Mapping
from typing import Any

from replications.harness.declared import experiments
from replications.harness.declared.published import CERTAINTIES
from replications.harness.store import Store

SYMBOLS: dict[str, str] = {
    "reproduced": "✔",
    "near": "≈",
    "inconclusive": "?",
    "incomplete": "…",
    "not run": "-",
    "not reproduced": "✘",
}
# What a verdict is called: of a claim, and of a number that is to agree with the paper's.
OF_CLAIM: dict[str, str] = {
    "reproduced": "reproduced",
    "near": "near",
    "inconclusive": "open",
    "incomplete": "too few runs",
    "not run": "not run",
    "not reproduced": "failed",
}
OF_NUMBER: dict[str, str] = OF_CLAIM | {"reproduced": "agrees", "not reproduced": "differs"}
# Of a statement that is weaker than full scale's: a small run can decide no more.
WEAKER = "({})"
RECOLLECTED = ("C", "C+")


def short_name(paper: str, store: Store = Store()) -> str:
    """How one cites a paper: ``Lillicrap et al. 2016``; a folder without a year by its title."""
    declared, year = experiments.load(paper, store), paper[-4:]
    if not year.isdigit():
        return declared.title
    authors = declared.reference.partition(".")[0].split(", ")
    if len(authors) > 2:
        return f"{authors[0]} et al. {year}"
    return f"{' and '.join(authors)} {year}"


def runs_of(part: Mapping[str, Any]) -> str:
    """``n = 5``, or ``3 of 5 runs`` where some are lacking."""
    n, declared = part["n"], part["declared"]
    text = f"n = {n}" if n >= declared else f"{n} of {declared} runs"
    return text + (f", {part['diverged']} diverged" if part["diverged"] else "")


def interval_of(part: Mapping[str, Any], digits: int = 4) -> str:
    """``estimate (low to high)`` of a judged part; a word where there is no number."""
    if part["estimate"] is None:
        return "not finite" if part["n"] else "not run"
    value = f"{part['estimate']:.{digits}g}"
    if part["n"] == 1 or part["quantity"].startswith("worst"):
        return value
    ends = ("unbounded" if end is None else f"{end:.{digits}g}" for end in part["interval"])
    return f"{value} ({' to '.join(ends)})"


def verdict_of_claim(claim: Mapping[str, Any]) -> str:
    """A claim's verdict with its symbol, and what it is worth."""
    verdict = claim["verdict"]
    text = f"{SYMBOLS[verdict]} {OF_CLAIM[verdict]}"
    if verdict == "incomplete":
        fewest = min((p for p in claim["parts"]), key=lambda p: p["n"] / p["declared"])
        text = _too_few(fewest)
    if claim["identity"]:
        return f"{text}, exact identity"
    return text if claim["power"] else f"{text}, without power"


def verdict_of_number(number: Mapping[str, Any]) -> str:
    """The verdict on a number with its symbol."""
    (part,) = number["parts"]
    verdict = number["verdict"]
    if verdict == "incomplete":
        return _too_few(part)
    return f"{SYMBOLS[verdict]} {OF_NUMBER[verdict]}"


def _too_few(part: Mapping[str, Any]) -> str:
    """How many runs there are where there is no verdict yet, or where one run can have none."""
    n, declared = part["n"], part["declared"]
    return f"{SYMBOLS['incomplete']} " + ("one run" if n >= declared else f"{n} of {declared} runs")


def legend() -> str:
    """What the letters mean."""
    letters = "; ".join(f"**{letter}** {text}" for letter, text in CERTAINTIES.items())
    return f"Certainty of a published number: {letters}."
