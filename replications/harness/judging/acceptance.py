"""Accepting results: show what would change, ask, and write; the only way into ``accepted/``.

Of the preset quick all experiments are accepted together. At full scale an experiment is accepted
with the seeds that all its arms have, beside seeds accepted before, as long as its spec and its
fingerprints stand; one that quick runs as it is has nothing to accept.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from replications.harness.catalogue.datasets import DATASETS
from replications.harness.catalogue.rules import RULES
from replications.harness.declared import experiments
from replications.harness.declared.experiments import Cell
from replications.harness.errors import UserError, damaged
from replications.harness.files import replaced
from replications.harness.judging import accepted_verdicts, drift, manifests, verdicts, verify
from replications.harness.judging.arrays import has_arrays, tabulate_arrays
from replications.harness.judging.embedding import embed_features
from replications.harness.records import Run, read_run
from replications.harness.store import Store
from replications.harness.tables import read_table, tall, tidy, wide
from replications.harness.training import costs, fingerprints, provenance

# What every acceptance writes anew.
JUDGED = ("claims.csv", "verdicts.json")
# What backprop may differ from itself, in degrees.
OWN_ANGLE = 1e-3


@dataclass
class Proposal:
    """What is to stand among a paper's accepted results.

    Attributes:
      names: its experiments.
      texts: file -> content, of the experiments that have new ones.
      cells: cell -> the digest of its spec and the origins of its seeds, of all cells.
      judged: id -> verdict.
      whole: the same with every part, as READMEs show it.
      changes: a line for each number that this changes.
    """

    names: Sequence[str]
    texts: dict[str, str] = field(default_factory=dict)
    cells: manifests.Cells = field(default_factory=dict)
    judged: dict[str, str] = field(default_factory=dict)
    whole: verdicts.Judged = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)


def accept(
    paper: str,
    preset: str,
    store: Store,
    yes: bool = False,
    say: Callable[[str], None] = print,
    ask: Callable[[str], str] = input,
    passes: int = 1,
) -> int:
    """Show what renewing the accepted results would change, ask, and write them: 0, or 1 if declined.

    What is taken is trained again for its first ``passes`` through the data. Raises UserError where a
    result is missing, is of another spec or of other data, is of seeds beyond those declared, and
    where today's code does not give its numbers.
    """
    new = (_of_quick if preset == "quick" else _of_full_scale)(paper, store, passes)
    target = store.accepted(paper, preset)
    stale = drift.outlived(paper, preset, new.names, store)
    gone = [f"{path.name}: removed, there is no such experiment" for path in stale]
    before = drift.accepted_verdicts(paper, preset, store)
    fell, rose = drift.verdict_changes(before, new.judged)
    declared = manifests.other_declarations(paper, preset, store) if before else []
    edited = manifests.damage(paper, preset, store) if before else []
    # What stays is what was accepted: an edit is not to slip in beside new numbers.
    ours = {*new.texts, *(path.name for path in stale), *JUDGED}
    if slipped := [line for line in edited if Path(line.partition(": ")[0]).name not in ours]:
        raise UserError(f"{slipped[0]}; take it back from git")
    lines = [*declared, *edited, *gone, *new.changes, *fell, *rose]
    say("\n".join(lines) or f"{target}: nothing changes")
    if not yes and _answer(ask) not in ("y", "yes"):
        return 1
    judged = pd.DataFrame(new.judged.items(), columns=["id", "verdict"])
    whole = accepted_verdicts.judged_text(accepted_verdicts.with_verdicts(new.whole, new.judged))
    kept = store.kept_verdicts(paper, preset).name
    texts = {**new.texts, "claims.csv": judged.to_csv(index=False), kept: whole}
    with replaced(target) as folder:
        for path in stale:
            (folder / path.name).unlink()
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
        files = {
            f.name: manifests.text_digest(manifests.read_text(f))
            for f in folder.iterdir()
            if f.name != manifests.MANIFEST
        }
        own = manifests.Manifest(manifests.declared(paper, store), files, new.cells)
        (folder / manifests.MANIFEST).write_text(own.text, encoding="utf-8")
    return 0


def _answer(ask: Callable[[str], str]) -> str:
    try:
        return ask("Accept them? [y/N] ").strip().lower()
    except (EOFError, RuntimeError):  # at its end; there is none
        said = "standard input is closed"
    except UnicodeDecodeError:
        said = "what standard input says is no text"
    raise UserError(f"no answer, {said}: nothing was accepted; say --yes")


def _of_quick(paper: str, store: Store, passes: int) -> Proposal:
    names = drift.guarded(paper, "quick", accepted=False, store=store)
    new = Proposal(names)
    if stale := drift.stale_tables(paper, "quick", names, store):
        raise UserError(stale[0])
    for name in names:
        for kind in drift.COMPUTED:
            frame = drift.measured(kind, paper, "quick", name, store)
            file = store.kept(paper, "quick", name, kind)
            new.texts[file.name] = frame.to_csv()
            new.changes += _changed(frame, file)
    judged = verdicts.read_verdicts(paper, "quick", store)
    read = verdicts.tables(paper, "quick", store)
    if edited := drift.stale_verdicts(judged, verdicts.judge_tables(paper, "quick", read, store)):
        raise UserError(f"{store.verdicts('quick', paper)}: {edited[0]}; judge again")
    new.judged, new.whole = dict(verdicts.by_id(judged)), judged
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
        run = read_run(store.run("quick", paper, cell.experiment, cell.arm))
        check_run(cell, run)
        if passes:
            # The first seed for its first passes, the others to their first record.
            first, *others = sorted(run.seeds.tolist())
            kept = verify.records_of(cell, run)
            verify.check_seeds(cell, [first], kept, store, passes)
            verify.check_seeds(cell, others, kept, store, 0)
        new.cells[cell.key] = _entry(run)
    return new


def _entry(run: Run) -> dict[str, Any]:
    """What an accepted manifest says of a cell."""
    return {"spec_digest": run.manifest["spec_digest"], "origins": run.manifest["origins"]}


def _changed(frame: pd.DataFrame, file: Path) -> list[str]:
    if not file.exists():
        return [f"{file.name}: new, {frame.shape[0]} rows"]
    return drift.moved(drift.read_numbers(file), frame, file)


def _of_full_scale(paper: str, store: Store, passes: int) -> Proposal:
    # Whatever the claims need: where it is missing, that is said before anything is written.
    tables: dict[str, pd.DataFrame] = {
        name: read_table(store.table("quick", paper, name))
        for name in experiments.names(paper, "full", store)
        if experiments.same_in_both(paper, name, store)
    }
    before = manifests.read_manifest(paper, "full", store).cells
    # What stays is what was accepted: an edit is not to slip in beside new seeds.
    if before and (edited := [x for x in manifests.damage(paper, "full", store) if ".runs." in x]):
        raise UserError(f"{edited[0]}; take it back from git")
    new = Proposal(drift.guarded(paper, "full", accepted=False, store=store))
    lacking = []
    for name in new.names:
        cells = experiments.cells_of(paper, name, "full", store)
        files = {c.arm: store.run("full", paper, name, c.arm) for c in cells}
        runs = {arm: read_run(file) for arm, file in files.items() if file.exists()}
        # Of all arms; or of arms that are new, which join those that were accepted.
        whole = len(runs) == len(cells)
        joins = name in experiments.kept(paper, store) and _new_arms(cells, before) == set(runs)
        taken = _taken(cells, runs) if runs and (whole or joins) else {}
        if taken:
            for cell in cells:
                if cell.arm not in runs:
                    continue
                check_run(cell, runs[cell.arm])
                if passes:
                    kept = verify.records_of(cell, runs[cell.arm])
                    verify.check_seeds(cell, taken[cell.arm], kept, store, passes)
            records = (_renew if whole else _join)(new, cells, runs, taken, before, store)
        elif name in experiments.kept(paper, store):
            new.changes.append(f"{name}: not run, the accepted results stay")
            records = verdicts.read_records(store.kept(paper, "full", name, "runs"))
            stay = {key: c for key, c in before.items() if key.startswith(f"{name}/")}
            new.cells |= _standing(new, stay, cells, store)
        else:
            new.changes.append(f"{name}: not run")
            records = None
        there = {cell.arm: 0 for cell in cells}
        if records is not None:
            tables[name] = tall(records)
            there |= records.groupby("arm")["seed"].nunique().to_dict()
        lacking += [_lack(c, there[c.arm]) for c in cells if there[c.arm] < c.spec.seeds]
    judged = verdicts.judge_tables(paper, "full", tables.get, store)
    new.judged, new.whole = dict(verdicts.by_id(judged)), judged
    new.texts["not_run.csv"] = pd.DataFrame(lacking, columns=LACK).to_csv(index=False)
    return new


def _standing(
    new: Proposal, stay: manifests.Cells, cells: Sequence[Cell], store: Store
) -> manifests.Cells:
    """Entries of cells that stay, with today's code where their fingerprints stand under it."""
    paper, name = cells[0].paper, cells[0].experiment
    if name not in manifests.unproven(paper, store):
        return stay
    moved = _changed(fingerprints.of_cells(cells), store.kept(paper, "full", name, "fingerprints"))
    new.changes += [f"{line} (today's code makes other runs)" for line in moved]
    now = {} if moved else manifests.stands(cells)
    return {key: {**entry, **now.get(key, {})} for key, entry in stay.items()}


def _renew(
    new: Proposal,
    cells: Sequence[Cell],
    runs: Mapping[str, Run],
    taken: Mapping[str, Sequence[int]],
    before: manifests.Cells,
    store: Store,
) -> pd.DataFrame:
    """Add an experiment's files to ``new``, with the origins of its seeds; its records."""
    paper, name, arms = cells[0].paper, cells[0].experiment, [cell.arm for cell in cells]
    table = _of_taken(runs, taken)
    prints = fingerprints.of_cells(cells)
    standing = manifests.stands(cells)
    entries = {cell.key: {**_entry(runs[cell.arm]), **standing[cell.key]} for cell in cells}
    old, note = _beside(cells, taken, prints, store)
    new.changes.append(f"{name}: {_how_many(cells, taken)}{note}")
    if old is not None:
        table = pd.concat([tall(old), table])
        entries |= {
            cell.key: _beside_before(entries[cell.key], before[cell.key], taken[cell.arm])
            for cell in cells
        }
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
    if old is None or old["seed"].min() >= min(map(min, taken.values())):
        new.texts[f"{name}.first_losses.csv"] = drift.first_losses(runs).to_csv()
        if any("features" in cell.spec.measures for cell in cells):
            embedding = embed_features(cells, store).set_index("arm")
            new.texts[f"{name}.embedding.csv"] = embedding.to_csv(float_format="%.6g")
        if any(map(has_arrays, cells)):
            drawn = tabulate_arrays(cells, store).set_index("arm")
            new.texts[f"{name}.arrays.csv"] = drawn.to_csv()
    new.cells |= manifests.with_records(entries, name, records)
    return pd.read_csv(io.StringIO(records), dtype={"arm": str})


def _new_arms(cells: Sequence[Cell], before: manifests.Cells) -> set[str]:
    """The arms of an experiment of which nothing was accepted."""
    return {cell.arm for cell in cells if cell.key not in before}


def _join(
    new: Proposal,
    cells: Sequence[Cell],
    runs: Mapping[str, Run],
    taken: Mapping[str, Sequence[int]],
    before: manifests.Cells,
    store: Store,
) -> pd.DataFrame:
    """The same where all that was run are new arms: what was accepted of the others stays as it is.

    Raises UserError where today's specs or code would compute other runs of those, and where something is
    kept that is of all arms at once.
    """
    paper, name = cells[0].paper, cells[0].experiment
    if any("features" in cell.spec.measures or has_arrays(cell) for cell in cells):
        raise UserError(f"{paper}/{name}: a new arm has a picture with the others; run all arms")
    prints = fingerprints.of_cells(cells)
    file = store.kept(paper, "full", name, "fingerprints")
    known = drift.read_numbers(file)
    stay = [cell for cell in cells if cell.arm not in runs]
    specs = [cell for cell in stay if before[cell.key]["spec_digest"] != cell.digest]
    if specs or drift.moved(known, prints.reindex(columns=known.columns), file):
        one = (specs or stay)[0].name
        raise UserError(f"{one}: today's code makes other runs than the accepted; run it again")
    old = tall(verdicts.read_records(store.kept(paper, "full", name, "runs")))
    table = pd.concat([old, _of_taken(runs, taken)])
    count = old["seed"].nunique()
    new.changes += [
        f"{name}: {_how_many(cells, taken)}; {count} accepted before stay",
        *(f"{name}: new arm {arm}" for arm in runs),
    ]
    losses = drift.read_numbers(store.kept(paper, "full", name, "first_losses"))
    records = wide(table, [cell.arm for cell in cells]).to_csv(float_format="%.6g")
    new.texts[f"{name}.runs.csv"] = records
    new.texts[f"{name}.fingerprints.csv"] = prints.to_csv()
    new.texts[f"{name}.first_losses.csv"] = losses.join(drift.first_losses(runs)).to_csv()
    standing = manifests.stands(cells)
    entries = {
        cell.key: {
            **(_entry(runs[cell.arm]) if cell.arm in runs else before[cell.key]),
            **standing[cell.key],
        }
        for cell in cells
    }
    new.cells |= manifests.with_records(entries, name, records)
    return pd.read_csv(io.StringIO(records), dtype={"arm": str})


def _beside(
    cells: Sequence[Cell], taken: Mapping[str, Sequence[int]], prints: pd.DataFrame, store: Store
) -> tuple[pd.DataFrame | None, str]:
    """An experiment's accepted records of other seeds, and a word on them; None where there are none.

    They go where today's specs or code would compute other runs: that is what fingerprints tell.
    """
    paper, name = cells[0].paper, cells[0].experiment
    if name not in experiments.kept(paper, store):
        return None, ""
    old = verdicts.read_records(store.kept(paper, "full", name, "runs"))
    old = old[
        [seed not in taken.get(arm, ()) for arm, seed in zip(old["arm"], old["seed"], strict=True)]
    ]
    count = old["seed"].nunique()
    if not count:
        return None, ""
    moved = _changed(prints, store.kept(paper, "full", name, "fingerprints"))
    if moved or drift.other_specs(paper, "full", [name], store):
        return None, f"; {count} accepted before go, today's code makes other runs"
    return old, f"; {count} accepted before stay"


def _beside_before(
    entry: dict[str, Any], before: Mapping[str, Any], seeds: Sequence[int]
) -> dict[str, Any]:
    """A cell's entry, with the origins of the seeds that were accepted before and are not new."""
    new = provenance.only(entry["origins"], seeds)
    return {**entry, "origins": [*new, *provenance.without(before["origins"], seeds)]}


def _taken(cells: Sequence[Cell], runs: Mapping[str, Run]) -> dict[str, list[int]]:
    """Arm -> those of its seeds that all arms have that declare them; nothing where an arm has none."""
    declared = {cell.arm: cell.spec.seeds for cell in cells}
    there = {arm: set(run.seeds.tolist()) for arm, run in runs.items()}

    def whole(seed: int) -> bool:
        return all(seed in seeds for arm, seeds in there.items() if seed < declared[arm])

    taken = {arm: sorted(filter(whole, seeds)) for arm, seeds in there.items()}
    return taken if all(taken.values()) else {}


def _of_taken(runs: Mapping[str, Run], taken: Mapping[str, Sequence[int]]) -> pd.DataFrame:
    """The records of the seeds that are taken."""
    tables = [(arm, tidy(arm, run)) for arm, run in runs.items()]
    return pd.concat([table[table["seed"].isin(taken[arm])] for arm, table in tables])


def _how_many(cells: Sequence[Cell], taken: Mapping[str, Sequence[int]]) -> str:
    """``3 of 5 seeds``; where arms have other numbers of them, each."""
    counts = {c.arm: f"{len(taken[c.arm])} of {c.spec.seeds}" for c in cells if c.arm in taken}
    return f"{', '.join(dict.fromkeys(counts.values()))} seeds"


LACK = ["experiment", "arm", "seeds", "updates", "core_hours"]


def _lack(cell: Cell, there: int) -> tuple[str, str, int, int, float]:
    """What is left to run of a cell, and its cost as `plan` estimates it on this machine."""
    left = cell.spec.seeds - there
    cost = costs.cost(cell, costs.time_layer)
    share = left / cell.spec.seeds
    hours = float(f"{share * cost.seconds / 3600:.2g}")
    return cell.experiment, cell.arm, left, round(share * cost.updates), hours


def check_run(cell: Cell, run: Run) -> None:
    """Raise UserError for a run of another spec, of other data, of seeds beyond those declared, of other
    updates than its spec records, and for backprop at an angle to backprop."""
    manifest = run.manifest
    if manifest["spec_digest"] != cell.digest:
        raise UserError(f"{cell.name}: the run is of another spec; run it again")
    seeds = run.seeds.tolist()
    if set(provenance.of_seeds(manifest["origins"])) != set(seeds) or len(set(seeds)) < len(seeds):
        raise UserError(f"{cell.name}: its manifest tells of other seeds than it has; run it again")
    if beyond := [seed for seed in seeds if not 0 <= seed < cell.spec.seeds]:
        raise UserError(
            f"{cell.name}: seed {beyond[0]} is not among the {cell.spec.seeds} declared; "
            f"take out what lies beyond, or declare more before running them"
        )
    for origin in manifest["origins"]:
        data = origin["dataset"]
        pinned = DATASETS[cell.dataset].digest if cell.dataset else None
        if (data["name"], data.get("content")) != (cell.dataset, pinned):
            raise UserError(f"{cell.name}: trained on other data than {cell.dataset}; run it again")
    if (want := verify.stops_of(cell)) != run.step.tolist():
        raise UserError(
            f"{cell.name}: recorded after {len(run.step)} numbers of updates up to {run.step[-1]}, "
            f"its spec says {len(want)} up to {want[-1]}; run it again"
        )
    if RULES[cell.spec.rule].layer == "Backprop" and not RULES[cell.spec.rule].direct:
        for name, values in run.measures.items():
            if name.startswith("delta_angle") and np.nanmax(np.abs(values), initial=0) > OWN_ANGLE:
                raise UserError(
                    f"{cell.name}: {name} is {np.nanmax(values):.3g} degrees: the run is not by {cell.spec.rule}"
                )


def read_not_run(paper: str, store: Store = Store()) -> pd.DataFrame:
    """Read what was not run at full scale when its results were accepted; empty where none were."""
    file = store.accepted(paper, "full") / "not_run.csv"
    if not file.exists():
        return pd.DataFrame(columns=LACK)
    try:
        return pd.read_csv(file)[LACK]
    except (ValueError, KeyError, pd.errors.ParserError) as error:
        raise damaged(file, error) from None
