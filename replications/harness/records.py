"""Results on disk: one .npz and one manifest per cell, written whole or not at all."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from replications.harness.errors import UserError
from replications.harness.files import atomically

_NOT_MEASURES = ("seeds", "step", "first_losses")


class Run(NamedTuple):
    """A cell's numbers: ``seeds`` (S,), ``step`` (R,), ``first_losses`` (S, 20), measures (S, R).

    ``features/hidden_k`` (S, P, units), among the measures, are those of P examples at the end; other
    arrays (``traces``, ``fields``) are kept at every record, (S, R, ...).
    """

    seeds: np.ndarray
    step: np.ndarray
    first_losses: np.ndarray
    measures: dict[str, np.ndarray]
    manifest: dict[str, Any]


def write_run(path: Path, run: Run) -> None:
    """Write the arrays (the same bytes for the same numbers) and, beside them, the manifest."""
    arrays = {"seeds": run.seeds, "step": run.step, "first_losses": run.first_losses}
    with atomically(path) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays, **dict(sorted(run.measures.items())))
    with atomically(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(run.manifest, indent=2, sort_keys=True) + "\n")


def read_run(path: Path) -> Run:
    """Read a cell's numbers. Raises UserError where they have not been computed."""
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
