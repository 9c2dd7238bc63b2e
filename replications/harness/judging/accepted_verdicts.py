"""The verdicts as they were accepted, whole: what READMEs, the scoreboard and the picture of all papers say.

``accepted/<preset>/verdicts.json`` holds what ``judge`` found when the results were accepted, so that
to show it needs no run. It is written with the accepted results, and never by hand.
"""

import json
from typing import TYPE_CHECKING

from replications.harness.files import atomically
from replications.harness.store import Store

if TYPE_CHECKING:
    from replications.harness.judging.verdicts import Judged


def judged_text(judged: "Judged") -> str:
    """The judged claims and numbers, as they are kept: one a line."""
    kinds = [
        f'"{kind}": [\n' + ",\n".join(json.dumps(one, ensure_ascii=False) for one in found) + "\n]"
        for kind, found in judged.items()
    ]
    return "{" + ",\n".join(kinds) + "}\n"


def keep_judged(judged: "Judged", paper: str, preset: str, store: Store = Store()) -> None:
    """Write them beside the accepted results."""
    with atomically(store.kept_verdicts(paper, preset)) as temporary:
        temporary.write_text(judged_text(judged), encoding="utf-8")


def judged_as_accepted(paper: str, preset: str, store: Store = Store()) -> "Judged":
    """Read them; no claims and no numbers where none were accepted."""
    path = store.kept_verdicts(paper, preset)
    if not path.is_file():
        return {"claims": [], "numbers": []}
    judged: "Judged" = json.loads(path.read_text(encoding="utf-8"))
    return judged
