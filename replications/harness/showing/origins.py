"""Where a number comes from: the command that computes it, its seeds, the commit and the machine."""

from collections.abc import Iterable, Mapping
from typing import Any

from replications.harness.declared import experiments
from replications.harness.judging import manifests
from replications.harness.records import read_run
from replications.harness.showing.markdown import table
from replications.harness.store import Store

# How one of them is checked, in the time that a reader has.
CHECK = (
    "To check a row of full scale, train the first pass of one of its seeds again and compare every digit: "
    "`python -m replications verify PAPER EXPERIMENT RUN --passes 1 --sample 1`. A row of quick is checked "
    "by its command."
)
HEADS = ("run", "command", "seeds", "commit", "machine", "versions")


def anchor(paper: str, experiment: str) -> str:
    """The name of the place on a page where an experiment's runs are listed."""
    return f"runs-{paper}-{experiment}"


def link(paper: str, experiment: str) -> str:
    """A link to it."""
    return f"[{experiment}](#{anchor(paper, experiment)})"


def of_arms(paper: str, experiment: str, preset: str, store: Store) -> dict[str, list[Any]]:
    """Arm -> the origins of its seeds: of the run that there is, else of what was accepted."""
    accepted = manifests.read_manifest(paper, preset, store).cells
    found = {}
    for cell in experiments.cells_of(paper, experiment, preset, store):
        file = store.run(preset, paper, experiment, cell.arm)
        if cell.key in accepted and (preset == "full" or not file.is_file()):
            found[cell.arm] = list(accepted[cell.key]["origins"])
        elif file.is_file():
            found[cell.arm] = list(read_run(file).manifest["origins"])
    return found


def listed(paper: str, names: Iterable[str], preset: str, store: Store) -> str:
    """The runs of experiments, as Markdown: a row for each start of each arm."""
    parts = []
    for name in dict.fromkeys(names):
        # Of what quick runs as full scale does, the run is quick's.
        own = preset
        if preset == "full" and name not in experiments.kept(paper, store):
            own = "quick" if experiments.same_in_both(paper, name, store) else preset
        rows = [
            _row(paper, name, arm, own, origin)
            for arm, found in of_arms(paper, name, own, store).items()
            for origin in found
        ]
        if rows:
            head = f'<a id="{anchor(paper, name)}"></a>\n\n### {paper}: {name}, {own}'
            parts.append(f"{head}\n\n{table(HEADS, rows)}")
    return "\n\n".join(parts)


def _row(paper: str, name: str, arm: str, preset: str, origin: Mapping[str, Any]) -> list[str]:
    spans = _spans(sorted(int(seed) for seed in origin["seeds"]))
    asked = ",".join(f"{span[0]}:{span[-1] + 1}" for span in spans)
    command = (
        f"python -m replications simulate {paper} {name} {arm} --preset {preset} --seeds {asked}"
    )
    versions = ", ".join(f"{k} {v}" for k, v in (origin.get("versions") or {}).items())
    machine = " ".join(str(origin[k]) for k in ("device", "processor") if origin.get(k))
    shown = ", ".join(
        f"{span[0]} to {span[-1]}" if len(span) > 1 else f"{span[0]}" for span in spans
    )
    return [arm, f"`{command}`", shown, f"{origin.get('commit', '')}"[:12], machine, versions]


def _spans(seeds: Iterable[int]) -> list[list[int]]:
    """Sorted seeds, parted where one is left out."""
    spans: list[list[int]] = []
    for seed in seeds:
        if spans and seed == spans[-1][-1] + 1:
            spans[-1].append(seed)
        else:
            spans.append([seed])
    return spans
