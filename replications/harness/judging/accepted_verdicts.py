"""The verdicts as they were accepted, whole: what READMEs, the scoreboard and the picture of all papers say.

``accepted/<preset>/verdicts.json`` holds what ``judge`` found when the results were accepted, so that
to show it needs no run. ``accept`` writes it with the accepted results; ``judge --keep`` judges what was
accepted again, where the judge is another one and the numbers are not.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from replications.harness.errors import UserError
from replications.harness.files import replaced
from replications.harness.judging import manifests
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


def with_verdicts(judged: "Judged", verdicts: Mapping[str, str]) -> "Judged":
    """The same with the verdicts that are accepted, where round-off stands between two of them."""
    return {
        kind: [one | {"verdict": verdicts.get(one["id"], one["verdict"])} for one in found]
        for kind, found in judged.items()
    }


def keep_judged(judged: "Judged", paper: str, preset: str, store: Store = Store()) -> None:
    """Write them beside the accepted results, and into their manifest; in ``claims.csv`` as well."""
    folder = store.accepted(paper, preset)
    rows = [f"{one['id']},{one['verdict']}\n" for found in judged.values() for one in found]
    kept = store.kept_verdicts(paper, preset).name
    texts = {kept: judged_text(judged), "claims.csv": "".join(["id,verdict\n", *rows])}
    manifest = manifests.read_manifest(paper, preset, store)
    manifest.files.update({name: manifests.text_digest(text) for name, text in texts.items()})
    manifest.declared.update(manifests.declared(paper, store))
    with replaced(folder) as new:
        for name, text in {**texts, manifests.MANIFEST: manifest.text}.items():
            (new / name).write_text(text, encoding="utf-8")


def judged_as_accepted(paper: str, preset: str, store: Store = Store()) -> "Judged":
    """Read them; no claims and no numbers where none were accepted."""
    path = store.kept_verdicts(paper, preset)
    if not path.is_file():
        return {"claims": [], "numbers": []}
    text = manifests.read_text(path)
    # A judged claim has many parts, and each is somebody's: only the whole text is what was accepted.
    if manifests.read_manifest(paper, preset, store).files.get(path.name) != manifests.text_digest(
        text
    ):
        raise UserError(f"{path}: another text than the one accepted; take it back from git")
    judged: Judged = json.loads(text)
    return judged
