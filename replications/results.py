"""Results on disk: one .npz and one manifest per cell, written whole or not at all; tidy tables."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from replications.errors import UserError
from replications.files import atomically
from replications.spec import Cell, cells_of

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["arm", "seed", "step", "epoch", "measure", "layer", "value"]
_NOT_MEASURES = ("seeds", "step", "first_losses")


class Run(NamedTuple):
    """A cell's numbers: ``seeds`` (S,), ``step`` (R,), ``first_losses`` (S, 20), measures (S, R).

    ``features/hidden_k`` (S, P, units), among the measures, are those of P examples at the end.
    """

    seeds: np.ndarray
    step: np.ndarray
    first_losses: np.ndarray
    measures: dict[str, np.ndarray]
    manifest: dict[str, Any]


def paper_folder(results: Path, preset: str, paper: str) -> Path:
    return results / preset / paper


def run_file(results: Path, cell: Cell) -> Path:
    folder = paper_folder(results, cell.preset, cell.paper)
    return folder / "runs" / cell.experiment / f"{cell.arm}.npz"


def table_file(results: Path, preset: str, paper: str, experiment: str) -> Path:
    return paper_folder(results, preset, paper) / "tables" / f"{experiment}.csv"


def embedding_file(results: Path, preset: str, paper: str, experiment: str) -> Path:
    return table_file(results, preset, paper, f"{experiment}.embedding")


def write_run(path: Path, run: Run) -> None:
    """The arrays (the same bytes for the same numbers) and, beside them, the manifest."""
    arrays = {"seeds": run.seeds, "step": run.step, "first_losses": run.first_losses}
    with atomically(path) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays, **dict(sorted(run.measures.items())))
    with atomically(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(run.manifest, indent=2, sort_keys=True) + "\n")


def read_run(path: Path) -> Run:
    """A cell's numbers. Raises UserError where they have not been computed."""
    if not path.exists():
        raise UserError(f"{path}: no such result; make it with `python -m replications simulate`")
    if not path.with_suffix(".json").exists():
        raise UserError(
            f"{path}: its manifest, the .json beside it, is missing; compute it anew elsewhere"
        )
    with np.load(path) as arrays:
        measures = {name: arrays[name] for name in arrays.files if name not in _NOT_MEASURES}
        manifest = json.loads(path.with_suffix(".json").read_text())
        return Run(arrays["seeds"], arrays["step"], arrays["first_losses"], measures, manifest)


def tabulate(paper: str, experiment: str, preset: str, results: Path) -> "pd.DataFrame":
    """All arms of an experiment as one tidy table, written to its file and returned."""
    # Imported late: simulating needs no tables.
    import pandas as pd

    arms = cells_of(paper, experiment, preset)
    table = pd.concat([tidy(c.arm, read_run(run_file(results, c))) for c in arms])
    with atomically(table_file(results, preset, paper, experiment)) as temporary:
        table.to_csv(temporary, index=False)
    return table


def tidy(arm: str, run: Run) -> "pd.DataFrame":
    """An arm's rows of the tidy table: one per seed, record, measure and layer."""
    import pandas as pd

    per_epoch = run.manifest["steps_per_epoch"]
    parts = []
    for name, values in run.measures.items():
        measure, _, layer = name.partition("/")
        if measure == "features":
            continue  # no scalars: replications.embedding has a table for them
        seeds, steps = values.shape
        parts.append(
            pd.DataFrame(
                {
                    "arm": arm,
                    "seed": np.repeat(run.seeds, steps),
                    "step": np.tile(run.step, seeds),
                    "epoch": np.tile(run.step / per_epoch, seeds),
                    "measure": measure,
                    "layer": layer,
                    "value": values.astype(np.float64).ravel(),
                }
            )
        )
    return pd.concat(parts)[COLUMNS]


def read_table(path: Path) -> "pd.DataFrame":
    """A tidy table as it was written; absent layers are empty strings."""
    import pandas as pd

    if not path.exists():
        raise UserError(f"{path}: no such table; make it with `python -m replications tabulate`")
    table = pd.read_csv(path, dtype={"arm": str, "measure": str, "layer": str}, na_values=["nan"])
    return table.assign(layer=table["layer"].fillna(""))
