"""Accepting results: show what would change, ask, and write; the only way into ``accepted/``.

Of the preset quick all experiments are accepted together. At full scale an experiment is accepted
with the seeds that all its arms have, beside seeds accepted before, as long as its spec and its
fingerprints stand; one that quick runs as it is has nothing to accept.
"""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from replications.harness.declared import experiments
from replications.harness.declared.experiments import Cell
from replications.harness.errors import UserError
from replications.harness.files import atomically
from replications.harness.judging import drift, verdicts
from replications.harness.judging.arrays import has_arrays, tabulate_arrays
from replications.harness.judging.embedding import embed_features
from replications.harness.records import Run, read_run
from replications.harness.store import Store
from replications.harness.tables import read_table, tall, tidy, wide
from replications.harness.training import costs, datasets, fingerprints, provenance

Origins = Mapping[str, Mapping[str, Any]]


@dataclass
class Proposal:
    """What is to stand among a paper's accepted results.

    Attributes:
      names: its experiments.
      texts: file -> content, of the experiments that have new ones.
      origins: cell -> where its numbers come from, of all cells.
      judged: id -> verdict.
      changes: a line for each number that this changes.
    """

    names: Sequence[str]
    texts: dict[str, str] = field(default_factory=dict)
    origins: dict[str, Any] = field(default_factory=dict)
    judged: dict[str, str] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)


def accept(
    paper: str,
    preset: str,
    store: Store,
    yes: bool = False,
    say: Callable[[str], None] = print,
    ask: Callable[[str], str] = input,
) -> int:
    """Show what renewing the accepted results would change, ask, and write them: 0, or 1 if declined.

    Raises UserError where a result is missing, is of another spec, or is one that today's code does
    not begin.
    """
    new = (_of_quick if preset == "quick" else _of_full_scale)(paper, store)
    target = store.accepted(paper, preset)
    stale = drift.outlived(paper, preset, new.names, store)
    gone = [f"{path.name}: removed, there is no such experiment" for path in stale]
    before = drift.accepted_verdicts(paper, preset, store)
    fell, rose = drift.verdict_changes(before, new.judged)
    say("\n".join([*gone, *new.changes, *fell, *rose]) or f"{target}: nothing changes")
    if not yes and ask("Accept them? [y/N] ").strip().lower() not in ("y", "yes"):
        return 1
    for path in stale:
        path.unlink()
    judged = pd.DataFrame(new.judged.items(), columns=["id", "verdict"])
    own = {"manifest.json": _origins_text(new.origins), "claims.csv": judged.to_csv(index=False)}
    for file, text in {**new.texts, **own}.items():
        with atomically(target / file) as temporary:
            temporary.write_text(text)
    return 0


def _of_quick(paper: str, store: Store) -> Proposal:
    names = drift.guarded(paper, "quick", accepted=False, store=store)
    new = Proposal(names)
    for name in names:
        for kind in drift.COMPUTED:
            frame = drift.measured(kind, paper, "quick", name, store)
            file = store.kept(paper, "quick", name, kind)
            new.texts[file.name] = frame.to_csv()
            new.changes += _changed(frame, file)
    judged = verdicts.read_verdicts(paper, "quick", store)
    new.judged = dict(verdicts.by_id(judged))
    # Where a claim's numbers are the same but for round-off, a verdict that moved lies at the border
    # of its region, and stands on the lower side: no processor's round-off shall make it fall.
    moved = {change.split(".")[0] for change in new.changes}
    used = {
        one["id"]: {part["experiment"] for part in one["parts"]}
        for kind in judged.values()
        for one in kind
    }
    still = {key: new.judged[key] for key, names_of in used.items() if not names_of & moved}
    new.judged |= drift.lower_verdicts(drift.accepted_verdicts(paper, "quick", store), still)
    for cell in experiments.cells(paper, "quick", store):
        run = store.run("quick", paper, cell.experiment, cell.arm)
        new.origins[cell.key] = read_run(run).manifest
    return new


def _changed(frame: pd.DataFrame, file: Path) -> list[str]:
    if not file.exists():
        return [f"{file.name}: new, {frame.shape[0]} rows"]
    return drift.moved(drift.read_numbers(file), frame, file)


def _of_full_scale(paper: str, store: Store) -> Proposal:
    # Whatever the claims need: where it is missing, that is said before anything is written.
    tables: dict[str, pd.DataFrame] = {
        name: read_table(store.table("quick", paper, name))
        for name in experiments.names(paper, "full", store)
        if experiments.same_in_both(paper, name, store)
    }
    before = drift.read_origins(paper, "full", store)
    new = Proposal(drift.guarded(paper, "full", accepted=False, store=store))
    lacking = []
    for name in new.names:
        cells = experiments.cells_of(paper, name, "full", store)
        files = {c.arm: store.run("full", paper, name, c.arm) for c in cells}
        runs = {arm: read_run(file) for arm, file in files.items() if file.exists()}
        seeds = _common(runs) if len(runs) == len(cells) else []
        if seeds:
            for cell in cells:
                _check_origin(cell, runs[cell.arm], store)
            records = _renew(new, cells, runs, before, store)
        elif name in experiments.kept(paper, store):
            new.changes.append(f"{name}: not run, the accepted results stay")
            records = verdicts.read_records(store.kept(paper, "full", name, "runs"))
            new.origins |= {cell: o for cell, o in before.items() if cell.startswith(f"{name}/")}
        else:
            new.changes.append(f"{name}: not run")
            records = None
        if records is not None:
            tables[name], seeds = tall(records), sorted(set(records["seed"]))
        lacking += [_lack(c, seeds) for c in cells if len(seeds) < c.spec.seeds]
    judged = verdicts.judge_tables(paper, "full", tables.get, store)
    new.judged = dict(verdicts.by_id(judged))
    new.texts["not_run.csv"] = pd.DataFrame(lacking, columns=LACK).to_csv(index=False)
    return new


def _renew(
    new: Proposal, cells: Sequence[Cell], runs: Mapping[str, Run], before: Origins, store: Store
) -> pd.DataFrame:
    """Add an experiment's files to ``new``, with the origins of its cells; its records."""
    paper, name, arms = cells[0].paper, cells[0].experiment, [cell.arm for cell in cells]
    seeds = _common(runs)
    table = pd.concat([tidy(arm, run) for arm, run in runs.items()])
    table = table[table["seed"].isin(seeds)]
    prints = fingerprints.of_cells(cells)
    origins = {f"{name}/{arm}": runs[arm].manifest for arm in arms}
    old, note = _beside(cells, seeds, prints, store)
    new.changes.append(f"{name}: {len(seeds)} of {cells[0].spec.seeds} seeds{note}")
    if old is not None:
        table = pd.concat([tall(old), table])
        origins = {key: _since(before[key], one) for key, one in origins.items()}
    if name in experiments.kept(paper, store):
        accepted = drift.accepted_numbers("aggregates", paper, "full", name, store)
        # With more seeds every n and every sd is another one.
        means = drift.aggregates(table)[["mean"]]
        allowed = {"mean": drift.tolerances("aggregates", accepted)["mean"]}
        lines = drift.differences(accepted[["mean"]], means, allowed)
        new.changes += [f"{name}.aggregates: {line}" for line in lines]
    records = wide(table, arms).to_csv(float_format="%.6g")
    new.texts[f"{name}.runs.csv"] = records
    new.texts[f"{name}.fingerprints.csv"] = prints.to_csv()
    # The rest is of the first seed alone, and stays where that was accepted before.
    if old is None or old["seed"].min() >= min(seeds):
        new.texts[f"{name}.first_losses.csv"] = drift.first_losses(runs).to_csv()
        if any("features" in cell.spec.measures for cell in cells):
            embedding = embed_features(cells, store).set_index("arm")
            new.texts[f"{name}.embedding.csv"] = embedding.to_csv(float_format="%.6g")
        if any(map(has_arrays, cells)):
            drawn = tabulate_arrays(cells, store).set_index("arm")
            new.texts[f"{name}.arrays.csv"] = drawn.to_csv()
    new.origins |= origins
    return pd.read_csv(io.StringIO(records), dtype={"arm": str})


def _beside(
    cells: Sequence[Cell], seeds: Sequence[int], prints: pd.DataFrame, store: Store
) -> tuple[pd.DataFrame | None, str]:
    """An experiment's accepted records of other seeds, and a word on them; None where there are none.

    They go where today's specs or code would compute other runs: that is what fingerprints tell.
    """
    paper, name = cells[0].paper, cells[0].experiment
    if name not in experiments.kept(paper, store):
        return None, ""
    old = verdicts.read_records(store.kept(paper, "full", name, "runs"))
    old = old[~old["seed"].isin(seeds)]
    count = old["seed"].nunique()
    if not count:
        return None, ""
    moved = _changed(prints, store.kept(paper, "full", name, "fingerprints"))
    if moved or drift.other_specs(paper, [name], store):
        return None, f"; {count} accepted before go, today's code makes other runs"
    return old, f"; {count} accepted before stay"


def _since(before: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A run's manifest, with the origins of the seeds that were accepted before and are not its own."""
    own = set(manifest["seeds"])
    others = [o for o in provenance.origins(before) if not set(o["seeds"]) <= own]
    return {**manifest, "earlier": [*manifest.get("earlier", []), *others]}


def _common(runs: Mapping[str, Run]) -> list[int]:
    """The seeds that all arms have."""
    return sorted(set.intersection(*(set(run.seeds.tolist()) for run in runs.values())))


LACK = ["experiment", "arm", "seeds", "updates", "core_hours"]


def _lack(cell: Cell, seeds: Sequence[int]) -> tuple[str, str, int, int, float]:
    """What is left to run of a cell, and its cost as `plan` estimates it on this machine."""
    left = cell.spec.seeds - len(seeds)
    cost = costs.cost(cell, costs.time_layer)
    share = left / cell.spec.seeds
    hours = float(f"{share * cost.seconds / 3600:.2g}")
    return cell.experiment, cell.arm, left, round(share * cost.updates), hours


def _check_origin(cell: Cell, run: Run, store: Store) -> None:
    """Refuse a run of another spec, and one that today's code would not begin as it did."""
    if run.manifest["spec_digest"] != cell.digest:
        raise UserError(f"{cell.name}: the run is of another spec; run it again")
    if run.manifest["source_digest"] == provenance.source_digest(cell):
        return
    first = int(np.argmin(run.seeds))
    load = partial(datasets.load, store=store)
    now = fingerprints.first_losses(cell, load, int(run.seeds[first]))
    allowed = drift.FIRST_LOSSES[cell.spec.dtype]
    if not np.allclose(now, run.first_losses[first], allowed["rtol"], allowed["atol"]):
        raise UserError(f"{cell.name}: today's code begins another run; run it again")


def read_not_run(paper: str, store: Store = Store()) -> pd.DataFrame:
    """Read what was not run at full scale when its results were accepted; empty where none were."""
    file = store.accepted(paper, "full") / "not_run.csv"
    return pd.read_csv(file) if file.exists() else pd.DataFrame(columns=LACK)


def _origins_text(manifests: Origins) -> str:
    """What the manifests say on where each cell's numbers come from, one line per cell."""
    found = {}
    for cell, manifest in manifests.items():
        own, *earlier = provenance.origins(manifest)
        found[cell] = own | {"earlier": earlier} if earlier else own
    lines = [f'"{cell}": {json.dumps(origin)}' for cell, origin in found.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"
