"""Tidy tables: a row per arm, seed, record, measure and layer; and how to look numbers up in them."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from replications.harness import sealed
from replications.harness.catalogue.measures import MEASURES
from replications.harness.errors import UserError, nearest
from replications.harness.records import Run

COLUMNS = ["arm", "seed", "step", "epoch", "measure", "layer", "value"]
KEYS = ["arm", "seed", "step", "epoch"]


def tidy(arm: str, run: Run) -> pd.DataFrame:
    """An arm's rows: one per seed, record, measure and layer."""
    per_epoch = run.manifest["steps_per_epoch"]
    parts = []
    for name, values in run.measures.items():
        measure, _, layer = name.partition("/")
        if measure in MEASURES and not MEASURES[measure].scalar:
            continue  # judging.embedding and judging.arrays have tables for them
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


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table, whole or not at all, with its sha256 in the last line."""
    sealed.write_text(path, table.to_csv(index=False))


def read_table(path: Path, accepted: bool = False) -> pd.DataFrame:
    """Read a tidy table as it was written; absent layers are empty strings.

    Raises UserError where there is none, and where it is no table, was cut off or changed. An ``accepted``
    one has its sha256 in the manifest beside it instead.
    """
    if not path.exists():
        raise UserError(f"{path}: no such table; make it with `python -m replications tabulate`")
    types = {"arm": str, "measure": str, "layer": str}
    remedy = "take it back from git" if accepted else "make it again"
    try:
        text = path.read_text(encoding="utf-8") if accepted else sealed.read_text(path, remedy)
        table = pd.read_csv(io.StringIO(text), dtype=types, na_values=["nan"])
        if "layer" in table:
            table = table.assign(layer=table["layer"].fillna(""))
        _check_whole(table)
    except (ValueError, KeyError, pd.errors.ParserError) as error:
        said = str(error).splitlines()[0]
        raise UserError(f"{path}: not a whole table ({said}); {remedy}") from None
    return table


def _check_whole(table: pd.DataFrame) -> None:
    """Raise ValueError unless each of an arm's columns of numbers has a row for all of its records."""
    measured = "measure" in table
    if table.empty:
        raise ValueError("it has no rows")
    if "values" in table:
        return  # arrays, of which a layer has as many rows as it has units
    counts = table.groupby(
        ["arm", "measure", "layer"] if measured else ["arm", "layer"], sort=False
    ).size()
    per_arm = counts.groupby("arm")
    cut = per_arm.min() != per_arm.max()
    if cut.any():
        raise ValueError(f"rows of arm {cut.idxmax()} are missing")


def runs(
    table: pd.DataFrame, arm: str, measure: str, layer: str = "", x: str = "step"
) -> pd.DataFrame:
    """A row per recorded ``x`` (step or epoch), a column per seed. NaN: the run has diverged.

    Raises UserError where the table has no such number.
    """
    return _rows(table, arm, measure, layer).pivot(index=x, columns="seed", values="value")


def ends(table: pd.DataFrame, arm: str, measure: str, layer: str = "") -> pd.Series:
    """The value at the end, one per seed. Everything that speaks of an end has it from here."""
    rows = _rows(table, arm, measure, layer)
    last = rows[rows["step"] == rows["step"].max()]
    return last.set_index("seed")["value"].sort_index()


def _rows(table: pd.DataFrame, arm: str, measure: str, layer: str) -> pd.DataFrame:
    """The rows of a measure. Raises UserError where the table has no such number."""
    rows = table[(table["arm"] == arm) & (table["measure"] == measure)]
    if rows.empty:
        raise UserError(f"no {measure} of arm {arm!r} in the table; {nearest(arm, set(table.arm))}")
    layers = sorted(rows["layer"].unique())
    if layer not in layers:
        raise UserError(
            f"{arm}: {measure} is not recorded for layer {layer!r}; {nearest(layer, layers)}"
        )
    return rows[rows["layer"] == layer]


def by_quantity(table: pd.DataFrame) -> Iterable[tuple[Any, pd.DataFrame]]:
    """All that a table holds, in its order: (arm, measure, layer), and its rows."""
    return table.groupby(["arm", "measure", "layer"], sort=False)


def wide(table: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
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


def tall(records: pd.DataFrame) -> pd.DataFrame:
    """A tidy table again. What an arm does not measure has no number in any of its records."""
    parts = []
    for _, rows in records.groupby("arm", sort=False):
        for name in rows.columns.difference(KEYS, sort=False):
            if rows[name].notna().any():
                measure, _, layer = name.partition("/")
                part = rows[KEYS].assign(measure=measure, layer=layer, value=rows[name])
                parts.append(part[COLUMNS])
    return pd.concat(parts)
