"""Long runs resume where they were cut off, to the bit: orbax writes the state, whole or not at all."""

import shutil
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from replications import provenance
from replications.spec import Cell


class Checkpoint:
    """The unfinished work of one cell, beside its result file, for one spec and one set of sources.

    Nothing is written before ``seconds`` have passed since the last write: short runs leave no trace.
    """

    def __init__(self, result: Path, cell: Cell, seconds: float):
        identity = f"{cell.digest[:12]}-{provenance.source_digest(cell)[:12]}"
        # orbax reads and writes absolute paths only.
        self.folder = result.parent.absolute() / f".{result.stem}.checkpoint"
        self.here = self.folder / identity
        self.seconds = seconds
        self.last = time.monotonic()
        self.long = self.here.exists()

    def finish(self, group: list[int], records: dict[str, np.ndarray]) -> None:
        """Keep the records of a group that is done (in a long run)."""
        if self.long or time.monotonic() - self.last >= self.seconds:
            self._write(self.here / _name("done", group), records)

    def finished(self, group: list[int]) -> dict[str, np.ndarray] | None:
        """The records of a group that an earlier run has finished, if any."""
        path = self.here / _name("done", group)
        return _checkpointer().restore(path) if path.exists() else None

    def save(self, group: list[int], state: Any, records: list[dict[str, np.ndarray]]) -> None:
        """Keep a group's state and its records so far, where it is time."""
        if time.monotonic() - self.last < self.seconds:
            return
        leaves = [_plain(leaf) for leaf in jax.tree.leaves(state)]
        saved = {
            "state": {str(i): leaf for i, leaf in enumerate(leaves)},
            "records": {name: np.stack([r[name] for r in records]) for name in records[0]},
        }
        self._write(self.here / _name("state", group), saved)

    def resume(self, group: list[int], like: Any) -> tuple[Any, list[dict[str, np.ndarray]]] | None:
        """The saved state (of the structure of ``like``) and the records, if there are any."""
        path = self.here / _name("state", group)
        if not path.exists():
            return None
        saved = _checkpointer().restore(path)
        leaves, structure = jax.tree.flatten(like)
        state = [_like(saved["state"][str(i)], leaf) for i, leaf in enumerate(leaves)]
        count = len(next(iter(saved["records"].values())))
        records = [{k: v[i] for k, v in saved["records"].items()} for i in range(count)]
        return jax.tree.unflatten(structure, state), records

    def remove(self) -> None:
        """The work is done: its checkpoints, and those of other sources, go."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, path: Path, tree: Any) -> None:
        _checkpointer().save(path, tree, force=True)
        self.last, self.long = time.monotonic(), True


def _checkpointer() -> Any:
    # Imported late: it takes two seconds, and short runs never need it.
    import orbax.checkpoint as ocp

    return ocp.PyTreeCheckpointer()


def _name(kind: str, group: list[int]) -> str:
    return f"{kind}-{group[0]}-{group[-1]}"


def _plain(leaf: Any) -> np.ndarray:
    is_key = jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf)


def _like(saved: Any, leaf: Any) -> jax.Array:
    if jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(jax.numpy.asarray(saved))
    return jax.numpy.asarray(saved, leaf.dtype)
