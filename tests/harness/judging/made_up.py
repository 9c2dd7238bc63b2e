"""Made-up tables and results, where what they come to is known."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from replications.harness.declared.claims import Part
from replications.harness.declared.reading import parse
from replications.harness.judging.verdicts import judge_part
from replications.harness.records import Run, write_run
from replications.harness.sealed import write_json
from replications.harness.store import Store
from replications.harness.tables import COLUMNS, write_table


def tidy(runs: Any, steps: Any = (0, 10, 20)) -> pd.DataFrame:
    """{(arm, measure, layer): array (seeds, records)} as a tidy table, 10 steps a pass."""
    rows = [
        (arm, seed, step, step / 10, measure, layer, value)
        for (arm, measure, layer), values in runs.items()
        for seed, run in enumerate(values)
        for step, value in zip(steps, run, strict=True)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def ends(values: Any) -> np.ndarray:
    """Runs that all start at 1 and end at ``values``."""
    values = np.asarray(values, dtype=float)
    return np.stack([np.ones_like(values), np.ones_like(values), values], axis=1)


def judged(
    part: dict[str, Any], table: pd.DataFrame, declared: int | None = None
) -> dict[str, Any]:
    """A part on one table, judged; its numbers are fit for JSON. As many runs as there are, are declared."""

    def runs(_: str, arm: str) -> int:
        return declared or max(2, table.loc[table["arm"] == arm, "seed"].nunique())

    value = {"experiment": "toy", "arm": "a", "measure": "test_error", **part.pop("value", {})}
    found = judge_part(
        parse(Part, {"value": value, **part}, "test"), {"toy": table}.__getitem__, runs
    )
    json.dumps(found, allow_nan=False)
    return found


def errors(**arms: Any) -> pd.DataFrame:
    """The test errors at the end of runs of these arms."""
    return tidy({(arm, "test_error", ""): ends(values) for arm, values in arms.items()})


# A paper ``toy`` with one experiment ``linear`` under quick

STEPS = np.array([0, 10])
SEEDS = 4
_RNG = np.random.default_rng(0)
ARMS: dict[str, dict[str, np.ndarray]] = {
    "backprop": {
        "test_nse": 10.0 ** _RNG.normal(-12, 1, SEEDS),
        "delta_angle/hidden_1": np.zeros(4),
    },
    "feedback_alignment": {
        "test_nse": 10.0 ** _RNG.normal(-11, 1, SEEDS),
        "delta_angle/hidden_1": _RNG.normal(35, 4, SEEDS),
        "test_error": np.array([0.1, 0.1, 0.1, 0.1]),
    },
}
LINEAR = {
    "title": "A linear net",
    "place": "none",
    "spec": {
        "task": {"teacher": {"inputs": 3, "outputs": 2, "train": 10}},
        "network": {"hidden": [4], "init": {"uniform": 0.1}},
        "optimizer": {"sgd": {"learning_rate": 0.1}},
        "measures": ["test_nse", "delta_angle", "test_error"],
        "seeds": SEEDS,
    },
    "arms": {arm: {"rule": arm} for arm in ARMS},
    "presets": {"quick": None},
}


def save(
    folder: Path, dtype: str = "float64", change: Any = None, verdict: str = "reproduced"
) -> Store:
    """The paper with its results under quick; ``change(arm, name, values)``."""
    store = Store(folder / "results", folder / "papers")
    store.experiments("toy").parent.mkdir(parents=True, exist_ok=True)
    paper = {"title": "t", "reference": "r", "experiments": {"linear": LINEAR}}
    store.experiments("toy").write_text(yaml.safe_dump(paper))
    rows = []
    for i, (arm, measures) in enumerate(ARMS.items()):
        losses = np.linspace(5 + i, 1, 20) + np.arange(SEEDS)[:, None]
        found = {"first_losses": losses, **measures}
        if change:
            found = {name: change(arm, name, np.array(values)) for name, values in found.items()}
        losses = found.pop("first_losses")
        runs = {name: np.stack([np.ones(SEEDS), values], axis=1) for name, values in found.items()}
        manifest = {"spec": {"dtype": dtype}, "steps_per_epoch": 10}
        run = Run(np.arange(SEEDS), STEPS, losses, runs, manifest)
        write_run(store.run("quick", "toy", "linear", arm), run)
        for name, values in sorted(runs.items()):
            measure, _, layer = name.partition("/")
            for seed in range(SEEDS):
                rows += [
                    (arm, seed, step, step / 10, measure, layer, value)
                    for step, value in zip(STEPS, values[seed], strict=True)
                ]
    file = store.table("quick", "toy", "linear")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_table(file, pd.DataFrame(rows, columns=COLUMNS))
    claim = {"id": "T1", "verdict": verdict, "parts": [{"experiment": "linear"}]}
    write_json(store.verdicts("quick", "toy"), {"claims": [claim], "numbers": []})
    return store
