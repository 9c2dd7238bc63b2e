"""Results of the preset paper that were computed once and accepted: every run shows and guards them.

``replications/<paper>/baselines/paper/`` holds, per experiment, every record of its runs
(``<experiment>.runs.csv``), the embedding of its hidden features where it has any
(``<experiment>.embedding.csv``) and the fingerprints of its cells (``<experiment>.fingerprints.csv``),
beside what every baseline holds (replications/baselines.py); and what has not been run (``not_run.csv``).
An experiment is accepted with the seeds that all its arms have, beside seeds accepted before, as long
as its spec and its fingerprints stand. An experiment that the preset quick runs as it is has nothing
to accept: its table is quick's.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from replications import baselines, claims, datasets, provenance, spec
from replications.embedding import placed
from replications.errors import UserError
from replications.files import atomically
from replications.results import COLUMNS, Run, read_run, read_table, run_file, table_file, tidy
from replications.spec import ACCEPTED, Cell

KEYS = ["arm", "seed", "step", "epoch"]
Origins = Mapping[str, Mapping[str, Any]]


def folder_of(paper: str, folder: Path = spec.HERE) -> Path:
    return baselines.folder_of(paper, "paper", folder)


def restore(paper: str, table: str, results: Path, folder: Path = spec.HERE) -> None:
    """Write an accepted table: an experiment's records, or the embedding of its features.

    ``table`` is the experiment's name or, for the embedding, ``<experiment>.embedding``.
    """
    experiment, _, kind = table.partition(".")
    spec.cells_of(paper, experiment, "paper", folder)  # refuses one that there is not
    if kind not in ("", "embedding"):
        raise UserError(f"unknown table {table!r}; valid: {experiment}, {experiment}.embedding")
    if spec.also_quick(paper, experiment, folder):
        text = _of_quick(paper, table, results).to_csv(index=False)
    elif kind:
        text = _kept(paper, experiment, kind, folder).read_text()
    else:
        text = _tall(_read(paper, experiment, folder)).to_csv(index=False)
    with atomically(table_file(results, ACCEPTED, paper, table)) as temporary:
        temporary.write_text(text)


def _of_quick(paper: str, experiment: str, results: Path) -> pd.DataFrame:
    return read_table(table_file(results, "quick", paper, experiment))


def _read(paper: str, experiment: str, folder: Path) -> pd.DataFrame:
    return _parsed(_kept(paper, experiment, "runs", folder))


def _kept(paper: str, experiment: str, kind: str, folder: Path) -> Path:
    file = folder_of(paper, folder) / f"{experiment}.{kind}.csv"
    if not file.exists():
        raise UserError(f"{file}: no accepted results of {experiment}; see `accept --preset paper`")
    return file


def _parsed(runs: Path | io.StringIO) -> pd.DataFrame:
    return pd.read_csv(runs, dtype={"arm": str})


def _wide(table: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
    """A row per record, a column per measure and layer: a fifth of the size."""
    order = table["arm"].map({arm: i for i, arm in enumerate(arms)})
    table = table.assign(order=order).sort_values(["order", "seed"], kind="stable")
    names = table["measure"].where(table["layer"] == "", table["measure"] + "/" + table["layer"])
    return (
        table.assign(name=names)
        .pivot(index=KEYS, columns="name", values="value")
        .loc[:, list(dict.fromkeys(names))]
        .reindex(pd.MultiIndex.from_frame(table[KEYS].drop_duplicates()))
    )


def _tall(wide: pd.DataFrame) -> pd.DataFrame:
    """A tidy table again. What an arm does not measure has no number in any of its records."""
    parts = []
    for _, rows in wide.groupby("arm", sort=False):
        for name in rows.columns.difference(KEYS, sort=False):
            if rows[name].notna().any():
                measure, _, layer = name.partition("/")
                part = rows[KEYS].assign(measure=measure, layer=layer, value=rows[name])
                parts.append(part[COLUMNS])
    return pd.concat(parts)


def fingerprint(paper: str, experiment: str, results: Path, folder: Path = spec.HERE) -> None:
    """Write the fingerprints of an experiment as they are now."""
    with atomically(fingerprint_file(results, paper, experiment)) as temporary:
        _fingerprints(spec.cells_of(paper, experiment, "paper", folder)).to_csv(temporary)


def fingerprint_file(results: Path, paper: str, experiment: str) -> Path:
    return results / ACCEPTED / paper / "fingerprints" / f"{experiment}.csv"


def _fingerprints(cells: Sequence[Cell]) -> pd.DataFrame:
    from replications.fingerprints import distinct, fingerprint

    return pd.concat([fingerprint(cell) for cell in distinct(cells)], axis=1)


def accept(
    paper: str,
    results: Path,
    yes: bool = False,
    folder: Path = spec.HERE,
    say: Callable[[str], None] = print,
    ask: Callable[[str], str] = input,
) -> int:
    """Show what there is of the preset paper and what that would change, ask, and keep it: 0, or 1.

    Raises UserError for a result of another spec, or one that today's code does not begin.
    """
    target = folder_of(paper, folder)
    # Whatever the claims need: where it is missing, that is said before anything is written.
    tables: dict[str, pd.DataFrame] = {
        name: _of_quick(paper, name, results)
        for name in spec.load(paper, folder).experiments
        if spec.also_quick(paper, name, folder)
    }
    texts: dict[str, str] = {}
    before = baselines.read_origins(target)
    origins: dict[str, Any] = {}
    changes, lacking = [], []
    names = baselines.experiments(paper, "paper", folder)
    for name in names:
        cells = spec.cells_of(paper, name, "paper", folder)
        runs = {
            c.arm: read_run(run_file(results, c)) for c in cells if run_file(results, c).exists()
        }
        seeds = _common(runs) if len(runs) == len(cells) else []
        if seeds:
            for cell in cells:
                _check_origin(cell, runs[cell.arm], results / "datasets")
            frames, found, note = _renewed(cells, runs, before, results, folder)
            changes.append(f"{name}: {len(seeds)} of {cells[0].spec.seeds} seeds{note}")
            aggregates = f"{name}.aggregates.csv"
            # With more seeds every n and every sd is another one.
            changes += baselines.renewed(target / aggregates, frames[aggregates], ["mean"])
            for file, frame in frames.items():
                short = any(kind in file for kind in (".runs.", ".embedding."))
                texts[file] = frame.to_csv(float_format="%.6g" if short else None)
            wide = _parsed(io.StringIO(texts[f"{name}.runs.csv"]))
            origins |= found
        elif name in spec.kept(paper, folder):
            changes.append(f"{name}: not run, the accepted results stay")
            wide = _read(paper, name, folder)
            origins |= {cell: o for cell, o in before.items() if cell.startswith(f"{name}/")}
        else:
            changes.append(f"{name}: not run")
            wide = None
        if wide is not None:
            tables[name], seeds = _tall(wide), sorted(set(wide["seed"]))
        lacking += [_lack(c, seeds) for c in cells if len(seeds) < c.spec.seeds]
    judged = claims.judge_tables(paper, ACCEPTED, tables.get, folder)
    texts["not_run.csv"] = pd.DataFrame(lacking, columns=LACK).to_csv(index=False)
    verdicts = {claim["id"]: claim["verdict"] for claim in judged}
    proposal = baselines.Proposal(target, names, texts, origins, verdicts, changes)
    return baselines.propose(proposal, yes, say, ask)


def _renewed(
    cells: Sequence[Cell],
    runs: Mapping[str, Run],
    before: Origins,
    results: Path,
    folder: Path,
) -> tuple[dict[str, pd.DataFrame], Origins, str]:
    """An experiment's files, the origins of its cells, and a word on the seeds accepted before."""
    paper, name, arms = cells[0].paper, cells[0].experiment, [cell.arm for cell in cells]
    seeds = _common(runs)
    table = pd.concat([tidy(arm, run) for arm, run in runs.items()])
    table = table[table["seed"].isin(seeds)]
    fingerprints = _fingerprints(cells)
    origins = {f"{name}/{arm}": runs[arm].manifest for arm in arms}
    old, note = _beside(cells, seeds, fingerprints, folder)
    if old is not None:
        table = pd.concat([_tall(old), table])
        origins = {key: _since(before[key], new) for key, new in origins.items()}
    frames = {
        f"{name}.runs.csv": _wide(table, arms),
        f"{name}.fingerprints.csv": fingerprints,
        f"{name}.aggregates.csv": baselines.aggregates(table),
    }
    # The rest is of the first seed alone, and stays where that was accepted before.
    losses, embedding = f"{name}.first_losses.csv", f"{name}.embedding.csv"
    features = any("features" in cell.spec.measures for cell in cells)
    if old is not None and old["seed"].min() < min(seeds):
        home = folder_of(paper, folder)
        kept = [losses, embedding] if features else [losses]
        return frames | {file: baselines.read(home / file) for file in kept}, origins, note
    frames[losses] = baselines.first_losses(runs)
    if features:
        frames[embedding] = placed(cells, results, results / "datasets").set_index("arm")
    return frames, origins, note


def _beside(
    cells: Sequence[Cell],
    seeds: Sequence[int],
    fingerprints: pd.DataFrame,
    folder: Path,
) -> tuple[pd.DataFrame | None, str]:
    """An experiment's accepted records of other seeds, and a word on them; None where there are none.

    They go where today's specs or code would compute other runs: that is what fingerprints tell.
    """
    paper, name = cells[0].paper, cells[0].experiment
    if name not in spec.kept(paper, folder):
        return None, ""
    old = _read(paper, name, folder)
    old = old[~old["seed"].isin(seeds)]
    count = old["seed"].nunique()
    if not count:
        return None, ""
    kept = folder_of(paper, folder) / f"{name}.fingerprints.csv"
    moved = baselines.renewed(kept, fingerprints)
    if moved or baselines.other_specs(paper, [name], folder):
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
    from replications import plan

    left = cell.spec.seeds - len(seeds)
    cost = plan.cost(cell, plan.time_layer)
    share = left / cell.spec.seeds
    hours = float(f"{share * cost.seconds / 3600:.2g}")
    return cell.experiment, cell.arm, left, round(share * cost.updates), hours


def _check_origin(cell: Cell, run: Run, folder: Path) -> None:
    """Refuse a run of another spec, and one that today's code would not begin as it did."""
    from replications import fingerprints

    if run.manifest["spec_digest"] != cell.digest:
        raise UserError(f"{cell.name}: the run is of another spec; run it again")
    if run.manifest["source_digest"] == provenance.source_digest(cell):
        return
    first = int(np.argmin(run.seeds))
    load = partial(datasets.load, folder=folder)
    now = fingerprints.first_losses(cell, load, int(run.seeds[first]))
    allowed = baselines.FIRST_LOSSES[cell.spec.dtype]
    if not np.allclose(now, run.first_losses[first], allowed["rtol"], allowed["atol"]):
        raise UserError(f"{cell.name}: today's code begins another run; run it again")


def not_run(paper: str, folder: Path = spec.HERE) -> pd.DataFrame:
    """What of the preset paper was not run when its results were accepted; empty where none were."""
    file = folder_of(paper, folder) / "not_run.csv"
    return pd.read_csv(file) if file.exists() else pd.DataFrame(columns=LACK)
