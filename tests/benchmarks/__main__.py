"""Run benchmarks, and write what they find into RESULTS.md, each in its section.

    python -m tests.benchmarks [NAME ...]

NAME: training, peers, rules, growth, batch_one; all by default. Needs a machine that does nothing else. Ends
with 1 where a goal is missed.
"""

import datetime
import importlib
import os
import sys
from pathlib import Path

NAMES = ("training", "peers", "rules", "growth", "batch_one")
# One thread, before jax and NumPy are imported.
os.environ.update(NPROC="1", OPENBLAS_NUM_THREADS="1")
RESULTS = Path(__file__).with_name("RESULTS.md")


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(f"no benchmark {unknown[0]!r}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    missed = False
    for name in names or NAMES:
        found = importlib.import_module(f"tests.benchmarks.{name}")
        tables = found.measure()
        print(*tables, sep="\n")
        missed |= any(row.met is False for table in tables for row in table.rows)
        _keep(name, (found.__doc__ or "").splitlines()[0], "\n".join(map(str, tables)))
    return int(missed)


def _keep(name: str, title: str, tables: str) -> None:
    from replications.harness.showing import markdown
    from tests.benchmarks.timing import machine

    when = f"{datetime.datetime.now(datetime.UTC):%d %B %Y}".lstrip("0")
    head = f"## {title}\n\n`python -m tests.benchmarks {name}`, {when}. {machine()}.\n"
    markdown.fill(RESULTS, {name: f"{head}\n{tables}"})


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
