"""Accepted numbers: what they are, how far a number may move, the check, and how they are renewed.

``replications/<paper>/baselines/<preset>/`` holds, per experiment, the first 20 losses of each arm
(``<experiment>.first_losses.csv``, tight) and each measure at the end, over seeds
(``<experiment>.aggregates.csv``); the accepted verdicts (``claims.csv``); and where all of it comes
from (``manifest.json``). ``check`` runs tests/regression/check_baselines.py, which compares with
pytest-regressions. Nothing but ``accept`` ever writes a baseline.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy

from replications import claims, provenance, spec, statistics
from replications.errors import UserError
from replications.files import atomically
from replications.results import Run, paper_folder, read_run, read_table

CHECK = Path(__file__).parent.parent / "tests" / "regression" / "check_baselines.py"
KINDS: tuple[str, ...] = ("first_losses", "aggregates")
# Of accepted results of the preset paper, which no run computes again.
ACCEPTED_KINDS = ("fingerprints",)
Tolerances = dict[str, dict[str, Any]]

# How far the first losses may move. Another instruction set sums in another order, which changes
# the last bits of every product, and 20 online updates amplify that little: on 784-1000-10 in
# float32, AVX and SSE4.2 stay within 6e-7 of AVX-512. A change of a rule, a rate, an initial draw
# or the order of examples moves a loss by far more.
FIRST_LOSSES = {
    "float64": {"rtol": 1e-8, "atol": 1e-12},
    "float32": {"rtol": 2e-5, "atol": 1e-7},
}
# Errors that fall over decades are averaged as logarithms; squares below 1e-30 are round-off.
LOGARITHMIC = {"train_loss", "test_loss", "test_nse", "gap", "invariant_drift"}
ROUND_OFF = 1e-30
# What one run may differ by without meaning anything: 5 of 1,000 test digits, half a degree, 5 %.
RESOLUTION = {"error": 0.005, "angle": 0.5, "log10": 0.02, "other": 1e-3}
# Up to so many runs, their own spread says too little.
FEW = 3
UNGUARDED = 1e300


def folder_of(paper: str, view: str, folder: Path = spec.HERE) -> Path:
    return folder / paper / "baselines" / spec.protocol(view)


def experiments(paper: str, view: str, folder: Path = spec.HERE) -> list[str]:
    """Those that have baselines of their own: what the preset quick runs as it is has quick's."""
    if view == spec.ACCEPTED:
        return spec.kept(paper, folder)
    names = spec.experiments(paper, view, folder)
    return [n for n in names if view == "quick" or not spec.also_quick(paper, n, folder)]


def measured(kind: str, results: Path, experiment: str) -> pd.DataFrame:
    """An experiment's numbers as a baseline holds them. ``results`` is one paper's folder."""
    if kind == "fingerprints":
        return _read_measured(results / "fingerprints" / f"{experiment}.csv")
    table = read_table(results / "tables" / f"{experiment}.csv")
    if kind == "aggregates":
        return aggregates(table)
    runs = results / "runs" / experiment
    return first_losses({arm: read_run(runs / f"{arm}.npz") for arm in table["arm"].unique()})


def _read_measured(file: Path) -> pd.DataFrame:
    if not file.exists():
        raise UserError(f"{file}: no such file; make it with `python -m replications fingerprint`")
    return read(file)


def first_losses(runs: Mapping[str, Run]) -> pd.DataFrame:
    """One column per arm, of its first seed; the name tells the precision, and so the tolerance."""
    columns = {}
    for arm, run in runs.items():
        losses = run.first_losses[np.argmin(run.seeds)].astype(np.float64)
        columns[f"{arm} ({run.manifest['spec']['dtype']})"] = pd.Series(losses)
    frame = pd.DataFrame(columns)
    return frame.set_index(pd.Index(range(1, len(frame) + 1), name="update"))


def aggregates(table: pd.DataFrame) -> pd.DataFrame:
    """Mean and sd over seeds at the last record, one row per arm, measure and layer."""
    rows = {}
    for (arm, measure, layer), group in table.groupby(["arm", "measure", "layer"], sort=False):
        last = group.sort_values("step").groupby("seed")["value"].agg(lambda x: x.to_numpy()[-1])
        values = last.to_numpy(dtype=float)
        name = "/".join(part for part in (arm, measure, layer) if part)
        if measure in LOGARITHMIC:
            name += " (log10)"
            values = np.where(np.isfinite(values), np.log10(np.maximum(values, ROUND_OFF)), nan)
        found = statistics.summary(values)
        rows[name] = {"mean": found.mean, "sd": found.sd, "n": found.n, "diverged": found.diverged}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("quantity")


def tolerances(kind: str, baseline: pd.DataFrame) -> Tolerances:
    """What ``np.isclose`` allows, per column; from the baseline alone, never from the new numbers.

    Aggregates, in both mean and sd: ``max(sd, resolution) / sqrt(n)``, one standard error of the
    mean, where runs count as spread by at least the resolution of the measure. ``n`` is exact.

    A few runs (``FEW`` or less) do not tell their spread, and a long float32 run carries another
    processor's round-off as far as another seed would. There the mean may move as two such samples
    differ: ``t sqrt(2 / n)`` times the spread pooled over the arms, ``t`` at 99.9 %. Where no arm
    has two runs, nothing is known and only the first losses guard the cell.
    """
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
    t = np.where(freedom > 0, scipy.special.stdtrit(freedom.clip(lower=1), 0.9995), UNGUARDED)
    spread = np.sqrt(np.maximum(variance, np.square(resolution)))
    error = error.where(ended > FEW, t * np.sqrt(2 / ended) * spread)
    allowed = {"rtol": 0.0, "atol": error.to_numpy()}
    exact = {"rtol": 0.0, "atol": 0.0}
    return {"mean": allowed, "sd": allowed, "n": exact, "diverged": exact}


def _resolution(name: Any, mean: float) -> float:
    if name.endswith("(log10)"):
        return RESOLUTION["log10"]
    measure = name.split("/")[1]
    for suffix in ("error", "angle"):
        if measure.endswith(suffix):
            return RESOLUTION[suffix]
    return RESOLUTION["other"] * max(1.0, abs(np.nan_to_num(mean)))


def read(file: Path) -> pd.DataFrame:
    return pd.read_csv(file, index_col=0)


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


def renewed(file: Path, frame: pd.DataFrame, columns: Sequence[str] | None = None) -> list[str]:
    """What writing ``frame`` into a baseline's file would change; of ``columns``, or of all."""
    if not file.exists():
        return [f"{file.name}: new, {frame.shape[0]} rows"]
    old, kind = read(file), file.name.split(".")[1]
    allowed = tolerances(kind, old)
    if columns is not None:
        old, frame = old[list(columns)], frame[list(columns)]
    return [f"{file.name}: {line}" for line in differences(old, frame, allowed)]


def accepted_verdicts(baselines: Path) -> dict[str, str]:
    """Claim id -> accepted verdict; empty where none has been accepted."""
    file = baselines / "claims.csv"
    if not file.exists():
        return {}
    table = pd.read_csv(file, dtype=str)
    return dict(zip(table["id"], table["verdict"], strict=True))


class VerdictChanges(NamedTuple):
    """Lines on claims: what makes the check red, and what is only good news."""

    fell: list[str]
    rose: list[str]


def verdict_changes(accepted: Mapping[str, str], judged: Mapping[str, str]) -> VerdictChanges:
    gone = accepted.keys() - judged.keys()
    fell = [f"claim {name} is gone (accepted: {accepted[name]})" for name in gone]
    rose = []
    order: list[str] = list(statistics.VERDICTS)
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
    order: list[str] = list(statistics.VERDICTS)
    return {
        name: max(now, accepted.get(name, now), key=order.index) for name, now in judged.items()
    }


def judged_verdicts(results: Path) -> dict[str, str]:
    """Claim id -> verdict, of one paper's folder of results."""
    return {claim["id"]: claim["verdict"] for claim in _judged(results)}


def judged_experiments(results: Path) -> dict[str, set[str]]:
    """Claim id -> the experiments that its parts are about."""
    return {c["id"]: {part["experiment"] for part in c["parts"]} for c in _judged(results)}


def _judged(results: Path) -> list[dict[str, Any]]:
    return claims.read(results.parent.parent, results.parent.name, results.name)


def renewal(paper: str, preset: str) -> str:
    return f"python -m replications accept {paper} --preset {spec.protocol(preset)}"


def outlived(target: Path, names: Sequence[str]) -> list[Path]:
    """The baselines of experiments that are not among ``names``."""
    return sorted(f for f in target.glob("*.*.csv") if f.name.split(".")[0] not in names)


def other_specs(paper: str, names: Sequence[str], folder: Path = spec.HERE) -> list[str]:
    """The accepted cells of the preset paper whose spec is another one now.

    Their fingerprints may stand all the same: how long a run is, or what it measures, its first updates
    do not tell.
    """
    origins = read_origins(folder_of(paper, spec.ACCEPTED, folder))
    cells = [cell for name in names for cell in spec.cells_of(paper, name, "paper", folder)]
    keys = {f"{cell.experiment}/{cell.arm}": cell.digest for cell in cells}
    return [k for k, digest in keys.items() if origins.get(k, {}).get("spec_digest") != digest]


def check(
    paper: str,
    preset: str,
    results: Path,
    names: Sequence[str] | None = None,
    folder: Path = spec.HERE,
    say: Callable[[str], None] = print,
) -> int:
    """Hold every number and verdict against the accepted ones; 0 if they stand, 1 if one moved.

    Says pytest's report. A green one is written to ``regression.txt`` beside the paper's tables; a
    red one removes it. ``names`` are the experiments to check, by default all of the preset.
    """
    ours = paper_folder(results, preset, paper)
    target = ours / "regression.txt"
    target.unlink(missing_ok=True)
    names = experiments(paper, preset, folder) if names is None else names
    kinds = KINDS
    if preset == spec.ACCEPTED:
        moved = other_specs(paper, names, folder)
        if moved:
            say(f"accepted under another spec: {', '.join(moved)}; renew: {renewal(paper, preset)}")
            return 1
        # Where nothing was kept, quick's own numbers are all there is; the verdicts on them stay.
        kinds = ACCEPTED_KINDS if names else ()
    words = [sys.executable, "-m", "pytest", str(CHECK), "--confcutdir", str(CHECK.parent)]
    words += ["-v", "--tb=short", "--no-header", "--show-capture=no", "-p", "no:cacheprovider"]
    # Options and plugins of the project's own test run (doctests, workers) have no place here.
    words += ["-o", "addopts=", "-p", "pytest_regressions.plugin", "-p", "pytest_datadir.plugin"]
    words += ["--results", str(ours.absolute()), "--experiments", ",".join(names)]
    words += ["--kinds", ",".join(kinds)]
    words += ["--baselines", str(folder_of(paper, preset, folder).absolute())]
    words += ["--renew", renewal(paper, preset)]
    # A report of one width and without colours or times is the same everywhere.
    plain = {"COLUMNS": "100", "NO_COLOR": "1", "PY_COLORS": "0", "PYTEST_ADDOPTS": ""}
    environment = {**os.environ, **plain, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    root = CHECK.parents[2]
    done = subprocess.run(words, cwd=root, env=environment, capture_output=True, text=True)
    report = re.sub(r"(?m)^=+ (.*) in [\d.]+s.*$", r"\1", done.stdout + done.stderr).strip()
    if done.returncode:
        say(report)
        return 1
    accepted = accepted_verdicts(folder_of(paper, preset, folder))
    report = "\n".join([report, *verdict_changes(accepted, judged_verdicts(ours)).rose])
    with atomically(target) as temporary:
        temporary.write_text(report + "\n")
    say(report)
    return 0


def accept(
    paper: str,
    preset: str,
    results: Path,
    yes: bool = False,
    names: Sequence[str] | None = None,
    folder: Path = spec.HERE,
    say: Callable[[str], None] = print,
    ask: Callable[[str], str] = input,
) -> int:
    """Show what renewing the baselines would change, ask, and write them: 0, or 1 if declined.

    Raises UserError where a result is missing.
    """
    ours, target = paper_folder(results, preset, paper), folder_of(paper, preset, folder)
    names = experiments(paper, preset, folder) if names is None else names
    frames = {f"{name}.{kind}.csv": measured(kind, ours, name) for name in names for kind in KINDS}
    judged = judged_verdicts(ours)
    changes = [line for file, frame in frames.items() for line in renewed(target / file, frame)]
    # Where a claim's numbers are the same but for round-off, a verdict that moved lies at the border
    # of its region, and stands on the lower side: no processor's round-off shall make it fall.
    moved = {change.split(".")[0] for change in changes}
    still = {name for name, used in judged_experiments(ours).items() if not used & moved}
    judged |= lower_verdicts(accepted_verdicts(target), {n: judged[n] for n in still})
    manifests = [f for name in names for f in sorted((ours / "runs" / name).glob("*.json"))]
    proposal = Proposal(
        target,
        names,
        {file: frame.to_csv() for file, frame in frames.items()},
        {f"{f.parent.name}/{f.stem}": json.loads(f.read_text()) for f in manifests},
        judged,
        changes,
    )
    return propose(proposal, yes, say, ask)


class Proposal(NamedTuple):
    """What is to stand in a folder of baselines: the files of the experiments that have new ones, the
    manifests of all cells, the verdicts; and a line for each number that this changes."""

    target: Path
    names: Sequence[str]
    texts: Mapping[str, str]
    manifests: Mapping[str, Mapping[str, Any]]
    judged: Mapping[str, str]
    changes: Sequence[str]


def propose(new: Proposal, yes: bool, say: Callable[[str], None], ask: Callable[[str], str]) -> int:
    """Say what would change, ask unless ``yes``, and write it: 0, or 1 if declined."""
    target = new.target
    stale = outlived(target, new.names)
    gone = [f"{path.name}: removed, there is no such experiment" for path in stale]
    fell, rose = verdict_changes(accepted_verdicts(target), new.judged)
    lines = [*gone, *new.changes, *fell, *rose]
    say("\n".join(lines) or f"{target}: every number is within its tolerance")
    if not yes and ask("Accept them? [y/N] ").strip().lower() not in ("y", "yes"):
        return 1
    for path in stale:
        path.unlink()
    verdicts = pd.DataFrame(new.judged.items(), columns=["id", "verdict"])
    texts = {
        **new.texts,
        "manifest.json": _origins_text(new.manifests),
        "claims.csv": verdicts.to_csv(index=False),
    }
    for file, text in texts.items():
        with atomically(target / file) as temporary:
            temporary.write_text(text)
    return 0


def read_origins(target: Path) -> dict[str, dict[str, Any]]:
    """Where each accepted cell comes from; nothing where nothing was accepted."""
    file = target / "manifest.json"
    return json.loads(file.read_text()) if file.exists() else {}


def _origins_text(manifests: Mapping[str, Mapping[str, Any]]) -> str:
    """What the manifests say on where each cell's numbers come from, one line per cell."""
    found = {}
    for cell, manifest in manifests.items():
        own, *earlier = provenance.origins(manifest)
        found[cell] = own | {"earlier": earlier} if earlier else own
    lines = [f'"{cell}": {json.dumps(origin)}' for cell, origin in found.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"
