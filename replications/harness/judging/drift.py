"""Accepted numbers: what they are, and how far a number may move before the check is red.

``replications/<paper>/accepted/<preset>/`` holds, per experiment, the first 20 losses of each arm
(``first_losses``, tight), and each measure at the end, over seeds: for quick as ``aggregates``, beside the
``early`` records of each arm (to rounding); at full scale every record (``runs``), from which they follow,
and the ``fingerprints`` of the cells. Beside them the accepted verdicts (``claims.csv``), and where all of it
comes from (``manifest.json``, see ``judging.manifests``). tests/regression/check_accepted.py compares.
Nothing but ``accept`` ever writes there.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy

from replications.harness.catalogue.measures import MEASURES
from replications.harness.declared import experiments
from replications.harness.errors import UserError, damaged
from replications.harness.judging.end_table import LOGARITHM, last_move, summarize
from replications.harness.judging.manifests import read_manifest
from replications.harness.judging.verdicts import VERDICTS, Judged, by_id, read_records
from replications.harness.records import Run, read_run
from replications.harness.store import Store
from replications.harness.tables import by_quantity, read_table, tall, tidy

# What a run computes and is held against; and what today's code computes for results that no run
# computes again.
COMPUTED = ("first_losses", "early", "aggregates")
KEPT = ("fingerprints",)
Tolerances = dict[str, dict[str, Any]]

# How far the first losses may move. Another instruction set sums in another order, which changes
# the last bits of every product, and 20 online updates amplify that little: on 784-1000-10 in
# float32, AVX and SSE4.2 stay within 6e-7 of AVX-512. A change of a rule, a rate, an initial draw
# or the order of examples moves a loss by far more.
FIRST_LOSSES = {
    "float64": {"rtol": 1e-8, "atol": 1e-12},
    "float32": {"rtol": 2e-5, "atol": 1e-7},
}
# The records of each arm's first seed that are kept of quick: its start and the next three, which is
# past the end of an epoch or two wherever records are an epoch apart.
EARLY = 4
# How far an early record may move: a share of itself, and what one example more or less makes. On this
# project's cells AVX2 gives AVX-512's bits, and SSE4.2 stays within 7e-5 (float32) or 2e-15 of them.
ROUNDING = {"float64": 1e-9, "float32": 5e-4}
# Up to so many runs, their own spread says too little.
FEW = 3
# How far a mean may move at most where few runs tell its spread: a share of itself, or for what falls over
# decades so many of them.
SHARE, DECADES = 0.25, 0.5


def guarded(paper: str, preset: str, accepted: bool, store: Store = Store()) -> list[str]:
    """The experiments whose accepted numbers a check holds. What quick runs as it is has quick's."""
    if accepted:
        return experiments.kept(paper, store)
    names = experiments.names(paper, preset, store)
    return [n for n in names if preset == "quick" or not experiments.same_in_both(paper, n, store)]


def measured(kind: str, paper: str, preset: str, experiment: str, store: Store) -> pd.DataFrame:
    """An experiment's numbers as they are now, in the form in which they are accepted."""
    if kind == "fingerprints":
        return read_numbers(store.fingerprints(preset, paper, experiment))
    table = read_table(store.table(preset, paper, experiment))
    if kind == "aggregates":
        return aggregates(table)
    arms = table["arm"].unique()
    runs = {a: read_run(store.run(preset, paper, experiment, a)) for a in arms}
    return early(runs) if kind == "early" else first_losses(runs)


def accepted_numbers(
    kind: str, paper: str, preset: str, experiment: str, store: Store
) -> pd.DataFrame:
    """The same as they were accepted. Raises UserError where none were."""
    if (kind, preset) == ("aggregates", "full"):
        return aggregates(tall(read_records(store.kept(paper, preset, experiment, "runs"))))
    return read_numbers(store.kept(paper, preset, experiment, kind))


def read_numbers(file: Path) -> pd.DataFrame:
    """Read a table whose first column names its rows. Raises UserError."""
    if not file.exists():
        raise UserError(f"{file}: no such file")
    try:
        table = pd.read_csv(file, index_col=0)
        if len(table) and not all(kind.kind in "if" for kind in table.dtypes):
            raise ValueError("not all of it are numbers")
        _check_names(table, file.name.rpartition(".")[0].rpartition(".")[2])
        return table
    except (ValueError, pd.errors.ParserError) as error:
        raise damaged(file, error) from None


def _check_names(table: pd.DataFrame, kind: str) -> None:
    """Raise ValueError where rows or columns of a table of this kind have no names that it can have."""
    if kind == "aggregates":
        wanted, known = {"mean", "sd", "n", "diverged"}, [str(name) for name in table.index]
        if missing := wanted - set(table.columns):
            raise ValueError(f"no column {min(missing)}")
        if not np.isfinite(table[["n", "diverged"]].to_numpy(float)).all():
            raise ValueError("a row has no number of runs")
        parts = [name.removesuffix(LOGARITHM).split("/")[1:] for name in known]
    elif kind == "early":
        parts = [str(name).rpartition(" at ")[0].split("/")[1:] for name in table.index]
        _check_types(table.columns)
    else:
        parts = []
        if kind in ("first_losses", "fingerprints"):
            _check_types(str(name).rpartition("(")[2].rstrip(")") for name in table.columns)
    if wrong := [row for row, part in enumerate(parts, 1) if not part or part[0] not in MEASURES]:
        raise ValueError(f"row {wrong[0]} is of no measure")
    if table.empty or table.index.has_duplicates:
        raise ValueError("a row stands twice" if len(table) else "it has no rows")


def _check_types(names: Iterable[Any]) -> None:
    if wrong := [str(name) for name in names if name not in FIRST_LOSSES]:
        raise ValueError(f"{wrong[0]!r} is no type of number")


def first_losses(runs: Mapping[str, Run]) -> pd.DataFrame:
    """One column per arm, of its first seed; the name tells the precision, and so the tolerance."""
    columns = {}
    for arm, run in runs.items():
        losses = run.first_losses[np.argmin(run.seeds)].astype(np.float64)
        columns[f"{arm} ({run.manifest['spec']['dtype']})"] = pd.Series(losses)
    frame = pd.DataFrame(columns)
    return frame.set_index(pd.Index(range(1, len(frame) + 1), name="update"))


def early(runs: Mapping[str, Run]) -> pd.DataFrame:
    """The first records of each arm's first seed, one row each; the column tells the precision."""
    rows = {}
    for arm, run in runs.items():
        first = np.argmin(run.seeds)
        for name, values in run.measures.items():
            if not MEASURES[name.partition("/")[0]].scalar:
                continue
            for step, value in list(zip(run.step, values[first], strict=True))[:EARLY]:
                rows[f"{arm}/{name} at {step}"] = {run.manifest["spec"]["dtype"]: float(value)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("record")


def rounding(name: str, dtype: str, value: float) -> float:
    """What another processor may make of an early record, beside a share of it.

    One example of a thousand goes to another class; where a number falls over decades nothing is
    added; an angle near 0 is a root of its round-off.
    """
    measure = MEASURES[name]
    if measure.unit == "%":
        return 1.01e-3
    if measure.unit == "°":
        return 1e-5 if dtype == "float64" else 5e-3
    if measure.relative:
        return ROUNDING[dtype] * 1e-3
    return 1e-12 if dtype == "float64" else 1e-7 * max(1.0, abs(value))


def aggregates(table: pd.DataFrame) -> pd.DataFrame:
    """Mean and sd over seeds at the last record, one row per arm, measure and layer; and how far the runs
    moved since the record before, on average (``moved``)."""
    rows = {}
    for (arm, measure, layer), own in by_quantity(table):
        name = "/".join(part for part in (arm, measure, layer) if part)
        name += LOGARITHM if MEASURES[measure].logarithmic else ""
        found = summarize(own, arm, measure, layer)
        rows[name] = {"mean": found.mean, "sd": found.sd, "n": found.n, "diverged": found.diverged}
        rows[name]["moved"] = last_move(own, arm, measure, layer)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("quantity")


def tolerances(kind: str, baseline: pd.DataFrame) -> Tolerances:
    """What ``np.isclose`` allows, per column; from the baseline alone, never from the new numbers.

    Aggregates, in both mean and sd: ``max(sd, resolution) / sqrt(n)``, one standard error of the
    mean, where runs count as spread by at least the resolution of the measure. ``n`` is exact.

    A few runs (``FEW`` or less) do not tell their spread, and a long float32 run carries another
    processor's round-off as far as another seed would. There the mean may move as two such samples
    differ: ``t sqrt(2 / n)`` times the spread pooled over the arms, ``t`` at 99.9 %; but by no more
    than ``SHARE`` of itself, or ``DECADES``, which is also what holds where no arm has two runs. A run
    that is still under way may be as far off as it moved between its last two records: another
    processor's round-off takes a net of a hundred layers off chance some records earlier or later.
    """
    if kind == "early":
        return {dtype: {"rtol": 0.0, "atol": _early(column)} for dtype, column in baseline.items()}
    if kind != "aggregates":
        names = {column: column.rpartition("(")[2].rstrip(")") for column in baseline.columns}
        return {column: FIRST_LOSSES[dtype] for column, dtype in names.items()}
    ended = np.maximum(baseline["n"] - baseline["diverged"], 1)
    resolution = [_resolution(*row) for row in baseline["mean"].items()]
    sd = pd.Series(np.fmax(baseline["sd"].to_numpy(), resolution), index=baseline.index)
    error = sd / np.sqrt(ended)
    measure = baseline.index.str.partition("/").get_level_values(2)
    freedom = (ended - 1).groupby(measure).transform("sum")
    variance = ((ended - 1) * sd**2).groupby(measure).transform("sum") / freedom.clip(lower=1)
    t = np.where(freedom > 0, scipy.special.stdtrit(freedom.clip(lower=1), 0.9995), np.inf)
    spread = np.sqrt(np.maximum(variance, np.square(resolution)))
    most = np.maximum(resolution, [_most(*row) for row in baseline["mean"].items()])
    moved = np.nan_to_num(baseline["moved"].to_numpy(dtype=float)) if "moved" in baseline else 0.0
    most = np.maximum(most, moved)
    error = error.where(ended > FEW, np.minimum(t * np.sqrt(2 / ended) * spread, most))
    allowed = {"rtol": 0.0, "atol": error.to_numpy()}
    exact = {"rtol": 0.0, "atol": 0.0}
    found = {"mean": allowed, "sd": allowed, "n": exact, "diverged": exact}
    return found | ({"moved": allowed} if "moved" in baseline else {})


def _early(column: pd.Series) -> np.ndarray:
    dtype = str(column.name)
    found = []
    for row, value in column.items():
        measure = str(row).rpartition(" at ")[0].split("/")[1]
        share = ROUNDING[dtype] * abs(np.nan_to_num(value))
        found.append(share + rounding(measure, dtype, np.nan_to_num(value)))
    return np.array(found)


def _most(name: Any, mean: float) -> float:
    return DECADES if str(name).endswith(LOGARITHM) else SHARE * abs(np.nan_to_num(mean))


def _resolution(name: Any, mean: float) -> float:
    measure = MEASURES[name.removesuffix(LOGARITHM).split("/")[1]]
    return measure.resolution * (max(1.0, abs(np.nan_to_num(mean))) if measure.relative else 1.0)


def differences(old: pd.DataFrame, new: pd.DataFrame, allowed: Tolerances) -> list[str]:
    """What moved, by name: one line per number, ``row column: baseline, now, tolerance``."""
    lines = []
    for what, before, now in (("column", old.columns, new.columns), ("row", old.index, new.index)):
        lines += [f"{what} {name!r} has no baseline" for name in now.difference(before)]
        lines += [f"{what} {name!r} is gone" for name in before.difference(now)]
    rows = old.index.intersection(new.index)
    for column in old.columns.intersection(new.columns):
        rtol, atol = allowed[column]["rtol"], allowed[column]["atol"]
        atol = pd.Series(np.broadcast_to(atol, len(old)), index=old.index)[rows]
        a, b = new.loc[rows, column], old.loc[rows, column]
        tolerance = atol + rtol * b.abs()
        moved = ~np.isclose(a, b, rtol=rtol, atol=atol, equal_nan=True)
        lines += [
            f"{row}, {column}: baseline {b[row]:.7g}, now {a[row]:.7g}, tolerance {limit:.2g}"
            for row, limit in tolerance[moved].items()
        ]
    return lines


def moved(old: pd.DataFrame, new: pd.DataFrame, file: Path) -> list[str]:
    """What writing ``new`` in place of the accepted numbers ``old`` would change, line by line."""
    allowed = tolerances(file.name.split(".")[1], old)
    return [f"{file.name}: {line}" for line in differences(old, new, allowed)]


def accepted_verdicts(paper: str, preset: str, store: Store = Store()) -> dict[str, str]:
    """Id of a claim or number -> accepted verdict; empty where none has been accepted."""
    file = store.accepted(paper, preset) / "claims.csv"
    if not file.exists():
        return {}
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
        verdicts = dict(zip(table["id"], table["verdict"], strict=True))
        if unknown := set(verdicts.values()) - set(VERDICTS):
            raise ValueError(f"{min(unknown)!r} is no verdict")
    except (ValueError, KeyError, pd.errors.ParserError) as error:
        raise damaged(file, error) from None
    return verdicts


def stale_verdicts(judged: Judged, derived: Judged) -> list[str]:
    """The verdicts that are not those of the numbers they are said to be of, and what else is said of
    them: words, estimates, intervals."""
    said, found = by_id(judged), by_id(derived)
    lines = [
        f"claim {name}: judged {said.get(name, 'not at all')}, its numbers give {found.get(name, 'none')}"
        for name in sorted(said.keys() | found.keys())
        if said.get(name) != found.get(name)
    ]
    return lines or _otherwise(judged, derived, _whole)


def other_accounts(accepted: Judged, derived: Judged, kept: Sequence[str]) -> list[str]:
    """What accepted verdicts say otherwise than what was kept: words and regions of every claim, and all
    numbers of those that need no fresh run."""

    def said(one: Mapping[str, Any]) -> Mapping[str, Any]:
        names = {part["experiment"] for part in one["parts"]}
        return _whole(one) if names <= set(kept) else _words(one)

    return _otherwise(accepted, derived, said)


# What of a judged claim or number a fresh run moves, and what of it is the verdict, which may be the
# lower of two.
_MOVES = {"estimate", "interval", "n", "diverged", "control", "power", "verdict"}


def _whole(one: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: value for key, value in one.items() if key != "verdict"}


def _words(one: Mapping[str, Any]) -> Mapping[str, Any]:
    parts = [{k: v for k, v in part.items() if k not in _MOVES} for part in one["parts"]]
    # What the control is stays; what became of it moves.
    own = {k: v for k, v in one.items() if k not in _MOVES - {"control"}}
    return {**own, "parts": parts}


def _otherwise(
    judged: Judged, derived: Judged, said: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> list[str]:
    a, b = (
        {o["id"]: said(o) for found in one.values() for o in found} for one in (judged, derived)
    )
    return [
        f"claim {name}: {key} is not that of its numbers and of claims.yaml"
        for name in sorted(a.keys() | b.keys())
        for key in dict.fromkeys([*a.get(name, {"id": ""}), *b.get(name, {"id": ""})])
        if not _alike(a.get(name, {}).get(key), b.get(name, {}).get(key))
    ]


def _alike(a: Any, b: Any) -> bool:
    """Whether two judged values are one: numbers, which have six digits, to the last of them."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_alike(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_alike, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return bool(np.isclose(a, b, rtol=1e-5, atol=1e-12))
    return bool(a == b)


def other_verdicts(accepted: Mapping[str, str], derived: Judged, kept: Sequence[str]) -> list[str]:
    """The accepted verdicts that kept records do not give, better or worse: nothing but an edit moves
    them. Claims that need a fresh run as well may rise."""
    used = {
        one["id"]: {part["experiment"] for part in one["parts"]}
        for kind in derived.values()
        for one in kind
    }
    return [
        f"claim {name}: accepted {accepted[name]}, the accepted records give {now}"
        for name, now in by_id(derived).items()
        if name in accepted and used[name] <= set(kept) and accepted[name] != now
    ]


class VerdictChanges(NamedTuple):
    """Lines on claims: what makes the check red, and what is only good news."""

    fell: list[str]
    rose: list[str]


def verdict_changes(accepted: Mapping[str, str], judged: Mapping[str, str]) -> VerdictChanges:
    gone = accepted.keys() - judged.keys()
    fell = [f"claim {name} is gone (accepted: {accepted[name]})" for name in gone]
    rose = []
    order: list[str] = list(VERDICTS)
    for name, now in judged.items():
        before = accepted.get(name)
        if before is None:
            fell.append(f"claim {name} has no accepted verdict (now: {now})")
        elif order.index(now) > order.index(before):
            fell.append(f"claim {name} fell: accepted {before}, now {now}")
        elif now != before:
            rose.append(f"claim {name} rose: accepted {before}, now {now}")
    return VerdictChanges(sorted(fell), rose)


def lower_verdicts(accepted: Mapping[str, str], judged: Mapping[str, str]) -> dict[str, str]:
    """Of each claim that is judged, the worse of the two verdicts."""
    order: list[str] = list(VERDICTS)
    return {
        name: max(now, accepted.get(name, now), key=order.index) for name, now in judged.items()
    }


def outlived(paper: str, preset: str, names: Sequence[str], store: Store = Store()) -> list[Path]:
    """The accepted tables of experiments that are not among ``names``."""
    found = store.accepted(paper, preset).glob("*.*.csv")
    return sorted(file for file in found if file.name.split(".")[0] not in names)


def other_specs(paper: str, preset: str, names: Sequence[str], store: Store = Store()) -> list[str]:
    """The accepted cells whose spec is another one now.

    Their fingerprints may stand all the same: how long a run is, or what it measures, its first updates
    do not tell.
    """
    accepted = read_manifest(paper, preset, store).cells
    cells = [cell for name in names for cell in experiments.cells_of(paper, name, preset, store)]
    return [c.key for c in cells if accepted.get(c.key, {}).get("spec_digest") != c.digest]


def stale_tables(paper: str, preset: str, names: Sequence[str], store: Store) -> list[str]:
    """The tables that are not those of their runs."""
    lines = []
    for name in names:
        table = _in_order(read_table(store.table(preset, paper, name)))
        arms = experiments.cells_of(paper, name, preset, store)
        runs = {c.arm: read_run(store.run(preset, paper, name, c.arm)) for c in arms}
        now = _in_order(pd.concat([tidy(arm, run) for arm, run in runs.items()]))
        # What CSV gives back of a number may be its neighbour.
        same = len(table) == len(now) and all(
            np.isclose(table[column], now[column], rtol=1e-12, atol=0, equal_nan=True).all()
            if now[column].dtype.kind == "f"
            else (table[column] == now[column]).all()
            for column in now
        )
        if not same:
            lines.append(
                f"{store.table(preset, paper, name)}: not the table of its runs; tabulate again"
            )
    return lines


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    return table.sort_values(["arm", "measure", "layer", "seed", "step"], ignore_index=True)


def renewal(paper: str, preset: str) -> str:
    """The command that accepts what a check refuses."""
    return f"python -m replications accept {paper} --preset {preset}"
