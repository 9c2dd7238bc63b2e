"""The end of every run of a paper: ``python -m workflow.scripts.summary TABLE.csv... OUT.html``.

One table per experiment: per arm and measure the mean, the standard deviation over seeds, and n.
"""

import sys
from pathlib import Path

import pandas as pd

from replications.results import read_table
from workflow.scripts.page import page


def ends(table: pd.DataFrame) -> pd.DataFrame:
    """The last record of every run, over seeds: ``n`` of them, of which ``diverged`` are NaN."""
    last = table[table["step"] == table.groupby("arm")["step"].transform("max")]
    groups = last.groupby(["arm", "measure", "layer"], sort=False)["value"]
    return groups.agg(
        mean="mean", sd="std", n="size", diverged=lambda values: int(values.isna().sum())
    ).reset_index()


def section(experiment: str, table: pd.DataFrame) -> str:
    """One experiment as Markdown."""
    rows = [
        f"## {experiment}",
        "",
        "| arm | measure | layer | mean | sd | n | diverged |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in ends(table).itertuples():
        numbers = f"{row.mean:.4g} | {row.sd:.2g} | {row.n} | {row.diverged or ''}"
        rows.append(f"| {row.arm} | {row.measure} | {row.layer} | {numbers} |")
    return "\n".join(rows)


def main(*paths: str) -> None:
    *tables, target = map(Path, paths)
    sections = [section(path.stem, read_table(path)) for path in tables]
    title = "At the end of training"
    Path(target).write_text(page(title, f"# {title}\n\n" + "\n\n".join(sections)))


if __name__ == "__main__":
    main(*sys.argv[1:])
